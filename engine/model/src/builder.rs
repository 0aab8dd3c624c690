//! Records a plan. Output shapes follow from the operands; every operand is checked when it is
//! recorded, so that a wrong dimension is an error with the step's name before anything runs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::buffer::{Buffer, BufferId, Element, Rows};
use crate::inventory::{Role, WeightId, inventory};
use crate::op::{Op, RopeAt, RopeTable};
use crate::plan::{LogitRows, Plan, PlanClass, Step};
use crate::shape::Shape;

/// A step whose operands do not fit: a fault of the forward pass or of the shape rules, never of a
/// file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("plan step {step}: {problem}")]
pub struct PlanError {
    /// Name of the step.
    pub step: String,
    /// What does not fit.
    pub problem: String,
}

/// Collects steps; the first error is kept and given by `finish`.
pub struct Builder {
    shape: Arc<Shape>,
    class: PlanClass,
    scope: String,
    layer: Option<usize>,
    weights: HashMap<WeightId, Vec<usize>>,
    buffers: Vec<Buffer>,
    steps: Vec<Step>,
    cuts: Vec<usize>,
    error: Option<PlanError>,
}

impl Builder {
    /// An empty plan.
    pub fn new(shape: &Arc<Shape>, class: PlanClass) -> Self {
        let dims = |dims: &[u64]| dims.iter().rev().map(|&dim| dim as usize).collect();
        let specs = inventory(shape);
        Self {
            shape: shape.clone(),
            class,
            scope: String::new(),
            layer: None,
            weights: specs.iter().map(|spec| (spec.id, dims(&spec.kind.dims()))).collect(),
            buffers: Vec::new(),
            steps: Vec::new(),
            cuts: vec![0],
            error: None,
        }
    }

    /// The model.
    pub fn shape(&self) -> Arc<Shape> {
        self.shape.clone()
    }

    /// What the plan is for.
    pub fn class(&self) -> PlanClass {
        self.class
    }

    /// Begins a layer: names get its prefix, weights are its own, and a segment starts here.
    pub fn layer(&mut self, layer: usize) {
        self.cut();
        self.scope = format!("blk.{layer}.");
        self.layer = Some(layer);
    }

    /// Ends the layers; the head follows.
    pub fn head(&mut self) {
        self.cut();
        self.scope.clear();
        self.layer = None;
    }

    fn cut(&mut self) {
        if self.cuts.last() != Some(&self.steps.len()) {
            self.cuts.push(self.steps.len());
        }
    }

    /// The weight of this role in the current scope.
    pub fn weight(&self, role: Role) -> WeightId {
        match self.layer {
            Some(layer) => WeightId::of_layer(layer, role),
            None => WeightId::global(role),
        }
    }

    /// Dimensions of a weight, outermost first; an error if the shape has no such weight.
    pub fn weight_dims(&mut self, label: &str, id: WeightId) -> Vec<usize> {
        match self.weights.get(&id) {
            Some(dims) => dims.clone(),
            None => {
                self.fail(label, format!("the shape has no weight {id:?}"));
                vec![1, 1]
            }
        }
    }

    /// Inner dimensions of a buffer.
    pub fn dims(&self, id: BufferId) -> Vec<usize> {
        self.buffers[id.0 as usize].dims.clone()
    }

    /// Keeps the first problem.
    pub fn fail(&mut self, label: &str, problem: String) {
        let step = format!("{}{label}", self.scope);
        self.error.get_or_insert(PlanError { step, problem });
    }

    /// Checks that `found` is `expected`.
    pub fn expect(&mut self, label: &str, what: &str, found: &[usize], expected: &[usize]) {
        if found != expected {
            self.fail(label, format!("{what} is {found:?}, expected {expected:?}"));
        }
    }

    /// A new f32 buffer \[T, dims...\].
    pub fn values(&mut self, label: &str, dims: &[usize]) -> BufferId {
        self.buffer(label, Rows::Step, dims, Element::F32)
    }

