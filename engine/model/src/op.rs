//! The operations a plan is made of.
//!
//! Each variant's doc comment is its meaning; `backends/cpu/src/ops/<name>.rs` is the same in code,
//! and every other back end is measured against that. Letters: T rows of the step (tokens of all
//! lanes, lane by lane), R rows with logits, D hidden, N streams, H heads, dh head width, r
//! compress ratio, p absolute position of a row. All activations are f32 except ids. Every buffer
//! is written by exactly one step; nothing works in place.

use crate::buffer::BufferId;
use crate::inventory::WeightId;

/// Which rotation speeds a rope step uses (spec/model.md 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RopeTable {
    /// Ratio-0 layers: base `rope_base`, no YaRN.
    Plain,
    /// Compressed layers: base `compress_rope_base` with YaRN.
    Yarn,
}

/// At which position a row is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RopeAt {
    /// At the row's own position p.
    Row,
    /// At the first position of the window of this many tokens that holds p: p - p mod r.
    WindowStart(usize),
}

/// The cached rows of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Region {
    /// The last `window` raw rows, in a ring of the lane's tail.
    Window,
    /// Compressed attention rows, in pages.
    Compressed,
    /// Indexer keys, in pages (ratio 4 only).
    Index,
}

/// How the experts of a token are chosen (spec/model.md 3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpertChoice {
    /// The largest affinities plus this bias; the bias does not weigh.
    Score {
        /// \[E\], or `None` where the file has none.
        bias: Option<WeightId>,
    },
    /// Row `token id` of an id table \[V, used\].
    Table(WeightId),
}

