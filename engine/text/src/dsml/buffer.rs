//! Text that has been received and not decided upon, with the places of marker tokens in it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::VecDeque;

use crate::chat::Prompt;
use crate::special::Special;

/// A queue of text. A marker token stands in it as its literal; only its place tells it from text
/// that spells the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer {
    text: String,
    /// Places of marker tokens, counted from the start of everything ever received.
    marks: VecDeque<usize>,
    /// Bytes that have been taken off the front.
    taken: usize,
}

impl Buffer {
    pub(crate) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends the marker token of DSML tags.
    pub(crate) fn push_mark(&mut self) {
        self.marks.push_back(self.taken.saturating_add(self.text.len()));
        self.text.push_str(Special::Dsml.literal());
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text from byte `at` on.
    pub(crate) fn from(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether a marker token stands at byte `at`.
    pub(crate) fn is_mark(&self, at: usize) -> bool {
        self.marks.binary_search(&self.taken.saturating_add(at)).is_ok()
    }

    /// Whether a marker token stands at or after byte `at`.
    pub(crate) fn has_mark_from(&self, at: usize) -> bool {
        self.marks.back().is_some_and(|mark| *mark >= self.taken.saturating_add(at))
    }

    /// Takes the first `bytes` off. They must end at a character.
    pub(crate) fn take(&mut self, bytes: usize) -> String {
        let tail = self.from(bytes).to_owned();
        let mut head = std::mem::replace(&mut self.text, tail);
        head.truncate(bytes);
        self.taken = self.taken.saturating_add(bytes);
        while self.marks.front().is_some_and(|mark| *mark < self.taken) {
            self.marks.pop_front();
        }
        head
    }

    /// Like [`take`](Self::take); also appends what is taken to `copy`, markers as control tokens.
    pub(crate) fn take_copying(&mut self, bytes: usize, copy: &mut Prompt) -> String {
        let mut done = 0;
        let marker = Special::Dsml.literal();
        for mark in &self.marks {
            let at = mark.saturating_sub(self.taken);
            let end = at.saturating_add(marker.len());
            if end > bytes {
                break;
            }
            copy.text(self.text.get(done..at).unwrap_or_default());
            copy.special(Special::Dsml);
            done = end;
        }
        copy.text(self.text.get(done..bytes).unwrap_or_default());
        self.take(bytes)
    }
}
