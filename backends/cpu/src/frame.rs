//! One step while it runs: its rows, the values of its buffers, and what ops may look at.

use ds4_model::backend::Value;
use ds4_model::buffer::{BufferId, Rows};
use ds4_model::op::{RopeAt, RopeTable};
use ds4_model::plan::Plan;
use ds4_model::rope::Rope;
use ds4_model::step::{LaneRun, Sampled, StepInputs};
use rayon::prelude::*;

use crate::pool::Pool;
use crate::weights::Weights;

/// Entries of an output below which rows are computed on one thread.
const PARALLEL_LEN: usize = 1 << 14;

/// One token of the step.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its run in the inputs.
    pub run: usize,
    /// Its index in the step.
    pub index: usize,
    /// Its absolute position.
    pub position: usize,
    /// Its token, resolved.
    pub token: u32,
}

/// A step in execution.
pub struct Frame<'a> {
    /// What is executed.
    pub plan: &'a Plan,
    /// Inputs of the step.
    pub inputs: &'a StepInputs,
    /// Rows, run by run.
    pub rows: Vec<Row>,
    /// Rows with logits.
    pub logit_rows: Vec<usize>,
    /// Weights.
    pub weights: &'a Weights,
    /// Rotation frequencies.
    pub rope: &'a Rope,
    /// The cache.
    pub pool: &'a mut Pool,
    /// What was drawn.
    pub sampled: Vec<Sampled>,
    values: Vec<Vec<f32>>,
}

impl<'a> Frame<'a> {
    /// Lays out the rows of checked inputs. `last_token`: what a lane sampled last.
    pub fn new(
        plan: &'a Plan,
        inputs: &'a StepInputs,
        weights: &'a Weights,
        rope: &'a Rope,
        pool: &'a mut Pool,
        last_token: impl Fn(u32) -> u32,
    ) -> Self {
        let mut rows = Vec::with_capacity(inputs.rows());
        for (run, lane_run) in inputs.runs.iter().enumerate() {
            for (&token, position) in lane_run.tokens.iter().zip(lane_run.start..) {
                let token = match token {
                    ds4_model::step::Token::Id(id) => id,
                    ds4_model::step::Token::Sampled => last_token(lane_run.lane),
                };
                rows.push(Row { run, index: rows.len(), position, token });
            }
        }
        Self {
            logit_rows: inputs.logit_rows(&plan.class),
            values: vec![Vec::new(); plan.buffers.len()],
            sampled: Vec::new(),
            plan,
            inputs,
            rows,
            weights,
            rope,
            pool,
        }
    }

    /// The run of a row.
    pub fn run(&self, row: Row) -> &LaneRun {
        &self.inputs.runs[row.run]
    }

    /// Values of a buffer, \[rows\]\[width\].
    pub fn get(&self, id: BufferId) -> &[f32] {
        &self.values[id.0 as usize]
    }

    /// Ids of a buffer, \[rows\]\[width\].
    pub fn ids(&self, id: BufferId) -> &[u32] {
        bytemuck::cast_slice(self.get(id))
    }

    /// Row `row` of a buffer.
    pub fn row(&self, id: BufferId, row: usize) -> &[f32] {
        let width = self.plan.buffer(id).width();
        &self.get(id)[row * width..(row + 1) * width]
    }

    /// Rows of a buffer in this step.
    pub fn row_count(&self, id: BufferId) -> usize {
        match self.plan.buffer(id).rows {
            Rows::Step => self.rows.len(),
            Rows::Logits => self.logit_rows.len(),
        }
    }

    /// Sets the values of a buffer.
    pub fn set(&mut self, id: BufferId, values: Vec<f32>) {
        debug_assert_eq!(values.len(), self.row_count(id) * self.plan.buffer(id).width());
        self.values[id.0 as usize] = values;
    }

    /// A zeroed vector of the size of a buffer.
    pub fn zeros(&self, id: BufferId) -> Vec<f32> {
        vec![0.0; self.row_count(id) * self.plan.buffer(id).width()]
    }

    /// Computes each row of a buffer from its index.
    pub fn fill(&mut self, id: BufferId, compute: impl Fn(&Self, usize, &mut [f32]) + Sync) {
        let mut out = self.zeros(id);
        let width = self.plan.buffer(id).width();
        let shared: &Self = self;
        if out.len() < PARALLEL_LEN || out.len() == width {
            let rows = out.chunks_exact_mut(width).enumerate();
            rows.for_each(|(row, out)| compute(shared, row, out));
        } else {
            let rows = out.par_chunks_exact_mut(width).enumerate();
            rows.for_each(|(row, out)| compute(shared, row, out));
        }
        self.set(id, out);
    }

    /// (cos, sin) of each pair for a row.
    pub fn angles(&self, row: Row, table: RopeTable, at: RopeAt) -> Vec<[f32; 2]> {
        let position = match at {
            RopeAt::Row => row.position,
            RopeAt::WindowStart(ratio) => row.position - row.position % ratio,
        };
        let mut angles = vec![[0.0; 2]; self.plan.shape.rope_dim / 2];
        self.rope.angles(table, position, &mut angles);
        angles
    }

    /// Drops the values of a buffer nobody reads any more.
    pub fn free(&mut self, id: BufferId) {
        self.values[id.0 as usize] = Vec::new();
    }

    /// Copies a buffer out.
    pub fn keep(&self, id: BufferId) -> Value {
        Value { buffer: id, data: self.get(id).to_vec() }
    }
}
