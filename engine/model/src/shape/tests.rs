//! Every field and every rule, broken one at a time.

use super::fields::{FIELDS, Kind};
use super::rules::RULES;
use super::{Family, Shape};

fn broken_rules(shape: &Shape) -> Vec<&'static str> {
    match shape.check() {
        Ok(()) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.rule).collect(),
    }
}

/// A shape that breaks the rule, and if possible nothing else.
fn breaker(rule: &str) -> Shape {
    let mut s = Shape::flash();
    match rule {
        "heads-in-groups" => s.heads += 1,
        "rope-even" => s.rope_dim -= 1,
        "rope-in-head" => (s.head_dim, s.rope_dim, s.index_dim) = (64, 66, 128),
        "rope-in-index-head" => s.index_dim = 62,
        "experts-used" => s.experts_used = s.experts + 1,
        "hash-layers" => s.hash_layers = s.layers + 1,
        "ratio-per-layer" => s.ratios.push(0),
        "ratio-known" => s.ratios[20] = 5,
        "clamp-per-layer" => s.swiglu_clamp.clear(),
        "clamp-positive" => s.swiglu_clamp[42] = f32::NAN,
        "window-in-context" => s.context = s.window - 1,
        "yarn-betas" => s.yarn_beta_slow = s.yarn_beta_fast,
        "matrix-elements" => (s.vocab, s.hidden) = (1 << 20, 1 << 15),
        "parameters" => (s.experts, s.hidden, s.ffn) = (4096, 1 << 14, 1 << 13),
        other => panic!("no test breaks the rule {other}"),
    }
    s
}

#[test]
fn real_models_pass_and_are_recognised() {
    for (shape, family) in [(Shape::flash(), Family::Flash), (Shape::pro(), Family::Pro)] {
        assert_eq!(shape.check(), Ok(()));
        assert_eq!(shape.family(), family);
        assert!(shape.packed_rows_supported());
    }
    let mut shape = Shape::flash();
    shape.hyper_epsilon = 1.000_000_5e-6;
    assert_eq!(shape.family(), Family::Flash, "differences in the last bit are the same model");
    shape.hyper_epsilon = 2e-6;
    assert_eq!(shape.family(), Family::Other);
    let mut shape = Shape::flash();
    shape.ratios.swap(2, 3);
    assert_eq!(shape.family(), Family::Other);
}

#[test]
fn ratios_are_those_of_the_specification() {
    let count = |shape: &Shape, ratio| shape.ratios.iter().filter(|&&r| r == ratio).count();
    let (flash, pro) = (Shape::flash(), Shape::pro());
    assert_eq!([count(&flash, 0), count(&flash, 4), count(&flash, 128)], [2, 21, 20]);
    assert_eq!([count(&pro, 0), count(&pro, 4), count(&pro, 128)], [0, 30, 31]);
    assert_eq!(flash.ratios[..4], [0, 0, 4, 128]);
    assert_eq!(pro.ratios[..4], [128, 128, 4, 128]);
}

#[test]
fn every_rule_has_a_shape_that_breaks_it_and_only_it() {
    for rule in RULES {
        assert_eq!(broken_rules(&breaker(rule.name)), [rule.name]);
    }
}

#[test]
fn every_field_has_a_range_and_is_named_when_it_leaves_it() {
    for field in FIELDS {
        let mut outside: Vec<Shape> = Vec::new();
        let mut broken = |write: &dyn Fn(&mut Shape)| {
            let mut shape = Shape::flash();
            write(&mut shape);
            outside.push(shape);
        };
        match field.kind {
            Kind::Count { set, min, max, .. } => {
                broken(&|s| set(s, max + 1));
                broken(&|s| set(s, usize::MAX));
                if min > 0 {
                    broken(&|s| set(s, min - 1));
                    broken(&|s| set(s, 0));
                }
            }
            Kind::Real { set, min, max, .. } => {
                for value in [min * 0.99, max * 1.01, 0.0, -1.0, f32::NAN, f32::INFINITY] {
                    broken(&move |s| set(s, value));
                }
            }
        }
        for shape in outside {
            let problems = shape.check().expect_err("out of range");
            let text = shape.value_text(field);
            let wanted = format!("deepseek4.{} = {text}", field.key);
            let named = problems.iter().any(|p| p.rule == "range" && p.found == wanted);
            assert!(named, "{wanted} is not among {problems:?}");
        }
    }
}

#[test]
fn neighbours_of_a_valid_shape_never_panic() {
    for base in [Shape::flash(), Shape::pro()] {
        for field in FIELDS {
            let Kind::Count { get, set, max, .. } = field.kind else { continue };
            let here = get(&base);
            for value in [here.saturating_sub(1), here + 1, 0, 1, max, usize::MAX] {
                let mut shape = base.clone();
                set(&mut shape, value);
                let _ = (shape.check(), shape.packed_rows_supported(), shape.family());
            }
        }
    }
    let mut shape = Shape::flash();
    for field in FIELDS {
        match field.kind {
            Kind::Count { set, .. } => set(&mut shape, usize::MAX),
            Kind::Real { set, .. } => set(&mut shape, f32::NAN),
        }
    }
    let problems = shape.check().expect_err("everything is wrong");
    assert!(problems.len() >= FIELDS.len(), "all problems at once: {problems:?}");
}

#[test]
fn packed_rows_need_whole_blocks() {
    let with = |head_dim, rope_dim, index_dim| {
        Shape { head_dim, rope_dim, index_dim, ..Shape::flash() }.packed_rows_supported()
    };
    assert!(with(512, 64, 128));
    assert!(with(192, 64, 64));
    assert!(with(80, 16, 32));
    assert!(!with(96, 64, 128), "half a block");
    assert!(!with(512, 64, 96), "not a power of two");
    assert!(!with(512, 16, 16), "half an FP4 block");
}
