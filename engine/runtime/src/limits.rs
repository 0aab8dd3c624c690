//! Every maximum of this crate, each with its reason.

/// Candidates whose log-probabilities are reported for a token; the limit of the OpenAI API.
pub const TOP_LOG_PROBABILITIES_MAX: usize = 20;

/// Logits with a bias. Each travels to the device in every step.
pub const LOGIT_BIASES_MAX: usize = 1024;

/// Absolute value of a finite bias: beyond it a token is always or never taken anyway.
pub const LOGIT_BIAS_MAX: f32 = 100.0;

/// Temperature. At 100 the distribution is flat to within rounding for any real logits.
pub const TEMPERATURE_MAX: f32 = 100.0;

/// Repetition penalty; 2 already suppresses every repetition.
pub const REPETITION_PENALTY_MAX: f32 = 10.0;

/// Absolute value of presence and frequency penalties; the limit of the OpenAI API.
pub const ADDED_PENALTY_MAX: f32 = 2.0;

/// Stop strings of a request, and bytes of one. The text reader looks for each at every token.
pub const STOP_STRINGS_MAX: usize = 16;
/// Bytes of a stop string; as many bytes of text are held back at most.
pub const STOP_BYTES_MAX: usize = 256;

/// Tokens by which a close of reasoning may be put off to let a character end: UTF-8 has four
/// bytes.
pub const CLOSE_DELAY_MAX: usize = 3;
