//! Streams the weights of a model to a back end: read, repack, upload, all at once and in any
//! order.
//!
//! Host memory beyond the back end's own is bounded: the buffer pool of the read engine, and at
//! most as many repacked blocks as it has buffers.

use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use ds4_format::quant::{LayoutError, MatrixLayout, Quant, repack_planes};
use ds4_io::{EngineOptions, ReadError, ReadRange, open_engine, read_ranges};
use ds4_model::backend::{Backend, BackendError};
use ds4_model::inventory::WeightKind;
use ds4_model::placement::{ChunkId, Piece, Placement, PlacementError, place};

use crate::model_file::{ModelFile, Source};

/// Why weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The back end refused.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The weights do not fit the back end's limits.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A block does not fit its place: an error of ours.
    #[error("tensor {tensor}: {error}")]
    Layout {
        /// Which tensor.
        tensor: String,
        /// What does not fit.
        error: LayoutError,
    },
    /// An expert table names an expert that does not exist.
    #[error(
        "tensor {tensor}, byte {offset} of the file: expert {expert} of {experts}; the file is \
         damaged or made for another model"
    )]
    Expert {
        /// Which tensor.
        tensor: String,
        /// Where the entry stands in its file.
        offset: u64,
        /// The entry.
        expert: i32,
        /// Experts of the model.
        experts: usize,
    },
}

/// How far loading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of weights on the device, in file blocks.
    pub done: u64,
    /// Bytes of weights in all.
    pub total: u64,
}

/// Some whole rows of a piece.
struct Block<'a> {
    piece: &'a Piece,
    tensor: &'a str,
    /// Part of the model that holds the rows.
    shard: usize,
    /// Where the rows are in it.
    offset: u64,
    /// Their bytes.
    bytes: usize,
    /// Rows of the piece's layout.
    rows: Range<usize>,
    experts: usize,
}

/// Repacked planes and where they belong.
type Repacked = Result<(ChunkId, Vec<(u64, Vec<u8>)>, u64), LoadError>;

/// Loads all weights of a model. `progress` is told after each block.
///
/// # Errors
/// The first thing that went wrong; the back end then holds no usable weights.
pub fn load(
    model: &ModelFile,
    backend: &mut dyn Backend,
    options: EngineOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Arc<Placement>, LoadError> {
    let caps = backend.caps();
    let placement = Arc::new(place(&model.binding.stored(), caps.max_binding, caps.expert_major)?);
    backend.allocate(placement.clone())?;
    let total = model.weight_bytes();
    let mut done = 0;
    let options = sized(options, model);
    let block_bytes = options.request_bytes_max;
    let blocks = placement.all_pieces().iter().flat_map(|piece| blocks(model, piece, block_bytes));
    let (sender, results) = mpsc::channel::<Repacked>();
    let mut upload = |result: Repacked| -> Result<(), LoadError> {
        let (chunk, planes, file_bytes) = result?;
        for (offset, bytes) in planes {
            backend.upload(chunk, offset, &bytes)?;
        }
        done += file_bytes;
        progress(Progress { done, total });
        Ok(())
    };
    rayon::in_place_scope(|scope| match &model.source {
        Source::Files(files) => {
            let mut engine = open_engine(options)?;
            let ranges = blocks.map(|block| ReadRange {
                file: files[block.shard].clone(),
                offset: block.offset,
                bytes: block.bytes,
                tag: block,
            });
            read_ranges(engine.as_mut(), ranges, |block: Block<'_>, blob| {
                let sender = sender.clone();
                scope.spawn(move |_| repack(&block, blob, &sender));
                results.try_iter().try_for_each(&mut upload)
            })
        }
        Source::Memory(file) => blocks.into_iter().try_for_each(|block| {
            let start = block.offset as usize;
            repack(&block, &file[start..start + block.bytes], &sender);
            results.try_iter().try_for_each(&mut upload)
        }),
    })?;
    drop(sender);
    results.into_iter().try_for_each(upload)?;
    Ok(placement)
}

