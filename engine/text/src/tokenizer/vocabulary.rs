//! The token table: bytes of every token, which tokens are added ones, and the control tokens.
//!
//! Invariants, checked while it is built: every byte has a base token; a merge joins two base
//! tokens to a third one. So no sequence of merges can produce an added token: text that is encoded
//! without marker matching never becomes a control token.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::HashMap;

use super::alphabet::Alphabet;
use crate::bpe::Merges;
use crate::error::TokenizerError;
use crate::hash::FoldHash;
use crate::limits::{TOKEN_BYTES_MAX, TOKENS_MAX};
use crate::special::Special;

/// `tokenizer.ggml.token_type` values of added tokens: control, and user-defined.
const ADDED_TYPES: [i32; 2] = [3, 4];
/// The value of ordinary tokens.
const NORMAL_TYPE: i32 = 1;

/// The parts of a vocabulary that are not lists of strings.
#[derive(Debug, Clone, Copy, Default)]
pub struct VocabularyMetadata<'a> {
    /// `tokenizer.ggml.model`; if given it must be `gpt2`.
    pub model: Option<&'a str>,
    /// `tokenizer.ggml.pre`; if given it must be one of the names of the DeepSeek V3 rules.
    pub pre: Option<&'a str>,
    /// `tokenizer.ggml.token_type`, one for each token: 1 normal, 3 control, 4 user-defined.
    pub token_types: Option<&'a [i32]>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
}

/// The token table; see the head of the file.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// All tokens' bytes, one after the other.
    bytes: Vec<u8>,
    /// `[tokens + 1]`: where each token starts in `bytes`.
    starts: Vec<usize>,
    /// Ids of added tokens, ascending.
    added: Vec<u32>,
    /// The base token of each byte.
    byte_tokens: [u32; 256],
    pub(super) merges: Merges,
    /// One bit for each pair of bytes: whether any merge joins a token that ends with the first one
    /// to a token that begins with the second.
    joints: Vec<u64>,
    /// In the order of [`Special::ALL`].
    specials: [Option<u32>; Special::ALL.len()],
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
}

