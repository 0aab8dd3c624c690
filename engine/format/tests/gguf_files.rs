//! Good files: what is read, written again, cut short, or changed by one bit.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ds4_format::gguf::{Array, Gguf, GgufError, GgufWriter, Value};
use ds4_format::quant::{Quant, decode_file_rows};
use support::good;

/// Directories of the oracle's models, and the sizes of the files they were cut from.
const DIRECTORIES: [(&str, u64); 4] = [
    ("f16_long", 5_354_816),
    ("odd_sizes", 2_967_040),
    ("pro_like", 5_650_752),
    ("quant_q4", 4_325_568),
];

fn directory(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.directory"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The oracle's whole models, where the machine has them.
fn oracle_models() -> Vec<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle/cases");
    let cases = std::env::var_os("DS4_ORACLE").map_or(default, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&cases) else { return Vec::new() };
    let models = entries.map(|entry| entry.unwrap().path().join("model.gguf"));
    models.filter(|path| path.exists()).collect()
}

/// Writes what was read; the directory must come out byte for byte.
fn check_round_trip(what: &str, file: &[u8], file_bytes: u64) {
    let gguf = Gguf::parse(file, file_bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut writer = GgufWriter::new();
    for (key, value) in gguf.metadata.iter() {
        writer.key(key, value.clone());
    }
    for tensor in gguf.tensors() {
        writer.tensor(&tensor.name, &tensor.dims, tensor.quant);
    }
    let written = writer.finish().unwrap();
    assert!(written.bytes == file[..gguf.data_start() as usize], "{what}: other bytes written");
    assert_eq!(written.bytes.len() as u64, gguf.data_start(), "{what}");
    for ((tensor, offset), bytes) in
        gguf.tensors().iter().zip(&written.offsets).zip(&written.tensor_bytes)
    {
        assert_eq!((tensor.offset, tensor.bytes), (*offset, *bytes), "{what}: {}", tensor.name);
    }
    // Files may or may not pad the last tensor.
    let padding = written.file_bytes - file_bytes;
    assert!(padding < u64::from(gguf.alignment()), "{what}: {padding} bytes longer");
}

#[test]
fn directories_round_trip_byte_for_byte() {
    for (name, file_bytes) in DIRECTORIES {
        check_round_trip(name, &directory(name), file_bytes);
    }
    for path in oracle_models() {
        let file = std::fs::read(&path).unwrap();
        check_round_trip(&path.display().to_string(), &file, file.len() as u64);
    }
}

#[test]
fn version_2_reads_like_version_3() {
    let (mut file, _) = good();
    let expected = Gguf::parse(&file, file.len() as u64).unwrap();
    file[4] = 2;
    let gguf = Gguf::parse(&file, file.len() as u64).unwrap();
    assert_eq!((gguf.version(), expected.version()), (2, 3));
    assert_eq!(gguf.metadata, expected.metadata);
    assert_eq!(gguf.tensors(), expected.tensors());
}

#[test]
fn a_small_file_reads_as_it_was_written() {
    let (file, directory) = good();
    let gguf = Gguf::parse(&file, file.len() as u64).unwrap();
    let metadata = &gguf.metadata;
    assert_eq!(metadata.str("general.architecture"), Ok("deepseek4"));
    assert_eq!(metadata.get("a.i8"), Some(&Value::I8(-128)));
    assert_eq!((metadata.u32("a.u8"), metadata.u64("a.u16")), (Ok(200), Ok(513)));
    assert_eq!((metadata.u32("a.i32"), metadata.u64("a.u64")), (Ok(7), Ok(1 << 40)));
    assert_eq!((metadata.f32("a.f32"), metadata.f32("a.f64")), (Ok(1.5), Ok(0.25)));
    assert_eq!(metadata.bool("a.bool"), Ok(true));
    assert_eq!(metadata.array_u32("a.ratios"), Ok(vec![0, 4, 128]));
    assert_eq!(metadata.get("a.bools"), Some(&Value::Array(Array::Bool(vec![false, true]))));
    let strings = metadata.array_str("a.strings").unwrap();
    assert_eq!(strings.iter().collect::<Vec<_>>(), ["é", "", "abc"]);
    assert_eq!((strings.get(0), strings.get(2), strings.get(3)), (Some("é"), Some("abc"), None));
    let data_start = directory.next_multiple_of(64) as u64;
    assert_eq!((gguf.alignment(), gguf.data_start()), (64, data_start));
    let names: Vec<&str> = gguf.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    let first = gguf.tensor("first").unwrap();
    assert_eq!((first.quant, first.width(), first.rows(), first.bytes), (Quant::Q8_0, 32, 2, 68));
    assert_eq!(gguf.tensor("third").unwrap().offset, data_start + 192);
    assert!(gguf.tensor("fourth").is_none());
}

#[test]
fn getters_name_the_key_and_both_types() {
    let (file, _) = good();
    let metadata = Gguf::parse(&file, file.len() as u64).unwrap().metadata;
    let messages = [
        (metadata.u32("a.f32").unwrap_err(), "key \"a.f32\"", "type f32; u32 is needed"),
        (metadata.f32("a.u8").unwrap_err(), "key \"a.u8\"", "type u8; f32 is needed"),
        (metadata.u32("a.u64").unwrap_err(), "key \"a.u64\"", "1099511627776 (stored as u64)"),
        (metadata.u64("a.i8").unwrap_err(), "key \"a.i8\"", "-128 (stored as i8) does not fit u64"),
        (
            metadata.u32("a.i16").unwrap_err(),
            "key \"a.i16\"",
            "-1 (stored as i16) does not fit u32",
        ),
        (metadata.bool("a.u8").unwrap_err(), "key \"a.u8\"", "type u8; bool is needed"),
        (metadata.str("a.ratios").unwrap_err(), "key \"a.ratios\"", "array of i32; string is"),
        (metadata.array_f32("a.ratios").unwrap_err(), "key \"a.ratios\"", "array of f32 is needed"),
        (metadata.array_u32("a.strings").unwrap_err(), "key \"a.strings\"", "array of string;"),
        (metadata.array_str("a.bools").unwrap_err(), "key \"a.bools\"", "array of bool;"),
        (metadata.array_i32("a.u8").unwrap_err(), "key \"a.u8\"", "type u8; array of i32"),
        (metadata.u32("b").unwrap_err(), "key \"b\"", "missing; a value of type u32 is needed"),
    ];
    for (error, key, detail) in messages {
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(detail), "{message}");
        let located = message.contains(", byte ") || message.contains("missing");
        assert!(located, "{message}");
    }
}

