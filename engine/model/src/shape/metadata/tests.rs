use ds4_format::gguf::{Array, Metadata, Value};

use crate::shape::{Shape, ShapeError};

type Entries = Vec<(String, Value)>;

fn read(entries: Entries) -> Result<Shape, ShapeError> {
    Shape::from_metadata(&Metadata::new(entries).expect("no key twice"))
}

/// Flash with one key changed, or dropped.
fn flash_with(key: &str, value: Option<Value>) -> Entries {
    let mut entries = Shape::flash().to_metadata();
    let key = format!("deepseek4.{key}");
    entries.retain(|(name, _)| *name != key);
    entries.extend(value.map(|value| (key, value)));
    entries
}

fn rules(result: Result<Shape, ShapeError>) -> Vec<&'static str> {
    result.err().map_or_else(Vec::new, |e| e.problems.iter().map(|p| p.rule).collect())
}

#[test]
fn what_is_written_is_read_back() {
    let odd = Shape {
        swiglu_clamp: vec![f32::INFINITY; 43],
        hyper_epsilon: 2e-6,
        norm_epsilon: 1e-5,
        yarn_factor: 4.0,
        yarn_beta_slow: 2.0,
        index_dim: 96,
        ..Shape::flash()
    };
    for shape in [Shape::flash(), Shape::pro(), odd] {
        assert_eq!(read(shape.to_metadata()), Ok(shape));
    }
}

#[test]
fn yarn_keys_may_be_missing_and_others_not() {
    for (key, _) in Shape::flash().to_metadata() {
        let Some(key) = key.strip_prefix("deepseek4.") else { continue };
        let result = read(flash_with(key, None));
        if key.starts_with("rope.scaling.") {
            assert_eq!(result, Ok(Shape::flash()), "without {key}");
        } else {
            let error = result.expect_err(key);
            assert_eq!(error.problems[0].rule, "missing");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

#[test]
fn arrays_may_be_longer_than_the_trunk_and_not_shorter() {
    let key = "attention.compress_ratios";
    let ratios = |count| {
        let all = Shape::flash().ratios.into_iter().map(|ratio| ratio as u32).chain([0, 7]);
        flash_with(key, Some(Value::Array(Array::U32(all.take(count).collect()))))
    };
    assert_eq!(read(ratios(45)), Ok(Shape::flash()), "the draft layers' entries are not looked at");
    assert_eq!(rules(read(ratios(42))), ["ratio-per-layer"]);
    let clamps = Value::Array(Array::F64(vec![10.0; 44]));
    assert_eq!(read(flash_with("swiglu_clamp_exp", Some(clamps))), Ok(Shape::flash()));
    let text = Value::String("0, 4, 128".to_owned());
    assert_eq!(rules(read(flash_with(key, Some(text)))), ["type"]);
}

#[test]
fn numbers_of_any_width_are_read_and_bad_ones_named() {
    let context = |value| read(flash_with("context_length", Some(value)));
    assert_eq!(context(Value::U64(1 << 20)), Ok(Shape::flash()));
    assert_eq!(rules(context(Value::U64(u64::MAX))), ["range", "window-in-context"][..1]);
    assert_eq!(rules(context(Value::I32(-1))), ["type"]);
    assert_eq!(rules(context(Value::F32(1e6))), ["type"]);
    let epsilon = |value| rules(read(flash_with("hyper_connection.epsilon", Some(value))));
    assert_eq!(epsilon(Value::F64(1e-6)), [""; 0]);
    assert_eq!(epsilon(Value::F32(f32::NAN)), ["range"]);
    assert_eq!(epsilon(Value::F32(0.0)), ["range"]);
}

#[test]
fn what_is_the_same_in_all_models_may_not_differ() {
    for (key, value) in [
        ("attention.head_count_kv", Value::U32(2)),
        ("expert_shared_count", Value::U32(0)),
        ("expert_group_count", Value::U32(8)),
        ("expert_group_used_count", Value::U32(4)),
        ("attention.value_length", Value::U32(513)),
        ("expert_weights_norm", Value::Bool(false)),
        ("rope.scaling.type", Value::String("linear".to_owned())),
    ] {
        assert_eq!(rules(read(flash_with(key, Some(value)))), ["fixed"], "{key}");
    }
    let zero = Value::U32(0);
    assert_eq!(read(flash_with("expert_group_count", Some(zero))), Ok(Shape::flash()));
}

#[test]
fn all_problems_come_at_once() {
    let mut entries = flash_with("attention.head_count", Some(Value::U32(63)));
    entries.retain(|(key, _)| key != "deepseek4.expert_count");
    for (key, value) in &mut entries {
        match key.as_str() {
            "deepseek4.rope.dimension_count" => *value = Value::U32(63),
            "deepseek4.attention.sliding_window" => *value = Value::String("all".to_owned()),
            _ => {}
        }
    }
    let found = rules(read(entries));
    assert_eq!(found, ["missing", "type", "heads-in-groups", "rope-even"]);
}

#[test]
fn other_architectures_and_draft_models_are_told_apart() {
    let with = |name: &str| {
        let mut entries = Shape::flash().to_metadata();
        entries[0].1 = Value::String(name.to_owned());
        read(entries).expect_err(name).to_string()
    };
    assert!(with("llama").contains("DeepSeek V4 family only"));
    assert!(with("deepseek4-dspark").contains("draft model"));
    let none = Metadata::new([]).expect("empty");
    assert!(Shape::from_metadata(&none).expect_err("empty").to_string().contains("missing"));
}
