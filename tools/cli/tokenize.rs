//! `ds4 tokenize`: text or conversations to token ids.

mod vocabulary;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use ds4_text::Tokenizer;
use ds4_text::chat::{self, Prompt, RenderOptions, prompts};
use ds4_text::json;

/// Arguments of `ds4 tokenize`.
#[derive(clap::Args)]
pub struct TokenizeArgs {
    /// Where the vocabulary comes from: a model file (GGUF) or a `tokenizer.json`.
    #[arg(short, long, value_name = "FILE", required_unless_present = "export_prompts")]
    model: Option<PathBuf>,
    /// The text. Without this, --file and --chat it is read from standard input.
    #[arg(short, long, value_name = "TEXT", conflicts_with_all = ["file", "chat"])]
    prompt: Option<String>,
    /// Read the text from a file.
    #[arg(short, long, value_name = "FILE", conflicts_with = "chat")]
    file: Option<PathBuf>,
    /// Special tokens written in the text count as such.
    #[arg(long, conflicts_with = "chat")]
    raw: bool,
    /// Render a conversation (JSON: a list of OpenAI messages, or an object with `messages`,
    /// `tools`, `response_format`, `checkpoint` and `options`); of a `.jsonl` file, one in each
    /// line.
    #[arg(long, value_name = "FILE")]
    chat: Option<PathBuf>,
    /// Print ids only, as a JSON list; one line for each text or conversation.
    #[arg(long)]
    ids: bool,
    /// With --chat: print ids and pieces instead of the rendered text.
    #[arg(long, requires = "chat", conflicts_with = "ids")]
    pieces: bool,
    #[command(flatten)]
    rendering: Rendering,
    /// Print every text that ds4 itself puts into prompts, and the control tokens, as JSON (for
    /// training).
    #[arg(long, exclusive = true)]
    export_prompts: bool,
}

/// How conversations are rendered. What is given here wins over the conversation's own fields.
#[derive(clap::Args)]
struct Rendering {
    /// Release of the model: its effort texts differ. Default: what the conversation says, else
    /// preview.
    #[arg(long, value_enum, requires = "chat")]
    checkpoint: Option<Checkpoint>,
    /// Whether the model reasons. Default: what the conversation says, else thinking.
    #[arg(long, value_enum, requires = "chat")]
    mode: Option<Mode>,
    /// How much reasoning is asked for.
    #[arg(long, value_enum, requires = "chat")]
    effort: Option<Effort>,
    /// Keep the reasoning of earlier turns, tools or not.
    #[arg(long, requires = "chat")]
    keep_reasoning: bool,
    /// Follow the conventions of the reference engine where they differ from the official ones.
    #[arg(long, requires = "chat")]
    compat_ds4: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Checkpoint {
    /// The first release of Flash, and PRO.
    Preview,
    /// Flash 0731 and later.
    #[value(name = "0731")]
    V0731,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// The model answers at once.
    Chat,
    /// The model reasons first.
    Thinking,
}

#[derive(Clone, Copy, ValueEnum)]
enum Effort {
    /// Little (0731 only).
    Low,
    /// Much.
    High,
    /// The most.
    Max,
}

impl TokenizeArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.export_prompts {
            return out.write_all(prompts::export_json().as_bytes()).context("cannot print");
        }
        let Some(model) = &self.model else { bail!("no vocabulary: name a file with -m FILE") };
        let tokenizer = vocabulary::load(model)?;
        if let Some(chat) = &self.chat {
            return self.conversations(&tokenizer, chat, &mut out);
        }
        let text = self.text()?;
        let mut ids = Vec::new();
        if self.raw {
            tokenizer.encode_raw(&text, &mut ids);
        } else {
            tokenizer.encode_text(&text, &mut ids);
        }
        let printed = if self.ids { id_list(&ids) } else { table(&tokenizer, &ids) };
        out.write_all(printed.as_bytes()).context("cannot print")
    }

    fn text(&self) -> anyhow::Result<String> {
        if let Some(text) = &self.prompt {
            return Ok(text.clone());
        }
        let (bytes, name) = match &self.file {
            Some(path) => (read(path)?, path.display().to_string()),
            None => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
                (bytes, "standard input".to_owned())
            }
        };
        utf8(bytes, &name)
    }

    fn conversations(
        &self,
        tokenizer: &Tokenizer,
        path: &Path,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let name = path.display().to_string();
        let text = utf8(read(path)?, &name)?;
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            let prompt = self.rendering.render(&text).context(name)?;
            let printed = self.conversation(tokenizer, &prompt)?;
            return out.write_all(printed.as_bytes()).context("cannot print");
        }
        // Lines end at "\n" only: strings may hold U+2028 and U+0085 as they are.
        for (index, line) in text.split('\n').enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let at = || format!("{name}, line {}", index + 1);
            let prompt = self.rendering.render(line).with_context(at)?;
            let printed = if self.ids || self.pieces {
                self.conversation(tokenizer, &prompt)?
            } else {
                json::string_text(&prompt.display_text()) + "\n"
            };
            out.write_all(printed.as_bytes()).context("cannot print")?;
        }
        Ok(())
    }

    fn conversation(&self, tokenizer: &Tokenizer, prompt: &Prompt) -> anyhow::Result<String> {
        if !self.ids && !self.pieces {
            return Ok(prompt.display_text() + "\n");
        }
        let mut ids = Vec::new();
        tokenizer.encode_pieces(prompt.pieces(), &mut ids)?;
        Ok(if self.ids { id_list(&ids) } else { table(tokenizer, &ids) })
    }
}

