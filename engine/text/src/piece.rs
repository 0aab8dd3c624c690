//! A prompt as a list of pieces. Only a [`Piece::Special`] becomes a control token; text never
//! does, whatever it spells. There is no string form of a prompt inside the program.

use std::borrow::Cow;

use crate::special::Special;

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A control token, written by the template.
    Special(Special),
    /// Text, encoded without marker matching.
    Text(Cow<'a, str>),
}
