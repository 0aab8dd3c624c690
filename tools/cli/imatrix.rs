//! `ds4 imatrix`: which columns matter, measured on a text.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use ds4_quantize::importance::collect;
use ds4_runtime::tokenizer::tokenizer;

use crate::run::at_least_one;
use crate::run::load::{ModelArgs, Size};
use crate::run::prompt::read_file;
use crate::terminal::{StatusLine, say};

/// Arguments of `ds4 imatrix`.
#[derive(clap::Args)]
pub struct ImatrixArgs {
    /// File to write, for `ds4 quantize --imatrix`.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Text to measure on (UTF-8; `-` for standard input). Control tokens written in it are taken
    /// as such. Some 100,000 tokens of what the model will be used for are plenty, chats in the
    /// chat format among them.
    #[arg(long, value_name = "FILE", required_unless_present = "tokens")]
    text: Option<PathBuf>,
    /// Token ids instead of a text, separated by white space.
    #[arg(long, value_name = "FILE", conflicts_with = "text", hide_short_help = true)]
    tokens: Option<PathBuf>,
    /// Tokens of a sequence: the text is cut into sequences of so many, each from an empty context.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least_one)]
    sequence: usize,
    #[command(flatten)]
    model: ModelArgs,
}

impl ImatrixArgs {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let opened = self.model.open(false)?;
        let ids = self.ids(&opened)?;
        ensure!(!ids.is_empty(), "the text is empty: there is nothing to measure");
        let longest = self.sequence.min(opened.shape.context).min(ids.len());
        let texts: Vec<Vec<u32>> = ids.chunks(longest).map(<[u32]>::to_vec).collect();
        let size = Size { context: longest, lanes: 1, slack: 0 };
        let mut engine = self.model.load(opened, &size, false)?;
        let mut status = StatusLine::new(false);
        let chunk = self.model.chunk.min(longest);
        let importance = collect(&mut engine, &texts, chunk, |done| {
            status.show(|since| {
                let rate = done as f64 / since.as_secs_f64();
                format!("{done} of {} tokens, {rate:.1} tokens/s", ids.len())
            });
        })?;
        status.clear();
        importance.write(&self.out)?;
        let unseen =
            importance.counts().flat_map(|(_, counts)| counts).filter(|count| **count == 0);
        let unseen = unseen.count();
        if unseen > 0 {
            say(&format!(
                "{unseen} expert matrices saw no token (they get the layer's mean): \
                 a longer text would help"
            ));
        }
        let tensors = importance.counts().count();
        say(&format!("{} tokens, {tensors} tensors -> {}", ids.len(), self.out.display()));
        Ok(())
    }

    fn ids(&self, model: &ds4_runtime::model_file::ModelFile) -> anyhow::Result<Vec<u32>> {
        if let Some(path) = &self.tokens {
            let text = read_file(path)?;
            return crate::run::teacher::parse_ids(&text, model.shape.vocab)
                .with_context(|| path.display().to_string());
        }
        let path = self.text.clone().unwrap_or_default();
        let text = read_file(&path)?;
        let tokenizer = tokenizer(model.gguf.metadata(), model.shape.vocab)
            .with_context(|| model.path.display().to_string())?;
        let mut ids = Vec::new();
        tokenizer.encode_raw(&text, &mut ids);
        Ok(ids)
    }
}
