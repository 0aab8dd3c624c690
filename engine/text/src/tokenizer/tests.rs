use super::{Tokenizer, VocabularyMetadata};
use crate::error::TokenizerError;
use crate::piece::Piece;
use crate::special::Special;

/// The byte-level alphabet in order of bytes, some merges, some added tokens.
fn tokens(more: &[&str]) -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others: Vec<u32> = (0..=255).filter(|byte| !plain(*byte)).collect();
    (0..=255_u32)
        .map(|byte| match others.iter().position(|other| *other == byte) {
            Some(place) => 0x100 + place as u32,
            None => byte,
        })
        .map(|code| char::from_u32(code).unwrap().to_string())
        .chain(more.iter().map(|token| (*token).to_owned()))
        .collect()
}

fn build(
    more: &[&str],
    merges: &[&str],
    types: Option<&[i32]>,
) -> Result<Tokenizer, TokenizerError> {
    let tokens = tokens(more);
    let metadata = VocabularyMetadata { token_types: types, ..Default::default() };
    Tokenizer::from_parts(tokens.iter().map(String::as_str), merges.iter().copied(), &metadata)
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    tokenizer.encode_text(text, &mut out);
    out
}

const WORDS: [&str; 5] = ["he", "ll", "hell", "Ġhe", "<think>"];
const MERGES: [&str; 4] = ["h e", "l l", "he ll", "Ġ he"];

#[test]
fn merges_by_rank_and_decodes_bytes() {
    let tokenizer = build(&WORDS, &MERGES, None).unwrap();
    assert_eq!(encode(&tokenizer, "hello"), [258, u32::from(b'o')]);
    assert_eq!(encode(&tokenizer, " he"), [259]);
    // The space comes too late: the longer word has the lower rank.
    assert_eq!(encode(&tokenizer, " hell"), [32, 258]);
    assert_eq!(tokenizer.decode(&[259, 257]), " hell");
    assert_eq!(tokenizer.token_bytes(0xE9), [0xE9]);
    assert_eq!(tokenizer.token_bytes(10_000), [0_u8; 0]);
    let mut decoder = tokenizer.decoder();
    let text: Vec<String> = "é".bytes().map(|byte| decoder.push(u32::from(byte))).collect();
    assert_eq!(text, ["", "é"]);
}

#[test]
fn a_token_that_no_merge_makes_is_an_added_one() {
    let tokenizer = build(&WORDS, &MERGES, None).unwrap();
    assert_eq!(tokenizer.special(Special::Think), Some(260));
    assert!(tokenizer.is_special(260) && !tokenizer.is_special(258));
    assert_eq!(encode(&tokenizer, "<think>").len(), 7);
    let mut raw = Vec::new();
    tokenizer.encode_raw("he<think>he", &mut raw);
    assert_eq!(raw, [256, 260, 256]);
    let mut out = Vec::new();
    let pieces = [Piece::Text("h".into()), Piece::Text("e".into()), Piece::Special(Special::Think)];
    tokenizer.encode_pieces(&pieces, &mut out).unwrap();
    assert_eq!(out, [256, 260]);
    let missing = tokenizer.encode_pieces(&[Piece::Special(Special::User)], &mut out);
    assert_eq!(missing, Err(TokenizerError::MissingSpecial { literal: "<｜User｜>" }));
}

