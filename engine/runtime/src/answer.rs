//! One answer of the model: tokens drawn by a user's parameters, read as text, until a rule stops
//! it.

mod thinking;

use ds4_model::step::{CancelToken, Sampled, Sampling};
use ds4_text::TurnReader;
use ds4_text::chat::Prompt;
use ds4_text::{AssistantTurn, Tokenizer, TokenizerError, TurnEnd, TurnEvent, TurnOptions};

use crate::engine::{Engine, EngineError};
use crate::generate::{self, Driver, Flow, Metrics, Run, RunEnd};
use crate::limits::{STOP_BYTES_MAX, STOP_STRINGS_MAX};
use crate::sampling::{Sampler, SamplingError, SamplingOptions};
use crate::session::{Reuse, Session};
use ds4_model::backend::BackendError;
use thinking::Thinking;

/// How tokens are read.
#[derive(Clone, Debug)]
pub enum Reading {
    /// All tokens are text, control tokens their literals; nothing but a stop string ends it.
    Raw {
        /// Texts that end the answer.
        stop: Vec<String>,
    },
    /// A turn of the chat format.
    Turn(TurnOptions),
}

/// What to answer and how.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The whole sequence so far.
    pub prompt: &'a [u32],
    /// Tokens to generate at most.
    pub limit: usize,
    /// How tokens are drawn.
    pub sampling: SamplingOptions,
    /// How they are read.
    pub reading: Reading,
    /// Tokens of reasoning after which it is closed.
    pub think_budget: Option<usize>,
    /// Compute `Metrics::logits_hash`.
    pub hash_logits: bool,
}

/// What happens while an answer is made.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A part of the prompt has been computed.
    Prefill {
        /// Tokens of the prompt in the cache.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token was drawn. Comes before the text that it completes.
    Token {
        /// Its position in the sequence.
        position: usize,
        /// The token and its log-probabilities.
        sampled: &'a Sampled,
        /// Whether it belongs to the reasoning.
        reasoning: bool,
    },
    /// More of the turn.
    Turn(&'a TurnEvent),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model ended its turn.
    EndOfTurn,
    /// A stop string was found: its number.
    StopString(usize),
    /// A block of tool calls was closed.
    ToolCalls,
    /// The limit of tokens.
    Limit,
    /// The context is full.
    Context,
    /// The cancel token was set.
    Cancelled,
    /// The receiver of events wanted no more.
    Abandoned,
}

impl Stop {
    /// The name that the OpenAI API has for it.
    pub fn finish_reason(self) -> &'static str {
        match self {
            Stop::EndOfTurn | Stop::StopString(_) => "stop",
            Stop::ToolCalls => "tool_calls",
            Stop::Limit | Stop::Context => "length",
            Stop::Cancelled | Stop::Abandoned => "cancelled",
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Why it ended.
    pub stop: Stop,
    /// The tokens drawn, those included that end the turn.
    pub tokens: Vec<u32>,
    /// How many of them were reasoning.
    pub reasoning_tokens: usize,
    /// What they say.
    pub turn: AssistantTurn,
    /// The block of tool calls as it was written, for `ds4_text::Replay`.
    pub block: Option<Prompt>,
    /// Where the tokens of the prompt came from.
    pub reuse: Reuse,
    /// Figures.
    pub metrics: Metrics,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A sampling parameter.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The vocabulary lacks a token that the request needs.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Nothing to answer.
    #[error("the prompt has no tokens; give at least one")]
    EmptyPrompt,
    /// Nothing is wanted.
    #[error("a limit of 0 tokens leaves nothing to generate; use at least 1")]
    NoTokens,
    /// Too many stop strings, or too long ones.
    #[error(
        "stop string {number} has {bytes} bytes; at most {STOP_STRINGS_MAX} stop strings of 1 to \
         {STOP_BYTES_MAX} bytes can be used"
    )]
    StopString {
        /// Its number, from 1.
        number: usize,
        /// Its length.
        bytes: usize,
    },
}

/// Makes an answer. `events` is told what happens and may end it.
///
/// Cancelling is no error: what was generated until then is the answer, and the session stays
/// usable.
///
/// # Errors
/// If the request cannot be met, or the back end fails.
pub fn answer(
    engine: &mut Engine,
    session: &mut Session,
    tokenizer: &Tokenizer,
    request: &Request<'_>,
    cancel: &CancelToken,
    events: &mut dyn FnMut(Event<'_>) -> Flow,
) -> Result<Answer, AnswerError> {
    let mut answering = Answering::new(engine, session, tokenizer, request, events)?;
    let reuse = answering.session.seek(engine, request.prompt)?;
    let run = Run {
        lane: answering.session.lane(),
        prompt: &request.prompt[reuse.reused..],
        limit: request.limit,
        hash_logits: request.hash_logits,
    };
    let mut metrics = Metrics::default();
    let end = match generate::run(engine, &run, &mut answering, cancel, &mut metrics) {
        Ok(RunEnd::Driver) => Stop::Abandoned,
        Ok(RunEnd::Limit) => Stop::Limit,
        Ok(RunEnd::Context) => Stop::Context,
        Err(EngineError::Backend(BackendError::Cancelled)) => Stop::Cancelled,
        Err(error) => return Err(error.into()),
    };
    Ok(answering.finish(end, reuse, metrics))
}

/// The driver of one answer.
struct Answering<'a> {
    session: &'a mut Session,
    tokenizer: &'a Tokenizer,
    events: &'a mut dyn FnMut(Event<'_>) -> Flow,
    /// Prompt and answer.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    sampler: Sampler,
    thinking: Thinking,
    reader: TurnReader,
    raw: bool,
    turn: AssistantTurn,
    abandoned: bool,
}

