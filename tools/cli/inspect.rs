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
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
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

/// A number of tokens: `32768`, `32k` (times 1,024) or `1M` (times 1,048,576).
fn tokens(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1_usize),
    };
    let max = ds4_model::limits::CONTEXT_MAX;
    let count = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    count
        .filter(|count| (1..=max).contains(count))
        .ok_or_else(|| format!("not a number of tokens from 1 to {max}, such as 32768, 32k or 1M"))
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn token_counts_have_units() {
        assert_eq!(tokens("1000"), Ok(1000));
        assert_eq!(tokens("32k"), Ok(32_768));
        assert_eq!(tokens("1M"), Ok(1 << 20));
        for bad in ["", "k", "0", "2M", "-1", "32q", "99999999999999999999k", "ä"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }
}
