//! Where cached rows lie: pages of 128 positions, and the tail of a lane (design 6).
//!
//! A *page* holds the compressed rows of 128 positions of every layer; pages are append-only. The
//! *tail* of a lane holds what later positions overwrite: the last `window` raw rows and the
//! compressor sums, both in rings by absolute position with `slack` spare slots, so that rejecting
//! up to `slack` draft tokens only lowers the length.
//!
//! Compressor sums are the online-softmax form for both ratios (`Op::Compress`): per channel m, z,
//! a of the window being filled and, for ratio 4, of the next one. That is 12 KB a layer instead of
//! 64 KB of raw projections at ratio 4 and 6 KB instead of 512 KB at ratio 128, and at a multiple
//! of 128 nothing of ratio 128 is partial.

mod rows;

use crate::op::Region;
use crate::shape::Shape;
pub use rows::{PlaneLayout, RowKind, RowLayout};

/// Positions of a page. Fixed: a ratio-128 row closes exactly one page.
pub const PAGE_TOKENS: usize = 128;

/// Largest FP8 block of a packed attention row, in entries.
pub const FP8_BLOCK: usize = 64;

/// FP4 block of a packed indexer key, in entries.
pub const FP4_BLOCK: usize = 32;

/// How rows are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowFormat {
    /// FP8 codes, f16 rotary part, FP4 indexer keys: what the model was trained with (spec/model.md
    /// 3.5, 3.7).
    Packed,
    /// f32, no rounding anywhere: proofs and diagnostics.
    Exact,
}

/// Why a layout cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KvError {
    /// The packed format needs whole blocks.
    #[error(
        "packed KV rows need a non-rotary part of whole blocks of {FP8_BLOCK} (it is {unrotated}) and an indexer width that is a \
         power of two and at least {FP4_BLOCK} (it is {index_dim}); use --kv exact"
    )]
    NoPackedRows {
        /// head_dim - rope_dim
        unrotated: usize,
        /// indexer width
        index_dim: usize,
    },
}

/// One plane of a page: `rows` rows of `row_bytes` bytes each from `offset`, 16-byte aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneSpan {
    /// Bytes from the start of the page.
    pub offset: usize,
    /// Bytes of one row.
    pub row_bytes: usize,
}

/// The pages of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct PageLayout {
    /// Compressed rows of a page: 128 / ratio.
    pub rows: usize,
    /// Planes of the attention rows, in the order of `RowLayout::planes`.
    pub attention: Vec<PlaneSpan>,
    /// Planes of the indexer keys; empty unless the ratio is 4.
    pub index: Vec<PlaneSpan>,
    /// Bytes of one page of this layer, a multiple of 16.
    pub bytes: usize,
}

/// Compressor sums of one region of a layer: f32 \[slots\]\[windows\]\[3: m, z, a\]\[dim\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLayout {
    /// `Compressed` or `Index`.
    pub region: Region,
    /// 2 where windows overlap (own and next), else 1.
    pub windows: usize,
    /// Channels of a pooled row.
    pub dim: usize,
}

impl StateLayout {
    /// Floats of one slot.
    pub fn slot_len(&self) -> usize {
        self.windows * 3 * self.dim
    }

    /// Floats that are not empty after `length` tokens: sums of a window nobody has added to are
    /// left out.
    pub fn live_len(&self, ratio: usize, length: usize) -> usize {
        let partial = !length.is_multiple_of(ratio);
        let windows = self.windows - usize::from(!partial);
        if length == 0 { 0 } else { windows * 3 * self.dim }
    }
}

/// The cache of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerKv {
    /// Compress ratio: 0, 4 or 128.
    pub ratio: usize,
    /// Raw and compressed attention rows.
    pub attention: RowLayout,
    /// Indexer keys (ratio 4).
    pub index: Option<RowLayout>,
    /// Pages (ratio 4 and 128).
    pub page: Option<PageLayout>,
    /// Compressor sums: none, attention, or attention and indexer.
    pub states: Vec<StateLayout>,
}

/// The cache of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct KvLayout {
    /// How rows are stored.
    pub format: RowFormat,
    /// Raw rows a query sees, its own included.
    pub window: usize,
    /// Tokens that may be taken back without a checkpoint.
    pub slack: usize,
    /// One entry a layer.
    pub layers: Vec<LayerKv>,
}

impl KvLayout {
    /// The layout for a shape. `slack`: tokens that can be taken back (draft length).
    pub fn new(shape: &Shape, format: RowFormat, slack: usize) -> Result<Self, KvError> {
        let unrotated = shape.head_dim - shape.rope_dim;
        let index_dim = shape.index_dim;
        let whole = unrotated.is_multiple_of(FP8_BLOCK)
            && index_dim.is_power_of_two()
            && index_dim.is_multiple_of(FP4_BLOCK);
        if format == RowFormat::Packed && !whole {
            return Err(KvError::NoPackedRows { unrotated, index_dim });
        }
        let layers = shape.ratios.iter().map(|&ratio| LayerKv::new(shape, format, ratio)).collect();
        Ok(Self { format, window: shape.window, slack, layers })
    }

    /// Slots of a window ring.
    pub fn ring_slots(&self) -> usize {
        self.window + self.slack
    }

    /// Slots of a compressor-state ring: the state after each of the last `slack + 1` tokens.
    pub fn state_slots(&self) -> usize {
        self.slack + 1
    }

    /// Bytes of one page over all layers.
    pub fn page_bytes(&self) -> usize {
        self.layers.iter().filter_map(|layer| layer.page.as_ref()).map(|page| page.bytes).sum()
    }

    /// Pages of `tokens` tokens.
    pub fn pages(&self, tokens: usize) -> usize {
        tokens.div_ceil(PAGE_TOKENS)
    }

