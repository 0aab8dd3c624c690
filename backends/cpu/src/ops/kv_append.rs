//! `Op::KvAppend`

use ds4_model::buffer::BufferId;
use ds4_model::op::Region;

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, layer: usize, region: Region, x: BufferId) {
    let ratio = f.pool.layout.layers[layer].ratio;
    let ring = f.pool.layout.ring_slots();
    for t in 0..f.rows.len() {
        let row = f.rows[t];
        let run = &f.inputs.runs[row.run];
        let values = f.row(x, t).to_vec();
        match region {
            // Rows that a later one of this run would overwrite are skipped.
            Region::Window if run.end() - row.position <= ring => {
                f.pool.store_raw(layer, run.lane as usize, row.position, &values);
            }
            Region::Compressed | Region::Index if (row.position + 1).is_multiple_of(ratio) => {
                f.pool.store(layer, region, &run.pages, row.position / ratio, &values);
            }
            _ => {}
        }
    }
}
