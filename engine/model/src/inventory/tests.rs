//! The inventory against the published figures of spec/model.md 2.2 and 9.1.

use std::collections::{BTreeMap, BTreeSet};

use ds4_format::quant::Quant;

use super::{Profile, Role, Touched, WeightId, WeightKind, inventory};
use crate::shape::Shape;

fn total_bytes(shape: &Shape, profile: Profile) -> u64 {
    inventory(shape).iter().map(|spec| spec.bytes(profile.quant(spec)).expect("fits")).sum()
}

fn bytes_per_token(shape: &Shape, profile: Profile, context: usize) -> u64 {
    let read = |spec: &super::WeightSpec| spec.bytes_per_token(profile.quant(spec), context);
    inventory(shape).iter().map(|spec| read(spec).expect("fits")).sum()
}

#[test]
fn tensor_bytes_of_every_published_profile() {
    let (flash, pro) = (Shape::flash(), Shape::pro());
    for (shape, profile, tensors, bytes) in [
        (&flash, Profile::Q2, 1328, 86_714_775_900),
        (&flash, Profile::Q4, 1328, 164_628_167_004),
        (&flash, Profile::Q2Q4, 1328, 97_586_411_868),
        (&flash, Profile::Mxfp4, 1328, 155_971_123_548),
        (&flash, Profile::Q2AttentionQ4, 1328, 84_415_248_732),
        (&flash, Profile::Q4AttentionQ4, 1328, 162_328_639_836),
        (&pro, Profile::Q2, 1894, 464_621_966_732),
        (&pro, Profile::Q4, 1894, 899_827_144_076),
    ] {
        assert_eq!(inventory(shape).len(), tensors);
        assert_eq!(total_bytes(shape, profile), bytes, "{profile:?} with {} layers", shape.layers);
    }
}

#[test]
fn counts_and_bytes_of_every_type() {
    let by_type = |shape: &Shape, profile: Profile| {
        let mut sums: BTreeMap<Quant, (usize, u64)> = BTreeMap::new();
        for spec in inventory(shape) {
            let quant = profile.quant(&spec);
            let sum = sums.entry(quant).or_default();
            *sum = (sum.0 + 1, sum.1 + spec.bytes(quant).expect("fits"));
        }
        sums
    };
    let flash = by_type(&Shape::flash(), Profile::Q2);
    assert_eq!(flash[&Quant::F16], (359, 2_191_345_664));
    assert_eq!(flash[&Quant::F32], (492, 1_845_596));
    assert_eq!(flash[&Quant::Q8_0], (345, 6_598_885_376));
    assert_eq!(flash[&Quant::I32], (3, 9_308_160));
    assert_eq!(flash[&Quant::IQ2_XXS], (86, 47_613_739_008));
    assert_eq!(flash[&Quant::Q2_K], (43, 30_299_652_096));
    assert_eq!(by_type(&Shape::flash(), Profile::Q4)[&Quant::Q4_K], (129, 155_826_782_208));
    let mixed = by_type(&Shape::flash(), Profile::Q2AttentionQ4);
    assert_eq!(mixed[&Quant::Q8_0], (130, 1_712_390_144));
    assert_eq!(mixed[&Quant::Q4_K], (215, 2_586_968_064));
    let pro = by_type(&Shape::pro(), Profile::Q2);
    assert_eq!(pro[&Quant::F16], (518, 4_700_254_208));
    assert_eq!(pro[&Quant::F32], (701, 4_300_172));
    assert_eq!(pro[&Quant::Q8_0], (489, 24_702_926_848));
    assert_eq!(pro[&Quant::IQ2_XXS], (122, 265_958_719_488));
    assert_eq!(pro[&Quant::Q2_K], (61, 169_246_457_856));
}

