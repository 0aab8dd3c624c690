//! Reads a block of calls, from after its opening tag to its closing tag, as its text arrives.
//!
//! Tolerant: white space is free, tags may be written in any form, closing tags that are missing
//! between calls are supplied, a missing `string` attribute is guessed from the value, text between
//! the tags is handed on as content. Nothing that was received is dropped but tags and the white
//! space around them.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::buffer::Buffer;
use super::escape::{Escape, decode_entities, read_value_escape};
use super::tag::{Form, Kind, Match, Tag, match_tag};
use crate::chat::Prompt;
use crate::json::{self, push_escaped, string_text};
use crate::limits::NESTED_PARAMETERS_MAX;
use crate::turn::TurnEvent;

/// Whether a block goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More text is needed.
    Open,
    /// The closing tag has been read.
    Closed,
}

/// The reader of one block.
#[derive(Debug, Clone)]
pub(crate) struct BlockReader {
    state: State,
    /// Number of the next call of the turn.
    next_call: usize,
    /// For each open object of the current call, outermost first: whether it has members.
    objects: Vec<bool>,
    /// Inside text that does not belong into a block: white space counts.
    in_junk: bool,
    /// Decode the entities that the reference engine decodes.
    entities: bool,
    /// What has been read, exactly.
    copy: Prompt,
}

#[derive(Debug, Clone)]
enum State {
    /// Between calls.
    Block,
    /// Inside a call, between parameters.
    Call,
    /// Inside a parameter.
    Value(Value),
}

/// A parameter's value so far.
#[derive(Debug, Clone)]
struct Value {
    /// The tag that closes it must have the form of the tag that opened it.
    form: Form,
    /// `Some(true)`: text; `Some(false)`: JSON; `None`: to be guessed.
    string: Option<bool>,
    /// Received and not given out: everything, or the end of a text.
    held: String,
    /// Where a tag of the block stands in `held` that does not belong into a value: the closing tag
    /// may have been forgotten. Nothing from here on is given out before the value ends.
    suspect: Option<usize>,
    /// Whether it has been found not to be an object written as nested parameters.
    plain: bool,
}

impl BlockReader {
    /// A reader that numbers calls from `first_call` on. `copy` is what precedes: the separator and
    /// the opening tag.
    pub(crate) fn new(first_call: usize, entities: bool, copy: Prompt) -> Self {
        BlockReader {
            state: State::Block,
            next_call: first_call,
            objects: Vec::new(),
            in_junk: false,
            entities,
            copy,
        }
    }

    /// What has been read, markers as control tokens.
    pub(crate) fn copy(self) -> Prompt {
        self.copy
    }

    /// The number of the next call of the turn.
    pub(crate) fn next_call(&self) -> usize {
        self.next_call
    }

    /// Reads as far as the text goes.
    pub(crate) fn advance(&mut self, buffer: &mut Buffer, out: &mut Vec<TurnEvent>) -> Progress {
        loop {
            let step = match &mut self.state {
                State::Value(_) => self.value(buffer, out),
                _ => self.structure(buffer, out),
            };
            match step {
                Step::Again => {}
                Step::Wait => return Progress::Open,
                Step::Closed => return Progress::Closed,
            }
        }
    }

    fn take(&mut self, buffer: &mut Buffer, bytes: usize) -> String {
        buffer.take_copying(bytes, &mut self.copy)
    }

    /// One step outside values.
    fn structure(&mut self, buffer: &mut Buffer, out: &mut Vec<TurnEvent>) -> Step {
        let text = buffer.text();
        let space = text.len() - text.trim_start().len();
        if !self.in_junk {
            self.take(buffer, space);
        }
        if buffer.is_empty() {
            return Step::Wait;
        }
        match match_tag(buffer, 0, self.entities) {
            Match::Tag(tag) => {
                self.in_junk = false;
                self.tag(tag, buffer, out)
            }
            Match::Partial => Step::Wait,
            Match::No => {
                // Text that does not belong here, up to what may be a tag.
                self.in_junk = true;
                let text = buffer.text();
                let end = text.char_indices().skip(1).find(|(_, character)| *character == '<');
                let end = end.map_or(text.len(), |(at, _)| at);
                let junk = self.take(buffer, end);
                push_content(out, &junk);
                Step::Again
            }
        }
    }