impl Rendering {
    fn render(&self, text: &str) -> anyhow::Result<Prompt> {
        let conversation = chat::conversation(&json::parse(text)?)?;
        let checkpoint = self.checkpoint.map(|checkpoint| match checkpoint {
            Checkpoint::Preview => chat::Checkpoint::Preview,
            Checkpoint::V0731 => chat::Checkpoint::V0731,
        });
        let thinking = self.mode.map(|mode| match mode {
            Mode::Chat => chat::ThinkingMode::Chat,
            Mode::Thinking => chat::ThinkingMode::Thinking,
        });
        let effort = self.effort.map(|effort| match effort {
            Effort::Low => chat::Effort::Low,
            Effort::High => chat::Effort::High,
            Effort::Max => chat::Effort::Max,
        });
        let options = RenderOptions {
            checkpoint: checkpoint.or(conversation.checkpoint).unwrap_or_default(),
            thinking: thinking.or(conversation.thinking).unwrap_or_default(),
            effort: effort.or(conversation.effort),
            keep_reasoning: self.keep_reasoning || conversation.keep_reasoning.unwrap_or(false),
            without_bos: conversation.without_bos.unwrap_or(false),
            style: if self.compat_ds4 { chat::Style::Ds4 } else { chat::Style::Official },
            replay: None,
        };
        Ok(chat::render(&conversation.messages, &options)?)
    }
}

/// The ids as a JSON list, in one line.
fn id_list(ids: &[u32]) -> String {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    format!("[{}]\n", ids.join(", "))
}

/// One line for each token: id, piece, and a mark on special tokens.
fn table(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut out = String::new();
    for id in ids {
        let piece = piece_text(tokenizer.token_bytes(*id));
        let mark = if tokenizer.is_special(*id) { "  special" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{id:>7}  {piece}{mark}");
    }
    let _ = writeln!(out, "{} tokens", ids.len());
    out
}

/// A token's bytes in quotes: text where they are text, other bytes as `\xE4`.
fn piece_text(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        out.extend(chunk.valid().chars().flat_map(char::escape_debug));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
    out + "\""
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn utf8(bytes: Vec<u8>, name: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| error.utf8_error())
        .with_context(|| format!("{name} is not UTF-8 text"))
}
