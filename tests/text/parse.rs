//! Turns of the model, well-formed and not, against the official parser.

use ds4_text::json::Value;
use ds4_text::{AssistantTurn, TurnEnd, TurnEvent, TurnOptions, TurnReader};

use super::{TOKENIZER, lines, oracle};

/// Feeds a completion token by token, as the model would give it.
fn read(text: &str, options: &TurnOptions) -> (AssistantTurn, Option<TurnEnd>, Vec<TurnEvent>) {
    let mut tokens = Vec::new();
    TOKENIZER.encode_raw(text, &mut tokens);
    let mut reader = TurnReader::new(options);
    let mut events = Vec::new();
    for id in tokens {
        if reader.push(&TOKENIZER, id, &mut events).is_some() {
            break;
        }
    }
    reader.finish(TurnEnd::Cut, &mut events);
    let mut turn = AssistantTurn::default();
    events.iter().for_each(|event| turn.apply(event));
    (turn, reader.end(), events)
}

fn field<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn conformant_turns_read_as_the_official_parser_reads_them() {
    let mut count = 0;
    for line in lines(&oracle("parse.jsonl")) {
        let expected = line.get("expected").unwrap();
        if line.get("conformant").and_then(Value::as_bool) != Some(true) {
            continue;
        }
        let id = field(&line, "id");
        let thinking = field(&line, "thinking_mode") == "thinking";
        let options = TurnOptions { thinking, tools: true, ..Default::default() };
        let (turn, end, _) = read(field(&line, "completion"), &options);
        assert_eq!(turn.reasoning, field(expected, "reasoning_content"), "{id}");
        assert_eq!(turn.content, field(expected, "content"), "{id}");
        let calls = expected.get("tool_calls").and_then(Value::as_array).unwrap_or_default();
        let calls: Vec<(&str, &str)> = calls
            .iter()
            .map(|call| call.get("function").unwrap())
            .map(|function| (field(function, "name"), field(function, "arguments")))
            .collect();
        let found: Vec<(&str, &str)> =
            turn.calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(found, calls, "{id}");
        let called = if calls.is_empty() { TurnEnd::EndOfTurn } else { TurnEnd::ToolCalls };
        assert_eq!(end, Some(called), "{id}");
        assert!(!turn.incomplete, "{id}");
        count += 1;
    }
    assert!(count >= 20, "only {count} turns");
}

/// What a completion says without its syntax: letters and digits, in order, of all text outside
/// tags, plus the names of tools and parameters.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain += before;
        let tag = after.split('>').next().unwrap_or("");
        let is_tag = ["tool_calls", "invoke", "parameter", "function_calls", "think", "TOOL_CALLS"]
            .iter()
            .any(|name| tag.contains(name));
        if is_tag || tag.contains('｜') {
            for quoted in tag.split(['"', '\'']).skip(1).step_by(2) {
                if !["true", "false", "True", "x"].contains(&quoted) {
                    plain = plain + " " + quoted + " ";
                }
            }
            plain += " ";
            rest = after.get(tag.len() + 1..).unwrap_or("");
        } else {
            plain += "<";
            rest = after;
        }
    }
    plain += rest;
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every word of a malformed turn, up to where the turn ended, is somewhere in the result.
#[test]
fn malformed_turns_lose_no_text() {
    for line in lines(&oracle("parse.jsonl")) {
        if line.get("conformant").and_then(Value::as_bool) == Some(true) {
            continue;
        }
        let id = format!("{} {}", field(&line, "id"), field(&line, "category"));
        let thinking = field(&line, "thinking_mode") == "thinking";
        let options = TurnOptions { thinking, tools: true, ..Default::default() };
        let completion = field(&line, "completion");
        let (turn, _, _) = read(completion, &options);
        // Nothing after the end of the turn, or after the block of calls, is generated.
        let end = [
            "<｜end▁of▁sentence｜>",
            "</｜DSML｜tool_calls>",
            "</tool_calls>",
            "</DSML｜tool_calls>",
        ]
        .iter()
        .filter_map(|end| completion.find(end))
        .min()
        .unwrap_or(completion.len());
        let end = if turn.calls.is_empty() {
            completion.find("<｜end▁of▁sentence｜>").unwrap_or(completion.len())
        } else {
            end
        };
        let mut found = turn.reasoning.clone() + " " + &turn.content;
        for call in &turn.calls {
            found = found + " " + &call.name + " " + &call.arguments;
        }
        let mut rest = found.as_str();
        let mut missing = Vec::new();
        for word in words(&completion[..end]) {
            match rest.find(&word) {
                Some(at) => rest = &rest[at + word.len()..],
                None if found.contains(&word) => {}
                None => missing.push(word),
            }
        }
        println!("{id}: {turn:?}");
        assert!(missing.is_empty(), "{id}: lost {missing:?}\nof {completion}\nin {turn:#?}");
    }
}
