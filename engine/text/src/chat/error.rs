//! What can be wrong with a conversation.

use crate::json::JsonError;

/// Why a conversation cannot be rendered. Paths are those of the request: `messages[3].content`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] JsonError),
    /// A field is missing or has the wrong kind of value.
    #[error("{path}: expected {expected}, found {found}")]
    Field {
        /// Where.
        path: String,
        /// What would work.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A part of a message's content that the model cannot read.
    #[error("{path}: parts of type {kind:?} cannot be used here; send text")]
    UnsupportedPart {
        /// Where.
        path: String,
        /// The part's type.
        kind: String,
    },
    /// A developer message without text.
    #[error("messages[{index}]: a developer message needs text")]
    EmptyDeveloper {
        /// Place in the list.
        index: usize,
    },
    /// An effort that the checkpoint does not know.
    #[error("effort \"low\" is not known to this checkpoint: use none, \"high\" or \"max\"")]
    EffortNotKnown,
}
