//! Reads conversations in OpenAI's form, with DeepSeek's extensions (spec/chat.md 2).
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::error::ChatError;
use super::message::{Message, Role, Task, Tool, ToolCall};
use super::options::{Checkpoint, Effort, ThinkingMode};
use super::prompts::{SEPARATOR, UNSUPPORTED_PART};
use crate::json::{Value, dumps};

/// A conversation and what its JSON says about rendering; `None` where it says nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// The messages, request-level tools and response format attached to a system message.
    pub messages: Vec<Message>,
    /// `checkpoint`: "preview" or "0731".
    pub checkpoint: Option<Checkpoint>,
    /// `thinking_mode`: "chat" or "thinking".
    pub thinking: Option<ThinkingMode>,
    /// `effort`: "low", "high" or "max".
    pub effort: Option<Effort>,
    /// The opposite of `drop_thinking`.
    pub keep_reasoning: Option<bool>,
    /// The opposite of `add_default_bos`.
    pub without_bos: Option<bool>,
}

/// Reads a conversation: a list of messages, or an object with `messages` and, if wanted, `tools`,
/// `response_format`, `checkpoint`, and `options` with `thinking_mode`, `effort`, `drop_thinking`
/// and `add_default_bos`.
pub fn conversation(value: &Value) -> Result<Conversation, ChatError> {
    if value.as_array().is_some() {
        return Ok(Conversation { messages: messages(value)?, ..Default::default() });
    }
    let list = value.get("messages").ok_or_else(|| {
        wrong("messages", "a list of messages, or an object with one", value.kind())
    })?;
    let mut messages = messages(list)?;
    let tools = tools(value.get("tools"), "tools")?;
    let format = value.get("response_format").filter(|format| **format != Value::Null);
    if !tools.is_empty() || format.is_some() {
        if messages.first().is_none_or(|first| first.role != Role::System) {
            messages.insert(0, Message { role: Role::System, ..Default::default() });
        }
        if let Some(first) = messages.first_mut() {
            first.tools.extend(tools);
            first.response_format = first.response_format.take().or_else(|| format.cloned());
        }
    }
    let nothing = Value::Null;
    let options = value.get("options").unwrap_or(&nothing);
    let flag = |key| flag(options.get(key), &format!("options.{key}"));
    Ok(Conversation {
        messages,
        checkpoint: choice(
            value.get("checkpoint"),
            "checkpoint",
            "\"preview\" or \"0731\"",
            &[("preview", Checkpoint::Preview), ("0731", Checkpoint::V0731)],
        )?,
        thinking: choice(
            options.get("thinking_mode"),
            "options.thinking_mode",
            "\"chat\" or \"thinking\"",
            &[("chat", ThinkingMode::Chat), ("thinking", ThinkingMode::Thinking)],
        )?,
        effort: choice(
            options.get("effort"),
            "options.effort",
            "\"low\", \"high\", \"max\" or null",
            &[("low", Effort::Low), ("high", Effort::High), ("max", Effort::Max)],
        )?,
        keep_reasoning: flag("drop_thinking")?.map(|drop| !drop),
        without_bos: flag("add_default_bos")?.map(|add| !add),
    })
}

/// Reads a list of messages.
pub fn messages(value: &Value) -> Result<Vec<Message>, ChatError> {
    let list =
        value.as_array().ok_or_else(|| wrong("messages", "a list of messages", value.kind()))?;
    list.iter()
        .enumerate()
        .map(|(index, value)| message(value, &format!("messages[{index}]")))
        .collect()
}

fn message(value: &Value, path: &str) -> Result<Message, ChatError> {
    const ROLES: &str = "a role: system, developer, user, assistant, tool or latest_reminder";
    let role_path = format!("{path}.role");
    let role = choice(
        value.get("role"),
        &role_path,
        ROLES,
        &[
            ("system", Role::System),
            ("developer", Role::Developer),
            ("user", Role::User),
            ("assistant", Role::Assistant),
            ("tool", Role::Tool),
            ("latest_reminder", Role::LatestReminder),
        ],
    )?
    .ok_or_else(|| wrong(&role_path, ROLES, value.get("role").map_or("nothing", Value::kind)))?;
    let task = choice(
        value.get("task"),
        &format!("{path}.task"),
        "a task: action, query, authority, domain, title or read_url",
        &Task::ALL,
    )?;
    let format = value.get("response_format").filter(|format| **format != Value::Null);
    Ok(Message {
        role,
        content: content(value.get("content"), role, &format!("{path}.content"))?,
        reasoning: text(value.get("reasoning_content"), &format!("{path}.reasoning_content"))?
            .unwrap_or_default(),
        tool_calls: calls(value.get("tool_calls"), path)?,
        tool_call_id: text(value.get("tool_call_id"), &format!("{path}.tool_call_id"))?,
        tools: tools(value.get("tools"), &format!("{path}.tools"))?,
        response_format: format.cloned(),
        task,
        unfinished: flag(value.get("wo_eos"), &format!("{path}.wo_eos"))?.unwrap_or(false),
    })
}

