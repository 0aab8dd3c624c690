//! What changes from step to step: tokens, positions, page tables, sampling; and what a step gives
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backend::Value;
use crate::kv::{KvLayout, PAGE_TOKENS};
use crate::plan::{LogitRows, PlanClass};

/// Where a row's token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The host knows it.
    Id(u32),
    /// What the lane's last step sampled, still on the device.
    Sampled,
}

/// A change of one logit before sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjust {
    /// Whose logit.
    pub token: u32,
    /// Repetition penalty: positive logits are divided by it, others multiplied. 1 for none.
    pub repetition: f32,
    /// Added after that: bias minus presence and frequency penalties.
    pub add: f32,
}

/// How the next token of a lane is drawn (spec/chat.md 9).
///
/// Order: adjustments and mask; temperature 0 takes the largest logit, the lowest id on ties; else
/// the `top_k` largest (ties: the lowest ids), softmax of those at the temperature, `min_p` and
/// `top_p` together (the running sum of `top_p` goes over that whole softmax, descending), and a
/// draw from what is left, walked in ascending order of id. Non-finite logits are never taken; if
/// nothing is left, the mask is ignored and the largest logit is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Candidates kept, 0 for all.
    pub top_k: usize,
    /// Candidates are kept until their probabilities reach this sum; at least one.
    pub top_p: f32,
    /// Candidates with less than this share of the largest probability are dropped.
    pub min_p: f32,
    /// Key of the counter-based random numbers; the counter is the position that the drawn token
    /// will take.
    pub seed: u64,
    /// Penalties and biases, each token at most once.
    pub adjust: Vec<Adjust>,
    /// Bit per token id, set where allowed; `None` allows all.
    pub mask: Option<Arc<[u32]>>,
    /// Candidates to report with their log-probabilities (of the unadjusted distribution at
    /// temperature 1).
    pub candidates: usize,
}

impl Sampling {
    /// The largest logit.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
            adjust: Vec::new(),
            mask: None,
            candidates: 0,
        }
    }
}

/// Consecutive rows of one lane in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneRun {
    /// Lane of the pool whose tail this run uses.
    pub lane: u32,
    /// Position of the first row; the lane's length before the step.
    pub start: usize,
    /// One token for each row.
    pub tokens: Vec<Token>,
    /// Page of each 128 positions from 0; covers the last row.
    pub pages: Vec<u32>,
    /// How to sample after the run; used by plans that sample.
    pub sampling: Option<Sampling>,
}

impl LaneRun {
    /// Position after the last row.
    pub fn end(&self) -> usize {
        self.start + self.tokens.len()
    }
}

/// Set once, seen by every step that holds a copy.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the steps that hold this token to stop at their next segment.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether someone asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Inputs of one step. Rows are numbered run by run.
#[derive(Clone, Debug, Default)]
pub struct StepInputs {
    /// At most `lanes` runs, each of another lane.
    pub runs: Vec<LaneRun>,
    /// Looked at before each segment.
    pub cancel: CancelToken,
}

/// Why inputs do not fit a program and pool.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    /// No rows, or more than the class holds.
    #[error(
        "the step has {rows} rows in {runs} runs, the program takes 1..={rows_max} rows in at most {lanes_max} runs"
    )]
    Size {
        /// rows of the step
        rows: usize,
        /// runs of the step
        runs: usize,
        /// rows of the class
        rows_max: usize,
        /// lanes of the class
        lanes_max: usize,
    },
    /// A run goes beyond the context of the class.
    #[error("lane {lane} would reach position {end}, the program's context is {context}")]
    Context {
        /// lane
        lane: u32,
        /// position after the run
        end: usize,
        /// context of the class
        context: usize,
    },
    /// The page table is too short or names a page the pool does not have.
    #[error(
        "lane {lane}: the page table has {pages} pages of a pool of {pool_pages}; position {end} needs {needed} distinct ones"
    )]
    Pages {
        /// lane
        lane: u32,
        /// position after the run
        end: usize,
        /// pages given
        pages: usize,
        /// pages needed
        needed: usize,
        /// pages of the pool
        pool_pages: usize,
    },
    /// A lane that the pool does not have, or that stands twice.
    #[error("lane {lane} is not one of the pool's {lanes} lanes or stands twice in the step")]
    Lane {
        /// lane
        lane: u32,
        /// lanes of the pool
        lanes: usize,
    },
    /// A token id beyond the vocabulary.
    #[error("lane {lane}, position {position}: token {token} is not in the vocabulary of {vocab}")]
    Token {
        /// lane
        lane: u32,
        /// position of the row
        position: usize,
        /// token id
        token: u32,
        /// vocabulary
        vocab: usize,
    },
    /// The program samples and the run has no sampling parameters.
    #[error("lane {lane} has no sampling parameters and the program samples")]
    NoSampling {
        /// lane
        lane: u32,
    },
}

