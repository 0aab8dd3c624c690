//! An open regular file, as the engines need it.

use std::fs::FileType;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::ReadError;
use super::piece::{Next, Piece};

/// How a file's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Past the page cache (`O_DIRECT`, `F_NOCACHE`) if the file system allows it: bytes that are
    /// used once should not push everything else out of memory.
    Direct,
    /// Through the page cache: right for small files and for files that are read again soon.
    Cached,
}

/// A regular file, open for reading, with its length at the time of opening.
#[derive(Debug)]
pub struct ReadFile {
    path: PathBuf,
    cached: OwnedFd,
    direct: Option<OwnedFd>,
    direct_works: AtomicBool,
    bytes: u64,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for the ring's file table"))]
    id: u64,
}

impl ReadFile {
    /// Opens a regular file; symbolic links are followed. Never blocks on a FIFO or a device:
    /// anything but a regular file is refused before it is opened, and again after.
    ///
    /// # Errors
    /// [`ReadError::Open`] with the system's reason, [`ReadError::NotRegular`].
    pub fn open(path: impl AsRef<Path>, caching: Caching) -> Result<Arc<Self>, ReadError> {
        let path = path.as_ref().to_path_buf();
        match Self::open_parts(&path, caching) {
            Ok(Ok((cached, direct, bytes))) => {
                static NEXT_ID: AtomicU64 = AtomicU64::new(0);
                Ok(Arc::new(Self {
                    path,
                    cached,
                    direct_works: AtomicBool::new(direct.is_some()),
                    direct,
                    bytes,
                    id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                }))
            }
            Ok(Err(kind)) => Err(ReadError::NotRegular { path, kind }),
            Err(source) => Err(ReadError::Open { path, source }),
        }
    }

    #[allow(clippy::type_complexity, reason = "one private call")]
    fn open_parts(
        path: &Path,
        caching: Caching,
    ) -> io::Result<Result<(OwnedFd, Option<OwnedFd>, u64), &'static str>> {
        // Opening some devices has side effects, so look first; look again at what was opened,
        // because the name may have been replaced in between.
        if let Some(kind) = kind_if_not_regular(std::fs::metadata(path)?.file_type()) {
            return Ok(Err(kind));
        }
        let cached = open_nonblocking(path, OFlags::empty())?;
        let metadata = std::fs::File::from(cached.try_clone()?).metadata()?;
        if let Some(kind) = kind_if_not_regular(metadata.file_type()) {
            return Ok(Err(kind));
        }
        let direct = match caching {
            Caching::Direct => open_direct(path, &metadata),
            Caching::Cached => None,
        };
        Ok(Ok((cached, direct, metadata.len())))
    }

    /// The path as given to [`ReadFile::open`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when the file was opened.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether reads go past the page cache. Can turn false during use: some file systems accept
    /// the flag and then refuse the reads.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct_works.load(Ordering::Relaxed)
    }

    /// Reads exactly `target.len()` bytes at `offset` on the calling thread, through the page
    /// cache. For headers and other small things.
    ///
    /// # Errors
    /// [`ReadError::PastEnd`], [`ReadError::Shrunk`], [`ReadError::Read`].
    pub fn read_exact_at(&self, offset: u64, target: &mut [u8]) -> Result<(), ReadError> {
        self.check_range(offset, target.len())?;
        let mut piece = Piece::cached(offset, target.len());
        while !piece.is_complete() {
            let read =
                rustix::io::pread(&self.cached, &mut target[piece.rest()], piece.file_offset());
            match piece.advance(read) {
                Next::Complete | Next::Again | Next::NotDirect => {}
                Next::Failed(errno) => return Err(self.failed(piece.file_offset(), errno)),
                Next::EndOfFile => return Err(self.shrunk(offset, piece.file_offset())),
            }
        }
        Ok(())
    }

    /// Number that no other `ReadFile` of this process ever had.
    #[cfg(target_os = "linux")]
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The descriptor to read from: the direct one if wanted and there is one that works.
    pub(super) fn descriptor(&self, cached: bool) -> BorrowedFd<'_> {
        match &self.direct {
            Some(direct) if !cached => direct.as_fd(),
            _ => self.cached.as_fd(),
        }
    }

    pub(super) fn stop_direct(&self) {
        self.direct_works.store(false, Ordering::Relaxed);
    }

    pub(super) fn check_range(&self, offset: u64, bytes: usize) -> Result<(), ReadError> {
        let end = u64::try_from(bytes).ok().and_then(|bytes| offset.checked_add(bytes));
        if end.is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        Err(ReadError::PastEnd { path: self.path.clone(), offset, bytes, file_bytes: self.bytes })
    }

    pub(super) fn failed(&self, offset: u64, errno: Errno) -> ReadError {
        ReadError::Read { path: self.path.clone(), offset, source: errno.into() }
    }

    pub(super) fn shrunk(&self, offset: u64, end: u64) -> ReadError {
        ReadError::Shrunk { path: self.path.clone(), offset, end, file_bytes: self.bytes }
    }

    pub(super) fn cancelled(&self, offset: u64) -> ReadError {
        ReadError::Cancelled { path: self.path.clone(), offset }
    }
}

fn kind_if_not_regular(file_type: FileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("directory")
    } else if file_type.is_fifo() {
        Some("named pipe")
    } else if file_type.is_socket() {
        Some("socket")
    } else if file_type.is_char_device() {
        Some("character device")
    } else if file_type.is_block_device() {
        Some("block device")
    } else {
        Some("special file")
    }
}

/// Opens without waiting for the other end of a pipe; reads of a regular file are not affected,
/// but the flag is taken off again so that no engine has to know.
fn open_nonblocking(path: &Path, extra: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | extra;
    let file = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
    rustix::fs::fcntl_setfl(&file, extra)?;
    Ok(file)
}

/// A second descriptor of the same file that bypasses the page cache; `None` if the file system
/// cannot or if the name meanwhile leads to another file.
fn open_direct(path: &Path, expected: &std::fs::Metadata) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::DIRECT;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::empty();
    let direct = open_nonblocking(path, flags).ok()?;
    let found = std::fs::File::from(direct.try_clone().ok()?).metadata().ok()?;
    if (found.dev(), found.ino()) != (expected.dev(), expected.ino()) {
        return None;
    }
    #[cfg(target_vendor = "apple")]
    rustix::fs::fcntl_nocache(&direct, true).ok()?;
    Some(direct)
}
