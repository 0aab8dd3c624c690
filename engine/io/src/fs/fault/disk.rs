//! What the simulated machine sees before a crash, and what it knows to be durable.

use std::collections::BTreeMap;

use super::super::error::{FsError, FsErrorKind, Result};
use super::super::{Entry, EntryKind, Metadata, path};
use super::Fault;
use crate::random::Random;

/// Index of a node; nodes are never freed, so handles of removed files stay good.
pub(super) type NodeId = usize;

pub(super) const ROOT: NodeId = 0;

#[derive(Debug)]
pub(super) struct Disk {
    pub nodes: Vec<Node>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    faults_fired: u64,
    read_faults: Option<usize>,
    stopped: bool,
    random: Random,
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

/// A file only grows, so what is durable is a prefix.
#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub bytes: Vec<u8>,
    pub bytes_synced: usize,
    /// A failed sync has marked the pages clean: later syncs report success and save nothing.
    pub sync_lost: bool,
}

#[derive(Debug, Default)]
pub(super) struct DirectoryNode {
    pub entries: BTreeMap<String, NodeId>,
    /// Entries as of the last sync.
    pub synced: BTreeMap<String, NodeId>,
    /// Changes since then, in order.
    pub changes: Vec<NameChange>,
}

/// One change of a directory, which a crash keeps or loses as a whole.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Add { name: String, node: NodeId },
    Move { from: String, to: String, node: NodeId },
    Remove { name: String, node: NodeId },
}

impl NameChange {
    /// Applies the change, also where earlier ones were lost.
    pub fn apply(&self, entries: &mut BTreeMap<String, NodeId>) {
        match self {
            Self::Add { name, node } => {
                entries.insert(name.clone(), *node);
            }
            Self::Move { from, to, node } => {
                if entries.get(from) == Some(node) {
                    entries.remove(from);
                }
                entries.insert(to.clone(), *node);
            }
            Self::Remove { name, node } => {
                if entries.get(name) == Some(node) {
                    entries.remove(name);
                }
            }
        }
    }
}

/// How much of an operation happens.
enum Outcome {
    All,
    /// Fails with this kind; a write leaves a part behind.
    Fails(FsErrorKind),
    Short,
    Flipped,
}