/// The text of a content: a string; missing; null where a client may leave it out; or a list of
/// parts, whose texts are joined with nothing, those of a tool result with an empty line.
fn content(value: Option<&Value>, role: Role, path: &str) -> Result<String, ChatError> {
    let parts = match value {
        None => return Ok(String::new()),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Null) if !matches!(role, Role::User | Role::Developer) => {
            return Ok(String::new());
        }
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(wrong(path, "a string or a list of parts", other.kind())),
    };
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let here = format!("{path}[{index}]");
        texts.push(match (kind, role) {
            ("text", _) => text(part.get("text"), &format!("{here}.text"))?.unwrap_or_default(),
            (_, Role::Tool) => UNSUPPORTED_PART.replace("TYPE", kind),
            _ => return Err(ChatError::UnsupportedPart { path: here, kind: kind.into() }),
        });
    }
    Ok(texts.join(if role == Role::Tool { SEPARATOR } else { "" }))
}

fn calls(value: Option<&Value>, path: &str) -> Result<Vec<ToolCall>, ChatError> {
    let mut calls = Vec::new();
    for (index, call) in list(value, &format!("{path}.tool_calls"))?.iter().enumerate() {
        let here = format!("{path}.tool_calls[{index}]");
        let function = call
            .get("function")
            .ok_or_else(|| wrong(&format!("{here}.function"), "an object", "nothing"))?;
        let name_path = format!("{here}.function.name");
        calls.push(ToolCall {
            id: text(call.get("id"), &format!("{here}.id"))?,
            name: text(function.get("name"), &name_path)?
                .ok_or_else(|| wrong(&name_path, "the tool's name", "nothing"))?,
            // JSON text; an object in its place means the same.
            arguments: match function.get("arguments") {
                Some(Value::String(text)) => text.clone(),
                Some(other) => dumps(other),
                None => "{}".into(),
            },
        });
    }
    Ok(calls)
}

fn tools(value: Option<&Value>, path: &str) -> Result<Vec<Tool>, ChatError> {
    let mut tools = Vec::new();
    for (index, tool) in list(value, path)?.iter().enumerate() {
        let function = tool.get("function").filter(|function| function.as_object().is_some());
        let here = format!("{path}[{index}].function");
        let function = function.ok_or_else(|| wrong(&here, "an object", tool.kind()))?;
        tools.push(Tool { function: function.clone(), source: None });
    }
    Ok(tools)
}

fn list<'a>(value: Option<&'a Value>, path: &str) -> Result<&'a [Value], ChatError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(other) => Err(wrong(path, "a list", other.kind())),
    }
}

fn text(value: Option<&Value>, path: &str) -> Result<Option<String>, ChatError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(path, "a string", other.kind())),
    }
}

fn flag(value: Option<&Value>, path: &str) -> Result<Option<bool>, ChatError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong(path, "true or false", other.kind())),
    }
}

/// One of several words; `None` for a missing or null value.
fn choice<T: Copy>(
    value: Option<&Value>,
    path: &str,
    expected: &'static str,
    words: &[(&str, T)],
) -> Result<Option<T>, ChatError> {
    let Some(word) = text(value, path)? else { return Ok(None) };
    let found = words.iter().find(|(name, _)| *name == word);
    found
        .map(|(_, meaning)| Some(*meaning))
        .ok_or_else(|| wrong(path, expected, &format!("{word:?}")))
}

fn wrong(path: &str, expected: &'static str, found: &str) -> ChatError {
    ChatError::Field { path: path.into(), expected, found: found.into() }
}
