//! Text to tokens and back for DeepSeek V4: tokenizer, prompts, thinking, tool syntax.
//!
//! Nothing here knows tensors, files or the operating system.

pub mod json;
pub mod limits;
pub mod split;

mod bpe;
mod decode;
mod error;
mod hash;
mod piece;
mod special;
mod tokenizer;

pub use decode::StreamDecoder;
pub use error::TokenizerError;
pub use piece::Piece;
pub use special::Special;
pub use tokenizer::{TokenDecoder, Tokenizer, VocabularyMetadata};
