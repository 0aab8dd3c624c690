//! Every maximum of the command line, each with its reason.

/// Bytes of a prompt from a file or a pipe. A million tokens have 5 MB of text at most; this stops
/// endless inputs.
pub const PROMPT_BYTES_MAX: u64 = 64 << 20;

/// Context when none is asked for, in tokens: 113 MiB of cache for Flash.
pub const CONTEXT_DEFAULT: usize = 32 << 10;

/// Room for an answer when none is asked for and the prompt nearly fills the default context, in
/// tokens.
pub const ANSWER_TOKENS_DEFAULT: usize = 8 << 10;

/// How long an orderly end after Ctrl-C may take before the process ends anyway, in milliseconds.
pub const INTERRUPT_GRACE_MS: u64 = 150;

/// Tokens of a prefill step on the CPU. Measured on the demo model: 64 to 2,048 are equally fast,
/// and the bits are the same; small steps see Ctrl-C soon and need less memory.
pub const CHUNK_CPU: usize = 256;
