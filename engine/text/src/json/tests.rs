//! Expected texts are what Python 3.11 prints for `json.dumps(json.loads(x), ensure_ascii=False)`.

use super::{Value, dumps, float_text, parse};
use crate::limits::JSON_DEPTH_MAX;

fn check(text: &str, expected: &str) {
    let value = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(dumps(&value), expected, "of {text}");
}

#[test]
fn numbers_print_as_python_prints_them() {
    for (text, expected) in [
        ("1e5", "100000.0"),
        ("2.50", "2.5"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1.5e300", "1.5e+300"),
        ("5e-324", "5e-324"),
        ("1e400", "Infinity"),
        ("-1e400", "-Infinity"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9007199254740993.0", "9007199254740992.0"),
        ("[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"),
        ("1E+2", "100.0"),
        ("123456.789e3", "123456789.0"),
    ] {
        check(text, expected);
    }
    assert_eq!(float_text(1.0 / 3.0), "0.3333333333333333");
}

#[test]
fn strings_escape_the_least() {
    check(r#""\u00e9\/\u2028\u007f\ud83d\ude00""#, "\"é/\u{2028}\u{7f}😀\"");
    check(r#""\b\t\n\f\r\u001f\u0000\"\\""#, r#""\b\t\n\f\r\u001f\u0000\"\\""#);
}

#[test]
fn a_repeated_key_keeps_its_first_place_and_last_value() {
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#);
    let members: Vec<String> = (0..100).map(|i| format!("\"k{}\":{i}", i % 40)).collect();
    let value = parse(&format!("{{{}}}", members.join(","))).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 40);
    for (place, (key, value)) in object.iter().enumerate() {
        assert_eq!(key, format!("k{place}"));
        let last = if place < 20 { place + 80 } else { place + 40 };
        assert_eq!(value, &Value::Int(last.to_string().into()));
    }
}

#[test]
fn errors_say_where() {
    for (text, offset) in [
        ("", 0),
        ("{\"a\" 1}", 5),
        ("[1 2]", 3),
        ("01", 1),
        ("1.", 1),
        ("1e", 1),
        ("\"a", 2),
        ("\"\n\"", 1),
        ("{a:1}", 1),
        ("[1,]", 3),
        ("nul", 0),
        ("-", 1),
        ("1 x", 2),
        ("\"\\x\"", 3),
    ] {
        assert_eq!(parse(text).expect_err(text).offset, offset, "of {text:?}");
    }
    for lone in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800\u0041""#, r#""\u12""#, r#""\u+123""#] {
        assert!(parse(lone).is_err(), "{lone}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(JSON_DEPTH_MAX)).is_ok());
    assert!(parse(&nested(1_000_000)).is_err());
}

#[test]
fn meaning_ignores_key_order_and_number_spelling() {
    let same = |a: &str, b: &str| parse(a).unwrap().same_meaning(&parse(b).unwrap());
    assert!(same(r#"{"a": 1, "b": [2.0]}"#, r#"{"b":[2],"a":1.0}"#));
    assert!(!same(r#"{"a": 1}"#, r#"{"a": 2}"#));
    assert!(!same(r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#));
    assert!(!same("[1, 2]", "[2, 1]"));
}
