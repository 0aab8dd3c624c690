//! Byte-pair merging: of all adjacent pairs of a piece, the one that comes first in the merge list
//! is joined, the leftmost first among equals, until no pair is in the list.
//!
//! Three procedures give this one result; which one runs depends on the length of the piece only:
//!
//! * up to [`SCAN_SYMBOLS_MAX`] symbols (nearly every word): look for the lowest rank again and
//!   again. Quadratic, but on a few cache lines.
//! * up to [`HEAP_SYMBOLS_MAX`]: a heap of pairs. O(n log n), small enough to stay in cache.
//! * longer: one list of positions for each rank, emptied in order of rank. Linear: every position
//!   enters a list at most once for each merge. It needs a merge list in *learning order*, where no
//!   merge uses a token that only a later one makes; for other lists the heap does all the work.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Longest piece that is merged by scanning.
pub(crate) const SCAN_SYMBOLS_MAX: usize = 32;

/// Longest piece that is merged with a heap, if the lists are possible. Their set-up touches one
/// entry for each merge of the vocabulary (3 MB), paid once for each call to the tokenizer.
pub(crate) const HEAP_SYMBOLS_MAX: usize = 4096;

/// Stands for "no symbol", "no pair" and "no neighbour": ids, ranks and positions stay below it.
const NONE: u32 = u32::MAX;

/// What joining a pair gives.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Place in the merge list.
    rank: u32,
    /// The token that the pair becomes.
    token: u32,
}

/// The merge list, indexed by pair.
#[derive(Debug)]
pub(crate) struct Merges {
    pairs: HashMap<u64, Merge, PairHash>,
    /// The pairs in order of rank.
    ranked: Vec<(u32, u32)>,
    /// Whether no merge uses a token that only a later one makes.
    learning_order: bool,
}

/// Working memory, kept between the pieces of one text.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    scan: Vec<ScanSymbol>,
    chain: Chain,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    /// Positions of the left symbols of pairs, by rank.
    lists: Vec<Vec<u32>>,
    /// The ranks whose list is not empty.
    ranks: BinaryHeap<Reverse<u32>>,
}

#[derive(Debug, Clone, Copy)]
struct ScanSymbol {
    token: u32,
    /// Rank and result of joining this symbol with the next one.
    rank: u32,
    joined: u32,
}

impl Merges {
    /// Builds the index from `(left, right, result)` token ids in order of rank. Of a repeated
    /// pair the last entry counts, as in the official implementation.
    pub(crate) fn new(list: &[(u32, u32, u32)]) -> Self {
        let mut pairs = HashMap::with_capacity_and_hasher(list.len(), PairHash::new());
        let mut made_at: HashMap<u32, usize, PairHash> =
            HashMap::with_capacity_and_hasher(list.len(), PairHash::new());
        for (rank, &(left, right, token)) in list.iter().enumerate() {
            pairs.insert(key(left, right), Merge { rank: rank as u32, token });
            made_at.insert(token, rank);
        }
        // The last merge that makes a token must come before every merge that uses it.
        let before =
            |token: &u32, rank: usize| made_at.get(token).is_none_or(|made| *made < rank);
        let learning_order = list
            .iter()
            .enumerate()
            .all(|(rank, (left, right, _))| before(left, rank) && before(right, rank));
        let ranked = list.iter().map(|&(left, right, _)| (left, right)).collect();
        Merges { pairs, ranked, learning_order }
    }

    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        self.pairs.get(&key(left, right)).copied()
    }

    /// Merges a piece, given as one token for each byte, and appends the result.
    pub(crate) fn merge(
        &self,
        symbols: impl ExactSizeIterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let count = symbols.len();
        if count <= SCAN_SYMBOLS_MAX {
            self.merge_by_scan(symbols, scratch, out);
        } else if count <= HEAP_SYMBOLS_MAX || !self.learning_order {
            self.merge_by_heap(symbols, scratch, out);
        } else {
            self.merge_by_rank(symbols, scratch, out);
        }
    }

    pub(crate) fn merge_by_scan(
        &self,
        symbols: impl Iterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let scan = &mut scratch.scan;
        scan.clear();
        scan.extend(symbols.map(|token| ScanSymbol { token, rank: NONE, joined: NONE }));
        for left in 0..scan.len() {
            self.look_up_scan(scan, left);
        }
        loop {
            // `min_by_key` returns the first, that is leftmost, of equals.
            let lowest = scan.iter().enumerate().min_by_key(|(_, symbol)| symbol.rank);
            let Some((left, symbol)) = lowest.filter(|(_, symbol)| symbol.rank != NONE) else {
                break;
            };
            scan[left].token = symbol.joined;
            scan.remove(left + 1);
            self.look_up_scan(scan, left);
            if left > 0 {
                self.look_up_scan(scan, left - 1);
            }
        }
        out.extend(scan.iter().map(|symbol| symbol.token));
    }

    fn look_up_scan(&self, scan: &mut [ScanSymbol], left: usize) {
        let next = scan.get(left + 1).map(|next| next.token);
        let merge = next.and_then(|next| self.get(scan[left].token, next));
        scan[left].rank = merge.map_or(NONE, |merge| merge.rank);
        scan[left].joined = merge.map_or(NONE, |merge| merge.token);
    }

    pub(crate) fn merge_by_heap(
        &self,
        symbols: impl ExactSizeIterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let Scratch { chain, heap, .. } = scratch;
        chain.fill(symbols);
        heap.clear();
        heap.extend((0..chain.tokens.len() as u32).filter_map(|left| {
            let (token, next) = chain.pair(left)?;
            Some(Reverse((self.get(token, next)?.rank, left)))
        }));
        while let Some(Reverse((rank, left))) = heap.pop() {
            // A pair that has changed since it was entered has another rank, or none.
            let Some(merge) = chain.pair(left).and_then(|(token, next)| self.get(token, next))
            else {
                continue;
            };
            if merge.rank != rank {
                continue;
            }
            chain.join(left, merge.token);
            for left in [chain.previous[left as usize], left] {
                if let Some(merge) = chain.pair(left).and_then(|(a, b)| self.get(a, b)) {
                    heap.push(Reverse((merge.rank, left)));
                }
            }
        }
        chain.emit(out);
    }

    pub(crate) fn merge_by_rank(
        &self,
        symbols: impl ExactSizeIterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let Scratch { chain, lists, ranks, .. } = scratch;
        chain.fill(symbols);
        lists.resize_with(self.ranked.len(), Vec::new);
        let enter = |lists: &mut Vec<Vec<u32>>, ranks: &mut BinaryHeap<_>, chain: &Chain, left| {
            if let Some(merge) = chain.pair(left).and_then(|(a, b)| self.get(a, b)) {
                let list = &mut lists[merge.rank as usize];
                if list.is_empty() {
                    ranks.push(Reverse(merge.rank));
                }
                list.push(left);
            }
        };
        for left in 0..chain.tokens.len() as u32 {
            enter(lists, ranks, chain, left);
        }
        while let Some(Reverse(rank)) = ranks.pop() {
            let mut list = std::mem::take(&mut lists[rank as usize]);
            let pair = self.ranked[rank as usize];
            if pair.0 == pair.1 {
                // Only pairs of equal symbols overlap one another, so only here order matters.
                // The list is a few ascending runs, which the sort takes in linear time.
                list.sort();
            }
            for left in list {
                if chain.pair(left) != Some(pair) {
                    continue;
                }
                let Some(merge) = self.get(pair.0, pair.1) else { continue };
                chain.join(left, merge.token);
                enter(lists, ranks, chain, chain.previous[left as usize]);
                enter(lists, ranks, chain, left);
            }
        }
        chain.emit(out);
    }
}

