//! The oracle's verdict on logits: the profiles of `check_case.py`.

/// Largest allowed quantiles (over positions) of the logit error, in units of the standard
/// deviation of all logits, and the agreement of the largest logit where its lead is clear.
pub struct Profile {
    pub name: &'static str,
    pub quantiles: &'static [(f64, f64)],
    pub agreement: f64,
}

pub const F32: Profile =
    Profile { name: "f32", quantiles: &[(0.5, 3e-5), (0.99, 1e-4), (1.0, 1e-3)], agreement: 1.0 };

pub const DS4KV: Profile = Profile {
    name: "ds4kv",
    quantiles: &[(0.5, 2.5e-2), (0.9, 8e-2), (0.99, 4e-1)],
    agreement: 0.99,
};

/// A lead in standard deviations that no rounding explains away.
const CLEAR_LEAD: f64 = 0.05;

/// Errors of a run.
pub struct Verdict {
    errors: Vec<f64>,
    pub agreement: f64,
}

impl Verdict {
    /// Compares logits \[positions, vocab\].
    pub fn new(found: &[f32], expected: &[f32], vocab: usize) -> Self {
        assert_eq!(found.len(), expected.len(), "logits of another shape");
        let deviation = standard_deviation(expected);
        let rows = || found.chunks_exact(vocab).zip(expected.chunks_exact(vocab));
        let error = |(found, expected): (&[f32], &[f32])| {
            let differences = found.iter().zip(expected);
            let largest = differences
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
                .fold(0.0, |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) });
            largest / deviation
        };
        let mut errors: Vec<f64> = rows().map(error).collect();
        errors.sort_by(f64::total_cmp);
        let clear: Vec<bool> = rows()
            .filter(|(_, expected)| lead(expected) > CLEAR_LEAD * deviation)
            .map(|(found, expected)| argmax(found) == argmax(expected))
            .collect();
        let agreed = clear.iter().filter(|&&same| same).count();
        Self { errors, agreement: agreed as f64 / clear.len().max(1) as f64 }
    }

    /// Linear interpolation between the sorted errors, as NumPy does it.
    pub fn quantile(&self, q: f64) -> f64 {
        let at = q * (self.errors.len() - 1) as f64;
        let (low, high) = (self.errors[at.floor() as usize], self.errors[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }

    pub fn within(&self, profile: &Profile) -> bool {
        let below = |&(q, limit): &(f64, f64)| self.quantile(q) <= limit;
        profile.quantiles.iter().all(below) && self.agreement >= profile.agreement
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, p99, max] = [0.5, 0.99, 1.0].map(|q| self.quantile(q));
        let agreement = self.agreement;
        write!(f, "median {median:.2e} p99 {p99:.2e} max {max:.2e} agreement {agreement:.4}")
    }
}

fn standard_deviation(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

fn lead(row: &[f32]) -> f64 {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    f64::from(sorted[0]) - f64::from(sorted[1])
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a row")
}
