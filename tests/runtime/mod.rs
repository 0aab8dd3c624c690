//! Sessions, generation and sampling on the oracle's models.

mod cancel;
mod generation;
mod seeds;
mod session;

use ds4_cpu::{CpuBackend, CpuOptions};
use ds4_model::random::uniform;
use ds4_model::step::CancelToken;
use ds4_runtime::answer::{Answer, AnswerError, Event, Reading, Request, answer};
use ds4_runtime::engine::{Engine, EngineOptions};
use ds4_runtime::generate::Flow;
use ds4_runtime::sampling::SamplingOptions;
use ds4_runtime::session::{Session, SessionOptions};
use ds4_text::Tokenizer;

use crate::support::case::case;

/// A case small enough for many runs, with packed rows, a real window and chat tokens.
pub const CASE: &str = "quant_q4";

/// Numbers that depend on a seed only.
pub struct Random {
    pub seed: u64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Uniform in `low..high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        self.drawn += 1;
        low + (f64::from(uniform(self.seed, self.drawn)) * (high - low) as f64) as usize
    }

    /// Ordinary tokens.
    pub fn tokens(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.between(3, 480) as u32).collect()
    }
}

/// How an engine of [`CASE`] is set up.
#[derive(Clone, Copy)]
pub struct Rig {
    pub context: usize,
    pub lanes: usize,
    pub slack: usize,
    pub chunk: usize,
}

impl Default for Rig {
    fn default() -> Self {
        Self { context: 1024, lanes: 1, slack: 1, chunk: 2048 }
    }
}

impl Rig {
    pub fn engine(self) -> Engine {
        let backend = CpuBackend::new(&CpuOptions::default()).expect("threads");
        let options = EngineOptions {
            context: self.context,
            lanes: self.lanes,
            slack: self.slack,
            chunk: self.chunk,
            ..EngineOptions::default()
        };
        Engine::open(&case(CASE).model(), Box::new(backend), options, |_| {}).expect("a model")
    }
}

pub fn tokenizer(engine: &Engine) -> Tokenizer {
    let model = &engine.model;
    ds4_runtime::tokenizer::tokenizer(model.gguf.metadata(), model.shape.vocab).expect("it has one")
}

pub fn session(engine: &mut Engine) -> Session {
    Session::new(engine, SessionOptions::default()).expect("a lane")
}

/// A raw request with sampling that tells.
pub fn request(prompt: &[u32], limit: usize) -> Request<'_> {
    Request {
        prompt,
        limit,
        sampling: SamplingOptions { seed: 7, ..SamplingOptions::default() },
        reading: Reading::Raw { stop: Vec::new() },
        think_budget: None,
        hash_logits: true,
    }
}

/// An answer whose events nobody looks at.
pub fn ask(
    engine: &mut Engine,
    session: &mut Session,
    request: &Request<'_>,
) -> Result<Answer, AnswerError> {
    let tokenizer = tokenizer(engine);
    let cancel = CancelToken::default();
    answer(engine, session, &tokenizer, request, &cancel, &mut |_: Event<'_>| Flow::Continue)
}

/// Tokens and hash of the last logits of a fresh engine.
pub fn cold(request: &Request<'_>, rig: Rig) -> (Vec<u32>, Option<u64>) {
    let mut engine = rig.engine();
    let mut session = session(&mut engine);
    let answer = ask(&mut engine, &mut session, request).expect("an answer");
    (answer.tokens, answer.metrics.logits_hash)
}
