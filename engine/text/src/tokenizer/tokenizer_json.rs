//! Reads a Hugging Face `tokenizer.json`.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::{Tokenizer, VocabularyMetadata, split_merge};
use crate::error::TokenizerError;
use crate::json::{self, Value};
use crate::limits::TOKENS_MAX;

/// The patterns that [`crate::split`] implements, with newlines and quotes written plainly.
const PATTERNS: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

const CONTROL: i32 = 3;
const NORMAL: i32 = 1;
/// A hole in the numbering.
const UNUSED: i32 = 5;

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, TokenizerError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong("the file", format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let root = json::parse(text)?;
    check_rules(&root)?;
    let model = member(&root, "model")?;
    let vocab = member(model, "vocab")?
        .as_object()
        .ok_or_else(|| wrong("model.vocab", "expected an object"))?;
    let mut tokens: Vec<&str> = Vec::new();
    let mut types = Vec::new();
    for (token, id) in vocab.iter() {
        let id = id.as_u32().ok_or_else(|| wrong("model.vocab", format!("bad id of {token:?}")))?;
        place(&mut tokens, &mut types, id, token, NORMAL)?;
    }
    let added = member(&root, "added_tokens")?.as_array().unwrap_or_default();
    for (index, entry) in added.iter().enumerate() {
        let id = entry.get("id").and_then(Value::as_u32);
        let content = entry.get("content").and_then(Value::as_str);
        let (Some(id), Some(content)) = (id, content) else {
            return Err(wrong(&format!("added_tokens[{index}]"), "no id or no content"));
        };
        for rule in ["single_word", "lstrip", "rstrip"] {
            if entry.get(rule).and_then(Value::as_bool) == Some(true) {
                let what = format!("{rule} is not supported");
                return Err(wrong(&format!("added_tokens[{index}]"), what));
            }
        }
        place(&mut tokens, &mut types, id, content, CONTROL)?;
    }
    let merges = read_merges(member(model, "merges")?)?;
    let metadata = VocabularyMetadata { token_types: Some(&types), ..Default::default() };
    Tokenizer::build(&tokens, &merges, &metadata)
}

/// Puts a token at its id. A token may be listed in the vocabulary and as an added one.
fn place<'a>(
    tokens: &mut Vec<&'a str>,
    types: &mut Vec<i32>,
    id: u32,
    token: &'a str,
    kind: i32,
) -> Result<(), TokenizerError> {
    let index = usize::try_from(id).unwrap_or(usize::MAX);
    if index >= TOKENS_MAX {
        return Err(TokenizerError::TokenCount { found: index, max: TOKENS_MAX });
    }
    let length = tokens.len().max(index.saturating_add(1));
    tokens.resize(length, "");
    types.resize(length, UNUSED);
    match (tokens.get_mut(index), types.get_mut(index)) {
        (Some(slot), Some(slot_kind)) if slot.is_empty() || *slot == token => {
            *slot = token;
            *slot_kind = kind;
            Ok(())
        }
        (slot, _) => {
            let what = format!("id {id} is both {:?} and {token:?}", slot.map_or("", |slot| slot));
            Err(wrong("model.vocab", what))
        }
    }
}

fn read_merges(merges: &Value) -> Result<Vec<(&str, &str)>, TokenizerError> {
    let merges = merges.as_array().ok_or_else(|| wrong("model.merges", "expected an array"))?;
    let mut list = Vec::with_capacity(merges.len());
    for (index, merge) in merges.iter().enumerate() {
        list.push(match merge {
            Value::String(merge) => split_merge(index, merge)?,
            Value::Array(sides) => match sides.as_slice() {
                [Value::String(left), Value::String(right)] => (left.as_str(), right.as_str()),
                _ => return Err(wrong(&format!("model.merges[{index}]"), "not two strings")),
            },
            other => {
                let what = format!("expected a string or two, found {}", other.kind());
                return Err(wrong(&format!("model.merges[{index}]"), what));
            }
        });
    }
    Ok(list)
}

/// Refuses every setting under which other tokens would come out.
fn check_rules(root: &Value) -> Result<(), TokenizerError> {
    let model = member(root, "model")?;
    if member(model, "type")?.as_str() != Some("BPE") {
        return Err(wrong("model.type", "only BPE is supported"));
    }
    for (field, off) in [
        ("ignore_merges", Value::Bool(false)),
        ("byte_fallback", Value::Bool(false)),
        ("dropout", Value::Null),
        ("continuing_subword_prefix", Value::Null),
        ("end_of_word_suffix", Value::Null),
    ] {
        let unset = model.get(field).is_none_or(|value| {
            *value == off || *value == Value::Null || value.as_str() == Some("")
        });
        if !unset {
            return Err(wrong(&format!("model.{field}"), "not supported"));
        }
    }
    let normalizer = root.get("normalizer").unwrap_or(&Value::Null);
    let nothing =
        normalizer.get("normalizers").and_then(Value::as_array).is_some_and(<[Value]>::is_empty);
    if *normalizer != Value::Null && !nothing {
        return Err(wrong("normalizer", "not supported"));
    }
    let steps = member(root, "pre_tokenizer")?
        .get("pretokenizers")
        .and_then(Value::as_array)
        .unwrap_or_default();
    let patterns: Vec<String> = steps
        .iter()
        .filter_map(|step| step.get("pattern")?.get("Regex")?.as_str())
        .map(|pattern| pattern.replace("\\\"", "\"").replace('\r', "\\r").replace('\n', "\\n"))
        .collect();
    if patterns != PATTERNS {
        return Err(wrong("pre_tokenizer", "the splitting patterns are not DeepSeek V4's"));
    }
    Ok(())
}

fn member<'a>(value: &'a Value, key: &str) -> Result<&'a Value, TokenizerError> {
    value.get(key).ok_or_else(|| wrong(key, "missing"))
}

fn wrong(field: &str, what: impl Into<String>) -> TokenizerError {
    TokenizerError::Field { field: field.into(), what: what.into() }
}
