//! Messages to a prompt: the official template, with the decisions of spec/chat.md 10.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::error::ChatError;
use super::message::{Message, Role, Task, Tool};
use super::options::{RenderOptions, Style, ThinkingMode};
use super::prompt::Prompt;
use super::prompts::{
    DS4_TOOLS_HEAD, DS4_TOOLS_TAIL, RESPONSE_FORMAT, RESULT_CLOSE, RESULT_CLOSE_ESCAPED,
    RESULT_OPEN, SEPARATOR, TOOLS_HEAD, TOOLS_TAIL,
};
use super::turns::{Turn, Turns};
use crate::dsml::write_calls;
use crate::json::{Value, dumps};
use crate::special::Special;

/// Renders a conversation. If its last message is one that asks (user, tool, developer), the
/// prompt ends with the opening of the answer.
pub fn render(messages: &[Message], options: &RenderOptions<'_>) -> Result<Prompt, ChatError> {
    for (index, message) in messages.iter().enumerate() {
        let empty = message.role == Role::Developer && message.content.is_empty();
        if empty && options.style == Style::Official {
            return Err(ChatError::EmptyDeveloper { index });
        }
    }
    let effort = options.effort_text()?;
    let turns = Turns::new(messages, options);
    let mut renderer = Renderer { options, turns: &turns, prompt: Prompt::new() };
    if !options.without_bos {
        renderer.prompt.special(Special::Bos);
    }
    if !turns.list.is_empty() {
        renderer.prompt.template(effort);
    }
    for place in 0..turns.list.len() {
        renderer.turn(place);
    }
    Ok(renderer.prompt)
}

struct Renderer<'a> {
    options: &'a RenderOptions<'a>,
    turns: &'a Turns<'a>,
    prompt: Prompt,
}

impl Renderer<'_> {
    fn turn(&mut self, place: usize) {
        let Some(turn) = self.turns.list.get(place) else { return };
        match turn {
            Turn::System(messages) => self.system(messages),
            Turn::User { blocks, .. } => self.user(blocks),
            Turn::Developer { message, .. } => {
                self.prompt.special(Special::User);
                self.prompt.text(&message.content);
                self.tools(&message.tools);
                self.format(message.response_format.as_ref());
            }
            Turn::Reminder(message) => {
                self.prompt.special(Special::LatestReminder);
                self.prompt.text(&message.content);
            }
            Turn::Assistant(message) => self.assistant(message, place),
        }
        if turn.asks() {
            self.transition(turn, place);
        }
    }

    fn system(&mut self, messages: &[&Message]) {
        let texts: Vec<&str> = messages
            .iter()
            .map(|message| message.content.as_str())
            .filter(|text| !text.is_empty())
            .collect();
        let tools: Vec<Tool> =
            messages.iter().flat_map(|message| message.tools.iter().cloned()).collect();
        if self.options.style == Style::Ds4 {
            self.ds4_tools(&tools);
            if !tools.is_empty() && !texts.is_empty() {
                self.prompt.text(SEPARATOR);
            }
            self.prompt.text(&texts.join(SEPARATOR));
        } else {
            self.prompt.text(&texts.join(SEPARATOR));
            self.tools(&tools);
        }
        for message in messages {
            self.format(message.response_format.as_ref());
        }
    }

    fn tools(&mut self, tools: &[Tool]) {
        if tools.is_empty() {
            return;
        }
        self.prompt.text(SEPARATOR);
        self.prompt.template(TOOLS_HEAD);
        let schemas: Vec<String> = tools.iter().map(|tool| dumps(&tool.function)).collect();
        self.prompt.text(&schemas.join("\n"));
        self.prompt.template(TOOLS_TAIL);
    }

    fn ds4_tools(&mut self, tools: &[Tool]) {
        if tools.is_empty() {
            return;
        }
        self.prompt.template(DS4_TOOLS_HEAD);
        let schemas: Vec<String> = tools
            .iter()
            .map(|tool| tool.source.clone().unwrap_or_else(|| dumps(&tool.function)))
            .collect();
        self.prompt.text(&schemas.join("\n"));
        self.prompt.template(DS4_TOOLS_TAIL);
    }

    fn format(&mut self, format: Option<&Value>) {
        if let Some(format) = format {
            self.prompt.text(SEPARATOR);
            self.prompt.template(RESPONSE_FORMAT);
            self.prompt.text(&dumps(format));
        }
    }

    fn user(&mut self, blocks: &[&Message]) {
        self.prompt.special(Special::User);
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 && self.options.style == Style::Official {
                self.prompt.text(SEPARATOR);
            }
            if block.role == Role::Tool {
                self.prompt.template(RESULT_OPEN);
                self.prompt.text(&block.content.replace(RESULT_CLOSE, RESULT_CLOSE_ESCAPED));
                self.prompt.template(RESULT_CLOSE);
            } else {
                self.prompt.text(&block.content);
            }
        }
    }

    fn assistant(&mut self, message: &Message, place: usize) {
        let before = place.checked_sub(1).and_then(|before| self.turns.list.get(before));
        let after_task = before.is_some_and(|turn| turn.task().is_some());
        if self.thinking() && !after_task && self.turns.shows_reasoning(place) {
            self.prompt.text(&message.reasoning);
            self.prompt.special(Special::EndThink);
        }
        self.prompt.text(&message.content);
        let sampled = self.options.replay.and_then(|replay| replay.find(&message.tool_calls));
        match sampled {
            Some(block) => self.prompt.append(block),
            None => write_calls(&message.tool_calls, self.options.style, &mut self.prompt),
        }
        if !message.unfinished {
            self.prompt.special(Special::Eos);
        }
    }

    fn thinking(&self) -> bool {
        self.options.thinking == ThinkingMode::Thinking
    }

    /// Opens the answer after a turn that asks, where one follows or is wanted.
    fn transition(&mut self, turn: &Turn<'_>, place: usize) {
        let next = place.checked_add(1).and_then(|next| self.turns.list.get(next));
        if !matches!(next, None | Some(Turn::Assistant(_) | Turn::Reminder(_))) {
            return;
        }
        let task = turn.task();
        if let Some(task) = task.filter(|task| *task != Task::Action) {
            self.prompt.special(task.special());
            return;
        }
        // An action thinks whether or not earlier reasoning is shown.
        let think = self.thinking() && (task.is_some() || self.turns.shows_reasoning(place));
        self.prompt.special(Special::Assistant);
        self.prompt.special(if think { Special::Think } else { Special::EndThink });
        if let Some(task) = task {
            self.prompt.special(task.special());
        }
    }
}
