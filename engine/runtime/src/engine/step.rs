//! Steps: more tokens for some lanes, and the programs that they run.

use std::sync::Arc;

use ds4_model::backend::{ProgramId, Ticket};
use ds4_model::buffer::BufferId;
use ds4_model::cost::{Cost, CostModel};
use ds4_model::forward;
use ds4_model::op::{ExpertChoice, Op};
use ds4_model::plan::{LogitRows, Phase, Plan, PlanClass};
use ds4_model::step::{CancelToken, LaneRun, Sampling, StepInputs, StepResult, Token};

use super::{Engine, EngineError, LaneId};

/// Context bucket of short lanes; longer ones use powers of two.
const CONTEXT_MIN: usize = 512;

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

/// A step in flight. It must be waited for.
#[must_use = "a step in flight must be waited for"]
pub struct Pending {
    ticket: Ticket,
    plan: Arc<Plan>,
    lanes: Vec<LaneId>,
}

impl Engine {
    /// Starts a step: more tokens for some lanes, which have their new lengths from now on. At most
    /// two may be in flight; they run in order. `keep`: names of plan buffers whose values are
    /// wanted; those that the plan does not have are left out.
    ///
    /// # Errors
    /// If the step cannot be started; then nothing has changed.
    pub fn submit(
        &mut self,
        extends: &[Extend],
        logits: LogitRows,
        keep: &[&str],
        cancel: &CancelToken,
    ) -> Result<Pending, EngineError> {
        self.reap();
        let runs = extends.iter().map(|extend| self.run(extend)).collect::<Result<Vec<_>, _>>()?;
        let program = self.program(&runs, logits)?;
        let keep: Vec<BufferId> = keep.iter().filter_map(|name| program.plan.find(name)).collect();
        let ends: Vec<usize> = runs.iter().map(LaneRun::end).collect();
        let inputs = StepInputs { runs, cancel: cancel.clone() };
        let ticket = self.backend.submit(program.id, self.pool, inputs, &keep)?;
        let slack = self.layout.slack;
        for (extend, end) in extends.iter().zip(ends) {
            let (lane, _) = self.lane_mut(extend.lane)?;
            (lane.length, lane.floor) = (end, lane.floor.max(end.saturating_sub(slack)));
        }
        let lanes = extends.iter().map(|extend| extend.lane).collect();
        Ok(Pending { ticket, plan: program.plan, lanes })
    }

    /// Waits for a step.
    ///
    /// # Errors
    /// Of the back end. The lanes of the step are of no use then until they are reset or restored.
    pub fn wait(&mut self, step: Pending) -> Result<(StepResult, Arc<Plan>), EngineError> {
        match self.backend.wait(step.ticket) {
            Ok(result) => Ok((result, step.plan)),
            Err(error) => {
                for id in step.lanes {
                    // A lane dropped in the meantime has nothing to lose.
                    if let Ok((lane, _)) = self.lane_mut(id) {
                        lane.broken = true;
                    }
                }
                Err(error.into())
            }
        }
    }

    /// One step, from start to end.
    ///
    /// # Errors
    /// Of `submit` and `wait`.
    pub fn extend(
        &mut self,
        extends: &[Extend],
        logits: LogitRows,
        keep: &[&str],
        cancel: &CancelToken,
    ) -> Result<(StepResult, Arc<Plan>), EngineError> {
        let step = self.submit(extends, logits, keep, cancel)?;
        self.wait(step)
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
            total = (start..end).fold(total, |total, position| total + model.total(1, position));
            start = end;
        }
        Ok(total)
    }

    fn run(&mut self, extend: &Extend) -> Result<LaneRun, EngineError> {
        let context = self.options.context;
        let length = self.length(extend.lane)?;
        let wanted = length + extend.tokens.len();
        let pages = self.layout.pages(wanted);
        let (lane, free) = self.lane_mut(extend.lane)?;
        if lane.broken {
            return Err(EngineError::Broken(extend.lane.index));
        }
        if wanted > context || !free.grow(&mut lane.pages, pages) {
            return Err(EngineError::Full { context, wanted });
        }
        Ok(LaneRun {
            lane: extend.lane.index,
            start: length,
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

    /// The class of a step: rows, lanes and context rounded up to powers of two, so that few
    /// programs serve all steps.
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
