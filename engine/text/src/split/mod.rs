//! The pre-tokenizer: cuts a text into the pieces inside which byte pairs merge.
//!
//! Three patterns are applied in sequence; each isolates its matches and leaves the text between
//! them to the next one (spec/chat.md 1.2):
//!
//! ```text
//! a  \p{N}{1,3}
//! b  [一-龥぀-ゟ゠-ヿ]+
//! c  [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
//!    |  ?[\p{P}\p{S}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
//! ```
//!
//! They are matched by hand: no general engine is needed, the one look-ahead included, and every
//! character is looked at a bounded number of times, whatever the text.
//!
//! Invariants: the pieces are not empty and their concatenation is the text.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod class;
mod table;

#[cfg(test)]
mod tests;

use class::{Class, Classes, is_cjk};

/// The pieces of `text`, in order.
pub fn pieces(text: &str) -> Pieces<'_> {
    Pieces { classes: Classes::new(), span: "", rest: text }
}

/// Iterator of [`pieces`].
pub struct Pieces<'a> {
    classes: Classes,
    /// What is left of the span that pattern (c) works on: a run of characters of one kind, CJK
    /// or neither CJK nor number. Look-ahead ends at its edge.
    span: &'a str,
    /// The text after `span`.
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.span.is_empty() {
            let first = self.rest.chars().next()?;
            if self.classes.of(first) == Class::Number {
                // Pattern (a). Nothing of (b) and (c) matches inside a run of numbers.
                let length = self.run(self.rest, 3, |class, _| class == Class::Number);
                return Some(cut(&mut self.rest, length));
            }
            let cjk = is_cjk(first);
            let length = self.run(self.rest, usize::MAX, |class, character| {
                class != Class::Number && is_cjk(character) == cjk
            });
            self.span = cut(&mut self.rest, length);
        }
        let length = self.word();
        Some(cut(&mut self.span, length))
    }
}

/// Takes the first `length` bytes off `text`.
fn cut<'a>(text: &mut &'a str, length: usize) -> &'a str {
    let (head, tail) = text.split_at_checked(length).unwrap_or((text, ""));
    *text = tail;
    head
}

impl Pieces<'_> {
    /// Bytes of the longest prefix of `text` whose characters all pass, at most `count_max` of
    /// them.
    fn run(&self, text: &str, count_max: usize, pass: impl Fn(Class, char) -> bool) -> usize {
        text.char_indices()
            .take(count_max.saturating_add(1))
            .enumerate()
            .find(|(count, (_, character))| {
                *count == count_max || !pass(self.classes.of(*character), *character)
            })
            .map_or(text.len(), |(_, (offset, _))| offset)
    }

    /// Bytes of the next piece of the span by pattern (c): a match, or a gap up to the next match.
    fn word(&self) -> usize {
        let mut gap = 0;
        for (offset, character) in self.span.char_indices() {
            let text = self.span.get(offset..).unwrap_or_default();
            let length = self.match_at(text, character);
            match (length, gap) {
                (0, _) => gap = offset.saturating_add(character.len_utf8()),
                (_, 0) => return length,
                _ => return gap,
            }
        }
        gap
    }

    /// Bytes that pattern (c) matches at the start of `text`, whose first character is `first`;
    /// 0 if none. The first alternative that matches wins.
    fn match_at(&self, text: &str, first: char) -> usize {
        let class = self.classes.of(first);
        let after = text.get(first.len_utf8()..).unwrap_or_default();
        let second = after.chars().next();
        let second_class = second.map(|second| self.classes.of(second));
        if first.is_ascii_punctuation() && second.is_some_and(|c| c.is_ascii_alphabetic()) {
            return first.len_utf8() + self.run(after, usize::MAX, |_, c| c.is_ascii_alphabetic());
        }
        match class {
            Class::Letter | Class::Mark => first.len_utf8() + self.letters(after),
            Class::Space | Class::Other if second_class.is_some_and(is_letter) => {
                first.len_utf8() + self.letters(after)
            }
            Class::Punctuation | Class::Symbol => self.symbols(text),
            Class::Space if first == ' ' && second_class.is_some_and(is_symbol) => {
                first.len_utf8() + self.symbols(after)
            }
            Class::Space | Class::Newline => self.white_space(text),
            Class::Other | Class::Number => 0,
        }
    }

    fn letters(&self, text: &str) -> usize {
        self.run(text, usize::MAX, |class, _| is_letter(class))
    }

    /// `[\p{P}\p{S}]+[\r\n]*`
    fn symbols(&self, text: &str) -> usize {
        let symbols = self.run(text, usize::MAX, |class, _| is_symbol(class));
        let after = text.get(symbols..).unwrap_or_default();
        symbols + self.run(after, usize::MAX, |class, _| class == Class::Newline)
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last newline of the run; without one, all of the run
    /// at the end of the span, else all but its last character, which the next word may take.
    fn white_space(&self, text: &str) -> usize {
        let length =
            self.run(text, usize::MAX, |class, _| matches!(class, Class::Space | Class::Newline));
        let run = text.get(..length).unwrap_or_default();
        if let Some(last) = run.rfind(['\r', '\n']) {
            return last + 1;
        }
        let before_last = run.char_indices().next_back().map_or(0, |(offset, _)| offset);
        if length == text.len() || before_last == 0 { length } else { before_last }
    }
}

fn is_letter(class: Class) -> bool {
    matches!(class, Class::Letter | Class::Mark)
}

fn is_symbol(class: Class) -> bool {
    matches!(class, Class::Punctuation | Class::Symbol)
}
