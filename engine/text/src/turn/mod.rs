//! Reads what the model writes in one turn, token by token: reasoning, content, calls.
//!
//! The end of the turn, the border of the reasoning, and the tags of calls are recognised by token
//! id: a model that writes *about* `</think>` in ordinary tokens closes nothing. What has been
//! given out never has to be taken back: text that may still turn out to be a tag, a stop string,
//! the separator before a block or part of a character is held back.
//!
//! Invariant: the events put together do not depend on how the text is divided into tokens.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stop;

#[cfg(test)]
mod tests;

use crate::chat::prompts::SEPARATOR;
use crate::chat::{Prompt, ToolCall};
use crate::decode::StreamDecoder;
use crate::dsml::{BlockReader, Buffer, Form, Kind, Match, Progress, match_tag};
use crate::limits::TAG_BYTES_MAX;
use crate::special::Special;
use crate::tokenizer::Tokenizer;
use stop::StopFilter;

/// A part of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnEvent {
    /// More reasoning.
    Reasoning(String),
    /// More of the answer.
    Content(String),
    /// A call begins.
    CallStart {
        /// Number of the call in the turn.
        index: usize,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments: all parts together are JSON text.
    CallArguments {
        /// Number of the call in the turn.
        index: usize,
        /// The part.
        delta: String,
    },
    /// A call ends.
    CallEnd {
        /// Number of the call in the turn.
        index: usize,
        /// Whether it was written to its end. If not, the arguments are not JSON.
        complete: bool,
    },
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// The model ended it.
    EndOfTurn,
    /// A stop string was found: its number.
    StopString(usize),
    /// A block of calls was closed.
    ToolCalls,
    /// It was cut off: token limit, full context, cancelled.
    Cut,
}

/// How to read a turn.
#[derive(Debug, Clone, Default)]
pub struct TurnOptions {
    /// Whether the prompt ended with the opening of reasoning.
    pub thinking: bool,
    /// Texts that end the answer. They apply to content, not to reasoning and calls.
    pub stop: Vec<String>,
    /// Whether tools were offered: then calls count that are written without the marker token, if
    /// they stand at the start of a line and are followed by a call. Marked ones always count.
    pub tools: bool,
    /// Decode `&amp;` and the like in values, as the reference engine does (`--compat-ds4`).
    pub entities: bool,
}

/// The reader of one turn.
#[derive(Debug, Clone)]
pub struct TurnReader {
    tools: bool,
    entities: bool,
    decoder: StreamDecoder,
    stop: StopFilter,
    buffer: Buffer,
    phase: Phase,
    /// Whether the content given out so far ends with a newline, or there is none.
    at_line_start: bool,
    /// Whether any reasoning has been given out.
    has_reasoning: bool,
    calls: usize,
    block: Option<Prompt>,
    end: Option<TurnEnd>,
}

#[derive(Debug, Clone)]
enum Phase {
    /// `holds_block`: the buffer begins with a block of calls, which counts only if the reasoning
    /// is never closed.
    Reasoning {
        holds_block: bool,
    },
    Content,
    Block(Box<BlockReader>),
}

impl TurnReader {
    /// A reader at the start of a turn.
    pub fn new(options: &TurnOptions) -> Self {
        TurnReader {
            tools: options.tools,
            entities: options.entities,
            decoder: StreamDecoder::new(),
            stop: StopFilter::new(&options.stop),
            buffer: Buffer::default(),
            phase: if options.thinking {
                Phase::Reasoning { holds_block: false }
            } else {
                Phase::Content
            },
            at_line_start: true,
            has_reasoning: false,
            calls: 0,
            block: None,
            end: None,
        }
    }

