//! Writer and reader of calls are inverse, and how a turn is divided into tokens does not matter.

use std::fmt::Write;

use ds4_text::chat::{Prompt, Style, ToolCall};
use ds4_text::dsml::write_calls;
use ds4_text::json::{self, Value, string_text};
use ds4_text::{AssistantTurn, Piece, Special, TurnEnd, TurnOptions, TurnReader};

use super::{Random, TOKENIZER, full};

/// What values, keys and texts are made of: everything that means something somewhere.
const PARTS: [&str; 40] = [
    "a",
    "word ",
    " ",
    "\n",
    "\n\n",
    "é",
    "今天",
    "😀",
    "\"",
    "'",
    "\\",
    "<",
    ">",
    "&",
    "=",
    "{",
    "}",
    "</",
    "<｜DSML｜",
    "｜DSML｜",
    "</｜DSML｜parameter>",
    "&lt;/｜DSML｜parameter>",
    "&amp;lt;/｜DSML｜parameter>",
    "</｜DSML｜invoke>",
    "</｜DSML｜tool_calls>",
    "<｜DSML｜invoke name=\"x\">",
    "<｜DSML｜parameter name=\"k\" string=\"true\">",
    "</parameter>",
    "</DSML｜parameter>",
    "<tool_calls>\n<invoke name=\"y\">",
    "<think>",
    "</think>",
    "<｜end▁of▁sentence｜>",
    "&amp;",
    "&quot;",
    "&lt;",
    "\" string=\"true\">",
    "\u{1}\t\r",
    "\u{2028}",
    "tool_calls>",
];

fn text(random: &mut Random, parts_max: usize) -> String {
    (0..random.below(parts_max + 1)).map(|_| random.pick(&PARTS)).collect()
}

fn write_value(random: &mut Random, depth: usize, out: &mut String) {
    const NUMBERS: [&str; 8] =
        ["0", "-7", "3.5", "1e+16", "1e-07", "123456789012345678901234567890", "2.0", "-0.0"];
    match random.below(if depth < 3 { 8 } else { 6 }) {
        0 => out.push_str("null"),
        1 => out.push_str(random.pick(&["true", "false"])),
        2 | 3 => out.push_str(random.pick(&NUMBERS)),
        4 | 5 => out.push_str(&string_text(&text(random, 6))),
        6 => {
            out.push('[');
            for place in 0..random.below(4) {
                out.push_str(if place == 0 { "" } else { ", " });
                write_value(random, depth + 1, out);
            }
            out.push(']');
        }
        _ => write_object(random, depth + 1, out),
    }
}

fn write_object(random: &mut Random, depth: usize, out: &mut String) {
    out.push('{');
    for place in 0..random.below(4) {
        let separator = if place == 0 { "" } else { ", " };
        let key = text(random, 3);
        let _ = write!(out, "{separator}{}: ", string_text(&format!("{key}{place}")));
        write_value(random, depth, out);
    }
    out.push('}');
}

fn calls(random: &mut Random, size: usize) -> Vec<ToolCall> {
    let call = |random: &mut Random| {
        let mut arguments = String::new();
        write_object(random, 0, &mut arguments);
        if size > 1 {
            let long = string_text(&text(random, size));
            arguments = format!("{{{}: {long}}}", string_text(&text(random, 2)));
        }
        ToolCall { id: None, name: text(random, 3), arguments }
    };
    (0..1 + random.below(3)).map(|_| call(random)).collect()
}

/// A part of a turn as it arrives: text, or a control token.
#[derive(Clone)]
enum Unit {
    Text(String),
    Special(Special),
}

fn units(prompt: &Prompt) -> Vec<Unit> {
    let unit = |piece: &Piece<'_>| match piece {
        Piece::Special(special) => Unit::Special(*special),
        Piece::Text(text) => Unit::Text(text.clone().into_owned()),
    };
    prompt.pieces().iter().map(unit).collect()
}

/// Reads units; `cuts` says after how many bytes a text is divided next.
fn read_units(
    units: &[Unit],
    options: &TurnOptions,
    mut cuts: impl FnMut(usize) -> usize,
) -> (AssistantTurn, TurnReader) {
    let mut reader = TurnReader::new(options);
    let mut turn = AssistantTurn::default();
    let mut events = Vec::new();
    for unit in units {
        match unit {
            Unit::Special(special) => {
                reader.push_special(*special, &mut events);
            }
            Unit::Text(text) => {
                let mut bytes = text.as_bytes();
                while !bytes.is_empty() {
                    let (head, tail) = bytes.split_at(cuts(bytes.len()).clamp(1, bytes.len()));
                    reader.push_bytes(head, &mut events);
                    bytes = tail;
                }
            }
        }
    }
    reader.finish(TurnEnd::Cut, &mut events);
    events.iter().for_each(|event| turn.apply(event));
    (turn, reader)
}

