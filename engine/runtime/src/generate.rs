//! The token loop: prefill in chunks, then decode, one step ahead of the host where nothing forbids
//! it.

use std::time::{Duration, Instant};

use ds4_model::kv::PAGE_TOKENS;
use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Sampled, Sampling, Token};

use crate::engine::{Engine, EngineError, Extend, LaneId, Pending};

/// What a run did and how fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Tokens prefilled.
    pub prefilled: usize,
    /// Time until the first token was known.
    pub prefill: Duration,
    /// Tokens generated, the first included.
    pub generated: usize,
    /// Time from the first to the last token.
    pub decode: Duration,
    /// Bytes that the decode steps had to read, by the cost model.
    pub decode_bytes: u64,
    /// FNV-1a of the bits of the last logits, if asked for.
    pub logits_hash: Option<u64>,
}

impl Metrics {
    /// Prefilled tokens per second.
    pub fn prefill_rate(&self) -> f64 {
        self.prefilled as f64 / self.prefill.as_secs_f64()
    }

    /// Decoded tokens per second; not a number below two tokens.
    pub fn decode_rate(&self) -> f64 {
        self.generated.saturating_sub(1) as f64 / self.decode.as_secs_f64()
    }

    /// Bytes per second of the decode steps.
    pub fn decode_bandwidth(&self) -> f64 {
        self.decode_bytes as f64 / self.decode.as_secs_f64()
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// No more tokens.
    Stop,
}

/// What decides about the tokens of a sequence while it runs.
pub trait Driver {
    /// How to draw the next token after those taken and those of which `looks_ahead` was asked.
    fn sampling(&mut self) -> Sampling;

    /// Whether `sampling` for the token after the next one can be told before the next one is
    /// known.
    fn looks_ahead(&self) -> bool;

    /// A token was drawn; it is not in the cache yet.
    fn take(&mut self, sampled: &Sampled) -> Flow;

    /// Whether the tail is wanted at multiples of a page: then steps end there.
    fn wants_tails(&self) -> bool {
        false
    }

    /// Nothing is in flight; the lane holds `length` tokens, the prompt or more only if `take` was
    /// called.
    ///
    /// # Errors
    /// Of the engine.
    fn settled(&mut self, _engine: &mut Engine, _length: usize) -> Result<(), EngineError> {
        Ok(())
    }

    /// A part of the prompt is in the cache, but not all.
    fn prefilling(&mut self, _length: usize) -> Flow {
        Flow::Continue
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// On which lane.
    pub lane: LaneId,
    /// What is to be added to the lane before the first token is drawn; not empty.
    pub prompt: &'a [u32],
    /// Tokens to generate at most; at least 1.
    pub limit: usize,
    /// Compute `Metrics::logits_hash`: copies all logits to the host.
    pub hash_logits: bool,
}

/// Why a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The driver said so.
    Driver,
    /// The limit of tokens.
    Limit,
    /// The context is full.
    Context,
}

/// Runs a sequence to its end. All tokens but the last one drawn are in the lane afterwards.
///
/// Up to two steps are in flight: the second takes the token that the first one samples, on the
/// device. If the driver stops at that token, the second step is taken back by the slack of the
/// cache. Answers do not depend on it.
///
/// # Errors
/// Of the engine; `BackendError::Cancelled` after `cancel`. The lane must be reset or restored
/// then.
pub fn run(
    engine: &mut Engine,
    run: &Run<'_>,
    driver: &mut dyn Driver,
    cancel: &CancelToken,
    metrics: &mut Metrics,
) -> Result<RunEnd, EngineError> {
    let start = Instant::now();
    let mut running = Running { engine, run, driver, cancel, metrics };
    let prefilled = running.prefill()?;
    let Some(mut pending) = prefilled else {
        running.metrics.prefill = start.elapsed();
        return Ok(RunEnd::Driver);
    };
    let first = running.length()?;
    let mut first_token = None;
    let end = loop {
        let length = running.length()?;
        let room = running.room(length);
        let (sampled, ahead) = running.take(pending, room.is_ok())?;
        match first_token {
            Some(since) => running.metrics.decode = Instant::elapsed(&since),
            None => {
                running.metrics.prefill = start.elapsed();
                first_token = Some(Instant::now());
            }
        }
        running.metrics.generated += 1;
        let flow = running.driver.take(&sampled);
        let end = if flow == Flow::Stop { Some(RunEnd::Driver) } else { room.err() };
        match (end, ahead) {
            (None, Some(ahead)) => {
                pending = ahead;
                continue;
            }
            (Some(_), Some(ahead)) => running.take_back(ahead, length)?,
            (_, None) => {}
        }
        running.driver.settled(running.engine, length)?;
        match end {
            Some(end) => break end,
            None => pending = running.decode()?,
        }
    };
    let steps = metrics.generated - 1;
    metrics.decode_bytes = engine.decode_cost(first..first + steps)?.bytes();
    Ok(end)
}

/// A run on its way.
struct Running<'a, 'b> {
    engine: &'a mut Engine,
    run: &'a Run<'b>,
    driver: &'a mut dyn Driver,
    cancel: &'a CancelToken,
    metrics: &'a mut Metrics,
}

impl Running<'_, '_> {
    /// Tokens of the lane, those in flight included.
    fn length(&self) -> Result<usize, EngineError> {
        self.engine.length(self.run.lane)
    }

