//! Scalar functions and reductions whose bits are the same on every machine: no libm, no fused
//! multiply-add, fixed trees.

/// Lanes of a reduction: entry i of a vector always goes to accumulator i mod 32. Wide enough for
/// four AVX2 registers, so that additions do not wait for each other.
pub const LANES: usize = 32;

/// e^x, within 2 ulp; 0 below -87.3, the largest finite values near 88.7.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; Taylor polynomial of degree 7 in r (remainder 5e-9), then n
/// into the exponent. Written without branches so that loops over it become vector code.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: n * LN2_HIGH is exact for |n| < 2^9.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.7);
    let n = clamped * LOG2_E + ROUND - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // 2^n in two factors: n reaches 128, beyond the largest exponent of one.
    let half = (n * 0.5) as i32;
    let power = |e: i32| f32::from_bits(((e + 127) as u32) << 23);
    let value = p * power(half) * power(n as i32 - half);
    if x < -87.3 { 0.0 } else { value }
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x * sigmoid(x)
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// silu(min(gate, clamp)) * clamp(up, -clamp, clamp): clamped SwiGLU (spec/model.md 3.8).
#[inline(always)]
pub fn swiglu(gate: f32, up: f32, clamp: f32) -> f32 {
    silu(gate.min(clamp)) * up.max(-clamp).min(clamp)
}

/// ln(1 + e^x)
pub fn softplus(x: f32) -> f32 {
    match x {
        x if x > 20.0 => x,
        x if x < -20.0 => exp(x),
        x => f64::from(x).exp().ln_1p() as f32,
    }
}

/// One register of accumulators.
type Lanes = [f32; 8];

/// lanes + a * b. By value on small arrays: LLVM turns exactly this into vector code wherever it is
/// inlined, while a loop over 32 lanes in place was taken apart into scalars in some callers
/// (measured: decode steps 2 to 4 times as slow).
#[inline(always)]
fn multiply_add(lanes: Lanes, a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|i| lanes[i] + a[i] * b[i])
}

/// a . b in `LANES` accumulators and one tree: 16 + 16, 8 + 8, ... 1 + 1.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [[0.0f32; 8]; LANES / 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let ((a4, a_last), (b4, b_last)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a4.iter().zip(b4) {
        lanes[0] = multiply_add(lanes[0], &a[0], &b[0]);
        lanes[1] = multiply_add(lanes[1], &a[1], &b[1]);
        lanes[2] = multiply_add(lanes[2], &a[2], &b[2]);
        lanes[3] = multiply_add(lanes[3], &a[3], &b[3]);
    }
    for (i, (a, b)) in a_last.iter().zip(b_last).enumerate() {
        lanes[i] = multiply_add(lanes[i], a, b);
    }
    let rest = &mut lanes[a_last.len()];
    for ((lane, a), b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    let [p, q, r, s] = lanes;
    let eight: Lanes = std::array::from_fn(|i| (p[i] + r[i]) + (q[i] + s[i]));
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// a . b with sums of blocks of 32 added pairwise. On FP4 grids every block sum is exact (design
/// 4e), so the order inside a block is free and only the tree over the blocks counts.
#[inline(always)]
pub fn block_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 128];
    let mut count = 0;
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums[count] = dot(a, b);
        count += 1;
    }
    while count > 1 {
        for i in 0..count / 2 {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
        if count % 2 == 1 {
            sums[count / 2] = sums[count - 1];
        }
        count = count.div_ceil(2);
    }
    sums[0]
}

/// 1 / sqrt(mean(x^2) + epsilon)
#[inline(always)]
pub fn rms_factor(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        let mut worst = 0.0f64;
        for i in -87_300..88_700 {
            let x = i as f32 * 1e-3;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / expected - 1.0).abs());
        }
        assert!(worst < 2.4e-7, "relative error {worst:e}");
        assert_eq!([exp(0.0), exp(-1e30), exp(-100.0)], [1.0, 0.0, 0.0]);
        assert!(exp(1e30).is_finite());
    }

    #[test]
    fn softplus_joins_its_branches() {
        for x in [-20.001f32, -19.999, 19.999, 20.001, 0.0] {
            let expected = f64::from(x).exp().ln_1p();
            assert!((f64::from(softplus(x)) / expected - 1.0).abs() < 2e-7, "{x}");
        }
        assert!((softplus(0.0).sqrt() - 0.832_554_6).abs() < 1e-7);
    }

    #[test]
    fn dots_take_any_length() {
        for n in [0usize, 1, 31, 32, 33, 100, 128, 500] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let ones = vec![1.0; n];
            let sum = (n * n.saturating_sub(1) / 2) as f32;
            assert_eq!([dot(&a, &ones), block_dot(&a, &ones)], [sum, sum], "{n}");
        }
    }
}
