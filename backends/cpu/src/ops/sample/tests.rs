//! Draws against the definition.

use super::*;
use ds4_model::step::Adjust;

const LOGITS: [f32; 6] = [0.5, 2.0, -1.0, 2.0, 0.0, f32::NAN];

fn counts(sampling: &Sampling, draws: u64) -> [u64; 6] {
    let mut counts = [0; 6];
    for position in 0..draws {
        counts[sample(&LOGITS, sampling, position).token.token as usize] += 1;
    }
    counts
}

#[test]
fn greedy_takes_the_lowest_id_of_the_largest() {
    let sampled = sample(&LOGITS, &Sampling { candidates: 3, ..Sampling::greedy() }, 1);
    assert_eq!(sampled.token.token, 1);
    let ids: Vec<u32> = sampled.candidates.iter().map(|candidate| candidate.token).collect();
    assert_eq!(ids, [1, 3, 0]);
}

#[test]
fn filters_keep_what_they_say() {
    let hot = Sampling { temperature: 1.0, ..Sampling::greedy() };
    let allowed = |sampling: &Sampling| counts(sampling, 3000).map(|count| count > 0);
    let top_k = Sampling { top_k: 1, ..hot.clone() };
    assert_eq!(allowed(&top_k), [false, true, false, false, false, false]);
    let top_p = Sampling { top_p: 0.7, ..hot.clone() };
    assert_eq!(allowed(&top_p), [false, true, false, true, false, false]);
    let min_p = Sampling { min_p: 0.2, ..hot.clone() };
    assert_eq!(allowed(&min_p), [true, true, false, true, false, false]);
    let mask = Sampling { mask: Some([0b10100].into()), ..hot.clone() };
    assert_eq!(allowed(&mask), [false, false, true, false, true, false]);
    let ban = Adjust { token: 1, repetition: 1.0, add: f32::NEG_INFINITY };
    let banned = Sampling { adjust: vec![ban], ..hot };
    assert!(!allowed(&banned)[1]);
}

#[test]
fn penalties_push_towards_zero_and_below() {
    let penalty = |token| Adjust { token, repetition: 2.0, add: -0.5 };
    let sampling = Sampling { adjust: vec![penalty(1), penalty(2)], ..Sampling::greedy() };
    let adjusted = adjust(&LOGITS, &sampling);
    assert_eq!(adjusted[..4], [0.5, 0.5, -2.5, 2.0]);
    assert_eq!(sample(&LOGITS, &sampling, 0).token.token, 3);
}

#[test]
fn an_empty_mask_still_gives_a_token() {
    let sampling = Sampling { mask: Some([0].into()), temperature: 1.0, ..Sampling::greedy() };
    assert_eq!(sample(&LOGITS, &sampling, 0).token.token, 1);
}

/// Draws of each distribution test.
const DRAWS: u64 = 1_000_000;

/// 48 logits of many sizes, some equal, some that no number is.
fn many_logits() -> Vec<f32> {
    let mut logits: Vec<f32> = (0..48).map(|i| 6.0 * random::uniform(99, i) - 3.0).collect();
    (logits[7], logits[21], logits[40]) = (logits[3], logits[3], logits[12]);
    (logits[11], logits[30]) = (f32::NAN, f32::NEG_INFINITY);
    logits
}

/// The distribution by its definition (`step::Sampling`), in f64 and without a thought for speed.
fn closed_form(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
    let mut values: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    for adjust in &sampling.adjust {
        let value = &mut values[adjust.token as usize];
        let penalty = f64::from(adjust.repetition);
        *value = if *value > 0.0 { *value / penalty } else { *value * penalty };
        *value += f64::from(adjust.add);
    }
    if let Some(mask) = &sampling.mask {
        for (id, value) in values.iter_mut().enumerate() {
            if mask[id / 32] >> (id % 32) & 1 == 0 {
                *value = f64::NAN;
            }
        }
    }
    // Falling, ties by id.
    let mut ids: Vec<usize> = (0..values.len()).filter(|&id| values[id].is_finite()).collect();
    ids.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    if sampling.top_k > 0 {
        ids.truncate(sampling.top_k);
    }
    let temperature = f64::from(sampling.temperature);
    let weight = |id: usize| ((values[id] - values[ids[0]]) / temperature).exp();
    let total: f64 = ids.iter().map(|&id| weight(id)).sum();
    let mut kept = Vec::new();
    let mut sum = 0.0;
    for &id in &ids {
        if sum < f64::from(sampling.top_p) * total && weight(id) >= f64::from(sampling.min_p) {
            kept.push(id);
        }
        sum += weight(id);
    }
    let total: f64 = kept.iter().map(|&id| weight(id)).sum();
    let mut probabilities = vec![0.0; logits.len()];
    kept.into_iter().for_each(|id| probabilities[id] = weight(id) / total);
    probabilities
}

