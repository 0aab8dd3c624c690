//! IQ2_XXS: 32 vectors of 8 from a codebook, signs with even parity, scales of 4 bits for groups of
//! 32, one f16 scale for all.
//!
//! With scale s and codebook entry k a vector's weighted squared error is
//! `sum w x^2 - 2 s gain[k] + s^2 energy[k]`, where `gain[k] = sum w |x| g[k]` and
//! `energy[k] = sum w g[k]^2`. Where the number of negative values is odd one sign has to be wrong;
//! the cheapest one costs `2 min(w |x| g[k])` of the gain. So after one pass over the codebook the
//! best entry *and* the best wrong sign for any scale are an exact minimum over 256 numbers, and
//! only the scales are searched: one for each group alone, then the f16 scale under which the
//! groups' 4-bit steps lose least, then least squares on what was chosen.

use super::super::iq2_grid::GRID;
use super::{half, half_bytes, iq2_exact, magnitude};

type Table = [f32; 256];

/// The codebook, column by column.
static COLUMNS: [Table; 8] = columns();

const fn columns() -> [Table; 8] {
    let mut columns = [[0.0; 256]; 8];
    let mut at = 0;
    while at < 8 * 256 {
        columns[at % 8][at / 8] = GRID[at / 8][at % 8];
        at += 1;
    }
    columns
}

/// `energy[k]` of each vector of a row; of one vector where all columns weigh the same.
pub(super) struct Energy(Vec<Table>);

impl Energy {
    /// All columns alike.
    pub fn uniform() -> Self {
        Self(vec![energy(&[1.0; 8])])
    }

    /// A table for each 8 columns.
    pub fn weighted(weights: &[f32]) -> Self {
        Self(weights.as_chunks().0.iter().map(energy).collect())
    }

    /// The tables of the 32 vectors of a block of the row.
    pub fn of_block(&self, block: usize) -> [&Table; 32] {
        std::array::from_fn(|vector| &self.0[(32 * block + vector).min(self.0.len() - 1)])
    }
}

fn energy(weights: &[f32; 8]) -> Table {
    let mut energy = [0.0; 256];
    for (weight, column) in weights.iter().zip(&COLUMNS) {
        for (sum, g) in energy.iter_mut().zip(column) {
            *sum += weight * g * g;
        }
    }
    energy
}

/// A vector of 8 against the whole codebook.
struct Vector<'a> {
    /// `w |x|`
    pulls: [f32; 8],
    /// Bit j: value j is negative.
    signs: u8,
    gain: Table,
    energy: &'a Table,
}

impl<'a> Vector<'a> {
    fn new(values: &[f32; 8], weights: &[f32; 8], energy: &'a Table) -> Self {
        let pulls: [f32; 8] = std::array::from_fn(|j| weights[j] * values[j].abs());
        let signs = (0..8).fold(0, |bits, j| bits | u8::from(values[j] < 0.0) << j);
        let mut gain = [0.0; 256];
        for (pull, column) in pulls.iter().zip(&COLUMNS) {
            for (sum, g) in gain.iter_mut().zip(column) {
                *sum += pull * g;
            }
        }
        if signs.count_ones() % 2 == 1 {
            let mut least = [f32::INFINITY; 256];
            for (pull, column) in pulls.iter().zip(&COLUMNS) {
                for (least, g) in least.iter_mut().zip(column) {
                    *least = least.min(pull * g);
                }
            }
            for (sum, least) in gain.iter_mut().zip(least) {
                *sum -= 2.0 * least;
            }
        }
        Self { pulls, signs, gain, energy }
    }

    /// Least of `s energy - 2 gain` over the codebook, the lowest entry on ties.
    ///
    /// The least value first, then where it is: carrying indices along kept the loop from being
    /// vectors (15 times slower).
    fn best(&self, s: f32) -> (usize, f32) {
        const LANES: usize = 16;
        let mut values = [0.0; 256];
        for (value, (energy, gain)) in values.iter_mut().zip(self.energy.iter().zip(&self.gain)) {
            *value = s * energy - 2.0 * gain;
        }
        let mut lanes = [f32::INFINITY; LANES];
        for row in values.as_chunks::<LANES>().0 {
            for (least, value) in lanes.iter_mut().zip(row) {
                *least = if *value < *least { *value } else { *least };
            }
        }
        let least = lanes.into_iter().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
        (values.iter().position(|value| *value == least).unwrap_or(0), least)
    }

    /// Sign index for entry `k`: an odd number of signs gets its cheapest one flipped.
    fn sign_index(&self, k: usize) -> u32 {
        let mut signs = self.signs;
        if signs.count_ones() % 2 == 1 {
            let cost = |j: &usize| self.pulls[*j] * GRID[k][*j];
            let cheapest = (0..8).min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(0);
            signs ^= 1 << cheapest;
        }
        u32::from(signs & 127)
    }
}

/// Four vectors with one 4-bit scale.
struct Group<'a> {
    vectors: [Vector<'a>; 4],
    /// Best scale on its own.
    scale: f32,
    /// Error grows by this times the squared distance from it.
    curvature: f32,
}

/// Codebook entries of a group and what they give.
#[derive(Clone, Copy)]
struct Choice {
    entries: [usize; 4],
    /// Weighted squared error, less that of all-zero values.
    error: f32,
    gain: f32,
    energy: f32,
}

