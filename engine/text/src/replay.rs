//! Sampled blocks of calls, kept to be repeated byte for byte.
//!
//! What a model writes is rarely the exact text that the writer would make of the parsed calls
//! (white space, number spelling, key order). If later turns repeat the block as it was sampled,
//! the prompt stays an extension of the tokens already computed.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{HashMap, VecDeque};

use crate::chat::{Prompt, ToolCall};
use crate::json;
use crate::limits::{REPLAY_BLOCKS_MAX, REPLAY_BYTES_MAX};
use crate::piece::Piece;

/// The blocks that a model wrote, found by the ids of their calls. Bounded: the oldest blocks go
/// first; a block that is gone is written anew.
#[derive(Debug, Default)]
pub struct Replay {
    blocks: HashMap<u64, Block>,
    /// The block of each call id.
    by_id: HashMap<String, u64>,
    /// Numbers of the blocks, oldest first.
    order: VecDeque<u64>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Block {
    calls: Vec<ToolCall>,
    text: Prompt,
    bytes: usize,
}

impl Replay {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a block: its text with control tokens, the separator before it included, and the
    /// calls read from it with the ids that the client was given. Calls without id are not found
    /// again.
    pub fn remember(&mut self, text: Prompt, calls: Vec<ToolCall>) {
        let bytes = text.pieces().iter().map(piece_bytes).sum::<usize>()
            + calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>();
        let ids: Vec<&String> = calls.iter().filter_map(|call| call.id.as_ref()).collect();
        if ids.len() < calls.len() || ids.is_empty() || bytes > REPLAY_BYTES_MAX {
            return;
        }
        let number = self.next;
        self.next += 1;
        for id in ids {
            self.by_id.insert(id.clone(), number);
        }
        self.bytes += bytes;
        self.blocks.insert(number, Block { calls, text, bytes });
        self.order.push_back(number);
        while self.order.len() > REPLAY_BLOCKS_MAX || self.bytes > REPLAY_BYTES_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(number) = self.order.pop_front() else { return };
        let Some(block) = self.blocks.remove(&number) else { return };
        self.bytes -= block.bytes;
        for id in block.calls.iter().filter_map(|call| call.id.as_ref()) {
            if self.by_id.get(id) == Some(&number) {
                self.by_id.remove(id);
            }
        }
    }

    /// How many blocks are remembered.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether no block is remembered.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The block that holds exactly these calls, in this order, with the same meaning: a client may
    /// have written the arguments anew, but not changed them.
    pub(crate) fn find(&self, calls: &[ToolCall]) -> Option<&Prompt> {
        let number = self.by_id.get(calls.first()?.id.as_ref()?)?;
        let block = self.blocks.get(number)?;
        let same = block.calls.len() == calls.len()
            && block.calls.iter().zip(calls).all(|(ours, theirs)| same_call(ours, theirs));
        same.then_some(&block.text)
    }
}

fn same_call(ours: &ToolCall, theirs: &ToolCall) -> bool {
    if ours.id != theirs.id || ours.name != theirs.name {
        return false;
    }
    if ours.arguments == theirs.arguments {
        return true;
    }
    match (json::parse(&ours.arguments), json::parse(&theirs.arguments)) {
        (Ok(ours), Ok(theirs)) => ours.same_meaning(&theirs),
        _ => false,
    }
}

fn piece_bytes(piece: &Piece<'_>) -> usize {
    match piece {
        Piece::Special(special) => special.literal().len(),
        Piece::Text(text) => text.len(),
    }
}
