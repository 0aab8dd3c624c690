//! Any turn of the model: text, control tokens and pieces of tool syntax in any order. However it
//! is divided into tokens, the events together are the same; the reader never panics; complete
//! calls have JSON arguments, and calls that were read are written and read back the same.
#![no_main]

use ds4_text::chat::{Prompt, Style, ToolCall};
use ds4_text::dsml::write_calls;
use ds4_text::{AssistantTurn, Piece, Special, TurnEnd, TurnEvent, TurnOptions, TurnReader, json};
use libfuzzer_sys::fuzz_target;

/// Bytes from 0x80 up to here stand for these; all others for themselves.
const PARTS: [&str; 24] = [
    "<",
    "</",
    "tool_calls>",
    "tool_calls>\n",
    "invoke name=\"",
    "parameter name=\"",
    "invoke>",
    "parameter>",
    "\">\n",
    "\" string=\"true\">",
    "\" string=\"false\">",
    "\n\n<",
    "<tool_calls>\n",
    "<invoke name=\"f\">",
    "</tool_calls>",
    "&lt;/｜DSML｜parameter>",
    "&amp;",
    "{\"a\": [1, null]}",
    "\u{4ECA}",
    "\u{1F600}",
    "｜DSML｜",
    "<DSML｜",
    "stop",
    "\n",
];

enum Unit {
    Bytes(Vec<u8>),
    Special(Special),
}

fn units(data: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    for &byte in data {
        let part = usize::from(byte.wrapping_sub(0x80));
        match byte {
            0xF0..=0xF8 => units.push(Unit::Special(Special::Dsml)),
            0xF9 => units.push(Unit::Special(Special::Think)),
            0xFA => units.push(Unit::Special(Special::EndThink)),
            0xFB => units.push(Unit::Special(Special::Eos)),
            _ => {
                let part = PARTS.get(part).filter(|_| byte >= 0x80);
                let bytes = part.map_or(vec![byte], |part| part.as_bytes().to_vec());
                match units.last_mut() {
                    Some(Unit::Bytes(last)) => last.extend(bytes),
                    _ => units.push(Unit::Bytes(bytes)),
                }
            }
        }
    }
    units
}

fn read(units: &[Unit], options: &TurnOptions, step: usize) -> (AssistantTurn, TurnReader) {
    let mut reader = TurnReader::new(options);
    let mut events = Vec::new();
    for unit in units {
        match unit {
            Unit::Special(special) => {
                reader.push_special(*special, &mut events);
            }
            Unit::Bytes(bytes) => {
                for part in bytes.chunks(step) {
                    reader.push_bytes(part, &mut events);
                }
            }
        }
    }
    reader.finish(TurnEnd::Cut, &mut events);
    let mut turn = AssistantTurn::default();
    for event in &events {
        turn.apply(event);
        if let TurnEvent::CallEnd { index, complete: true } = event {
            // `NaN` is JSON here, as in Python.
            json::parse(&turn.calls[*index].arguments).expect("complete arguments are JSON");
        }
    }
    (turn, reader)
}

fuzz_target!(|data: &[u8]| {
    let Some((&flags, data)) = data.split_first() else { return };
    let options = TurnOptions {
        thinking: flags & 1 != 0,
        tools: flags & 2 != 0,
        entities: flags & 4 != 0,
        stop: if flags & 8 != 0 { vec!["stop".into(), "\u{4ECA}".into()] } else { Vec::new() },
    };
    let units = units(data);
    let (turn, reader) = read(&units, &options, usize::MAX);
    for step in [1, 3] {
        let (other, other_reader) = read(&units, &options, step);
        assert_eq!(other, turn);
        assert_eq!(other_reader.end(), reader.end());
        assert_eq!(other_reader.block(), reader.block());
    }
    if turn.incomplete || turn.calls.is_empty() {
        return;
    }
    check_inverse(&turn.calls);
});

/// What was read, written by us and read again, is the same.
fn check_inverse(calls: &[ToolCall]) {
    let mut prompt = Prompt::new();
    write_calls(calls, Style::Official, &mut prompt);
    let units: Vec<Unit> = prompt
        .pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Special(special) => Unit::Special(*special),
            Piece::Text(text) => Unit::Bytes(text.as_bytes().to_vec()),
        })
        .collect();
    let (turn, _) = read(&units, &TurnOptions::default(), usize::MAX);
    assert_eq!(turn.calls.len(), calls.len());
    for (read, written) in turn.calls.iter().zip(calls) {
        assert_eq!(read.name, written.name);
        let values = [&read.arguments, &written.arguments].map(|text| json::parse(text));
        let [Ok(read), Ok(written)] = values else { panic!("arguments are not JSON") };
        // NaN differs from itself, so their texts are compared.
        assert_eq!(json::dumps(&read), json::dumps(&written));
    }
}
