//! What a user says about sampling, and the parameters of each step that follow from it and from
//! the tokens so far.

use std::collections::HashMap;
use std::sync::Arc;

use ds4_model::step::{Adjust, Sampling};

use crate::limits::{
    ADDED_PENALTY_MAX, LOGIT_BIAS_MAX, LOGIT_BIASES_MAX, REPETITION_PENALTY_MAX, TEMPERATURE_MAX,
    TOP_LOG_PROBABILITIES_MAX,
};

/// How tokens are drawn. The order in which the parts act is that of [`Sampling`].
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0 takes the most likely token.
    pub temperature: f32,
    /// Candidates kept, 0 for all.
    pub top_k: usize,
    /// Candidates are kept until their probabilities reach this sum; at least one.
    pub top_p: f32,
    /// Candidates with less than this share of the largest probability are dropped.
    pub min_p: f32,
    /// Logits of tokens of the prompt and of the answer are divided by it if positive, else
    /// multiplied (Keskar et al. 2019, arXiv:1909.05858). 1 for none.
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of each token of the answer.
    pub presence_penalty: f32,
    /// Subtracted from the logit of a token for each time it stands in the answer.
    pub frequency_penalty: f32,
    /// Added to logits, each token at most once; minus infinity forbids a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// Key of the random numbers: equal seeds and prompts give equal answers.
    pub seed: u64,
    /// Candidates reported with each token.
    pub top_log_probabilities: usize,
}

/// The defaults of the reference engine (spec/chat.md 9).
impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.05,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            top_log_probabilities: 0,
        }
    }
}

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// A number out of its range.
    #[error("{field} is {found}; it must be {expected}")]
    Range {
        /// Name of the field of [`SamplingOptions`].
        field: &'static str,
        /// The value.
        found: f64,
        /// What would work.
        expected: String,
    },
    /// A bias for a token that the vocabulary does not have.
    #[error(
        "logit_bias names token {token}; this model has tokens 0 to {last} (`ds4 tokenize` shows \
         the tokens of a text)"
    )]
    Token {
        /// The token.
        token: u32,
        /// The last one.
        last: usize,
    },
    /// Two biases for one token.
    #[error("logit_bias names token {0} twice; give it one bias")]
    Twice(u32),
}

impl SamplingOptions {
    /// The most likely token always.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, min_p: 0.0, ..Self::default() }
    }

    /// Looks at every field.
    ///
    /// # Errors
    /// The first one that cannot be used with a vocabulary of this size.
    pub fn check(&self, vocab: usize) -> Result<(), SamplingError> {
        let range = |field, found: f32, low: f32, high: f32, expected: &str| {
            let inside = (low..=high).contains(&found);
            let (found, expected) = (f64::from(found), expected.to_owned());
            if inside { Ok(()) } else { Err(SamplingError::Range { field, found, expected }) }
        };
        let between = |field, found, low: f32, high: f32| {
            range(field, found, low, high, &format!("a number from {low} to {high}"))
        };
        between("temperature", self.temperature, 0.0, TEMPERATURE_MAX)?;
        range("top_p", self.top_p, f32::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
        between("min_p", self.min_p, 0.0, 1.0)?;
        let penalty = self.repetition_penalty;
        let expected = format!("above 0 and at most {REPETITION_PENALTY_MAX}; 1 is none");
        let (low, high) = (f32::MIN_POSITIVE, REPETITION_PENALTY_MAX);
        range("repetition_penalty", penalty, low, high, &expected)?;
        for (field, penalty) in [
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ] {
            between(field, penalty, -ADDED_PENALTY_MAX, ADDED_PENALTY_MAX)?;
        }
        let count = |field, found: usize, max: usize| match found {
            found if found > max => Err(SamplingError::Range {
                field,
                found: found as f64,
                expected: format!("at most {max}"),
            }),
            _ => Ok(()),
        };
        count("top_k", self.top_k, vocab)?;
        count("top_log_probabilities", self.top_log_probabilities, TOP_LOG_PROBABILITIES_MAX)?;
        count("number of logit biases", self.logit_bias.len(), LOGIT_BIASES_MAX)?;
        self.check_biases(vocab)
    }

    fn check_biases(&self, vocab: usize) -> Result<(), SamplingError> {
        let mut seen = std::collections::HashSet::new();
        for &(token, bias) in &self.logit_bias {
            if token as usize >= vocab {
                return Err(SamplingError::Token { token, last: vocab.saturating_sub(1) });
            }
            if !seen.insert(token) {
                return Err(SamplingError::Twice(token));
            }
            if bias != f32::NEG_INFINITY && !(-LOGIT_BIAS_MAX..=LOGIT_BIAS_MAX).contains(&bias) {
                return Err(SamplingError::Range {
                    field: "logit_bias",
                    found: f64::from(bias),
                    expected: format!("from -{LOGIT_BIAS_MAX} to {LOGIT_BIAS_MAX}, or -inf"),
                });
            }
        }
        Ok(())
    }
}

/// Options and history of one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplingOptions,
    /// One entry for each token with a bias or a penalty.
    adjust: Vec<Adjust>,
    /// Where a token's entry is.
    places: HashMap<u32, usize>,
    /// Tokens of the answer.
    taken: HashMap<u32, u32>,
}

