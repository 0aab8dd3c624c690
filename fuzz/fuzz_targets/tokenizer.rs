//! Any text through a small vocabulary, often one made of the input: it must come back from its
//! tokens, whole and in a stream, and never as an added token; the pieces of the splitter must be
//! the text. Also any bytes as a `tokenizer.json`.
#![no_main]

use std::sync::LazyLock;

use ds4_text::{Special, Tokenizer, VocabularyMetadata};
use libfuzzer_sys::fuzz_target;

/// The characters that stand for the bytes 0 to 255.
static ALPHABET: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut next = 0x100_u32;
    (0..=255_u32)
        .map(|byte| {
            let plain = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
            let code = if plain { byte } else { next };
            next += u32::from(!plain);
            char::from_u32(code).unwrap().to_string()
        })
        .collect()
});

/// A vocabulary whose merges are chosen by `seed`: any order, parts made before or after their use.
fn vocabulary(seed: &[u8]) -> Tokenizer {
    let mut tokens = ALPHABET.clone();
    let mut merges = Vec::new();
    for pair in seed.chunks_exact(2) {
        let place = |byte: u8| match byte {
            0..=127 => usize::from(byte),
            _ => tokens.len() - 1 - usize::from(byte - 128) % (tokens.len() - 128),
        };
        let (left, right) = (&tokens[place(pair[0])], &tokens[place(pair[1])]);
        let joined = format!("{left}{right}");
        if joined.len() > 512 || tokens.contains(&joined) {
            continue;
        }
        merges.push(format!("{left} {right}"));
        tokens.push(joined);
    }
    if seed.first().is_some_and(|first| first % 2 == 1) {
        merges.reverse();
    }
    tokens.extend(Special::ALL.map(|special| special.literal().to_owned()));
    let tokens = tokens.iter().map(String::as_str);
    let merges = merges.iter().map(String::as_str);
    Tokenizer::from_parts(tokens, merges, &VocabularyMetadata::default()).unwrap()
}

/// Building a vocabulary takes a thousand times as long as a short text, so most inputs share one.
static COMMON: LazyLock<Tokenizer> = LazyLock::new(|| {
    let seed: Vec<u8> = (0..400_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vocabulary(&seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    match choice {
        0 => drop(Tokenizer::from_tokenizer_json(rest)),
        1..=16 => {
            let (seed, bytes) = rest.split_at((usize::from(choice) * 8).min(rest.len()));
            check(&vocabulary(seed), bytes);
        }
        _ => check(&COMMON, rest),
    }
});

fn check(tokenizer: &Tokenizer, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let joined: String = ds4_text::split::pieces(&text).collect();
    assert_eq!(joined, text);
    assert!(ds4_text::split::pieces(&text).all(|piece| !piece.is_empty()));
    let mut plain = Vec::new();
    tokenizer.encode_text(&text, &mut plain);
    assert!(plain.iter().all(|id| !tokenizer.is_special(*id)));
    let mut raw = Vec::new();
    tokenizer.encode_raw(&text, &mut raw);
    for ids in [plain, raw] {
        assert_eq!(tokenizer.decode(&ids), text);
        let mut decoder = tokenizer.decoder();
        let streamed: String = ids.iter().map(|id| decoder.push(*id)).collect();
        assert_eq!(streamed + decoder.finish(), text);
    }
}
