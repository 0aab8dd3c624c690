//! A plan: the forward pass as data. It can be printed, costed, cut, compared and replayed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::buffer::{Buffer, BufferId, Rows};
use crate::kv::RowFormat;
use crate::op::Op;
use crate::shape::Shape;

/// What a program is prepared for. Positions, tokens and pages are inputs of the step, not of the
/// class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanClass {
    /// Numeric class on GPU back ends; the CPU computes both alike.
    pub phase: Phase,
    /// Most rows of a step.
    pub rows: usize,
    /// Most lanes of a step.
    pub lanes: usize,
    /// Tokens of context a lane may reach. Up to `index_top_k * 4` no indexer query is recorded.
    pub context: usize,
    /// Row format of the pool.
    pub format: RowFormat,
    /// Rows that go through the output head.
    pub logits: LogitRows,
    /// Whether the head ends in `Op::Sample`.
    pub sample: bool,
}

/// Decode or prefill (design 4b).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// One row for each lane, or a few (drafts).
    Decode,
    /// Chunks of one lane.
    Prefill,
}

/// Rows whose logits are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogitRows {
    /// None: a chunk that is not the last.
    None,
    /// The last row of each run.
    Last,
    /// Every row: diagnostics, scoring, draft verification.
    All,
}

/// One operation and its name, unique in the plan: `blk.3.attn_q_b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Scope and label.
    pub name: String,
    /// What is done.
    pub op: Op,
}

/// Steps in order, and the buffers they use. Made by `forward::record`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The model.
    pub shape: Arc<Shape>,
    /// What the plan is for.
    pub class: PlanClass,
    /// Activation buffers.
    pub buffers: Vec<Buffer>,
    /// Operations in order.
    pub steps: Vec<Step>,
    /// Runs of steps, cut at layer boundaries: between two of them a back end looks for
    /// cancellation and may let others run.
    pub segments: Vec<Range<usize>>,
}

impl Plan {
    /// A buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }

    /// The buffer of this name.
    pub fn find(&self, name: &str) -> Option<BufferId> {
        let i = self.buffers.iter().position(|buffer| buffer.name == name)?;
        Some(BufferId(i as u32))
    }

    /// Most rows a buffer can have.
    pub fn rows_max(&self, rows: Rows) -> usize {
        match (rows, self.class.logits) {
            (Rows::Step, _) | (Rows::Logits, LogitRows::All) => self.class.rows,
            (Rows::Logits, LogitRows::Last) => self.class.lanes,
            (Rows::Logits, LogitRows::None) => 0,
        }
    }

    /// For each buffer the last step that reads it (its writer if none does): its memory is free
    /// after that.
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.buffers.len()];
        for (i, step) in self.steps.iter().enumerate() {
            let operands = step.op.operands();
            for buffer in operands.writes.iter().chain(&operands.reads) {
                last[buffer.0 as usize] = i;
            }
        }
        last
    }

    /// Rewrites ops in place. The steps stay; operands may be redirected. For experiments and for
    /// planting faults in tests: a plan changed so is no longer what `forward::record` means.
    pub fn edit(&mut self, mut change: impl FnMut(&str, &mut Op)) {
        for step in &mut self.steps {
            change(&step.name, &mut step.op);
        }
    }
}

/// One line a step: name, op, outputs with their shapes, inputs, weights.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.class)?;
        for (i, segment) in self.segments.iter().enumerate() {
            writeln!(f, "segment {i}")?;
            for step in &self.steps[segment.clone()] {
                let operands = step.op.operands();
                let out = operands.writes.iter().map(|&id| {
                    let buffer = self.buffer(id);
                    let rows = if buffer.rows == Rows::Step { "T" } else { "R" };
                    let dims: String = buffer.dims.iter().map(|dim| format!(", {dim}")).collect();
                    format!("{} [{rows}{dims}]", buffer.name)
                });
                let reads = operands.reads.iter().map(|&id| self.buffer(id).name.clone());
                let weights = operands.weights.iter().map(|weight| format!("{:?}", weight.role));
                let join = |items: Vec<String>| items.join(", ");
                let constants = Some(step.op.constants()).filter(|text| !text.is_empty());
                write!(
                    f,
                    "  {} = {}({})",
                    step.name,
                    step.op.name(),
                    join(reads.chain(weights).chain(constants).collect()),
                )?;
                let out = join(out.collect());
                if !out.is_empty() {
                    write!(f, " -> {out}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
