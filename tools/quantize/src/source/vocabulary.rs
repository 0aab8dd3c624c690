//! tokenizer.json to the vocabulary of a GGUF (spec/chat.md 1.1).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

use std::path::Path;

use ds4_format::gguf::{Array, StringArray, Value};
use ds4_text::{Special, Tokenizer};
use serde_json::Value as Json;

use crate::QuantizeError;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// The entries `tokenizer.ggml.*` for a vocabulary of `count` tokens. Ids that the file does not
/// name become unused tokens.
///
/// # Errors
/// What the tokenizer does not take, or a token beyond `count`.
pub fn metadata(
    path: &Path,
    bytes: &[u8],
    count: usize,
) -> Result<Vec<(String, Value)>, QuantizeError> {
    let wrong = |what: String| QuantizeError::format(path, what);
    // The engine's reader decides what a usable tokenizer is.
    let tokenizer =
        Tokenizer::from_tokenizer_json(bytes).map_err(|error| wrong(error.to_string()))?;
    let root: Json =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("no JSON: {error}")))?;
    let mut tokens: Vec<(String, i32)> =
        (0..count).map(|id| (format!("[UNUSED_{id}]"), UNUSED)).collect();
    let base = root.pointer("/model/vocab").and_then(Json::as_object).into_iter().flatten();
    let base = base.map(|(token, id)| (id.as_u64(), token.as_str(), NORMAL));
    let added = root.get("added_tokens").and_then(Json::as_array).into_iter().flatten();
    let added = added.map(|entry| {
        let content = entry.get("content").and_then(Json::as_str).unwrap_or_default();
        (entry.get("id").and_then(Json::as_u64), content, CONTROL)
    });
    for (id, token, kind) in base.chain(added) {
        let slot = id.and_then(|id| usize::try_from(id).ok()).and_then(|id| tokens.get_mut(id));
        let Some(slot) = slot else {
            let id = id.map_or("none".to_owned(), |id| id.to_string());
            let what =
                format!("token {token:?} has id {id}; config.json gives a vocabulary of {count}");
            return Err(wrong(what));
        };
        *slot = (token.to_owned(), kind);
    }
    let merges = root.pointer("/model/merges").and_then(Json::as_array).into_iter().flatten();
    let merges = merges.filter_map(|merge| match merge {
        Json::String(merge) => Some(merge.clone()),
        Json::Array(sides) => {
            let sides: Option<Vec<&str>> = sides.iter().map(Json::as_str).collect();
            sides.map(|sides| sides.join(" "))
        }
        _ => None,
    });
    let kinds = tokens.iter().map(|(_, kind)| *kind).collect();
    let tokens: StringArray = tokens.iter().map(|(token, _)| token).collect();
    let merges: StringArray = merges.collect();
    let key = |name: &str, value| (format!("tokenizer.ggml.{name}"), value);
    let id = |special, fallback| tokenizer.special(special).or(fallback).unwrap_or_default();
    Ok(vec![
        key("model", Value::String("gpt2".to_owned())),
        key("pre", Value::String("joyai-llm".to_owned())),
        key("tokens", Value::Array(Array::String(tokens))),
        key("token_type", Value::Array(Array::I32(kinds))),
        key("merges", Value::Array(Array::String(merges))),
        key("bos_token_id", Value::U32(id(Special::Bos, Some(0)))),
        key("eos_token_id", Value::U32(id(Special::Eos, Some(1)))),
        key("add_bos_token", Value::Bool(false)),
        key("add_eos_token", Value::Bool(false)),
    ])
}