    /// Adds a token; appends what it completes to `out`. Returns the reason if the turn has ended:
    /// nothing that comes later is read.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        id: u32,
        out: &mut Vec<TurnEvent>,
    ) -> Option<TurnEnd> {
        let special = Special::ALL.into_iter().find(|each| tokenizer.special(*each) == Some(id));
        match special {
            _ if tokenizer.eos() == Some(id) => self.push_special(Special::Eos, out),
            Some(special) => self.push_special(special, out),
            None => self.push_bytes(tokenizer.token_bytes(id), out),
        }
    }

    /// Adds the bytes of an ordinary token.
    pub fn push_bytes(&mut self, bytes: &[u8], out: &mut Vec<TurnEvent>) -> Option<TurnEnd> {
        if self.end.is_none() {
            let text = self.decoder.push(bytes);
            self.text(&text, out);
        }
        self.end
    }

    /// Adds a control token.
    pub fn push_special(&mut self, special: Special, out: &mut Vec<TurnEvent>) -> Option<TurnEnd> {
        if self.end.is_some() {
            return self.end;
        }
        let cut_character = self.decoder.finish();
        self.text(cut_character, out);
        match (special, &self.phase) {
            (Special::Dsml, _) => {
                self.flush_stop(out);
                self.buffer.push_mark();
                self.advance(out);
            }
            // Inside calls the tokens of reasoning are text.
            (Special::Think | Special::EndThink, Phase::Block(_)) => {
                self.text(special.literal(), out);
            }
            (Special::Think, Phase::Reasoning { .. }) if self.has_reasoning => {
                self.text(special.literal(), out);
            }
            // The model repeats the opening of its prompt.
            (Special::Think, Phase::Reasoning { .. }) => {}
            (Special::Think, Phase::Content) => {
                self.flush_content(out);
                self.phase = Phase::Reasoning { holds_block: false };
            }
            (Special::EndThink, Phase::Reasoning { .. }) => {
                let rest = self.buffer.take(self.buffer.text().len());
                self.reasoning(&rest, out);
                self.phase = Phase::Content;
            }
            (Special::EndThink, Phase::Content) => {}
            // All others are written by the template only: a model that writes one is done.
            _ => self.finish(TurnEnd::EndOfTurn, out),
        }
        self.end
    }

    /// Ends the turn and gives out what was held back. Does nothing if it has ended.
    pub fn finish(&mut self, end: TurnEnd, out: &mut Vec<TurnEvent>) {
        if self.end.is_some() {
            return;
        }
        let cut_character = self.decoder.finish();
        self.text(cut_character, out);
        if self.end.is_some() {
            return;
        }
        self.flush_stop(out);
        self.end = Some(end);
        self.flush(end == TurnEnd::Cut, out);
        if end == TurnEnd::EndOfTurn && self.calls > 0 {
            self.end = Some(TurnEnd::ToolCalls);
        }
    }

    /// Why the turn ended, if it has.
    pub fn end(&self) -> Option<TurnEnd> {
        self.end
    }

    /// The block of calls as it was written, with the separator before it, once it is closed. For
    /// [`Replay::remember`](crate::Replay::remember).
    pub fn block(&self) -> Option<&Prompt> {
        self.block.as_ref()
    }

    fn text(&mut self, text: &str, out: &mut Vec<TurnEvent>) {
        if self.stop.is_empty() {
            self.buffer.push_text(text);
            return self.advance(out);
        }
        // One character at a time: whether a stop string or the opening of a block comes first must
        // not depend on the division into tokens.
        let mut character = [0; 4];
        for next in text.chars() {
            if self.end.is_some() {
                return;
            }
            let next = next.encode_utf8(&mut character);
            // A stop string acts on content only; what follows a marker token in content is a tag.
            let content = matches!(self.phase, Phase::Content) && !self.buffer.has_mark_from(0);
            if !content {
                self.buffer.push_text(next);
                self.advance(out);
                continue;
            }
            let (ready, stop) = self.stop.push(next);
            self.buffer.push_text(&ready);
            self.advance(out);
            if let Some(number) = stop.filter(|_| self.end.is_none()) {
                self.end = Some(TurnEnd::StopString(number));
                self.flush(false, out);
            }
        }
    }

    fn flush_stop(&mut self, out: &mut Vec<TurnEvent>) {
        let held = self.stop.flush();
        if !held.is_empty() {
            self.buffer.push_text(&held);
            self.advance(out);
        }
    }

    /// Reads as far as the text goes.
    fn advance(&mut self, out: &mut Vec<TurnEvent>) {
        match &mut self.phase {
            Phase::Reasoning { .. } => self.advance_reasoning(out),
            Phase::Content => self.advance_content(out),
            Phase::Block(reader) => {
                if reader.advance(&mut self.buffer, out) == Progress::Closed {
                    self.close_block();
                }
            }
        }
    }

    fn advance_reasoning(&mut self, out: &mut Vec<TurnEvent>) {
        let Phase::Reasoning { holds_block } = &mut self.phase else { return };
        if *holds_block {
            return;
        }
        let (found, keep) = find_opening(&self.buffer, self.at_line_start, false, self.entities);
        let keep = separator_start(self.buffer.text(), keep);
        *holds_block = found.is_some();
        let ready = self.buffer.take(keep);
        self.reasoning(&ready, out);
    }

    fn advance_content(&mut self, out: &mut Vec<TurnEvent>) {
        let (found, keep) =
            find_opening(&self.buffer, self.at_line_start, self.tools, self.entities);
        let start = separator_start(self.buffer.text(), keep);
        let ready = self.buffer.take(start);
        self.content(&ready, out);
        if let Some(bytes) = found {
            self.open_block(keep - start + bytes, out);
        }
    }

    /// Begins to read calls; the first `bytes` of the buffer are the separator and the opening tag.
    fn open_block(&mut self, bytes: usize, out: &mut Vec<TurnEvent>) {
        let mut copy = Prompt::new();
        self.buffer.take_copying(bytes, &mut copy);
        let reader = BlockReader::new(self.calls, self.entities, copy);
        self.phase = Phase::Block(Box::new(reader));
        // What follows passes by the stop strings; what they hold already belongs to the block.
        let held = self.stop.flush();
        self.buffer.push_text(&held);
        self.advance(out);
    }

    fn close_block(&mut self) {
        if let Phase::Block(reader) = std::mem::replace(&mut self.phase, Phase::Content) {
            self.calls = reader.next_call();
            self.block = Some(reader.copy());
        }
        let called = self.calls > 0;
        self.end = Some(if called { TurnEnd::ToolCalls } else { TurnEnd::EndOfTurn });
    }

    /// Gives out what is held back when the turn ends.
    fn flush(&mut self, cut: bool, out: &mut Vec<TurnEvent>) {
        match &mut self.phase {
            Phase::Content => self.flush_content(out),
            Phase::Block(reader) => {
                reader.finish(&mut self.buffer, cut, out);
                self.calls = reader.next_call();
            }
            Phase::Reasoning { holds_block: false } => {
                let rest = self.take_without_partial_tag();
                self.reasoning(&rest, out);
            }
            Phase::Reasoning { holds_block: true } => self.recover_block(out),
        }
    }

    /// The reasoning was never closed, but holds a block of calls: a complete one counts.
    fn recover_block(&mut self, out: &mut Vec<TurnEvent>) {
        let (found, keep) = find_opening(&self.buffer, self.at_line_start, false, self.entities);
        let mut buffer = self.buffer.clone();
        let mut copy = Prompt::new();
        buffer.take_copying(keep + found.unwrap_or(0), &mut copy);
        let mut reader = BlockReader::new(self.calls, self.entities, copy);
        let mut events = Vec::new();
        let closed = reader.advance(&mut buffer, &mut events) == Progress::Closed;
        if closed && reader.next_call() > self.calls {
            self.calls = reader.next_call();
            self.block = Some(reader.copy());
            out.append(&mut events);
            let after = buffer.take(buffer.text().len());
            self.content(after.trim_start(), out);
        } else {
            let rest = self.buffer.take(self.buffer.text().len());
            self.reasoning(&rest, out);
        }
    }

    fn flush_content(&mut self, out: &mut Vec<TurnEvent>) {
        let held = self.stop.flush();
        self.buffer.push_text(&held);
        let rest = self.take_without_partial_tag();
        self.content(&rest, out);
    }

    /// All of the buffer, without the beginning of a tag at its end: half a tag is no text. A lone
    /// `<` and what may be a tag of another language stays.
    fn take_without_partial_tag(&mut self) -> String {
        let (_, keep) = find_opening(&self.buffer, false, false, self.entities);
        let text = self.buffer.take(self.buffer.text().len());
        let (before, partial) = text.split_at_checked(keep).unwrap_or((&text, ""));
        if !partial.contains('｜') {
            return text;
        }
        before.strip_suffix(SEPARATOR).unwrap_or(before).to_owned()
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<TurnEvent>) {
        if text.is_empty() {
            return;
        }
        self.has_reasoning = true;
        match out.last_mut() {
            Some(TurnEvent::Reasoning(last)) => last.push_str(text),
            _ => out.push(TurnEvent::Reasoning(text.to_owned())),
        }
    }

    fn content(&mut self, text: &str, out: &mut Vec<TurnEvent>) {
        if text.is_empty() {
            return;
        }
        self.at_line_start = text.ends_with('\n');
        match out.last_mut() {
            Some(TurnEvent::Content(last)) => last.push_str(text),
            _ => out.push(TurnEvent::Content(text.to_owned())),
        }
    }
}

