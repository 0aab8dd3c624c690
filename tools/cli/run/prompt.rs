//! The prompt: where it comes from and how it is framed.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use ds4_runtime::answer::Reading;
use ds4_text::chat::{self, Message, RenderOptions, Role, ThinkingMode};
use ds4_text::{Tokenizer, TurnOptions};

use super::usage;
use crate::limits::PROMPT_BYTES_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checkpoint {
    /// The first release of Flash, and PRO.
    Preview,
    /// Flash 0731 and later.
    #[value(name = "0731")]
    V0731,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Effort {
    /// As --nothink.
    None,
    /// Little (0731 only).
    Low,
    /// Much.
    High,
    /// The most.
    Max,
}

/// What is asked.
#[derive(clap::Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// Prompt text.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// Read the prompt from a file, `-` for standard input; with -p it follows that text after an
    /// empty line. Without -p and --prompt-file a prompt is read from standard input, if that is a
    /// pipe or a file.
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "tokens")]
    prompt_file: Option<PathBuf>,
    /// Instructions in front of the conversation.
    #[arg(short, long, alias = "sys", value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// Take the prompt as it stands: no chat format, control tokens written in it count, and none
    /// of them ends the answer (use --stop). Greedy unless a sampling flag is given.
    #[arg(long, alias = "raw-prompt")]
    pub raw: bool,
    /// Reason before answering (the default).
    #[arg(long, conflicts_with_all = ["nothink", "raw"])]
    think: bool,
    /// Answer at once.
    #[arg(long, conflicts_with_all = ["effort", "think_budget", "raw"])]
    nothink: bool,
    /// How much reasoning is asked for [default: nothing is said].
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "raw")]
    effort: Option<Effort>,
    /// Close the reasoning after so many tokens.
    #[arg(long, value_name = "N", conflicts_with = "raw")]
    pub think_budget: Option<usize>,
    /// Release of the model: its effort texts differ [default: 0731 if the file's name says so,
    /// else preview].
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "raw")]
    checkpoint: Option<Checkpoint>,
}

impl PromptArgs {
    /// Refuses combinations that clap cannot see.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.effort == Some(Effort::None) && (self.think || self.think_budget.is_some()) {
            return Err(usage(
                "--effort none turns reasoning off; leave out --think and --think-budget",
            ));
        }
        Ok(())
    }

    /// The prompt's text.
    pub fn text(&self) -> anyhow::Result<String> {
        let stdin_is_terminal = std::io::stdin().is_terminal();
        let file = match (&self.prompt, &self.prompt_file) {
            (_, Some(path)) if path == Path::new("-") => Some(self.tidy(standard_input()?)),
            (_, Some(path)) => Some(self.tidy(read_file(path)?)),
            (None, None) if stdin_is_terminal => {
                return Err(usage(
                    "nothing to do: give a prompt with -p TEXT or --prompt-file FILE, or pipe one \
                     in",
                ));
            }
            (None, None) => Some(self.tidy(standard_input()?)),
            (Some(_), None) => None,
        };
        let parts = self.prompt.iter().cloned().chain(file);
        let text = parts.collect::<Vec<_>>().join("\n\n");
        let content = if self.raw { text.as_str() } else { text.trim() };
        if content.is_empty() {
            bail!("the prompt is empty: give some text with -p TEXT, --prompt-file FILE or a pipe");
        }
        Ok(text)
    }

    /// In the chat format the line feed at the end of a file is not part of what is asked.
    fn tidy(&self, mut text: String) -> String {
        if !self.raw && text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        text
    }

    /// The prompt's tokens, and how the answer is to be read.
    pub fn tokens(
        &self,
        text: String,
        tokenizer: &Tokenizer,
        model: &Path,
        stop: &[String],
    ) -> anyhow::Result<(Vec<u32>, Reading)> {
        let mut ids = Vec::new();
        if self.raw {
            tokenizer.encode_raw(&text, &mut ids);
            return Ok((ids, Reading::Raw { stop: stop.to_vec() }));
        }
        let thinking = !self.nothink && self.effort != Some(Effort::None);
        let options = RenderOptions {
            checkpoint: self.release(model),
            thinking: if thinking { ThinkingMode::Thinking } else { ThinkingMode::Chat },
            effort: match self.effort {
                None | Some(Effort::None) => None,
                Some(Effort::Low) => Some(chat::Effort::Low),
                Some(Effort::High) => Some(chat::Effort::High),
                Some(Effort::Max) => Some(chat::Effort::Max),
            },
            ..RenderOptions::default()
        };
        let system = self.system.iter().filter(|system| !system.is_empty());
        let message = |role, content| Message { role, content, ..Message::default() };
        let mut messages: Vec<Message> =
            system.map(|system| message(Role::System, system.clone())).collect();
        messages.push(message(Role::User, text));
        let prompt = chat::render(&messages, &options)?;
        tokenizer.encode_pieces(prompt.pieces(), &mut ids).with_context(|| {
            format!("{} cannot chat; --raw works without the chat format", model.display())
        })?;
        let turn = TurnOptions { thinking, stop: stop.to_vec(), ..TurnOptions::default() };
        Ok((ids, Reading::Turn(turn)))
    }

    fn release(&self, model: &Path) -> chat::Checkpoint {
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        match self.checkpoint {
            Some(Checkpoint::V0731) => chat::Checkpoint::V0731,
            None if name.contains("0731") => chat::Checkpoint::V0731,
            Some(Checkpoint::Preview) | None => chat::Checkpoint::Preview,
        }
    }
}

fn standard_input() -> anyhow::Result<String> {
    read(std::io::stdin().lock(), "standard input")
}

/// Reads a text file, at most `PROMPT_BYTES_MAX` of it.
pub fn read_file(path: &Path) -> anyhow::Result<String> {
    let name = path.display().to_string();
    if path.is_dir() {
        bail!("{name} is a folder: name a text file in it");
    }
    let file = File::open(path)
        .with_context(|| format!("cannot open {name}: check the path and its permissions"))?;
    read(file, &name)
}

fn read(source: impl Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    source
        .take(PROMPT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > PROMPT_BYTES_MAX {
        bail!(
            "{name} has more than {PROMPT_BYTES_MAX} bytes, which no context holds: give a shorter \
             text"
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!(
            "{name} is not UTF-8 text (byte {at}): convert it, for example with iconv -f latin1 -t \
             utf-8"
        )
    })
}
