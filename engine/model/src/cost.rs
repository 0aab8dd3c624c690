//! Bytes and floating-point operations of a plan: the roofline that speeds are measured against.
//!
//! Weights are counted in the blocks of their file format, each once a step however many rows use
//! it; experts as often as different ones can be chosen. Caches are counted as the rows a query
//! reads. Activations are not counted: on every machine of interest they stay in caches.

use std::collections::HashMap;
use std::ops::{Add, AddAssign};

use ds4_format::quant::Quant;

use crate::buffer::{BufferId, Rows};
use crate::inventory::{WeightId, WeightSpec, inventory};
use crate::kv::{KvError, KvLayout};
use crate::op::{ExpertChoice, Op, Region};
use crate::plan::{Plan, Step};

/// What a step moves and computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of weights read.
    pub weight_bytes: u64,
    /// Bytes of cached rows read and written.
    pub kv_bytes: u64,
    /// Multiplications and additions, two for a multiply-add.
    pub flops: u64,
}

impl Cost {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.weight_bytes + self.kv_bytes
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            weight_bytes: self.weight_bytes + other.weight_bytes,
            kv_bytes: self.kv_bytes + other.kv_bytes,
            flops: self.flops + other.flops,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Costs the steps of a plan.
pub struct CostModel<'a> {
    plan: &'a Plan,
    kv: KvLayout,
    specs: HashMap<WeightId, WeightSpec>,
    types: &'a HashMap<WeightId, Quant>,
}

impl<'a> CostModel<'a> {
    /// `types`: the format of each weight. Weights without an entry cost nothing (optional ones
    /// that a file lacks).
    ///
    /// # Errors
    /// If the plan's row format does not exist for its shape.
    pub fn new(plan: &'a Plan, types: &'a HashMap<WeightId, Quant>) -> Result<Self, KvError> {
        let kv = KvLayout::new(&plan.shape, plan.class.format, 0)?;
        let specs = inventory(&plan.shape).into_iter().map(|spec| (spec.id, spec)).collect();
        Ok(Self { plan, kv, specs, types })
    }

    /// The whole plan for `rows` tokens of one lane, the last at `position`.
    pub fn total(&self, rows: usize, position: usize) -> Cost {
        let cost = |step| self.step(step, rows, position);
        self.plan.steps.iter().map(cost).fold(Cost::default(), Cost::add)
    }

    /// One step for `rows` tokens of one lane, the last at `position`.
    pub fn step(&self, step: &Step, rows: usize, position: usize) -> Cost {
        let t = rows as u64;
        let shape = &self.plan.shape;
        let matrix = |id: WeightId, times: u64| self.matrix(id, times);
        match &step.op {
            Op::Embed { table, .. } => {
                Cost { weight_bytes: self.rows_bytes(*table, t), ..Cost::default() }
            }
            Op::RouterSelect { choice: ExpertChoice::Table(table), .. } => {
                Cost { weight_bytes: self.rows_bytes(*table, t), ..Cost::default() }
            }
            Op::Matmul { weight, x, .. } => matrix(*weight, self.row_count(*x, t)),
            Op::HyperMix { function, streams, .. } => {
                matrix(*function, self.row_count(*streams, t))
            }
            Op::ExpertsUp { gate, up, .. } => {
                self.experts(*gate, t, shape.experts_used)
                    + self.experts(*up, t, shape.experts_used)
            }
            Op::ExpertsDown { down, .. } => self.experts(*down, t, shape.experts_used),
            Op::Compress { ape, .. } => {
                let bias = ape.map_or(0, |ape| self.rows_bytes(ape, t));
                Cost { weight_bytes: bias, ..Cost::default() }
            }
            Op::KvAppend { layer, region, .. } => self.append(*layer, *region, t),
            Op::IndexScores { layer, .. } => {
                let kv = &self.kv.layers[*layer];
                let row = kv.index.as_ref().map_or(0, |rows| rows.row_bytes());
                let visible = (kv.visible(position) * rows) as u64;
                let per_row = 2 * (shape.index_dim * shape.index_heads) as u64;
                Cost { kv_bytes: visible * row as u64, flops: visible * per_row, ..Cost::default() }
            }
            Op::Attend { layer, selected, sinks, window, .. } => {
                let kv = &self.kv.layers[*layer];
                let visible = kv.visible(position);
                let picked = selected.map_or(visible, |_| visible.min(shape.index_top_k));
                let read = ((picked + (position + 1).min(*window)) * rows) as u64;
                let per_row = 4 * (shape.heads * shape.head_dim) as u64;
                let kv_bytes = read * kv.attention.row_bytes() as u64;
                let weight_bytes = sinks.map_or(0, |sinks| self.weight_bytes(sinks));
                Cost { weight_bytes, kv_bytes, flops: read * per_row }
            }
            op => {
                let bytes = |id: &WeightId| self.weight_bytes(*id);
                let weight_bytes = op.operands().weights.iter().map(bytes).sum();
                Cost { weight_bytes, ..Cost::default() }
            }
        }
    }

    /// Rows of a buffer in a step of `t` tokens of one lane.
    fn row_count(&self, id: BufferId, t: u64) -> u64 {
        match self.plan.buffer(id).rows {
            Rows::Step => t,
            Rows::Logits => t.min(self.plan.rows_max(Rows::Logits) as u64),
        }
    }

    /// A whole matrix, read once, times `t` vectors.
    fn matrix(&self, id: WeightId, t: u64) -> Cost {
        let elements = self.specs.get(&id).map_or(0, |spec| spec.kind.elements());
        Cost { weight_bytes: self.weight_bytes(id), flops: 2 * t * elements, kv_bytes: 0 }
    }

    /// `used` experts for each of `t` tokens; at most all of them are read.
    fn experts(&self, id: WeightId, t: u64, used: usize) -> Cost {
        let Some(spec) = self.specs.get(&id) else { return Cost::default() };
        let (experts, rows, width) = spec.kind.sizes();
        let chosen = t * used as u64;
        let one = self.weight_bytes(id) / experts as u64;
        Cost {
            weight_bytes: one * chosen.min(experts as u64),
            flops: 2 * chosen * (rows * width) as u64,
            kv_bytes: 0,
        }
    }

    fn append(&self, layer: usize, region: Region, t: u64) -> Cost {
        let kv = &self.kv.layers[layer];
        let stored = match region {
            Region::Window => t,
            Region::Compressed | Region::Index => t / kv.ratio.max(1) as u64,
        };
        let row = kv.rows(region).map_or(0, |rows| rows.row_bytes()) as u64;
        Cost { kv_bytes: stored * row, ..Cost::default() }
    }

    fn weight_bytes(&self, id: WeightId) -> u64 {
        let bytes = |spec: &WeightSpec| spec.bytes(*self.types.get(&id)?);
        self.specs.get(&id).and_then(bytes).unwrap_or(0)
    }

    fn rows_bytes(&self, id: WeightId, rows: u64) -> u64 {
        let one = |spec: &WeightSpec| {
            let (_, _, width) = spec.kind.sizes();
            self.types.get(&id)?.row_bytes(width)
        };
        rows * self.specs.get(&id).and_then(one).unwrap_or(0)
    }
}
