//! The file system of the machine.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::error::{FsError, FsErrorKind, Result};
use super::{Entry, EntryKind, Fs, FsFile, Metadata, path};
use crate::limits::LIST_ENTRIES_MAX;

/// A directory of the real disk. Everything below it is reached from its open handle, one name at
/// a time and without following links, so nobody can lead the store elsewhere by renaming.
#[derive(Debug)]
pub struct RealFs {
    root: OwnedFd,
}

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIRECTORY_MODE: Mode = Mode::RWXU;
const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl RealFs {
    /// Opens `root`, which is created (mode 0700) if only its parent exists. Links that lead to the
    /// root are followed: they are the user's choice.
    ///
    /// # Errors
    /// [`FsErrorKind::Exposed`] if the directory belongs to someone else or others have any right
    /// to it; otherwise as the operating system says. `FsError::path` is `root`.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let name = root.display().to_string();
        let fail = |error: rustix::io::Errno| FsError::io("open the root", &name, error.into());
        match rustix::fs::mkdirat(CWD, root, DIRECTORY_MODE) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(fail(error)),
        }
        let flags = DIRECTORY_FLAGS.difference(OFlags::NOFOLLOW);
        let root = rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&root).map_err(fail)?;
        let others = Mode::RWXG.union(Mode::RWXO);
        let is_private = !Mode::from_raw_mode(stat.st_mode).intersects(others);
        if stat.st_uid != rustix::process::geteuid().as_raw() || !is_private {
            return Err(FsError::new("open the root", &name, FsErrorKind::Exposed));
        }
        Ok(Self { root })
    }

    /// Opens a directory below the root, one name at a time.
    fn directory(&self, operation: &'static str, directory: &str) -> Result<OwnedFd> {
        let fail = |error: io::Error| FsError::io(operation, directory, error);
        let mut handle = self.root.try_clone().map_err(fail)?;
        for name in directory.split('/').filter(|name| !name.is_empty()) {
            handle = rustix::fs::openat(&handle, name, DIRECTORY_FLAGS, Mode::empty())
                .map_err(|errno| fail(errno.into()))?;
        }
        Ok(handle)
    }

    fn open_existing(&self, operation: &'static str, path: &str, flags: OFlags) -> Result<File> {
        let (directory, name) = path::split(operation, path)?;
        let directory = self.directory(operation, directory)?;
        // Looked at before it is opened (a device may act when opened) and after (it may have been
        // replaced in between; the flags keep that open from blocking).
        stat(&directory, operation, path, name)?.need_file(operation, path)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&directory, name, flags, Mode::empty());
        let fail = |errno: rustix::io::Errno| FsError::io(operation, path, errno.into());
        let file = open.map_err(fail)?;
        Found::from(&rustix::fs::fstat(&file).map_err(fail)?).need_file(operation, path)?;
        Ok(File::from(file))
    }
}

/// What stands under a name.
#[derive(Clone, Copy)]
struct Found {
    kind: Option<EntryKind>,
    bytes: u64,
}

impl From<&Stat> for Found {
    fn from(stat: &Stat) -> Self {
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self { kind: Some(EntryKind::File), bytes },
            FileType::Directory => Self { kind: Some(EntryKind::Directory), bytes: 0 },
            _ => Self { kind: None, bytes: 0 },
        }
    }
}

impl Found {
    fn need_file(self, operation: &'static str, path: &str) -> Result<()> {
        match self.kind {
            Some(EntryKind::File) => Ok(()),
            _ => Err(FsError::new(operation, path, FsErrorKind::WrongKind)),
        }
    }
}

fn stat(directory: &OwnedFd, operation: &'static str, path: &str, name: &str) -> Result<Found> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map(|stat| Found::from(&stat)).map_err(|errno| FsError::io(operation, path, errno.into()))
}

