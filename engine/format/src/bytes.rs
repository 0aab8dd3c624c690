//! The only code that turns file bytes into integers. Every length is compared with the bytes that
//! are really left before it is used.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

/// Why a read did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// The file goes on, but only its beginning is in memory: read at least its first `at_least`
    /// bytes.
    NeedMore {
        /// Length that the prefix must have.
        at_least: u64,
    },
    /// The file ends too early.
    PastEnd {
        /// Where the read began, in bytes from the start of the file.
        offset: u64,
        /// Bytes asked for.
        needed: u64,
        /// Bytes left in the file.
        left: u64,
    },
}

/// A position in a file whose first bytes are in memory.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    prefix: &'a [u8],
    rest: &'a [u8],
    file_bytes: u64,
}

impl<'a> Cursor<'a> {
    /// Starts at byte 0 of a file of `file_bytes` bytes that begins with `prefix`.
    pub fn new(prefix: &'a [u8], file_bytes: u64) -> Self {
        // Bytes beyond the declared end do not exist.
        let length = usize::try_from(file_bytes).unwrap_or(usize::MAX).min(prefix.len());
        let prefix = prefix.get(..length).unwrap_or(prefix);
        Self { prefix, rest: prefix, file_bytes }
    }

    /// Bytes read so far: the offset of the next byte in the file.
    pub fn position(&self) -> u64 {
        length(self.prefix).saturating_sub(length(self.rest))
    }

    /// Bytes of the file from here on, in memory or not.
    pub fn left(&self) -> u64 {
        self.file_bytes.saturating_sub(self.position())
    }

    /// Bytes from here on that are in memory.
    pub fn in_memory(&self) -> u64 {
        length(self.rest)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// If the file, or its part in memory, ends before them.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Short> {
        let (offset, left) = (self.position(), self.left());
        if count > left {
            return Err(Short::PastEnd { offset, needed: count, left });
        }
        let split = usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count));
        // No overflow: the sum is at most the file's size.
        let (taken, rest) =
            split.ok_or(Short::NeedMore { at_least: offset.saturating_add(count) })?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next number, little endian.
    ///
    /// # Errors
    /// As [`Cursor::take`].
    pub fn read<T: Little>(&mut self) -> Result<T, Short> {
        let (offset, left) = (self.position(), self.left());
        let bytes = self.take(T::BYTES)?;
        T::one(bytes).ok_or(Short::PastEnd { offset, needed: T::BYTES, left })
    }

    /// The next `count` numbers, little endian. Allocates only for bytes that are in memory.
    ///
    /// # Errors
    /// As [`Cursor::take`].
    pub fn read_array<T: Little>(&mut self, count: u64) -> Result<Vec<T>, Short> {
        let (offset, left) = (self.position(), self.left());
        let bytes = count.checked_mul(T::BYTES);
        let bytes = bytes.ok_or(Short::PastEnd { offset, needed: u64::MAX, left })?;
        Ok(T::all(self.take(bytes)?))
    }
}

/// A number as files store it.
pub trait Little: Sized {
    /// Its bytes.
    const BYTES: u64;

    /// The number in the first bytes of a slice; `None` if there are too few.
    fn one(bytes: &[u8]) -> Option<Self>;

    /// All whole numbers of a slice.
    fn all(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! little {
    ($($number:ty: $bytes:literal),*) => {$(
        impl Little for $number {
            const BYTES: u64 = $bytes;

            fn one(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_le_bytes(*bytes))
            }

            fn all(bytes: &[u8]) -> Vec<Self> {
                bytes.as_chunks().0.iter().map(|bytes| Self::from_le_bytes(*bytes)).collect()
            }
        }
    )*};
}

little!(u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8);

/// Length of a slice. Lossless: no address space is larger than 64 bits.
#[allow(clippy::as_conversions, reason = "usize to u64 is lossless on every supported target")]
pub fn length<T>(slice: &[T]) -> u64 {
    slice.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_position_advances() {
        let bytes = [1, 0, 0, 0, 0xff, 0xff, 2, 0, 3, 0];
        let mut cursor = Cursor::new(&bytes, 10);
        assert_eq!(cursor.read::<u32>(), Ok(1));
        assert_eq!(cursor.read::<i16>(), Ok(-1));
        assert_eq!((cursor.position(), cursor.left()), (6, 4));
        assert_eq!(cursor.read_array::<u16>(2), Ok(vec![2, 3]));
        assert_eq!(cursor.read::<u8>(), Err(Short::PastEnd { offset: 10, needed: 1, left: 0 }));
    }

    #[test]
    fn a_short_prefix_is_not_a_short_file() {
        let mut cursor = Cursor::new(&[0; 6], 100);
        assert_eq!(cursor.read::<u32>(), Ok(0));
        assert_eq!(cursor.read::<u64>(), Err(Short::NeedMore { at_least: 12 }));
        assert_eq!(cursor.take(97), Err(Short::PastEnd { offset: 4, needed: 97, left: 96 }));
        assert_eq!(cursor.position(), 4, "a failed read does not move");
    }

    #[test]
    fn lengths_near_the_largest_integer_do_not_wrap() {
        let mut cursor = Cursor::new(&[0; 8], u64::MAX);
        assert_eq!(cursor.take(u64::MAX), Err(Short::NeedMore { at_least: u64::MAX }));
        let past_end = Short::PastEnd { offset: 0, needed: u64::MAX, left: u64::MAX };
        assert_eq!(cursor.read_array::<u64>(u64::MAX / 4), Err(past_end));
    }

    #[test]
    fn bytes_beyond_the_declared_end_do_not_exist() {
        let mut cursor = Cursor::new(&[0; 8], 5);
        assert_eq!(cursor.read::<u64>(), Err(Short::PastEnd { offset: 0, needed: 8, left: 5 }));
    }
}
