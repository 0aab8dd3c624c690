//! The cache in memory: pages, and the tails of lanes.

use std::sync::Arc;

use ds4_model::backend::BackendError;
use ds4_model::kv::{KvLayout, LayerKv, PlaneSpan, StateLayout};
use ds4_model::op::Region;
use ds4_model::step::ring_slot;

/// Score of an empty online softmax: below every real one, and finite.
pub const EMPTY_MAX: f32 = -1e30;

/// Pages and lanes of one layout.
pub struct Pool {
    /// What lies where.
    pub layout: Arc<KvLayout>,
    /// Pages of each layer, page after page.
    pages: Vec<Vec<u8>>,
    page_count: usize,
    lanes: Vec<Lane>,
}

/// The tail of a lane: one entry for each layer.
struct Lane {
    rings: Vec<Ring>,
    states: Vec<Vec<f32>>,
}

struct Ring {
    bytes: Vec<u8>,
    spans: Vec<PlaneSpan>,
}

impl Pool {
    /// `pages` zeroed pages and `lanes` empty lanes.
    pub fn new(layout: Arc<KvLayout>, pages: usize, lanes: usize) -> Self {
        let bytes = |layer: &LayerKv| layer.page.as_ref().map_or(0, |page| page.bytes * pages);
        Self {
            pages: layout.layers.iter().map(|layer| vec![0; bytes(layer)]).collect(),
            page_count: pages,
            lanes: (0..lanes).map(|_| Lane::new(&layout)).collect(),
            layout,
        }
    }

    /// Pages of the pool.
    pub fn page_count(&self) -> usize {
        self.page_count
    }

    /// Lanes of the pool.
    pub fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    /// Stores a raw row.
    pub fn store_raw(&mut self, layer: usize, lane: usize, position: usize, values: &[f32]) {
        let slot = ring_slot(&self.layout, position);
        let ring = &mut self.lanes[lane].rings[layer];
        self.layout.layers[layer].attention.encode(values, &mut ring.bytes, &ring.spans, slot);
    }

    /// Reads a raw row of one of the last `window` positions.
    pub fn load_raw(&self, layer: usize, lane: usize, position: usize, out: &mut [f32]) {
        let slot = ring_slot(&self.layout, position);
        let ring = &self.lanes[lane].rings[layer];
        self.layout.layers[layer].attention.decode(&ring.bytes, &ring.spans, slot, out);
    }

    /// Stores compressed row or indexer key `row` of a lane with this page table.
    pub fn store(
        &mut self,
        layer: usize,
        region: Region,
        table: &[u32],
        row: usize,
        values: &[f32],
    ) {
        let kv = &self.layout.layers[layer];
        let (Some(page), Some(rows)) = (&kv.page, kv.rows(region)) else { return };
        let start = table[row / page.rows] as usize * page.bytes;
        let bytes = &mut self.pages[layer][start..start + page.bytes];
        rows.encode(values, bytes, page.spans(region), row % page.rows);
    }

    /// Reads compressed row or indexer key `row` of a lane with this page table.
    pub fn load(&self, layer: usize, region: Region, table: &[u32], row: usize, out: &mut [f32]) {
        let kv = &self.layout.layers[layer];
        let (Some(page), Some(rows)) = (&kv.page, kv.rows(region)) else { return };
        let start = table[row / page.rows] as usize * page.bytes;
        let bytes = &self.pages[layer][start..start + page.bytes];
        rows.decode(bytes, page.spans(region), row % page.rows, out);
    }

    /// Compressor sums after `length` tokens; empty ones at the start of a lane.
    pub fn load_state(&self, layer: usize, region: Region, lane: usize, length: usize) -> Vec<f32> {
        let (offset, state) = self.state(layer, region);
        if length == 0 {
            return empty_state(state);
        }
        let at = self.state_at(layer, offset, length);
        self.lanes[lane].states[layer][at..at + state.slot_len()].to_vec()
    }

    /// Stores the compressor sums after `length` tokens.
    pub fn store_state(
        &mut self,
        layer: usize,
        region: Region,
        lane: usize,
        length: usize,
        sums: &[f32],
    ) {
        let (offset, state) = self.state(layer, region);
        let (at, len) = (self.state_at(layer, offset, length), state.slot_len());
        self.lanes[lane].states[layer][at..at + len].copy_from_slice(sums);
    }

    /// The layout of a region's sums, and its offset in a slot.
    pub fn state(&self, layer: usize, region: Region) -> (usize, StateLayout) {
        let mut offset = 0;
        for state in &self.layout.layers[layer].states {
            if state.region == region {
                return (offset, *state);
            }
            offset += state.slot_len();
        }
        unreachable!("plans pool only regions that the layout has")
    }

    fn state_at(&self, layer: usize, offset: usize, length: usize) -> usize {
        let states = &self.layout.layers[layer].states;
        let slot: usize = states.iter().map(StateLayout::slot_len).sum();
        (length - 1) % self.layout.state_slots() * slot + offset
    }

