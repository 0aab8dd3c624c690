//! Large positioned reads, many in flight, completed out of order.
//!
//! A read goes: [`ReadFile`] (a regular file, held open) -> [`ReadEngine::submit`] (takes a buffer
//! from the [`BufferPool`]) -> [`Completion`] with a [`Blob`] (the bytes; dropping it gives the
//! buffer back). [`read_ranges`] runs that loop for a list of ranges and keeps the queue full.
//!
//! Reads are widened to whole 4096-byte blocks, so any range can be read past the page cache; the
//! blob shows exactly the bytes that were asked for.

mod aligned;
mod engine;
mod error;
mod file;
mod piece;
mod pool;
#[cfg(target_os = "linux")]
mod ring;
mod stream;
mod threads;

#[cfg(test)]
mod tests;

pub use engine::{
    Completion, EngineChoice, EngineInfo, EngineKind, EngineOptions, ReadEngine, Submission,
    Ticket, open_engine,
};
pub use error::ReadError;
pub use file::{Caching, ReadFile};
pub use pool::{Blob, BufferPool};
pub use stream::{ReadRange, read_ranges};