/// One operation with named operands. Shapes are \[outermost, ..., innermost\].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// streams\[t\]\[n\] = table row of token t, for all N streams. out \[T, N, D\].
    Embed {
        /// \[V, D\]
        table: WeightId,
        /// out \[T, N, D\]
        streams: BufferId,
    },
    /// mix\[t\]\[m\] = (function\[m\] . x\[t\]) * rsqrt(mean(x\[t\]^2) + epsilon), x\[t\] = all
    /// streams of row t (3.2).
    HyperMix {
        /// \[T, N, D\]
        streams: BufferId,
        /// \[M, N*D\], M = 2N + N*N, or N for the output head
        function: WeightId,
        /// RMS epsilon
        epsilon: f32,
        /// out \[T, M\]
        mix: BufferId,
    },
    /// Splits the mix into stream weights and runs the Sinkhorn iteration (3.2): pre =
    /// sigmoid(mix*scale0 + base) + epsilon, post = 2 sigmoid(mix*scale1 + base), comb = row
    /// softmax + epsilon, then `iterations` column normalisations with row normalisations between
    /// them. `iterations` 0 leaves the row softmax.
    HyperSplit {
        /// \[T, 2N + N*N\]
        mix: BufferId,
        /// \[3\]
        scale: WeightId,
        /// \[2N + N*N\]
        base: WeightId,
        /// column normalisations
        iterations: usize,
        /// hyper-connection epsilon
        epsilon: f32,
        /// out \[T, N\]
        pre: BufferId,
        /// out \[T, N\]
        post: BufferId,
        /// out \[T, N(source), N(target)\]
        comb: BufferId,
    },
    /// pre = sigmoid(mix*scale0 + base) + epsilon: the output head's stream weights (3.9).
    HyperPre {
        /// \[T, N\]
        mix: BufferId,
        /// \[1\]
        scale: WeightId,
        /// \[N\]
        base: WeightId,
        /// hyper-connection epsilon
        epsilon: f32,
        /// out \[T, N\]
        pre: BufferId,
    },
    /// out\[t\] = sum over n of pre\[t\]\[n\] * streams\[t\]\[n\], n ascending.
    HyperCollapse {
        /// \[T, N, D\]
        streams: BufferId,
        /// \[T, N\]
        pre: BufferId,
        /// out \[T, D\]
        out: BufferId,
    },
    /// out\[t\]\[k\] = post\[t\]\[k\] * y\[t\] + sum over j of comb\[t\]\[j\]\[k\] *
    /// streams\[t\]\[j\], j ascending.
    HyperExpand {
        /// \[T, N, D\]
        streams: BufferId,
        /// \[T, D\]
        y: BufferId,
        /// \[T, N\]
        post: BufferId,
        /// \[T, N, N\]
        comb: BufferId,
        /// out \[T, N, D\]
        out: BufferId,
    },
    /// Normalises each run of the innermost dimension: x * rsqrt(mean(x^2) + epsilon) * weight.
    RmsNorm {
        /// \[T, ..., W\]
        x: BufferId,
        /// \[W\], or `None` for a norm without weight (query heads)
        weight: Option<WeightId>,
        /// RMS epsilon
        epsilon: f32,
        /// out, shape of x
        out: BufferId,
    },
    /// out\[t\]\[g\] = W\[g\] x\[t\]\[g\]: `groups` stacked matrices, each on its own slice of x; 1
    /// for a plain product.
    Matmul {
        /// \[T, groups * K\]
        x: BufferId,
        /// \[groups * M, K\]
        weight: WeightId,
        /// stacked matrices
        groups: usize,
        /// out \[T, groups * M\]
        out: BufferId,
    },
    /// Rotates the last `rope_dim` entries of each run of the innermost dimension as interleaved
    /// pairs (3.3).
    RopeTail {
        /// \[T, ..., W\]
        x: BufferId,
        /// rotation speeds
        table: RopeTable,
        /// where
        at: RopeAt,
        /// rotate back
        inverse: bool,
        /// out, shape of x
        out: BufferId,
    },
    /// The value a packed row keeps (3.5): FP8 round trip of all but the last `rope_dim` entries,
    /// f16 round trip of those.
    KvRound {
        /// \[T, dh\]
        x: BufferId,
        /// out \[T, dh\]
        out: BufferId,
    },
    /// Hadamard transform and FP4 round trip of each run of the innermost dimension (3.7).
    IndexRound {
        /// \[T, ..., di\]
        x: BufferId,
        /// out, shape of x
        out: BufferId,
    },
    /// Advances the compressor of one region by the rows of the step, lane by lane in order of
    /// position, and pools (3.6).
    ///
    /// Per channel n the state is an online softmax (running maximum m, sum z, weighted sum a), one
    /// for the window being filled and, where windows overlap (ratio 4), one for the next window. A
    /// token adds (score, value) = (gate + ape\[p mod r\], kv): second-half channels to its own
    /// window, first-half channels to the next one; without overlap its only channels to its own
    /// window. At the last token of a window pooled = a / z and the next window's sums move up.
    /// Adding: m' = max(m, score); z = z*e^(m-m') + e^(score-m'); a = a*e^(m-m') +
    /// e^(score-m')*value. Rows that close no window give zeros.
    Compress {
        /// layer whose state is advanced
        layer: usize,
        /// `Compressed` or `Index`
        region: Region,
        /// \[T, c*d\]
        kv: BufferId,
        /// \[T, c*d\]
        gate: BufferId,
        /// \[r, c*d\], or `None`: no position bias
        ape: Option<WeightId>,
        /// out \[T, d\]
        pooled: BufferId,
    },
    /// Stores rows in the cache. `Compressed` and `Index`: row t goes to row p / r when p closes a
    /// window, else nothing is stored. `Window`: row t goes to ring slot p mod capacity. Packed
    /// pools store the codes of 3.5 and 3.7.
    KvAppend {
        /// layer whose rows these are
        layer: usize,
        /// where
        region: Region,
        /// \[T, width of the region's row\]
        x: BufferId,
    },
    /// scores\[t\]\[c\] = sum over heads h, ascending, of (weights\[t\]\[h\] * scale) *
    /// relu(q\[t\]\[h\] . key c), for the visible rows c < (p + 1) / r; -1e30 beyond. Packed rows:
    /// dot products are exact per block of 32, block sums are added pairwise, so that equal rows
    /// give equal bits everywhere (design 4e).
    IndexScores {
        /// layer whose keys are read
        layer: usize,
        /// \[T, Hi, di\]
        q: BufferId,
        /// \[T, Hi\]
        weights: BufferId,
        /// 1 / sqrt(di * Hi)
        scale: f32,
        /// out \[T, rows the class can see\]
        scores: BufferId,
    },
    /// The `k` visible rows with the largest scores, the lower row on ties; ids ascending, padded
    /// with `u32::MAX`.
    TopK {
        /// \[T, C\]
        scores: BufferId,
        /// layer, for the count of visible rows
        layer: usize,
        /// rows kept
        k: usize,
        /// out u32 \[T, k\]
        ids: BufferId,
    },
    /// Joint softmax with sink over window rows and compressed rows (3.4).
    ///
    /// Rows in this order: raw rows of positions max(0, p - window + 1) ..= p, then compressed rows
    /// ascending. Raw rows of this step are taken from `rows`, older ones from the ring, so that
    /// the ring needs no room for a chunk.
    Attend {
        /// layer whose cache is read
        layer: usize,
        /// \[T, H, dh\]
        q: BufferId,
        /// raw rows of this step \[T, dh\], as stored
        rows: BufferId,
        /// u32 \[T, k\] compressed rows to use; `None`: all visible ones
        selected: Option<BufferId>,
        /// \[H\]; `None`: no sink
        sinks: Option<WeightId>,
        /// raw rows a query sees, its own included
        window: usize,
        /// 1 / sqrt(dh)
        scale: f32,
        /// out \[T, H, dh\]
        out: BufferId,
    },
    /// Chooses experts and their weights (3.8): P = sqrt(softplus(logits)); weight = P / sum of
    /// chosen P * scale.
    RouterSelect {
        /// \[T, E\]
        logits: BufferId,
        /// by score or by table
        choice: ExpertChoice,
        /// factor of the normalised weights
        scale: f32,
        /// out u32 \[T, used\], ascending
        ids: BufferId,
        /// out \[T, used\]
        weights: BufferId,
    },
    /// h\[t\]\[s\] = silu(min(g, clamp)) * clamp(u, -clamp, clamp) * weights\[t\]\[s\], g = Wg x, u
    /// = Wu x of expert ids\[t\]\[s\].
    ExpertsUp {
        /// \[T, D\]
        x: BufferId,
        /// u32 \[T, used\]
        ids: BufferId,
        /// \[T, used\]
        weights: BufferId,
        /// \[E, F, D\]
        gate: WeightId,
        /// \[E, F, D\]
        up: WeightId,
        /// SwiGLU clamp, infinite for none
        clamp: f32,
        /// out \[T, used, F\]
        out: BufferId,
    },
    /// out\[t\] = sum over s, ascending, of W\[ids\[t\]\[s\]\] h\[t\]\[s\].
    ExpertsDown {
        /// \[T, used, F\]
        h: BufferId,
        /// u32 \[T, used\]
        ids: BufferId,
        /// \[E, D, F\]
        down: WeightId,
        /// out \[T, D\]
        out: BufferId,
    },
    /// out = silu(min(gate, clamp)) * clamp(up, -clamp, clamp): the shared expert.
    Swiglu {
        /// \[T, F\]
        gate: BufferId,
        /// \[T, F\]
        up: BufferId,
        /// SwiGLU clamp, infinite for none
        clamp: f32,
        /// out \[T, F\]
        out: BufferId,
    },
    /// out = a + b.
    Add {
        /// \[T, W\]
        a: BufferId,
        /// \[T, W\]
        b: BufferId,
        /// out \[T, W\]
        out: BufferId,
    },
    /// The rows of x whose logits are wanted, in order.
    TakeRows {
        /// \[T, ...\]
        x: BufferId,
        /// out \[R, ...\]
        out: BufferId,
    },
    /// Draws the next token of each row from its lane's sampling parameters (`step::Sampling`).
    Sample {
        /// \[R, V\]
        logits: BufferId,
        /// out u32 \[R\]
        tokens: BufferId,
    },
}

