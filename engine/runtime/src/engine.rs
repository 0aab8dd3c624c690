//! A loaded model: programs by class, a pool of pages, lanes, and steps over them.

use std::collections::HashMap;
use std::ops::Add;
use std::path::Path;
use std::sync::Arc;

use ds4_format::quant::Quant;
use ds4_io::EngineOptions as ReadOptions;
use ds4_model::backend::{Backend, BackendError, PoolId, ProgramId};
use ds4_model::buffer::BufferId;
use ds4_model::builder::PlanError;
use ds4_model::cost::{Cost, CostModel};
use ds4_model::forward;
use ds4_model::inventory::WeightId;
use ds4_model::kv::{KvError, KvLayout, RowFormat};
use ds4_model::op::{ExpertChoice, Op};
use ds4_model::placement::Placement;
use ds4_model::plan::{LogitRows, Phase, Plan, PlanClass};
use ds4_model::step::{CancelToken, LaneRun, Sampling, StepInputs, StepResult, Token};

use crate::load::{self, LoadError, Progress};
use crate::model_file::{ModelFile, OpenError};
use crate::pages::FreePages;

/// Context bucket of short lanes; longer ones use powers of two.
const CONTEXT_MIN: usize = 512;

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
    #[error(
        "{device} has {available} bytes for weights and cache; this model needs {weights} bytes of weights and {cache} bytes of \
         cache for {lanes} x {context} tokens. A context of {context_max} tokens would fit (-c {context_max})"
    )]
    Memory {
        /// which device
        device: String,
        /// bytes it has
        available: u64,
        /// bytes of weights
        weights: u64,
        /// bytes of cache
        cache: u64,
        /// lanes asked for
        lanes: usize,
        /// tokens asked for
        context: usize,
        /// largest context that fits, 0 if the weights alone do not
        context_max: usize,
    },
    /// No lane is free.
    #[error("all {0} lanes are in use")]
    NoLane(usize),
    /// A lane that is not in use.
    #[error("lane {0} is not in use")]
    UnknownLane(u32),
    /// The lane is full.
    #[error(
        "the context of {context} tokens is full: {wanted} are needed; use a larger one (-c {wanted})"
    )]
    Full {
        /// tokens of context
        context: usize,
        /// tokens wanted
        wanted: usize,
    },
    /// The context is longer than the model was made for.
    #[error("a context of {wanted} tokens was asked for; this model was made for {maximum}")]
    Context {
        /// tokens asked for
        wanted: usize,
        /// tokens the checkpoint was made for
        maximum: usize,
    },
}

/// A lane in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId(u32);

#[derive(Debug, Default)]
struct Lane {
    length: usize,
    pages: Vec<u32>,
}

/// More tokens for a lane.
#[derive(Clone, Debug)]
pub struct Extend {
    /// Which lane.
    pub lane: LaneId,
    /// What follows.
    pub tokens: Vec<Token>,
    /// How to sample after it; `None` for a chunk that is not the last.
    pub sampling: Option<Sampling>,
}

