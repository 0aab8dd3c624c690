//! The plan as text: what is recorded for each kind of layer, and how it changes with the class.

use std::sync::Arc;

use ds4_model::forward::record;
use ds4_model::kv::RowFormat;
use ds4_model::plan::{LogitRows, Phase, Plan, PlanClass};
use ds4_model::shape::Shape;

fn plan(shape: Shape, change: impl FnOnce(&mut PlanClass)) -> Plan {
    let mut class = PlanClass {
        phase: Phase::Decode,
        rows: 1,
        lanes: 1,
        context: 4096,
        format: RowFormat::Packed,
        logits: LogitRows::Last,
        sample: true,
    };
    change(&mut class);
    record(&Arc::new(shape), class).expect("the plan of a checked shape")
}

/// The whole decode plan of a small model against the text in tests/data. After a change that is
/// meant, run the test with `UPDATE_EXPECT=1` and read the difference.
#[test]
fn plan_of_nano_is_as_written() {
    let shape = Shape { layers: 4, ratios: vec![0, 4, 128, 4], hash_layers: 1, ..Shape::nano() };
    let shape = Shape { swiglu_clamp: vec![10.0; 4], ..shape };
    let found = plan(shape, |_| {}).to_string();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/plan_nano.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &found).expect("a writable file");
    }
    let expected = std::fs::read_to_string(path).expect("tests/data/plan_nano.txt");
    for (i, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", i + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn plan_classes_differ_where_they_should() {
    let flash = |change: fn(&mut PlanClass)| plan(Shape::flash(), change);
    let count = |plan: &Plan, name: &str| plan.steps.iter().filter(|s| s.op.name() == name).count();
    let packed = flash(|_| {});
    assert_eq!(count(&packed, "index_scores"), 21);
    assert_eq!(count(&packed, "kv_round"), 43);
    assert_eq!(count(&packed, "index_round"), 2 * 21);
    // 21 layers with two compressors, 20 with one.
    assert_eq!(count(&packed, "compress"), 62);
    assert_eq!(packed.segments.len(), 45, "embedding, layers, head");

    // Up to 2,048 tokens a Flash lane has no more rows than the indexer keeps.
    assert_eq!(count(&flash(|class| class.context = 2048), "index_scores"), 0);
    let exact = flash(|class| class.format = RowFormat::Exact);
    assert_eq!(count(&exact, "kv_round") + count(&exact, "index_round"), 0);
    let chunk = flash(|class| {
        class.logits = LogitRows::None;
        class.sample = false;
    });
    assert!(chunk.find("logits").is_none() && chunk.segments.len() == 44);
}

/// Every buffer is written once, before it is read, and under its own name.
#[test]
fn plan_buffers_are_written_once() {
    for shape in [Shape::flash(), Shape::pro(), Shape::nano()] {
        let plan = plan(shape, |_| {});
        let mut written = vec![false; plan.buffers.len()];
        for step in &plan.steps {
            let operands = step.op.operands();
            for id in &operands.reads {
                assert!(written[id.0 as usize], "{} reads before it is written", step.name);
            }
            for id in &operands.writes {
                assert!(!written[id.0 as usize], "{} writes again", step.name);
                written[id.0 as usize] = true;
            }
        }
        assert!(written.iter().all(|&written| written));
        let names: std::collections::HashSet<&str> =
            plan.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names.len(), plan.steps.len(), "step names are unique");
    }
}
