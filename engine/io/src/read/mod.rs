//! Large positioned reads, many in flight, completed out of order.
//!
//! A read goes: [`ReadFile`] (a regular file, held open) -> [`ReadEngine::submit`] (takes a buffer
//! from the [`BufferPool`]) -> [`Completion`] with a [`Blob`] (the bytes; dropping it gives the
//! buffer back). [`read_ranges`] runs that loop for a list of ranges and keeps the queue full.
//!
//! Reads are widened to whole 4096-byte blocks, so any range can be read past the page cache; the
//! blob shows exactly the bytes that were asked for.
//!
//! ```no_run
//! use ds4_io::{Caching, EngineOptions, ReadError, ReadFile, ReadRange, open_engine, read_ranges};
//!
//! let file = ReadFile::open("model.gguf", Caching::Direct)?;
//! let mut engine = open_engine(EngineOptions::default())?;
//! println!("{}", engine.info());
//! let ranges = (0..16u64).map(|expert| ReadRange {
//!     file: file.clone(),
//!     offset: expert * 7_077_888,
//!     bytes: 7_077_888,
//!     tag: expert,
//! });
//! let (sender, receiver) = std::sync::mpsc::channel();
//! let worker = std::thread::spawn(move || {
//!     for (expert, blob) in receiver {
//!         let blob: ds4_io::Blob = blob;
//!         println!("{expert}: {} bytes", blob.len()); // the buffer goes back here
//!     }
//! });
//! read_ranges(&mut *engine, ranges, |expert, blob| {
//!     sender.send((expert, blob)).expect("the worker ends after the sender");
//!     Ok::<_, ReadError>(())
//! })?;
//! drop(sender);
//! worker.join().expect("the worker does not panic");
//! # Ok::<_, ReadError>(())
//! ```

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
