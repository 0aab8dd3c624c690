//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// Unit of direct I/O: file offsets, lengths and memory addresses are multiples of it. 512 would do
/// on most disks; 4096 is the block of every file system we target and the memory page of x86.
pub const BLOCK_BYTES: usize = 4096;

/// Most requests in flight. A disk is saturated by far fewer; the bound keeps tables small.
pub const QUEUE_DEPTH_MAX: usize = 256;

/// Most buffers in a pool: io_uring's own table of registered buffers ends at 16,384, and a pool
/// beyond a thousand buffers is a sign of a wrong unit.
pub const BUFFERS_MAX: usize = 1024;

/// Largest single request. Linux cuts one read at 2 GiB - 4 KiB; a request must stay below that
/// also after it was widened to whole blocks.
pub const REQUEST_BYTES_MAX: usize = 1 << 30;

/// Most reading threads of the fallback engine.
pub const THREADS_MAX: usize = 64;

/// How often one piece of a read is tried again after EINTR or EAGAIN before the error is
/// reported. A regular file that answers EAGAIN a thousand times in a row is broken.
pub const RETRIES_MAX: u32 = 1000;

/// How long a dropped ring waits for the kernel to finish reads into its buffers. After that the
/// buffers are leaked: a hung network disk must not hang the program, and memory the kernel may
/// still write to must not be used again.
#[cfg(target_os = "linux")]
pub const RING_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest single wait inside the kernel; longer ones are made of several.
#[cfg(target_os = "linux")]
pub const RING_WAIT_MAX: Duration = Duration::from_secs(3600);

/// Most entries in the ring at once. 128 pieces of 1 MiB keep any disk busy.
#[cfg(target_os = "linux")]
pub const RING_ENTRIES_MAX: usize = 128;

/// Places in the ring's table of registered files: two for each of a dozen shards and more.
#[cfg(target_os = "linux")]
pub const RING_FILES_MAX: usize = 64;

/// How long `read_ranges` waits for its consumer to give one buffer back before it reports that
/// all of them are held. Uploading 8 MiB takes milliseconds; a minute means nobody will.
pub const STARVED_TIMEOUT: Duration = Duration::from_secs(60);

/// How long `read_ranges` waits for any read to finish before it reports a stalled disk. Spun-down
/// disks need about 15 s and network disks retry for longer, so this only ends a real hang.
pub const STALLED_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest file name of a store: two 256-bit hashes in hex fit; every file system takes 255.
pub const NAME_BYTES_MAX: usize = 160;

/// Deepest path of a store, in names.
pub const PATH_NAMES_MAX: usize = 4;

/// Most entries of one directory listing, so that a directory filled by someone else cannot fill
/// our memory. Ten times what a store keeps (reliability plan: scans of 100,000 files).
pub const LIST_ENTRIES_MAX: usize = 1_000_000;
