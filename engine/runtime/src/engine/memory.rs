//! What weights, cache and activations need, known before anything is loaded.

use ds4_model::backend::Backend;
use ds4_model::forward;
use ds4_model::kv::KvLayout;
use ds4_model::plan::{LogitRows, Phase, Plan, PlanClass};

use super::{EngineError, EngineOptions};
use crate::bytes::Bytes;
use crate::model_file::ModelFile;

/// Bytes of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Weights, as they lie in the file; on a device 0.1% more at most.
    pub weights: u64,
    /// Pages and tails of all lanes.
    pub cache: u64,
    /// Activations of the largest step.
    pub activations: u64,
}

impl Needed {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.cache).saturating_add(self.activations)
    }
}

/// Why a model does not run: the numbers, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not enough memory: {model} needs {} ({} of weights, {} of cache for {lanes} x {context} \
     tokens, {} of activations); {device} has {}. {}",
    Bytes(needed.total()),
    Bytes(needed.weights),
    Bytes(needed.cache),
    Bytes(needed.activations),
    Bytes(*available),
    self.advice()
)]
pub struct MemoryError {
    /// The model's file name.
    pub model: String,
    /// Which device.
    pub device: String,
    /// Bytes it has.
    pub available: u64,
    /// Bytes that are needed.
    pub needed: Needed,
    /// Lanes asked for.
    pub lanes: usize,
    /// Tokens asked for.
    pub context: usize,
    /// The largest power of two of tokens that fits, 0 if the weights alone do not.
    pub context_max: usize,
}

impl MemoryError {
    fn advice(&self) -> String {
        if self.context_max > 0 {
            let context = self.context_max;
            return format!("A context of {context} tokens fits: use -c {context}");
        }
        let missing = self.needed.weights.saturating_sub(self.available);
        if missing == 0 {
            return "Close other programs, or use a smaller --chunk".to_owned();
        }
        format!(
            "The weights alone are {} too large: use a smaller quantisation of the model \
             (`ds4 inspect FILE` shows what a file needs), or a machine with more memory",
            Bytes(missing)
        )
    }
}

/// What an engine with these options needs.
///
/// # Errors
/// If a plan cannot be recorded.
pub fn needed(
    model: &ModelFile,
    layout: &KvLayout,
    options: &EngineOptions,
) -> Result<Needed, EngineError> {
    let rows = options.chunk.min(options.context).next_power_of_two();
    let class = PlanClass {
        phase: Phase::Prefill,
        rows,
        lanes: 1,
        context: options.context,
        format: options.format,
        logits: LogitRows::Last,
        sample: true,
    };
    let lanes = options.lanes as u64;
    Ok(Needed {
        weights: model.weight_bytes(),
        cache: (layout.bytes(options.context) as u64).saturating_mul(lanes),
        activations: peak_bytes(&forward::record(&model.shape, class)?),
    })
}

/// Refuses before anything is loaded what cannot fit.
pub(super) fn check(
    model: &ModelFile,
    backend: &dyn Backend,
    layout: &KvLayout,
    options: &EngineOptions,
) -> Result<(), EngineError> {
    let caps = backend.caps();
    let wanted = needed(model, layout, options)?;
    if wanted.total() <= caps.memory_bytes {
        return Ok(());
    }
    let mut context_max = 0;
    let mut context = options.context.max(1).next_power_of_two() / 2;
    while context > 0 && wanted.weights < caps.memory_bytes {
        let smaller = EngineOptions { context, ..options.clone() };
        if needed(model, layout, &smaller)?.total() <= caps.memory_bytes {
            context_max = context;
            break;
        }
        context /= 2;
    }
    let name = model.path.file_name().unwrap_or(model.path.as_os_str());
    Err(EngineError::Memory(Box::new(MemoryError {
        model: name.to_string_lossy().into_owned(),
        device: caps.name.clone(),
        available: caps.memory_bytes,
        needed: wanted,
        lanes: options.lanes,
        context: options.context,
        context_max,
    })))
}

/// Most bytes of buffers that are alive at once.
fn peak_bytes(plan: &Plan) -> u64 {
    let bytes = |buffer: usize| {
        let buffer = &plan.buffers[buffer];
        4 * (plan.rows_max(buffer.rows) as u64).saturating_mul(buffer.width() as u64)
    };
    let last_uses = plan.last_uses();
    let mut alive = vec![false; plan.buffers.len()];
    let (mut now, mut peak) = (0_u64, 0_u64);
    for (i, step) in plan.steps.iter().enumerate() {
        let operands = step.op.operands();
        for id in &operands.writes {
            let buffer = id.0 as usize;
            if !std::mem::replace(&mut alive[buffer], true) {
                now = now.saturating_add(bytes(buffer));
            }
        }
        peak = peak.max(now);
        for id in operands.writes.iter().chain(&operands.reads) {
            let buffer = id.0 as usize;
            if last_uses[buffer] == i && std::mem::replace(&mut alive[buffer], false) {
                now = now.saturating_sub(bytes(buffer));
            }
        }
    }
    peak
}