/// A loader that reads as much as it is told to ends with the whole directory and no more.
#[test]
fn a_growing_prefix_converges() {
    let (small, small_directory) = good();
    let mut files = vec![(small.clone(), small.len() as u64, small_directory)];
    let (name, file_bytes) = DIRECTORIES[2];
    files.push((directory(name), file_bytes, 27_002));
    for (file, file_bytes, directory) in files {
        let (mut length, mut rounds) = (0, 0);
        let gguf = loop {
            match Gguf::parse(&file[..length], file_bytes) {
                Ok(gguf) => break gguf,
                Err(GgufError::NeedMore { at_least }) => {
                    assert!(at_least as usize > length, "no progress at {length}");
                    length = at_least as usize;
                }
                Err(error) => panic!("{error}"),
            }
            rounds += 1;
        };
        assert_eq!(length, directory, "after {rounds} rounds");
        assert_eq!(gguf, Gguf::parse(&file, file_bytes).unwrap());
    }
}

/// Parses and, if that succeeds, decodes every tensor; fails if it takes long.
fn exercise(file: &[u8], file_bytes: u64, what: impl Fn() -> String) -> Result<(), GgufError> {
    let start = Instant::now();
    let outcome = Gguf::parse(file, file_bytes).map(|gguf| {
        for tensor in gguf.tensors() {
            let range = tensor.offset as usize..(tensor.offset + tensor.bytes) as usize;
            let Some(data) = file.get(range) else { continue };
            let width = tensor.width() as usize;
            let mut out = vec![0.0; width * tensor.rows() as usize];
            decode_file_rows(tensor.quant, width, data, &mut out).unwrap();
        }
    });
    // 10 ms is the promise; tests share their machine with others.
    assert!(start.elapsed() < Duration::from_secs(1), "{}: {:?}", what(), start.elapsed());
    outcome
}

