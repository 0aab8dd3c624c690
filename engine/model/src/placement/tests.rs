//! Properties of placements: complete, disjoint, within limits, repeatable, and no larger than they
//! should be.

use std::collections::BTreeMap;

use ds4_format::quant::Quant;

use super::{EXPERT_ALIGN, PIECE_ALIGN, Piece, Placement, PlacementError, StoredWeight, place};
use crate::inventory::{Profile, Role, WeightId, WeightKind, inventory};
use crate::shape::Shape;

fn stored(shape: &Shape, profile: Profile) -> Vec<StoredWeight> {
    inventory(shape)
        .iter()
        .map(|spec| StoredWeight { id: spec.id, quant: profile.quant(spec), kind: spec.kind })
        .collect()
}

/// Small, with every kind of layer, in the published formats.
fn toy() -> Vec<StoredWeight> {
    let shape = Shape {
        layers: 4,
        hidden: 256,
        vocab: 515,
        heads: 6,
        head_dim: 128,
        q_rank: 96,
        o_rank: 32,
        o_groups: 3,
        experts: 7,
        experts_used: 3,
        ffn: 256,
        hash_layers: 1,
        ratios: vec![0, 4, 128, 4],
        index_heads: 3,
        swiglu_clamp: vec![10.0; 4],
        ..Shape::flash()
    };
    assert_eq!(shape.check(), Ok(()));
    stored(&shape, Profile::Q2)
}

fn rows_and_width(weight: &StoredWeight) -> (usize, usize, usize) {
    match weight.kind {
        WeightKind::Vector { len } => (1, len, 1),
        kind => kind.sizes(),
    }
}

/// Every row of every expert of every weight, exactly once.
fn assert_complete(weights: &[StoredWeight], placement: &Placement) {
    let mut pieces_seen = 0;
    for weight in weights {
        let (experts, rows, width) = rows_and_width(weight);
        let pieces = placement.pieces(weight.id);
        let mut next = (0, 0);
        for piece in pieces {
            assert_eq!((piece.expert, piece.rows.start), next, "{}", weight.id);
            assert!(!piece.rows.is_empty());
            assert_eq!(piece.layout.quant(), weight.quant);
            let laid_out = piece.layout.rows() * piece.layout.width();
            assert_eq!(laid_out, piece.rows.len() * width, "{}", weight.id);
            next = match piece.rows.end == rows {
                true => (piece.expert + 1, 0),
                false => (piece.expert, piece.rows.end),
            };
        }
        assert_eq!(next, (experts, 0), "{} ends early", weight.id);
        pieces_seen += pieces.len();
    }
    assert_eq!(pieces_seen, placement.all_pieces().len(), "pieces of unknown weights");
}

/// Pieces lie inside their chunks, aligned, and do not overlap; chunks respect the limit.
fn assert_disjoint(placement: &Placement, max_binding: u64) {
    let mut of_chunk: BTreeMap<_, Vec<&Piece>> = BTreeMap::new();
    for piece in placement.all_pieces() {
        assert!(piece.offset.is_multiple_of(PIECE_ALIGN));
        of_chunk.entry(piece.chunk).or_default().push(piece);
    }
    assert_eq!(of_chunk.len(), placement.chunks().len(), "a chunk without pieces");
    for (id, mut pieces) in of_chunk {
        let chunk = placement.chunks()[id.index()];
        assert!(chunk.bytes <= max_binding, "{} > {max_binding}", chunk.bytes);
        pieces.sort_by_key(|piece| piece.offset);
        let mut end = 0;
        for piece in pieces {
            assert!(piece.span().start >= end, "{} overlaps", piece.weight);
            end = piece.span().end;
        }
        assert!(end <= chunk.bytes);
    }
}

#[test]
fn published_models_take_no_more_than_a_thousandth_above_their_files() {
    const TWO_GIB: u64 = (2 << 30) - 4096;
    const LAVAPIPE: u64 = 128 << 20;
    for (shape, profile) in [
        (Shape::flash(), Profile::Q2),
        (Shape::flash(), Profile::Q4),
        (Shape::flash(), Profile::Mxfp4),
        (Shape::pro(), Profile::Q2),
        (Shape::pro(), Profile::Q4),
    ] {
        let weights = stored(&shape, profile);
        let file: u64 = inventory(&shape)
            .iter()
            .map(|spec| spec.bytes(profile.quant(spec)).expect("fits"))
            .sum();
        for (limit, expert_major) in [(TWO_GIB, true), (TWO_GIB, false), (LAVAPIPE, true)] {
            let placement = place(&weights, limit, expert_major).expect("fits");
            assert_complete(&weights, &placement);
            assert_disjoint(&placement, limit);
            let bytes = placement.bytes();
            assert!(bytes <= file + file / 1000, "{profile:?}: {bytes} for {file}");
        }
    }
}

