//! Bounds on what a source may declare, each with its reason.

/// Bytes of a safetensors header: the bound of the format's own reader. The published shards of
/// Flash have some 100 KB.
pub const HEADER_BYTES_MAX: u64 = 100_000_000;

/// Bytes of config.json and of the index of shards: published ones have 3 KB and 7 MB.
pub const JSON_BYTES_MAX: u64 = 64 << 20;

/// Bytes of tokenizer.json: the published one has 6 MB.
pub const TOKENIZER_BYTES_MAX: u64 = 256 << 20;

/// Shards of a checkpoint. Published ones have 46 (Flash) to about 160.
pub const SHARDS_MAX: usize = 4_096;

/// Values of one task. 4 MiB as f32, and about as much for source bytes and blocks: a thread holds
/// 12 MiB at most, or three rows where a row is longer.
pub const TASK_VALUES: usize = 1 << 20;

/// Threads that encode. More than this many are a slip of the finger.
pub const THREADS_MAX: usize = 1_024;
