//! The trait both engines implement, their options, and the choice between them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::ReadError;
use super::file::ReadFile;
use super::piece::Widened;
use super::pool::{Blob, BufferPool};
use super::threads::ThreadEngine;
use crate::limits::{
    BLOCK_BYTES, BUFFERS_MAX, QUEUE_DEPTH_MAX, REQUEST_BYTES_MAX, STALLED_TIMEOUT, STARVED_TIMEOUT,
    THREADS_MAX,
};

/// Reads of files into pooled buffers, many in flight, completed in any order.
///
/// Every accepted request gives exactly one [`Completion`]. Dropping the engine abandons what is
/// in flight; blobs handed out stay valid.
pub trait ReadEngine: Send {
    /// What the engine is and why.
    fn info(&self) -> &EngineInfo;

    /// The buffers that reads arrive in.
    fn pool(&self) -> &BufferPool;

    /// Starts a read of `bytes` bytes at `offset`. Does not wait for the disk.
    ///
    /// # Errors
    /// [`ReadError::PastEnd`], [`ReadError::TooLong`]: the request is refused and will not
    /// complete.
    fn submit(
        &mut self,
        file: &Arc<ReadFile>,
        offset: u64,
        bytes: usize,
    ) -> Result<Submission, ReadError>;

    /// Gives up a request. It still completes once, as soon as the engine no longer needs its
    /// buffer: with [`ReadError::Cancelled`], or with its bytes if it had finished already. A
    /// ticket whose completion was taken is ignored.
    fn cancel(&mut self, ticket: Ticket);

    /// Requests accepted whose completion was not taken yet.
    fn in_flight(&self) -> usize;

    /// Takes a completion if there is one; never waits.
    ///
    /// # Errors
    /// [`ReadError::Engine`] if the engine itself broke.
    fn poll(&mut self) -> Result<Option<Completion>, ReadError> {
        self.wait(Duration::ZERO)
    }

    /// Waits for a completion; `None` at once if nothing is in flight, else after `timeout`.
    ///
    /// # Errors
    /// [`ReadError::Engine`] if the engine itself broke.
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, ReadError>;
}

/// Names one accepted request of one engine; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// Answer to [`ReadEngine::submit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Submission {
    /// The request is in flight.
    Accepted(Ticket),
    /// As many requests as `queue_depth` are in flight: take a completion first.
    QueueFull,
    /// All buffers are in flight or held as blobs: take a completion or drop a blob first.
    NoBuffer,
}

/// The end of one request.
#[derive(Debug)]
pub struct Completion {
    /// As returned by [`ReadEngine::submit`].
    pub ticket: Ticket,
    /// The bytes, or why there are none.
    pub result: Result<Blob, ReadError>,
}

/// Which engine to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// io_uring if it works here, else threads.
    #[default]
    Auto,
    /// io_uring or an error.
    Ring,
    /// Reading threads.
    Threads,
}

/// Options of [`open_engine`].
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Which engine.
    pub choice: EngineChoice,
    /// Most requests in flight, 1..=256.
    pub queue_depth: usize,
    /// Buffers in the pool, 1..=1024. More than `queue_depth` lets reads go on while consumers
    /// still work on earlier blobs.
    pub buffers: usize,
    /// Longest request, up to 1 GiB. Host memory is about `buffers * request_bytes_max`.
    pub request_bytes_max: usize,
    /// Reading threads of the thread engine, 1..=64.
    pub threads: usize,
    /// Size of the pieces that the ring cuts long requests into, rounded up to whole blocks.
    pub ring_piece_bytes: usize,
    /// How long [`read_ranges`](super::read_ranges) waits for its consumer to drop a blob.
    pub starved_timeout: Duration,
    /// How long [`read_ranges`](super::read_ranges) waits for any read to finish.
    pub stalled_timeout: Duration,
}

impl Default for EngineOptions {
    /// 16 buffers of 8 MiB, 8 requests in flight, not cut: pieces of 1 MiB were as fast, but cost
    /// 1.5 times the processor time (benches/RESULTS.md).
    fn default() -> Self {
        Self {
            choice: EngineChoice::Auto,
            queue_depth: 8,
            buffers: 16,
            request_bytes_max: 8 << 20,
            threads: 4,
            ring_piece_bytes: 8 << 20,
            starved_timeout: STARVED_TIMEOUT,
            stalled_timeout: STALLED_TIMEOUT,
        }
    }
}

