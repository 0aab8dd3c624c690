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

use crate::hash::FoldHash;

/// Longest piece that is merged by scanning.
pub(crate) const SCAN_SYMBOLS_MAX: usize = 32;

/// Longest piece that is merged with a heap, if the lists are possible. Their set-up touches one
/// entry for each merge of the vocabulary (3 MB), paid once for each call to the tokenizer.
pub(crate) const HEAP_SYMBOLS_MAX: usize = 4096;

/// Stands for "no symbol" and "no pair": ids, ranks and positions stay below it.
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
    pairs: HashMap<u64, Merge, FoldHash>,
    /// The pairs in order of rank.
    ranked: Vec<(u32, u32)>,
    /// By token: its length in bytes.
    lengths: Vec<u16>,
    /// Whether no merge uses a token that only a later one makes.
    learning_order: bool,
}

/// Working memory, kept between the pieces of one text.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    scan: Vec<ScanSymbol>,
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
    /// Builds the index from `(left, right, result)` token ids in order of rank, and the length in
    /// bytes of every token: a result is as long as its sides together. Of a repeated pair the last
    /// entry counts, as in the official implementation.
    pub(crate) fn new(list: &[(u32, u32, u32)], lengths: Vec<u16>) -> Self {
        let mut pairs = HashMap::with_capacity_and_hasher(list.len(), FoldHash::new());
        // By token: the rank of the last merge that makes it.
        let mut made_at = vec![None; lengths.len()];
        for (rank, &(left, right, token)) in list.iter().enumerate() {
            pairs.insert(key(left, right), Merge { rank: rank as u32, token });
            made_at[token as usize] = Some(rank);
        }
        let before = |token: &u32, rank: usize| made_at[*token as usize].is_none_or(|at| at < rank);
        let learning_order = list
            .iter()
            .enumerate()
            .all(|(rank, (left, right, _))| before(left, rank) && before(right, rank));
        let ranked = list.iter().map(|&(left, right, _)| (left, right)).collect();
        Merges { pairs, ranked, lengths, learning_order }
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
        symbols: impl Iterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let heap = &mut scratch.heap;
        let start = out.len();
        out.extend(symbols);
        let chain = &mut Chain { words: &mut out[start..] };
        heap.clear();
        heap.extend(
            (0..chain.len())
                .filter_map(|left| Some(Reverse((self.merge_at(chain, left)?.rank, left)))),
        );
        while let Some(Reverse((rank, left))) = heap.pop() {
            // A pair that has changed since it was entered has another rank, or none.
            let pair = self.pair(chain, left);
            let merge = pair.and_then(|(token, next)| self.get(token, next));
            let (Some(pair), Some(merge)) = (pair, merge.filter(|merge| merge.rank == rank)) else {
                continue;
            };
            self.join(chain, left, pair, merge.token);
            for left in chain.before(left).into_iter().chain([left]) {
                if let Some(merge) = self.merge_at(chain, left) {
                    heap.push(Reverse((merge.rank, left)));
                }
            }
        }
        let kept = chain.compact();
        out.truncate(start + kept);
    }

    pub(crate) fn merge_by_rank(
        &self,
        symbols: impl Iterator<Item = u32>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let Scratch { lists, ranks, .. } = scratch;
        let start = out.len();
        out.extend(symbols);
        let chain = &mut Chain { words: &mut out[start..] };
        lists.resize_with(self.ranked.len(), Vec::new);
        let enter =
            |lists: &mut Vec<Vec<u32>>, ranks: &mut BinaryHeap<_>, chain: &Chain<'_>, left| {
                if let Some(merge) = self.merge_at(chain, left) {
                    let list = &mut lists[merge.rank as usize];
                    if list.is_empty() {
                        ranks.push(Reverse(merge.rank));
                    }
                    list.push(left);
                }
            };
        for left in 0..chain.len() {
            enter(lists, ranks, chain, left);
        }
        while let Some(Reverse(rank)) = ranks.pop() {
            let mut list = std::mem::take(&mut lists[rank as usize]);
            let pair = self.ranked[rank as usize];
            let Some(merge) = self.get(pair.0, pair.1) else { continue };
            if pair.0 == pair.1 {
                // Only pairs of equal symbols overlap one another, so only here order matters.
                // The list is a few ascending runs, which the sort takes in linear time.
                list.sort();
            }
            for left in list {
                if self.pair(chain, left) != Some(pair) {
                    continue;
                }
                self.join(chain, left, pair, merge.token);
                if let Some(before) = chain.before(left) {
                    enter(lists, ranks, chain, before);
                }
                enter(lists, ranks, chain, left);
            }
        }
        let kept = chain.compact();
        out.truncate(start + kept);
    }
}

/// The symbols of a piece, linked in both directions by one word for each byte, in the place where
/// the result will stand. A list with separate links takes four times the memory and, on 8 MiB of
/// one letter, twice the time (0.62 s, now 0.31 s).
///
/// The first byte of a symbol holds its token. The last byte, if it is another one, holds the
/// position of the first with [`BACK`] set. The bytes between hold [`NONE`].
#[derive(Debug)]
struct Chain<'a> {
    words: &'a mut [u32],
}

/// Marks a word as the position of the first byte of a symbol. Tokens and positions stay below.
const BACK: u32 = 1 << 31;

impl Chain<'_> {
    fn len(&self) -> u32 {
        self.words.len() as u32
    }

    /// The token that starts at `at`.
    fn token(&self, at: u32) -> Option<u32> {
        self.words.get(at as usize).copied().filter(|word| *word < BACK)
    }

    /// Where the symbol before the one at `at` starts.
    fn before(&self, at: u32) -> Option<u32> {
        let last = at.checked_sub(1)?;
        let word = *self.words.get(last as usize)?;
        Some(if word < BACK { last } else { word & !BACK })
    }

    /// Moves the tokens to the front; returns how many there are.
    fn compact(&mut self) -> usize {
        let mut kept = 0;
        for at in 0..self.words.len() {
            let word = self.words[at];
            if word < BACK {
                self.words[kept] = word;
                kept += 1;
            }
        }
        kept
    }
}

impl Merges {
    fn length(&self, token: u32) -> u32 {
        self.lengths.get(token as usize).map_or(1, |length| u32::from(*length))
    }

    /// The tokens at `left` and after it, if both exist.
    fn pair(&self, chain: &Chain<'_>, left: u32) -> Option<(u32, u32)> {
        let token = chain.token(left)?;
        Some((token, chain.token(left + self.length(token))?))
    }

    /// What the symbols at `left` and after it become, if anything.
    fn merge_at(&self, chain: &Chain<'_>, left: u32) -> Option<Merge> {
        let (token, next) = self.pair(chain, left)?;
        self.get(token, next)
    }

    /// Replaces the symbols at `left` and after it, which are `pair`, by `token`.
    fn join(&self, chain: &mut Chain<'_>, left: u32, pair: (u32, u32), token: u32) {
        let right = left + self.length(pair.0);
        let last = right + self.length(pair.1) - 1;
        chain.words[right as usize - 1] = NONE;
        chain.words[right as usize] = NONE;
        chain.words[last as usize] = BACK | left;
        chain.words[left as usize] = token;
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests;
