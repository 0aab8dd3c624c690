//! The same bits whatever the chunks, the lanes, the threads and the pieces of the weights.

use ds4_cpu::CpuOptions;
use ds4_model::inventory::inventory;
use ds4_model::kv::RowFormat;
use ds4_runtime::diagnose::{TeacherOptions, Tensor, teacher_forced};

use crate::support::case::{Case, Setup, cases};

fn logits(case: &Case, tokens: &[u32], setup: &Setup, chunk: usize) -> Vec<u32> {
    let options = TeacherOptions { chunk, lanes: setup.lanes, trace: false };
    let mut engine = case.engine(setup);
    let mut found = teacher_forced(&mut engine, tokens, &options).expect("a run");
    match found.remove("logits") {
        Some(Tensor::F32 { data, .. }) => data.into_iter().map(f32::to_bits).collect(),
        _ => panic!("no logits"),
    }
}

fn same_bits(format: RowFormat) {
    for case in cases() {
        let Some(expected) = case.expected(format) else { continue };
        let tokens = expected.tokens();
        let setup = Setup::new(format, tokens.len());
        let whole = logits(&case, &tokens, &setup, tokens.len());
        for chunk in [1, 7, 31, 128] {
            let same = logits(&case, &tokens, &setup, chunk) == whole;
            assert!(same, "{} {format:?}: chunks of {chunk} give other bits", case.name);
        }
        let lanes = Setup { lanes: 3, ..setup.clone() };
        for chunk in [1, 31, tokens.len()] {
            let same = logits(&case, &tokens, &lanes, chunk) == whole;
            assert!(same, "{} {format:?}: 3 lanes, chunks of {chunk}: other bits", case.name);
        }
        let threads = CpuOptions { threads: 1, ..CpuOptions::default() };
        let one = Setup { cpu: threads, ..setup.clone() };
        assert!(logits(&case, &tokens, &one, 64) == whole, "{}: one thread", case.name);

        let split = Setup { cpu: split(&case), lanes: 3, ..setup };
        let same = logits(&case, &tokens, &split, 31) == whole;
        assert!(same, "{} {format:?}: split weights give other bits", case.name);
    }
}

#[test]
fn oracle_same_bits_exact_rows() {
    same_bits(RowFormat::Exact);
}

#[test]
fn oracle_same_bits_packed_rows() {
    same_bits(RowFormat::Packed);
}

/// The smallest binding in which every row of the case still fits.
fn split(case: &Case) -> CpuOptions {
    let engine = case.engine(&Setup::new(RowFormat::Exact, 512));
    let row = |piece: &ds4_model::placement::Piece| match piece.layout.rows() {
        1 => 16,
        rows => ds4_format::quant::MatrixLayout::new(
            piece.layout.quant(),
            1,
            piece.layout.width() * rows.min(1),
        )
        .expect("one row")
        .bytes(),
    };
    let max_binding = engine.placement.all_pieces().iter().map(row).max().expect("weights");
    CpuOptions { max_binding, ..CpuOptions::default() }
}

/// The limit of the test above really splits: all tensors but vectors and matrices no larger than
/// the widest row.
#[test]
fn oracle_split_weights_are_split() {
    for case in cases() {
        let cpu = split(&case);
        let engine = case.engine(&Setup { cpu: cpu.clone(), ..Setup::new(RowFormat::Exact, 512) });
        let specs = inventory(&engine.model.shape);
        let mut whole = 0;
        for spec in &specs {
            let pieces = engine.placement.pieces(spec.id);
            let bytes: u64 = pieces.iter().map(|piece| piece.layout.bytes()).sum();
            assert!(pieces.iter().all(|piece| piece.layout.bytes() <= cpu.max_binding));
            if pieces.len() == 1 {
                assert!(bytes <= cpu.max_binding, "{} is whole: {bytes} bytes", spec.name);
                whole += 1;
            }
        }
        println!(
            "{}: binding of {} bytes, {} of {} tensors split, {} pieces",
            case.name,
            cpu.max_binding,
            specs.len() - whole,
            specs.len(),
            engine.placement.all_pieces().len()
        );
        assert!(whole * 2 < specs.len(), "{}: most tensors are whole", case.name);
    }
}