impl EngineOptions {
    fn check(&self) -> Result<(), ReadError> {
        check("queue_depth", self.queue_depth, 1, QUEUE_DEPTH_MAX)?;
        check("buffers", self.buffers, 1, BUFFERS_MAX)?;
        check("request_bytes_max", self.request_bytes_max, 1, REQUEST_BYTES_MAX)?;
        check("threads", self.threads, 1, THREADS_MAX)?;
        check("ring_piece_bytes", self.ring_piece_bytes, BLOCK_BYTES, REQUEST_BYTES_MAX)
    }
}

fn check(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ReadError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ReadError::Option { field, value, min, max })
}

/// Which engine was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// io_uring.
    Ring,
    /// Reading threads.
    Threads,
}

/// What an engine is; its `Display` is one line for people.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Which engine.
    pub kind: EngineKind,
    /// Why it is not the better one, or what the ring had to do without.
    pub notes: Vec<String>,
    /// The options it was opened with.
    pub options: EngineOptions,
    /// Whether the kernel keeps the buffers pinned between reads.
    pub buffers_registered: bool,
    /// Whether the kernel keeps the files looked up between reads.
    pub files_registered: bool,
}

impl fmt::Display for EngineInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        match self.kind {
            EngineKind::Ring => write!(f, "io_uring")?,
            EngineKind::Threads => write!(f, "{} reading threads", options.threads)?,
        }
        write!(
            f,
            ", {} requests in flight, {} buffers of {} bytes",
            options.queue_depth,
            options.buffers,
            Widened::buffer_bytes(options.request_bytes_max)
        )?;
        if self.kind == EngineKind::Ring {
            write!(f, " ({}registered)", if self.buffers_registered { "" } else { "not " })?;
        }
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// Opens the best engine that works here. [`EngineInfo::notes`] says why it is not io_uring.
///
/// # Errors
/// [`ReadError::Option`], [`ReadError::Memory`], [`ReadError::Engine`] (no threads), and
/// [`ReadError::RingUnavailable`] if [`EngineChoice::Ring`] was demanded.
pub fn open_engine(options: EngineOptions) -> Result<Box<dyn ReadEngine>, ReadError> {
    options.check()?;
    let pool = BufferPool::new(options.buffers, Widened::buffer_bytes(options.request_bytes_max))?;
    let mut notes = Vec::new();
    if options.choice != EngineChoice::Threads {
        match open_ring(&options, &pool) {
            Ok(engine) => return Ok(engine),
            Err(reason) if options.choice == EngineChoice::Ring => {
                return Err(ReadError::RingUnavailable { reason });
            }
            Err(reason) => notes.push(format!("no io_uring: {reason}")),
        }
    }
    Ok(Box::new(ThreadEngine::open(options, pool, notes)?))
}

#[cfg(target_os = "linux")]
fn open_ring(options: &EngineOptions, pool: &BufferPool) -> Result<Box<dyn ReadEngine>, String> {
    let engine = super::ring::RingEngine::open(options.clone(), pool.clone())?;
    Ok(Box::new(engine))
}

#[cfg(not(target_os = "linux"))]
fn open_ring(_: &EngineOptions, _: &BufferPool) -> Result<Box<dyn ReadEngine>, String> {
    Err("this is not Linux".to_owned())
}

/// Checks that every engine makes before it accepts a request.
pub(super) fn check_request(
    pool: &BufferPool,
    options: &EngineOptions,
    file: &ReadFile,
    offset: u64,
    bytes: usize,
) -> Result<(), ReadError> {
    file.check_range(offset, bytes)?;
    let bytes_max = options.request_bytes_max;
    if bytes > bytes_max {
        let path = file.path().to_path_buf();
        return Err(ReadError::TooLong { path, offset, bytes, bytes_max });
    }
    debug_assert!(Widened::new(offset, bytes).bytes <= pool.buffer_bytes());
    Ok(())
}
