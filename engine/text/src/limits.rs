//! Every maximum of this crate, each with its reason.

/// Entries of a vocabulary. The real one has 129,280; 2^20 leaves room and keeps every id, and
/// the rank of every merge, inside a `u32` with a sentinel to spare.
pub const TOKENS_MAX: usize = 1 << 20;

/// Bytes of one token. The longest real one has 128.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// Nesting of a JSON text (tool schemas, arguments, conversations). The reader recurses, so this
/// bounds its stack; real schemas stay below 20.
pub const JSON_DEPTH_MAX: usize = 256;

/// Bytes of one byte-pair piece before it is cut. Only a single "word" of more than 256 MiB is
/// affected; the cut bounds the memory of its merge (about 30 bytes for each byte of the piece).
pub const PIECE_BYTES_MAX: usize = 1 << 28;

/// Sampled blocks of calls that are remembered. An agent session makes some hundreds.
pub const REPLAY_BLOCKS_MAX: usize = 16_384;

/// Bytes of all remembered blocks together; whole files pass through calls.
pub const REPLAY_BYTES_MAX: usize = 64 << 20;

/// Bytes of one DSML tag. What is longer is not a tag; until then it is held back and looked at
/// again with each token, so this bounds both.
pub const TAG_BYTES_MAX: usize = 16 << 10;

/// Parameters inside parameters.
pub const NESTED_PARAMETERS_MAX: usize = 32;