    /// Runs all of the prompt but the step that samples, and starts that one. `None` if the driver
    /// stopped before.
    fn prefill(&mut self) -> Result<Option<Pending>, EngineError> {
        let (lane, chunk) = (self.run.lane, self.engine.options.chunk);
        let mut rest = self.run.prompt;
        loop {
            let rows = step_rows(self.length()?, rest.len(), chunk, self.driver.wants_tails());
            let (own, after) = rest.split_at(rows);
            rest = after;
            self.metrics.prefilled += rows;
            let tokens = own.iter().copied().map(Token::Id).collect();
            if rest.is_empty() {
                return self.sample_after(tokens).map(Some);
            }
            let extend = Extend { lane, tokens, sampling: None };
            self.engine.extend(&[extend], LogitRows::None, &[], self.cancel)?;
            let length = self.length()?;
            self.driver.settled(self.engine, length)?;
            if self.driver.prefilling(length) == Flow::Stop {
                return Ok(None);
            }
        }
    }

    /// Starts the step that takes the token sampled last.
    fn decode(&mut self) -> Result<Pending, EngineError> {
        self.sample_after(vec![Token::Sampled])
    }

    fn sample_after(&mut self, tokens: Vec<Token>) -> Result<Pending, EngineError> {
        let keep: &[&str] = if self.run.hash_logits { &["logits"] } else { &[] };
        let sampling = Some(self.driver.sampling());
        let extend = Extend { lane: self.run.lane, tokens, sampling };
        self.engine.submit(&[extend], LogitRows::Last, keep, self.cancel)
    }

    /// Whether another token may follow the one in flight, with `length` tokens in the lane.
    fn room(&self, length: usize) -> Result<(), RunEnd> {
        if self.metrics.generated + 1 >= self.run.limit {
            return Err(RunEnd::Limit);
        }
        if length >= self.engine.options.context { Err(RunEnd::Context) } else { Ok(()) }
    }

