//! The buffers reads arrive in, and the guard that gives them back.

use std::fmt;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::ops::{Deref, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::aligned::AlignedMemory;
use super::error::ReadError;

/// A fixed set of equal, 4096-aligned buffers: the bound on host memory used by reads.
///
/// Clones share the same buffers.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Vec<Indexed>>,
    returned: Condvar,
    buffers: usize,
    buffer_bytes: usize,
}

/// A buffer and its place in the ring's table of registered buffers.
struct Indexed {
    memory: AlignedMemory,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    index: u16,
}

impl Shared {
    fn free(&self) -> MutexGuard<'_, Vec<Indexed>> {
        // A panic elsewhere cannot leave the list half changed: it is only pushed to and popped.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BufferPool {
    /// Allocates the buffers. `buffer_bytes` is a multiple of 4096, `buffers` fits in 16 bits.
    pub(super) fn new(buffers: usize, buffer_bytes: usize) -> Result<Self, ReadError> {
        let memory = AlignedMemory::several(buffers, buffer_bytes)
            .map_err(|source| ReadError::Memory { buffers, buffer_bytes, source })?;
        let free = memory.into_iter().zip(0..);
        let free = free.map(|(memory, index)| Indexed { memory, index }).collect();
        let shared =
            Shared { free: Mutex::new(free), returned: Condvar::new(), buffers, buffer_bytes };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Number of buffers in all.
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.shared.buffers
    }

    /// Number of buffers that are neither in a read nor in a [`Blob`].
    #[must_use]
    pub fn buffers_free(&self) -> usize {
        self.shared.free().len()
    }

    /// Bytes of one buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.shared.buffer_bytes
    }

    /// Waits until a buffer is free, at most `timeout`; says whether one is.
    #[must_use]
    pub fn wait_free(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut free = self.shared.free();
        while free.is_empty() {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            free = self
                .shared
                .returned
                .wait_timeout(free, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    pub(super) fn take(&self) -> Option<PooledBuffer> {
        let buffer = self.shared.free().pop()?;
        Some(PooledBuffer { shared: Arc::clone(&self.shared), buffer: Some(buffer) })
    }

    /// Shows all buffers, in table order; all must be free.
    #[cfg(target_os = "linux")]
    pub(super) fn with_all<R>(&self, show: impl FnOnce(&[IoSliceMut<'_>]) -> R) -> R {
        let mut free = self.shared.free();
        assert_eq!(free.len(), self.shared.buffers, "buffers are registered before first use");
        free.sort_by_key(|buffer| buffer.index);
        let slices = free.iter_mut().map(|buffer| IoSliceMut::new(buffer.memory.as_mut_slice()));
        show(&slices.collect::<Vec<_>>())
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("buffers", &self.buffers())
            .field("buffers_free", &self.buffers_free())
            .field("buffer_bytes", &self.buffer_bytes())
            .finish()
    }
}

/// One buffer taken from the pool; goes back when dropped.
pub(super) struct PooledBuffer {
    shared: Arc<Shared>,
    buffer: Option<Indexed>,
}

impl PooledBuffer {
    fn memory(&self) -> &AlignedMemory {
        &self.buffer.as_ref().expect("taken only in drop").memory
    }

    pub fn as_slice(&self) -> &[u8] {
        self.memory().as_slice()
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer.as_mut().expect("taken only in drop").memory.as_mut_slice()
    }

    pub fn bytes(&self) -> usize {
        self.memory().bytes()
    }

    /// For the kernel: makes no slice, so pieces of the buffer may be in flight.
    #[cfg(target_os = "linux")]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.buffer.as_mut().expect("taken only in drop").memory.as_mut_ptr()
    }

    /// Place in the table of registered buffers.
    #[cfg(target_os = "linux")]
    pub fn index(&self) -> u16 {
        self.buffer.as_ref().expect("taken only in drop").index
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.shared.free().push(buffer);
            self.shared.returned.notify_all();
        }
    }
}

/// The bytes of one finished read. Dropping it gives its buffer back to the pool.
///
/// It can be sent to another thread and outlives the engine. The bytes start at a 4096-aligned
/// address if the read started at a 4096-aligned file offset.
pub struct Blob {
    /// `None` for a read of zero bytes, which needs no buffer.
    buffer: Option<PooledBuffer>,
    range: Range<usize>,
}

impl Blob {
    pub(super) fn new(buffer: PooledBuffer, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= buffer.bytes());
        Self { buffer: Some(buffer), range }
    }

    pub(super) fn empty() -> Self {
        Self { buffer: None, range: 0..0 }
    }

    /// The bytes, for repacking in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let range = self.range.clone();
        self.buffer.as_mut().map_or(&mut [], |buffer| &mut buffer.as_mut_slice()[range])
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.as_slice()[self.range.clone()])
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.range.len())
    }
}
