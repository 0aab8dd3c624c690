//! Bounds on what a model file may ask for, each with its reason.

/// Trunk layers. PRO has 61; layers are numbered in 16 bits and every layer has its own buffers.
pub const LAYERS_MAX: usize = 256;
/// Any width that is the length of one activation vector. PRO's widest is 65,536 (128 heads of
/// 512).
pub const WIDTH_MAX: usize = 1 << 18;
/// Vocabulary entries. The real one has 129,280; ids travel as 32-bit integers and logits as one
/// f32 row.
pub const VOCAB_MAX: usize = 1 << 20;
/// Positions. RoPE tables and page ids are tested up to the real models' 2^20.
pub const CONTEXT_MAX: usize = 1 << 20;
/// Query, indexer and group counts; PRO has 128 heads.
pub const HEADS_MAX: usize = 1024;
/// Width of a head: attention holds one head's row in the registers of a workgroup.
pub const HEAD_DIM_MAX: usize = 4096;
/// Routed experts. PRO has 384; the router sorts them within one workgroup.
pub const EXPERTS_MAX: usize = 4096;
/// Rows of the sliding window; it is a ring held in memory for every layer of every session.
pub const WINDOW_MAX: usize = 4096;
/// Rows the indexer may select; each is a gather of a whole row in attention.
pub const TOP_K_MAX: usize = 1 << 16;
/// Sinkhorn rounds, run serially for every token and sublayer.
pub const SINKHORN_MAX: usize = 1000;
/// Elements of one matrix (of one expert): kernels index vectors of four elements with 32 bits.
pub const MATRIX_ELEMENTS_MAX: u64 = 1 << 34;
/// Parameters in all: ten times PRO. Keeps every sum of bytes far from the end of 64 bits.
pub const PARAMETERS_MAX: u64 = 1 << 44;