#[test]
fn says_what_is_wrong_with_a_vocabulary() {
    let fails = |result: Result<Tokenizer, TokenizerError>, part: &str| {
        let error = result.err().unwrap_or_else(|| panic!("passes: {part}")).to_string();
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    };
    fails(build(&["he", "he"], &["h e"], None), "tokens 256 and 257 are both \"he\"");
    fails(build(&[], &["h e"], None), "merge 0 (\"h e\"): the two sides join to no token");
    fails(build(&["he"], &["h e e"], None), "merge 0 (\"h e e\"): expected two sides");
    fails(build(&["he"], &["x"], None), "expected two sides");
    fails(build(&["abe"], &["ab e"], None), "the left side is not a token");
    fails(build(&["hab"], &["h ab"], None), "the right side is not a token");
    fails(build(&["今"], &[], Some(&[6; 257])), "token 256 (\"今\") has a character");
    fails(build(&["he"], &["h e"], Some(&[1; 5])), "token_type has 5 entries");
    let mut types = [1; 257];
    types[256] = 3;
    fails(build(&["he"], &["h e"], Some(&types)), "an added token takes part");
    types[usize::from(b'a')] = 3;
    fails(build(&["he"], &[], Some(&types)), "no token for the single byte 0x61");
    fails(build(&[&"x".repeat(1025)], &[], None), "has 1025 bytes");
    let few: Vec<&str> = vec!["a"; 3];
    fails(Tokenizer::from_parts(few, [], &VocabularyMetadata::default()), "has 3 tokens");
    let with = |metadata: VocabularyMetadata<'_>| {
        let tokens = tokens(&[]);
        Tokenizer::from_parts(tokens.iter().map(String::as_str), [], &metadata)
    };
    let metadata = VocabularyMetadata::default;
    fails(with(VocabularyMetadata { eos: Some(256), ..metadata() }), "eos_token_id is 256");
    fails(with(VocabularyMetadata { model: Some("llama"), ..metadata() }), "\"llama\"");
    fails(with(VocabularyMetadata { pre: Some("qwen2"), ..metadata() }), "\"qwen2\"");
    assert!(with(VocabularyMetadata { pre: Some("deepseek-v4"), ..metadata() }).is_ok());
}

#[test]
fn reads_a_tokenizer_json_with_the_right_rules_only() {
    let vocab: Vec<String> = tokens(&["he"])
        .iter()
        .enumerate()
        .map(|(id, token)| format!("{}: {id}", crate::json::string_text(token)))
        .collect();
    let patterns = [
        r#""\\p{N}{1,3}""#,
        r#""[一-龥぀-ゟ゠-ヿ]+""#,
        r##""[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+""##,
    ]
    .map(|regex| format!("{{\"pattern\": {{\"Regex\": {regex}}}}}"));
    let text = format!(
        "{{\"normalizer\": null, \"added_tokens\": [{{\"id\": 300, \"content\": \"</think>\"}}], \
         \"pre_tokenizer\": {{\"pretokenizers\": [{}]}}, \"model\": {{\"type\": \"BPE\", \
         \"vocab\": {{{}}}, \"merges\": [[\"h\", \"e\"]]}}}}",
        patterns.join(", "),
        vocab.join(", ")
    );
    let read = |text: &str| Tokenizer::from_tokenizer_json(text.as_bytes());
    let tokenizer = read(&text).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 301);
    assert_eq!(tokenizer.special(Special::EndThink), Some(300));
    assert_eq!(tokenizer.token_bytes(299), [0_u8; 0], "a hole in the numbering");
    assert_eq!(encode(&tokenizer, "he"), [256]);
    assert!(read(&text.replace("[[\"h\", \"e\"]]", "[\"h e\"]")).is_ok());
    for (from, to, part) in [
        ("{1,3}", "{1,2}", "splitting patterns"),
        ("BPE", "Unigram", "only BPE"),
        ("\"merges\"", "\"ignore_merges\": true, \"merges\"", "model.ignore_merges"),
        ("null", "{\"type\": \"NFC\"}", "normalizer"),
        ("[\"h\", \"e\"]", "[\"h\", 5]", "model.merges[0]: not two strings"),
        ("\"id\": 300", "\"id\": 5", "id 5 is both"),
        ("\"id\": 300", "\"id\": 4000000000", "4000000000 tokens"),
        ("\"id\": 300", "\"id\": -1", "added_tokens[0]"),
        ("\"id\": 300", "\"lstrip\": true, \"id\": 300", "lstrip is not supported"),
        ("\"model\"", "\"other\"", "model: missing"),
        ("}}", "}", "at byte"),
    ] {
        let error = read(&text.replacen(from, to, 1)).expect_err(part).to_string();
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
    assert!(Tokenizer::from_tokenizer_json(b"\xFF").unwrap_err().to_string().contains("UTF-8"));
}
