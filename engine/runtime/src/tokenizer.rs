//! The tokenizer that a model file carries.

use ds4_format::gguf::{GgufError, Metadata};
use ds4_text::{Tokenizer, TokenizerError, VocabularyMetadata};

/// Why a model's tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// A key is missing or of another type.
    #[error("the file's tokenizer cannot be read: {0}")]
    Metadata(#[from] GgufError),
    /// Its contents do not fit together.
    #[error("the file's tokenizer cannot be used: {0}")]
    Tokenizer(#[from] TokenizerError),
    /// Fewer or more tokens than the model has logits.
    #[error("the file's tokenizer has {tokens} tokens, its model {vocab}")]
    Size {
        /// entries of the tokenizer
        tokens: usize,
        /// rows of the output matrix
        vocab: usize,
    },
}

/// Builds the tokenizer of a model with `vocab` logits from its metadata (spec/chat.md 1.1).
///
/// # Errors
/// If keys are missing, of another kind, or do not fit together.
pub fn tokenizer(metadata: &Metadata, vocab: usize) -> Result<Tokenizer, VocabularyError> {
    let tokens = metadata.array_str("tokenizer.ggml.tokens")?;
    if tokens.len() != vocab {
        return Err(VocabularyError::Size { tokens: tokens.len(), vocab });
    }
    let merges = metadata.array_str("tokenizer.ggml.merges")?;
    let types = match metadata.contains("tokenizer.ggml.token_type") {
        true => Some(metadata.array_i32("tokenizer.ggml.token_type")?),
        false => None,
    };
    let id = |key: &str| metadata.contains(key).then(|| metadata.u32(key)).transpose();
    let described = VocabularyMetadata {
        model: Some(metadata.str("tokenizer.ggml.model")?),
        pre: Some(metadata.str("tokenizer.ggml.pre")?),
        token_types: types.as_deref(),
        bos: id("tokenizer.ggml.bos_token_id")?,
        eos: id("tokenizer.ggml.eos_token_id")?,
    };
    Ok(Tokenizer::from_parts(tokens.iter(), merges.iter(), &described)?)
}
