//! What can go wrong while reading, with file and offset.

use std::io;
use std::path::PathBuf;

/// Error of the reading half of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened or examined.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The path names something other than a regular file.
    #[error("{path} is a {kind}; a regular file is needed")]
    NotRegular {
        /// The path as given.
        path: PathBuf,
        /// What it is instead, in words.
        kind: &'static str,
    },
    /// The wanted range ends after the end of the file.
    #[error(
        "{path}: {bytes} bytes at offset {offset} were asked for, but the file has only \
         {file_bytes} bytes"
    )]
    PastEnd {
        /// The file.
        path: PathBuf,
        /// Start of the wanted range.
        offset: u64,
        /// Length of the wanted range.
        bytes: usize,
        /// Length of the file when it was opened.
        file_bytes: u64,
    },
    /// The file became shorter after it was opened.
    #[error(
        "{path}: the file ended at byte {end}, but had {file_bytes} bytes when it was opened (a \
         range at offset {offset} was being read); it was changed while in use"
    )]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Start of the wanted range.
        offset: u64,
        /// Where the file ended.
        end: u64,
        /// Length of the file when it was opened.
        file_bytes: u64,
    },
    /// The wanted range does not fit into one buffer.
    #[error(
        "{path}: a read of {bytes} bytes at offset {offset} is longer than the engine's limit of \
         {bytes_max} bytes for one request; split the range"
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Start of the wanted range.
        offset: u64,
        /// Length of the wanted range.
        bytes: usize,
        /// `EngineOptions::request_bytes_max` of the engine.
        bytes_max: usize,
    },
    /// The operating system reported an error.
    #[error("{path}: reading at offset {offset} failed: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Where the failed read started.
        offset: u64,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The request was cancelled before its result was handed out.
    #[error("{path}: the read at offset {offset} was cancelled")]
    Cancelled {
        /// The file.
        path: PathBuf,
        /// Start of the wanted range.
        offset: u64,
    },
    /// An option is out of range.
    #[error("read engine option {field} = {value} is outside {min}..={max}")]
    Option {
        /// Name of the field of `EngineOptions`.
        field: &'static str,
        /// The refused value.
        value: usize,
        /// Smallest accepted value.
        min: usize,
        /// Largest accepted value.
        max: usize,
    },
    /// Buffers could not be allocated.
    #[error("cannot allocate {buffers} read buffers of {buffer_bytes} bytes: {source}")]
    Memory {
        /// Number of buffers.
        buffers: usize,
        /// Bytes of each.
        buffer_bytes: usize,
        /// The operating system's reason.
        source: io::Error,
    },
    /// io_uring was demanded by the options but cannot be used.
    #[error("io_uring cannot be used here: {reason}; choose the thread engine")]
    RingUnavailable {
        /// Why, in words.
        reason: String,
    },
    /// The engine itself failed.
    #[error("read engine: {what} failed: {source}")]
    Engine {
        /// The failed step.
        what: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// `read_ranges` was called on an engine that still has requests of someone else.
    #[error("the read engine still has {in_flight} requests in flight; finish them first")]
    Busy {
        /// Requests in flight.
        in_flight: usize,
    },
    /// The consumer of `read_ranges` holds all buffers and gives none back.
    #[error(
        "all {buffers} read buffers have been held by their consumer for {seconds} s; blobs must \
         be dropped, or the engine opened with more buffers"
    )]
    Starved {
        /// Buffers in the pool.
        buffers: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// No read finished for a long time.
    #[error(
        "no read finished within {seconds} s ({in_flight} in flight); the disk does not answer"
    )]
    Stalled {
        /// How long was waited.
        seconds: u64,
        /// Requests in flight.
        in_flight: usize,
    },
}
