//! Messages as the model sees them: gathered, merged, sorted, and without the reasoning that is
//! dropped (spec/chat.md 2, 3, 7 and the decisions of 10).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::HashMap;

use super::message::{Message, Role, Task};
use super::options::{RenderOptions, Style, ThinkingMode};

/// A part of the rendered conversation.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// The system messages at the start.
    System(Vec<&'a Message>),
    /// Adjacent user messages and tool results.
    User { blocks: Vec<&'a Message>, task: Option<Task> },
    /// A developer message, or a system message in mid conversation (`kept` whatever is dropped).
    Developer { message: &'a Message, kept: bool },
    /// A reminder.
    Reminder(&'a Message),
    /// An answer.
    Assistant(&'a Message),
}

impl Turn<'_> {
    /// Whether an answer is expected after it.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Turn::User { .. } | Turn::Developer { .. })
    }

    pub(super) fn task(&self) -> Option<Task> {
        match self {
            Turn::User { task, .. } => *task,
            Turn::Developer { message, .. } => message.task,
            _ => None,
        }
    }
}

/// The turns of a conversation, and what rendering must know about all of them.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    pub(super) list: Vec<Turn<'a>>,
    /// Whether the reasoning of all turns is shown.
    pub(super) keep_reasoning: bool,
    /// Place of the last turn that asks; nothing before it shows reasoning if that is dropped.
    pub(super) last_asking: Option<usize>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(messages: &'a [Message], options: &RenderOptions<'_>) -> Self {
        let mut list = gather(messages, options.style);
        if options.style == Style::Official {
            sort_results(&mut list);
        }
        let keep_reasoning = options.keep_reasoning || messages.iter().any(involves_tools);
        let thinking = options.thinking == ThinkingMode::Thinking;
        if let Some(last) = last_asking(&list).filter(|_| thinking && !keep_reasoning) {
            let mut place = 0;
            list.retain(|turn| {
                place += 1;
                place > last || !matches!(turn, Turn::Developer { kept: false, .. })
            });
        }
        let last_asking = last_asking(&list);
        Turns { list, keep_reasoning, last_asking }
    }

    /// Whether the reasoning of the answer at or after `place` is shown.
    pub(super) fn shows_reasoning(&self, place: usize) -> bool {
        self.keep_reasoning || self.last_asking.is_none_or(|last| place >= last)
    }
}

fn last_asking(list: &[Turn<'_>]) -> Option<usize> {
    list.iter().rposition(Turn::asks)
}

/// The reference engine's rule, which contains the official one (tools defined).
fn involves_tools(message: &Message) -> bool {
    match message.role {
        Role::System | Role::Developer => !message.tools.is_empty(),
        Role::Assistant => !message.tool_calls.is_empty(),
        Role::Tool => true,
        Role::User | Role::LatestReminder => false,
    }
}

fn gather(messages: &[Message], style: Style) -> Vec<Turn<'_>> {
    let official = style == Style::Official;
    let mut system = Vec::new();
    let mut list: Vec<Turn<'_>> = Vec::new();
    for message in messages {
        match message.role {
            Role::System if list.is_empty() || !official => system.push(message),
            Role::System if is_empty(message) => {}
            Role::System => list.push(Turn::Developer { message, kept: true }),
            Role::Developer if !official => system.push(message),
            Role::Developer => list.push(Turn::Developer { message, kept: false }),
            Role::LatestReminder => list.push(Turn::Reminder(message)),
            Role::Assistant => list.push(Turn::Assistant(message)),
            Role::User | Role::Tool => join_user(&mut list, message, official),
        }
    }
    if !system.is_empty() {
        list.insert(0, Turn::System(system));
    }
    list
}

fn is_empty(message: &Message) -> bool {
    message.content.is_empty() && message.tools.is_empty() && message.response_format.is_none()
}

/// Adds a user message or a tool result, to the turn before it where they merge.
fn join_user<'a>(list: &mut Vec<Turn<'a>>, message: &'a Message, official: bool) {
    let is_result = message.role == Role::Tool;
    if let Some(Turn::User { blocks, task }) = list.last_mut() {
        let after_result = blocks.last().is_some_and(|last| last.role == Role::Tool);
        let merges = if official { is_result || task.is_none() } else { is_result && after_result };
        if merges {
            blocks.push(message);
            return;
        }
    }
    let task = if is_result { None } else { message.task };
    list.push(Turn::User { blocks: vec![message], task });
}

/// Puts the results of each turn into the order of the latest calls. User texts keep their places;
/// a result without a known call goes with the first one.
fn sort_results(list: &mut [Turn<'_>]) {
    let mut order: HashMap<&str, usize> = HashMap::new();
    for turn in list {
        match turn {
            Turn::Assistant(message) if !message.tool_calls.is_empty() => {
                let ids = message.tool_calls.iter().enumerate();
                order =
                    ids.filter_map(|(place, call)| Some((call.id.as_deref()?, place))).collect();
            }
            Turn::User { blocks, .. } if !order.is_empty() => {
                let place = |message: &Message| {
                    let id = message.tool_call_id.as_deref();
                    id.and_then(|id| order.get(id)).copied().unwrap_or(0)
                };
                let is_result = |message: &&&Message| message.role == Role::Tool;
                let mut results: Vec<&Message> = blocks.iter().filter(is_result).copied().collect();
                results.sort_by_key(|message| place(message));
                let mut results = results.into_iter();
                for block in blocks.iter_mut().filter(|block| block.role == Role::Tool) {
                    if let Some(next) = results.next() {
                        *block = next;
                    }
                }
            }
            _ => {}
        }
    }
}
