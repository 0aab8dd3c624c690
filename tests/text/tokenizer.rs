//! The tokenizer against the official one, and its cost.

use std::path::PathBuf;
use std::time::Duration;

use ds4_format::gguf::Gguf;
use ds4_text::json::{self, Value};
use ds4_text::{Piece, Special, Tokenizer, VocabularyMetadata};

use super::{Random, Stopwatch, TOKENIZER, cached, full, ids, lines, root};

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    tokenizer.encode_text(text, &mut out);
    out
}

fn encode_raw(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    tokenizer.encode_raw(text, &mut out);
    out
}

#[test]
fn agrees_with_the_official_tokenizer() {
    let strings = String::from_utf8(cached("strings.jsonl")).unwrap();
    let mut count = 0;
    for line in lines(&strings) {
        let [kind, text, plain, raw] = line.as_array().unwrap() else { panic!("bad line") };
        let (kind, text) = (kind.as_str().unwrap(), text.as_str().unwrap());
        let plain = ids(plain);
        assert_eq!(encode(&TOKENIZER, text), plain, "{kind}: {text:?}");
        let raw = if raw.as_array().is_some() { ids(raw) } else { plain };
        assert_eq!(encode_raw(&TOKENIZER, text), raw, "{kind}, markers on: {text:?}");
        assert_eq!(TOKENIZER.decode(&raw), text, "{kind}: decoded");
        let mut decoder = TOKENIZER.decoder();
        let streamed: String = raw.iter().map(|id| decoder.push(*id)).collect();
        assert_eq!(streamed + decoder.finish(), text, "{kind}: decoded as a stream");
        count += 1;
    }
    assert!(count >= 20_000, "only {count} strings");
}