impl StepInputs {
    /// Rows of the step.
    pub fn rows(&self) -> usize {
        self.runs.iter().map(|run| run.tokens.len()).sum()
    }

    /// Checks everything that a kernel would otherwise index by: sizes, context, pages, lanes,
    /// tokens.
    pub fn check(
        &self,
        class: &PlanClass,
        vocab: usize,
        pool_pages: usize,
        pool_lanes: usize,
    ) -> Result<(), StepError> {
        let (rows, runs) = (self.rows(), self.runs.len());
        let empty = self.runs.iter().any(|run| run.tokens.is_empty());
        if rows == 0 || rows > class.rows || runs > class.lanes || empty {
            let (rows_max, lanes_max) = (class.rows, class.lanes);
            return Err(StepError::Size { rows, runs, rows_max, lanes_max });
        }
        for (i, run) in self.runs.iter().enumerate() {
            let lane = run.lane;
            let twice = self.runs[..i].iter().any(|other| other.lane == lane);
            if twice || lane as usize >= pool_lanes {
                return Err(StepError::Lane { lane, lanes: pool_lanes });
            }
            let end = run.end();
            if end > class.context {
                return Err(StepError::Context { lane, end, context: class.context });
            }
            let (pages, needed) = (run.pages.len(), end.div_ceil(PAGE_TOKENS));
            if pages < needed || run.pages.iter().any(|&page| page as usize >= pool_pages) {
                return Err(StepError::Pages { lane, end, pages, needed, pool_pages });
            }
            for (token, position) in run.tokens.iter().zip(run.start..) {
                match *token {
                    Token::Id(token) if token as usize >= vocab => {
                        return Err(StepError::Token { lane, position, token, vocab });
                    }
                    _ => {}
                }
            }
            if class.sample && run.sampling.is_none() {
                return Err(StepError::NoSampling { lane });
            }
        }
        Ok(())
    }

    /// Rows whose logits the class computes, in order.
    pub fn logit_rows(&self, class: &PlanClass) -> Vec<usize> {
        let ends = self.runs.iter().scan(0, |end, run| {
            *end += run.tokens.len();
            Some(*end)
        });
        match class.logits {
            LogitRows::None => Vec::new(),
            LogitRows::Last => ends.map(|end| end - 1).collect(),
            LogitRows::All => (0..self.rows()).collect(),
        }
    }
}

/// Ring slot of the raw row of `position`.
pub fn ring_slot(layout: &KvLayout, position: usize) -> usize {
    position % layout.ring_slots()
}

/// One candidate of a position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Token id.
    pub token: u32,
    /// Natural logarithm of its probability.
    pub log_probability: f32,
}

/// What was drawn for one row with logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// The token and its log-probability in the unadjusted distribution at temperature 1.
    pub token: Candidate,
    /// The largest candidates, descending, as many as were asked for.
    pub candidates: Vec<Candidate>,
}

/// What a step gives back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepResult {
    /// One entry for each row with logits; empty for plans that do not sample.
    pub sampled: Vec<Sampled>,
    /// The buffers that were to be kept, in the order asked for.
    pub kept: Vec<Value>,
}
