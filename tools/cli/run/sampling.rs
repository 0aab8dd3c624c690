//! Flags of sampling.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use ds4_runtime::sampling::SamplingOptions;

/// How tokens are drawn. Defaults are those of the chat of DeepSeek V4; with --raw and none of the
/// first five flags the most likely token is taken.
#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Randomness; 0 takes the most likely token always [default: 1; 0 with --raw and no sampling
    /// flags].
    #[arg(long, alias = "temp", value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Keep so many of the likeliest tokens, 0 for all [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    top_k: Option<usize>,
    /// Keep the likeliest tokens up to this sum of probabilities [default: 1].
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Keep tokens with at least this share of the largest probability [default: 0.05].
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Equal seeds give equal answers [default: a random one, shown in the summary].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Make tokens of prompt and answer less likely to come again; 1 is off.
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    repetition_penalty: f32,
    /// Subtract this from the logits of all tokens of the answer (-2 to 2).
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// The same, once for each time a token stands in the answer.
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Add to the logit of a token: ID=BIAS, such as 30=-5; -inf forbids it; may be repeated. `ds4
    /// tokenize` shows ids.
    #[arg(long, value_name = "ID=BIAS", value_parser = bias)]
    logit_bias: Vec<(u32, f32)>,
    /// Candidates reported with each token by --dump-logprobs (20 at most).
    #[arg(long, value_name = "N", default_value_t = 5, requires = "dump_logprobs")]
    top_logprobs: usize,
}

impl SamplingArgs {
    /// What they mean. `raw`: greedy unless something asks for sampling.
    pub fn options(&self, raw: bool, candidates: bool) -> SamplingOptions {
        let asked = self.temperature.is_some()
            || self.top_k.is_some()
            || self.top_p.is_some()
            || self.min_p.is_some()
            || self.seed.is_some();
        let defaults = SamplingOptions::default();
        let base = if raw && !asked { SamplingOptions::greedy() } else { defaults };
        SamplingOptions {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.unwrap_or(base.min_p),
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            logit_bias: self.logit_bias.clone(),
            seed: self.seed.unwrap_or_else(random_seed),
            top_log_probabilities: if candidates { self.top_logprobs } else { 0 },
        }
    }
}

/// Below 2^53, so that every JSON reader keeps it.
fn random_seed() -> u64 {
    // The standard library keys its hash maps from the operating system's random numbers.
    RandomState::new().build_hasher().finish() >> 11
}

fn bias(text: &str) -> Result<(u32, f32), String> {
    let parsed = text.split_once('=').and_then(|(id, bias)| {
        let bias: f32 = bias.trim().parse().ok()?;
        Some((id.trim().parse().ok()?, bias))
    });
    parsed.ok_or_else(|| "not ID=BIAS with a token id and a number, such as 30=-5".to_owned())
}
