use ds4_format::gguf::{Gguf, GgufSet, GgufWriter, Value};
use ds4_format::quant::Quant;

use super::{BindError, BindProblem, Place, bind, bind_set};
use crate::inventory::synthetic::sparse_model;
use crate::inventory::{Binding, Profile, Role, WeightId, inventory};
use crate::shape::Shape;

/// Small, with every kind of layer.
fn shape() -> Shape {
    let shape = Shape {
        layers: 4,
        hidden: 256,
        vocab: 300,
        heads: 4,
        head_dim: 128,
        q_rank: 96,
        o_rank: 32,
        o_groups: 2,
        experts: 5,
        experts_used: 2,
        ffn: 256,
        hash_layers: 1,
        ratios: vec![0, 4, 128, 4],
        index_heads: 2,
        swiglu_clamp: vec![10.0; 4],
        ..Shape::flash()
    };
    assert_eq!(shape.check(), Ok(()));
    shape
}

type Entry = (String, Vec<u64>, Quant);

fn entries(shape: &Shape) -> Vec<Entry> {
    let entry = |spec: &crate::inventory::WeightSpec| {
        (spec.name.clone(), spec.kind.dims(), Profile::Q2.quant(spec))
    };
    inventory(shape).iter().map(entry).collect()
}

fn file(entries: &[Entry], more: &[(&str, Value)]) -> Gguf {
    let mut writer = GgufWriter::new();
    for (key, value) in more {
        writer.key(key, value.clone());
    }
    for (name, dims, quant) in entries {
        writer.tensor(name, dims, *quant);
    }
    let directory = writer.finish().expect("can be written");
    Gguf::parse(&directory.bytes, directory.file_bytes).expect("can be read")
}

fn bound(entries: &[Entry]) -> Result<Binding, BindError> {
    bind(&shape(), &file(entries, &[]))
}

fn problems(entries: &[Entry]) -> Vec<BindProblem> {
    bound(entries).expect_err("something is wrong").problems
}

fn at<'a>(entries: &'a mut [Entry], name: &str) -> &'a mut Entry {
    entries.iter_mut().find(|entry| entry.0 == name).expect(name)
}

#[test]
fn every_tensor_is_found_where_it_is() {
    let entries = entries(&shape());
    let gguf = file(&entries, &[]);
    let binding = bind(&shape(), &gguf).expect("all there");
    assert_eq!(binding.weights().len(), entries.len());
    let down = binding.get(WeightId::of_layer(2, Role::ExpertDown)).expect("bound");
    let info = gguf.tensor("blk.2.ffn_down_exps.weight").expect("in the file");
    assert_eq!((down.offset, down.bytes, down.shard), (info.offset, info.bytes, 0));
    assert_eq!((down.quant, down.kind.dims()), (Quant::Q2_K, vec![256, 256, 5]));
    assert_eq!(binding.stored().len(), entries.len());
}

#[test]
fn bytes_per_token_follow_from_the_directory() {
    let sparse = sparse_model(&Shape::flash(), Profile::Q2).expect("can be written");
    let gguf = Gguf::parse(&sparse.header, sparse.file_bytes).expect("can be read");
    let binding = bind(&Shape::flash(), &gguf).expect("all there");
    // 363,331,584 bytes of indexer queries and weights are read beyond 2,048 tokens only.
    assert_eq!(binding.bytes_per_token(4096), 9_556_356_004);
    assert_eq!(binding.bytes_per_token(2048), 9_556_356_004 - 363_331_584);
    for spec in inventory(&Shape::flash()) {
        let bound = binding.get(spec.id).expect("bound");
        for context in [1, 2051, 2052] {
            let computed = spec.bytes_per_token(bound.quant, context).expect("fits");
            assert_eq!(bound.bytes_per_token(context), computed, "{}", spec.name);
        }
    }
}

#[test]
fn parts_of_a_split_model_are_joined() {
    let entries = entries(&shape());
    let (first, second) = entries.split_at(40);
    let set = GgufSet::join(vec![file(first, &[]), file(second, &[])]).expect("fit together");
    let binding = bind_set(&shape(), &set).expect("all there");
    let last = binding.get(WeightId::of_layer(3, Role::SharedDown)).expect("bound");
    assert_eq!(last.shard, 1);
}

