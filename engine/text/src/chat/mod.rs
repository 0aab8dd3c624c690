//! Conversations to prompts (spec/chat.md 2 to 7).

mod error;
mod from_json;
mod message;
mod options;
mod prompt;
pub mod prompts;
mod render;
mod turns;

#[cfg(test)]
mod tests;

pub use error::ChatError;
pub use from_json::{Conversation, conversation, messages};
pub use message::{Message, Role, Task, Tool, ToolCall};
pub use options::{Checkpoint, Effort, RenderOptions, Style, ThinkingMode};
pub use prompt::Prompt;
pub use render::render;
