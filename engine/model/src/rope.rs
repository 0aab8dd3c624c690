//! Rotation angles: frequencies of a shape, and cos/sin of a position, computed on the host
//! (spec/model.md 3.3).
//!
//! The official table is an f32 product, f32(position) * f32(frequency), rounding included; cos and
//! sin of that product are then evaluated in f64. Back ends get the values in the step inputs and
//! never call their own sin or cos.

use crate::op::RopeTable;
use crate::shape::Shape;

/// The rotation frequencies of both kinds of layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    plain: Vec<f32>,
    yarn: Vec<f32>,
}

impl Rope {
    /// Frequencies of a shape.
    pub fn new(shape: &Shape) -> Self {
        Self { plain: plain(shape.rope_base, shape.rope_dim), yarn: yarn(shape) }
    }

    /// Frequency of each pair, \[rope_dim / 2\], radians per position.
    pub fn frequencies(&self, table: RopeTable) -> &[f32] {
        match table {
            RopeTable::Plain => &self.plain,
            RopeTable::Yarn => &self.yarn,
        }
    }

    /// Writes (cos, sin) of each pair at `position` into `out` \[rope_dim / 2\].
    pub fn angles(&self, table: RopeTable, position: usize, out: &mut [[f32; 2]]) {
        for (out, frequency) in out.iter_mut().zip(self.frequencies(table)) {
            let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
            *out = [cos as f32, sin as f32];
        }
    }
}

fn plain(base: f32, dim: usize) -> Vec<f32> {
    let pair = |i: usize| f64::from(base).powf(-(2.0 * i as f64) / dim as f64) as f32;
    (0..dim / 2).map(pair).collect()
}

/// YaRN: pairs that turn more than `beta_fast` times in the original context keep their frequency,
/// those below `beta_slow` are divided by the factor, a linear ramp joins them.
fn yarn(shape: &Shape) -> Vec<f32> {
    let (dim, base) = (shape.rope_dim as f64, f64::from(shape.compress_rope_base));
    let original = shape.yarn_original_context as f64;
    let pair_at = |turns: f32| {
        dim * (original / (f64::from(turns) * std::f64::consts::TAU)).ln() / (2.0 * base.ln())
    };
    let low = pair_at(shape.yarn_beta_fast).floor().max(0.0);
    let high = pair_at(shape.yarn_beta_slow).ceil().min(dim - 1.0);
    let span = (high - low).max(0.001);
    let frequencies = plain(shape.compress_rope_base, shape.rope_dim);
    let stretch = |(i, frequency): (usize, f32)| {
        let slow = ((i as f64 - low) / span).clamp(0.0, 1.0) as f32;
        frequency / shape.yarn_factor * slow + frequency * (1.0 - slow)
    };
    frequencies.into_iter().enumerate().map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flash_frequencies_match_the_specification() {
        let rope = Rope::new(&Shape::flash());
        let expected = [
            (0, 1.0),
            (1, 0.687_656_022),
            (14, 0.005_286_856_32),
            (15, 0.003_635_538_58),
            (16, 0.002_265_625),
            (20, 0.000_296_977_778),
            (24, 1.953_125e-5),
            (25, 5.372_312_67e-6),
            (31, 5.680_529_04e-7),
        ];
        for (i, frequency) in expected {
            let found = f64::from(rope.frequencies(RopeTable::Yarn)[i]);
            assert!((found / frequency - 1.0).abs() < 2e-7, "pair {i}: {found} not {frequency}");
        }
        assert_eq!(rope.frequencies(RopeTable::Plain)[0], 1.0);
    }
}