/// A plan and its program.
#[derive(Clone)]
pub struct Program {
    /// What runs.
    pub plan: Arc<Plan>,
    id: ProgramId,
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
    lanes: Vec<Option<Lane>>,
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
        options: EngineOptions,
        progress: impl FnMut(Progress),
    ) -> Result<Self, EngineError> {
        let (wanted, maximum) = (options.context, model.shape.context);
        if wanted > maximum {
            return Err(EngineError::Context { wanted, maximum });
        }
        let layout = Arc::new(KvLayout::new(&model.shape, options.format, options.slack)?);
        check_memory(&model, backend.as_ref(), &layout, &options)?;
        let placement = load::load(&model, backend.as_mut(), ReadOptions::default(), progress)?;
        let pages = layout.pages(options.context) * options.lanes;
        let pool = backend.new_pool(layout.clone(), pages, options.lanes)?;
        Ok(Self {
            types: model.binding.weights().map(|weight| (weight.id, weight.quant)).collect(),
            free: FreePages::new(pages),
            lanes: (0..options.lanes).map(|_| None).collect(),
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

    /// Pages that no lane owns.
    pub fn pages_free(&self) -> usize {
        self.free.len()
    }

    /// An empty lane.
    ///
    /// # Errors
    /// If all are in use.
    pub fn new_lane(&mut self) -> Result<LaneId, EngineError> {
        let free = self.lanes.iter().position(Option::is_none);
        let lane = free.ok_or(EngineError::NoLane(self.lanes.len()))?;
        self.lanes[lane] = Some(Lane::default());
        Ok(LaneId(lane as u32))
    }

    /// Gives a lane and its pages back.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn drop_lane(&mut self, lane: LaneId) -> Result<(), EngineError> {
        let slot = self.lanes.get_mut(lane.0 as usize).and_then(Option::take);
        let mut owned = slot.ok_or(EngineError::UnknownLane(lane.0))?;
        self.free.release(&mut owned.pages);
        Ok(())
    }

    /// Tokens of a lane.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn length(&self, lane: LaneId) -> Result<usize, EngineError> {
        let slot = self.lanes.get(lane.0 as usize).and_then(Option::as_ref);
        slot.map(|lane| lane.length).ok_or(EngineError::UnknownLane(lane.0))
    }

    /// One step: more tokens for some lanes. `keep`: names of plan buffers whose values are wanted; those that the plan does
    /// not have are left out.
    ///
    /// # Errors
    /// After an error of the back end the lanes of the step must be dropped.
    pub fn extend(
        &mut self,
        extends: &[Extend],
        logits: LogitRows,
        keep: &[&str],
        cancel: &CancelToken,
    ) -> Result<(StepResult, Arc<Plan>), EngineError> {
        let mut runs = Vec::with_capacity(extends.len());
        for extend in extends {
            runs.push(self.run(extend)?);
        }
        let program = self.program(&runs, logits)?;
        let keep: Vec<BufferId> = keep.iter().filter_map(|name| program.plan.find(name)).collect();
        let inputs = StepInputs { runs, cancel: cancel.clone() };
        let ends: Vec<usize> = inputs.runs.iter().map(LaneRun::end).collect();
        let ticket = self.backend.submit(program.id, self.pool, inputs, &keep)?;
        let result = self.backend.wait(ticket)?;
        for (extend, end) in extends.iter().zip(ends) {
            if let Some(lane) = &mut self.lanes[extend.lane.0 as usize] {
                lane.length = end;
            }
        }
        Ok((result, program.plan))
    }

    /// Bytes and operations of decoding one token after another at these positions of one lane.
    ///
    /// # Errors
    /// If a plan cannot be recorded.
    pub fn decode_cost(&self, positions: std::ops::Range<usize>) -> Result<Cost, EngineError> {
        let mut total = Cost::default();
        let mut start = positions.start;
        while start < positions.end {
            let class = self.class(1, 1, start + 1, LogitRows::Last, true);
            let end = positions.end.min(class.context.max(start + 1));
            let plan = self.plan(class)?;
            let model = CostModel::new(&plan, &self.types)?;
            total = (start..end).map(|position| model.total(1, position)).fold(total, Cost::add);
            start = end;
        }
        Ok(total)
    }

    /// Bytes of one page of a lane, layer by layer.
    ///
    /// # Errors
    /// If the lane has no such page.
    pub fn read_page(&mut self, lane: LaneId, index: usize) -> Result<Vec<u8>, EngineError> {
        let slot = self.lanes.get(lane.0 as usize).and_then(Option::as_ref);
        let page = slot.and_then(|lane| lane.pages.get(index));
        let page = *page.ok_or(EngineError::UnknownLane(lane.0))?;
        Ok(self.backend.read_page(self.pool, page)?)
    }

    fn run(&mut self, extend: &Extend) -> Result<LaneRun, EngineError> {
        let id = extend.lane.0;
        let slot = self.lanes.get_mut(id as usize).and_then(Option::as_mut);
        let lane = slot.ok_or(EngineError::UnknownLane(id))?;
        let (wanted, context) = (lane.length + extend.tokens.len(), self.options.context);
        if wanted > context || !self.free.grow(&mut lane.pages, self.layout.pages(wanted)) {
            return Err(EngineError::Full { context, wanted });
        }
        Ok(LaneRun {
            lane: id,
            start: lane.length,
            tokens: extend.tokens.clone(),
            pages: lane.pages.clone(),
            sampling: extend.sampling.clone(),
        })
    }

    fn program(&mut self, runs: &[LaneRun], logits: LogitRows) -> Result<Program, EngineError> {
        let rows = runs.iter().map(|run| run.tokens.len()).sum();
        let longest = runs.iter().map(LaneRun::end).max().unwrap_or(0);
        let sample = logits != LogitRows::None && runs.iter().all(|run| run.sampling.is_some());
        let class = self.class(rows, runs.len(), longest, logits, sample);
        if let Some(program) = self.programs.get(&class) {
            return Ok(program.clone());
        }
        let plan = Arc::new(self.plan(class)?);
        let program = Program { id: self.backend.prepare(plan.clone())?, plan };
        self.programs.insert(class, program.clone());
        Ok(program)
    }

    /// The class of a step: rows, lanes and context rounded up to powers of two, so that few programs serve all steps.
    fn class(
        &self,
        rows: usize,
        lanes: usize,
        context: usize,
        logits: LogitRows,
        sample: bool,
    ) -> PlanClass {
        let context = context.next_power_of_two().max(CONTEXT_MIN);
        PlanClass {
            phase: if rows > lanes { Phase::Prefill } else { Phase::Decode },
            rows: rows.next_power_of_two(),
            lanes: lanes.next_power_of_two(),
            context: context.min(self.options.context),
            format: self.options.format,
            logits,
            sample,
        }
    }

    fn plan(&self, class: PlanClass) -> Result<Plan, EngineError> {
        let mut plan = forward::record(&self.model.shape, class)?;
        // A file may lack router biases: then there are none to add.
        plan.edit(|_, op| {
            if let Op::RouterSelect { choice: ExpertChoice::Score { bias }, .. } = op {
                *bias = bias.filter(|bias| self.types.contains_key(bias));
            }
        });
        if let Some(edit) = &self.options.edit {
            edit(&mut plan);
        }
        Ok(plan)
    }
}

/// Refuses before anything is loaded what cannot fit.
fn check_memory(
    model: &ModelFile,
    backend: &dyn Backend,
    layout: &KvLayout,
    options: &EngineOptions,
) -> Result<(), EngineError> {
    let caps = backend.caps();
    let weights = model.weight_bytes();
    let cache = (layout.bytes(options.context) * options.lanes) as u64;
    if weights.saturating_add(cache) <= caps.memory_bytes {
        return Ok(());
    }
    let left = caps.memory_bytes.saturating_sub(weights) / options.lanes.max(1) as u64;
    let fits = |&context: &usize| layout.bytes(context) as u64 <= left;
    let powers = (0..=options.context.ilog2()).rev().map(|power| 1 << power);
    Err(EngineError::Memory {
        device: caps.name.clone(),
        available: caps.memory_bytes,
        weights,
        cache,
        lanes: options.lanes,
        context: options.context,
        context_max: powers.filter(fits).find(|_| left > 0).unwrap_or(0),
    })
}