/// What an operation can suffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Look,
    Read,
    /// Takes room on the disk.
    Grow,
    /// Changes names or syncs.
    Settle,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: vec![Node::Directory(DirectoryNode::default())],
            operations: 0,
            faults: BTreeMap::new(),
            faults_fired: 0,
            read_faults: None,
            stopped: false,
            random: Random(seed),
        }
    }

    pub fn operations(&self) -> u64 {
        self.operations
    }

    pub fn faults_fired(&self) -> u64 {
        self.faults_fired
    }

    pub fn fail_at(&mut self, number: u64, fault: Fault) {
        self.faults.insert(number, fault);
    }

    pub fn set_read_faults(&mut self, one_in: Option<usize>) {
        self.read_faults = one_in;
    }

    /// Counts an operation and decides what becomes of it.
    fn begin(&mut self, operation: &'static str, path: &str, class: Class) -> Result<Outcome> {
        if self.stopped {
            return Err(FsError::new(operation, path, FsErrorKind::Stopped));
        }
        self.operations += 1;
        let fault = self.faults.remove(&self.operations).or_else(|| self.chance(class));
        let outcome = match (fault, class) {
            (Some(Fault::Stop), _) => {
                self.stopped = true;
                Outcome::Fails(FsErrorKind::Stopped)
            }
            (Some(Fault::Io), _) => Outcome::Fails(FsErrorKind::Io),
            (Some(Fault::NoSpace), Class::Grow) => Outcome::Fails(FsErrorKind::NoSpace),
            (Some(Fault::ShortRead), Class::Read) => Outcome::Short,
            (Some(Fault::FlipBit), Class::Read) => Outcome::Flipped,
            _ => return Ok(Outcome::All),
        };
        self.faults_fired += 1;
        Ok(outcome)
    }

    /// A read fault by chance.
    fn chance(&mut self, class: Class) -> Option<Fault> {
        let one_in = self.read_faults.filter(|_| class == Class::Read)?;
        let faults = [Fault::Io, Fault::ShortRead, Fault::FlipBit];
        self.random.one_in(one_in).then(|| faults[self.random.below(faults.len())])
    }

    /// Runs an operation that happens as a whole or not at all. One that the machine stopped in
    /// has happened or not; one that failed otherwise has not.
    fn whole<T>(
        &mut self,
        operation: &'static str,
        path: &str,
        class: Class,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        match self.begin(operation, path, class)? {
            Outcome::Fails(kind) => {
                if kind == FsErrorKind::Stopped && self.random.one_in(2) {
                    // Nobody will hear of its result.
                    drop(act(self));
                }
                Err(FsError::new(operation, path, kind))
            }
            Outcome::All | Outcome::Short | Outcome::Flipped => act(self),
        }
    }

    fn directory(&self, operation: &'static str, directory: &str) -> Result<NodeId> {
        let mut node = ROOT;
        for name in directory.split('/').filter(|name| !name.is_empty()) {
            let entries = &self.entries(operation, directory, node)?.entries;
            node = *entries
                .get(name)
                .ok_or_else(|| FsError::new(operation, directory, FsErrorKind::NotFound))?;
        }
        self.entries(operation, directory, node)?;
        Ok(node)
    }

    fn entries(&self, operation: &'static str, path: &str, node: NodeId) -> Result<&DirectoryNode> {
        match &self.nodes[node] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(FsError::new(operation, path, FsErrorKind::WrongKind)),
        }
    }

    fn directory_node(&mut self, node: NodeId) -> &mut DirectoryNode {
        match &mut self.nodes[node] {
            Node::Directory(directory) => directory,
            Node::File(_) => unreachable!("looked up as a directory"),
        }
    }

    fn file_node(&mut self, node: NodeId) -> &mut FileNode {
        match &mut self.nodes[node] {
            Node::File(file) => file,
            Node::Directory(_) => unreachable!("opened as a file"),
        }
    }

    fn find(&self, operation: &'static str, path: &str) -> Result<NodeId> {
        let (directory, name) = path::split(operation, path)?;
        let directory = self.directory(operation, directory)?;
        let entries = &self.entries(operation, path, directory)?.entries;
        let found = entries.get(name).copied();
        found.ok_or_else(|| FsError::new(operation, path, FsErrorKind::NotFound))
    }

    fn find_file(&self, operation: &'static str, path: &str) -> Result<NodeId> {
        let node = self.find(operation, path)?;
        match self.nodes[node] {
            Node::File(_) => Ok(node),
            Node::Directory(_) => Err(FsError::new(operation, path, FsErrorKind::WrongKind)),
        }
    }

    fn change(&mut self, directory: NodeId, change: NameChange) {
        let directory = self.directory_node(directory);
        change.apply(&mut directory.entries);
        directory.changes.push(change);
    }

    fn add(&mut self, operation: &'static str, path: &str, new: Node) -> Result<NodeId> {
        let (directory, name) = path::split(operation, path)?;
        let directory = self.directory(operation, directory)?;
        if self.directory_node(directory).entries.contains_key(name) {
            return Err(FsError::new(operation, path, FsErrorKind::Exists));
        }
        let node = self.nodes.len();
        self.nodes.push(new);
        self.change(directory, NameChange::Add { name: name.to_owned(), node });
        Ok(node)
    }

    pub fn create(&mut self, path: &str) -> Result<NodeId> {
        path::split("create", path)?;
        self.whole("create", path, Class::Grow, |disk| {
            disk.add("create", path, Node::File(FileNode::default()))
        })
    }

    pub fn create_dir(&mut self, path: &str) -> Result<()> {
        path::split("create_dir", path)?;
        self.whole("create_dir", path, Class::Grow, |disk| {
            disk.add("create_dir", path, Node::Directory(DirectoryNode::default())).map(drop)
        })
    }

    pub fn open(&mut self, path: &str) -> Result<NodeId> {
        path::split("open", path)?;
        self.whole("open", path, Class::Look, |disk| disk.find_file("open", path))
    }

    pub fn metadata(&mut self, path: &str) -> Result<Metadata> {
        path::split("metadata", path)?;
        self.whole("metadata", path, Class::Look, |disk| {
            Ok(disk.node_metadata(disk.find("metadata", path)?))
        })
    }

    fn node_metadata(&self, node: NodeId) -> Metadata {
        match &self.nodes[node] {
            Node::File(file) => Metadata { kind: EntryKind::File, bytes: file.bytes.len() as u64 },
            Node::Directory(_) => Metadata { kind: EntryKind::Directory, bytes: 0 },
        }
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let (directory, from_name, to_name) = path::split_rename(from, to)?;
        self.whole("rename", from, Class::Grow, |disk| {
            let directory = disk.directory("rename", directory)?;
            let node = disk.find_file("rename", from)?;
            match disk.find_file("rename", to) {
                Ok(_) => {}
                Err(error) if error.kind == FsErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if from_name != to_name {
                let (from, to) = (from_name.to_owned(), to_name.to_owned());
                disk.change(directory, NameChange::Move { from, to, node });
            }
            Ok(())
        })
    }

    pub fn remove(&mut self, path: &str) -> Result<()> {
        let (directory, name) = path::split("remove", path)?;
        self.whole("remove", path, Class::Settle, |disk| {
            let node = disk.find_file("remove", path)?;
            let directory = disk.directory("remove", directory)?;
            disk.change(directory, NameChange::Remove { name: name.to_owned(), node });
            Ok(())
        })
    }

    pub fn list(&mut self, directory: &str) -> Result<Vec<Entry>> {
        path::check_directory("list", directory)?;
        self.whole("list", directory, Class::Look, |disk| {
            let node = disk.directory("list", directory)?;
            let entries = &disk.entries("list", directory, node)?.entries;
            let entry = |(name, node): (&String, &NodeId)| {
                let Metadata { kind, bytes } = disk.node_metadata(*node);
                Entry { name: name.clone(), kind, bytes }
            };
            Ok(entries.iter().map(entry).collect())
        })
    }

    pub fn sync_dir(&mut self, directory: &str) -> Result<()> {
        path::check_directory("sync_dir", directory)?;
        self.whole("sync_dir", directory, Class::Settle, |disk| {
            let node = disk.directory("sync_dir", directory)?;
            let directory = disk.directory_node(node);
            directory.synced = directory.entries.clone();
            directory.changes.clear();
            Ok(())
        })
    }

    pub fn bytes(&mut self, node: NodeId, path: &str) -> Result<u64> {
        if self.stopped {
            return Err(FsError::new("metadata", path, FsErrorKind::Stopped));
        }
        Ok(self.file_node(node).bytes.len() as u64)
    }

    pub fn append(&mut self, node: NodeId, path: &str, bytes: &[u8]) -> Result<()> {
        match self.begin("append", path, Class::Grow)? {
            Outcome::Fails(kind) => {
                let part = self.random.below(bytes.len() + 1);
                self.file_node(node).bytes.extend_from_slice(&bytes[..part]);
                Err(FsError::new("append", path, kind))
            }
            Outcome::All | Outcome::Short | Outcome::Flipped => {
                self.file_node(node).bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    pub fn sync(&mut self, node: NodeId, path: &str) -> Result<()> {
        let synced = self.whole("sync", path, Class::Settle, |disk| {
            let file = disk.file_node(node);
            if !file.sync_lost {
                file.bytes_synced = file.bytes.len();
            }
            Ok(())
        });
        if synced.as_ref().is_err_and(|error| error.kind == FsErrorKind::Io) {
            self.file_node(node).sync_lost = true;
        }
        synced
    }

    pub fn read(
        &mut self,
        node: NodeId,
        path: &str,
        offset: u64,
        target: &mut [u8],
    ) -> Result<usize> {
        let outcome = self.begin("read", path, Class::Read)?;
        let contents = &self.file_node(node).bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let mut bytes = target.len().min(contents.len() - start);
        target[..bytes].copy_from_slice(&contents[start..start + bytes]);
        match outcome {
            Outcome::Fails(kind) => return Err(FsError::new("read", path, kind)),
            Outcome::Short if bytes >= 2 => bytes = 1 + self.random.below(bytes - 1),
            Outcome::Flipped if bytes > 0 => {
                let bit = self.random.below(bytes * 8);
                target[bit / 8] ^= 1 << (bit % 8);
            }
            // Too small a read to go wrong in this way.
            Outcome::Short | Outcome::Flipped => self.faults_fired -= 1,
            Outcome::All => {}
        }
        Ok(bytes)
    }

    pub fn rot(&mut self, path: &str, bit: u64) -> Result<()> {
        let node = self.find_file("rot", path)?;
        let byte = usize::try_from(bit / 8).ok();
        let byte = byte.and_then(|byte| self.file_node(node).bytes.get_mut(byte));
        let byte = byte.ok_or_else(|| FsError::new("rot", path, FsErrorKind::EndOfFile))?;
        *byte ^= 1 << (bit % 8);
        Ok(())
    }
}
