//! `ds4 quantize`: a checkpoint or a GGUF to a quantised GGUF.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use ds4_quantize::importance::Importance;
use ds4_quantize::recipe::{Mix, Override};
use ds4_quantize::source::Source;
use ds4_quantize::{Options, Progress, Summary, quantize};
use ds4_runtime::bytes::Bytes;

use crate::args::Usage;
use crate::terminal::{StatusLine, harmless, say};

/// Shown after the long help.
const NOTES: &str = "\
Profiles (type of gate and up, of down; the rest is Q8_0, F16 and F32 as in published files):
  q2      IQ2_XXS, Q2_K     q4  Q4_K      q2-q4  q2, with Q4_K from layer 37 on
  mxfp4   MXFP4 (lossless for FP4 sources)   q8  Q8_0
  q2-aproj-q4, q4-aproj-q4: the same with Q4_K attention projections

The work can be interrupted; the same command goes on. Until the end the file is called OUT.part.";

/// Arguments of `ds4 quantize`.
#[derive(clap::Args)]
#[command(after_long_help = NOTES)]
pub struct QuantizeArgs {
    /// Folder with safetensors shards, config.json and tokenizer.json; or a GGUF file (the first
    /// part of a split one).
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// File to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Mix of formats: q2, q4, q2-q4, q8, mxfp4, q2-aproj-q4, q4-aproj-q4.
    #[arg(long, value_name = "NAME", value_parser = mix)]
    profile: Mix,
    /// Another format for tensors of this name, `*` stands for anything:
    /// 'blk.*.attn_kv.weight=Q4_K'. May be repeated; the last one that fits counts.
    #[arg(long = "override", value_name = "NAME=TYPE")]
    overrides: Vec<String>,
    /// Importances of the columns, from `ds4 imatrix`.
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,
    /// Threads; 0 is one a core.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Replace OUT if it exists.
    #[arg(long)]
    force: bool,
}

fn mix(name: &str) -> Result<Mix, String> {
    let names: Vec<&str> = Mix::names().collect();
    Mix::from_name(name).ok_or_else(|| format!("there are {}", names.join(", ")))
}

impl QuantizeArgs {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let overrides: Vec<Override> = self
            .overrides
            .iter()
            .map(|text| Override::parse(text))
            .collect::<Result<_, _>>()
            .map_err(|error| Usage(error.to_string()))?;
        let options = Options {
            overrides,
            importance: self.imatrix.as_deref().map(Importance::read).transpose()?,
            threads: self.threads,
            force: self.force,
            ..Options::new(self.profile)
        };
        let source = Source::open(&self.source)?;
        let mut status = StatusLine::new(false);
        let summary = quantize(&source, &self.out, &options, &mut |progress| {
            status.show(|since| line(progress, since));
            ControlFlow::Continue(())
        })?;
        status.clear();
        self.report(&summary);
        Ok(())
    }

    fn report(&self, summary: &Summary) {
        for (quant, count, bytes) in &summary.formats {
            say(&format!("{quant:8} {count:5} tensors, {}", Bytes(*bytes)));
        }
        if summary.unguided > 0 {
            let path =
                self.imatrix.as_ref().map_or(String::new(), |path| path.display().to_string());
            say(&format!("{} quantised tensors have no importances in {path}", summary.unguided));
        }
        if !summary.unused.is_empty() {
            let names: Vec<&str> = summary.unused.iter().take(3).map(String::as_str).collect();
            let (count, names) = (summary.unused.len(), names.join(", "));
            say(&harmless(&format!("{count} tensors of the source were left out: {names}, ...")));
        }
        say(&format!("{} -> {}", Bytes(summary.file_bytes), self.out.display()));
    }
}

/// What is done, how fast, and how long the rest takes.
fn line(progress: Progress, since: Duration) -> String {
    let fresh = (progress.done - progress.resumed) as f64 / since.as_secs_f64();
    let left = (progress.total - progress.done) as f64 / fresh.max(1.0);
    let (done, total) = (Bytes(progress.done), Bytes(progress.total));
    let (minutes, seconds) = (left as u64 / 60, left as u64 % 60);
    format!("quantised {done} of {total}, {}/s, {minutes}:{seconds:02} left", Bytes(fresh as u64))
}
