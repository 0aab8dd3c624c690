//! The GGUF container, versions 2 and 3, little endian: header, metadata and tensor table.
//!
//! [`Gguf::parse`] takes the beginning of a file and its size and returns what the directory says,
//! all of it checked: after it, every tensor lies inside the file and no two overlap. [`GgufSet`]
//! joins the parts of a split model, [`GgufWriter`] makes a directory.

mod error;
mod metadata;
mod parser;
mod reader;
mod set;
mod value;
mod writer;

pub use error::{GgufError, GgufErrorKind, GgufFault, Subject};
pub use metadata::Metadata;
pub use reader::{Gguf, TensorInfo};
pub use set::{GgufSet, shard_names};
pub use value::{Array, StringArray, Value, ValueType};
pub use writer::{GgufDirectory, GgufWriter};