impl<'a> Group<'a> {
    fn new(values: &[f32], weights: &[f32], energy: &[&'a Table]) -> Self {
        let (values_8, weights_8) = (values.as_chunks().0, weights.as_chunks().0);
        let vector = |v: usize| Vector::new(&values_8[v], &weights_8[v], energy[v]);
        let vectors = std::array::from_fn(vector);
        let mut group = Self { vectors, scale: 0.0, curvature: 0.0 };
        let top = magnitude(values);
        if top == 0.0 {
            return group;
        }
        let mut best: Option<(f32, Choice)> = None;
        let trials = (0..11).map(|step| top / 43.0 * (0.5 + 0.07 * step as f32));
        for mut scale in trials {
            let mut choice = group.choose(scale);
            // Least squares moves the scale; a better scale may choose other entries.
            for _ in 0..2 {
                let refitted = choice.gain / choice.energy;
                if refitted > 0.0 && refitted != scale {
                    scale = refitted;
                    choice = group.choose(scale);
                }
            }
            if best.is_none_or(|(_, least)| choice.error < least.error) {
                best = Some((scale, choice));
            }
        }
        if let Some((scale, choice)) = best {
            (group.scale, group.curvature) = (scale, choice.energy);
        }
        group
    }

    fn choose(&self, s: f32) -> Choice {
        let mut choice = Choice { entries: [0; 4], error: 0.0, gain: 0.0, energy: 0.0 };
        for (entry, vector) in choice.entries.iter_mut().zip(&self.vectors) {
            let (k, least) = vector.best(s);
            *entry = k;
            choice.error += s * least;
            choice.gain += vector.gain[k];
            choice.energy += vector.energy[k];
        }
        choice
    }
}

/// Step of scale code `c` in units of `d`.
fn step(c: u8) -> f32 {
    (f32::from(c) + 0.5) * 0.25
}

/// A whole block under one `d`.
#[derive(Clone, Copy)]
struct Fit {
    d: f32,
    codes: [u8; 8],
    choices: [Choice; 8],
    error: f32,
}

/// For each group the better of the two scale codes around its own best scale.
fn fit(groups: &[Group<'_>; 8], d: f32) -> Fit {
    let mut codes = [0; 8];
    let choices = std::array::from_fn(|g| {
        let group = &groups[g];
        let below = (group.scale / (0.25 * d) - 0.5).floor().clamp(0.0, 15.0) as u8;
        let (low, high) =
            (group.choose(d * step(below)), group.choose(d * step(below.min(14) + 1)));
        let (code, choice) =
            if high.error < low.error { (below.min(14) + 1, high) } else { (below, low) };
        codes[g] = code;
        choice
    });
    Fit { d, codes, choices, error: choices.iter().map(|choice: &Choice| choice.error).sum() }
}

/// Trial scales by the groups' parabolas alone, best first: from "the largest group has code 15 and
/// is clipped by a fifth" to "it has code 9".
fn trial_scales(groups: &[Group<'_>; 8]) -> Vec<f32> {
    let top = groups.iter().fold(0.0_f32, |top, group| top.max(group.scale)) / step(15);
    let loss = |d: f32| -> f32 {
        let loss = |group: &Group<'_>| {
            let code = (group.scale / (0.25 * d) - 0.5).round().clamp(0.0, 15.0) as u8;
            let off = d * step(code) - group.scale;
            group.curvature * off * off
        };
        groups.iter().map(loss).sum()
    };
    let mut trials: Vec<(f32, f32)> = (0..64)
        .map(|step| half(top * (0.8 + 0.0125 * step as f32)))
        .filter(|d| *d > 0.0)
        .map(|d| (loss(d), d))
        .collect();
    trials.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    trials.dedup_by(|a, b| a.1 == b.1);
    trials.into_iter().map(|(_, d)| d).collect()
}

/// The best block; the one of its grid where the values lie on one.
pub(super) fn encode(values: &[f32; 256], weights: &[f32; 256], energy: &[&Table; 32]) -> [u8; 66] {
    /// Trial scales that are looked at closely. More gain less than 0.1% of the error.
    const CLOSE_LOOKS: usize = 4;
    if let Some(block) = iq2_exact::exact(values) {
        return block;
    }
    let groups: [Group<'_>; 8] = std::array::from_fn(|g| {
        Group::new(&values[32 * g..][..32], &weights[32 * g..][..32], &energy[4 * g..][..4])
    });
    let close = trial_scales(&groups).into_iter().take(CLOSE_LOOKS);
    let best = close.map(|d| fit(&groups, d)).reduce(|a, b| if b.error < a.error { b } else { a });
    // No scale above zero: all values round to nothing.
    let Some(mut best) = best else { return [0; 66] };
    for _ in 0..3 {
        let pairs = || best.choices.iter().zip(best.codes.map(step));
        let gain: f32 = pairs().map(|(choice, step)| choice.gain * step).sum();
        let energy: f32 = pairs().map(|(choice, step)| choice.energy * step * step).sum();
        let d = half(gain / energy);
        if !(d > 0.0 && d.is_finite()) || d == best.d {
            break;
        }
        let found = fit(&groups, d);
        if found.error >= best.error {
            break;
        }
        best = found;
    }
    pack(&groups, &best)
}

fn pack(groups: &[Group<'_>; 8], fit: &Fit) -> [u8; 66] {
    let mut block = [0; 66];
    block[..2].copy_from_slice(&half_bytes(fit.d));
    for (g, bytes) in block[2..].as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut word = u32::from(fit.codes[g]) << 28;
        for (v, &entry) in fit.choices[g].entries.iter().enumerate() {
            bytes[v] = entry as u8;
            word |= groups[g].vectors[v].sign_index(entry) << (7 * v);
        }
        bytes[4..].copy_from_slice(&word.to_le_bytes());
    }
    block
}
