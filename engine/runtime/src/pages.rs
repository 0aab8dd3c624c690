//! Which pages of a pool are free. Lanes own their pages; sharing comes with the disk store.

/// A stack of free page ids.
#[derive(Debug)]
pub struct FreePages(Vec<u32>);

impl FreePages {
    /// All pages of a pool, the lowest id on top.
    pub fn new(pages: usize) -> Self {
        Self((0..pages as u32).rev().collect())
    }

    /// Pages left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes pages until `table` has `wanted`; false, and nothing taken, if there are too few.
    pub fn grow(&mut self, table: &mut Vec<u32>, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(table.len());
        if missing > self.0.len() {
            return false;
        }
        table.extend(self.0.drain(self.0.len() - missing..).rev());
        true
    }

    /// Gives all pages after the first `keep` back.
    pub fn shrink(&mut self, table: &mut Vec<u32>, keep: usize) {
        self.0.extend(table.drain(keep.min(table.len())..).rev());
    }
}

#[cfg(test)]
mod tests {
    use super::FreePages;

    #[test]
    fn pages_are_taken_once_and_come_back() {
        let mut free = FreePages::new(3);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert!(free.grow(&mut a, 1) && free.grow(&mut b, 1) && free.grow(&mut a, 2));
        assert_eq!((a.as_slice(), b.as_slice(), free.len()), (&[0, 2][..], &[1][..], 0));
        assert!(!free.grow(&mut b, 2));
        assert_eq!(b, [1]);
        free.shrink(&mut a, 1);
        assert_eq!((a.as_slice(), free.len()), (&[0][..], 1));
        free.shrink(&mut a, 0);
        assert!(free.grow(&mut b, 3));
        assert_eq!(b, [1, 0, 2]);
        free.shrink(&mut b, 7);
        assert_eq!(b.len(), 3);
    }
}