    /// Waits for a step; starts the next one before that, if there is `room` and nothing forbids
    /// it.
    fn take(
        &mut self,
        pending: Pending,
        room: bool,
    ) -> Result<(Sampled, Option<Pending>), EngineError> {
        // The tail of a whole page must be read before the next step changes it.
        let tail = self.driver.wants_tails() && self.length()?.is_multiple_of(PAGE_TOKENS);
        let allowed = room && !tail && self.engine.options.slack > 0 && self.driver.looks_ahead();
        let ahead = if allowed { self.decode().map(Some) } else { Ok(None) };
        let result = self.engine.wait(pending);
        let ahead = match (&result, ahead) {
            (Err(_), Ok(Some(ahead))) => {
                // It runs on a lane that is of no use any more, so its result is not either.
                let _ = self.engine.wait(ahead);
                None
            }
            (_, ahead) => ahead?,
        };
        let (mut result, _) = result?;
        if let Some(value) = result.kept.first() {
            self.metrics.logits_hash = Some(hash(&value.data));
        }
        Ok((result.sampled.pop().ok_or(EngineError::NothingSampled)?, ahead))
    }

    /// Waits for a step that should not have been started, and goes back to `length` tokens.
    fn take_back(&mut self, ahead: Pending, length: usize) -> Result<(), EngineError> {
        self.engine.wait(ahead)?;
        self.engine.rewind(self.run.lane, length)
    }
}

/// Rows of the next prefill step. Steps end on an absolute grid, so that any resume cuts the same
/// way (design 4b); with `tails` the last whole page before the end ends one too.
fn step_rows(length: usize, left: usize, chunk: usize, tails: bool) -> usize {
    let end = length + left;
    let grid = length + chunk - length % chunk;
    let page = (end - 1) / PAGE_TOKENS * PAGE_TOKENS;
    if grid < end {
        grid - length
    } else if tails && page > length {
        page - length
    } else {
        left
    }
}

/// Prefills `prompt` on a lane and generates at most `limit` tokens with fixed parameters. `each`
/// is given every token and says whether to go on.
///
/// # Errors
/// As [`run`].
pub fn generate(
    engine: &mut Engine,
    lane: LaneId,
    prompt: &[u32],
    limit: usize,
    sampling: &Sampling,
    cancel: &CancelToken,
    each: impl FnMut(u32) -> bool,
) -> Result<Metrics, EngineError> {
    struct Fixed<'a, F>(&'a Sampling, F);
    impl<F: FnMut(u32) -> bool> Driver for Fixed<'_, F> {
        fn sampling(&mut self) -> Sampling {
            self.0.clone()
        }
        fn looks_ahead(&self) -> bool {
            true
        }
        fn take(&mut self, sampled: &Sampled) -> Flow {
            if self.1(sampled.token.token) { Flow::Continue } else { Flow::Stop }
        }
    }
    let mut metrics = Metrics::default();
    if prompt.is_empty() || limit == 0 {
        return Ok(metrics);
    }
    let what = Run { lane, prompt, limit, hash_logits: true };
    run(engine, &what, &mut Fixed(sampling, each), cancel, &mut metrics)?;
    Ok(metrics)
}

/// FNV-1a (64 bits) over the bits of the values: equal runs show equal hashes.
pub fn hash(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::step_rows;

    /// Lengths at which the steps of a prefill end.
    fn ends(mut length: usize, end: usize, chunk: usize, tails: bool) -> Vec<usize> {
        let mut ends = Vec::new();
        while length < end {
            length += step_rows(length, end - length, chunk, tails);
            ends.push(length);
        }
        ends
    }

    #[test]
    fn steps_end_on_an_absolute_grid() {
        assert_eq!(ends(0, 100, 2048, true), [100]);
        assert_eq!(ends(0, 128, 2048, true), [128]);
        assert_eq!(ends(0, 129, 2048, true), [128, 129]);
        assert_eq!(ends(0, 5000, 2048, true), [2048, 4096, 4992, 5000]);
        assert_eq!(ends(0, 5000, 2048, false), [2048, 4096, 5000]);
        // Resumed in the middle: the same ends from there on.
        assert_eq!(ends(3000, 5000, 2048, true), [4096, 4992, 5000]);
        assert_eq!(ends(4992, 5000, 2048, true), [5000]);
        assert_eq!(ends(5, 20, 7, false), [7, 14, 20]);
    }
}
