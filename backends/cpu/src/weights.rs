//! Weights in memory, in device layout, and matrix products with them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ds4_format::quant::MatrixView;
use ds4_model::backend::BackendError;
use ds4_model::inventory::WeightId;
use ds4_model::placement::{ChunkId, Piece, Placement};
use rayon::prelude::*;

use crate::simd;

/// Multiply-adds that a thread takes at a time, about 3 microseconds. Measured on decode steps of the
/// demo model with 2 threads: 2^12, 2^13 and 2^14 gave 3.9, 3.1 and 3.6 ms.
const TASK_WORK: usize = 1 << 13;

/// Entries decoded at a time: rows of 256 come 16 together, rows of 4,096 and more alone, and both
/// stay in the first-level cache.
const SCRATCH_LEN: usize = 1 << 12;

/// The chunks of a placement.
pub struct Weights {
    placement: Arc<Placement>,
    chunks: Vec<Vec<u8>>,
    vectors: HashMap<WeightId, Vec<f32>>,
}

/// Rows of one matrix (of one expert) times some columns.
pub struct Product<'a> {
    /// The matrix.
    pub weight: WeightId,
    /// Which expert; 0 for plain matrices.
    pub expert: usize,
    /// Its rows.
    pub rows: Range<usize>,
    /// Input vectors, each as wide as the matrix.
    pub columns: Vec<&'a [f32]>,
}

impl Weights {
    /// Empty chunks of a placement.
    pub fn new(placement: Arc<Placement>) -> Self {
        let zeros = |bytes: u64| vec![0; bytes as usize];
        let chunks = placement.chunks().iter().map(|chunk| zeros(chunk.bytes)).collect();
        Self { placement, chunks, vectors: HashMap::new() }
    }

    /// Copies bytes into a chunk.
    pub fn upload(
        &mut self,
        chunk: ChunkId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), BackendError> {
        let size = |expected: usize| BackendError::Size {
            what: format!("upload to weight chunk {} at {offset}", chunk.0),
            found: bytes.len() as u64,
            expected: expected as u64,
        };
        let target = self.chunks.get_mut(chunk.index()).ok_or_else(|| size(0))?;
        let room = target.len();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let span = start.checked_add(bytes.len()).and_then(|end| target.get_mut(start..end));
        span.ok_or_else(|| size(room.saturating_sub(start)))?.copy_from_slice(bytes);
        Ok(())
    }

    /// Whether the placement has this weight.
    pub fn has(&self, id: WeightId) -> bool {
        !self.placement.pieces(id).is_empty()
    }

    /// Decodes a weight as one vector, once: norms, biases, scales, sinks, position biases.
    pub fn prepare_vector(&mut self, id: WeightId) {
        if self.vectors.contains_key(&id) {
            return;
        }
        let mut values = Vec::new();
        for piece in self.placement.pieces(id) {
            let view = self.view(piece);
            let width = piece.layout.width();
            for row in 0..piece.layout.rows() {
                let start = values.len();
                values.resize(start + width, 0.0);
                view.decode_row(row, &mut values[start..]);
            }
        }
        self.vectors.insert(id, values);
    }

    /// A weight prepared as a vector; a matrix row by row.
    pub fn vector(&self, id: WeightId) -> &[f32] {
        self.vectors.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Decodes one row of a matrix.
    pub fn row(&self, id: WeightId, row: usize, out: &mut [f32]) {
        let (view, row) = self.locate(id, row);
        view.decode_row(row, out);
    }

    /// Copies one row of an index table.
    pub fn row_i32(&self, id: WeightId, row: usize, out: &mut [i32]) {
        let (view, row) = self.locate(id, row);
        view.row_i32(row, out).expect("id tables are I32, checked when the file was bound");
    }

    /// One result for each product, \[rows\]\[columns\]. All products share one parallel pass.
    pub fn products(&self, products: &[Product<'_>]) -> Vec<Vec<f32>> {
        let size = |product: &Product<'_>| product.rows.len() * product.columns.len();
        let mut results: Vec<Vec<f32>> = products.iter().map(|p| vec![0.0; size(p)]).collect();
        let mut tasks = Vec::new();
        let mut work = 0;
        for (product, mut out) in products.iter().zip(results.iter_mut().map(Vec::as_mut_slice)) {
            for piece in self.placement.pieces(product.weight) {
                let start = piece.rows.start.max(product.rows.start);
                let end = piece.rows.end.min(product.rows.end);
                if piece.expert != product.expert || start >= end {
                    continue;
                }
                let cost = piece.layout.width() * product.columns.len();
                let step = (TASK_WORK / cost.max(1)).max(1);
                work += cost * (end - start);
                for first in (start..end).step_by(step) {
                    let last = end.min(first + step);
                    let rows = first - piece.rows.start..last - piece.rows.start;
                    let (block, rest) = out.split_at_mut(rows.len() * product.columns.len());
                    out = rest;
                    tasks.push((piece, rows, product.columns.as_slice(), block));
                }
            }
        }
        let run = |scratch: &mut Vec<f32>, (piece, rows, columns, out): Task<'_>| {
            let width = piece.layout.width();
            scratch.resize((SCRATCH_LEN / width).clamp(1, rows.len()) * width, 0.0);
            simd::rows_dot(self.view(piece), rows, columns, scratch, out);
        };
        if work < 2 * TASK_WORK {
            let mut scratch = Vec::new();
            tasks.into_iter().for_each(|task| run(&mut scratch, task));
        } else {
            tasks.into_par_iter().for_each_init(Vec::new, run);
        }
        results
    }

    fn locate(&self, id: WeightId, row: usize) -> (MatrixView<'_>, usize) {
        let pieces = self.placement.pieces(id);
        let i = pieces.partition_point(|piece| piece.rows.end <= row);
        let piece = &pieces[i];
        (self.view(piece), row - piece.rows.start)
    }

    fn view<'a>(&'a self, piece: &'a Piece) -> MatrixView<'a> {
        let span = piece.span();
        let bytes = &self.chunks[piece.chunk.index()][span.start as usize..span.end as usize];
        MatrixView::new(&piece.layout, bytes).expect("a piece's span has its layout's size")
    }
}

type Task<'a> = (&'a Piece, Range<usize>, &'a [&'a [f32]], &'a mut [f32]);