impl<'a> Answering<'a> {
    fn new(
        engine: &Engine,
        session: &'a mut Session,
        tokenizer: &'a Tokenizer,
        request: &Request<'_>,
        events: &'a mut dyn FnMut(Event<'_>) -> Flow,
    ) -> Result<Self, AnswerError> {
        let (prompt, context) = (request.prompt, engine.options.context);
        if prompt.is_empty() {
            return Err(AnswerError::EmptyPrompt);
        }
        if request.limit == 0 {
            return Err(AnswerError::NoTokens);
        }
        if prompt.len() > context {
            return Err(EngineError::Full { context, wanted: prompt.len() + 1 }.into());
        }
        let (raw, options) = match &request.reading {
            Reading::Raw { stop } => {
                (true, TurnOptions { stop: stop.clone(), ..TurnOptions::default() })
            }
            Reading::Turn(options) => (false, options.clone()),
        };
        check_stops(&options.stop)?;
        let vocab = engine.model.shape.vocab;
        Ok(Self {
            session,
            tokenizer,
            events,
            tokens: prompt.to_vec(),
            prompt_tokens: prompt.len(),
            sampler: Sampler::new(request.sampling.clone(), vocab, prompt)?,
            thinking: Thinking::new(tokenizer, options.thinking, request.think_budget, vocab)?,
            reader: TurnReader::new(&options),
            raw,
            turn: AssistantTurn::default(),
            abandoned: false,
        })
    }

    fn tell(&mut self, event: Event<'_>) {
        if (self.events)(event) == Flow::Stop {
            self.abandoned = true;
        }
    }

    fn tell_all(&mut self, events: &[TurnEvent]) {
        for event in events {
            self.turn.apply(event);
            self.tell(Event::Turn(event));
        }
    }

    fn finish(mut self, end: Stop, reuse: Reuse, metrics: Metrics) -> Answer {
        let mut rest = Vec::new();
        self.reader.finish(TurnEnd::Cut, &mut rest);
        self.tell_all(&rest);
        let stop = match self.reader.end() {
            Some(TurnEnd::EndOfTurn) => Stop::EndOfTurn,
            Some(TurnEnd::StopString(number)) => Stop::StopString(number),
            Some(TurnEnd::ToolCalls) => Stop::ToolCalls,
            Some(TurnEnd::Cut) | None => end,
        };
        Answer {
            stop,
            tokens: self.tokens.split_off(self.prompt_tokens),
            reasoning_tokens: self.thinking.used(),
            turn: self.turn,
            block: self.reader.block().cloned(),
            reuse,
            metrics,
        }
    }
}

impl Driver for Answering<'_> {
    fn sampling(&mut self) -> Sampling {
        self.sampler.parameters(self.thinking.mask())
    }

    fn looks_ahead(&self) -> bool {
        !self.sampler.needs_history() && !self.thinking.counts()
    }

    fn take(&mut self, sampled: &Sampled) -> Flow {
        let token = sampled.token.token;
        let position = self.tokens.len();
        self.tokens.push(token);
        self.sampler.take(token);
        let reasoning = self.thinking.take(self.tokenizer, token);
        self.tell(Event::Token { position, sampled, reasoning });
        let mut events = Vec::new();
        let end = if self.raw {
            self.reader.push_bytes(self.tokenizer.token_bytes(token), &mut events)
        } else {
            self.reader.push(self.tokenizer, token, &mut events)
        };
        self.tell_all(&events);
        if end.is_some() || self.abandoned { Flow::Stop } else { Flow::Continue }
    }

    fn wants_tails(&self) -> bool {
        true
    }

    fn settled(&mut self, engine: &mut Engine, length: usize) -> Result<(), EngineError> {
        self.session.settle(engine, &self.tokens, length)
    }

    fn prefilling(&mut self, length: usize) -> Flow {
        self.tell(Event::Prefill { done: length, total: self.prompt_tokens });
        if self.abandoned { Flow::Stop } else { Flow::Continue }
    }
}

/// Looks at stop strings: how many, how long.
///
/// # Errors
/// The first one that cannot be used.
pub fn check_stops(stops: &[String]) -> Result<(), AnswerError> {
    for (i, stop) in stops.iter().enumerate() {
        if i >= STOP_STRINGS_MAX || stop.is_empty() || stop.len() > STOP_BYTES_MAX {
            return Err(AnswerError::StopString { number: i + 1, bytes: stop.len() });
        }
    }
    Ok(())
}
