//! Bounds on what a file may declare, each with its reason. All of them are far above what
//! published model files contain and far below what would hurt the machine.

/// Bytes of header, metadata and tensor table. Published files have 5 to 10 MiB (the vocabulary);
/// a loader must hold this much in memory before anything is known about the file.
pub const DIRECTORY_BYTES_MAX: u64 = 256 << 20;

/// Metadata keys. Published files have about 60.
pub const KEYS_MAX: u64 = 10_000;

/// Bytes of a metadata key. Published files stay below 64.
pub const KEY_BYTES_MAX: u64 = 256;

/// Bytes of one metadata string. The longest in use are chat templates of some 10 KiB.
pub const STRING_BYTES_MAX: u64 = 16 << 20;

/// Tensors of one file. The largest published file has 1,894; one tensor for each expert matrix
/// would be 70,272.
pub const TENSORS_MAX: u64 = 100_000;

/// Bytes of a tensor name: the container format's own bound.
pub const TENSOR_NAME_BYTES_MAX: u64 = 64;

/// Dimensions of a tensor: the container format's own bound. This engine uses at most 3.
pub const DIMENSIONS_MAX: u32 = 4;

/// Alignment of tensor data where the file does not say: the container format's default.
pub const ALIGNMENT_DEFAULT: u32 = 32;

/// Smallest alignment of tensor data: a metadata entry of 8 bytes.
pub const ALIGNMENT_MIN: u32 = 8;

/// Largest alignment of tensor data: one memory page. More would only waste the file's space and
/// make rounding up near the largest integers a risk.
pub const ALIGNMENT_MAX: u32 = 4_096;

/// Files of one model. Published models have at most a few dozen parts.
pub const SHARDS_MAX: u32 = 1_000;