/// Value of chi-square that is exceeded once in a thousand times (Wilson and Hilferty 1931).
fn chi_square_bound(degrees: usize) -> f64 {
    let n = degrees as f64;
    let z = 3.0902;
    n * (1.0 - 2.0 / (9.0 * n) + z * (2.0 / (9.0 * n)).sqrt()).powi(3)
}

/// Chi-square of a million draws against the closed form, and its degrees of freedom.
fn chi_square(sampling: &Sampling) -> (f64, usize) {
    let logits = many_logits();
    let expected = closed_form(&logits, sampling);
    let mut counts = vec![0_u64; logits.len()];
    for position in 0..DRAWS {
        counts[sample(&logits, sampling, position).token.token as usize] += 1;
    }
    let (mut chi, mut cells) = (0.0, 0);
    for (id, (&count, probability)) in counts.iter().zip(expected).enumerate() {
        if probability == 0.0 {
            assert_eq!(count, 0, "token {id} must never be drawn");
            continue;
        }
        let wanted = probability * DRAWS as f64;
        assert!(wanted > 5.0, "token {id} is too rare for the test");
        chi += (count as f64 - wanted).powi(2) / wanted;
        cells += 1;
    }
    (chi, cells - 1)
}

#[test]
fn a_million_draws_match_the_closed_form() {
    let plain = Sampling { temperature: 1.0, seed: 17, ..Sampling::greedy() };
    let penalty = |token, repetition, add| Adjust { token, repetition, add };
    let adjust = vec![penalty(3, 1.5, -0.5), penalty(12, 1.0, 1.0), penalty(20, 2.0, 0.0)];
    let mask = Some([0xFFFF_0FFF, 0x0000_F0FF].into());
    for (name, sampling, least) in [
        ("temperature 1", plain.clone(), 45),
        ("temperature 0.6", Sampling { temperature: 0.6, ..plain.clone() }, 45),
        ("temperature 3", Sampling { temperature: 3.0, seed: u64::MAX, ..plain.clone() }, 45),
        ("top-k 10", Sampling { top_k: 10, ..plain.clone() }, 9),
        ("top-p 0.8", Sampling { top_p: 0.8, ..plain.clone() }, 8),
        ("min-p 0.05", Sampling { min_p: 0.05, ..plain.clone() }, 8),
        ("penalties", Sampling { adjust: adjust.clone(), ..plain.clone() }, 45),
        ("mask", Sampling { mask: mask.clone(), ..plain.clone() }, 30),
        (
            "all of them",
            Sampling {
                top_k: 30,
                top_p: 0.9,
                min_p: 0.02,
                temperature: 1.3,
                adjust,
                mask,
                ..plain.clone()
            },
            8,
        ),
    ] {
        let (chi, degrees) = chi_square(&sampling);
        let bound = chi_square_bound(degrees);
        println!("{name}: chi-square {chi:.1}, {degrees} degrees of freedom, bound {bound:.1}");
        assert!(degrees >= least, "{name}: only {degrees} degrees of freedom");
        assert!(chi < bound, "{name}: chi-square {chi}, {degrees} degrees of freedom");
    }
}

/// The test above sees a distribution that is wrong by little.
#[test]
fn a_million_draws_tell_temperatures_apart() {
    let right = Sampling { temperature: 1.0, seed: 17, ..Sampling::greedy() };
    let logits = many_logits();
    let expected = closed_form(&logits, &Sampling { temperature: 1.02, ..right.clone() });
    let mut counts = vec![0_u64; logits.len()];
    for position in 0..DRAWS {
        counts[sample(&logits, &right, position).token.token as usize] += 1;
    }
    let chi: f64 = counts
        .iter()
        .zip(expected)
        .filter(|(_, probability)| *probability > 0.0)
        .map(|(&count, probability)| {
            let wanted = probability * DRAWS as f64;
            (count as f64 - wanted).powi(2) / wanted
        })
        .sum();
    assert!(chi > chi_square_bound(45), "2% of temperature go unnoticed: {chi}");
}
