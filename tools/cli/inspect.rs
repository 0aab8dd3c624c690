//! `ds4 inspect`: what a model file holds, what it costs to run, and what is wrong with it.

mod files;
mod json;
mod report;
mod text;
mod tokenizer;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};

use files::Model;
use report::Report;

/// Contexts for which memory is shown unless others are asked for.
const CONTEXTS: [usize; 3] = [1 << 15, 1 << 17, 1 << 20];

/// Arguments of `ds4 inspect`.
#[derive(clap::Args)]
pub struct InspectArgs {
    /// The model file; of a split model the first part, or all parts in order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show the memory for a context of so many tokens (32768, 32k, 1M); may be repeated.
    #[arg(long, value_name = "TOKENS", value_parser = crate::units::tokens)]
    context: Vec<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    /// Runs the command. Prints everything that could be found out, then fails if anything is
    /// wrong.
    pub fn run(self) -> anyhow::Result<()> {
        let model = Model::open(&self.files);
        if !self.json && model.parts.is_empty() {
            bail!("{}", model.problems.join("\n"));
        }
        let contexts = if self.context.is_empty() { &CONTEXTS[..] } else { &self.context };
        let report = Report::new(&model, contexts);
        let printed = if self.json { json::print(&report) } else { text::print(&report) };
        std::io::stdout().write_all(printed.as_bytes()).context("cannot print")?;
        match report.problems.len() {
            0 => Ok(()),
            count => bail!("{}: {count} problem(s) found", self.files[0].display()),
        }
    }
}
