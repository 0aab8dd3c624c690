//! Lanes: who holds one, how far it is, and taking it back or out of the device.

use std::sync::mpsc::Sender;

use super::{Engine, EngineError};

/// A lane in use. An id outlives its lane harmlessly: after `drop_lane` it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneId {
    pub(super) index: u32,
    /// Which of the sequences that the slot has held.
    pub(super) generation: u32,
}

/// A lane that is given back when its owner goes away, on whatever path.
#[derive(Debug)]
pub struct OwnedLane {
    id: LaneId,
    released: Sender<LaneId>,
}

impl OwnedLane {
    /// The lane.
    pub fn id(&self) -> LaneId {
        self.id
    }
}

impl Drop for OwnedLane {
    fn drop(&mut self) {
        // The engine is gone when nobody receives; then there is nothing to give back.
        let _ = self.released.send(self.id);
    }
}

/// The cache of a lane outside the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneImage {
    /// Tokens.
    pub length: usize,
    /// Its pages in order (`Backend::read_page`); rows after `length` of the last one mean nothing.
    pub pages: Vec<Vec<u8>>,
    /// Its tail (`Backend::read_tail`).
    pub tail: Vec<u8>,
}

impl LaneImage {
    /// Bytes of all parts.
    pub fn bytes(&self) -> usize {
        self.pages.iter().map(Vec::len).sum::<usize>() + self.tail.len()
    }
}

/// A place for a sequence.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub generation: u32,
    pub lane: Option<Lane>,
}

/// What the engine knows of a sequence on the device.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub length: usize,
    pub pages: Vec<u32>,
    /// Shortest length that the rings of the tail still hold.
    pub floor: usize,
    /// A step failed half way: the tail is of no use.
    pub broken: bool,
}

impl Engine {
    /// An empty lane.
    ///
    /// # Errors
    /// If all are in use.
    pub fn new_lane(&mut self) -> Result<LaneId, EngineError> {
        self.reap();
        let count = self.lanes.len();
        let free = self.lanes.iter_mut().enumerate().find(|(_, slot)| slot.lane.is_none());
        let (index, slot) = free.ok_or(EngineError::NoLane(count))?;
        slot.lane = Some(Lane::default());
        Ok(LaneId { index: index as u32, generation: slot.generation })
    }

    /// An empty lane that comes back when its owner drops it.
    ///
    /// # Errors
    /// If all are in use.
    pub fn own_lane(&mut self) -> Result<OwnedLane, EngineError> {
        let id = self.new_lane()?;
        Ok(OwnedLane { id, released: self.released.0.clone() })
    }

    /// Gives a lane and its pages back.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn drop_lane(&mut self, lane: LaneId) -> Result<(), EngineError> {
        self.lane(lane)?;
        let slot = &mut self.lanes[lane.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        if let Some(mut owned) = slot.lane.take() {
            self.free.shrink(&mut owned.pages, 0);
        }
        Ok(())
    }

    /// Lanes in use.
    pub fn lanes_used(&mut self) -> usize {
        self.reap();
        self.lanes.iter().filter(|slot| slot.lane.is_some()).count()
    }

    /// Pages that no lane owns.
    pub fn pages_free(&mut self) -> usize {
        self.reap();
        self.free.len()
    }