    fn tag(&mut self, tag: Tag, buffer: &mut Buffer, out: &mut Vec<TurnEvent>) -> Step {
        let text = self.take(buffer, tag.bytes);
        let in_call = matches!(self.state, State::Call);
        match (tag.kind, tag.closing) {
            (Kind::Calls, true) => {
                self.end_call(true, out);
                return Step::Closed;
            }
            (Kind::Invoke, true) => self.end_call(true, out),
            (Kind::Invoke, false) => {
                self.end_call(true, out);
                out.push(TurnEvent::CallStart { index: self.next_call, name: tag.name });
                self.next_call += 1;
                self.objects = vec![false];
                self.arguments("{", out);
                self.state = State::Call;
            }
            (Kind::Parameter, true) if self.objects.len() > 1 => {
                self.objects.pop();
                self.arguments("}", out);
            }
            (Kind::Parameter, false) if in_call => self.open_parameter(tag, out),
            // A closing tag without an opening one.
            (Kind::Parameter, true) => {}
            (Kind::Parameter | Kind::Calls, false) => push_content(out, &text),
        }
        Step::Again
    }

    fn open_parameter(&mut self, tag: Tag, out: &mut Vec<TurnEvent>) {
        let mut start = String::new();
        if let Some(has_members) = self.objects.last_mut() {
            start.push_str(if *has_members { ", " } else { "" });
            *has_members = true;
        }
        start.push_str(&string_text(&tag.name));
        start.push_str(": ");
        if tag.string == Some(true) {
            start.push('"');
        }
        self.arguments(&start, out);
        self.state = State::Value(Value {
            form: tag.form,
            string: tag.string,
            held: String::new(),
            suspect: None,
            plain: tag.string == Some(true),
        });
    }

    /// One step inside a value.
    fn value(&mut self, buffer: &mut Buffer, out: &mut Vec<TurnEvent>) -> Step {
        let State::Value(value) = &mut self.state else { return Step::Again };
        if !value.plain {
            match nested(buffer, value.form, self.entities) {
                Match::Partial => return Step::Wait,
                Match::Tag(_) if self.objects.len() < NESTED_PARAMETERS_MAX => {
                    self.objects.push(false);
                    self.arguments("{", out);
                    self.state = State::Call;
                    return Step::Again;
                }
                _ => value.plain = true,
            }
        }
        let decodes = value.string == Some(true) && !self.entities;
        let text = buffer.text();
        let next = text.find(|c: char| c == '<' || (c == '&' && decodes)).unwrap_or(text.len());
        if next > 0 {
            let taken = buffer.take_copying(next, &mut self.copy);
            self.accept(&taken, out);
            return Step::Again;
        }
        if text.is_empty() {
            return Step::Wait;
        }
        if text.starts_with('&') {
            return match read_value_escape(text) {
                Escape::Partial => Step::Wait,
                Escape::Not => self.accept_from(buffer, 1, None, out),
                Escape::Is(bytes, meaning) => self.accept_from(buffer, bytes, Some(meaning), out),
            };
        }
        match match_tag(buffer, 0, self.entities) {
            Match::Partial => Step::Wait,
            Match::Tag(tag) if tag.form == value.form => {
                if tag.closing && tag.kind == Kind::Parameter {
                    self.take(buffer, tag.bytes);
                    self.end_value(out);
                    return Step::Again;
                }
                value.suspect = value.suspect.or(Some(value.held.len()));
                self.accept_from(buffer, tag.bytes, None, out)
            }
            _ => self.accept_from(buffer, 1, None, out),
        }
    }

    /// Moves `bytes` of the buffer into the value, or what they stand for.
    fn accept_from(
        &mut self,
        buffer: &mut Buffer,
        bytes: usize,
        meaning: Option<&str>,
        out: &mut Vec<TurnEvent>,
    ) -> Step {
        let taken = self.take(buffer, bytes);
        self.accept(meaning.unwrap_or(&taken), out);
        Step::Again
    }

    /// Adds to the value; gives text out, all but a newline at its end, which belongs to the value
    /// only if its closing tag follows.
    fn accept(&mut self, text: &str, out: &mut Vec<TurnEvent>) {
        let State::Value(value) = &mut self.state else { return };
        value.held.push_str(text);
        if value.string == Some(true) && value.suspect.is_none() && !self.entities {
            let keep = usize::from(value.held.ends_with('\n'));
            let newline = value.held.split_off(value.held.len() - keep);
            let ready = std::mem::replace(&mut value.held, newline);
            self.string_part(&ready, out);
        }
    }

    fn string_part(&mut self, text: &str, out: &mut Vec<TurnEvent>) {
        let mut escaped = String::with_capacity(text.len());
        push_escaped(text, &mut escaped);
        self.arguments(&escaped, out);
    }