    /// Bytes of a page, layer by layer.
    pub fn read_page(&self, page: u32) -> Result<Vec<u8>, BackendError> {
        self.check_page(page)?;
        let mut out = Vec::with_capacity(self.layout.page_bytes());
        for (layer, bytes) in self.layout.layers.iter().zip(&self.pages) {
            let size = layer.page.as_ref().map_or(0, |page| page.bytes);
            out.extend_from_slice(&bytes[page as usize * size..][..size]);
        }
        Ok(out)
    }

    /// Fills a page.
    pub fn write_page(&mut self, page: u32, mut bytes: &[u8]) -> Result<(), BackendError> {
        self.check_page(page)?;
        check_size("page", bytes.len(), self.layout.page_bytes())?;
        for (layer, target) in self.layout.layers.iter().zip(&mut self.pages) {
            let size = layer.page.as_ref().map_or(0, |page| page.bytes);
            let (own, rest) = bytes.split_at(size);
            target[page as usize * size..][..size].copy_from_slice(own);
            bytes = rest;
        }
        Ok(())
    }

    /// The tail of a lane of `length` tokens (`Backend::read_tail`).
    pub fn read_tail(&self, lane: u32, length: usize) -> Result<Vec<u8>, BackendError> {
        let lane = self.check_lane(lane)?;
        let mut out = Vec::with_capacity(self.layout.tail_record_bytes(length));
        for (i, kv) in self.layout.layers.iter().enumerate() {
            let ring = &self.lanes[lane].rings[i];
            for position in length.saturating_sub(self.layout.window)..length {
                let slot = ring_slot(&self.layout, position);
                for span in &ring.spans {
                    let row = &ring.bytes[span.offset + slot * span.row_bytes..];
                    out.extend_from_slice(&row[..span.row_bytes]);
                }
            }
            for state in &kv.states {
                let sums = self.load_state(i, state.region, lane, length);
                let live = &sums[..state.live_len(kv.ratio, length)];
                out.extend(live.iter().flat_map(|sum| sum.to_le_bytes()));
            }
        }
        Ok(out)
    }

    /// Makes a lane one of `length` tokens from such a record.
    pub fn write_tail(
        &mut self,
        lane: u32,
        length: usize,
        mut bytes: &[u8],
    ) -> Result<(), BackendError> {
        let lane = self.check_lane(lane)?;
        check_size("tail", bytes.len(), self.layout.tail_record_bytes(length))?;
        let mut take = |n: usize| {
            let (own, rest) = bytes.split_at(n);
            bytes = rest;
            own
        };
        let layout = self.layout.clone();
        for (i, kv) in layout.layers.iter().enumerate() {
            let ring = &mut self.lanes[lane].rings[i];
            for position in length.saturating_sub(layout.window)..length {
                let slot = ring_slot(&layout, position);
                for span in &ring.spans {
                    let row = &mut ring.bytes[span.offset + slot * span.row_bytes..];
                    row[..span.row_bytes].copy_from_slice(take(span.row_bytes));
                }
            }
            for state in &kv.states {
                let mut sums = empty_state(*state);
                for sum in &mut sums[..state.live_len(kv.ratio, length)] {
                    *sum = f32::from_le_bytes(take(4).try_into().expect("four bytes"));
                }
                if length > 0 {
                    self.store_state(i, state.region, lane, length, &sums);
                }
            }
        }
        Ok(())
    }

    fn check_page(&self, page: u32) -> Result<(), BackendError> {
        if (page as usize) < self.page_count { Ok(()) } else { Err(BackendError::Unknown("page")) }
    }

    fn check_lane(&self, lane: u32) -> Result<usize, BackendError> {
        let known = (lane as usize) < self.lanes.len();
        if known { Ok(lane as usize) } else { Err(BackendError::Unknown("lane")) }
    }
}

impl Lane {
    fn new(layout: &KvLayout) -> Self {
        let ring = |layer: &LayerKv| {
            let (spans, bytes) = layer.attention.spans(layout.ring_slots(), 0);
            Ring { bytes: vec![0; bytes], spans }
        };
        let states = |layer: &LayerKv| {
            let slot: usize = layer.states.iter().map(StateLayout::slot_len).sum();
            vec![0.0; slot * layout.state_slots()]
        };
        Self {
            rings: layout.layers.iter().map(ring).collect(),
            states: layout.layers.iter().map(states).collect(),
        }
    }
}

/// Sums to which nothing was added: m = `EMPTY_MAX`, z = a = 0, in each window.
pub fn empty_state(state: StateLayout) -> Vec<f32> {
    let mut sums = vec![0.0; state.slot_len()];
    for window in sums.chunks_exact_mut(3 * state.dim) {
        window[..state.dim].fill(EMPTY_MAX);
    }
    sums
}

fn check_size(what: &str, found: usize, expected: usize) -> Result<(), BackendError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found as u64, expected as u64);
    Err(BackendError::Size { what: what.into(), found, expected })
}