fn check_calls(turn: &AssistantTurn, written: &[ToolCall], what: &str) {
    assert!(!turn.incomplete, "{what}: {turn:?}");
    assert_eq!((turn.content.as_str(), turn.reasoning.as_str()), ("", ""), "{what}");
    assert_eq!(turn.calls.len(), written.len(), "{what}: {turn:?}");
    for (read, written) in turn.calls.iter().zip(written) {
        assert_eq!(read.name, written.name, "{what}");
        let arguments = json::parse(&read.arguments)
            .unwrap_or_else(|error| panic!("{what}: {error} in {}", read.arguments));
        assert_eq!(arguments, json::parse(&written.arguments).unwrap(), "{what}");
    }
}

/// `DS4_TEXT_FULL=1`: every text is also divided at every byte; without it, one in a hundred.
#[test]
fn writing_and_reading_calls_are_inverse() {
    let options = TurnOptions { tools: true, ..Default::default() };
    let whole = |length: usize| length;
    let mut count = 0;
    let mut splits = 0_u64;
    for seed in 0.. {
        if count >= 100_000 {
            break;
        }
        let mut random = Random::new(seed);
        let written = calls(&mut random, 1 + 200 * usize::from(seed % 500 == 0));
        count += written.len();
        let mut prompt = Prompt::new();
        write_calls(&written, Style::Official, &mut prompt);
        let marked = units(&prompt);
        let (turn, reader) = read_units(&marked, &options, whole);
        check_calls(&turn, &written, &format!("seed {seed}"));
        assert_eq!(reader.end(), Some(TurnEnd::ToolCalls), "seed {seed}");
        assert_eq!(reader.block(), Some(&prompt), "seed {seed}: the block as written");
        let bytes = prompt.display_text();

        // Byte by byte; in random parts; spelled without the marker token.
        let (single, _) = read_units(&marked, &options, |_| 1);
        assert_eq!(single, turn, "seed {seed}: byte by byte");
        let (parts, _) = read_units(&marked, &options, |length| 1 + random.below(length.min(9)));
        assert_eq!(parts, turn, "seed {seed}: in parts");
        let spelled = [Unit::Text(bytes.clone())];
        if spelled_is_whole(&written) {
            let (turn, _) = read_units(&spelled, &options, |_| 1);
            check_calls(&turn, &written, &format!("seed {seed}: spelled"));
        }
        if seed % 10 == 0 {
            check_tokens(&prompt, &written, seed, &options);
        }
        if bytes.len() <= 4096 && (full() || seed % 100 == 0) {
            for first in 1..bytes.len() {
                let mut position = 0;
                let divided = divide(&marked, first, &mut position);
                let (split, _) = read_units(&divided, &options, whole);
                assert_eq!(split, turn, "seed {seed}: divided at {first}");
                splits += 1;
            }
        }
    }
    println!("{count} calls, {splits} divisions");
}

/// Names with control characters of the syntax need the marker token to be read back; without it
/// the opening tag must also be followed by a call.
fn spelled_is_whole(calls: &[ToolCall]) -> bool {
    calls.iter().all(|call| !call.name.is_empty())
}

/// The units with the text that holds byte `at` divided there.
fn divide(units: &[Unit], at: usize, position: &mut usize) -> Vec<Unit> {
    let mut out = Vec::with_capacity(units.len() + 1);
    for unit in units {
        match unit {
            Unit::Text(text) => {
                let inside = at.saturating_sub(*position);
                *position += text.len();
                if inside > 0 && inside < text.len() && text.is_char_boundary(inside) {
                    out.push(Unit::Text(text[..inside].to_owned()));
                    out.push(Unit::Text(text[inside..].to_owned()));
                } else {
                    out.push(unit.clone());
                }
            }
            Unit::Special(special) => {
                *position += special.literal().len();
                out.push(unit.clone());
            }
        }
    }
    out
}

/// Through the tokenizer: as pieces, and as text in which markers count.
fn check_tokens(prompt: &Prompt, written: &[ToolCall], seed: u64, options: &TurnOptions) {
    let mut pieces = Vec::new();
    TOKENIZER.encode_pieces(prompt.pieces(), &mut pieces).unwrap();
    let mut reader = TurnReader::new(options);
    let (mut events, mut turn) = (Vec::new(), AssistantTurn::default());
    for id in pieces {
        reader.push(&TOKENIZER, id, &mut events);
    }
    events.iter().for_each(|event| turn.apply(event));
    check_calls(&turn, written, &format!("seed {seed}: as tokens"));
}

