//! Where weights lie on a device: a pure function from tensors and a size limit to buffers.
//!
//! A device holds weights in *chunks*, each one buffer no larger than a binding may be. A chunk
//! holds *pieces*: runs of whole rows of one matrix in its device layout (design.md 5). Most
//! tensors are one piece in one chunk; the limit decides. Kernels see pieces only.
//!
//! Routed experts are expert-major: gate, up and down of one expert stand next to each other and
//! the expert starts at a multiple of [`EXPERT_ALIGN`], so that one expert is one read from disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ds4_format::quant::{LayoutError, MatrixLayout, Quant};

use crate::inventory::{WeightId, WeightKind};

mod builder;
#[cfg(test)]
mod tests;

use builder::Builder;

/// Alignment of an expert in its chunk: a memory page, and what direct I/O asks for.
pub const EXPERT_ALIGN: u64 = 4096;
/// Alignment of a piece in its chunk: kernels load four words at a time.
pub const PIECE_ALIGN: u64 = 16;
/// Rows of a split matrix are cut at multiples of this where the limit leaves room for as many, so
/// that tiles of a matrix product never straddle two pieces.
pub const ROW_TILE: usize = 64;

/// A weight to place: what a binding knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredWeight {
    /// Which weight.
    pub id: WeightId,
    /// Its format.
    pub quant: Quant,
    /// Its sizes.
    pub kind: WeightKind,
}

/// Number of a chunk in [`Placement::chunks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub u32);

impl ChunkId {
    /// Its index in [`Placement::chunks`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One buffer on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its size; a multiple of [`PIECE_ALIGN`].
    pub bytes: u64,
}

/// A run of whole rows of one matrix, or of elements of one vector, contiguous on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Whose rows.
    pub weight: WeightId,
    /// Of which expert; 0 where there are none.
    pub expert: usize,
    /// Which rows of the (expert's) matrix; which elements of a vector.
    pub rows: Range<usize>,
    /// The buffer it lies in.
    pub chunk: ChunkId,
    /// Where it starts in the buffer, in bytes.
    pub offset: u64,
    /// Its planes. A run of a vector is laid out as one row.
    pub layout: MatrixLayout,
}

impl Piece {
    /// The bytes it takes in its chunk.
    pub fn span(&self) -> Range<u64> {
        self.offset..self.offset + self.layout.bytes()
    }
}

/// Why weights cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// The limit is smaller than the smallest thing that can be bound.
    #[error(
        "{weight}: one row takes {row_bytes} bytes, more than the device binds at once \
         ({max_binding} bytes)"
    )]
    RowTooLarge {
        /// Which weight.
        weight: WeightId,
        /// Bytes of one row in the device layout.
        row_bytes: u64,
        /// The limit.
        max_binding: u64,
    },
    /// Rows are not whole blocks, or sizes overflow.
    #[error("{weight} has no device layout: {source}")]
    Layout {
        /// Which weight.
        weight: WeightId,
        /// What is wrong with it.
        source: LayoutError,
    },
    /// The same weight twice.
    #[error("{weight} is listed twice")]
    Duplicate {
        /// Which weight.
        weight: WeightId,
    },
    /// More buffers than can be numbered.
    #[error(
        "the device binds so little at once ({max_binding} bytes) that more than 2^32 buffers \
         are needed"
    )]
    TooManyChunks {
        /// The limit.
        max_binding: u64,
    },
}

/// All weights of a model on a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    chunks: Vec<Chunk>,
    /// Sorted by weight, expert, first row.
    pieces: Vec<Piece>,
    /// Pieces of each weight.
    of_weight: BTreeMap<WeightId, Range<usize>>,
}

impl Placement {
    /// The buffers, in the order of their ids.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The pieces of a weight, sorted by expert and first row; empty if the model lacks it.
    pub fn pieces(&self, weight: WeightId) -> &[Piece] {
        match self.of_weight.get(&weight) {
            Some(range) => &self.pieces[range.clone()],
            None => &[],
        }
    }

    /// Every piece, sorted by weight, expert and first row.
    pub fn all_pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }
}

/// Places `weights` in chunks of at most `max_binding` bytes each, in the order given.
///
/// With `expert_major` the three expert matrices of a layer are interleaved expert by expert;
/// without it each of the three tensors stands alone. The result depends on nothing but the
/// arguments.
///
/// # Errors
/// [`PlacementError`]: a row that does not fit, rows that are not whole blocks, a weight given
/// twice.
pub fn place(
    weights: &[StoredWeight],
    max_binding: u64,
    expert_major: bool,
) -> Result<Placement, PlacementError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = weights.iter().find(|weight| !seen.insert(weight.id)) {
        return Err(PlacementError::Duplicate { weight: twice.id });
    }
    let mut builder = Builder::new(max_binding);
    let mut layers_done = BTreeSet::new();
    for weight in weights {
        let WeightKind::Experts { experts, .. } = weight.kind else {
            builder.split(weight, 0)?;
            continue;
        };
        if !expert_major {
            builder.experts(&[*weight], experts, PIECE_ALIGN)?;
        } else if layers_done.insert((weight.id.layer, experts)) {
            let group = experts_of_layer(weights, weight.id.layer, experts);
            builder.experts(&group, experts, EXPERT_ALIGN)?;
        }
    }
    Ok(builder.finish())
}

/// The expert matrices of a layer, in the order in which they lie in an expert: gate, up, down.
fn experts_of_layer(
    weights: &[StoredWeight],
    layer: Option<u16>,
    count: usize,
) -> Vec<StoredWeight> {
    let belongs = |weight: &&StoredWeight| {
        let same_count =
            matches!(weight.kind, WeightKind::Experts { experts, .. } if experts == count);
        weight.id.layer == layer && same_count
    };
    let mut group: Vec<StoredWeight> = weights.iter().filter(belongs).copied().collect();
    group.sort_by_key(|weight| weight.id.role);
    group
}
