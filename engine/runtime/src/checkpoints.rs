//! Tails of a lane at earlier lengths, so that going back recomputes little.

/// Tails at some lengths of one sequence, ascending, within a budget.
///
/// Near the end they stand close, further back further apart: which one goes when the budget is
/// full depends on the gap it leaves, in relation to how far back it is. So going back d tokens
/// recomputes a bounded share of d, however long the sequence.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    entries: Vec<(usize, Vec<u8>)>,
    bytes: usize,
    bytes_max: usize,
}

impl Checkpoints {
    /// None yet, and at most `bytes_max` bytes of them; the newest always stays.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Keeps the tail of `length` tokens. Lengths only grow, but for `forget_after`.
    pub fn insert(&mut self, length: usize, tail: Vec<u8>) {
        self.forget_after(length.saturating_sub(1));
        self.bytes += tail.len();
        self.entries.push((length, tail));
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            self.drop_least();
        }
    }

    /// Drops those beyond `length`: their tokens are no longer the sequence's.
    pub fn forget_after(&mut self, length: usize) {
        while let Some((last, _)) = self.entries.last()
            && *last > length
        {
            let tail = self.entries.pop().map_or(0, |(_, tail)| tail.len());
            self.bytes -= tail;
        }
    }

    /// The longest one of at most `length` tokens.
    pub fn find(&self, length: usize) -> Option<(usize, &[u8])> {
        let found = self.entries.iter().rev().find(|(at, _)| *at <= length);
        found.map(|(at, tail)| (*at, tail.as_slice()))
    }

    /// Lengths, ascending.
    pub fn lengths(&self) -> Vec<usize> {
        self.entries.iter().map(|(length, _)| *length).collect()
    }

    /// Bytes of all tails.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the entry whose absence costs least for its distance from the end; never the newest.
    fn drop_least(&mut self) {
        let end = self.entries.last().map_or(0, |(length, _)| *length);
        let length = |i: usize| self.entries[i].0;
        let cost = |i: usize| {
            let before = if i == 0 { 0 } else { length(i - 1) };
            (length(i + 1) - before) as f64 / (end - length(i)) as f64
        };
        let candidates = 0..self.entries.len() - 1;
        let least = candidates.min_by(|&a, &b| cost(a).total_cmp(&cost(b)));
        if let Some(least) = least {
            self.bytes -= self.entries.remove(least).1.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Checkpoints;

    fn filled(count: usize, kept: usize) -> Checkpoints {
        let mut checkpoints = Checkpoints::new(kept * 10);
        for i in 1..=count {
            checkpoints.insert(128 * i, vec![0; 10]);
            assert!(checkpoints.bytes() <= kept * 10);
        }
        checkpoints
    }

    #[test]
    fn the_budget_holds_and_going_back_stays_cheap() {
        // A million tokens, 32 tails.
        let checkpoints = filled(8192, 32);
        let end = 8192 * 128;
        assert_eq!(checkpoints.lengths().len(), 32);
        assert_eq!(checkpoints.find(end), Some((end, &[0; 10][..])));
        for back in (0..end).step_by(128) {
            let at = checkpoints.find(end - back).map_or(0, |(at, _)| at);
            let again = end - back - at;
            // Measured: at most 128 + 0.4994 of the way back.
            assert!(again <= 128 + back / 2, "{back} back recomputes {again}");
        }
    }

    #[test]
    fn entries_beyond_a_cut_are_gone() {
        let mut checkpoints = filled(4, 8);
        assert_eq!(checkpoints.lengths(), [128, 256, 384, 512]);
        checkpoints.forget_after(300);
        assert_eq!((checkpoints.lengths(), checkpoints.bytes()), (vec![128, 256], 20));
        // The same length again replaces.
        checkpoints.insert(256, vec![1; 4]);
        assert_eq!(checkpoints.find(300), Some((256, &[1; 4][..])));
        assert_eq!(checkpoints.bytes(), 14);
        assert_eq!(checkpoints.find(127), None);
        checkpoints.forget_after(0);
        assert_eq!((checkpoints.find(1000), checkpoints.bytes()), (None, 0));
    }

    #[test]
    fn one_tail_stays_however_small_the_budget() {
        let checkpoints = filled_over_budget();
        assert_eq!(checkpoints.lengths(), [256]);
    }

    fn filled_over_budget() -> Checkpoints {
        let mut checkpoints = Checkpoints::new(3);
        checkpoints.insert(128, vec![0; 10]);
        checkpoints.insert(256, vec![0; 10]);
        checkpoints
    }
}