impl Fs for RealFs {
    fn create(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let (directory, name) = path::split("create", path)?;
        let directory = self.directory("create", directory)?;
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, name, flags, FILE_MODE)
            .map_err(|errno| FsError::io("create", path, errno.into()))?;
        Ok(RealFile::boxed(File::from(file), path, true))
    }

    fn open_append(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let file = self.open_existing("open", path, OFlags::RDWR | OFlags::APPEND)?;
        Ok(RealFile::boxed(file, path, true))
    }

    fn open(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let file = self.open_existing("open", path, OFlags::RDONLY)?;
        Ok(RealFile::boxed(file, path, false))
    }

    fn metadata(&self, path: &str) -> Result<Metadata> {
        let (directory, name) = path::split("metadata", path)?;
        let found = stat(&self.directory("metadata", directory)?, "metadata", path, name)?;
        let kind = found.kind;
        let kind = kind.ok_or_else(|| FsError::new("metadata", path, FsErrorKind::WrongKind))?;
        Ok(Metadata { kind, bytes: found.bytes })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (directory, from_name, to_name) = path::split_rename(from, to)?;
        let directory = self.directory("rename", directory)?;
        stat(&directory, "rename", from, from_name)?.need_file("rename", from)?;
        match stat(&directory, "rename", to, to_name) {
            Ok(found) => found.need_file("rename", to)?,
            Err(error) if error.kind == FsErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        rustix::fs::renameat(&directory, from_name, &directory, to_name)
            .map_err(|errno| FsError::io("rename", from, errno.into()))
    }

    fn remove(&self, path: &str) -> Result<()> {
        let (directory, name) = path::split("remove", path)?;
        let directory = self.directory("remove", directory)?;
        stat(&directory, "remove", path, name)?.need_file("remove", path)?;
        rustix::fs::unlinkat(&directory, name, AtFlags::empty())
            .map_err(|errno| FsError::io("remove", path, errno.into()))
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        let (directory, name) = path::split("create_dir", path)?;
        let directory = self.directory("create_dir", directory)?;
        rustix::fs::mkdirat(&directory, name, DIRECTORY_MODE)
            .map_err(|errno| FsError::io("create_dir", path, errno.into()))
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>> {
        path::check_directory("list", directory)?;
        let handle = self.directory("list", directory)?;
        let fail = |errno: rustix::io::Errno| FsError::io("list", directory, errno.into());
        let mut entries = Vec::new();
        for entry in Dir::read_from(&handle).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !path::is_name(name) {
                continue;
            }
            if entries.len() == LIST_ENTRIES_MAX {
                return Err(FsError::new("list", directory, FsErrorKind::TooMany));
            }
            // Gone in between: as if it had been gone before.
            let Ok(found) = stat(&handle, "list", directory, name) else { continue };
            if let Some(kind) = found.kind {
                entries.push(Entry { name: name.to_owned(), kind, bytes: found.bytes });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn sync_dir(&self, directory: &str) -> Result<()> {
        path::check_directory("sync_dir", directory)?;
        let handle = self.directory("sync_dir", directory)?;
        // On macOS this is F_FULLFSYNC, which reaches the platters; plain fsync there does not.
        File::from(handle).sync_all().map_err(|error| FsError::io("sync_dir", directory, error))
    }
}

pub(super) struct RealFile {
    file: File,
    path: String,
    writable: bool,
    abandoned: bool,
}

impl RealFile {
    pub fn boxed(file: File, path: &str, writable: bool) -> Box<dyn FsFile> {
        Box::new(Self { file, path: path.to_owned(), writable, abandoned: false })
    }

    fn fail(&self, operation: &'static str, error: io::Error) -> FsError {
        FsError::io(operation, &self.path, error)
    }

    /// Runs a write or a sync; the first failure is the last.
    fn change(
        &mut self,
        operation: &'static str,
        change: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<()> {
        let refused = match (self.writable, self.abandoned) {
            (false, _) => Some(FsErrorKind::ReadOnly),
            (true, true) => Some(FsErrorKind::Abandoned),
            (true, false) => None,
        };
        if let Some(kind) = refused {
            return Err(FsError::new(operation, &self.path, kind));
        }
        let changed = change(&mut self.file);
        self.abandoned = changed.is_err();
        changed.map_err(|error| self.fail(operation, error))
    }
}

impl FsFile for RealFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn bytes(&self) -> Result<u64> {
        self.file.metadata().map(|m| m.len()).map_err(|error| self.fail("metadata", error))
    }

    fn read_at(&self, offset: u64, target: &mut [u8]) -> Result<usize> {
        if i64::try_from(offset).is_err() {
            // The system call would refuse it; no file is that long.
            return Ok(0);
        }
        loop {
            match self.file.read_at(target, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => return answer.map_err(|error| self.fail("read", error)),
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.change("append", |file| file.write_all(bytes))
    }

    fn sync(&mut self) -> Result<()> {
        self.change("sync", |file| file.sync_all())
    }
}
