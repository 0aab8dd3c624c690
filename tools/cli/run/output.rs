//! The answer as it comes: text on standard output, log-probabilities in a file, status on a
//! terminal.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use ds4_model::step::{Candidate, Sampled};
use ds4_runtime::answer::Event;
use ds4_runtime::generate::Flow;
use ds4_text::{Tokenizer, TurnEvent};
use serde_json::{Value, json};

use super::create;
use crate::interrupt::Interrupt;
use crate::terminal::{DIM, RESET, StatusLine, harmless, say, stdout_has_colour};

/// What is shown.
#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print one JSON object at the end: text, reasoning, tool calls, finish reason, usage,
    /// timings.
    #[arg(long)]
    pub json: bool,
    /// Print the reasoning too where standard output is no terminal, between <think> and </think>.
    #[arg(long, conflicts_with = "json")]
    show_thinking: bool,
    /// Write the log-probability of each token to a file, one JSON object in a line.
    #[arg(long, value_name = "FILE")]
    pub dump_logprobs: Option<PathBuf>,
    /// No progress and no summary: the answer and errors only.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Shows an answer while it is made.
pub struct Output<'a> {
    tokenizer: &'a Tokenizer,
    interrupt: Arc<Interrupt>,
    status: StatusLine,
    logprobs: Option<(BufWriter<File>, &'a PathBuf)>,
    /// Print text as it comes.
    text: bool,
    reasoning: bool,
    terminal: bool,
    colour: bool,
    in_reasoning: bool,
    /// Whether what was printed last ends with a line feed.
    line_ended: bool,
    prompt_tokens: usize,
    generated: usize,
    error: Option<anyhow::Error>,
}

impl<'a> Output<'a> {
    /// Opens the files.
    pub fn new(
        args: &'a OutputArgs,
        tokenizer: &'a Tokenizer,
        interrupt: Arc<Interrupt>,
        prompt_tokens: usize,
    ) -> anyhow::Result<Self> {
        let open = |path: &'a PathBuf| create(path).map(|file| (BufWriter::new(file), path));
        let terminal = std::io::stdout().is_terminal();
        Ok(Self {
            tokenizer,
            interrupt,
            status: StatusLine::new(args.quiet),
            logprobs: args.dump_logprobs.as_ref().map(open).transpose()?,
            text: !args.json,
            reasoning: terminal || args.show_thinking,
            terminal,
            colour: stdout_has_colour(),
            in_reasoning: false,
            line_ended: true,
            prompt_tokens,
            generated: 0,
            error: None,
        })
    }

    /// Shows what happens. Stops the answer when it cannot be written any more.
    pub fn event(&mut self, event: Event<'_>) -> Flow {
        let result = match event {
            Event::Prefill { done, total } => {
                self.interrupt.progress(done, 0);
                self.status.show(|since| {
                    let rate = done as f64 / since.as_secs_f64();
                    format!("prompt: {done} of {total} tokens, {rate:.1} tokens/s")
                });
                Ok(())
            }
            Event::Token { position, sampled, reasoning } => {
                self.token(position, sampled, reasoning)
            }
            Event::Turn(event) if self.text => self.turn(event),
            Event::Turn(_) => Ok(()),
        };
        match result {
            Ok(()) => Flow::Continue,
            Err(error) => {
                self.error.get_or_insert(error);
                Flow::Stop
            }
        }
    }

    /// Ends the text.
    ///
    /// # Errors
    /// What could not be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.status.clear();
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.text {
            self.end_reasoning()?;
            if !self.line_ended {
                self.print("\n")?;
            }
        }
        match self.logprobs.take() {
            Some((mut file, path)) => {
                file.flush().with_context(|| format!("cannot write {}", path.display()))
            }
            None => Ok(()),
        }
    }

    fn token(&mut self, position: usize, sampled: &Sampled, reasoning: bool) -> anyhow::Result<()> {
        self.generated += 1;
        let count = self.generated;
        self.interrupt.progress(self.prompt_tokens, count);
        if !self.terminal || !self.text {
            let what = if reasoning { "reasoning" } else { "answer" };
            self.status
                .show(|since| format!("{what}: {count} tokens, {:.1} s", since.as_secs_f64()));
        }
        let Some((file, path)) = &mut self.logprobs else { return Ok(()) };
        let candidates: Vec<Value> =
            sampled.candidates.iter().map(|each| candidate(self.tokenizer, each)).collect();
        let mut line = candidate(self.tokenizer, &sampled.token);
        line["position"] = json!(position);
        line["top"] = Value::Array(candidates);
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", path.display()))
    }

    fn turn(&mut self, event: &TurnEvent) -> anyhow::Result<()> {
        match event {
            TurnEvent::Reasoning(text) if self.reasoning => {
                self.begin_reasoning()?;
                self.print(text)
            }
            TurnEvent::Content(text) => {
                self.end_reasoning()?;
                self.print(text)
            }
            TurnEvent::CallStart { name, .. } => {
                self.status.clear();
                say(&format!(
                    "the model calls the tool {name:?}, which it was not offered; --json shows the \
                     call"
                ));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin_reasoning(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.in_reasoning, true) {
            return Ok(());
        }
        let opening = if self.colour { DIM } else { "<think>\n" };
        self.write(opening)
    }

    fn end_reasoning(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.in_reasoning, false) {
            return Ok(());
        }
        let line = if self.line_ended { "" } else { "\n" };
        let closing = if self.colour { RESET } else { "</think>" };
        self.line_ended = true;
        self.write(&format!("{line}{closing}\n"))
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.line_ended = text.ends_with('\n');
        if self.terminal {
            self.status.clear();
            return self.write(&harmless(text));
        }
        self.write(text)
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot print")
    }
}

/// A token, its text, and its bytes if they are no text.
fn candidate(tokenizer: &Tokenizer, candidate: &Candidate) -> Value {
    let bytes = tokenizer.token_bytes(candidate.token);
    let mut value = json!({
        "token": candidate.token,
        "text": String::from_utf8_lossy(bytes),
        // JSON has no infinities.
        "logprob": candidate.log_probability.max(f32::MIN),
    });
    if std::str::from_utf8(bytes).is_err() {
        value["bytes"] = json!(bytes);
    }
    value
}
