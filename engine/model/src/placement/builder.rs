//! The placement while it grows.

use std::collections::BTreeMap;
use std::ops::Range;

use ds4_format::quant::MatrixLayout;

use super::{
    Chunk, ChunkId, PIECE_ALIGN, Piece, Placement, PlacementError, ROW_TILE, StoredWeight,
};
use crate::inventory::{WeightId, WeightKind};

pub(super) struct Builder {
    max_binding: u64,
    chunks: Vec<Chunk>,
    pieces: Vec<Piece>,
}

impl Builder {
    pub(super) fn new(max_binding: u64) -> Self {
        Self { max_binding, chunks: Vec::new(), pieces: Vec::new() }
    }

    /// Places one matrix or vector in as few pieces as the limit allows, each in a chunk of its
    /// own.
    pub(super) fn split(
        &mut self,
        weight: &StoredWeight,
        expert: usize,
    ) -> Result<(), PlacementError> {
        let rows = row_count(weight);
        let fitting = self.rows_fitting(weight)?;
        for start in (0..rows).step_by(fitting.max(1)) {
            let end = rows.min(start.saturating_add(fitting));
            let layout = layout_of(weight, end - start)?;
            let chunk = self.chunk(layout.bytes())?;
            self.piece(weight.id, expert, start..end, (chunk, 0), layout);
        }
        Ok(())
    }

    /// Places the matrices of `count` experts next to each other, expert after expert; as many
    /// whole experts in a chunk as fit. Falls back to splitting where one expert is too much.
    pub(super) fn experts(
        &mut self,
        matrices: &[StoredWeight],
        count: usize,
        align: u64,
    ) -> Result<(), PlacementError> {
        let mut inside: Vec<(u64, MatrixLayout)> = Vec::new();
        let mut bytes = 0_u64;
        for matrix in matrices {
            let layout = layout_of(matrix, row_count(matrix))?;
            inside.push((bytes, layout));
            bytes = bytes.saturating_add(rounded_up(layout.bytes(), PIECE_ALIGN));
        }
        if bytes > self.max_binding {
            return self.experts_split(matrices, count);
        }
        let stride = rounded_up(bytes, align);
        let per_chunk = (self.max_binding - bytes).checked_div(stride).unwrap_or(0) + 1;
        let per_chunk = usize::try_from(per_chunk).unwrap_or(usize::MAX);
        for first in (0..count).step_by(per_chunk) {
            let experts = first..count.min(first.saturating_add(per_chunk));
            let starts = (0..).step_by(usize::try_from(stride).unwrap_or(usize::MAX));
            let last_start = stride * (experts.len() as u64 - 1);
            let chunk = self.chunk(last_start + bytes)?;
            for (expert, start) in experts.zip(starts) {
                for (matrix, (offset, layout)) in matrices.iter().zip(&inside) {
                    let at = (chunk, start as u64 + offset);
                    self.piece(matrix.id, expert, 0..row_count(matrix), at, *layout);
                }
            }
        }
        Ok(())
    }

    fn experts_split(
        &mut self,
        matrices: &[StoredWeight],
        count: usize,
    ) -> Result<(), PlacementError> {
        for expert in 0..count {
            for matrix in matrices {
                self.split(matrix, expert)?;
            }
        }
        Ok(())
    }

    /// The most rows of a weight that one chunk can hold: all, or a multiple of [`ROW_TILE`], or
    /// the few that fit.
    fn rows_fitting(&self, weight: &StoredWeight) -> Result<usize, PlacementError> {
        let fits = |rows| Ok(layout_of(weight, rows)?.bytes() <= self.max_binding);
        let rows = row_count(weight);
        if fits(rows)? {
            return Ok(rows);
        }
        // The size grows with the rows: `low` rows fit, `high` rows do not.
        let (mut low, mut high) = (0, rows);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle)? { low = middle } else { high = middle }
        }
        match low {
            0 => Err(PlacementError::RowTooLarge {
                weight: weight.id,
                row_bytes: layout_of(weight, 1)?.bytes(),
                max_binding: self.max_binding,
            }),
            1..ROW_TILE => Ok(low),
            _ => Ok(low - low % ROW_TILE),
        }
    }

    fn chunk(&mut self, bytes: u64) -> Result<ChunkId, PlacementError> {
        let id = u32::try_from(self.chunks.len())
            .map_err(|_| PlacementError::TooManyChunks { max_binding: self.max_binding })?;
        self.chunks.push(Chunk { bytes });
        Ok(ChunkId(id))
    }

    fn piece(
        &mut self,
        weight: WeightId,
        expert: usize,
        rows: Range<usize>,
        (chunk, offset): (ChunkId, u64),
        layout: MatrixLayout,
    ) {
        self.pieces.push(Piece { weight, expert, rows, chunk, offset, layout });
    }

    pub(super) fn finish(self) -> Placement {
        let Self { chunks, mut pieces, .. } = self;
        pieces.sort_by_key(|piece| (piece.weight, piece.expert, piece.rows.start));
        let mut of_weight = BTreeMap::new();
        for (at, piece) in pieces.iter().enumerate() {
            of_weight.entry(piece.weight).or_insert(at..at).end = at + 1;
        }
        Placement { chunks, pieces, of_weight }
    }
}

/// Rows of one (expert's) matrix; elements of a vector.
fn row_count(weight: &StoredWeight) -> usize {
    match weight.kind {
        WeightKind::Vector { len } => len,
        kind => kind.sizes().1,
    }
}

/// The layout of so many rows of a matrix, or elements of a vector.
fn layout_of(weight: &StoredWeight, rows: usize) -> Result<MatrixLayout, PlacementError> {
    let (rows, width) = match weight.kind {
        WeightKind::Vector { .. } => (1, rows),
        kind => (rows, kind.sizes().2),
    };
    MatrixLayout::new(weight.quant, rows, width)
        .map_err(|source| PlacementError::Layout { weight: weight.id, source })
}

fn rounded_up(bytes: u64, align: u64) -> u64 {
    bytes.checked_next_multiple_of(align).unwrap_or(u64::MAX)
}
