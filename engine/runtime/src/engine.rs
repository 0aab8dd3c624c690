//! A loaded model: programs by class, a pool of pages, lanes, and steps over them.

mod lanes;
mod memory;
mod step;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use ds4_format::quant::Quant;
use ds4_io::EngineOptions as ReadOptions;
use ds4_model::backend::{Backend, BackendError, PoolId};
use ds4_model::builder::PlanError;
use ds4_model::inventory::WeightId;
use ds4_model::kv::{KvError, KvLayout, RowFormat};
use ds4_model::placement::Placement;
use ds4_model::plan::{Plan, PlanClass};

use crate::load::{self, LoadError, Progress};
use crate::model_file::{ModelFile, OpenError};
use crate::pages::FreePages;
pub use lanes::{LaneId, LaneImage, OwnedLane};
pub use memory::{MemoryError, Needed, needed};
pub use step::{Extend, Pending, Program};

/// Changes every plan before it is prepared: experiments, and faults planted by tests.
pub type PlanEdit = Arc<dyn Fn(&mut Plan) + Send + Sync>;

/// How an engine is set up.
#[derive(Clone)]
pub struct EngineOptions {
    /// Tokens of context that each lane may reach.
    pub context: usize,
    /// Lanes: sequences that can be alive at once.
    pub lanes: usize,
    /// Tokens of a prefill step.
    pub chunk: usize,
    /// Row format of the cache.
    pub format: RowFormat,
    /// Tokens that can be taken back without a checkpoint.
    pub slack: usize,
    /// Applied to every plan.
    pub edit: Option<PlanEdit>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            context: 4096,
            lanes: 1,
            chunk: 2048,
            format: RowFormat::Packed,
            slack: 0,
            edit: None,
        }
    }
}

/// Why an engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Loading.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The back end.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The row format.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The forward pass does not fit the shape: an error of ours.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Weights, cache and activations do not fit.
    #[error(transparent)]
    Memory(Box<MemoryError>),
    /// No lane is free.
    #[error("all {0} lanes are in use; wait until a sequence ends, or start with more lanes")]
    NoLane(usize),
    /// A lane that is not in use.
    #[error("lane {0} is not in use")]
    UnknownLane(u32),
    /// A step of the lane failed: its cache is of no use.
    #[error("lane {0} was left by a step that failed; reset or restore it")]
    Broken(u32),
    /// A plan that was to sample did not: an error of ours.
    #[error("the step gave no token; this is a bug of ds4, please report it")]
    NothingSampled,
    /// A length that cannot be gone back to.
    #[error(
        "a lane of {now} tokens cannot go to {wanted}: it holds lengths from {floor} (left by a \
         failed step: {broken})"
    )]
    Rewind {
        /// length asked for
        wanted: usize,
        /// shortest possible one
        floor: usize,
        /// length now
        now: usize,
        /// whether a step failed
        broken: bool,
    },
    /// A saved lane does not fit this engine's layout.
    #[error("a saved lane of {length} tokens has {found} pages, {pages} are needed")]
    Image {
        /// tokens of it
        length: usize,
        /// pages it has
        found: usize,
        /// pages it should have
        pages: usize,
    },
    /// The lane is full.
    #[error(
        "the context of {context} tokens is full: {wanted} are needed; use a larger one (-c \
         {wanted})"
    )]
    Full {
        /// tokens of context
        context: usize,
        /// tokens wanted
        wanted: usize,
    },
    /// The context is longer than the model was made for.
    #[error(
        "a context of {wanted} tokens was asked for; this model was made for {maximum}: use -c \
         {maximum} or less"
    )]
    Context {
        /// tokens asked for
        wanted: usize,
        /// tokens the checkpoint was made for
        maximum: usize,
    },
}

/// A model on a back end.
pub struct Engine {
    /// The file it came from.
    pub model: ModelFile,
    /// Where its weights lie.
    pub placement: Arc<Placement>,
    /// What was asked for.
    pub options: EngineOptions,
    backend: Box<dyn Backend>,
    layout: Arc<KvLayout>,
    pool: PoolId,
    free: FreePages,
    lanes: Vec<lanes::Slot>,
    /// Lanes whose owners are gone.
    released: (Sender<LaneId>, Receiver<LaneId>),
    programs: HashMap<PlanClass, Program>,
    types: HashMap<WeightId, Quant>,
}

impl Engine {
    /// Opens a model file and loads it.
    ///
    /// # Errors
    /// What is wrong with the file, or does not fit the device.
    pub fn open(
        path: &Path,
        backend: Box<dyn Backend>,
        options: EngineOptions,
        progress: impl FnMut(Progress),
    ) -> Result<Self, EngineError> {
        Self::load(ModelFile::open(path)?, backend, options, progress)
    }

    /// Loads an opened model.
    ///
    /// # Errors
    /// As `open`.
    pub fn load(
        model: ModelFile,
        mut backend: Box<dyn Backend>,
        mut options: EngineOptions,
        progress: impl FnMut(Progress),
    ) -> Result<Self, EngineError> {
        options.chunk = options.chunk.max(1);
        let (wanted, maximum) = (options.context, model.shape.context);
        if wanted > maximum {
            return Err(EngineError::Context { wanted, maximum });
        }
        let layout = Arc::new(KvLayout::new(&model.shape, options.format, options.slack)?);
        memory::check(&model, backend.as_ref(), &layout, &options)?;
        let placement = load::load(&model, backend.as_mut(), ReadOptions::default(), progress)?;
        let pages = layout.pages(options.context) * options.lanes;
        let pool = backend.new_pool(layout.clone(), pages, options.lanes)?;
        Ok(Self {
            types: model.binding.weights().map(|weight| (weight.id, weight.quant)).collect(),
            free: FreePages::new(pages),
            lanes: (0..options.lanes).map(|_| lanes::Slot::default()).collect(),
            released: channel(),
            programs: HashMap::new(),
            model,
            placement,
            options,
            backend,
            layout,
            pool,
        })
    }

    /// The back end's name for people.
    pub fn device(&self) -> &str {
        &self.backend.caps().name
    }

    /// How the cache is laid out.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }
}
