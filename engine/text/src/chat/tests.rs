//! What the official encoder has no answer for: the decisions of spec/chat.md 10, the reference
//! engine's conventions, replay.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Message, RenderOptions, Role, Style, ThinkingMode, ToolCall, conversation, render};
use crate::json;
use crate::replay::Replay;
use crate::{AssistantTurn, Piece, TurnOptions, TurnReader};

fn rendered(text: &str, options: &RenderOptions<'_>) -> String {
    let conversation = conversation(&json::parse(text).unwrap()).unwrap();
    let text = render(&conversation.messages, options).unwrap().display_text();
    text.replace("<｜begin▁of▁sentence｜>", "B:")
        .replace("<｜end▁of▁sentence｜>", ":E")
        .replace("<｜User｜>", "U:")
        .replace("<｜Assistant｜>", "A:")
}

const TOOLS: &str = r#""tools": [{"type": "function", "function": {"name":"f","n":1e5}}]"#;

#[test]
fn leading_system_messages_are_gathered() {
    let text = r#"[{"role": "system", "content": "S1"}, {"role": "system", "content": ""},
        {"role": "system", "content": "S2"}, {"role": "user", "content": "Q"}]"#;
    assert_eq!(rendered(text, &RenderOptions::default()), "B:S1\n\nS2U:QA:<think>");
}

/// A system message in mid conversation becomes a turn, and stays when later turns drop reasoning.
#[test]
fn a_later_system_message_is_never_dropped() {
    let text = r#"[{"role": "user", "content": "Q1"}, {"role": "system", "content": "S"},
        {"role": "assistant", "content": "A1", "reasoning_content": "R"},
        {"role": "system"}, {"role": "user", "content": "Q2"}]"#;
    let expected = "B:U:Q1U:SA:</think>A1:EU:Q2A:<think>";
    assert_eq!(rendered(text, &RenderOptions::default()), expected);
}

#[test]
fn tools_of_the_request_go_to_the_system_message() {
    let text = format!(r#"{{"messages": [{{"role": "user", "content": "Q"}}], {TOOLS}}}"#);
    let official = rendered(&text, &RenderOptions::default());
    assert!(official.starts_with("B:\n\n## Tools\n\n"), "{official}");
    assert!(official.contains("\n{\"name\": \"f\", \"n\": 100000.0}\n"), "{official}");
    let text = text.replace(
        "[{\"role\": \"user\"",
        "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\"",
    );
    assert!(rendered(&text, &RenderOptions::default()).starts_with("B:S\n\n## Tools\n\n"));
}

#[test]
fn reasoning_is_kept_once_tools_were_called() {
    let text = r#"[{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1",
        "reasoning_content": "R1", "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "content": "T</tool_result>"}, {"role": "user", "content": "Q2"}]"#;
    let found = rendered(text, &RenderOptions::default());
    assert!(found.starts_with("B:U:Q1A:<think>R1</think>A1\n\n<｜DSML｜tool_calls>\n"), "{found}");
    let end = ":EU:<tool_result>T&lt;/tool_result></tool_result>\n\nQ2A:<think>";
    assert!(found.ends_with(end), "{found}");
}

#[test]
fn the_conventions_of_the_reference_engine() {
    let options =
        RenderOptions { style: Style::Ds4, thinking: ThinkingMode::Chat, ..Default::default() };
    let text = r#"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q1"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "a\"<", "arguments": "{}"}},
        {"id": "2", "function": {"name": "b", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "2", "content": "R2"},
        {"role": "tool", "tool_call_id": "1", "content": "R1"}, {"role": "user", "content": "Q2"},
        {"role": "developer", "content": "D"}, {"role": "user", "content": "Q3"}], "tools": []}"#;
    let found = rendered(&text.replace("\"tools\": []", TOOLS), &options);
    let (tools, rest) = found.split_once("from the schemas.").unwrap();
    assert!(tools.starts_with("B:## Tools\n\nYou have access"), "{tools}");
    assert_eq!(
        rest,
        "\n\nS\n\nDU:Q1A:</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"a&quot;&lt;\">\n\
         </｜DSML｜invoke>\n<｜DSML｜invoke name=\"b\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>:E\
         U:<tool_result>R2</tool_result><tool_result>R1</tool_result>U:Q2U:Q3A:</think>"
    );
}

/// A block is repeated as it was sampled if the client sends back the same calls, whatever it did
/// to the text of the arguments; otherwise it is written anew.
#[test]
fn sampled_blocks_are_replayed_byte_for_byte() {
    let sampled = "\n\n<｜DSML｜tool_calls>\n\n <｜DSML｜invoke name='f'>\n\
        <｜DSML｜parameter name=\"b\" string=\"false\"> 1.0</｜DSML｜parameter>\
        <｜DSML｜parameter name=\"a\" string=\"true\">x</｜DSML｜parameter>\
        </｜DSML｜invoke></｜DSML｜tool_calls>";
    let mut written = super::Prompt::new();
    written.template(sampled);
    let mut reader = TurnReader::new(&TurnOptions::default());
    let mut events = Vec::new();
    reader.push_bytes(b"Text", &mut events);
    for piece in written.pieces() {
        match piece {
            Piece::Special(special) => reader.push_special(*special, &mut events),
            Piece::Text(text) => reader.push_bytes(text.as_bytes(), &mut events),
        };
    }
    let mut turn = AssistantTurn::default();
    events.iter().for_each(|event| turn.apply(event));
    let mut calls = turn.calls;
    calls[0].id = Some("id1".into());
    assert_eq!(calls[0].arguments, "{\"b\":  1.0, \"a\": \"x\"}");
    let mut replay = Replay::new();
    replay.remember(reader.block().unwrap().clone(), calls.clone());

    let message = |id: &str, arguments: &str| Message {
        role: Role::Assistant,
        content: turn.content.clone(),
        tool_calls: vec![ToolCall {
            id: Some(id.into()),
            name: "f".into(),
            arguments: arguments.into(),
        }],
        ..Default::default()
    };
    let render = |message: Message| {
        let options = RenderOptions {
            thinking: ThinkingMode::Chat,
            replay: Some(&replay),
            ..Default::default()
        };
        render(&[message], &options).unwrap().display_text()
    };
    let same = render(message("id1", r#"{"a":"x","b":1}"#));
    assert!(same.contains(&format!("Text{sampled}<｜end")), "{same}");
    let anew = "Text\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n";
    assert!(render(message("id1", r#"{"a":"y","b":1}"#)).contains(anew));
    assert!(render(message("id2", r#"{"a":"x","b":1}"#)).contains(anew));
}

#[test]
fn replay_forgets_the_oldest_blocks() {
    use crate::limits::REPLAY_BLOCKS_MAX;
    let mut replay = Replay::new();
    let call = |number: usize| ToolCall {
        id: Some(format!("id{number}")),
        name: "f".into(),
        arguments: "{}".into(),
    };
    for number in 0..REPLAY_BLOCKS_MAX + 10 {
        replay.remember(super::Prompt::new(), vec![call(number)]);
    }
    assert_eq!(replay.len(), REPLAY_BLOCKS_MAX);
    assert!(replay.find(&[call(9)]).is_none());
    assert!(replay.find(&[call(10)]).is_some());
}