    fn end_value(&mut self, out: &mut Vec<TurnEvent>) {
        let State::Value(value) = std::mem::replace(&mut self.state, State::Call) else { return };
        let text = if self.entities && value.string != Some(false) {
            decode_entities(&value.held)
        } else {
            value.held
        };
        if value.string == Some(true) {
            self.string_part(&text, out);
            self.arguments("\"", out);
            return;
        }
        // JSON goes in as it stands; what is no JSON, or text without attribute, as a string.
        let kept = match json::parse(&text) {
            Ok(json::Value::String(_)) => value.string.is_some(),
            Ok(_) => true,
            Err(_) => false,
        };
        let text = if kept { text } else { string_text(&text) };
        self.arguments(&text, out);
    }

    fn end_call(&mut self, complete: bool, out: &mut Vec<TurnEvent>) {
        if self.objects.is_empty() {
            return;
        }
        let ends = "}".repeat(self.objects.len());
        if complete {
            self.arguments(&ends, out);
        }
        self.objects.clear();
        self.state = State::Block;
        out.push(TurnEvent::CallEnd { index: self.next_call.saturating_sub(1), complete });
    }

    /// Gives out a part of the arguments of the current call.
    fn arguments(&self, text: &str, out: &mut Vec<TurnEvent>) {
        if text.is_empty() {
            return;
        }
        let current = self.next_call.saturating_sub(1);
        match out.last_mut() {
            Some(TurnEvent::CallArguments { index, delta }) if *index == current => {
                delta.push_str(text);
            }
            _ => out.push(TurnEvent::CallArguments { index: current, delta: text.to_owned() }),
        }
    }

    /// The text ends here. With `cut` it was cut off (a limit), and a call whose closing tag is
    /// missing stays incomplete; else the model ended its turn, and tags that it forgot are
    /// supplied where what it wrote is whole.
    pub(crate) fn finish(&mut self, buffer: &mut Buffer, cut: bool, out: &mut Vec<TurnEvent>) {
        // What is left can only be the beginning of a tag or of an escape. Half a tag is no text;
        // inside a value a lone `<` is.
        let in_value = matches!(self.state, State::Value(_));
        let partial = match_tag(buffer, 0, self.entities) == Match::Partial;
        let rest = self.take(buffer, buffer.text().len());
        let part_of_tag = partial && (!in_value || rest.contains('｜'));
        if let State::Value(value) = &mut self.state {
            let tail_start = value.suspect.unwrap_or(value.held.len());
            let closed = value.suspect.is_some()
                && (part_of_tag || rest.is_empty())
                && only_closing_tags(value.held.get(tail_start..).unwrap_or_default());
            if closed {
                value.held.truncate(tail_start);
                if value.held.ends_with('\n') {
                    value.held.pop();
                }
                self.end_value(out);
                self.end_call(true, out);
                return;
            }
            if !part_of_tag {
                value.held.push_str(&rest);
            }
            let held = std::mem::take(&mut value.held);
            if value.string == Some(true) {
                self.string_part(&held, out);
            } else {
                self.arguments(&held, out);
            }
            self.end_call(false, out);
            return;
        }
        if !part_of_tag {
            push_content(out, &rest);
        }
        self.end_call(!cut, out);
    }
}

enum Step {
    Again,
    Wait,
    Closed,
}

/// Whether the value begins with the opening tag of a nested parameter.
fn nested(buffer: &Buffer, form: Form, entities: bool) -> Match {
    let text = buffer.text();
    let space = text.len() - text.trim_start().len();
    if space == text.len() && text.len() <= crate::limits::TAG_BYTES_MAX {
        return Match::Partial;
    }
    if !buffer.from(space).starts_with('<') {
        return Match::No;
    }
    match match_tag(buffer, space, entities) {
        Match::Tag(tag) if tag.closing || tag.kind != Kind::Parameter || tag.form != form => {
            Match::No
        }
        other => other,
    }
}

/// Whether `text` is the end of a block: closing tags of call and block, and white space.
fn only_closing_tags(text: &str) -> bool {
    let mut spelled = Buffer::default();
    spelled.push_text(text);
    loop {
        let text = spelled.text();
        let space = text.len() - text.trim_start().len();
        spelled.take(space);
        if spelled.is_empty() {
            return true;
        }
        match match_tag(&spelled, 0, false) {
            Match::Tag(tag) if tag.closing && tag.kind != Kind::Parameter => {
                spelled.take(tag.bytes);
            }
            _ => return false,
        }
    }
}

fn push_content(out: &mut Vec<TurnEvent>, text: &str) {
    if text.is_empty() {
        return;
    }
    match out.last_mut() {
        Some(TurnEvent::Content(last)) => last.push_str(text),
        _ => out.push(TurnEvent::Content(text.to_owned())),
    }
}