    /// Device bytes of one lane's tail.
    pub fn tail_bytes(&self) -> usize {
        let layer = |layer: &LayerKv| {
            let state: usize = layer.states.iter().map(StateLayout::slot_len).sum();
            self.ring_slots() * layer.attention.row_bytes() + self.state_slots() * state * 4
        };
        self.layers.iter().map(layer).sum()
    }

    /// Bytes of the tail of a lane of `length` tokens as a record: live window rows and live sums
    /// only.
    pub fn tail_record_bytes(&self, length: usize) -> usize {
        let layer = |layer: &LayerKv| {
            let live = |state: &StateLayout| state.live_len(layer.ratio, length);
            let state: usize = layer.states.iter().map(live).sum();
            length.min(self.window) * layer.attention.row_bytes() + state * 4
        };
        self.layers.iter().map(layer).sum()
    }

    /// Device bytes of one lane of `tokens` tokens: its pages and its tail.
    pub fn bytes(&self, tokens: usize) -> usize {
        self.pages(tokens) * self.page_bytes() + self.tail_bytes()
    }

    /// Bytes of information in `tokens` tokens, without alignment, spare slots and compressor sums:
    /// the figure of spec/model.md 9.3, which counts `window` raw rows in every layer.
    pub fn information_bytes(&self, tokens: usize) -> usize {
        let layer = |layer: &LayerKv| {
            let row = layer.attention.information_bytes();
            let compressed = match layer.ratio {
                0 => 0,
                ratio => tokens / ratio,
            };
            let index = layer.index.as_ref().map_or(0, RowLayout::information_bytes);
            compressed * (row + index) + self.window * row
        };
        self.layers.iter().map(layer).sum()
    }
}

impl LayerKv {
    fn new(shape: &Shape, format: RowFormat, ratio: usize) -> Self {
        let attention = RowLayout::new(
            format,
            RowKind::Attention { dim: shape.head_dim, rope_dim: shape.rope_dim },
        );
        let index =
            (ratio == 4).then(|| RowLayout::new(format, RowKind::Index { dim: shape.index_dim }));
        let page = (ratio != 0).then(|| PageLayout::new(ratio, &attention, index.as_ref()));
        let windows = if ratio == 4 { 2 } else { 1 };
        let mut states = Vec::new();
        if ratio != 0 {
            states.push(StateLayout { region: Region::Compressed, windows, dim: shape.head_dim });
        }
        if ratio == 4 {
            states.push(StateLayout { region: Region::Index, windows, dim: shape.index_dim });
        }
        Self { ratio, attention, index, page, states }
    }

    /// The rows of a region; `None` where the layer has no such region.
    pub fn rows(&self, region: Region) -> Option<&RowLayout> {
        match region {
            Region::Window => Some(&self.attention),
            Region::Compressed => self.page.as_ref().map(|_| &self.attention),
            Region::Index => self.index.as_ref(),
        }
    }

    /// Compressed rows visible to a query at `position`: (position + 1) / ratio.
    pub fn visible(&self, position: usize) -> usize {
        (position + 1).checked_div(self.ratio).unwrap_or(0)
    }
}

impl PageLayout {
    fn new(ratio: usize, attention: &RowLayout, index: Option<&RowLayout>) -> Self {
        let rows = PAGE_TOKENS / ratio;
        let (attention, attention_end) = attention.spans(rows, 0);
        let (index, bytes) =
            index.map_or((Vec::new(), attention_end), |index| index.spans(rows, attention_end));
        Self { rows, attention, index, bytes }
    }

    /// Planes of a region's rows.
    pub fn spans(&self, region: Region) -> &[PlaneSpan] {
        if region == Region::Index { &self.index } else { &self.attention }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flash_page_matches_the_design() {
        let layout = KvLayout::new(&Shape::flash(), RowFormat::Packed, 0).unwrap();
        assert_eq!(layout.page_bytes(), 21 * 32 * (584 + 68) + 20 * 592);
        let page = layout.layers[2].page.as_ref().unwrap();
        assert_eq!(page.bytes, 32 * 652);
        // spec/model.md 9.3: 112.7, 441.7 and 3,512 MiB; 583 and 68 bytes a row.
        for (tokens, mib) in [(1 << 15, 112.7), (1 << 17, 441.7), (1 << 20, 3512.0)] {
            let found = layout.information_bytes(tokens) as f64 / f64::from(1 << 20);
            assert!((found - mib).abs() < 0.1 + mib * 1e-4, "{tokens}: {found} MiB");
        }
        // A tail checkpoint at a multiple of 128 (design 6): 4.1 MB with raw projections, less with
        // sums.
        assert!(layout.tail_record_bytes(128 * 50) < 3_500_000);
    }

    #[test]
    fn sums_of_an_empty_window_are_not_recorded() {
        let overlap = StateLayout { region: Region::Compressed, windows: 2, dim: 8 };
        assert_eq!([0, 1, 4, 6].map(|n| overlap.live_len(4, n)), [0, 48, 24, 48]);
        let plain = StateLayout { windows: 1, ..overlap };
        assert_eq!([0, 1, 128, 130].map(|n| plain.live_len(128, n)), [0, 24, 0, 24]);
    }

    #[test]
    fn packed_rows_need_whole_blocks() {
        let shape = Shape { head_dim: 40, rope_dim: 12, ..Shape::flash() };
        let error = KvLayout::new(&shape, RowFormat::Packed, 0).unwrap_err();
        assert_eq!(error, KvError::NoPackedRows { unrotated: 28, index_dim: 128 });
        assert!(KvLayout::new(&shape, RowFormat::Exact, 0).is_ok());
    }
}
