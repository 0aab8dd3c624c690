//! `Op::Attend`

use ds4_model::buffer::BufferId;
use ds4_model::op::{Op, Region};
use rayon::prelude::*;

use super::top_k::PADDING;
use crate::frame::{Frame, Row};
use crate::simd;

/// Cached rows decoded at a time: 64 rows of 512 are 128 KB, shared by all heads of a task.
const BLOCK_ROWS: usize = 64;

/// Where a row comes from.
#[derive(Clone, Copy)]
enum Source {
    Step(usize),
    Ring(usize),
    Page(usize),
}

pub fn run(f: &mut Frame<'_>, op: &Op) {
    let Op::Attend { layer, q, rows, selected, sinks, window, scale, out } = *op else { return };
    let dim = f.plan.buffer(q).inner();
    let heads = f.plan.buffer(q).width() / dim;
    let sinks = sinks.map(|sinks| f.weights.vector(sinks));
    // Heads are independent; a row is split over the threads only when there are few rows.
    let parts = rayon::current_num_threads().div_ceil(f.rows.len()).min(heads);
    let task_heads = heads.div_ceil(parts);
    let tasks_per_row = heads.div_ceil(task_heads);

    let mut values = f.zeros(out);
    let shared: &Frame<'_> = f;
    let tasks: Vec<(usize, &mut [f32])> = values
        .chunks_exact_mut(heads * dim)
        .flat_map(|row| row.chunks_mut(task_heads * dim))
        .enumerate()
        .collect();
    let run = |(task, out): (usize, &mut [f32])| {
        let row = shared.rows[task / tasks_per_row];
        let first_head = task % tasks_per_row * task_heads;
        let sources = sources(shared, row, layer, selected, window);
        let input = Input { f: shared, row, layer, rows, sources: &sources, scale };
        input.heads(q, first_head, sinks, out);
    };
    if tasks.len() == 1 {
        tasks.into_iter().for_each(run);
    } else {
        tasks.into_par_iter().for_each(run);
    }
    f.set(out, values);
}

/// The rows a query attends to, in the order of the op's definition.
fn sources(
    f: &Frame<'_>,
    row: Row,
    layer: usize,
    selected: Option<BufferId>,
    window: usize,
) -> Vec<Source> {
    let start = f.run(row).start;
    let oldest = (row.position + 1).saturating_sub(window);
    let raw = (oldest..=row.position).map(|position| {
        if position < start {
            Source::Ring(position)
        } else {
            Source::Step(row.index - (row.position - position))
        }
    });
    let visible = f.pool.layout.layers[layer].visible(row.position);
    match selected {
        None => raw.chain((0..visible).map(Source::Page)).collect(),
        Some(selected) => {
            let width = f.plan.buffer(selected).width();
            let ids = &f.ids(selected)[row.index * width..][..width];
            let ids = ids.iter().take_while(|&&id| id != PADDING);
            raw.chain(ids.map(|&id| Source::Page(id as usize))).collect()
        }
    }
}

/// One query row.
struct Input<'a> {
    f: &'a Frame<'a>,
    row: Row,
    layer: usize,
    rows: BufferId,
    sources: &'a [Source],
    scale: f32,
}

impl Input<'_> {
    /// Attention of consecutive heads from `first`; `out` \[heads, dim\].
    fn heads(&self, q: BufferId, first: usize, sinks: Option<&[f32]>, out: &mut [f32]) {
        let dim = self.f.plan.buffer(q).inner();
        let heads = out.len() / dim;
        let q = &self.f.row(q, self.row.index)[first * dim..][..heads * dim];
        let count = self.sources.len();

        let mut scores = vec![0.0; heads * count];
        self.blocks(dim, |start, rows| {
            let len = rows.len() / dim;
            for (q, scores) in q.chunks_exact(dim).zip(scores.chunks_exact_mut(count)) {
                simd::scores(rows, q, self.scale, &mut scores[start..start + len]);
            }
        });
        for (head, weights) in scores.chunks_exact_mut(count).enumerate() {
            softmax(weights, sinks.map(|sinks| sinks[first + head]));
        }
        self.blocks(dim, |start, rows| {
            let len = rows.len() / dim;
            for (out, weights) in out.chunks_exact_mut(dim).zip(scores.chunks_exact(count)) {
                simd::weighted_sum(rows, &weights[start..start + len], out);
            }
        });
    }

    /// Hands out the rows, decoded, block by block.
    fn blocks(&self, dim: usize, mut each: impl FnMut(usize, &[f32])) {
        let mut block = vec![0.0; BLOCK_ROWS * dim];
        for (i, sources) in self.sources.chunks(BLOCK_ROWS).enumerate() {
            let rows = &mut block[..sources.len() * dim];
            for (source, row) in sources.iter().zip(rows.chunks_exact_mut(dim)) {
                self.load(*source, row);
            }
            each(i * BLOCK_ROWS, rows);
        }
    }

    fn load(&self, source: Source, out: &mut [f32]) {
        let run = self.f.run(self.row);
        match source {
            Source::Step(index) => out.copy_from_slice(self.f.row(self.rows, index)),
            Source::Ring(position) => {
                self.f.pool.load_raw(self.layer, run.lane as usize, position, out);
            }
            Source::Page(row) => {
                self.f.pool.load(self.layer, Region::Compressed, &run.pages, row, out);
            }
        }
    }
}

/// Softmax in place; the sink takes part in maximum and sum but has no value.
fn softmax(scores: &mut [f32], sink: Option<f32>) {
    let max = scores.iter().copied().chain(sink).fold(f32::MIN, f32::max);
    simd::exp_minus(scores, max);
    let sink = sink.map_or(0.0, |sink| crate::math::exp(sink - max));
    let sum = scores.iter().sum::<f32>() + sink;
    scores.iter_mut().for_each(|score| *score /= sum);
}