#[test]
fn the_router_bias_is_optional_and_nothing_else() {
    for (index, (name, dims, _)) in entries(&shape()).iter().enumerate() {
        let mut entries = entries(&shape());
        entries.remove(index);
        if name.ends_with("exp_probs_b.bias") {
            assert!(bound(&entries).is_ok(), "without {name}");
        } else {
            let missing = BindProblem::Missing { name: name.clone(), dims: dims.clone() };
            assert_eq!(problems(&entries), [missing]);
        }
    }
}

#[test]
fn dimensions_and_types_are_compared_and_all_problems_told() {
    let mut entries = entries(&shape());
    at(&mut entries, "blk.1.attn_kv.weight").1 = vec![256, 96];
    at(&mut entries, "blk.1.ffn_gate_inp.weight").2 = Quant::Q8_0;
    at(&mut entries, "blk.2.attn_norm.weight").2 = Quant::F16;
    at(&mut entries, "blk.3.ffn_up_exps.weight").2 = Quant::Q4_K;
    at(&mut entries, "output.weight").0 = "outptu.weight".to_owned();
    let found = problems(&entries);
    let kinds: Vec<String> = found.iter().map(BindProblem::to_string).collect();
    let expected = [
        "tensor output.weight [256, 300] is missing",
        "has dimensions [256, 96]; the hyper-parameters ask for [256, 128]",
        "has type Q8_0; accepted here: F16, F32, BF16",
        "has type F16; accepted here: F32",
        "layer 3: gate experts are IQ2_XXS and up experts",
        "tensor \"outptu.weight\" [256, 300] at byte",
    ];
    assert_eq!(kinds.len(), expected.len(), "{kinds:#?}");
    for (kind, expected) in kinds.iter().zip(expected) {
        assert!(kind.contains(expected), "{kind}\n{expected}");
    }
    let text = bound(&entries).expect_err("six problems").to_string();
    assert_eq!(text.lines().count(), 1 + expected.len());
}

#[test]
fn types_that_published_files_use_are_accepted() {
    for (name, quant) in [
        ("blk.1.indexer.attn_q_b.weight", Quant::Q8_0),
        ("blk.1.ffn_gate_shexp.weight", Quant::Q4_K),
        ("blk.1.attn_q_a.weight", Quant::Q4_K),
        ("blk.1.attn_q_a.weight", Quant::Q4_0),
        ("blk.2.ffn_down_exps.weight", Quant::Q8_0),
        ("blk.2.ffn_down_exps.weight", Quant::MXFP4),
        ("blk.2.attn_compressor_ape.weight", Quant::F32),
        ("output.weight", Quant::BF16),
    ] {
        let mut entries = entries(&shape());
        at(&mut entries, name).2 = quant;
        assert!(bound(&entries).is_ok(), "{name} in {quant}");
    }
}

#[test]
fn drafts_are_passed_over_and_strangers_are_not() {
    let mut entries = entries(&shape());
    let mut add = |name: &str| entries.push((name.to_owned(), vec![8], Quant::F32));
    add("rope_freqs.weight");
    add("mtp.0.enorm.weight");
    add("blk.4.attn_norm.weight");
    let drafts = [("deepseek4.nextn_predict_layers", Value::U32(1))];
    let binding = bind(&shape(), &file(&entries, &drafts)).expect("drafts are known");
    assert_eq!(binding.ignored().len(), 3);
    // Without the key a fifth block means that the layer count is wrong.
    match problems(&entries).as_slice() {
        [BindProblem::Unexpected { name, place: Place { shard: 0, .. }, .. }] => {
            assert_eq!(name, "blk.4.attn_norm.weight");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn long_lists_are_cut_in_print_only() {
    let error = bind(&Shape::flash(), &file(&entries(&shape()), &[])).expect_err("a small file");
    assert!(error.problems.len() > 1000);
    assert!(error.to_string().lines().count() < 50);
    assert!(error.to_string().contains("more (`ds4 inspect` lists all)"));
}
