//! `Op::HyperSplit`

use ds4_model::op::Op;

use crate::frame::Frame;
use crate::math;

pub fn run(f: &mut Frame<'_>, op: &Op) {
    let Op::HyperSplit { mix, scale, base, iterations, epsilon, pre, post, comb } = *op else {
        return;
    };
    let n = f.plan.buffer(pre).width();
    let (scale, base) = (f.weights.vector(scale).to_vec(), f.weights.vector(base).to_vec());
    f.fill(pre, |f, row, out| {
        for (i, out) in out.iter_mut().enumerate() {
            *out = math::sigmoid(f.row(mix, row)[i] * scale[0] + base[i]) + epsilon;
        }
    });
    f.fill(post, |f, row, out| {
        for (out, i) in out.iter_mut().zip(n..) {
            *out = 2.0 * math::sigmoid(f.row(mix, row)[i] * scale[1] + base[i]);
        }
    });
    f.fill(comb, |f, row, out| {
        for (out, i) in out.iter_mut().zip(2 * n..) {
            *out = f.row(mix, row)[i] * scale[2] + base[i];
        }
        sinkhorn(out, n, iterations, epsilon);
    });
}

/// Makes a matrix of logits \[n, n\] nearly doubly stochastic: a row softmax, then columns and rows
/// in turn, ending on columns.
pub fn sinkhorn(matrix: &mut [f32], n: usize, iterations: usize, epsilon: f32) {
    for row in matrix.chunks_exact_mut(n) {
        let max = row.iter().copied().fold(f32::MIN, f32::max);
        row.iter_mut().for_each(|value| *value = math::exp(*value - max));
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|value| *value = *value / sum + epsilon);
    }
    for iteration in 0..iterations {
        if iteration > 0 {
            for row in matrix.chunks_exact_mut(n) {
                let sum: f32 = row.iter().sum::<f32>() + epsilon;
                row.iter_mut().for_each(|value| *value /= sum);
            }
        }
        for column in 0..n {
            let sum: f32 = (0..n).map(|row| matrix[row * n + column]).sum::<f32>() + epsilon;
            (0..n).for_each(|row| matrix[row * n + column] /= sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use safetensors::SafeTensors;

    use super::sinkhorn;
    use crate::math;

    /// The example of spec/model.md 3.2.
    #[test]
    fn matches_the_specification() {
        let mut found =
            [2.0, 0.0, -1.0, 0.5, 0.0, 1.0, 0.25, -2.0, -0.5, 0.0, 3.0, 1.0, 1.0, -1.0, 0.0, 0.0];
        let expected = [
            0.5021491, 0.1469413, 0.0268625, 0.3240461, 0.115627, 0.6795926, 0.159521, 0.0452583,
            0.0188305, 0.0671271, 0.6699778, 0.2440636, 0.3633924, 0.106338, 0.1436377, 0.3866309,
        ];
        sinkhorn(&mut found, 4, 20, 1e-6);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 3e-7, "{found} not {expected}");
        }
    }

    fn unit_vectors() -> Vec<u8> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read(root.join("../../tests/data/unit_vectors.safetensors")).expect("unit vectors")
    }

    fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
        let data = file.tensor(name).expect("a tensor").data().as_chunks::<4>().0.iter();
        data.map(|word| f32::from_le_bytes(*word)).collect()
    }

    /// `Op::HyperSplit` on 32 mixes: stream weights and the Sinkhorn matrix.
    #[test]
    fn hyper_split_matches_the_oracle() {
        let bytes = unit_vectors();
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let [mix, scale, base] = ["hc.mix", "hc.scale", "hc.base"].map(|name| f32s(&file, name));
        let [pre, post, comb] = ["hc.pre", "hc.post", "hc.comb"].map(|name| f32s(&file, name));
        assert_eq!((mix.len(), pre.len(), comb.len()), (32 * 24, 32 * 4, 32 * 16));
        let close = |found: f32, expected: f32, what: &str| {
            assert!((found - expected).abs() < 2e-6, "{what}: {found} not {expected}");
        };
        for (row, mix) in mix.chunks_exact(24).enumerate() {
            let logit = |i: usize, part: usize| mix[i] * scale[part] + base[i];
            let own = |part: &[f32]| part[row * 4..][..4].to_vec();
            for (i, (pre, post)) in own(&pre).into_iter().zip(own(&post)).enumerate() {
                close(math::sigmoid(logit(i, 0)) + 1e-6, pre, "pre");
                close(2.0 * math::sigmoid(logit(4 + i, 1)), post, "post");
            }
            let mut found: Vec<f32> = (8..24).map(|i| logit(i, 2)).collect();
            sinkhorn(&mut found, 4, 20, 1e-6);
            for (found, expected) in found.iter().zip(&comb[row * 16..]) {
                close(*found, *expected, "comb");
            }
        }
    }
}
