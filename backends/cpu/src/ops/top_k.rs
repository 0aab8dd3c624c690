//! `Op::TopK`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;

/// Fills the places of rows that do not exist.
pub const PADDING: u32 = u32::MAX;

pub fn run(f: &mut Frame<'_>, scores: BufferId, layer: usize, k: usize, ids: BufferId) {
    f.fill(ids, |f, t, out| {
        let visible = f.pool.layout.layers[layer].visible(f.rows[t].position);
        let out: &mut [u32] = bytemuck::cast_slice_mut(out);
        let picked = largest(&f.row(scores, t)[..visible], k);
        out.fill(PADDING);
        out[..picked.len()].copy_from_slice(&picked);
    });
}

/// Indices of the `k` largest entries, the lower index on ties; ascending.
pub fn largest(scores: &[f32], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    if k < order.len() {
        let descending =
            |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
        order.select_nth_unstable_by(k, descending);
        order.truncate(k);
        order.sort_unstable();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn ties_go_to_the_lower_row() {
        assert_eq!(largest(&[1.0, 3.0, 3.0, 3.0, 2.0], 2), [1, 2]);
        assert_eq!(largest(&[0.0; 5], 3), [0, 1, 2]);
        assert_eq!(largest(&[5.0, 4.0], 3), [0, 1]);
        assert!(largest(&[], 3).is_empty());
    }
}
