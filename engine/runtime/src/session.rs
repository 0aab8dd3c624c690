//! A sequence that is asked for again and again with other tokens: what of the cache can be used,
//! and what must be computed.

use crate::checkpoints::Checkpoints;
use crate::engine::{Engine, EngineError, LaneId, LaneImage, OwnedLane};
use ds4_model::kv::PAGE_TOKENS;

/// How a session is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Host bytes for tails at earlier lengths. One has 3 to 4 MB for Flash.
    pub checkpoint_bytes: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { checkpoint_bytes: 128 << 20 }
    }
}

/// Where the reused tokens of a prompt come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// There are none: all is computed.
    Nothing,
    /// The lane as it stands; the prompt goes on from there.
    Live,
    /// The lane, with its last tokens taken back.
    Rewind,
    /// A tail of an earlier length.
    Checkpoint,
}

/// What a prompt needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Where the reused tokens come from.
    pub source: Source,
    /// Tokens of the prompt that are in the cache.
    pub reused: usize,
    /// Tokens of the prompt that must be computed; at least the last one, which the first answer
    /// token is drawn from.
    pub computed: usize,
}

/// One sequence on a lane of its own. Dropping it gives the lane back.
#[derive(Debug)]
pub struct Session {
    lane: OwnedLane,
    /// What the lane holds, if it is usable; else what its pages hold.
    tokens: Vec<u32>,
    checkpoints: Checkpoints,
}

/// A session outside the device: from it another session goes on with the same bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSession {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Their cache.
    pub image: LaneImage,
}

impl Session {
    /// An empty session.
    ///
    /// # Errors
    /// If no lane is free.
    pub fn new(engine: &mut Engine, options: SessionOptions) -> Result<Self, EngineError> {
        let lane = engine.own_lane()?;
        let checkpoints = Checkpoints::new(options.checkpoint_bytes);
        Ok(Self { lane, tokens: Vec::new(), checkpoints })
    }

    /// Its lane.
    pub fn lane(&self) -> LaneId {
        self.lane.id()
    }

    /// The tokens in the cache.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Its earlier tails.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// What of a prompt could be reused; nothing changes. The prompt is the whole sequence from
    /// position 0.
    ///
    /// # Errors
    /// Of the engine.
    pub fn reuse(&self, engine: &Engine, prompt: &[u32]) -> Result<Reuse, EngineError> {
        let common = self.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let target = common.min(prompt.len().saturating_sub(1));
        let lane = self.lane.id();
        // After an error the lane may hold more than was settled.
        let length = engine.length(lane)?;
        let held = engine.rewind_floor(lane)?..=length;
        let (source, reused) = if engine.is_usable(lane)? && held.contains(&target) && target > 0 {
            let source = if target == length { Source::Live } else { Source::Rewind };
            (source, target)
        } else {
            let found = self.checkpoints.find(target);
            found.map_or((Source::Nothing, 0), |(length, _)| (Source::Checkpoint, length))
        };
        Ok(Reuse { source, reused, computed: prompt.len() - reused })
    }

    /// Brings the lane to the longest reusable prefix of a prompt. What is not common is forgotten.
    ///
    /// # Errors
    /// Of the engine; the lane is then rebuilt by the next call.
    pub fn seek(&mut self, engine: &mut Engine, prompt: &[u32]) -> Result<Reuse, EngineError> {
        let reuse = self.reuse(engine, prompt)?;
        let lane = self.lane.id();
        match (reuse.source, self.checkpoints.find(reuse.reused)) {
            (Source::Live, _) => {}
            (Source::Rewind, _) => engine.rewind(lane, reuse.reused)?,
            (Source::Checkpoint, Some((length, tail))) => {
                engine.restore_tail(lane, length, tail)?
            }
            (Source::Checkpoint | Source::Nothing, _) => engine.reset(lane)?,
        }
        self.tokens.truncate(reuse.reused);
        self.checkpoints.forget_after(reuse.reused);
        Ok(reuse)
    }

    /// Takes note that the lane holds the first `length` of these tokens now, and keeps its tail at
    /// the end of a page.
    ///
    /// # Errors
    /// Of the engine.
    pub fn settle(
        &mut self,
        engine: &mut Engine,
        tokens: &[u32],
        length: usize,
    ) -> Result<(), EngineError> {
        let known = self.tokens.len().min(length);
        self.tokens.truncate(known);
        self.tokens.extend_from_slice(tokens.get(known..length).unwrap_or_default());
        if length > 0 && length.is_multiple_of(PAGE_TOKENS) {
            let tail = engine.read_tail(self.lane.id())?;
            self.checkpoints.insert(length, tail);
        }
        Ok(())
    }

    /// Copies the session out.
    ///
    /// # Errors
    /// If its last step failed: then there is nothing whole to copy.
    pub fn save(&self, engine: &mut Engine) -> Result<SavedSession, EngineError> {
        let image = engine.save(self.lane.id())?;
        Ok(SavedSession { tokens: self.tokens.clone(), image })
    }

    /// A session that goes on where the saved one was.
    ///
    /// # Errors
    /// If no lane is free, or the saved one does not fit.
    pub fn resume(
        engine: &mut Engine,
        saved: &SavedSession,
        options: SessionOptions,
    ) -> Result<Self, EngineError> {
        let mut session = Self::new(engine, options)?;
        engine.restore(session.lane(), &saved.image)?;
        session.settle(engine, &saved.tokens, saved.image.length)?;
        Ok(session)
    }
}
