//! Time, files and threads around a plan: opening and loading models, lanes and pages, steps, diagnostics.
//!
//! The runtime never names a back end: it holds a `Box<dyn Backend>`.

pub mod diagnose;
pub mod engine;
pub mod generate;
pub mod load;
pub mod model_file;
mod pages;
pub mod tokenizer;