/// The symbols of a piece as a doubly linked list. A symbol stands at the position of its first
/// byte; the positions of bytes that joined another symbol hold no token.
#[derive(Debug, Default)]
struct Chain {
    tokens: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Chain {
    fn fill(&mut self, symbols: impl ExactSizeIterator<Item = u32>) {
        let count = symbols.len() as u32;
        self.tokens.clear();
        self.tokens.extend(symbols);
        self.next.clear();
        self.next.extend((1..count).chain([NONE]));
        self.previous.clear();
        self.previous.extend([NONE].into_iter().chain(0..count.saturating_sub(1)));
    }

    /// The tokens at `left` and after it, if both exist.
    fn pair(&self, left: u32) -> Option<(u32, u32)> {
        let token = *self.tokens.get(left as usize)?;
        let next = *self.tokens.get(*self.next.get(left as usize)? as usize)?;
        (token != NONE).then_some((token, next))
    }

    /// Replaces the symbol at `left` and the one after it by `token`.
    fn join(&mut self, left: u32, token: u32) {
        let gone = self.next[left as usize];
        let after = self.next[gone as usize];
        self.tokens[left as usize] = token;
        self.tokens[gone as usize] = NONE;
        self.next[left as usize] = after;
        if let Some(previous) = self.previous.get_mut(after as usize) {
            *previous = left;
        }
    }

    fn emit(&self, out: &mut Vec<u32>) {
        out.extend(self.tokens.iter().copied().filter(|token| *token != NONE));
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Hashes a pair with one multiplication (the default hash takes a third of the encoding time).
/// The seed keeps a crafted vocabulary from putting all its pairs into one bucket.
#[derive(Debug, Clone)]
struct PairHash {
    seed: u64,
}

impl PairHash {
    fn new() -> Self {
        PairHash { seed: RandomState::new().hash_one(0) }
    }
}

impl BuildHasher for PairHash {
    type Hasher = PairHasher;

    fn build_hasher(&self) -> PairHasher {
        PairHasher { state: self.seed }
    }
}

struct PairHasher {
    state: u64,
}

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // 2^64 divided by the golden ratio; the two halves of the product are folded together so
        // that high and low bits of the hash both depend on all bits of the pair.
        let product = u128::from(value ^ self.state) * 0x9E37_79B9_7F4A_7C15;
        self.state = (product as u64) ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests;
