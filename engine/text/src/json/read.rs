//! Text to [`Value`], accepting exactly what Python's `json.loads` accepts, except for lone
//! surrogates (no UTF-8 text can hold them) and nesting beyond [`JSON_DEPTH_MAX`].
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::{Object, Value};
use crate::limits::JSON_DEPTH_MAX;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct JsonError {
    /// What was expected or is wrong.
    pub what: &'static str,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

/// Reads a text that holds one JSON value and nothing else but white space.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let (value, end) = parse_prefix(text)?;
    let mut reader = Reader { text, at: end };
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.error("text after the value")) }
}

/// Reads the JSON value at the start of `text` (after white space); also returns the byte offset
/// of its end.
pub fn parse_prefix(text: &str) -> Result<(Value, usize), JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError { what, offset: self.at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn take(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal);
        if found {
            self.advance(literal.len());
        }
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance(1);
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > JSON_DEPTH_MAX {
            return Err(self.error("nesting too deep"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') if !self.rest().starts_with("-I") => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.take(word) {
                return Ok(value);
            }
        }
        Err(self.error("expected a JSON value"))
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.advance(1);
        let mut values = Vec::new();
        self.skip_space();
        if self.take("]") {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth.saturating_add(1))?);
            self.skip_space();
            if self.take("]") {
                return Ok(Value::Array(values));
            }
            if !self.take(",") {
                return Err(self.error("expected ',' or ']'"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.advance(1);
        let mut members = Vec::new();
        self.skip_space();
        if self.take("}") {
            return Ok(Value::Object(Object::default()));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(":") {
                return Err(self.error("expected ':'"));
            }
            members.push((key, self.value(depth.saturating_add(1))?));
            self.skip_space();
            if self.take("}") {
                return Ok(Value::Object(members.into_iter().collect()));
            }
            if !self.take(",") {
                return Err(self.error("expected ',' or '}'"));
            }
        }
    }

    fn digits(&mut self) -> usize {
        let count = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.advance(count);
        count
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take("-");
        if !self.take("0") && self.digits() == 0 {
            return Err(self.error("expected a digit"));
        }
        let integer_end = self.at;
        if self.take(".") && self.digits() == 0 {
            self.at = integer_end;
        }
        let mantissa_end = self.at;
        if self.take("e") || self.take("E") {
            let _sign = self.take("+") || self.take("-");
            if self.digits() == 0 {
                self.at = mantissa_end;
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if self.at == integer_end {
            let text = if text == "-0" { "0" } else { text };
            return Ok(Value::Int(text.into()));
        }
        // Rust reads decimal texts with correct rounding, as Python does; too large is infinite.
        text.parse().map(Value::Float).map_err(|_| self.error("not a number"))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.advance(1);
        let mut out = String::new();
        loop {
            let plain = self
                .rest()
                .bytes()
                .take_while(|byte| *byte != b'"' && *byte != b'\\' && *byte >= 0x20)
                .count();
            let end = self.at.saturating_add(plain);
            out.push_str(self.text.get(self.at..end).unwrap_or_default());
            self.at = end;
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error("unescaped control character in a string")),
                None => return Err(self.error("string without end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.advance(1);
        let kind = self.peek();
        self.advance(1);
        Ok(match kind {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error("unknown escape")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let high = self.four_hex()?;
        if let Some(plain) = char::from_u32(high) {
            return Ok(plain);
        }
        if high < 0xDC00 && self.take("\\u") {
            let low = self.four_hex()?;
            if (0xDC00..0xE000).contains(&low) {
                let offset = (high & 0x3FF).wrapping_shl(10) | (low & 0x3FF);
                if let Some(pair) = char::from_u32(0x10000_u32.saturating_add(offset)) {
                    return Ok(pair);
                }
            }
        }
        Err(self.error("lone surrogate"))
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let end = self.at.saturating_add(4);
        let digits = self.text.get(self.at..end).filter(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits.len() == 4
        });
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at = end.min(self.text.len());
        value.ok_or_else(|| self.error("expected four hexadecimal digits"))
    }
}
