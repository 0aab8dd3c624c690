//! `ds4 run`: text from a prompt, or logits from token ids.

mod dump;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use ds4_cpu::{CpuBackend, CpuOptions};
use ds4_model::kv::RowFormat;
use ds4_model::step::{CancelToken, Sampling};
use ds4_runtime::diagnose::TeacherOptions;
use ds4_runtime::engine::{Engine, EngineOptions};
use ds4_runtime::generate::{Summary, generate};
use ds4_runtime::load::Progress;
use ds4_runtime::model_file::ModelFile;
use ds4_runtime::tokenizer::tokenizer;

/// Row format of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kv {
    /// FP8 and FP4 rows, as the model was trained (default).
    Packed,
    /// f32 rows without rounding: for proofs and diagnostics.
    Exact,
}

/// Arguments of `ds4 run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// Model file (GGUF; the first part of a split one).
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Prompt text.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// Take the prompt as it stands: no chat format, and special tokens written in it count.
    #[arg(long)]
    raw: bool,
    /// Tokens to generate at most.
    #[arg(short = 'n', long = "tokens-max", value_name = "N", default_value_t = 256)]
    limit: usize,
    /// Tokens of context; the default holds prompt and answer.
    #[arg(short, long, value_name = "TOKENS")]
    context: Option<usize>,
    /// Feed these token ids (text, separated by white space) and compute logits; nothing is generated.
    #[arg(long, value_name = "FILE", requires = "dump_logits")]
    tokens: Option<PathBuf>,
    /// With --tokens: where the logits go (safetensors; `logits`, positions x vocabulary).
    #[arg(long, value_name = "OUT", requires = "tokens")]
    dump_logits: Option<PathBuf>,
    /// With --tokens: dump intermediate tensors too, under the oracle's names.
    #[arg(long, requires = "tokens")]
    dump_tensors: bool,
    /// With --dump-tensors: positions at which the wide tensors are kept (`0,5,17`); all by default.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "dump_tensors")]
    dump_positions: Option<Vec<usize>>,
    /// Row format of the cache.
    #[arg(long, value_enum, default_value_t = Kv::Packed)]
    kv: Kv,
    /// Tokens of a prefill step.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    chunk: usize,
    /// With --tokens: lanes that run in the same steps, for tests; the first one is dumped.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "tokens")]
    lanes: usize,
    /// Threads of the CPU back end; 0 is one a core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Largest piece of weights in bytes, for tests of the split path.
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    max_binding: Option<u64>,
}

