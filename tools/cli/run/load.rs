//! Opening a model on a back end.

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use ds4_cpu::{CpuBackend, CpuOptions};
use ds4_model::kv::RowFormat;
use ds4_runtime::bytes::Bytes;
use ds4_runtime::engine::{Engine, EngineOptions};
use ds4_runtime::model_file::ModelFile;

use super::at_least_one;
use crate::limits::CHUNK_CPU;
use crate::models::Choice;
use crate::terminal::{StatusLine, say};
use crate::{demo, memory, models, units};

/// Row format of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kv {
    /// FP8 and FP4 rows, as the model was trained.
    Packed,
    /// f32 rows without rounding: for proofs and diagnostics.
    Exact,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendName {
    /// The best one of this build and machine.
    Auto,
    /// The processor: for diagnostics, slow.
    Cpu,
    /// Apple GPUs.
    Metal,
    /// GPUs of all makers.
    Vulkan,
    /// NVIDIA GPUs.
    Cuda,
}

/// Which model, and on what.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Model file (GGUF; the first part of a split one), or the name of a model in the models
    /// folder.
    #[arg(short, long, value_name = "FILE", env = "DS4_MODEL", hide_env_values = true)]
    model: Option<PathBuf>,
    /// What computes. This build has the CPU only.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = BackendName::Auto)]
    backend: BackendName,
    /// Which device of the back end, by number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    device: u32,
    /// Row format of the cache.
    #[arg(long, value_enum, default_value_t = Kv::Packed)]
    kv: Kv,
    /// Tokens of a prefill step: the more, the longer until Ctrl-C is seen.
    #[arg(long, value_name = "N", default_value_t = CHUNK_CPU, value_parser = at_least_one)]
    pub chunk: usize,
    /// Threads of the CPU back end; 0 is one a core.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Memory that may be used (500M, 24G) [default: what is available].
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    memory: Option<u64>,
    /// Largest piece of weights in bytes, for tests of the split path.
    #[arg(long, value_name = "BYTES", hide = true)]
    max_binding: Option<u64>,
}

/// Sizes of an engine.
pub struct Size {
    /// Tokens of context.
    pub context: usize,
    /// Sequences at once.
    pub lanes: usize,
    /// Tokens that can be taken back.
    pub slack: usize,
}

impl ModelArgs {
    /// Opens the chosen model; no weights are read yet. Says so, unless `quiet`, when it is the
    /// demo model for want of another.
    pub fn open(&self, quiet: bool) -> anyhow::Result<ModelFile> {
        self.check_backend()?;
        match models::choose(self.model.as_deref())? {
            Choice::File(path) => Ok(ModelFile::open(&path)?),
            Choice::Demo { named } => {
                if !named && !quiet {
                    say(&models::about_demo());
                }
                Ok(demo::open()?)
            }
        }
    }

    /// Loads an opened model.
    pub fn load(&self, model: ModelFile, size: &Size, quiet: bool) -> anyhow::Result<Engine> {
        let defaults = CpuOptions::default();
        let memory_bytes = self.memory.or_else(memory::available);
        let backend = CpuBackend::new(&CpuOptions {
            threads: self.threads,
            max_binding: self.max_binding.unwrap_or(defaults.max_binding),
            memory_bytes: memory_bytes.unwrap_or(defaults.memory_bytes),
        })?;
        let options = EngineOptions {
            context: size.context,
            lanes: size.lanes,
            slack: size.slack,
            chunk: self.chunk,
            format: if self.kv == Kv::Exact { RowFormat::Exact } else { RowFormat::Packed },
            ..EngineOptions::default()
        };
        let mut status = StatusLine::new(quiet);
        let engine = Engine::load(model, Box::new(backend), options, |progress| {
            status.show(|since| {
                let rate = progress.done as f64 / since.as_secs_f64();
                let (done, total) = (Bytes(progress.done), Bytes(progress.total));
                format!("loading {done} of {total}, {}/s", Bytes(rate as u64))
            });
        })?;
        Ok(engine)
    }

    fn check_backend(&self) -> anyhow::Result<()> {
        if !matches!(self.backend, BackendName::Auto | BackendName::Cpu) {
            let name = self.backend.to_possible_value();
            let name = name.as_ref().map_or("", clap::builder::PossibleValue::get_name);
            bail!(
                "this build of ds4 has no {name} back end, only cpu: leave --backend out, or use \
                 --backend cpu"
            );
        }
        if self.device != 0 {
            bail!("the CPU back end has one device, 0: leave --device out");
        }
        Ok(())
    }
}
