//! The command line: one table (clap) from which parsing, help, completions and man pages come.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{complete, imatrix, inspect, quantize, run, tokenize};

/// Shown after the long help and in the man page.
const NOTES: &str = "\
Examples:
  ds4 -p \"Why is the sky blue?\"
  ds4 -m flash.gguf --nothink -p \"Name three rivers\" --seed 1
  git diff | ds4 -p \"Review this change:\" --prompt-file -
  ds4 --json --quiet --prompt-file question.txt > answer.json
  ds4 inspect flash.gguf

Which model: -m FILE, or the name of a file in the models folder; else DS4_MODEL; else \
default.gguf of the models folder, or its only model; else the demo model inside the program. The \
folder is $XDG_DATA_HOME/ds4/models (without that ~/.local/share/ds4/models; on macOS \
~/Library/Application Support/ds4/models).

Output: the answer goes to standard output, everything else to standard error. Reasoning is shown \
(faint) on a terminal only, unless --show-thinking asks for it. NO_COLOR turns colours off.

Exit codes: 0 done (also when the reader of the output goes away); 1 something failed, the message \
says what to do; 2 the command line cannot be used; 130 interrupted (Ctrl-C, once: what was \
generated is kept and a summary printed; twice: at once).";

/// Local inference for DeepSeek V4 (Flash and PRO): private, offline, long context.
#[derive(Parser)]
#[command(name = "ds4", version, args_conflicts_with_subcommands = true, after_long_help = NOTES)]
#[command(after_help = "`ds4 --help` says more: examples, choice of model, exit codes.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// `ds4 -p ...` is `ds4 run -p ...`.
    #[command(flatten)]
    run: Box<run::RunArgs>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer a prompt (also without the word `run`), or compute the logits of token ids.
    #[command(after_long_help = NOTES)]
    Run(Box<run::RunArgs>),
    /// Show what a model file holds, what it costs to run, and what is wrong with it.
    Inspect(inspect::InspectArgs),
    /// Make a quantised model file from a checkpoint or another model file.
    Quantize(quantize::QuantizeArgs),
    /// Measure which columns of the weights matter, for quantize.
    Imatrix(imatrix::ImatrixArgs),
    /// Turn text or a conversation into token ids.
    Tokenize(tokenize::TokenizeArgs),
    /// Print a completion script for a shell.
    Completions(complete::CompletionsArgs),
    /// Write man pages into a folder.
    Man(complete::ManArgs),
}

/// A command line that clap takes but that cannot be used.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nFor more information, try '--help'.", self.0)
    }
}

impl std::error::Error for Usage {}

impl Cli {
    /// Runs the chosen command.
    pub fn dispatch(self) -> anyhow::Result<ExitCode> {
        let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
        match self.command {
            Some(Command::Run(args)) => args.run(),
            Some(Command::Inspect(args)) => done(args.run()),
            Some(Command::Quantize(args)) => done(args.run()),
            Some(Command::Imatrix(args)) => done(args.run()),
            Some(Command::Tokenize(args)) => done(args.run()),
            Some(Command::Completions(args)) => done(args.run(&mut Self::command())),
            Some(Command::Man(args)) => done(args.run(Self::command())),
            None => self.run.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        Cli::command().debug_assert();
    }
}
