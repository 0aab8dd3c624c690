//! `ds4 run`: an answer to a prompt, or logits of token ids.

mod answer;
mod dump;
pub mod load;
mod output;
pub mod prompt;
mod report;
mod sampling;
pub mod teacher;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::Usage;
use crate::units;

/// Arguments of `ds4 run`.
#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    prompt: prompt::PromptArgs,
    #[command(flatten)]
    model: load::ModelArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    sampling: sampling::SamplingArgs,
    #[command(flatten)]
    output: output::OutputArgs,
    #[command(flatten)]
    teacher: teacher::TeacherArgs,
}

/// How long.
#[derive(clap::Args)]
#[command(next_help_heading = "Length")]
struct LimitArgs {
    /// Tokens to generate at most [default: until the model ends its turn or the context is full].
    #[arg(short = 'n', long = "tokens-max", value_name = "N", value_parser = at_least_one)]
    #[arg(allow_negative_numbers = true)]
    limit: Option<usize>,
    /// Tokens of context, prompt and answer together (32768, 32k, 1M) [default: 32k, more if the
    /// prompt needs it].
    #[arg(short, long, alias = "ctx", value_name = "TOKENS", value_parser = units::tokens)]
    context: Option<usize>,
    /// Text that ends the answer and is not shown; may be repeated (16 at most).
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

impl RunArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match &self.teacher.tokens {
            Some(tokens) => self.teacher.run(&self.model, tokens, self.limits.context),
            None => answer::run(&self),
        }
    }
}

/// A count that must not be 0.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "not a whole number of at least 1".to_owned())
}

/// A file for output, made before anything that takes long.
fn create(path: &PathBuf) -> anyhow::Result<std::fs::File> {
    std::fs::File::create(path).map_err(|error| {
        let shown = path.display();
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => "make its folder first",
            std::io::ErrorKind::IsADirectory => "it is a folder: name a file in it",
            _ => "name a file in a folder you may write to",
        };
        anyhow::anyhow!("cannot write {shown}: {error}; {advice}")
    })
}

/// A mistake on the command line that clap cannot see.
fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}