    /// A new f32 buffer \[rows of `source`, dims...\].
    pub fn like(&mut self, label: &str, source: BufferId, dims: &[usize]) -> BufferId {
        let rows = self.buffers[source.0 as usize].rows;
        self.buffer(label, rows, dims, Element::F32)
    }

    /// Gives a buffer finer or coarser inner dimensions; the memory is the same.
    pub fn reshape(&mut self, id: BufferId, dims: &[usize]) {
        let buffer = &mut self.buffers[id.0 as usize];
        if buffer.width() == dims.iter().product() {
            buffer.dims = dims.to_vec();
        } else {
            let problem = format!("{:?} cannot be viewed as {dims:?}", buffer.dims);
            let name = buffer.name.clone();
            self.error.get_or_insert(PlanError { step: name, problem });
        }
    }

    /// A new u32 buffer \[T, dims...\].
    pub fn ids(&mut self, label: &str, dims: &[usize]) -> BufferId {
        self.buffer(label, Rows::Step, dims, Element::U32)
    }

    /// A new buffer.
    pub fn buffer(
        &mut self,
        label: &str,
        rows: Rows,
        dims: &[usize],
        element: Element,
    ) -> BufferId {
        let name = format!("{}{label}", self.scope);
        if self.buffers.iter().any(|buffer| buffer.name == name) {
            self.fail(label, "two buffers of this name".into());
        }
        self.buffers.push(Buffer { name, rows, dims: dims.to_vec(), element });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Appends a step.
    pub fn push(&mut self, label: &str, op: Op) {
        self.steps.push(Step { name: format!("{}{label}", self.scope), op });
    }

    /// Product with the matrix of a role: \[T, groups * K\] -> \[T, groups * M\].
    pub fn matmul(&mut self, label: &str, x: BufferId, role: Role, groups: usize) -> BufferId {
        let weight = self.weight(role);
        let dims = self.weight_dims(label, weight);
        let (width, input) = (self.dims(x).iter().product::<usize>(), &dims[..]);
        self.expect(label, "input width", &[width], &[input[1] * groups]);
        let out = self.like(label, x, &[input[0]]);
        self.push(label, Op::Matmul { x, weight, groups, out });
        out
    }

    /// RMS norm of the innermost dimension with the weight of a role, or without weight.
    pub fn rms_norm(&mut self, label: &str, x: BufferId, role: Option<Role>) -> BufferId {
        let weight = role.map(|role| self.weight(role));
        let dims = self.dims(x);
        if let Some(weight) = weight {
            let found = self.weight_dims(label, weight);
            self.expect(label, "norm weight", &found, &dims[dims.len() - 1..]);
        }
        let out = self.like(label, x, &dims);
        let epsilon = self.shape.norm_epsilon;
        self.push(label, Op::RmsNorm { x, weight, epsilon, out });
        out
    }

    /// Rotation of the last `rope_dim` entries with the layer's table.
    pub fn rope(&mut self, label: &str, x: BufferId, at: RopeAt, inverse: bool) -> BufferId {
        let dims = self.dims(x);
        if dims.last().is_none_or(|&inner| inner < self.shape.rope_dim) {
            self.fail(label, format!("{dims:?} has no room for {} rotated", self.shape.rope_dim));
        }
        let out = self.like(label, x, &dims);
        let plain = self.layer.is_none_or(|layer| self.shape.ratios[layer] == 0);
        let table = if plain { RopeTable::Plain } else { RopeTable::Yarn };
        self.push(label, Op::RopeTail { x, table, at, inverse, out });
        out
    }

    /// Ends the plan.
    pub fn finish(mut self) -> Result<Plan, PlanError> {
        if self.class.sample && self.class.logits == LogitRows::None {
            self.fail("sample", "a plan without logits cannot sample".into());
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let ends = self.cuts.iter().skip(1).copied().chain([self.steps.len()]);
        let segments = self.cuts.iter().copied().zip(ends).map(|(start, end)| start..end);
        Ok(Plan {
            segments: segments.filter(|segment| !segment.is_empty()).collect(),
            shape: self.shape,
            class: self.class,
            buffers: self.buffers,
            steps: self.steps,
        })
    }
}
