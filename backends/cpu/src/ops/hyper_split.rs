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

/// Makes a matrix of logits \[n, n\] nearly doubly stochastic: a row softmax, then columns and rows in turn, ending on columns.
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
    use super::sinkhorn;

    /// The example of spec/model.md 3.2.
    #[test]
    fn matches_the_specification() {
        let mut found =
            [2.0, 0.0, -1.0, 0.5, 0.0, 1.0, 0.25, -2.0, -0.5, 0.0, 3.0, 1.0, 1.0, -1.0, 0.0, 0.0];
        let expected = [
            0.5021491, 0.1469413, 0.0268625, 0.3240461, 0.1156270, 0.6795926, 0.1595210, 0.0452583,
            0.0188305, 0.0671271, 0.6699778, 0.2440636, 0.3633924, 0.1063380, 0.1436377, 0.3866309,
        ];
        sinkhorn(&mut found, 4, 20, 1e-6);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 3e-7, "{found} not {expected}");
        }
    }
}
