//! The token loop: prefill a prompt in chunks, then decode.

use std::time::{Duration, Instant};

use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Sampling, Token};

use crate::engine::{Engine, EngineError, Extend, LaneId};

/// What a run did and how fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Time until the first token was known.
    pub prefill: Duration,
    /// Tokens generated, the first included.
    pub generated: usize,
    /// Time of the decode steps (all tokens but the first).
    pub decode: Duration,
    /// Bytes that the decode steps had to read, by the cost model.
    pub decode_bytes: u64,
    /// FNV-1a of the bits of the last logits.
    pub logits_hash: u64,
}

impl Summary {
    /// Decoded tokens per second.
    pub fn tokens_per_second(&self) -> f64 {
        self.generated.saturating_sub(1) as f64 / self.decode.as_secs_f64()
    }

    /// Bytes per second of the decode steps.
    pub fn bytes_per_second(&self) -> f64 {
        self.decode_bytes as f64 / self.decode.as_secs_f64()
    }
}

/// Prefills `prompt` on a lane and generates at most `limit` tokens. `each` is given every token and says whether to go on.
///
/// # Errors
/// Of the engine; `BackendError::Cancelled` after `cancel`.
pub fn generate(
    engine: &mut Engine,
    lane: LaneId,
    prompt: &[u32],
    limit: usize,
    sampling: &Sampling,
    cancel: &CancelToken,
    mut each: impl FnMut(u32) -> bool,
) -> Result<Summary, EngineError> {
    let mut summary = Summary { prompt_tokens: prompt.len(), ..Summary::default() };
    let start = Instant::now();
    let chunk = engine.options.chunk;
    // Chunks end on an absolute grid, so that any resume cuts the same way (design 4b).
    let mut rest = prompt;
    let mut last = None;
    while !rest.is_empty() && limit > 0 {
        let length = engine.length(lane)?;
        let (own, after) = rest.split_at(rest.len().min(chunk - length % chunk));
        rest = after;
        let tokens = own.iter().copied().map(Token::Id).collect();
        let sampling = rest.is_empty().then(|| sampling.clone());
        last = step(engine, Extend { lane, tokens, sampling }, cancel, &mut summary)?;
    }
    summary.prefill = start.elapsed();
    while let Some(token) = last.take() {
        summary.generated += 1;
        if !each(token) || summary.generated == limit {
            break;
        }
        let start = Instant::now();
        let sampling = Some(sampling.clone());
        let extend = Extend { lane, tokens: vec![Token::Sampled], sampling };
        last = step(engine, extend, cancel, &mut summary)?;
        summary.decode += start.elapsed();
    }
    let end = engine.length(lane)?;
    let steps = summary.generated.saturating_sub(1);
    summary.decode_bytes = engine.decode_cost(end - steps..end)?.bytes();
    Ok(summary)
}

/// One step; the token it sampled, if it was to sample.
fn step(
    engine: &mut Engine,
    extend: Extend,
    cancel: &CancelToken,
    summary: &mut Summary,
) -> Result<Option<u32>, EngineError> {
    let logits = if extend.sampling.is_some() { LogitRows::Last } else { LogitRows::None };
    let (result, _) = engine.extend(&[extend], logits, &["logits"], cancel)?;
    if let Some(value) = result.kept.first() {
        summary.logits_hash = hash(&value.data);
    }
    Ok(result.sampled.first().map(|sampled| sampled.token.token))
}

/// FNV-1a (64 bits) over the bits of the values: equal runs show equal hashes.
pub fn hash(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
