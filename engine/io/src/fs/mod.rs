//! The few file operations a crash-safe store is built from.
//!
//! [`Fs`] is a directory tree under one root. Paths are relative, made by the program and never by
//! a user: up to four names of lower-case letters, digits, `.`, `_` and `-`, joined by `/`. Symbolic
//! links are never followed. Files only grow: a record is written once, to a temporary name, then
//! synced, renamed and its directory synced.
//!
//! [`RealFs`] is the disk. [`FaultFs`] is a simulated disk that loses exactly what a real one may
//! lose; what survives it, survives a power cut.

mod error;
mod fault;
mod path;
mod real;

#[cfg(test)]
mod tests;

pub use error::{FsError, FsErrorKind};
pub use fault::{Fault, FaultFs};
pub use real::RealFs;

use error::Result;

/// A directory tree. Every operation may block; none belongs on the token path.
pub trait Fs: Send + Sync {
    /// Creates an empty file (mode 0600) and opens it for appending.
    ///
    /// # Errors
    /// [`FsErrorKind::Exists`] if the name is taken, [`FsErrorKind::NotFound`] without its
    /// directory.
    fn create(&self, path: &str) -> Result<Box<dyn FsFile>>;

    /// Opens an existing file for appending.
    ///
    /// # Errors
    /// [`FsErrorKind::NotFound`]; [`FsErrorKind::WrongKind`] for anything but a regular file.
    fn open_append(&self, path: &str) -> Result<Box<dyn FsFile>>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// As [`Fs::open_append`].
    fn open(&self, path: &str) -> Result<Box<dyn FsFile>>;

    /// Kind and length of a file or directory.
    ///
    /// # Errors
    /// As [`Fs::open_append`], except that directories are fine.
    fn metadata(&self, path: &str) -> Result<Metadata>;

    /// Gives a file another name in the same directory, atomically; an existing file of that name
    /// is replaced. Not durable before [`Fs::sync_dir`].
    ///
    /// # Errors
    /// [`FsErrorKind::NotFound`]; [`FsErrorKind::WrongKind`] if either is a directory;
    /// [`FsErrorKind::BadPath`] for names in different directories.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. Open handles keep working. Not durable before [`Fs::sync_dir`].
    ///
    /// # Errors
    /// [`FsErrorKind::NotFound`]; [`FsErrorKind::WrongKind`] for a directory.
    fn remove(&self, path: &str) -> Result<()>;

    /// Creates a directory (mode 0700). Durable after [`Fs::sync_dir`] of its *parent*.
    ///
    /// # Errors
    /// [`FsErrorKind::Exists`], [`FsErrorKind::NotFound`] without its parent.
    fn create_dir(&self, path: &str) -> Result<()>;

    /// Files and directories in a directory, by name; `""` is the root. What could not have been
    /// made through this trait (other names, links, devices) is left out.
    ///
    /// # Errors
    /// [`FsErrorKind::NotFound`]; [`FsErrorKind::WrongKind`] for a file;
    /// [`FsErrorKind::TooMany`] beyond a million entries.
    fn list(&self, directory: &str) -> Result<Vec<Entry>>;

    /// Makes the names in a directory durable: what was created, renamed and removed in it.
    ///
    /// # Errors
    /// As [`Fs::list`].
    fn sync_dir(&self, directory: &str) -> Result<()>;
}

/// An open file. It stays the same file when it is renamed or removed.
pub trait FsFile: Send {
    /// The path it was opened under, for errors.
    fn path(&self) -> &str;

    /// Current length in bytes.
    ///
    /// # Errors
    /// [`FsErrorKind::Io`].
    fn bytes(&self) -> Result<u64>;

    /// Reads at most `target.len()` bytes at `offset`; fewer at the end of the file, and at other
    /// times if the disk feels like it. Zero means that `offset` is at or past the end.
    ///
    /// # Errors
    /// [`FsErrorKind::Io`].
    fn read_at(&self, offset: u64, target: &mut [u8]) -> Result<usize>;

    /// Writes all bytes at the end of the file. After an error an unknown part of them is in the
    /// file, and the handle refuses further writes and syncs: abandon the file.
    ///
    /// # Errors
    /// [`FsErrorKind::NoSpace`], [`FsErrorKind::Io`], [`FsErrorKind::ReadOnly`],
    /// [`FsErrorKind::Abandoned`].
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the contents durable (not the name: that is [`Fs::sync_dir`]). A failed sync must not
    /// be tried again, because the kernel may have dropped the unwritten pages and would report
    /// success; the handle refuses to.
    ///
    /// # Errors
    /// As [`FsFile::append`].
    fn sync(&mut self) -> Result<()>;

    /// Fills `target` from `offset`, over short reads.
    ///
    /// # Errors
    /// [`FsErrorKind::EndOfFile`] if the file ends before, [`FsErrorKind::Io`].
    fn read_exact_at(&self, mut offset: u64, mut target: &mut [u8]) -> Result<()> {
        while !target.is_empty() {
            let bytes = self.read_at(offset, target)?;
            if bytes == 0 {
                return Err(FsError::new("read", self.path(), FsErrorKind::EndOfFile));
            }
            (_, target) = target.split_at_mut(bytes.min(target.len()));
            offset = offset.saturating_add(bytes as u64);
        }
        Ok(())
    }
}

/// What [`Fs::metadata`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// File or directory.
    pub kind: EntryKind,
    /// Length of a file in bytes; 0 for a directory.
    pub bytes: u64,
}

/// Kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One entry of [`Fs::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last name of its path.
    pub name: String,
    /// File or directory.
    pub kind: EntryKind,
    /// Length of a file in bytes; 0 for a directory.
    pub bytes: u64,
}
