#![allow(unsafe_code)]
//! Block-aligned, zeroed memory straight from the operating system.
//!
//! Invariants:
//! * `start` is the result of a successful anonymous private `mmap` of `bytes` bytes, which this
//!   value alone owns; it is unmapped once, in `drop`.
//! * The memory is initialised from the start (anonymous pages read as zero), so a shared slice of
//!   it is always sound.
//! * A mapping begins on a memory page, and pages are at least `BLOCK_BYTES`.
//! * Whoever hands the address to the kernel keeps the value alive, and makes no slice of it,
//!   until the kernel is done (the ring keeps it in the request's slot).

use std::io;
use std::ptr::NonNull;
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::limits::BLOCK_BYTES;

/// One owned mapping.
pub(super) struct AlignedMemory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is owned memory without thread affinity, like a `Box<[u8]>`.
unsafe impl Send for AlignedMemory {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedMemory {}

impl AlignedMemory {
    /// Maps `bytes` zeroed bytes; `bytes` is a positive multiple of `BLOCK_BYTES`.
    pub fn new(bytes: usize) -> io::Result<Self> {
        assert!(bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES), "{bytes} is not whole blocks");
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| io::Error::other("mmap returned the null page"))?;
        let memory = Self { start, bytes };
        memory.advise_huge_pages();
        Ok(memory)
    }

    /// Large pages make the scatter lists of direct reads short. A refusal costs only speed.
    fn advise_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the range is exactly our own mapping; the advice does not change contents.
            let _ =
                unsafe { madvise(self.start.as_ptr().cast(), self.bytes, Advice::LinuxHugepage) };
        }
    }

    /// For the kernel (head comment).
    #[cfg(target_os = "linux")]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: owned, initialised, and not lent to the kernel (head comment).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` excludes every other access.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for AlignedMemory {
    fn drop(&mut self) {
        // SAFETY: `start` and `bytes` describe our own mapping, and nobody can reach it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
