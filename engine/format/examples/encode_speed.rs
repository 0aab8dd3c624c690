//! Speed of the encoders on one core:
//!
//! ```text
//! cargo run --release -p ds4-format --example encode_speed
//! ```

use std::time::Instant;

use ds4_format::quant::Quant;
use ds4_format::quant::encode::Encoder;

const ROWS: usize = 16;
const WIDTH: usize = 4_096;

/// Sums of four uniform numbers: close enough to a bell curve for timing.
fn values() -> Vec<f32> {
    let mut state = 1_u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..ROWS * WIDTH).map(|_| uniform() + uniform() + uniform() + uniform()).collect()
}

fn main() {
    let values = values();
    println!("{:8} {:>12}", "format", "M values/s");
    for quant in Quant::ALL.into_iter().filter(|&quant| quant != Quant::I32) {
        let encoder = Encoder::new(quant, WIDTH).expect("whole blocks");
        let once = |_| {
            let (start, mut out) = (Instant::now(), Vec::new());
            encoder.encode(&values, &mut out).expect("finite values");
            start.elapsed().as_secs_f64()
        };
        let seconds = (0..5).map(once).fold(f64::INFINITY, f64::min);
        println!("{quant:8} {:12.2}", values.len() as f64 / seconds / 1e6);
    }
}