#[test]
fn every_truncation_is_an_error() {
    let (file, directory) = good();
    for length in 0..file.len() {
        let outcome = exercise(&file[..length], length as u64, || format!("cut to {length}"));
        let error = outcome.expect_err("a file cut short");
        assert!(error.fault().is_some(), "cut to {length}: {error}");
        // The same bytes of a file that goes on are only too few.
        let outcome =
            exercise(&file[..length], file.len() as u64, || format!("prefix of {length}"));
        assert_eq!(outcome.is_ok(), length >= directory, "prefix of {length}");
        assert!(matches!(outcome, Ok(()) | Err(GgufError::NeedMore { .. })), "prefix of {length}");
    }
    let (name, file_bytes) = DIRECTORIES[3];
    let file = self::directory(name);
    for length in (0..file.len()).step_by(7) {
        exercise(&file[..length], length as u64, || format!("{name} cut to {length}")).unwrap_err();
    }
    exercise(&file, file_bytes - 1, || name.to_owned()).unwrap_err();
}

#[test]
fn every_single_bit_flip_is_survived() {
    let (file, directory) = good();
    let (mut accepted, mut refused) = (0, 0);
    for bit in 0..directory * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match exercise(&flipped, file.len() as u64, || format!("bit {bit}")) {
            Ok(()) => accepted += 1,
            Err(error) => {
                refused += 1;
                assert!(error.fault().is_some(), "bit {bit}: the whole file is there: {error}");
            }
        }
    }
    // A flipped letter or number may still be a good file; a flipped length cannot.
    assert!(refused > accepted / 4, "{refused} refused, {accepted} accepted");
    let (name, file_bytes) = DIRECTORIES[3];
    let file = self::directory(name);
    for bit in (0..file.len() * 8).step_by(41) {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = exercise(&flipped, file_bytes, || format!("{name} bit {bit}"));
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let write = |change: &dyn Fn(&mut GgufWriter)| {
        let mut writer = GgufWriter::new();
        change(&mut writer);
        writer.finish().map(|written| written.file_bytes)
    };
    assert_eq!(write(&|_| ()), Ok(32));
    let key = |key: &'static str, value: Value| {
        move |writer: &mut GgufWriter| {
            writer.key(key, value.clone());
        }
    };
    let tensor = |dims: &'static [u64], quant: Quant| {
        move |writer: &mut GgufWriter| {
            writer.tensor("t", dims, quant);
        }
    };
    let twice = |change: &dyn Fn(&mut GgufWriter)| {
        write(&|writer| {
            change(writer);
            change(writer);
        })
    };
    let refused = [
        ("DuplicateKey", twice(&key("k", Value::U8(1)))),
        ("DuplicateTensor", twice(&tensor(&[1], Quant::F32))),
        ("KeyName", write(&key("", Value::U8(1)))),
        ("Alignment", write(&key("general.alignment", Value::U32(0)))),
        ("WrongType", write(&key("general.alignment", Value::U64(32)))),
        ("Dimensions", write(&tensor(&[1, 0], Quant::F32))),
        ("TensorSize", write(&tensor(&[33], Quant::Q8_0))),
        ("TensorSize", write(&tensor(&[1 << 40, 1 << 40], Quant::F32))),
    ];
    for (kind, outcome) in refused {
        let error = outcome.unwrap_err();
        assert_eq!(format!("{:?}", error.kind().unwrap()), kind, "{error}");
    }
}
