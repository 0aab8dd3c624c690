//! The same loops compiled for several instruction sets.
//!
//! Each kernel is plain Rust, inlined into one function per instruction set. Rust never contracts a
//! multiply and an add, and every reduction has its own fixed tree (`math`), so all of them give
//! the same bits; only the speed differs.
//!
//! `unsafe` here: calling a `#[target_feature]` function, allowed because `level` has just seen the
//! features on this machine.
#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::OnceLock;

use ds4_format::quant::MatrixView;

use crate::math;

#[derive(Clone, Copy)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Base,
}

fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if wide {
                return Level::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Level::Avx2;
            }
        }
        Level::Base
    })
}

/// Defines a kernel: a plain function, and its dispatch.
macro_rules! kernel {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        pub fn $name($($arg: $type),*) {
            #[inline(always)]
            fn base($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $type),*) { base($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $type),*) { base($($arg),*) }
            match level() {
                // SAFETY: `level` found these features on this machine.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2($($arg),*) },
                Level::Base => base($($arg),*),
            }
        }
    };
}

kernel! {
    /// out\[row - rows.start\]\[c\] = row . columns\[c\], for rows of one matrix. `scratch`: some
    /// whole rows.
    pub fn rows_dot(
        view: MatrixView<'_>,
        rows: Range<usize>,
        columns: &[&[f32]],
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let width = view.layout().width();
        let together = scratch.len() / width;
        for (i, out) in out.chunks_mut(together * columns.len()).enumerate() {
            let decoded = &mut scratch[..out.len() / columns.len() * width];
            view.decode_rows(rows.start + i * together, decoded);
            let each = decoded.chunks_exact(width).zip(out.chunks_exact_mut(columns.len()));
            for (row, out) in each {
                for (out, column) in out.iter_mut().zip(columns) {
                    *out = math::dot(row, column);
                }
            }
        }
    }
}

kernel! {
    /// out\[i\] = rows\[i\] . x * scale, rows \[n\]\[x.len()\].
    pub fn scores(rows: &[f32], x: &[f32], scale: f32, out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(x.len())) {
            *out = math::dot(row, x) * scale;
        }
    }
}

kernel! {
    /// out += sum over i of weights\[i\] * rows\[i\], i ascending; rows \[n\]\[out.len()\].
    pub fn weighted_sum(rows: &[f32], weights: &[f32], out: &mut [f32]) {
        for (row, weight) in rows.chunks_exact(out.len()).zip(weights) {
            for (out, value) in out.iter_mut().zip(row) {
                *out += weight * value;
            }
        }
    }
}

kernel! {
    /// x = e^(x - max) in place.
    pub fn exp_minus(x: &mut [f32], max: f32) {
        for x in x {
            *x = math::exp(*x - max);
        }
    }
}

kernel! {
    /// out\[i\] = block_dot(rows\[i\], x), rows \[n\]\[x.len()\].
    pub fn block_dots(rows: &[f32], x: &[f32], out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(x.len())) {
            *out = math::block_dot(row, x);
        }
    }
}

kernel! {
    /// One token into online-softmax sums of one window: `sums` is m, z, a, each \[d\]
    /// (`Op::Compress`).
    pub fn online_softmax(sums: &mut [f32], gate: &[f32], bias: &[f32], values: &[f32]) {
        let d = values.len();
        let (m, rest) = sums.split_at_mut(d);
        let (z, a) = rest.split_at_mut(d);
        for i in 0..d {
            let score = gate[i] + bias[i];
            let max = m[i].max(score);
            let keep = math::exp(m[i] - max);
            let add = math::exp(score - max);
            z[i] = z[i] * keep + add;
            a[i] = a[i] * keep + add * values[i];
            m[i] = max;
        }
    }
}

kernel! {
    /// out = clamped SwiGLU of gate and up, times `weight`.
    pub fn swiglu(gate: &[f32], up: &[f32], clamp: f32, weight: f32, out: &mut [f32]) {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = math::swiglu(*gate, *up, clamp) * weight;
        }
    }
}

/// Name of the instruction set in use.
pub fn name() -> &'static str {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => "avx512",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => "avx2",
        Level::Base => "baseline",
    }
}