impl Sampler {
    /// A sampler at the start of an answer to `prompt`.
    ///
    /// # Errors
    /// If an option cannot be used with a vocabulary of this size.
    pub fn new(
        options: SamplingOptions,
        vocab: usize,
        prompt: &[u32],
    ) -> Result<Self, SamplingError> {
        options.check(vocab)?;
        let mut sampler =
            Self { adjust: Vec::new(), places: HashMap::new(), taken: HashMap::new(), options };
        for (token, bias) in sampler.options.logit_bias.clone() {
            sampler.entry(token).add += bias;
        }
        for &token in prompt {
            sampler.repeat(token);
        }
        Ok(sampler)
    }

    /// Whether the parameters of a step depend on the token before it.
    pub fn needs_history(&self) -> bool {
        let options = &self.options;
        options.repetition_penalty != 1.0
            || options.presence_penalty != 0.0
            || options.frequency_penalty != 0.0
    }

    /// Takes note of a token of the answer.
    pub fn take(&mut self, token: u32) {
        if !self.needs_history() {
            return;
        }
        self.repeat(token);
        let count = self.taken.entry(token).or_default();
        let mut penalty = self.options.frequency_penalty;
        if *count == 0 {
            penalty += self.options.presence_penalty;
        }
        *count += 1;
        self.entry(token).add -= penalty;
    }

    /// The parameters of the next step. `mask`: bit per token id, set where allowed.
    pub fn parameters(&self, mask: Option<Arc<[u32]>>) -> Sampling {
        let options = &self.options;
        Sampling {
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            min_p: options.min_p,
            seed: options.seed,
            adjust: self.adjust.clone(),
            mask,
            candidates: options.top_log_probabilities,
        }
    }

    fn repeat(&mut self, token: u32) {
        let penalty = self.options.repetition_penalty;
        if penalty != 1.0 {
            self.entry(token).repetition = penalty;
        }
    }

    fn entry(&mut self, token: u32) -> &mut Adjust {
        let place = *self.places.entry(token).or_insert(self.adjust.len());
        if place == self.adjust.len() {
            self.adjust.push(Adjust { token, repetition: 1.0, add: 0.0 });
        }
        &mut self.adjust[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SamplingOptions)) -> String {
        let mut options = SamplingOptions::default();
        change(&mut options);
        options.check(100).expect_err("must be refused").to_string()
    }

    #[test]
    fn every_field_has_a_range_and_says_it() {
        assert_eq!(SamplingOptions::default().check(100), Ok(()));
        assert_eq!(SamplingOptions::greedy().check(100), Ok(()));
        for (message, expected) in [
            (refused(|o| o.temperature = -0.5), "temperature is -0.5; it must be a number from 0"),
            (refused(|o| o.temperature = f32::NAN), "temperature is NaN"),
            (refused(|o| o.top_p = 0.0), "top_p is 0; it must be above 0 and at most 1"),
            (refused(|o| o.min_p = 1.5), "min_p is 1.5; it must be a number from 0 to 1"),
            (refused(|o| o.repetition_penalty = 0.0), "repetition_penalty is 0"),
            (refused(|o| o.presence_penalty = 3.0), "presence_penalty is 3"),
            (refused(|o| o.frequency_penalty = f32::INFINITY), "frequency_penalty is inf"),
            (refused(|o| o.top_k = 101), "top_k is 101; it must be at most 100"),
            (refused(|o| o.top_log_probabilities = 21), "must be at most 20"),
            (
                refused(|o| o.logit_bias = vec![(100, 0.0)]),
                "token 100; this model has tokens 0 to 99",
            ),
            (refused(|o| o.logit_bias = vec![(5, 0.0); 2]), "token 5 twice"),
            (refused(|o| o.logit_bias = vec![(5, 101.0)]), "logit_bias is 101"),
            (refused(|o| o.logit_bias = vec![(5, f32::INFINITY)]), "logit_bias is inf"),
            (refused(|o| o.logit_bias = vec![(5, 0.0); 1025]), "must be at most 1024"),
        ] {
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
        let ban =
            SamplingOptions { logit_bias: vec![(5, f32::NEG_INFINITY)], ..Default::default() };
        assert_eq!(ban.check(100), Ok(()));
    }

    #[test]
    fn penalties_follow_the_history() {
        let options = SamplingOptions {
            repetition_penalty: 1.5,
            presence_penalty: 0.25,
            frequency_penalty: 0.5,
            logit_bias: vec![(7, 2.0), (1, -1.0)],
            ..SamplingOptions::default()
        };
        let mut sampler = Sampler::new(options, 100, &[1, 2, 1]).unwrap();
        [2, 3, 2].into_iter().for_each(|token| sampler.take(token));
        let mut adjust = sampler.parameters(None).adjust;
        adjust.sort_by_key(|adjust| adjust.token);
        let found: Vec<_> = adjust.iter().map(|a| (a.token, a.repetition, a.add)).collect();
        // The prompt counts for repetition only; the bias stays.
        assert_eq!(found, [(1, 1.5, -1.0), (2, 1.5, -1.25), (3, 1.5, -0.75), (7, 1.0, 2.0)]);
        assert!(sampler.needs_history());
    }

    #[test]
    fn without_penalties_the_history_is_not_kept() {
        let mut sampler = Sampler::new(SamplingOptions::default(), 10, &[1, 2]).unwrap();
        sampler.take(3);
        assert!(!sampler.needs_history());
        assert_eq!(sampler.parameters(None).adjust, []);
    }
}
