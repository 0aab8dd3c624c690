//! The class of a character, by one table look-up.
// The table is indexed by the ranges of this crate only, while it is built.
#![allow(clippy::indexing_slicing)]

use std::sync::LazyLock;

use super::table::CLASSES;

/// Inclusive ranges of code points.
pub(super) type Ranges = &'static [(u32, u32)];

/// What the splitting patterns distinguish. Every character has exactly one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// Controls, format characters, private use, unassigned.
    Other,
    /// `\p{L}`.
    Letter,
    /// `\p{M}`.
    Mark,
    /// `\p{N}`.
    Number,
    /// `\p{P}`.
    Punctuation,
    /// `\p{S}`.
    Symbol,
    /// `\s` except carriage return and line feed.
    Space,
    /// Carriage return and line feed.
    Newline,
}

const CODE_POINTS: usize = 0x11_0000;

/// One byte for each code point: 1.1 MB, of which a text touches the pages of its scripts.
static TABLE: LazyLock<Box<[Class]>> = LazyLock::new(|| {
    let mut table = vec![Class::Other; CODE_POINTS].into_boxed_slice();
    for (class, ranges) in CLASSES {
        for &(first, last) in ranges {
            table[first as usize..=last as usize].fill(class);
        }
    }
    table[usize::from(b'\r')] = Class::Newline;
    table[usize::from(b'\n')] = Class::Newline;
    table
});

/// A handle to the table, so that a loop asks once whether it has been built.
#[derive(Clone, Copy)]
pub(super) struct Classes(&'static [Class]);

impl Classes {
    pub(super) fn new() -> Self {
        Classes(&TABLE)
    }

    pub(super) fn of(self, character: char) -> Class {
        // The table covers every `char`.
        self.0.get(u32::from(character) as usize).copied().unwrap_or(Class::Other)
    }
}

/// The second pattern's ranges: `[一-龥぀-ゟ゠-ヿ]`. No number lies in them.
pub(super) fn is_cjk(character: char) -> bool {
    matches!(character, '\u{4E00}'..='\u{9FA5}' | '\u{3040}'..='\u{30FF}')
}
