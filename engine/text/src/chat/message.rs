//! What clients mean: messages, tools, calls.

use crate::json::Value;
use crate::special::Special;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Instructions at the start.
    System,
    /// Instructions as a user turn.
    Developer,
    /// The user.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A reminder that accompanies the user message after it.
    LatestReminder,
}

/// An internal task, asked for in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Choose whether to search.
    Action,
    /// Write search queries.
    Query,
    /// Judge authority.
    Authority,
    /// Name the domain.
    Domain,
    /// Write a title.
    Title,
    /// Read an address.
    ReadUrl,
}

impl Task {
    /// All of them, with their names in messages.
    pub const ALL: [(&'static str, Task); 6] = [
        ("action", Task::Action),
        ("query", Task::Query),
        ("authority", Task::Authority),
        ("domain", Task::Domain),
        ("title", Task::Title),
        ("read_url", Task::ReadUrl),
    ];

    /// The control token that asks for the task.
    pub fn special(self) -> Special {
        match self {
            Task::Action => Special::Action,
            Task::Query => Special::Query,
            Task::Authority => Special::Authority,
            Task::Domain => Special::Domain,
            Task::Title => Special::Title,
            Task::ReadUrl => Special::ReadUrl,
        }
    }
}

/// One message of a conversation. Fields that a role does not use are ignored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text; the text of a result for [`Role::Tool`].
    pub content: String,
    /// Assistant: the reasoning before the answer.
    pub reasoning: String,
    /// Assistant: the calls after the text.
    pub tool_calls: Vec<ToolCall>,
    /// Tool: which call this is the result of.
    pub tool_call_id: Option<String>,
    /// System, developer: tools that the model may call.
    pub tools: Vec<Tool>,
    /// System, developer: the form that the reply must have.
    pub response_format: Option<Value>,
    /// User, developer: an internal task instead of an answer.
    pub task: Option<Task>,
    /// Assistant: the turn is not finished; the model continues it.
    pub unfinished: bool,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The OpenAI `function` object: name, description, parameters ...
    pub function: Value,
    /// The client's text of it, if kept: the reference engine shows that instead.
    pub source: Option<String>,
}

/// A call that the model made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// Joins the call with its result.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, usually an object.
    pub arguments: String,
}
