//! A simulated disk that crashes, fails and lies on command, replayable from one number.
//!
//! The crash model is the one of the reliability plan. Until a file is synced, what was appended
//! since its last sync may be lost, kept, kept in part or replaced by zeros; until a directory is
//! synced, any of the later changes of its names may be lost. A failed sync is final: the pages
//! count as clean afterwards, so that a later sync through another handle reports success and
//! saves nothing (Linux behaves so; Rebello et al., USENIX ATC 2020).

mod crash;
mod disk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::disk::{Disk, NodeId};
use super::error::{FsError, FsErrorKind, Result};
use super::{Entry, Fs, FsFile, Metadata};

/// The simulated disk. Clones share the same disk; [`FaultFs::crash`] makes another one.
#[derive(Clone, Debug)]
pub struct FaultFs {
    disk: Arc<Mutex<Disk>>,
}

/// What happens at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine stops. The operation may have happened, or a part of it; it and all later ones
    /// give [`FsErrorKind::Stopped`].
    Stop,
    /// `create`, `create_dir`, `rename` and `append` find the disk full; an append has written a
    /// part. Nothing happens to other operations.
    NoSpace,
    /// Any operation fails with [`FsErrorKind::Io`]; an append has written a part.
    Io,
    /// A read of two bytes or more returns fewer than it could. Nothing happens to others.
    ShortRead,
    /// One bit of what a read returns is wrong; the disk itself is not changed.
    FlipBit,
}

impl FaultFs {
    /// An empty disk. `seed` decides how large a part of a failing operation happens, and where
    /// reads go wrong.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_disk(Disk::new(seed))
    }

    fn from_disk(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // A test that panicked elsewhere should fail with its own message.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations so far, failed ones included. Every call through [`Fs`] and [`FsFile`] is one,
    /// except [`FsFile::bytes`], [`FsFile::path`] and calls that are refused for their arguments
    /// alone (a bad path, a handle that cannot write).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations()
    }

    /// Lets the `number`-th operation, counted like [`FaultFs::operations`] from 1, go wrong.
    pub fn fail_at(&self, number: u64, fault: Fault) {
        self.disk().fail_at(number, fault);
    }

    /// Lets about one in `n` reads go wrong by chance: an error, a short read or a flipped bit.
    /// `None` ends it.
    pub fn set_read_faults(&self, one_in: Option<usize>) {
        self.disk().set_read_faults(one_in);
    }

    /// How many faults have had an effect.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.disk().faults_fired()
    }

    /// Cuts the power and gives the disk as found after the restart: one of the states that the
    /// crash model allows, chosen by `seed`. This disk is not changed, so many outcomes of the same
    /// moment can be looked at.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        Self::from_disk(crash::after_crash(&self.disk(), seed))
    }

    /// Flips bit `bit` (counted from the lowest bit of the first byte) of a file on the disk.
    ///
    /// # Errors
    /// As [`Fs::open`], and [`FsErrorKind::EndOfFile`] past the end.
    pub fn rot(&self, path: &str, bit: u64) -> Result<()> {
        self.disk().rot(path, bit)
    }

    fn file(&self, node: NodeId, path: &str, writable: bool) -> Box<dyn FsFile> {
        let path = path.to_owned();
        Box::new(FaultFile { fs: self.clone(), node, path, writable, abandoned: false })
    }
}

impl Fs for FaultFs {
    fn create(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let node = self.disk().create(path)?;
        Ok(self.file(node, path, true))
    }

    fn open_append(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let node = self.disk().open(path)?;
        Ok(self.file(node, path, true))
    }

    fn open(&self, path: &str) -> Result<Box<dyn FsFile>> {
        let node = self.disk().open(path)?;
        Ok(self.file(node, path, false))
    }

    fn metadata(&self, path: &str) -> Result<Metadata> {
        self.disk().metadata(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk().rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.disk().remove(path)
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        self.disk().create_dir(path)
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>> {
        self.disk().list(directory)
    }

    fn sync_dir(&self, directory: &str) -> Result<()> {
        self.disk().sync_dir(directory)
    }
}

struct FaultFile {
    fs: FaultFs,
    node: NodeId,
    path: String,
    writable: bool,
    abandoned: bool,
}

impl FaultFile {
    /// Runs a write or a sync; the first failure is the last.
    fn change(
        &mut self,
        operation: &'static str,
        change: impl FnOnce(&mut Disk, NodeId, &str) -> Result<()>,
    ) -> Result<()> {
        if !self.writable {
            return Err(FsError::new(operation, &self.path, FsErrorKind::ReadOnly));
        }
        if self.abandoned {
            return Err(FsError::new(operation, &self.path, FsErrorKind::Abandoned));
        }
        let changed = change(&mut self.fs.disk(), self.node, &self.path);
        self.abandoned = changed.is_err();
        changed
    }
}

impl FsFile for FaultFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn bytes(&self) -> Result<u64> {
        self.fs.disk().bytes(self.node, &self.path)
    }

    fn read_at(&self, offset: u64, target: &mut [u8]) -> Result<usize> {
        self.fs.disk().read(self.node, &self.path, offset, target)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.change("append", |disk, node, path| disk.append(node, path, bytes))
    }

    fn sync(&mut self) -> Result<()> {
        self.change("sync", |disk, node, path| disk.sync(node, path))
    }
}
