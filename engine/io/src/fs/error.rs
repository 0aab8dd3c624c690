//! The one error type of [`Fs`](super::Fs).

use std::{fmt, io};

pub(super) type Result<T> = std::result::Result<T, FsError>;

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
pub struct FsError {
    /// What was tried: `create`, `append`, `rename` ...
    pub operation: &'static str,
    /// On which path, relative to the root.
    pub path: String,
    /// What went wrong.
    pub kind: FsErrorKind,
    /// The operating system's reason, where there is one.
    pub source: Option<io::Error>,
}

/// What went wrong, as far as a store acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FsErrorKind {
    /// No such file or directory.
    NotFound,
    /// The name is taken.
    Exists,
    /// A directory where a file is needed, the reverse, or neither.
    WrongKind,
    /// The path is not one this layer uses.
    BadPath,
    /// The disk or the quota is full.
    NoSpace,
    /// The handle was opened for reading.
    ReadOnly,
    /// The file ended inside the wanted range.
    EndOfFile,
    /// An earlier write or sync through this handle failed.
    Abandoned,
    /// More entries than a listing may have.
    TooMany,
    /// The root directory is open to other users.
    Exposed,
    /// The simulated machine has stopped.
    Stopped,
    /// Anything else the operating system reports.
    Io,
}

impl FsErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "no such file or directory",
            Self::Exists => "the name is taken",
            Self::WrongKind => "this is not the kind of file the operation needs",
            Self::BadPath => "the path is not valid here",
            Self::NoSpace => "no space left on the disk",
            Self::ReadOnly => "the file was opened for reading only",
            Self::EndOfFile => "the file ends before the wanted bytes",
            Self::Abandoned => "an earlier write or sync failed, so the file was abandoned",
            Self::TooMany => "the directory has too many entries",
            Self::Exposed => {
                "the directory belongs to or is open to other users; make it yours and private \
                 (chmod 700)"
            }
            Self::Stopped => "the simulated machine has stopped",
            Self::Io => "input/output error",
        }
    }
}

impl FsError {
    pub(super) fn new(operation: &'static str, path: &str, kind: FsErrorKind) -> Self {
        Self { operation, path: path.to_owned(), kind, source: None }
    }

    pub(super) fn io(operation: &'static str, path: &str, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => FsErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => FsErrorKind::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FsErrorKind::NoSpace,
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => FsErrorKind::WrongKind,
            // ELOOP of an open that must not follow links.
            _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                FsErrorKind::WrongKind
            }
            _ => FsErrorKind::Io,
        };
        Self { operation, path: path.to_owned(), kind, source: Some(source) }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, path, kind, source } = self;
        let path = if path.is_empty() { "the root directory" } else { path };
        write!(f, "{operation} {path}: {}", kind.text())?;
        source.as_ref().map_or(Ok(()), |source| write!(f, " ({source})"))
    }
}
