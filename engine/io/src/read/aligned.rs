#![allow(unsafe_code)]
//! Block-aligned, zeroed memory straight from the operating system.
//!
//! All buffers of a pool are cut from one mapping, back to back from a huge page's border, so that
//! nearly all of it lies in huge pages: measured with 7 MB direct reads from a virtual disk, twice
//! the speed for a third of the processor time against 4 KiB pages (benches/RESULTS.md).
//!
//! Invariants:
//! * `Mapping::start` is the result of a successful anonymous private `mmap` of `bytes` bytes, which
//!   the value alone owns; it is unmapped once, in `drop`, when the last buffer is gone.
//! * Buffers of one mapping are disjoint and lie inside it: `AlignedMemory::several` alone makes
//!   them, and they cannot be cloned.
//! * The memory is initialised from the start (anonymous pages read as zero), so a shared slice of
//!   it is always sound.
//! * Whoever hands the address to the kernel keeps the value alive, and makes no slice of it, until
//!   the kernel is done (the ring keeps it in the request's slot).

use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::limits::BLOCK_BYTES;

/// Huge page of x86-64 and of ARM with 4 KiB pages; elsewhere only an alignment.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// One owned mapping.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

/// One buffer: exclusive owner of its part of a mapping.
pub(super) struct AlignedMemory {
    start: NonNull<u8>,
    bytes: usize,
    _mapping: Arc<Mapping>,
}

// SAFETY: a mapping is owned memory without thread affinity, like a `Box<[u8]>`.
unsafe impl Send for Mapping {}
// SAFETY: nothing is reached through a shared mapping but its own address.
unsafe impl Sync for Mapping {}
// SAFETY: the only owner of its bytes, like a `Box<[u8]>`.
unsafe impl Send for AlignedMemory {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedMemory {}

impl Mapping {
    fn new(bytes: usize) -> io::Result<Self> {
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
        let mapping = Self { start, bytes };
        mapping.advise_huge_pages();
        Ok(mapping)
    }

    /// A refusal costs only speed.
    fn advise_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the range is exactly our own mapping; the advice does not change contents.
            let _ =
                unsafe { madvise(self.start.as_ptr().cast(), self.bytes, Advice::LinuxHugepage) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `bytes` describe our own mapping, and no buffer of it is left.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

impl AlignedMemory {
    /// `count` buffers of `bytes` zeroed bytes; `bytes` is a positive multiple of `BLOCK_BYTES`.
    pub fn several(count: usize, bytes: usize) -> io::Result<Vec<Self>> {
        assert!(bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES), "{bytes} is not whole blocks");
        let mapped = count.checked_mul(bytes).and_then(|all| all.checked_add(HUGE_PAGE_BYTES));
        let mapping = Arc::new(Mapping::new(mapped.ok_or(io::ErrorKind::OutOfMemory)?)?);
        let skipped = mapping.start.align_offset(HUGE_PAGE_BYTES);
        assert!(skipped + count * bytes <= mapping.bytes);
        let buffer = |index: usize| {
            // SAFETY: inside the mapping by the assertion, and disjoint for different indices.
            let start = unsafe { mapping.start.add(skipped + index * bytes) };
            Self { start, bytes, _mapping: Arc::clone(&mapping) }
        };
        Ok((0..count).map(buffer).collect())
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
        // SAFETY: exclusively ours, initialised, and not lent to the kernel (head comment).
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` excludes every other access.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}