impl RunArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.chunk > 0, "--chunk must be at least 1");
        ensure!(self.lanes > 0, "--lanes must be at least 1");
        let Some(path) = &self.model else {
            bail!(
                "no model: name one with -m FILE (a DeepSeek V4 GGUF; `ds4 inspect FILE` shows what a file is)"
            );
        };
        let model = ModelFile::open(path)?;
        match (&self.tokens, &self.prompt) {
            (Some(tokens), _) => self.dump(model, tokens),
            (None, Some(prompt)) if self.raw => self.generate(model, prompt),
            (None, Some(_)) => bail!(
                "chat prompts come with the chat renderer; until then use --raw with the special tokens written out"
            ),
            (None, None) => bail!(
                "nothing to do: give a prompt with -p TEXT, or --tokens FILE --dump-logits OUT"
            ),
        }
    }

    fn engine(&self, model: ModelFile, context: usize, lanes: usize) -> anyhow::Result<Engine> {
        let defaults = CpuOptions::default();
        let backend = CpuBackend::new(&CpuOptions {
            threads: self.threads,
            max_binding: self.max_binding.unwrap_or(defaults.max_binding),
            memory_bytes: memory_available().unwrap_or(defaults.memory_bytes),
        })?;
        let options = EngineOptions {
            context,
            lanes,
            chunk: self.chunk,
            format: if self.kv == Kv::Exact { RowFormat::Exact } else { RowFormat::Packed },
            ..EngineOptions::default()
        };
        let mut shown = Loading::new();
        let engine =
            Engine::load(model, Box::new(backend), options, |progress| shown.show(progress))?;
        shown.end();
        Ok(engine)
    }

    fn generate(&self, model: ModelFile, prompt: &str) -> anyhow::Result<()> {
        let tokenizer = tokenizer(model.gguf.metadata(), model.shape.vocab)
            .with_context(|| model.path.display().to_string())?;
        let mut ids = Vec::new();
        tokenizer.encode_raw(prompt, &mut ids);
        ensure!(!ids.is_empty(), "the prompt is empty");
        let context = self.context.unwrap_or(ids.len() + self.limit);
        let mut engine = self.engine(model, context, 1)?;
        let limit = self.limit.min(context.saturating_sub(ids.len()) + 1);
        let lane = engine.new_lane()?;

        let mut decoder = tokenizer.decoder();
        let mut out = std::io::stdout().lock();
        let mut written = Ok(());
        let summary = generate(
            &mut engine,
            lane,
            &ids,
            limit,
            &Sampling::greedy(),
            &CancelToken::default(),
            |token| {
                if Some(token) == tokenizer.eos() && !self.raw {
                    return false;
                }
                written = out.write_all(decoder.push(token).as_bytes()).and_then(|()| out.flush());
                written.is_ok()
            },
        )?;
        if !is_broken_pipe(&written) {
            written?;
            writeln!(out, "{}", decoder.finish())?;
        }
        report(&engine, &summary);
        Ok(())
    }

    fn dump(&self, model: ModelFile, tokens: &PathBuf) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(tokens)
            .with_context(|| format!("cannot read {}", tokens.display()))?;
        let ids =
            parse_ids(&text, model.shape.vocab).with_context(|| tokens.display().to_string())?;
        let Some(out) = &self.dump_logits else { bail!("--tokens needs --dump-logits OUT") };
        let context = self.context.unwrap_or(ids.len());
        let mut engine = self.engine(model, context, self.lanes)?;
        let options =
            TeacherOptions { chunk: self.chunk, lanes: self.lanes, trace: self.dump_tensors };
        let start = Instant::now();
        let tensors = ds4_runtime::diagnose::teacher_forced(&mut engine, &ids, &options)?;
        let seconds = start.elapsed().as_secs_f64();
        dump::write(out, &ids, tensors, self.dump_positions.as_deref())?;
        eprintln!(
            "{} tokens, {:.1} tokens/s, {} -> {}",
            ids.len(),
            ids.len() as f64 / seconds,
            engine.device(),
            out.display()
        );
        Ok(())
    }
}

/// Token ids separated by white space.
fn parse_ids(text: &str, vocab: usize) -> anyhow::Result<Vec<u32>> {
    let id = |(i, word): (usize, &str)| -> anyhow::Result<u32> {
        let id: u32 =
            word.parse().with_context(|| format!("word {} is {word:?}, not a token id", i + 1))?;
        ensure!(
            (id as usize) < vocab,
            "token {id} (word {}) is not in the vocabulary of {vocab}",
            i + 1
        );
        Ok(id)
    };
    let ids: Vec<u32> = text.split_whitespace().enumerate().map(id).collect::<Result<_, _>>()?;
    ensure!(!ids.is_empty(), "there are no token ids in it");
    Ok(ids)
}

/// A reader that went away is no error: `ds4 ... | head` ends quietly.
fn is_broken_pipe(result: &std::io::Result<()>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// One line about speed, on stderr.
fn report(engine: &Engine, summary: &Summary) {
    let prefill = summary.prefill.as_secs_f64();
    eprint!(
        "{} prompt tokens in {:.0} ms ({:.1} tokens/s), {} generated",
        summary.prompt_tokens,
        prefill * 1e3,
        summary.prompt_tokens as f64 / prefill,
        summary.generated
    );
    if summary.generated > 1 {
        let rate = summary.tokens_per_second();
        eprint!(
            ", {rate:.1} tokens/s, {:.3} ms/token, {:.2} GB/s",
            1e3 / rate,
            summary.bytes_per_second() / 1e9
        );
    }
    eprintln!(", logits hash {:016x}, {}", summary.logits_hash, engine.device());
}

/// Memory that can be used without pushing others out, in bytes; `None` where the system does not say.
fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The loading line: only on a terminal, only when it takes long enough to read.
struct Loading {
    start: Instant,
    shown: Option<Instant>,
}

impl Loading {
    fn new() -> Self {
        Self { start: Instant::now(), shown: None }
    }

    fn show(&mut self, progress: Progress) {
        let due = self.shown.unwrap_or(self.start).elapsed().as_millis() > 200;
        if !due || !std::io::stderr().is_terminal() {
            return;
        }
        let rate = progress.done as f64 / self.start.elapsed().as_secs_f64() / 1e9;
        eprint!(
            "\rloading {:.1} of {:.1} GB, {rate:.1} GB/s ",
            progress.done as f64 / 1e9,
            progress.total as f64 / 1e9
        );
        self.shown = Some(Instant::now());
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
