//! The tokenizer of a model file, in short.

use ds4_format::gguf::Metadata;
use ds4_text::{Special, Tokenizer, VocabularyMetadata};

/// What `ds4 inspect` tells about a tokenizer.
pub struct TokenizerSummary {
    /// Kind of vocabulary and of its splitting rules: `gpt2, joyai-llm`.
    pub kind: String,
    /// Tokens.
    pub tokens: usize,
    /// Merges.
    pub merges: usize,
    /// Control tokens of the chat format that are there, with their ids.
    pub specials: Vec<(&'static str, u32)>,
    /// Those that a chat needs and that are not there.
    pub missing: Vec<&'static str>,
}

/// Control tokens without which no chat can be held.
const NEEDED: [Special; 6] = [
    Special::Bos,
    Special::Eos,
    Special::User,
    Special::Assistant,
    Special::Think,
    Special::EndThink,
];

/// Builds the tokenizer as a run would.
///
/// # Errors
/// Why it cannot be built, and the summary of what is there as far as known; `None` in a file
/// without vocabulary.
pub fn summary(
    metadata: &Metadata,
    vocab: Option<usize>,
) -> Option<Result<TokenizerSummary, String>> {
    metadata.contains("tokenizer.ggml.tokens").then(|| built(metadata, vocab))
}

fn built(metadata: &Metadata, vocab: Option<usize>) -> Result<TokenizerSummary, String> {
    let fault = |error: ds4_format::gguf::GgufError| error.to_string();
    let tokens = metadata.array_str("tokenizer.ggml.tokens").map_err(fault)?;
    let merges = metadata.array_str("tokenizer.ggml.merges").map_err(fault)?;
    let types = metadata.array_i32("tokenizer.ggml.token_type").ok();
    let parts = VocabularyMetadata {
        model: metadata.str("tokenizer.ggml.model").ok(),
        pre: metadata.str("tokenizer.ggml.pre").ok(),
        token_types: types.as_deref(),
        bos: metadata.u32("tokenizer.ggml.bos_token_id").ok(),
        eos: metadata.u32("tokenizer.ggml.eos_token_id").ok(),
    };
    let tokenizer = Tokenizer::from_parts(tokens.iter(), merges.iter(), &parts)
        .map_err(|error| format!("tokenizer: {error}"))?;
    if let Some(vocab) = vocab.filter(|&vocab| vocab != tokens.len()) {
        return Err(format!(
            "tokenizer: {} tokens, but the model has a vocabulary of {vocab} \
             (deepseek4.vocab_size)",
            tokens.len()
        ));
    }
    let id = |special: Special| tokenizer.special(special).map(|id| (special.literal(), id));
    let missing = NEEDED.into_iter().filter(|&special| tokenizer.special(special).is_none());
    Ok(TokenizerSummary {
        kind: [parts.model, parts.pre].into_iter().flatten().collect::<Vec<_>>().join(", "),
        tokens: tokens.len(),
        merges: merges.len(),
        specials: Special::ALL.into_iter().filter_map(id).collect(),
        missing: missing.map(Special::literal).collect(),
    })
}
