//! Hyper-connections around a sublayer (spec/model.md 3.2).

use crate::buffer::BufferId;
use crate::builder::Builder;
use crate::inventory::Role;
use crate::op::Op;

/// Names and weights of one of the two sublayers.
pub struct Sublayer {
    prefix: &'static str,
    out: &'static str,
    function: Role,
    scale: Role,
    base: Role,
    norm: Role,
}

impl Sublayer {
    pub const ATTENTION: Self = Self {
        prefix: "attn",
        out: "attn_hc_out",
        function: Role::AttentionHyperFn,
        scale: Role::AttentionHyperScale,
        base: Role::AttentionHyperBase,
        norm: Role::AttentionNorm,
    };
    pub const FFN: Self = Self {
        prefix: "ffn",
        out: "hc_out",
        function: Role::FfnHyperFn,
        scale: Role::FfnHyperScale,
        base: Role::FfnHyperBase,
        norm: Role::FfnNorm,
    };
}

/// How the sublayer's output goes back: \[T, N\] and \[T, N, N\].
pub struct Mix {
    post: BufferId,
    comb: BufferId,
}

/// The normalised input of a sublayer \[T, D\], and how to spread its output.
pub fn before(b: &mut Builder, sublayer: &Sublayer, streams: BufferId) -> (BufferId, Mix) {
    let shape = b.shape();
    let n = shape.streams;
    let label = |suffix: &str| format!("{}_hc_{suffix}", sublayer.prefix);
    let mix = mix(b, &label("mix"), streams, sublayer.function, 2 * n + n * n);

    let pre = b.values(&label("pre"), &[n]);
    let post = b.values(&label("post"), &[n]);
    let comb = b.values(&label("comb"), &[n, n]);
    let (scale, base) = (b.weight(sublayer.scale), b.weight(sublayer.base));
    let iterations = shape.sinkhorn_iterations;
    let epsilon = shape.hyper_epsilon;
    b.push(
        &label("split"),
        Op::HyperSplit { mix, scale, base, iterations, epsilon, pre, post, comb },
    );

    let x = collapse(b, &label("in"), streams, pre);
    let x = b.rms_norm(&format!("{}_norm", sublayer.prefix), x, Some(sublayer.norm));
    (x, Mix { post, comb })
}

/// The streams after a sublayer \[T, N, D\]; `y` \[T, D\] is its output.
pub fn after(
    b: &mut Builder,
    sublayer: &Sublayer,
    streams: BufferId,
    y: BufferId,
    mix: &Mix,
) -> BufferId {
    let dims = b.dims(streams);
    let found = b.dims(y);
    b.expect(sublayer.out, "sublayer output", &found, &dims[1..]);
    let out = b.values(sublayer.out, &dims);
    b.push(sublayer.out, Op::HyperExpand { streams, y, post: mix.post, comb: mix.comb, out });
    out
}

/// All streams of a row, normalised together, through a small matrix of `rows` rows.
pub fn mix(b: &mut Builder, label: &str, streams: BufferId, role: Role, rows: usize) -> BufferId {
    let function = b.weight(role);
    let found = b.weight_dims(label, function);
    let width: usize = b.dims(streams).iter().product();
    b.expect(label, "mix matrix", &found, &[rows, width]);
    let mix = b.like(label, streams, &[rows]);
    let epsilon = b.shape().norm_epsilon;
    b.push(label, Op::HyperMix { streams, function, epsilon, mix });
    mix
}

/// Weighted sum of the streams \[T, D\].
pub fn collapse(b: &mut Builder, label: &str, streams: BufferId, pre: BufferId) -> BufferId {
    let dims = b.dims(streams);
    let out = b.like(label, streams, &dims[1..]);
    b.push(label, Op::HyperCollapse { streams, pre, out });
    out
}