#[test]
fn arguments_that_are_no_object_are_kept_whole() {
    for arguments in ["", "{", "[1, 2]", "5", "null", "\"x\"", "</｜DSML｜parameter>{"] {
        let call = ToolCall { id: None, name: "f".into(), arguments: arguments.into() };
        let mut prompt = Prompt::new();
        write_calls(&[call], Style::Official, &mut prompt);
        let (turn, _) = read_units(&units(&prompt), &TurnOptions::default(), |length| length);
        let read = json::parse(&turn.calls[0].arguments).unwrap();
        assert_eq!(read.get("arguments").and_then(Value::as_str), Some(arguments));
    }
}

/// A turn of anything: the same events whatever the division, and no text lost when nothing in it
/// is syntax.
#[test]
fn any_turn_reads_the_same_in_any_division() {
    let specials = [Special::Dsml, Special::Think, Special::EndThink, Special::Dsml];
    for seed in 0..if full() { 200_000 } else { 20_000 } {
        let mut random = Random::new(seed);
        let mut turn = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(8) {
                0..=3 => turn.push(Unit::Text(text(&mut random, 6))),
                4 => turn.push(Unit::Special(specials[random.below(4)])),
                5 => {
                    turn.push(Unit::Text("\n\n<".into()));
                    turn.push(Unit::Special(Special::Dsml));
                    turn.push(Unit::Text("tool_calls>\n".into()));
                }
                6 => {
                    let mut prompt = Prompt::new();
                    write_calls(&calls(&mut random, 1), Style::Official, &mut prompt);
                    let mut block = units(&prompt);
                    block.truncate(1 + random.below(block.len()));
                    turn.append(&mut block);
                }
                _ => {
                    turn.push(Unit::Text(random.pick(&["<", "</", "\n\n<"]).into()));
                    turn.push(Unit::Special(Special::Dsml));
                    turn.push(Unit::Text(
                        random
                            .pick(&[
                                "invoke name=\"a\">",
                                "parameter>",
                                "invoke>",
                                "parameter name='b'>",
                                "x",
                            ])
                            .into(),
                    ));
                }
            }
        }
        if random.below(2) == 0 {
            turn.push(Unit::Special(Special::Eos));
        }
        let options = TurnOptions {
            thinking: random.below(2) == 0,
            tools: random.below(2) == 0,
            entities: random.below(4) == 0,
            stop: [vec![], vec!["word".into(), "今".into()], vec!["\n\n".into()]][random.below(3)]
                .clone(),
        };
        let (expected, reader) = read_units(&turn, &options, |length| length);
        let (single, single_reader) = read_units(&turn, &options, |_| 1);
        assert_eq!(single, expected, "seed {seed}: byte by byte");
        assert_eq!(single_reader.end(), reader.end(), "seed {seed}");
        assert_eq!(single_reader.block(), reader.block(), "seed {seed}");
        let (parts, _) = read_units(&turn, &options, |length| 1 + random.below(length.min(20)));
        assert_eq!(parts, expected, "seed {seed}: in parts");
    }
}

#[test]
fn stop_strings_end_the_content_only() {
    let options = |stop: &[&str]| TurnOptions {
        thinking: true,
        stop: stop.iter().map(|stop| (*stop).to_owned()).collect(),
        ..Default::default()
    };
    let turn = [
        Unit::Text("I STOP not here".into()),
        Unit::Special(Special::EndThink),
        Unit::Text("text ST STO".into()),
        Unit::Text("P more".into()),
    ];
    for cut in 1..8 {
        let (read, reader) = read_units(&turn, &options(&["never", "STOP"]), |_| cut);
        assert_eq!(read.reasoning, "I STOP not here");
        assert_eq!(read.content, "text ST ");
        assert_eq!(reader.end(), Some(TurnEnd::StopString(1)));
    }
    // A control token interrupts a stop string.
    let turn = [
        Unit::Special(Special::EndThink),
        Unit::Text("ST".into()),
        Unit::Special(Special::Dsml),
        Unit::Text("OP".into()),
    ];
    let (read, reader) = read_units(&turn, &options(&["STOP"]), |length| length);
    assert_eq!(read.content, "ST｜DSML｜OP");
    assert_eq!(reader.end(), Some(TurnEnd::Cut));
}