#[test]
fn bytes_read_to_decode_a_token() {
    let (flash, pro) = (Shape::flash(), Shape::pro());
    // Spec 9.1, in GB with as many digits as it gives. Its q4 total of 11.383 is 0.55 MB above the
    // sum of its own parts (q2 plus 1.826 GB of experts), hence the wider bound there.
    for (shape, profile, gigabytes, within) in [
        (&flash, Profile::Q2, 9.556, 0.0005),
        (&flash, Profile::Q4, 11.383, 0.0006),
        (&flash, Profile::Mxfp4, 11.180, 0.0005),
        (&flash, Profile::Q2AttentionQ4, 7.26, 0.005),
        (&pro, Profile::Q2, 34.35, 0.005),
        (&pro, Profile::Q4, 41.15, 0.005),
    ] {
        let read = bytes_per_token(shape, profile, 1 << 20);
        assert!((read as f64 / 1e9 - gigabytes).abs() <= within, "{profile:?}: {read}");
    }
    // The parts of the table, Flash q2: projections with their norms, experts, shared expert, head,
    // router, hyper-connections.
    let part = |roles: &[Role]| -> f64 {
        let of_part = |spec: &&super::WeightSpec| roles.contains(&spec.id.role);
        let read = |spec: &super::WeightSpec| {
            spec.bytes_per_token(Profile::Q2.quant(spec), 1 << 20).expect("fits")
        };
        inventory(&flash).iter().filter(of_part).map(read).sum::<u64>() as f64 / 1e6
    };
    use Role::*;
    for (roles, megabytes) in [
        (
            &[QueryA, QueryANorm, QueryB, KeyValue, KeyValueNorm, Sinks, OutputA, OutputB][..],
            4886.8,
        ),
        (&[ExpertGate, ExpertUp, ExpertDown][..], 1826.1),
        (&[SharedGate, SharedUp, SharedDown][..], 1149.8),
        (&[Output][..], 562.6),
        (&[IndexQuery, IndexWeights][..], 363.3),
        (&[Router][..], 90.2),
        (&[AttentionHyperFn, FfnHyperFn, OutputHyperFn][..], 67.8),
    ] {
        assert!((part(roles) - megabytes).abs() < 0.06, "{roles:?}: {}", part(roles));
    }
}

#[test]
fn the_indexer_is_read_when_rows_outnumber_its_choice() {
    for (shape, tokens, bytes) in
        [(Shape::flash(), 2048, 363_331_584), (Shape::pro(), 4096, 782_499_840)]
    {
        let at = |context| bytes_per_token(&shape, Profile::Q2, context);
        // The row of positions 4c to 4c + 3 exists once all four of them do.
        assert_eq!(at(tokens + 3), at(1));
        assert_eq!(at(tokens + 4), at(1) + bytes);
        assert_eq!(at(1 << 20), at(tokens + 4));
    }
}

#[test]
fn names_and_ids_are_unique_and_layers_have_what_their_ratio_asks_for() {
    let shape = Shape::flash();
    let specs = inventory(&shape);
    assert_eq!(specs.iter().map(|spec| spec.id).collect::<BTreeSet<_>>().len(), specs.len());
    assert_eq!(specs.iter().map(|spec| &spec.name).collect::<BTreeSet<_>>().len(), specs.len());
    let has = |layer, role| specs.iter().any(|spec| spec.id == WeightId::of_layer(layer, role));
    for (layer, &ratio) in shape.ratios.iter().enumerate() {
        assert_eq!(has(layer, Role::CompressorKv), ratio != 0);
        assert_eq!(has(layer, Role::IndexQuery), ratio == 4);
        assert_eq!(has(layer, Role::HashExperts), layer < 3);
        assert_eq!(has(layer, Role::RouterBias), layer >= 3);
    }
    let ape = specs.iter().find(|spec| spec.name == "blk.3.attn_compressor_ape.weight");
    let ape = ape.expect("layer 3 has ratio 128");
    assert_eq!(ape.kind, WeightKind::Matrix { rows: 128, width: 512 });
    assert_eq!((ape.kind.dims(), ape.touched), (vec![512, 128], Touched::Rows(1)));
}

#[test]
fn sizes_that_overflow_saturate() {
    let huge = Shape { heads: usize::MAX, head_dim: usize::MAX, ..Shape::flash() };
    let specs = inventory(&huge);
    let queries = specs.iter().find(|spec| spec.id.role == Role::QueryB).expect("is there");
    assert_eq!(queries.kind.elements(), u64::MAX);
    assert_eq!(queries.bytes(Quant::F16), None);
}
