//! The asynchronous I/O layer. It knows files and bytes, and nothing of models.
//!
//! Two halves that share only their limits:
//!
//! * [`read`]: large positioned reads for the model loader. [`open_engine`] gives a [`ReadEngine`]:
//!   io_uring where the kernel allows it, a pool of reading threads elsewhere. Bytes arrive in
//!   pooled, 4096-aligned buffers, so the pool's size is the bound on host memory.
//! * [`fs`]: the few file operations a crash-safe store is built from ([`Fs`]), on the real disk
//!   ([`RealFs`]) and on a simulated one that crashes, lies and fills up on command ([`FaultFs`]).

mod limits;
mod random;

pub mod fs;
pub mod read;

pub use fs::{FaultFs, Fs, FsError, FsErrorKind, FsFile, RealFs};
pub use read::{
    Blob, BufferPool, Caching, Completion, EngineChoice, EngineInfo, EngineKind, EngineOptions,
    ReadEngine, ReadError, ReadFile, ReadRange, Submission, Ticket, open_engine, read_ranges,
};
