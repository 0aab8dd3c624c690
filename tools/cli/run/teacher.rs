//! `ds4 run --tokens`: logits and intermediate tensors of given tokens.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use ds4_runtime::diagnose::{TeacherOptions, teacher_forced};

use super::load::{ModelArgs, Size};
use super::{at_least_one, create, dump, prompt};
use crate::terminal::say;

/// Teacher forcing.
#[derive(clap::Args)]
#[command(next_help_heading = "Diagnostics")]
pub struct TeacherArgs {
    /// Feed these token ids (text, separated by white space) and compute logits; nothing is
    /// generated.
    #[arg(long, value_name = "FILE", requires = "dump_logits", hide_short_help = true)]
    pub tokens: Option<PathBuf>,
    /// With --tokens: where the logits go (safetensors; `logits`, positions x vocabulary).
    #[arg(long, value_name = "OUT", requires = "tokens", hide_short_help = true)]
    dump_logits: Option<PathBuf>,
    /// With --tokens: dump intermediate tensors too, under the oracle's names.
    #[arg(long, requires = "tokens", hide_short_help = true)]
    dump_tensors: bool,
    /// With --dump-tensors: positions at which the wide tensors are kept (`0,5,17`); all by
    /// default.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "dump_tensors",
        hide_short_help = true
    )]
    dump_positions: Option<Vec<usize>>,
    /// With --tokens: lanes that run in the same steps, for tests; the first one is dumped.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "tokens",
        hide_short_help = true
    )]
    #[arg(value_parser = at_least_one)]
    lanes: usize,
}

impl TeacherArgs {
    /// Runs the command.
    pub fn run(
        &self,
        model: &ModelArgs,
        tokens: &Path,
        context: Option<usize>,
    ) -> anyhow::Result<ExitCode> {
        let Some(out) = &self.dump_logits else { bail!("--tokens needs --dump-logits OUT") };
        let text = prompt::read_file(tokens)?;
        let opened = model.open(false)?;
        let ids =
            parse_ids(&text, opened.shape.vocab).with_context(|| tokens.display().to_string())?;
        let beyond = self.dump_positions.iter().flatten().find(|&&position| position >= ids.len());
        if let Some(position) = beyond {
            bail!(
                "--dump-positions names position {position}; the {} tokens have positions 0 to {}",
                ids.len(),
                ids.len() - 1
            );
        }
        drop(create(out)?);
        let size = Size { context: context.unwrap_or(ids.len()), lanes: self.lanes, slack: 0 };
        let mut engine = model.load(opened, &size, false)?;
        let options =
            TeacherOptions { chunk: model.chunk, lanes: self.lanes, trace: self.dump_tensors };
        let start = Instant::now();
        let tensors = teacher_forced(&mut engine, &ids, &options)?;
        let rate = ids.len() as f64 / start.elapsed().as_secs_f64();
        dump::write(out, &ids, tensors, self.dump_positions.as_deref())?;
        let (count, device) = (ids.len(), engine.device());
        say(&format!("{count} tokens, {rate:.1} tokens/s, {device} -> {}", out.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Token ids separated by white space.
pub fn parse_ids(text: &str, vocab: usize) -> anyhow::Result<Vec<u32>> {
    let id = |(i, word): (usize, &str)| -> anyhow::Result<u32> {
        let number = i + 1;
        let id: u32 =
            word.parse().with_context(|| format!("word {number} is {word:?}, not a token id"))?;
        let last = vocab.saturating_sub(1);
        ensure!(
            id as usize <= last,
            "token {id} (word {number}) is not in the vocabulary: this model has tokens 0 to {last}"
        );
        Ok(id)
    };
    let ids: Vec<u32> = text.split_whitespace().enumerate().map(id).collect::<Result<_, _>>()?;
    ensure!(
        !ids.is_empty(),
        "there are no token ids in it; write numbers separated by white space"
    );
    Ok(ids)
}