impl Vocabulary {
    /// Builds the table. `merges` holds the two sides of each merge; an empty token is a hole in
    /// the numbering (only a `tokenizer.json` can have them).
    pub(super) fn new(
        tokens: &[&str],
        merges: &[(&str, &str)],
        metadata: &VocabularyMetadata<'_>,
    ) -> Result<Self, TokenizerError> {
        check_metadata(tokens, merges, metadata)?;
        let ids = index(tokens)?;
        let list = resolve(merges, tokens, &ids)?;
        let mut made = vec![false; tokens.len()];
        for (_, _, token) in &list {
            if let Some(made) = usize::try_from(*token).ok().and_then(|id| made.get_mut(id)) {
                *made = true;
            }
        }
        let alphabet = Alphabet::new();
        let types = metadata.token_types;
        let mut table = Vocabulary {
            bytes: Vec::new(),
            starts: vec![0],
            added: Vec::new(),
            byte_tokens: [u32::MAX; 256],
            merges: Merges::new(&[], Vec::new()),
            joints: vec![0; JOINT_WORDS],
            specials: [None; Special::ALL.len()],
            bos: metadata.bos,
            eos: metadata.eos,
        };
        for (id, token) in (0_u32..).zip(tokens) {
            let place = usize::try_from(id).unwrap_or(usize::MAX);
            let kind = types.and_then(|types| types.get(place)).copied();
            // A token of several characters that no merge makes can only be an added one.
            let unreachable = token.chars().nth(1).is_some() && made.get(place) == Some(&false);
            let plain = kind.is_none_or(|kind| kind == NORMAL_TYPE);
            let added =
                kind.is_some_and(|kind| ADDED_TYPES.contains(&kind)) || (plain && unreachable);
            table.push(id, token, added, &alphabet)?;
        }
        for (byte, token) in (0_u8..=u8::MAX).zip(table.byte_tokens) {
            if token == u32::MAX {
                return Err(TokenizerError::MissingByte { byte });
            }
        }
        table.check_merges(merges, &list)?;
        table.merges = Merges::new(&list, table.lengths());
        for (left, right, _) in &list {
            let left = table.token_bytes(*left).last().copied();
            let right = table.token_bytes(*right).first().copied();
            if let (Some(left), Some(right)) = (left, right) {
                let (word, bit) = joint(left, right);
                if let Some(word) = table.joints.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        for (place, special) in table.specials.iter_mut().zip(Special::ALL) {
            let id = ids.get(special.literal()).copied();
            *place = id.filter(|id| table.added.binary_search(id).is_ok());
        }
        Ok(table)
    }

    fn push(
        &mut self,
        id: u32,
        token: &str,
        added: bool,
        alphabet: &Alphabet,
    ) -> Result<(), TokenizerError> {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        if token.len() > TOKEN_BYTES_MAX {
            let (bytes, max) = (token.len(), TOKEN_BYTES_MAX);
            return Err(TokenizerError::TokenLength { id: place, bytes, max });
        }
        if added && !token.is_empty() {
            self.added.push(id);
            self.bytes.extend_from_slice(token.as_bytes());
        } else if !alphabet.decode(token, &mut self.bytes) {
            return Err(TokenizerError::NotByteLevel { id: place, token: token.into() });
        }
        let start = self.starts.last().copied().unwrap_or_default();
        if let (false, Some([byte])) = (added, self.bytes.get(start..))
            && let Some(slot) = self.byte_tokens.get_mut(usize::from(*byte))
        {
            *slot = id;
        }
        self.starts.push(self.bytes.len());
        Ok(())
    }

    /// No merge may use or make an added token.
    fn check_merges(
        &self,
        merges: &[(&str, &str)],
        list: &[(u32, u32, u32)],
    ) -> Result<(), TokenizerError> {
        let is_added = |id: u32| self.added.binary_search(&id).is_ok();
        for (index, (merge, &(left, right, token))) in merges.iter().zip(list).enumerate() {
            if is_added(left) || is_added(right) || is_added(token) {
                return Err(bad_merge(index, *merge, "an added token takes part"));
            }
        }
        Ok(())
    }

    /// Bytes of each token; the limit of a token's length keeps them far below the type's.
    fn lengths(&self) -> Vec<u16> {
        let length = |edges: &[usize]| match edges {
            [start, end] => u16::try_from(end.saturating_sub(*start)).unwrap_or(u16::MAX),
            _ => 0,
        };
        self.starts.windows(2).map(length).collect()
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The bytes of a token; empty for an id beyond the vocabulary.
    pub(super) fn token_bytes(&self, id: u32) -> &[u8] {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        let end = place.saturating_add(1);
        match (self.starts.get(place), self.starts.get(end)) {
            (Some(start), Some(end)) => self.bytes.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether a merge can cross the border between two bytes. Where none can, a piece may be cut:
    /// both sides merge as they would together. This keeps long pieces of random characters, such
    /// as base64, in cache (8 MiB of random letters: 0.6 s instead of 1.2 s).
    pub(super) fn joins(&self, left: u8, right: u8) -> bool {
        let (word, bit) = joint(left, right);
        self.joints.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The base token of a byte.
    pub(super) fn byte_token(&self, byte: u8) -> u32 {
        self.byte_tokens.get(usize::from(byte)).copied().unwrap_or(u32::MAX)
    }

    /// Ids of the added tokens, ascending.
    pub(super) fn added(&self) -> &[u32] {
        &self.added
    }

    /// The id of a control token, if the vocabulary has it.
    pub(super) fn special(&self, special: Special) -> Option<u32> {
        let found = Special::ALL.iter().zip(self.specials).find(|(each, _)| **each == special);
        found.and_then(|(_, id)| id)
    }
}

const JOINT_WORDS: usize = 1 << 10;

/// Place of a pair of bytes in a table of bits: the word, and the bit in it.
fn joint(left: u8, right: u8) -> (usize, u64) {
    let pair = usize::from(u16::from_be_bytes([left, right]));
    (pair.wrapping_shr(6), 1_u64.wrapping_shl(u32::from(right & 63)))
}

/// Ids by token text.
type Ids<'a> = HashMap<&'a str, u32, FoldHash>;

/// Merges as token ids: `(left, right, result)`.
fn resolve(
    merges: &[(&str, &str)],
    tokens: &[&str],
    ids: &Ids<'_>,
) -> Result<Vec<(u32, u32, u32)>, TokenizerError> {
    let mut joined = String::new();
    let mut list = Vec::with_capacity(merges.len());
    let mut last = 0_u32;
    for (index, &(left, right)) in merges.iter().enumerate() {
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let find = |token: &str, what| {
            ids.get(token).copied().ok_or_else(|| bad_merge(index, (left, right), what))
        };
        // Tokens stand in the order of their merges in every trained vocabulary: one look at the
        // next token saves a third of the look-ups.
        let next = last.saturating_add(1);
        let token = usize::try_from(next).ok().and_then(|next| tokens.get(next));
        last = match token {
            Some(token) if **token == joined => next,
            _ => find(&joined, "the two sides join to no token")?,
        };
        list.push((
            find(left, "the left side is not a token")?,
            find(right, "the right side is not a token")?,
            last,
        ));
    }
    Ok(list)
}

fn bad_merge(index: usize, (left, right): (&str, &str), what: &'static str) -> TokenizerError {
    TokenizerError::BadMerge { index, merge: format!("{left} {right}"), what }
}

/// Ids by token text; refuses two ids for one text.
fn index<'a>(tokens: &[&'a str]) -> Result<Ids<'a>, TokenizerError> {
    let mut ids = HashMap::with_capacity_and_hasher(tokens.len(), FoldHash::new());
    for (id, token) in (0_u32..).zip(tokens) {
        if token.is_empty() {
            continue;
        }
        if let Some(first) = ids.insert(*token, id) {
            return Err(TokenizerError::RepeatedToken {
                first: usize::try_from(first).unwrap_or(usize::MAX),
                second: usize::try_from(id).unwrap_or(usize::MAX),
                token: (*token).into(),
            });
        }
    }
    Ok(ids)
}

fn check_metadata(
    tokens: &[&str],
    merges: &[(&str, &str)],
    metadata: &VocabularyMetadata<'_>,
) -> Result<(), TokenizerError> {
    const MODELS: &str = "gpt2 (byte-level BPE)";
    const RULES: &str = "joyai-llm, deepseek-v3 or deepseek-v4 (one set of splitting rules)";
    let other = |key, found: &str, expected| {
        Err(TokenizerError::OtherTokenizer { key, found: found.into(), expected })
    };
    match metadata.model {
        None | Some("gpt2") => {}
        Some(found) => return other("tokenizer.ggml.model", found, MODELS),
    }
    match metadata.pre {
        None | Some("joyai-llm" | "deepseek-v3" | "deepseek-v4") => {}
        Some(found) => return other("tokenizer.ggml.pre", found, RULES),
    }
    if !(256..=TOKENS_MAX).contains(&tokens.len()) {
        return Err(TokenizerError::TokenCount { found: tokens.len(), max: TOKENS_MAX });
    }
    if merges.len() > TOKENS_MAX {
        return Err(TokenizerError::MergeCount { found: merges.len(), max: TOKENS_MAX });
    }
    if let Some(types) = metadata.token_types.filter(|types| types.len() != tokens.len()) {
        let (found, tokens) = (types.len(), tokens.len());
        return Err(TokenizerError::ListLength {
            list: "tokenizer.ggml.token_type",
            found,
            tokens,
        });
    }
    for (key, id) in [
        ("tokenizer.ggml.bos_token_id", metadata.bos),
        ("tokenizer.ggml.eos_token_id", metadata.eos),
    ] {
        let beyond = id.filter(|id| usize::try_from(*id).is_ok_and(|place| place >= tokens.len()));
        if let Some(id) = beyond {
            return Err(TokenizerError::NoSuchToken { key, id, tokens: tokens.len() });
        }
    }
    Ok(())
}
