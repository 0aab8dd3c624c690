//! Makes model files: a published checkpoint (safetensors) or a GGUF in, a quantised GGUF out, and
//! the importance matrix that tells the encoders which columns matter.
//!
//! | module | |
//! |---|---|
//! | [`source`] | where the values of every output tensor come from |
//! | [`recipe`] | which format every tensor gets: profile, overrides |
//! | [`output`] | the file: tasks, threads, the journal that makes a run resumable |
//! | [`importance`] | mean squares of the inputs of matrix products: collected, written, read |

pub mod error;
pub mod importance;
pub mod limits;
pub mod output;
pub mod recipe;
pub mod source;

pub use error::QuantizeError;
pub use output::{Options, Progress, Summary, quantize};
