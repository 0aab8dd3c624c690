//! Models in several files (row F2 of the catalogue).

use ds4_format::gguf::{
    Gguf, GgufError, GgufErrorKind as Kind, GgufSet, GgufWriter, Value, shard_names,
};
use ds4_format::quant::Quant;

/// A part with these keys and tensors of one float each.
fn part(keys: &[(&str, Value)], tensors: &[&str]) -> Gguf {
    let mut writer = GgufWriter::new();
    writer.key("general.architecture", Value::String("deepseek4".to_owned()));
    for (key, value) in keys {
        writer.key(key, value.clone());
    }
    for name in tensors {
        writer.tensor(name, &[1], Quant::F32);
    }
    let directory = writer.finish().unwrap();
    Gguf::parse(&directory.bytes, directory.file_bytes).unwrap()
}

/// Part `number` of `count` as split files write it: u16, u16, i32.
fn numbered(number: u16, count: u16, total: i32, tensors: &[&str]) -> Gguf {
    let keys = [
        ("split.no", Value::U16(number)),
        ("split.count", Value::U16(count)),
        ("split.tensors.count", Value::I32(total)),
    ];
    part(&keys, tensors)
}

fn refuse(parts: Vec<Gguf>, kind: Kind, words: &[&str]) {
    let error = GgufSet::join(parts).unwrap_err();
    assert_eq!(error.kind(), Some(kind), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} does not say {word:?}");
    }
}

#[test]
fn numbered_parts_join_in_order() {
    let parts = vec![numbered(0, 2, 3, &["b", "a"]), numbered(1, 2, 3, &["c"])];
    let set = GgufSet::join(parts).unwrap();
    let order: Vec<_> = set.tensors().map(|(part, tensor)| (part, tensor.name.as_str())).collect();
    assert_eq!(order, [(0, "b"), (0, "a"), (1, "c")]);
    assert_eq!(set.tensor("c").map(|(part, _)| part), Some(1));
    assert_eq!(set.tensor("a").map(|(part, _)| part), Some(0));
    assert!(set.tensor("d").is_none());
    assert_eq!(set.parts().len(), 2);
}

#[test]
fn one_file_is_a_set_of_one() {
    let set = GgufSet::join(vec![part(&[("k", Value::U8(1))], &["a"])]).unwrap();
    assert_eq!(set.metadata().u32("k"), Ok(1));
    assert!(set.tensor("a").is_some());
}

/// As PRO q4 is published: two files that do not number themselves.
#[test]
fn a_list_of_unnumbered_parts_joins() {
    let layers = ("deepseek4.block_count", Value::U32(61));
    let first = part(std::slice::from_ref(&layers), &["blk.0.x"]);
    let second = part(&[layers, ("only.second", Value::U8(7))], &["blk.31.x", "output.weight"]);
    let set = GgufSet::join(vec![first, second]).unwrap();
    assert_eq!(set.metadata().u32("deepseek4.block_count"), Ok(61));
    assert_eq!(set.metadata().u32("only.second"), Ok(7));
    assert_eq!(set.tensors().count(), 3);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let numbers = |list: &[u16], count| {
        let name = |index: usize| format!("t{index}");
        let parts = list.iter().enumerate();
        parts.map(|(i, &no)| numbered(no, count, list.len() as i32, &[&name(i)])).collect()
    };
    refuse(vec![], Kind::Parts, &["no part"]);
    refuse(numbers(&[0, 1], 3), Kind::Parts, &["part 1", "3 parts", "2 are given"]);
    refuse(numbers(&[0, 1, 2], 2), Kind::Parts, &["2 parts", "3 are given"]);
    refuse(numbers(&[0, 0], 2), Kind::Parts, &["GGUF part 2", "part 1 of 2 is given twice"]);
    refuse(numbers(&[1, 0], 2), Kind::Parts, &["GGUF part 1", "part 2 of 2", "order"]);
    refuse(numbers(&[0, 2], 2), Kind::Parts, &["GGUF part 2", "part 3 of 2"]);
    refuse(numbers(&[0, u16::MAX], 2), Kind::Parts, &["part 65536 of 2"]);
    let mixed = vec![numbered(0, 2, 2, &["a"]), part(&[], &["b"])];
    refuse(mixed, Kind::Parts, &["GGUF part 2", "mixed"]);
    let short = vec![numbered(0, 2, 9, &["a"]), numbered(1, 2, 9, &["b"])];
    refuse(short, Kind::Parts, &["9 tensors declared", "2 found"]);
    let shared = vec![numbered(0, 2, 2, &["same"]), numbered(1, 2, 2, &["same"])];
    refuse(shared, Kind::DuplicateTensor, &["tensor \"same\", byte ", "part 1 and in part 2"]);
    let negative = vec![part(&[("split.count", Value::I32(1)), ("split.no", Value::I32(-1))], &[])];
    refuse(negative, Kind::ValueRange, &["split.no", "-1"]);
    let one_layer = |n| ("deepseek4.block_count", Value::U32(n));
    let other = vec![part(&[one_layer(43)], &["a"]), part(&[one_layer(61)], &["b"])];
    refuse(other, Kind::Parts, &["GGUF part 2", "deepseek4.block_count", "differs"]);
}

#[test]
fn names_of_parts_are_made_from_the_first() {
    let names = shard_names("model-q2-00001-of-00003.gguf", 3).unwrap();
    assert_eq!(names[0], "model-q2-00001-of-00003.gguf");
    assert_eq!(names[2], "model-q2-00003-of-00003.gguf");
    assert_eq!(names.len(), 3);
    let refused: [(&str, u32); 9] = [
        ("../m-00001-of-00002.gguf", 2),
        ("/m-00001-of-00002.gguf", 2),
        ("a\\m-00001-of-00002.gguf", 2),
        ("m\0-00001-of-00002.gguf", 2),
        ("m-00002-of-00002.gguf", 2),
        ("m-00001-of-00002.gguf", 3),
        ("-00001-of-00002.gguf", 2),
        ("m-00001-of-00000.gguf", 0),
        ("m-00001-of-01001.gguf", 1_001),
    ];
    for (name, count) in refused {
        let error: GgufError = shard_names(name, count).unwrap_err();
        assert_eq!(error.kind(), Some(Kind::Parts), "{name}: {error}");
    }
}
