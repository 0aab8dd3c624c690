//! Text to tokens and back: the exact byte-level BPE of DeepSeek V4 (spec/chat.md 1).

mod alphabet;
mod tokenizer_json;
mod vocabulary;

#[cfg(test)]
mod tests;

use aho_corasick::{AhoCorasick, MatchKind};

pub use vocabulary::VocabularyMetadata;

use crate::bpe::Scratch;
use crate::decode::StreamDecoder;
use crate::error::TokenizerError;
use crate::limits::PIECE_BYTES_MAX;
use crate::piece::Piece;
use crate::special::Special;
use crate::split::pieces;
use vocabulary::Vocabulary;

/// Bytes for which a token is reserved: prose has 4 to 5 bytes in one.
const BYTES_PER_TOKEN: usize = 4;

/// A vocabulary that encodes and decodes. Immutable; share it between threads.
///
/// *Base* tokens are the 256 bytes and what merges make of them. *Added* tokens are literals
/// outside the merges: the control tokens and reserved places. Text becomes added tokens in
/// [`encode_raw`](Self::encode_raw) only.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    /// Finds added tokens in a text; its pattern numbers index `vocabulary.added()`.
    markers: AhoCorasick,
}

impl Tokenizer {
    /// Builds a tokenizer from what GGUF metadata holds: `tokenizer.ggml.tokens`, and
    /// `tokenizer.ggml.merges` (`"left right"`, in order of rank), both in the byte-level alphabet.
    ///
    /// Added tokens are those whose type says so and, types or not, those of several characters
    /// that no merge makes; so files without types work too.
    pub fn from_parts<'a>(
        tokens: impl IntoIterator<Item = &'a str>,
        merges: impl IntoIterator<Item = &'a str>,
        metadata: &VocabularyMetadata<'_>,
    ) -> Result<Self, TokenizerError> {
        let tokens: Vec<&str> = tokens.into_iter().collect();
        let merges = merges
            .into_iter()
            .enumerate()
            .map(|(index, merge)| split_merge(index, merge))
            .collect::<Result<Vec<_>, _>>()?;
        Self::build(&tokens, &merges, metadata)
    }

    /// Builds a tokenizer from the bytes of a Hugging Face `tokenizer.json`, which must hold
    /// DeepSeek's splitting patterns.
    pub fn from_tokenizer_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
        tokenizer_json::read(bytes)
    }

    fn build(
        tokens: &[&str],
        merges: &[(&str, &str)],
        metadata: &VocabularyMetadata<'_>,
    ) -> Result<Self, TokenizerError> {
        let vocabulary = Vocabulary::new(tokens, merges, metadata)?;
        let literals = vocabulary.added().iter().map(|id| vocabulary.token_bytes(*id));
        let markers = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(literals)
            .map_err(|error| TokenizerError::Field {
                field: "added tokens".into(),
                what: error.to_string(),
            })?;
        Ok(Tokenizer { vocabulary, markers })
    }

    /// How many tokens there are; ids are below this.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Encodes text from outside: whatever it spells, no control token comes out. Appends to
    /// `out`. Time is linear in the length of the text.
    pub fn encode_text(&self, text: &str, out: &mut Vec<u32>) {
        self.encode_with(text, &mut Scratch::default(), out);
    }

    /// Encodes text in which the literals of added tokens count as those tokens (leftmost, then
    /// longest), as the official flow does with a rendered prompt. For text that the user owns
    /// whole, such as `--raw`; never for text that is pasted into a template.
    pub fn encode_raw(&self, text: &str, out: &mut Vec<u32>) {
        let mut scratch = Scratch::default();
        let mut done = 0;
        for found in self.markers.find_iter(text) {
            let before = text.get(done..found.start()).unwrap_or_default();
            self.encode_with(before, &mut scratch, out);
            out.extend(self.vocabulary.added().get(found.pattern().as_usize()));
            done = found.end();
        }
        self.encode_with(text.get(done..).unwrap_or_default(), &mut scratch, out);
    }

    /// Encodes a prompt. Neighbouring texts are encoded as one, so where a text is divided into
    /// pieces makes no difference.
    pub fn encode_pieces(
        &self,
        pieces: &[Piece<'_>],
        out: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        let mut scratch = Scratch::default();
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(more) => text.push_str(more),
                Piece::Special(special) => {
                    self.encode_with(&text, &mut scratch, out);
                    text.clear();
                    out.push(self.require(*special)?);
                }
            }
        }
        self.encode_with(&text, &mut scratch, out);
        Ok(())
    }

    fn encode_with(&self, text: &str, scratch: &mut Scratch, out: &mut Vec<u32>) {
        out.reserve(text.len() / BYTES_PER_TOKEN);
        for piece in pieces(text) {
            let joins = |left: &u8, right: &u8| self.vocabulary.joins(*left, *right);
            let runs = piece.as_bytes().chunk_by(joins);
            for part in runs.flat_map(|run| run.chunks(PIECE_BYTES_MAX)) {
                let symbols = part.iter().map(|byte| self.vocabulary.byte_token(*byte));
                self.vocabulary.merges.merge(symbols, scratch, out);
            }
        }
    }

    /// What a token stands for: bytes of text, or the literal of an added token. A token may hold
    /// part of a UTF-8 character. Empty for an id beyond the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.token_bytes(id)
    }

    /// Whether the token is an added one (control tokens and reserved places), which no text
    /// encodes to.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.added().binary_search(&id).is_ok()
    }

    /// The id of a control token, if this vocabulary has it.
    pub fn special(&self, special: Special) -> Option<u32> {
        self.vocabulary.special(special)
    }

    /// The id of a control token, or an error that names it.
    pub fn require(&self, special: Special) -> Result<u32, TokenizerError> {
        let literal = special.literal();
        self.special(special).ok_or(TokenizerError::MissingSpecial { literal })
    }

    /// The token that begins a prompt: of the metadata, else by its literal.
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos.or_else(|| self.special(Special::Bos))
    }

    /// The token that ends a turn: of the metadata, else by its literal.
    pub fn eos(&self) -> Option<u32> {
        self.vocabulary.eos.or_else(|| self.special(Special::Eos))
    }

    /// The text of a whole sequence; added tokens appear as their literals. Bytes that are not
    /// UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A decoder for a stream of tokens.
    pub fn decoder(&self) -> TokenDecoder<'_> {
        TokenDecoder { tokenizer: self, stream: StreamDecoder::new() }
    }
}

/// [`StreamDecoder`] fed with token ids.
#[derive(Debug, Clone)]
pub struct TokenDecoder<'a> {
    tokenizer: &'a Tokenizer,
    stream: StreamDecoder,
}

impl TokenDecoder<'_> {
    /// Adds a token; returns the text that it completes.
    pub fn push(&mut self, id: u32) -> String {
        self.stream.push(self.tokenizer.token_bytes(id))
    }

    /// Ends the text: U+FFFD if it ends inside a character, else nothing.
    pub fn finish(&mut self) -> &'static str {
        self.stream.finish()
    }
}

/// `"left right"` at its only space (inside tokens a space is written "Ġ").
fn split_merge(index: usize, merge: &str) -> Result<(&str, &str), TokenizerError> {
    let sides = merge.split_once(' ').filter(|(_, right)| !right.contains(' '));
    sides.ok_or_else(|| TokenizerError::BadMerge {
        index,
        merge: merge.into(),
        what: "expected two sides and one space between them",
    })
}