/// No larger and no more buffers than the model fills: the kernel zeroes each of them, which for a
/// small model took longer than reading it (128 MiB: 70 ms).
fn sized(mut options: EngineOptions, model: &ModelFile) -> EngineOptions {
    let largest = model.binding.weights().map(|weight| weight.bytes as usize).max().unwrap_or(1);
    options.request_bytes_max = options.request_bytes_max.min(largest.max(1));
    let full = model.weight_bytes() as usize / options.request_bytes_max;
    options.buffers = options.buffers.min(full + 1);
    options
}

/// The parts of a piece that are read together, each of whole rows.
fn blocks<'a>(model: &'a ModelFile, piece: &'a Piece, block_bytes: usize) -> Vec<Block<'a>> {
    let Some(weight) = model.binding.get(piece.weight) else { return Vec::new() };
    let layout = &piece.layout;
    let (_, matrix_rows, _) = weight.kind.sizes();
    let row_bytes = layout.file_row_bytes();
    // A piece of a vector is one row; its `rows` are elements.
    let first = match weight.kind {
        WeightKind::Vector { .. } => piece.rows.start * row_bytes / layout.width(),
        _ => (piece.expert * matrix_rows + piece.rows.start) * row_bytes,
    };
    let step = (block_bytes / row_bytes).max(1);
    let block = |start: usize| {
        let rows = start..layout.rows().min(start + step);
        Block {
            piece,
            tensor: &weight.name,
            shard: weight.shard,
            offset: weight.offset + (first + start * row_bytes) as u64,
            bytes: rows.len() * row_bytes,
            rows,
            experts: model.shape.experts,
        }
    };
    (0..layout.rows()).step_by(step).map(block).collect()
}

/// `bytes` may be a buffer of the pool: it is given back before the result is sent.
fn repack(block: &Block<'_>, bytes: impl Deref<Target = [u8]>, sender: &Sender<Repacked>) {
    let result = check_experts(block, &bytes).and_then(|()| repack_block(block, &bytes));
    drop(bytes);
    // The receiver is gone only when loading has failed already.
    let _ = sender.send(result);
}

fn repack_block(block: &Block<'_>, bytes: &[u8]) -> Repacked {
    let layout: &MatrixLayout = &block.piece.layout;
    let spans: Vec<Range<u64>> = (0..layout.spans().len())
        .map(|plane| layout.plane_rows(plane, block.rows.start, block.rows.len()))
        .collect();
    let zeros = |span: &Range<u64>| vec![0; (span.end - span.start) as usize];
    let mut planes: Vec<Vec<u8>> = spans.iter().map(zeros).collect();
    let mut targets: Vec<&mut [u8]> = planes.iter_mut().map(Vec::as_mut_slice).collect();
    repack_planes(layout, bytes, &mut targets)
        .map_err(|error| LoadError::Layout { tensor: block.tensor.into(), error })?;
    let place = |span: Range<u64>| block.piece.offset + span.start;
    let planes = spans.into_iter().map(place).zip(planes).collect();
    Ok((block.piece.chunk, planes, bytes.len() as u64))
}

/// Kernels index experts by these ids, so they are looked at before they reach a device.
fn check_experts(block: &Block<'_>, bytes: &[u8]) -> Result<(), LoadError> {
    if block.piece.layout.quant() != Quant::I32 {
        return Ok(());
    }
    for (i, id) in bytes.as_chunks::<4>().0.iter().enumerate() {
        let expert = i32::from_le_bytes(*id);
        if usize::try_from(expert).is_ok_and(|expert| expert < block.experts) {
            continue;
        }
        let (tensor, offset) = (block.tensor.to_owned(), block.offset + 4 * i as u64);
        return Err(LoadError::Expert { tensor, offset, expert, experts: block.experts });
    }
    Ok(())
}
