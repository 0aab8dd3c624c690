//! Time, files and threads around a plan: opening and loading models, lanes and pages, steps,
//! sessions, generation, diagnostics.
//!
//! The runtime never names a back end: it holds a `Box<dyn Backend>`.

pub mod answer;
pub mod bytes;
pub mod checkpoints;
pub mod diagnose;
pub mod engine;
pub mod generate;
pub mod limits;
pub mod load;
pub mod model_file;
mod pages;
pub mod sampling;
pub mod session;
pub mod tokenizer;