#[test]
fn an_expert_is_one_aligned_run_of_gate_up_and_down() {
    let weights = stored(&Shape::flash(), Profile::Q2);
    let placement = place(&weights, (2 << 30) - 4096, true).expect("fits");
    let of = |role| placement.pieces(WeightId::of_layer(5, role));
    let (gate, up, down) = (of(Role::ExpertGate), of(Role::ExpertUp), of(Role::ExpertDown));
    assert_eq!([gate.len(), up.len(), down.len()], [256; 3]);
    for ((gate, up), down) in gate.iter().zip(up).zip(down) {
        assert!(gate.offset.is_multiple_of(EXPERT_ALIGN));
        assert_eq!((gate.chunk, up.chunk), (up.chunk, down.chunk));
        assert_eq!((gate.span().end, up.span().end), (up.offset, down.offset));
        assert_eq!(down.span().end - gate.offset, 7_077_888);
    }
    // 1.8 GB of experts: one chunk for the layer.
    assert_eq!(gate[0].chunk, gate[255].chunk);
    assert_eq!(placement.chunks()[gate[0].chunk.index()].bytes, 256 * 7_077_888);
}

#[test]
fn dense_tensors_are_one_piece_where_they_fit_and_few_where_not() {
    let weights = stored(&Shape::flash(), Profile::Q2);
    let pieces = |limit| {
        let placement = place(&weights, limit, true).expect("fits");
        placement.pieces(WeightId::global(Role::Output)).to_vec()
    };
    assert_eq!(pieces(1 << 30).len(), 1);
    // 562,626,560 bytes in at most 128 MiB each.
    let split = pieces(128 << 20);
    assert_eq!(split.len(), 5);
    assert!(split.iter().all(|piece| piece.offset == 0));
    assert!(split[..4].iter().all(|piece| piece.rows.len().is_multiple_of(super::ROW_TILE)));
}

#[test]
fn with_a_tiny_limit_every_tensor_is_split() {
    let weights = toy();
    // The widest row, 1,024 elements in F16 of a hyper-connection, takes 2,048 bytes.
    let limit = 2080;
    let placement = place(&weights, limit, true).expect("one row fits");
    assert_complete(&weights, &placement);
    assert_disjoint(&placement, limit);
    for weight in &weights {
        let bytes = weight.quant.row_bytes(weight.kind.sizes().2).expect("whole blocks")
            * weight.kind.matrix_elements()
            / weight.kind.sizes().2 as u64;
        let (experts, ..) = weight.kind.sizes();
        let pieces = placement.pieces(weight.id).len();
        assert!(bytes <= limit || pieces > experts, "{} is whole", weight.id);
    }
}

#[test]
fn vectors_split_by_elements() {
    let id = WeightId::global(Role::OutputNorm);
    let kind = WeightKind::Vector { len: 100 };
    let weights = [StoredWeight { id, quant: Quant::F32, kind }];
    let placement = place(&weights, 128, true).expect("fits");
    let rows: Vec<_> = placement.pieces(id).iter().map(|piece| piece.rows.clone()).collect();
    assert_eq!(rows, [0..32, 32..64, 64..96, 96..100]);
    assert_complete(&weights, &placement);
}

#[test]
fn a_row_beyond_the_limit_is_named() {
    match place(&toy(), 2047, true) {
        Err(PlacementError::RowTooLarge { weight, row_bytes, max_binding }) => {
            assert_eq!(weight, WeightId::global(Role::OutputHyperFn));
            assert_eq!((row_bytes, max_binding), (2048, 2047));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_weight_twice_is_refused() {
    for at in [0, 40] {
        let mut weights = toy();
        weights.push(weights[at]);
        let error = place(&weights, 1 << 20, true).expect_err("twice");
        assert!(matches!(error, PlacementError::Duplicate { weight } if weight == weights[at].id));
    }
}

#[test]
fn any_limit_gives_a_sound_placement() {
    let weights = toy();
    let mut limit = 2048;
    while limit < 4_000_000 {
        for expert_major in [true, false] {
            let placement = place(&weights, limit, expert_major).expect("one row fits");
            assert_complete(&weights, &placement);
            assert_disjoint(&placement, limit);
            assert_eq!(placement, place(&weights, limit, expert_major).expect("again"));
        }
        limit += limit / 7 + 1;
    }
}
