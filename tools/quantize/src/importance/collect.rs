//! Running text through the engine and squaring what goes into the products.

use std::collections::BTreeMap;

use ds4_model::backend::Value;
use ds4_model::buffer::BufferId;
use ds4_model::forward;
use ds4_model::inventory::WeightId;
use ds4_model::op::Op;
use ds4_model::plan::{LogitRows, Phase, Plan, PlanClass};
use ds4_model::step::{CancelToken, Token};
use ds4_runtime::engine::{Engine, EngineError, Extend};

use super::{Columns, Importance};
use crate::QuantizeError;

/// A product: which weight, what goes in, and how the input is divided among the parts.
struct Product {
    weight: WeightId,
    input: BufferId,
    parts: Parts,
}

/// How the inputs of a row belong to parts.
enum Parts {
    /// Slice g of the row is the input of group g.
    Groups(usize),
    /// The whole row is the input of each expert that was chosen.
    Experts { ids: BufferId, experts: usize },
    /// Slice s of the row is the input of the expert that was chosen in place s.
    Slots { ids: BufferId, experts: usize },
}

/// Running sums of one tensor.
struct Sums {
    width: usize,
    squares: Vec<f64>,
    counts: Vec<u64>,
}

impl Sums {
    fn new(parts: usize, width: usize) -> Self {
        Self { width, squares: vec![0.0; parts * width], counts: vec![0; parts] }
    }

    fn add(&mut self, part: usize, input: &[f32]) {
        let sums = self.squares.chunks_exact_mut(self.width).nth(part);
        if let (Some(sums), Some(count)) = (sums, self.counts.get_mut(part)) {
            *count += 1;
            for (sum, value) in sums.iter_mut().zip(input) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
    }
}

/// Runs texts (each from an empty context) in steps of `chunk` tokens and collects the mean squares
/// of the inputs of every matrix product that can be quantised. Logits are computed for every row,
/// so that the output head is measured too. `progress` gets the tokens done.
///
/// # Errors
/// Of the engine, such as a text longer than its context.
pub fn collect(
    engine: &mut Engine,
    texts: &[Vec<u32>],
    chunk: usize,
    mut progress: impl FnMut(usize),
) -> Result<Importance, QuantizeError> {
    let names = inputs(&widest_plan(engine, chunk)?);
    let keep: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sums = BTreeMap::new();
    let mut done = 0;
    for text in texts {
        let lane = engine.new_lane()?;
        for tokens in text.chunks(chunk.max(1)) {
            let extend = Extend {
                lane,
                tokens: tokens.iter().map(|&token| Token::Id(token)).collect(),
                sampling: None,
            };
            let cancel = CancelToken::default();
            let (result, plan) = engine.extend(&[extend], LogitRows::All, &keep, &cancel)?;
            add_step(&plan, &result.kept, tokens.len(), &mut sums);
            done += tokens.len();
            progress(done);
        }
        engine.drop_lane(lane)?;
    }
    let mut importance = Importance { tokens: done as u64, ..Importance::default() };
    for (weight, sums) in sums {
        importance.tensors.insert(WeightId::gguf_name(weight), columns(sums));
    }
    importance.fill_unseen();
    Ok(importance)
}

fn columns(sums: Sums) -> Columns {
    let parts = sums.squares.chunks_exact(sums.width).zip(&sums.counts);
    let means = parts
        .flat_map(|(part, &count)| part.iter().map(move |sum| (sum / count.max(1) as f64) as f32));
    Columns { width: sums.width, means: means.collect(), counts: sums.counts }
}

/// The plan with every product: that of the longest context, where the indexer has its query.
fn widest_plan(engine: &Engine, chunk: usize) -> Result<Plan, QuantizeError> {
    let class = PlanClass {
        phase: Phase::Prefill,
        rows: chunk.max(1).next_power_of_two(),
        lanes: 1,
        context: engine.options.context,
        format: engine.options.format,
        logits: LogitRows::All,
        sample: false,
    };
    Ok(forward::record(&engine.model.shape, class).map_err(EngineError::from)?)
}

/// Names of the buffers that are inputs of products, and of the chosen experts.
fn inputs(plan: &Plan) -> Vec<String> {
    let mut ids: Vec<BufferId> = products(plan)
        .iter()
        .flat_map(|product| match product.parts {
            Parts::Groups(_) => [Some(product.input), None],
            Parts::Experts { ids, .. } | Parts::Slots { ids, .. } => {
                [Some(product.input), Some(ids)]
            }
        })
        .flatten()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| plan.buffer(id).name.clone()).collect()
}

/// Every product of a plan. The mixes of the hyper-connections are left out: their matrices are
/// never quantised.
fn products(plan: &Plan) -> Vec<Product> {
    let experts = plan.shape.experts;
    let mut products = Vec::new();
    for step in &plan.steps {
        match step.op {
            Op::Matmul { x, weight, groups, .. } => {
                products.push(Product { weight, input: x, parts: Parts::Groups(groups) });
            }
            Op::ExpertsUp { x, ids, gate, up, .. } => {
                for weight in [gate, up] {
                    let parts = Parts::Experts { ids, experts };
                    products.push(Product { weight, input: x, parts });
                }
            }
            Op::ExpertsDown { h, ids, down, .. } => {
                let parts = Parts::Slots { ids, experts };
                products.push(Product { weight: down, input: h, parts });
            }
            _ => {}
        }
    }
    products
}

/// Adds the first `rows` rows of a step.
fn add_step(plan: &Plan, kept: &[Value], rows: usize, sums: &mut BTreeMap<WeightId, Sums>) {
    let value = |id: BufferId| kept.iter().find(|value| value.buffer == id);
    for product in products(plan) {
        let Some(input) = value(product.input) else { continue };
        let width = plan.buffer(product.input).width();
        let inputs = input.data.chunks_exact(width).take(rows);
        let chosen = |ids: BufferId| {
            let width = plan.buffer(ids).width();
            value(ids).into_iter().flat_map(move |ids| ids.data.chunks_exact(width))
        };
        match product.parts {
            Parts::Groups(groups) => {
                let slice = width / groups.max(1);
                let sums = entry(sums, &product, groups, slice);
                for input in inputs {
                    let slices = input.chunks_exact(slice).enumerate();
                    slices.for_each(|(group, input)| sums.add(group, input));
                }
            }
            Parts::Experts { ids, experts } => {
                let sums = entry(sums, &product, experts, width);
                for (input, chosen) in inputs.zip(chosen(ids)) {
                    chosen.iter().for_each(|id| sums.add(id.to_bits() as usize, input));
                }
            }
            Parts::Slots { ids, experts } => {
                let slice = plan.buffer(product.input).inner();
                let sums = entry(sums, &product, experts, slice);
                for (input, chosen) in inputs.zip(chosen(ids)) {
                    for (input, id) in input.chunks_exact(slice).zip(chosen) {
                        sums.add(id.to_bits() as usize, input);
                    }
                }
            }
        }
    }
}

fn entry<'a>(
    sums: &'a mut BTreeMap<WeightId, Sums>,
    product: &Product,
    parts: usize,
    width: usize,
) -> &'a mut Sums {
    sums.entry(product.weight).or_insert_with(|| Sums::new(parts, width))
}
