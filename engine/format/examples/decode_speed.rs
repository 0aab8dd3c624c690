//! Speed of the decoders and of the repacker on one core. The CPU back end inlines the decoders
//! into functions compiled for AVX2; here the whole program is:
//!
//! ```text
//! RUSTFLAGS="-C target-feature=+avx2,+f16c" cargo run --release -p ds4-format \
//!     --example decode_speed
//! ```

use std::hint::black_box;
use std::time::Instant;

use ds4_format::quant::{MatrixLayout, MatrixView, Quant, repack};

/// One matrix of an expert of Flash: 4.7 to 9 MB of codes, more than the second-level cache.
const ROWS: usize = 2_048;
const WIDTH: usize = 4_096;

/// Best of some runs, in seconds.
fn seconds(mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..15).map(once).fold(f64::INFINITY, f64::min)
}

fn main() {
    println!("{:8} {:>16} {:>13} {:>14}", "format", "decode Gelem/s", "decode GB/s", "repack GB/s");
    for quant in Quant::ALL {
        let layout = MatrixLayout::new(quant, ROWS, WIDTH).expect("whole blocks");
        let bytes = layout.file_bytes() as usize;
        let file: Vec<u8> = (0..bytes).map(|i| ((i * 2_654_435_761) >> 24) as u8 & 0xbf).collect();
        let mut device = vec![0; layout.bytes() as usize];
        let repacking =
            seconds(|| repack(&layout, 0, black_box(&file), &mut device).expect("sizes"));
        let view = MatrixView::new(&layout, &device).expect("sizes");
        let mut row = vec![0.0; WIDTH];
        let decoding = seconds(|| {
            for index in 0..ROWS {
                view.decode_row(index, &mut row);
                black_box(&mut row);
            }
        });
        let elements = (ROWS * WIDTH) as f64;
        println!(
            "{quant:8} {:16.2} {:13.2} {:14.2}",
            elements / decoding / 1e9,
            bytes as f64 / decoding / 1e9,
            bytes as f64 / repacking / 1e9,
        );
    }
}
