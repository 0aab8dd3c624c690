//! What can be wrong with a vocabulary.

use crate::json::JsonError;

/// Why a vocabulary cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The metadata names a tokenizer of another family.
    #[error("{key} is {found:?}, but only {expected} is supported: this is not a DeepSeek V4 file")]
    OtherTokenizer {
        /// The metadata key or JSON field.
        key: &'static str,
        /// Its value.
        found: String,
        /// The values that are supported.
        expected: &'static str,
    },
    /// Too few or too many tokens.
    #[error("the vocabulary has {found} tokens; between 256 (one for each byte) and {max} work")]
    TokenCount {
        /// How many there are.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A list does not have one entry for each token.
    #[error("{list} has {found} entries, but there are {tokens} tokens")]
    ListLength {
        /// The name of the list.
        list: &'static str,
        /// Its length.
        found: usize,
        /// The length of the token list.
        tokens: usize,
    },
    /// A token longer than the limit.
    #[error("token {id} has {bytes} bytes; the limit is {max}")]
    TokenLength {
        /// The token.
        id: usize,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Two ids for one token.
    #[error("tokens {first} and {second} are both {token:?}")]
    RepeatedToken {
        /// The lower id.
        first: usize,
        /// The higher id.
        second: usize,
        /// The text of both.
        token: String,
    },
    /// A base token with a character outside the byte-level alphabet.
    #[error("token {id} ({token:?}) has a character that stands for no byte")]
    NotByteLevel {
        /// The token.
        id: usize,
        /// Its text.
        token: String,
    },
    /// A byte that cannot be encoded.
    #[error("no token for the single byte 0x{byte:02X}")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// More merges than tokens can have.
    #[error("{found} merges; the limit is {max}")]
    MergeCount {
        /// How many there are.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A merge that is not two tokens which join to a third.
    #[error("merge {index} ({merge:?}): {what}")]
    BadMerge {
        /// Place in the list.
        index: usize,
        /// Its text.
        merge: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A token id beyond the vocabulary.
    #[error("{key} is {id}, but there are {tokens} tokens")]
    NoSuchToken {
        /// The metadata key.
        key: &'static str,
        /// Its value.
        id: u32,
        /// The length of the token list.
        tokens: usize,
    },
    /// A control token that the chat format needs.
    #[error("the vocabulary has no token {literal:?}, which this prompt needs")]
    MissingSpecial {
        /// The token.
        literal: &'static str,
    },
    /// A tokenizer.json that is not JSON.
    #[error("tokenizer.json: {0}")]
    Json(#[from] JsonError),
    /// A tokenizer.json with a missing or unusable field.
    #[error("tokenizer.json: {field}: {what}")]
    Field {
        /// Path of the field.
        field: String,
        /// What is wrong.
        what: String,
    },
}
