//! Model files without weights: the directory of a real model, for tests and for trying out tools.

use ds4_format::gguf::{Array, GgufError, GgufWriter, StringArray, Value};

use super::{Profile, inventory};
use crate::shape::Shape;

mod weights;
pub use weights::{Random, random_rows};

/// A file that is all directory: `header`, then a hole up to `file_bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseModel {
    /// Header, metadata and tensor table.
    pub header: Vec<u8>,
    /// Size of the whole file, as if the weights were there.
    pub file_bytes: u64,
    /// Sum of the sizes of all tensors.
    pub tensor_bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Where each tensor starts in the file, in the order of `inventory`.
    pub offsets: Vec<u64>,
}

/// Tokens with a fixed id in the real vocabulary (spec/chat.md 1.4).
const SPECIAL_TOKENS: &[(usize, &str)] = &[
    (0, "<｜begin▁of▁sentence｜>"),
    (1, "<｜end▁of▁sentence｜>"),
    (2, "<｜▁pad▁｜>"),
    (128_803, "<｜User｜>"),
    (128_804, "<｜Assistant｜>"),
    (128_805, "<|EOT|>"),
    (128_821, "<think>"),
    (128_822, "</think>"),
    (128_825, "｜DSML｜"),
];

/// The file of a model of this shape in a published profile: real names, sizes and types, a
/// vocabulary of made-up words, and no weights.
///
/// # Errors
/// If the GGUF format cannot hold it: rows that are not whole blocks.
pub fn sparse_model(shape: &Shape, profile: Profile) -> Result<SparseModel, GgufError> {
    let mut writer = GgufWriter::new();
    for (key, value) in shape.to_metadata() {
        writer.key(&key, value);
    }
    let name = format!("{} without weights", shape.family());
    writer.key("general.name", Value::String(name));
    vocabulary(&mut writer, shape.vocab);
    let specs = inventory(shape);
    for spec in &specs {
        writer.tensor(&spec.name, &spec.kind.dims(), profile.quant(spec));
    }
    let directory = writer.finish()?;
    let tensor_bytes = directory.tensor_bytes.iter().sum();
    let (header, file_bytes) = (directory.bytes, directory.file_bytes);
    let offsets = directory.offsets;
    Ok(SparseModel { header, file_bytes, tensor_bytes, tensors: specs.len(), offsets })
}

/// A byte-level vocabulary without merges: the control tokens, the 256 bytes, and numbered words.
fn vocabulary(writer: &mut GgufWriter, size: usize) {
    const NORMAL: i32 = 1;
    const CONTROL: i32 = 3;
    let mut bytes = byte_symbols();
    let special = |id| SPECIAL_TOKENS.iter().find(|&&(at, _)| at == id).map(|&(_, text)| text);
    let token = |id: usize| match special(id) {
        Some(text) => text.to_owned(),
        None => bytes.next().map_or_else(|| format!("word{id}"), String::from),
    };
    let tokens: StringArray = (0..size).map(token).collect();
    let kind = |id| if special(id).is_some() { CONTROL } else { NORMAL };
    let kinds = (0..size).map(kind).collect();
    let text = |text: &str| Value::String(text.to_owned());
    writer
        .key("tokenizer.ggml.model", text("gpt2"))
        .key("tokenizer.ggml.pre", text("joyai-llm"))
        .key("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)))
        .key("tokenizer.ggml.token_type", Value::Array(Array::I32(kinds)))
        .key("tokenizer.ggml.merges", Value::Array(Array::String(StringArray::default())))
        .key("tokenizer.ggml.bos_token_id", Value::U32(0))
        .key("tokenizer.ggml.eos_token_id", Value::U32(1))
        .key("tokenizer.ggml.padding_token_id", Value::U32(2))
        .key("tokenizer.ggml.add_bos_token", Value::Bool(false));
}

/// The characters by which byte-level vocabularies write the 256 bytes: printable Latin-1 stands
/// for itself, the others for U+0100 and up, in order.
fn byte_symbols() -> impl Iterator<Item = char> {
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = 256 - (0..256).filter(printable).count() as u32;
    let moved = 0x100..0x100 + others;
    (0..256).filter(printable).chain(moved).filter_map(char::from_u32)
}
