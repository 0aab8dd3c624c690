//! Tokens back to text, without ever cutting a UTF-8 character.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

/// Turns a stream of token bytes into text. A character may be spread over several tokens: its
/// bytes are held back until it is whole. Bytes that can become no character are replaced by
/// U+FFFD, one for each maximal broken sequence, as `String::from_utf8_lossy` does.
///
/// Invariant: whatever the division into tokens, the pieces of text put together are the lossy
/// decoding of all bytes put together.
#[derive(Debug, Clone, Default)]
pub struct StreamDecoder {
    /// The bytes of a character whose end has not come yet: at most 3.
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// A decoder at the start of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the bytes of one token; returns the text that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        self.push_into(bytes, &mut out);
        out
    }

    /// Like [`push`](Self::push), appending to `out`.
    pub fn push_into(&mut self, bytes: &[u8], out: &mut String) {
        let joined;
        let mut rest = if self.pending.is_empty() {
            bytes
        } else {
            self.pending.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.pending);
            &joined
        };
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return out.push_str(text),
                Err(error) => {
                    let (valid, broken) = rest.split_at(error.valid_up_to());
                    // Checked above, so this copies without replacing anything.
                    out.push_str(&String::from_utf8_lossy(valid));
                    let Some(length) = error.error_len() else {
                        self.pending = broken.to_vec();
                        return;
                    };
                    out.push(char::REPLACEMENT_CHARACTER);
                    rest = broken.get(length..).unwrap_or_default();
                }
            }
        }
    }

    /// Whether part of a character is held back.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Ends the text: U+FFFD if it ends inside a character, else nothing. The decoder can be used
    /// for a new text afterwards.
    pub fn finish(&mut self) -> &'static str {
        let cut = !self.pending.is_empty();
        self.pending.clear();
        if cut { "\u{FFFD}" } else { "" }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::StreamDecoder;

    #[test]
    fn every_division_gives_the_same_text() {
        let samples: [&[u8]; 6] = [
            "aé今😀z".as_bytes(),
            b"\xF0\x9F\x98",
            b"a\xFFb\xC3",
            b"\xE4\xBB\xE4\xBB\x8A",
            b"\xED\xA0\x80x",
            b"\xF0\x9F\xF0\x9F\x98\x80\x80",
        ];
        for bytes in samples {
            let expected = String::from_utf8_lossy(bytes);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let mut decoder = StreamDecoder::new();
                    let mut text = decoder.push(&bytes[..first]);
                    text += &decoder.push(&bytes[first..second]);
                    text += &decoder.push(&bytes[second..]);
                    text += decoder.finish();
                    assert_eq!(text, expected, "of {bytes:?} at {first}, {second}");
                }
            }
        }
    }
}