/// Looks for the opening tag of a block. Returns its length if it is there, and where it, or what
/// may become one, begins (the end of the text if nowhere).
fn find_opening(
    buffer: &Buffer,
    at_line_start: bool,
    unmarked: bool,
    entities: bool,
) -> (Option<usize>, usize) {
    let text = buffer.text();
    for (at, _) in text.match_indices('<') {
        let tag = match match_tag(buffer, at, entities) {
            Match::Tag(tag) if tag.kind == Kind::Calls && !tag.closing => tag,
            Match::Partial => return (None, at),
            _ => continue,
        };
        if tag.form == Form::Marked {
            return (Some(tag.bytes), at);
        }
        let before = text.get(..at).unwrap_or_default();
        let line_start = if before.is_empty() { at_line_start } else { before.ends_with('\n') };
        if !unmarked || !line_start {
            continue;
        }
        match followed_by_call(buffer, at + tag.bytes, entities) {
            Match::Tag(_) => return (Some(tag.bytes), at),
            Match::Partial => return (None, at),
            Match::No => {}
        }
    }
    (None, text.len())
}

/// Whether a call or the end of the block follows, after white space.
fn followed_by_call(buffer: &Buffer, at: usize, entities: bool) -> Match {
    let rest = buffer.from(at);
    let space = rest.len() - rest.trim_start().len();
    if space == rest.len() {
        return if space <= TAG_BYTES_MAX { Match::Partial } else { Match::No };
    }
    match match_tag(buffer, at + space, entities) {
        Match::Tag(tag) if tag.kind == Kind::Invoke && !tag.closing => Match::Tag(tag),
        Match::Tag(tag) if tag.kind == Kind::Calls && tag.closing => Match::Tag(tag),
        Match::Partial => Match::Partial,
        _ => Match::No,
    }
}

