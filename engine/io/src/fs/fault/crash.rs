//! What a power cut leaves.

use std::collections::BTreeMap;

use super::disk::{DirectoryNode, Disk, FileNode, Node, NodeId, ROOT};
use crate::random::Random;

/// Unit in which the simulated kernel writes dirty memory back.
const PAGE_BYTES: usize = 4096;

/// One of the disks that may be found after the power was cut. On it everything is durable.
pub(super) fn after_crash(before: &Disk, seed: u64) -> Disk {
    let mut random = Random(seed);
    let mut after = Disk::new(random.next());
    after.nodes.clear();
    let mut moved = BTreeMap::new();
    copy(before, ROOT, &mut after, &mut moved, &mut random);
    after
}

/// Copies what survives of a node and of everything below it. A node that survives under two names
/// (lost renames can leave that) stays one node.
fn copy(
    before: &Disk,
    node: NodeId,
    after: &mut Disk,
    moved: &mut BTreeMap<NodeId, NodeId>,
    random: &mut Random,
) -> NodeId {
    if let Some(&copied) = moved.get(&node) {
        return copied;
    }
    let copied = after.nodes.len();
    moved.insert(node, copied);
    match &before.nodes[node] {
        Node::File(file) => {
            let bytes = contents(file, random);
            let bytes_synced = bytes.len();
            after.nodes.push(Node::File(FileNode { bytes, bytes_synced, sync_lost: false }));
        }
        Node::Directory(directory) => {
            after.nodes.push(Node::Directory(DirectoryNode::default()));
            let mut entries = BTreeMap::new();
            for (name, child) in names(directory, random) {
                entries.insert(name, copy(before, child, after, moved, random));
            }
            let synced = entries.clone();
            after.nodes[copied] =
                Node::Directory(DirectoryNode { entries, synced, changes: Vec::new() });
        }
    }
    copied
}

/// The names of a directory: as of its last sync, or with all later changes, or with some of them.
fn names(directory: &DirectoryNode, random: &mut Random) -> BTreeMap<String, NodeId> {
    let shape = random.below(3);
    let mut names = directory.synced.clone();
    for change in &directory.changes {
        let kept = match shape {
            0 => false,
            1 => true,
            _ => random.one_in(2),
        };
        if kept {
            change.apply(&mut names);
        }
    }
    names
}

/// The contents of a file: its synced part, and of the rest
/// nothing, all, a random subset of its pages, all but a torn last page, or zeros.
fn contents(file: &FileNode, random: &mut Random) -> Vec<u8> {
    let (synced, end) = (file.bytes_synced, file.bytes.len());
    let mut bytes = file.bytes.clone();
    match random.below(5) {
        0 => bytes.truncate(synced),
        1 => {}
        2 => {
            for page in (synced / PAGE_BYTES)..end.div_ceil(PAGE_BYTES) {
                if random.one_in(2) {
                    let start = synced.max(page * PAGE_BYTES);
                    bytes[start..end.min((page + 1) * PAGE_BYTES)].fill(0);
                }
            }
        }
        3 => {
            let last_page = end.saturating_sub(1) / PAGE_BYTES * PAGE_BYTES;
            let start = synced.max(last_page);
            let torn = start + random.below(end - start);
            bytes[torn..].fill(0);
            if random.one_in(2) {
                bytes.truncate(torn);
            }
        }
        _ => bytes[synced..].fill(0),
    }
    bytes
}
