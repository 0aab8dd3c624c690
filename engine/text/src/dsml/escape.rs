//! The little escaping that DSML needs. Officially nothing is escaped: a value ends at the first
//! closing tag, an attribute at its quote. Here exactly the texts that would end there are escaped,
//! and what already looks escaped gets one more layer, so that reading is the inverse of writing:
//!
//! ```text
//! value      </｜DSML｜parameter>          &lt;/｜DSML｜parameter>
//!            &lt;/｜DSML｜parameter>        &amp;lt;/｜DSML｜parameter>       and so on
//! attribute  " before a space or >         &quot;
//!            &quot;                        &amp;quot;                      and so on
//! ```
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::chat::prompts::PARAMETER_CLOSE;

const AMPERSAND: &str = "amp;";
const LESS: &str = "lt;";
const QUOTE: &str = "quot;";

/// [`PARAMETER_CLOSE`] inside JSON, where an escape of the language does it.
pub(crate) const CLOSE_IN_JSON: &str = "\\u003c/｜DSML｜parameter>";

/// The closing tag without its first character.
pub(super) fn close_tail() -> &'static str {
    PARAMETER_CLOSE.strip_prefix('<').unwrap_or(PARAMETER_CLOSE)
}

/// Escapes a string value.
pub(super) fn escape_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (character, after) = from.split_at(1);
        if character == "<" && after.starts_with(close_tail()) {
            out.push('&');
            out.push_str(LESS);
        } else if character == "&" && escaped_close(after) {
            out.push('&');
            out.push_str(AMPERSAND);
        } else {
            out.push_str(character);
        }
        rest = after;
    }
    out + rest
}

/// Whether `text`, which stands after a `&`, is a closing tag in any layer of escaping.
fn escaped_close(text: &str) -> bool {
    let inner = strip_layers(text).strip_prefix(LESS);
    inner.is_some_and(|inner| inner.starts_with(close_tail()))
}

fn strip_layers(mut text: &str) -> &str {
    while let Some(inner) = text.strip_prefix(AMPERSAND) {
        text = inner;
    }
    text
}

/// What a text that begins with `&` means inside a string value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// The first `usize` bytes stand for this text.
    Is(usize, &'static str),
    /// Nothing: an ordinary `&`.
    Not,
    /// More text is needed.
    Partial,
}

/// Reads an escape of [`escape_value`] at the start of `text`, a `&`.
pub(super) fn read_value_escape(text: &str) -> Escape {
    let after = text.strip_prefix('&').unwrap_or(text);
    let inner = strip_layers(after);
    let layered = inner.len() < after.len();
    // The rest of what an escaped closing tag looks like from here on.
    let wanted = [LESS, close_tail()].concat();
    if inner.starts_with(&wanted) {
        // One layer goes: "&amp;" becomes "&", or "&lt;" becomes "<".
        let (entity, meaning) = if layered { (AMPERSAND, "&") } else { (LESS, "<") };
        return Escape::Is(1 + entity.len(), meaning);
    }
    if wanted.starts_with(inner) || AMPERSAND.starts_with(inner) {
        Escape::Partial
    } else {
        Escape::Not
    }
}

/// Decodes the entities that the reference engine decodes in values and attributes.
pub(super) fn decode_entities(text: &str) -> String {
    const ENTITIES: [(&str, char); 5] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let found = ENTITIES.iter().find(|(entity, _)| from.starts_with(entity));
        let (length, meaning) =
            found.map_or((1, '&'), |(entity, meaning)| (entity.len(), *meaning));
        out.push(meaning);
        rest = from.get(length..).unwrap_or_default();
    }
    out + rest
}

/// Escapes a name so that it can stand between double quotes.
pub(super) fn escape_attribute(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['"', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (character, after) = from.split_at(1);
        let ends = after.starts_with(|next: char| next == '>' || next.is_whitespace());
        if character == "\"" && ends {
            out.push('&');
            out.push_str(QUOTE);
        } else if character == "&" && strip_layers(after).starts_with(QUOTE) {
            out.push('&');
            out.push_str(AMPERSAND);
        } else {
            out.push_str(character);
        }
        rest = after;
    }
    out + rest
}

/// The inverse of [`escape_attribute`].
pub(super) fn unescape_attribute(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.get(1..).unwrap_or_default();
        let inner = strip_layers(after);
        let (length, meaning) = match inner.starts_with(QUOTE) {
            true if inner.len() < after.len() => (1 + AMPERSAND.len(), "&"),
            true => (1 + QUOTE.len(), "\""),
            false => (1, "&"),
        };
        out.push_str(meaning);
        rest = from.get(length..).unwrap_or_default();
    }
    out + rest
}

/// Escapes what the reference engine escapes in attributes.
pub(super) fn escape_attribute_ds4(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
