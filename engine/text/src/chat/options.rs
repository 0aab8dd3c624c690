//! How a conversation is rendered.

use super::error::ChatError;
use super::prompts::{EFFORT_EXHAUSTIVE, EFFORT_THOROUGH};
use crate::replay::Replay;

/// Which release of the model. Nothing in a model file tells; they differ in the effort texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checkpoint {
    /// The first release of Flash, and PRO.
    #[default]
    Preview,
    /// Flash 0731, and the vision variant.
    V0731,
}

/// Whether the model reasons before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThinkingMode {
    /// It answers at once.
    Chat,
    /// It reasons first.
    #[default]
    Thinking,
}

/// How much reasoning is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Little. Only later checkpoints know it.
    Low,
    /// Much.
    High,
    /// The most.
    Max,
}

/// Whose conventions a prompt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// The official ones, with the decisions of spec/chat.md 10.
    #[default]
    Official,
    /// Those of the reference engine (`--compat-ds4`): its tools text, before the system text, with
    /// schemas as the client wrote them; results joined by nothing and not sorted; every user
    /// message its own turn; developer and system messages gathered at the start; attributes
    /// escaped; no effort text but the first one.
    Ds4,
}

/// How a conversation is rendered.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderOptions<'a> {
    /// Which release of the model.
    pub checkpoint: Checkpoint,
    /// Whether the model reasons.
    pub thinking: ThinkingMode,
    /// How much, if anything is asked for. Has an effect in thinking mode only.
    pub effort: Option<Effort>,
    /// Keep the reasoning of all turns. Otherwise that before the last user message is dropped,
    /// unless tools are defined or have been called.
    pub keep_reasoning: bool,
    /// Continue a prompt that has begun already: no begin-of-sentence token.
    pub without_bos: bool,
    /// Whose conventions.
    pub style: Style,
    /// Blocks of calls that the model wrote itself, to be repeated as they were.
    pub replay: Option<&'a Replay>,
}

impl RenderOptions<'_> {
    /// The text that asks for the effort, in front of everything else.
    pub(super) fn effort_text(&self) -> Result<&'static str, ChatError> {
        let text = match (self.checkpoint, self.effort, self.style) {
            (Checkpoint::Preview, Some(Effort::Low), Style::Official) => {
                return Err(ChatError::EffortNotKnown);
            }
            (_, Some(Effort::Max), Style::Ds4) => EFFORT_THOROUGH,
            (_, _, Style::Ds4) => "",
            (Checkpoint::Preview, Some(Effort::Max), _) => EFFORT_THOROUGH,
            (Checkpoint::Preview, _, _) => "",
            (Checkpoint::V0731, None | Some(Effort::Low), _) => "",
            (Checkpoint::V0731, Some(Effort::High), _) => EFFORT_THOROUGH,
            (Checkpoint::V0731, Some(Effort::Max), _) => EFFORT_EXHAUSTIVE,
        };
        Ok(if self.thinking == ThinkingMode::Thinking { text } else { "" })
    }
}