/// Where the separator before byte `at` begins, as much of it as is there.
fn separator_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    if let Some(kept) = before.strip_suffix(SEPARATOR) {
        return kept.len();
    }
    let half = SEPARATOR.get(..1).unwrap_or_default();
    // Half a separator at the very end may become a whole one; before a tag it is content.
    if at == text.len() { before.strip_suffix(half).map_or(at, str::len) } else { at }
}

/// A turn put together from its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssistantTurn {
    /// The reasoning.
    pub reasoning: String,
    /// The answer.
    pub content: String,
    /// The calls, without ids.
    pub calls: Vec<ToolCall>,
    /// Whether the last call was cut off.
    pub incomplete: bool,
}

impl AssistantTurn {
    /// Adds an event.
    pub fn apply(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Reasoning(text) => self.reasoning.push_str(text),
            TurnEvent::Content(text) => self.content.push_str(text),
            TurnEvent::CallStart { name, .. } => {
                self.calls.push(ToolCall { name: name.clone(), ..Default::default() });
            }
            TurnEvent::CallArguments { index, delta } => {
                if let Some(call) = self.calls.get_mut(*index) {
                    call.arguments.push_str(delta);
                }
            }
            TurnEvent::CallEnd { complete, .. } => self.incomplete = !complete,
        }
    }
}
