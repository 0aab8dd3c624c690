//! Bytes to typed records: the GGUF container, quantised weight blocks and their device layout, and
//! the low-precision rounding of cached rows.
//!
//! Pure: no files, no threads, no input or output. Everything a file may contain is taken as
//! hostile until it is checked; [`limits`] holds the bounds, [`bytes`] is the only place where file
//! bytes become integers.

pub mod bytes;
pub mod gguf;
pub mod limits;
pub mod quant;
pub mod rounding;
