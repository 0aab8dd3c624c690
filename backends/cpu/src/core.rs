//! What the worker owns: weights, programs, pools; and the execution of a step.

use std::collections::HashMap;
use std::sync::Arc;

use ds4_model::backend::{BackendError, PoolId, ProgramId};
use ds4_model::buffer::BufferId;
use ds4_model::kv::KvLayout;
use ds4_model::op::{ExpertChoice, Op};
use ds4_model::placement::Placement;
use ds4_model::plan::Plan;
use ds4_model::rope::Rope;
use ds4_model::step::{StepInputs, StepResult};

use crate::frame::Frame;
use crate::ops;
use crate::pool::Pool;
use crate::weights::Weights;

/// State of the back end.
#[derive(Default)]
pub struct Core {
    weights: Option<Weights>,
    programs: Vec<Program>,
    pools: HashMap<u32, LanePool>,
    next_pool: u32,
}

struct Program {
    plan: Arc<Plan>,
    rope: Rope,
    /// Buffers to drop after each step.
    frees: Vec<Vec<BufferId>>,
}

struct LanePool {
    pool: Pool,
    /// What each lane sampled last.
    sampled: HashMap<u32, u32>,
}

impl Core {
    /// Makes room for weights; programs of earlier ones are gone.
    pub fn allocate(&mut self, placement: Arc<Placement>) {
        self.programs.clear();
        self.weights = Some(Weights::new(placement));
    }

    /// The weights.
    pub fn weights(&mut self) -> Result<&mut Weights, BackendError> {
        self.weights.as_mut().ok_or(BackendError::Unknown("weight placement"))
    }

    /// Decodes what a plan uses as vectors and finds out when its buffers are free.
    pub fn prepare(&mut self, plan: Arc<Plan>) -> Result<ProgramId, BackendError> {
        let weights = self.weights()?;
        for step in &plan.steps {
            for id in step.op.operands().weights {
                if !weights.has(id) {
                    let (step, weight) = (step.name.clone(), format!("{id:?}"));
                    return Err(BackendError::NoWeight { step, weight });
                }
                let matrix = matches!(
                    step.op,
                    Op::Embed { .. }
                        | Op::HyperMix { .. }
                        | Op::Matmul { .. }
                        | Op::RouterSelect { choice: ExpertChoice::Table(_), .. }
                        | Op::ExpertsUp { .. }
                        | Op::ExpertsDown { .. }
                );
                if !matrix {
                    weights.prepare_vector(id);
                }
            }
        }
        let mut frees = vec![Vec::new(); plan.steps.len()];
        for (buffer, step) in plan.last_uses().into_iter().enumerate() {
            frees[step].push(BufferId(buffer as u32));
        }
        self.programs.push(Program { rope: Rope::new(&plan.shape), plan, frees });
        Ok(ProgramId(self.programs.len() as u32 - 1))
    }

    /// A new pool.
    pub fn new_pool(&mut self, layout: Arc<KvLayout>, pages: usize, lanes: usize) -> PoolId {
        let pool = LanePool { pool: Pool::new(layout, pages, lanes), sampled: HashMap::new() };
        let id = self.next_pool;
        self.next_pool += 1;
        self.pools.insert(id, pool);
        PoolId(id)
    }

    /// Frees a pool.
    pub fn drop_pool(&mut self, id: PoolId) -> Result<(), BackendError> {
        self.pools.remove(&id.0).map(drop).ok_or(BackendError::Unknown("pool"))
    }

    /// A pool.
    pub fn pool(&mut self, id: PoolId) -> Result<&mut Pool, BackendError> {
        self.pools.get_mut(&id.0).map(|pool| &mut pool.pool).ok_or(BackendError::Unknown("pool"))
    }

    /// Runs a step to its end, or to a segment border after its token was cancelled.
    pub fn step(
        &mut self,
        program: ProgramId,
        pool: PoolId,
        inputs: &StepInputs,
        keep: &[BufferId],
    ) -> Result<StepResult, BackendError> {
        let program = self.programs.get(program.0 as usize);
        let program = program.ok_or(BackendError::Unknown("program"))?;
        let lanes = self.pools.get_mut(&pool.0).ok_or(BackendError::Unknown("pool"))?;
        let weights = self.weights.as_ref().ok_or(BackendError::Unknown("weight placement"))?;
        let plan = &*program.plan;
        let (pages, lane_count) = (lanes.pool.page_count(), lanes.pool.lane_count());
        inputs.check(&plan.class, plan.shape.vocab, pages, lane_count)?;

        let last_token = |lane| lanes.sampled.get(&lane).copied().unwrap_or(0);
        let mut frame =
            Frame::new(plan, inputs, weights, &program.rope, &mut lanes.pool, last_token);
        let mut kept = Vec::with_capacity(keep.len());
        for segment in &plan.segments {
            if inputs.cancel.is_cancelled() {
                return Err(BackendError::Cancelled);
            }
            for i in segment.clone() {
                let step = &plan.steps[i];
                ops::run(&mut frame, &step.op);
                let written = step.op.operands().writes;
                kept.extend(
                    keep.iter().filter(|id| written.contains(id)).map(|&id| frame.keep(id)),
                );
                program.frees[i].iter().for_each(|&id| frame.free(id));
            }
        }
        kept.sort_by_key(|value| keep.iter().position(|&id| id == value.buffer));
        let sampled = std::mem::take(&mut frame.sampled);
        let logit_rows = std::mem::take(&mut frame.logit_rows);
        let rows = std::mem::take(&mut frame.rows);
        for (drawn, row) in sampled.iter().zip(logit_rows) {
            let lane = inputs.runs[rows[row].run].lane;
            lanes.sampled.insert(lane, drawn.token.token);
        }
        Ok(StepResult { sampled, kept })
    }
}
