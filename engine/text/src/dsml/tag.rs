//! Recognising one DSML tag at the front of received text, of which more may come.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::buffer::Buffer;
use super::escape::{decode_entities, unescape_attribute};
use crate::limits::TAG_BYTES_MAX;
use crate::special::Special;

/// How a tag is written. Only [`Form::Marked`] is official; quantised models slip into the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// With the marker token.
    Marked,
    /// With the marker's literal spelled in ordinary tokens.
    Spelled,
    /// `<DSML｜invoke ...>`.
    Short,
    /// `<invoke ...>`.
    Plain,
}

/// What a tag is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Calls,
    Invoke,
    Parameter,
}

/// The names of tags. The second is what an earlier model of the family called the first.
const NAMES: [(&str, Kind); 4] = [
    ("tool_calls", Kind::Calls),
    ("function_calls", Kind::Calls),
    ("invoke", Kind::Invoke),
    ("parameter", Kind::Parameter),
];

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) form: Form,
    pub(crate) kind: Kind,
    pub(crate) closing: bool,
    /// Of an opening [`Kind::Invoke`] or [`Kind::Parameter`].
    pub(crate) name: String,
    /// The `string` attribute.
    pub(crate) string: Option<bool>,
    /// Length of the tag in the buffer.
    pub(crate) bytes: usize,
}

/// What stands at a place of the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Tag(Tag),
    /// The text so far can become a tag.
    Partial,
    No,
}

/// Looks for a tag at byte `at`.
pub(crate) fn match_tag(buffer: &Buffer, at: usize, entities: bool) -> Match {
    match (Cursor { buffer, start: at, at, entities }).tag() {
        Ok(tag) => Match::Tag(tag),
        Err(Stop::End) if buffer.from(at).len() <= TAG_BYTES_MAX => Match::Partial,
        Err(_) => Match::No,
    }
}

/// Why there is no tag.
enum Stop {
    /// The text ended before it was decided.
    End,
    Other,
}

struct Cursor<'a> {
    buffer: &'a Buffer,
    start: usize,
    at: usize,
    entities: bool,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.buffer.from(self.at)
    }

    /// Steps over `literal`.
    fn take(&mut self, literal: &str) -> Result<(), Stop> {
        let rest = self.rest();
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(if literal.starts_with(rest) { Stop::End } else { Stop::Other })
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn tag(&mut self) -> Result<Tag, Stop> {
        self.take("<")?;
        let closing = match self.take("/") {
            Ok(()) => true,
            Err(Stop::Other) => false,
            Err(Stop::End) => return Err(Stop::End),
        };
        let form = self.form()?;
        let kind = self.kind()?;
        let (name, string) = if closing || kind == Kind::Calls {
            self.skip_space();
            self.take(">")?;
            (String::new(), None)
        } else {
            self.attributes()?
        };
        Ok(Tag { form, kind, closing, name, string, bytes: self.at - self.start })
    }

    fn form(&mut self) -> Result<Form, Stop> {
        let marked = self.buffer.is_mark(self.at);
        let literal = Special::Dsml.literal();
        let short = literal.strip_prefix('｜').unwrap_or(literal);
        let long = self.take(literal);
        if long.is_ok() {
            return Ok(if marked { Form::Marked } else { Form::Spelled });
        }
        match (long, self.take(short)) {
            (_, Ok(())) => Ok(Form::Short),
            (Err(Stop::End), _) | (_, Err(Stop::End)) => Err(Stop::End),
            _ => Ok(Form::Plain),
        }
    }

    fn kind(&mut self) -> Result<Kind, Stop> {
        let rest = self.rest();
        let length =
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let word = rest.get(..length).unwrap_or_default().to_ascii_lowercase();
        if length == rest.len() {
            // The word may go on.
            let begun = NAMES.iter().any(|(name, _)| name.starts_with(&word));
            return Err(if begun { Stop::End } else { Stop::Other });
        }
        let found = NAMES.iter().find(|(name, _)| *name == word);
        self.at += length;
        found.map(|(_, kind)| *kind).ok_or(Stop::Other)
    }

    /// `name` and `string` among the attributes, in any order, in either kind of quotes.
    fn attributes(&mut self) -> Result<(String, Option<bool>), Stop> {
        let mut name = None;
        let mut string = None;
        loop {
            self.skip_space();
            if !self.rest().is_empty() && self.take(">").is_ok() {
                let name = name.ok_or(Stop::Other)?;
                return Ok((name, string));
            }
            let key = self.word()?;
            self.skip_space();
            self.take("=")?;
            self.skip_space();
            let value = self.quoted()?;
            match key.as_str() {
                "name" if name.is_none() => {
                    name = Some(if self.entities {
                        decode_entities(value)
                    } else {
                        unescape_attribute(value)
                    });
                }
                "string" => string = Some(value.eq_ignore_ascii_case("true")),
                _ => {}
            }
        }
    }

    fn word(&mut self) -> Result<String, Stop> {
        let rest = self.rest();
        let length = word_length(rest);
        if length == rest.len() {
            return Err(Stop::End);
        }
        if length == 0 {
            return Err(Stop::Other);
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default().to_ascii_lowercase())
    }

    /// A value in quotes. It ends at the first quote after which the tag ends or another attribute
    /// begins, since names may hold quotes and are not escaped officially.
    fn quoted(&mut self) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let quote = rest.chars().next().ok_or(Stop::End)?;
        if quote != '"' && quote != '\'' {
            return Err(Stop::Other);
        }
        let inside = rest.get(1..).unwrap_or_default();
        for (end, _) in inside.match_indices(quote) {
            let after = inside.get(end + 1..).unwrap_or_default();
            let next = after.trim_start();
            let spaced = next.len() < after.len();
            if next.is_empty() {
                return Err(Stop::End);
            }
            let word = if spaced { word_length(next) } else { 0 };
            let after_word = next.get(word..).unwrap_or_default().trim_start();
            if word > 0 && after_word.is_empty() {
                return Err(Stop::End);
            }
            if next.starts_with('>') || (word > 0 && after_word.starts_with('=')) {
                self.at += 1 + end + 1;
                return Ok(inside.get(..end).unwrap_or_default());
            }
        }
        Err(Stop::End)
    }
}

fn word_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'_').count()
}
