//! The command line: one table (clap) from which parsing, help, completions and man pages come.

use clap::{Parser, Subcommand};

use crate::{inspect, run, tokenize};

/// Local inference for DeepSeek V4 (Flash and PRO): private, offline, long context.
#[derive(Parser)]
#[command(name = "ds4", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// `ds4 -p ...` is `ds4 run -p ...`.
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Generate text from a prompt, or logits from token ids.
    Run(run::RunArgs),
    /// Show what a model file holds, what it costs to run, and what is wrong with it.
    Inspect(inspect::InspectArgs),
    /// Turn text or a conversation into token ids.
    Tokenize(tokenize::TokenizeArgs),
}

impl Cli {
    /// Runs the chosen command.
    pub fn dispatch(self) -> anyhow::Result<()> {
        match self.command {
            Some(Command::Run(args)) => args.run(),
            Some(Command::Inspect(args)) => args.run(),
            Some(Command::Tokenize(args)) => args.run(),
            None => self.run.run(),
        }
    }
}
