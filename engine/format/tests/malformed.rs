//! Malformed files by the rows of the catalogue: each must be refused with the right kind, the name
//! of the entry, and the byte where it stands.

mod support;

use ds4_format::gguf::{Gguf, GgufErrorKind as Kind};
use ds4_format::limits;
use support::malformed::all_cases;
use support::{Raw, STRING, U8, U32, U64};

#[test]
fn every_case_is_refused_for_its_reason() {
    let cases = all_cases();
    assert!(cases.len() >= 64, "{} cases", cases.len());
    for case in cases {
        let name = case.name;
        let bytes = &case.file.bytes;
        let error = Gguf::parse(bytes, case.file_bytes.unwrap_or(bytes.len() as u64));
        let error = error.expect_err(name);
        let fault = error.fault().unwrap_or_else(|| panic!("{name}: {error}"));
        assert_eq!((fault.kind, &fault.subject), (case.kind, &case.subject), "{name}: {error}");
        assert_eq!(fault.offset, case.file.marked, "{name}: {error}");
        let message = error.to_string();
        let place = format!("{}, byte {}: ", fault.subject, case.file.marked.unwrap());
        assert!(message.contains(&place), "{name}: {message}");
        assert!(message.contains("; "), "{name}: {message} does not say what to do");
        assert!(message.chars().all(|c| !c.is_control()), "{name}: {message:?}");
    }
}

#[test]
fn names_of_cases_are_unique() {
    let mut names: Vec<&str> = all_cases().iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
}

/// The limits themselves are allowed.
#[test]
fn values_at_the_limits_are_read() {
    let name = "k".repeat(limits::KEY_BYTES_MAX as usize);
    let text = vec![b'x'; limits::STRING_BYTES_MAX as usize];
    let long_name = "t".repeat(limits::TENSOR_NAME_BYTES_MAX as usize);
    let file = Raw::header(1, 2)
        .key(&name, STRING)
        .string(&text)
        .key("general.alignment", U32)
        .u32(limits::ALIGNMENT_MAX)
        .tensor(&long_name, &[1, 1, 1, 1], 0, 0)
        .data(4_096, 4);
    let gguf = Gguf::parse(&file.bytes, file.len()).unwrap();
    assert_eq!(gguf.metadata.str(&name).unwrap().len(), text.len());
    assert!(gguf.tensor(&long_name).is_some());

    let keys = (0..limits::KEYS_MAX)
        .fold(Raw::header(0, limits::KEYS_MAX), |file, n| file.key(&format!("k{n}"), U8).raw(&[0]));
    assert_eq!(
        Gguf::parse(&keys.bytes, keys.len()).unwrap().metadata.len() as u64,
        limits::KEYS_MAX
    );
}

#[test]
fn a_directory_beyond_the_limit_is_refused_before_it_is_read() {
    let strings = limits::DIRECTORY_BYTES_MAX / 8 + 1;
    let file = Raw::header(0, 1).array("k", STRING, strings);
    let error = Gguf::parse(&file.bytes, 1 << 40).unwrap_err();
    // 8 bytes are in memory too few for the first string: that is all the parser asks for.
    assert_eq!(
        error.to_string(),
        ds4_format::gguf::GgufError::NeedMore { at_least: file.len() + 8 }.to_string()
    );
    let numbers = Raw::header(0, 1).array("k", U64, strings);
    let error = Gguf::parse(&numbers.bytes, 1 << 40).unwrap_err();
    assert_eq!(error.kind(), Some(Kind::DirectorySize), "{error}");
}
