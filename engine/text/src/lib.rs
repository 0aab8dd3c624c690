//! Text to tokens and back for DeepSeek V4: tokenizer, prompts, thinking, tool syntax.
//!
//! Nothing here knows tensors, files or the operating system.

pub mod chat;
pub mod dsml;
pub mod json;
pub mod limits;
pub mod split;

mod bpe;
mod decode;
mod error;
mod hash;
mod piece;
mod replay;
mod special;
mod tokenizer;
mod turn;

pub use decode::StreamDecoder;
pub use error::TokenizerError;
pub use piece::Piece;
pub use replay::Replay;
pub use special::Special;
pub use tokenizer::{TokenDecoder, Tokenizer, VocabularyMetadata};
pub use turn::{AssistantTurn, TurnEnd, TurnEvent, TurnOptions, TurnReader};
