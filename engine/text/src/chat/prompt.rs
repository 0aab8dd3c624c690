//! Building a prompt.

use std::borrow::Cow;

use crate::piece::Piece;
use crate::special::Special;

/// A prompt under construction. No two neighbouring pieces are texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompt {
    pieces: Vec<Piece<'static>>,
}

impl Prompt {
    /// An empty prompt.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pieces so far.
    pub fn pieces(&self) -> &[Piece<'static>] {
        &self.pieces
    }

    /// Appends a control token.
    pub fn special(&mut self, special: Special) {
        self.pieces.push(Piece::Special(special));
    }

    /// Appends text from outside: no literal in it becomes a control token.
    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.to_mut().push_str(text),
            _ => self.pieces.push(Piece::Text(Cow::Owned(text.to_owned()))),
        }
    }

    /// Appends text of the engine's own, in which the literals of control tokens are those tokens.
    pub fn template(&mut self, mut text: &str) {
        loop {
            let found = Special::ALL
                .iter()
                .filter_map(|special| Some((text.find(special.literal())?, *special)))
                .min_by_key(|(at, _)| *at);
            let Some((at, special)) = found else {
                return self.text(text);
            };
            let (before, rest) = text.split_at(at);
            self.text(before);
            self.special(special);
            text = rest.strip_prefix(special.literal()).unwrap_or_default();
        }
    }

    /// Appends another prompt.
    pub fn append(&mut self, other: &Prompt) {
        for piece in &other.pieces {
            match piece {
                Piece::Special(special) => self.special(*special),
                Piece::Text(text) => self.text(text),
            }
        }
    }

    /// The prompt as one text, for people: what is a control token and what only looks like one
    /// cannot be told apart in it.
    pub fn display_text(&self) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Special(special) => out.push_str(special.literal()),
                Piece::Text(text) => out.push_str(text),
            }
        }
        out
    }
}
