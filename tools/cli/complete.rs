//! `ds4 completions` and `ds4 man`: made from the table of arguments.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap_complete::Shell;

/// Arguments of `ds4 completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    /// Runs the command.
    pub fn run(self, command: &mut clap::Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "ds4", &mut script);
        std::io::stdout().write_all(&script).context("cannot print")
    }
}

/// Arguments of `ds4 man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Where the pages go (ds4.1, ds4-run.1, ...); made if it does not exist. `man -l DIR/ds4.1`
    /// shows one.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl ManArgs {
    /// Runs the command.
    pub fn run(self, command: clap::Command) -> anyhow::Result<()> {
        let place = || {
            format!(
                "cannot write man pages to {}; name a folder you may write to",
                self.dir.display()
            )
        };
        std::fs::create_dir_all(&self.dir).with_context(place)?;
        clap_mangen::generate_to(command, &self.dir).with_context(place)
    }
}