/// spec/chat.md 1.3.
#[test]
fn vectors_of_the_specification() {
    let system = "<｜begin▁of▁sentence｜>You are a helpful assistant.<｜User｜>What is 2+2?\
        <｜Assistant｜></think>4<｜end▁of▁sentence｜><｜User｜>And 3+3?<｜Assistant｜><think>";
    let calls = "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n\
        <｜DSML｜parameter name=\"city\" string=\"true\">Rome</｜DSML｜parameter>\n\
        <｜DSML｜parameter name=\"days\" string=\"false\">3</｜DSML｜parameter>\n\
        </｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜>";
    let cases: [(&str, &[u32]); 11] = [
        ("Hello, world!", &[19923, 14, 2058, 3]),
        ("1234567890 12 345", &[6895, 18009, 25744, 18, 223, 736, 223, 18014]),
        ("  lead", &[223, 2070]),
        ("\n\n\n", &[6328]),
        ("tab\t\tx", &[14278, 200, 51669]),
        ("x\r\n\r\ny", &[90, 204, 201, 204, 201, 91]),
        (
            "<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜><think>",
            &[0, 128803, 19923, 128804, 128821],
        ),
        (
            "<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜></think>",
            &[0, 128803, 19923, 128804, 128822],
        ),
        (
            system,
            &[
                0, 3476, 477, 260, 11502, 22896, 16, 128803, 3085, 344, 223, 20, 13, 20, 33,
                128804, 128822, 22, 1, 128803, 4195, 223, 21, 13, 21, 33, 128804, 128821,
            ],
        ),
        (
            "<｜User｜><tool_result>sunny</tool_result><｜Assistant｜><think>",
            &[128803, 30, 72461, 46148, 32, 69958, 2928, 1718, 72461, 46148, 32, 128804, 128821],
        ),
        (
            calls,
            &[
                271, 30, 128825, 72461, 4941, 12548, 1018, 30, 128825, 40148, 5406, 2329, 1281,
                1133, 65, 50219, 3816, 30, 128825, 41523, 2329, 1281, 37399, 4, 3418, 1281, 11476,
                3320, 98455, 1718, 128825, 41523, 1018, 30, 128825, 41523, 2329, 1281, 28026, 4,
                3418, 1281, 19836, 3320, 21, 1718, 128825, 41523, 1018, 1718, 128825, 40148, 5406,
                1018, 1718, 128825, 72461, 4941, 12548, 32, 1,
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(encode_raw(&TOKENIZER, text), expected, "{text:?}");
    }
    let starts: [(&str, &[u32]); 2] = [
        (
            "def f(x):\n    return x**2  # sq",
            &[3465, 285, 4042, 3395, 361, 1354, 1527, 666, 20, 223, 1823, 30007],
        ),
        ("Perché è così?", &[8032, 29897, 7269, 49299, 33]),
    ];
    for (text, expected) in starts {
        assert_eq!(encode(&TOKENIZER, text)[..expected.len()], *expected, "{text:?}");
    }
    assert_eq!((TOKENIZER.bos(), TOKENIZER.eos()), (Some(0), Some(1)));
    assert_eq!(TOKENIZER.special(Special::ReadUrl), Some(128_845));
    assert_eq!(TOKENIZER.vocabulary_size(), 129_280);
}

/// The literal of every added token, in many surroundings, is only text to `encode_text`.
#[test]
fn text_never_becomes_a_control_token() {
    let added: Vec<u32> = (0..129_280).filter(|id| TOKENIZER.is_special(*id)).collect();
    assert_eq!(added.len(), 1283);
    for id in &added {
        let literal = String::from_utf8(TOKENIZER.token_bytes(*id).to_vec()).unwrap();
        for text in [literal.clone(), format!("{literal}{literal}"), format!("a {literal}\n")] {
            let plain = encode(&TOKENIZER, &text);
            assert!(plain.iter().all(|id| !TOKENIZER.is_special(*id)), "{text:?}");
            assert_eq!(TOKENIZER.decode(&plain), text);
        }
        assert_eq!(encode_raw(&TOKENIZER, &literal), [*id]);
        // Divided between two texts of a prompt.
        let middle = literal.char_indices().nth(literal.chars().count() / 2).unwrap().0;
        let (head, tail) = literal.split_at(middle);
        let mut out = Vec::new();
        let pieces = [Piece::Text(head.into()), Piece::Text(tail.into())];
        TOKENIZER.encode_pieces(&pieces, &mut out).unwrap();
        assert_eq!(out, encode(&TOKENIZER, &literal));
    }
}

fn adversarial(kind: &str, bytes: usize) -> String {
    let mut random = Random::new(bytes as u64);
    let mut text = String::with_capacity(bytes + 64);
    let words = ["the", " quick", " brown", "\n", " Größe", " 世界", " 12", " x_y", "!\n\n"];
    while text.len() < bytes {
        match kind {
            "one letter" => text.push('a'),
            "one CJK character" => text.push('今'),
            "spaces" => text.push(' '),
            "newlines" => text.push('\n'),
            "digits" => text.push('7'),
            "marks" => text.push('\u{301}'),
            "controls" => text.push('\u{7}'),
            "punctuation" => text.push_str("=-"),
            "random letters" => text.push((b'a' + random.below(26) as u8) as char),
            "two letters" => text.push((b'a' + random.below(2) as u8) as char),
            "base64" => text.push(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                    [random.below(64)] as char,
            ),
            "random CJK" => {
                text.push(char::from_u32(0x4E00 + random.below(20_000) as u32).unwrap())
            }
            "random characters" => {
                text.extend(char::from_u32(random.below(0x11_0000) as u32));
            }
            "half markers" => {
                text.push_str(random.pick(&["<｜", "<think", "｜DSML", "</", "<｜User"]))
            }
            "spaces and letters" => text.push_str(random.pick(&["   ", "a", " ", "\t", "b"])),
            "words" => text.push_str(random.pick(&words)),
            _ => unreachable!("{kind}"),
        }
    }
    text
}

const KINDS: [&str; 16] = [
    "one letter",
    "one CJK character",
    "spaces",
    "newlines",
    "digits",
    "marks",
    "controls",
    "punctuation",
    "random letters",
    "two letters",
    "base64",
    "random CJK",
    "random characters",
    "half markers",
    "spaces and letters",
    "words",
];

/// Time of encoding the text: the least of `repeats` means over `rounds`. The clock of a thread's
/// own time ticks every 4 ms, so short runs are measured together.
fn time(text: &str, rounds: u32, repeats: usize) -> Duration {
    let mean = || {
        let start = Stopwatch::new();
        for _ in 0..rounds {
            assert!(!encode_raw(&TOKENIZER, text).is_empty());
        }
        start.elapsed() / rounds
    };
    (0..repeats).map(|_| mean()).min().unwrap()
}

/// `DS4_TEXT_FULL=1`: 8 MiB in at most 2 s and a doubling costs at most 2.3 times as much. Without
/// it, 1 MiB must keep within 1 s, which anything worse than linear misses by far.
#[test]
fn time_is_linear() {
    let largest: usize = if full() { 8 << 20 } else { 1 << 20 };
    let limit = Duration::from_millis(if full() { 2000 } else { 1000 });
    let mut broken = Vec::new();
    for kind in KINDS {
        let text = adversarial(kind, largest);
        let sizes = [largest / 8, largest / 4, largest / 2, largest];
        let times = sizes.map(|size| {
            let end = text.floor_char_boundary(size);
            let rounds = (largest / size) as u32;
            time(&text[..end], if full() { rounds } else { 1 }, if full() { 4 } else { 1 })
        });
        let ratios: Vec<f64> =
            times.windows(2).map(|pair| pair[1].as_secs_f64() / pair[0].as_secs_f64()).collect();
        println!("{kind}: {times:.1?} for {sizes:?} bytes, ratios {ratios:.2?}");
        if times[3] > limit || (full() && ratios.iter().any(|ratio| *ratio > 2.3)) {
            broken.push(kind);
        }
    }
    assert!(broken.is_empty(), "beyond the limits: {broken:?}");
}

#[test]
fn the_real_vocabulary_loads_quickly() {
    let json = cached("tokenizer.json");
    let start = Stopwatch::new();
    Tokenizer::from_tokenizer_json(&json).unwrap();
    let from_json = start.elapsed();
    println!("tokenizer.json: {from_json:.1?}");
    let limit = Duration::from_millis(if full() { 300 } else { 1500 });
    assert!(from_json <= limit, "{from_json:?}");
}

/// The folders of the toy models.
pub fn toy_models() -> Vec<PathBuf> {
    let shared = root().join("../shared/oracle/cases");
    let folder = match std::env::var_os("DS4_ORACLE") {
        Some(folder) => PathBuf::from(folder),
        None if shared.is_dir() => shared,
        None => root().join("tests/data/oracle"),
    };
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("model.gguf").is_file() && path.join("tokenizer.json").is_file())
        .collect()
}

/// The pieces, ids and marker ids of the toy models' vocabularies, with token types and without.
#[test]
fn small_vocabularies_from_model_files() {
    let models = toy_models();
    assert!(!models.is_empty());
    for folder in models {
        let file = std::fs::read(folder.join("model.gguf")).unwrap();
        let gguf = Gguf::parse(&file, file.len() as u64).unwrap();
        let strings = |key| gguf.metadata.array_str(key).unwrap();
        let types = gguf.metadata.array_i32("tokenizer.ggml.token_type").unwrap();
        let vectors = std::fs::read_to_string(folder.join("tokenizer.json")).unwrap();
        let vectors = json::parse(&vectors).unwrap();
        for token_types in [Some(&types[..]), None] {
            let tokenizer = Tokenizer::from_parts(
                strings("tokenizer.ggml.tokens").iter(),
                strings("tokenizer.ggml.merges").iter(),
                &VocabularyMetadata { token_types, ..Default::default() },
            )
            .unwrap();
            for vector in vectors.as_array().unwrap() {
                let text = vector.get("text").and_then(Value::as_str).unwrap();
                let field = |key| vector.get(key).unwrap();
                let pieces: Vec<&str> =
                    field("pieces").as_array().unwrap().iter().filter_map(Value::as_str).collect();
                let found: Vec<&str> = ds4_text::split::pieces(text).collect();
                assert_eq!(found, pieces, "{folder:?}: {text:?}");
                assert_eq!(encode(&tokenizer, text), ids(field("ids")), "{folder:?}: {text:?}");
                let rendered = ids(field("rendered_ids"));
                assert_eq!(encode_raw(&tokenizer, text), rendered, "{folder:?}: {text:?}");
            }
            assert_eq!(tokenizer.bos(), Some(0));
            assert_eq!(tokenizer.special(Special::Dsml), Some(types.len() as u32 - 1));
            assert_eq!(tokenizer.special(Special::Title), None);
        }
    }
}