/// What one operation touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operands {
    /// Buffers read.
    pub reads: Vec<BufferId>,
    /// Buffers written.
    pub writes: Vec<BufferId>,
    /// Weights read.
    pub weights: Vec<WeightId>,
}

impl Op {
    /// The name that the files of this op carry: `rope_tail` for `RopeTail`.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Embed { .. } => "embed",
            Op::HyperMix { .. } => "hyper_mix",
            Op::HyperSplit { .. } => "hyper_split",
            Op::HyperPre { .. } => "hyper_pre",
            Op::HyperCollapse { .. } => "hyper_collapse",
            Op::HyperExpand { .. } => "hyper_expand",
            Op::RmsNorm { .. } => "rms_norm",
            Op::Matmul { .. } => "matmul",
            Op::RopeTail { .. } => "rope_tail",
            Op::KvRound { .. } => "kv_round",
            Op::IndexRound { .. } => "index_round",
            Op::Compress { .. } => "compress",
            Op::KvAppend { .. } => "kv_append",
            Op::IndexScores { .. } => "index_scores",
            Op::TopK { .. } => "top_k",
            Op::Attend { .. } => "attend",
            Op::RouterSelect { .. } => "router_select",
            Op::ExpertsUp { .. } => "experts_up",
            Op::ExpertsDown { .. } => "experts_down",
            Op::Swiglu { .. } => "swiglu",
            Op::Add { .. } => "add",
            Op::TakeRows { .. } => "take_rows",
            Op::Sample { .. } => "sample",
        }
    }

    /// The numbers of this op that are not sizes of its buffers, for printed plans: a difference of
    /// two plans shows them.
    pub fn constants(&self) -> String {
        match self {
            Op::HyperMix { epsilon, .. }
            | Op::HyperPre { epsilon, .. }
            | Op::RmsNorm { epsilon, .. } => format!("epsilon {epsilon}"),
            Op::HyperSplit { iterations, epsilon, .. } => {
                format!("{iterations} iterations, epsilon {epsilon}")
            }
            Op::Matmul { groups, .. } if *groups > 1 => format!("{groups} groups"),
            Op::RopeTail { table, at, inverse, .. } => {
                format!("{table:?} at {at:?}{}", if *inverse { ", inverse" } else { "" })
            }
            Op::Compress { layer, region, .. } | Op::KvAppend { layer, region, .. } => {
                format!("layer {layer}, {region:?}")
            }
            Op::IndexScores { layer, scale, .. } => format!("layer {layer}, scale {scale}"),
            Op::TopK { layer, k, .. } => format!("layer {layer}, k {k}"),
            Op::Attend { layer, window, scale, .. } => {
                format!("layer {layer}, window {window}, scale {scale}")
            }
            Op::RouterSelect { scale, .. } => format!("scale {scale}"),
            Op::ExpertsUp { clamp, .. } | Op::Swiglu { clamp, .. } => format!("clamp {clamp}"),
            _ => String::new(),
        }
    }

    /// Buffers and weights of this op, in the order of its fields. Cache regions and step inputs
    /// are not listed.
    pub fn operands(&self) -> Operands {
        let lists =
            |reads: &[BufferId], writes: &[BufferId], weights: &[Option<WeightId>]| Operands {
                reads: reads.to_vec(),
                writes: writes.to_vec(),
                weights: weights.iter().flatten().copied().collect(),
            };
        match *self {
            Op::Embed { table, streams } => lists(&[], &[streams], &[Some(table)]),
            Op::HyperMix { streams, function, mix, .. } => {
                lists(&[streams], &[mix], &[Some(function)])
            }
            Op::HyperSplit { mix, scale, base, pre, post, comb, .. } => {
                lists(&[mix], &[pre, post, comb], &[Some(scale), Some(base)])
            }
            Op::HyperPre { mix, scale, base, pre, .. } => {
                lists(&[mix], &[pre], &[Some(scale), Some(base)])
            }
            Op::HyperCollapse { streams, pre, out } => lists(&[streams, pre], &[out], &[]),
            Op::HyperExpand { streams, y, post, comb, out } => {
                lists(&[streams, y, post, comb], &[out], &[])
            }
            Op::RmsNorm { x, weight, out, .. } => lists(&[x], &[out], &[weight]),
            Op::Matmul { x, weight, out, .. } => lists(&[x], &[out], &[Some(weight)]),
            Op::RopeTail { x, out, .. } | Op::KvRound { x, out } | Op::IndexRound { x, out } => {
                lists(&[x], &[out], &[])
            }
            Op::Compress { kv, gate, ape, pooled, .. } => lists(&[kv, gate], &[pooled], &[ape]),
            Op::KvAppend { x, .. } => lists(&[x], &[], &[]),
            Op::IndexScores { q, weights, scores, .. } => lists(&[q, weights], &[scores], &[]),
            Op::TopK { scores, ids, .. } => lists(&[scores], &[ids], &[]),
            Op::Attend { q, rows, selected, sinks, out, .. } => {
                let mut operands = lists(&[q, rows], &[out], &[sinks]);
                operands.reads.extend(selected);
                operands
            }
            Op::RouterSelect { logits, choice, ids, weights, .. } => {
                let weight = match choice {
                    ExpertChoice::Score { bias } => bias,
                    ExpertChoice::Table(table) => Some(table),
                };
                lists(&[logits], &[ids, weights], &[weight])
            }
            Op::ExpertsUp { x, ids, weights, gate, up, out, .. } => {
                lists(&[x, ids, weights], &[out], &[Some(gate), Some(up)])
            }
            Op::ExpertsDown { h, ids, down, out } => lists(&[h, ids], &[out], &[Some(down)]),
            Op::Swiglu { gate, up, out, .. } => lists(&[gate, up], &[out], &[]),
            Op::Add { a, b, out } => lists(&[a, b], &[out], &[]),
            Op::TakeRows { x, out } => lists(&[x], &[out], &[]),
            Op::Sample { logits, tokens } => lists(&[logits], &[tokens], &[]),
        }
    }
}