    /// Tokens of a lane.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn length(&self, lane: LaneId) -> Result<usize, EngineError> {
        self.lane(lane).map(|lane| lane.length)
    }

    /// Whether steps may extend it; otherwise it must be reset or restored.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn is_usable(&self, lane: LaneId) -> Result<bool, EngineError> {
        self.lane(lane).map(|lane| !lane.broken)
    }

    /// The shortest length that `rewind` takes.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn rewind_floor(&self, lane: LaneId) -> Result<usize, EngineError> {
        self.lane(lane).map(|lane| lane.floor)
    }

    /// Takes the last tokens back, as many as the slack holds: only the length changes.
    ///
    /// # Errors
    /// If the rings do not hold that length any more.
    pub fn rewind(&mut self, lane: LaneId, length: usize) -> Result<(), EngineError> {
        let pages = self.layout.pages(length);
        let (own, free) = self.lane_mut(lane)?;
        if own.broken || length < own.floor || length > own.length {
            let (floor, now) = (own.floor, own.length);
            return Err(EngineError::Rewind { wanted: length, floor, now, broken: own.broken });
        }
        own.length = length;
        free.shrink(&mut own.pages, pages);
        Ok(())
    }

    /// Makes a lane an empty one.
    ///
    /// # Errors
    /// If it is not in use.
    pub fn reset(&mut self, lane: LaneId) -> Result<(), EngineError> {
        let (own, free) = self.lane_mut(lane)?;
        free.shrink(&mut own.pages, 0);
        *own = Lane::default();
        Ok(())
    }

    /// The tail of a lane, for `restore_tail`.
    ///
    /// # Errors
    /// If the lane has none that is of use.
    pub fn read_tail(&mut self, lane: LaneId) -> Result<Vec<u8>, EngineError> {
        let own = self.lane(lane)?;
        if own.broken {
            return Err(EngineError::Broken(lane.index));
        }
        let length = own.length;
        Ok(self.backend.read_tail(self.pool, lane.index, length)?)
    }

    /// Takes a lane back to a length at which its tail was read. Its pages up to there must be as
    /// they were then.
    ///
    /// # Errors
    /// If the lane was never that long, or the tail has another size.
    pub fn restore_tail(
        &mut self,
        lane: LaneId,
        length: usize,
        tail: &[u8],
    ) -> Result<(), EngineError> {
        let pages = self.layout.pages(length);
        let own = self.lane(lane)?;
        if own.pages.len() < pages {
            let now = own.pages.len() * ds4_model::kv::PAGE_TOKENS;
            return Err(EngineError::Rewind { wanted: length, floor: 0, now, broken: own.broken });
        }
        self.backend.write_tail(self.pool, lane.index, length, tail)?;
        let (own, free) = self.lane_mut(lane)?;
        free.shrink(&mut own.pages, pages);
        (own.length, own.floor, own.broken) = (length, length, false);
        Ok(())
    }

    /// Copies the cache of a lane out.
    ///
    /// # Errors
    /// If it has none that is of use.
    pub fn save(&mut self, lane: LaneId) -> Result<LaneImage, EngineError> {
        let tail = self.read_tail(lane)?;
        let own = self.lane(lane)?;
        let (length, pool, table) = (own.length, self.pool, own.pages.clone());
        let used = table.into_iter().take(self.layout.pages(length));
        let pages = used.map(|page| self.backend.read_page(pool, page));
        Ok(LaneImage { length, pages: pages.collect::<Result<_, _>>()?, tail })
    }

    /// Makes a lane the one that was saved. If it fails, the lane must be reset.
    ///
    /// # Errors
    /// If the image has another layout, or does not fit.
    pub fn restore(&mut self, lane: LaneId, image: &LaneImage) -> Result<(), EngineError> {
        self.reset(lane)?;
        let (wanted, context) = (image.length, self.options.context);
        let pages = self.layout.pages(wanted);
        if image.pages.len() != pages {
            return Err(EngineError::Image { length: wanted, found: image.pages.len(), pages });
        }
        let (own, free) = self.lane_mut(lane)?;
        if wanted > context || !free.grow(&mut own.pages, pages) {
            return Err(EngineError::Full { context, wanted });
        }
        own.broken = true;
        let table = own.pages.clone();
        for (&page, bytes) in table.iter().zip(&image.pages) {
            self.backend.write_page(self.pool, page, bytes)?;
        }
        self.restore_tail(lane, wanted, &image.tail)
    }

    /// Bytes of one page of a lane, layer by layer.
    ///
    /// # Errors
    /// If the lane has no such page.
    pub fn read_page(&mut self, lane: LaneId, index: usize) -> Result<Vec<u8>, EngineError> {
        let page = self.lane(lane)?.pages.get(index).copied();
        let page = page.ok_or(EngineError::UnknownLane(lane.index))?;
        Ok(self.backend.read_page(self.pool, page)?)
    }

    /// Takes back the lanes whose owners are gone.
    pub(super) fn reap(&mut self) {
        while let Ok(lane) = self.released.1.try_recv() {
            // It may have been dropped by hand already.
            let _ = self.drop_lane(lane);
        }
    }

    pub(super) fn lane(&self, id: LaneId) -> Result<&Lane, EngineError> {
        let slot = self.lanes.get(id.index as usize);
        let slot = slot.filter(|slot| slot.generation == id.generation);
        slot.and_then(|slot| slot.lane.as_ref()).ok_or(EngineError::UnknownLane(id.index))
    }

    pub(super) fn lane_mut(
        &mut self,
        id: LaneId,
    ) -> Result<(&mut Lane, &mut crate::pages::FreePages), EngineError> {
        let slot = self.lanes.get_mut(id.index as usize);
        let slot = slot.filter(|slot| slot.generation == id.generation);
        let lane = slot.and_then(|slot| slot.lane.as_mut());
        Ok((lane.ok_or(EngineError::UnknownLane(id.index))?, &mut self.free))
    }
}
