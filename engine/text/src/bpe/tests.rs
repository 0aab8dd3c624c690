use super::{Merges, Scratch};

/// The definition, in the plainest words.
fn by_definition(list: &[(u32, u32, u32)], symbols: &[u32]) -> Vec<u32> {
    let mut symbols = symbols.to_vec();
    'again: loop {
        for &(left, right, token) in list {
            for at in 1..symbols.len() {
                if symbols[at - 1] == left && symbols[at] == right {
                    symbols[at - 1] = token;
                    symbols.remove(at);
                    continue 'again;
                }
            }
        }
        return symbols;
    }
}

/// xorshift: enough for choosing test data.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn all_procedures_follow_the_definition() {
    for seed in 1..400_u64 {
        let mut random = Random(seed * 0x9E37_79B9_7F4A_7C15);
        let letters = 1 + random.below(4) as u32;
        let mut tokens: Vec<u32> = (0..letters).collect();
        let mut lengths = vec![1_u16; letters as usize];
        let mut list = Vec::new();
        for token in letters..letters + random.below(40) as u32 {
            let left = tokens[random.below(tokens.len())];
            let right = tokens[random.below(tokens.len())];
            lengths.push(0);
            if list.iter().all(|&(a, b, _)| (a, b) != (left, right)) {
                list.push((left, right, token));
                tokens.push(token);
                lengths[token as usize] =
                    lengths[left as usize].saturating_add(lengths[right as usize]);
            }
        }
        let learned = Merges::new(&list, lengths.clone());
        assert!(learned.learning_order, "seed {seed}");
        let symbols: Vec<u32> =
            (0..random.below(200)).map(|_| random.below(letters as usize) as u32).collect();
        let expected = by_definition(&list, &symbols);
        let mut scratch = Scratch::default();
        let mut out = [vec![], vec![], vec![]];
        learned.merge_by_scan(symbols.iter().copied(), &mut scratch, &mut out[0]);
        learned.merge_by_heap(symbols.iter().copied(), &mut scratch, &mut out[1]);
        learned.merge_by_rank(symbols.iter().copied(), &mut scratch, &mut out[2]);
        for out in out {
            assert_eq!(out, expected, "seed {seed}");
        }

        // In another order of the list the first two still hold, and the third is not chosen.
        list.reverse();
        let shuffled = Merges::new(&list, lengths);
        let expected = by_definition(&list, &symbols);
        let mut out = [vec![], vec![]];
        shuffled.merge_by_scan(symbols.iter().copied(), &mut scratch, &mut out[0]);
        shuffled.merge_by_heap(symbols.iter().copied(), &mut scratch, &mut out[1]);
        assert_eq!(out[0], expected, "seed {seed}");
        assert_eq!(out[1], expected, "seed {seed}");
    }
}

#[test]
fn a_merge_before_its_parts_is_noticed() {
    let lengths = || vec![1, 1, 2, 3];
    assert!(Merges::new(&[(0, 1, 2), (2, 1, 3)], lengths()).learning_order);
    assert!(!Merges::new(&[(2, 1, 3), (0, 1, 2)], lengths()).learning_order);
    // Made twice, the second time after its use.
    assert!(!Merges::new(&[(0, 1, 2), (2, 1, 3), (1, 0, 2)], lengths()).learning_order);
}
