#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::stop::StopFilter;
use super::{AssistantTurn, TurnEnd, TurnEvent, TurnOptions, TurnReader};
use crate::chat::Prompt;
use crate::piece::Piece;
use crate::special::Special;

/// Reads a turn written with the literals of control tokens, text character by character. After
/// each step, what has been given out must be the beginning of the whole.
fn read(text: &str, options: &TurnOptions) -> (AssistantTurn, TurnEnd) {
    let mut prompt = Prompt::new();
    prompt.template(text);
    let mut reader = TurnReader::new(options);
    let mut shown = Vec::new();
    let mut turn = AssistantTurn::default();
    let mut step = |events: Vec<TurnEvent>, turn: &mut AssistantTurn| {
        events.iter().for_each(|event| turn.apply(event));
        shown.push((turn.reasoning.clone(), turn.content.clone()));
    };
    for piece in prompt.pieces() {
        match piece {
            Piece::Special(special) => {
                let mut events = Vec::new();
                reader.push_special(*special, &mut events);
                step(events, &mut turn);
            }
            Piece::Text(text) => {
                for byte in text.bytes() {
                    let mut events = Vec::new();
                    reader.push_bytes(&[byte], &mut events);
                    step(events, &mut turn);
                }
            }
        }
    }
    let mut events = Vec::new();
    reader.finish(TurnEnd::Cut, &mut events);
    step(events, &mut turn);
    for (reasoning, content) in &shown {
        assert!(turn.reasoning.starts_with(reasoning.as_str()), "{reasoning:?} was taken back");
        assert!(turn.content.starts_with(content.as_str()), "{content:?} was taken back");
    }
    (turn, reader.end().unwrap())
}

fn thinking() -> TurnOptions {
    TurnOptions { thinking: true, tools: true, ..Default::default() }
}

const BLOCK: &str = "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n\
    <｜DSML｜parameter name=\"a\" string=\"true\">x\n</｜DSML｜parameter>\n</｜DSML｜invoke>\n\
    </｜DSML｜tool_calls>";

#[test]
fn reasoning_content_calls() {
    let (turn, end) = read(&format!("R\n</think>C\n{BLOCK} never read"), &thinking());
    assert_eq!((turn.reasoning.as_str(), turn.content.as_str()), ("R\n", "C\n"));
    assert_eq!(turn.calls[0].name, "f");
    assert_eq!(turn.calls[0].arguments, r#"{"a": "x\n"}"#);
    assert_eq!(end, TurnEnd::ToolCalls);
}

#[test]
fn what_is_spelled_in_ordinary_tokens_ends_nothing() {
    let mut reader = TurnReader::new(&thinking());
    let mut events = Vec::new();
    let text = "about </think> and <｜end▁of▁sentence｜>";
    assert_eq!(reader.push_bytes(text.as_bytes(), &mut events), None);
    assert_eq!(events, [TurnEvent::Reasoning(text.into())]);
}

#[test]
fn a_block_in_reasoning_counts_only_if_the_reasoning_stays_open() {
    let (turn, end) = read(&format!("R{BLOCK}</think>C<｜end▁of▁sentence｜>"), &thinking());
    assert_eq!((turn.reasoning, turn.content.as_str()), (format!("R{BLOCK}"), "C"));
    assert_eq!((turn.calls.len(), end), (0, TurnEnd::EndOfTurn));
    let (turn, end) = read(&format!("R{BLOCK}<｜end▁of▁sentence｜>"), &thinking());
    assert_eq!((turn.reasoning.as_str(), turn.content.as_str()), ("R", ""));
    assert_eq!((turn.calls.len(), end), (1, TurnEnd::ToolCalls));
    let half = &BLOCK[..BLOCK.len() - 30];
    let (turn, _) = read(&format!("R{half}<｜end▁of▁sentence｜>"), &thinking());
    assert_eq!((turn.reasoning, turn.calls.len()), (format!("R{half}"), 0));
}

#[test]
fn reasoning_may_begin_late() {
    let (turn, _) = read("<think>R</think>C<think>R2</think>D", &thinking());
    assert_eq!((turn.reasoning.as_str(), turn.content.as_str()), ("RR2", "CD"));
}

#[test]
fn half_a_tag_is_never_shown() {
    for cut in 1..BLOCK.chars().count() {
        let text: String = BLOCK.chars().take(cut).collect();
        let (turn, _) = read(&format!("C{text}"), &TurnOptions::default());
        assert!(!turn.content.contains("DSML"), "{:?} of {text:?}", turn.content);
    }
}

#[test]
fn a_call_that_is_cut_off_is_marked() {
    let cut = BLOCK.split_once("x\n").unwrap().0;
    let (turn, end) = read(&format!("{cut}some te"), &TurnOptions::default());
    assert_eq!((end, turn.incomplete), (TurnEnd::Cut, true));
    assert_eq!(turn.calls[0].arguments, r#"{"a": "some te"#);
}

#[test]
fn forgotten_closing_tags_are_supplied_at_the_end_of_the_turn() {
    let eos = Special::Eos.literal();
    for missing in [
        "</｜DSML｜tool_calls>",
        "</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
        "</｜DSML｜parameter>",
    ] {
        let text = BLOCK.replace(missing, "") + eos;
        let (turn, end) = read(&text, &TurnOptions::default());
        assert!(!turn.incomplete, "{missing}");
        assert_eq!(turn.calls[0].arguments, r#"{"a": "x\n"}"#, "{missing}");
        assert_eq!(end, TurnEnd::ToolCalls, "{missing}");
    }
}

#[test]
fn values_without_attribute_and_nested_parameters() {
    let block = "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\">\
        <｜DSML｜parameter name=\"n\">3</｜DSML｜parameter>\
        <｜DSML｜parameter name=\"s\">three</｜DSML｜parameter>\
        <｜DSML｜parameter name=\"q\">\"q\"</｜DSML｜parameter>\
        <｜DSML｜parameter name=\"j\" string=\"false\">{bad</｜DSML｜parameter>\
        <｜DSML｜parameter name=\"o\" string=\"false\">\n\
        <｜DSML｜parameter name=\"p\" string=\"true\">v</｜DSML｜parameter>\n\
        <｜DSML｜parameter name=\"r\" string=\"false\">[1]</｜DSML｜parameter></｜DSML｜parameter>\
        </｜DSML｜invoke></｜DSML｜tool_calls>";
    let (turn, _) = read(block, &TurnOptions::default());
    let expected =
        r#"{"n": 3, "s": "three", "q": "\"q\"", "j": "{bad", "o": {"p": "v", "r": [1]}}"#;
    assert_eq!(turn.calls[0].arguments, expected);
}

#[test]
fn unmarked_calls_count_only_where_tools_were_offered() {
    let plain = BLOCK.replace("｜DSML｜", "");
    let offered = TurnOptions { tools: true, ..Default::default() };
    let (turn, _) = read(&format!("C{plain}"), &offered);
    assert_eq!((turn.content.as_str(), turn.calls.len()), ("C", 1));
    let (turn, _) = read(&format!("C{plain}"), &TurnOptions::default());
    assert_eq!((turn.content, turn.calls.len()), (format!("C{plain}"), 0));
    // In the middle of a line, or without a call, it is text.
    for text in ["see <tool_calls>\n<invoke name=\"f\">", "<tool_calls> is a tag", "<tool_calls>"] {
        let (turn, _) = read(text, &offered);
        assert_eq!((turn.content.as_str(), turn.calls.len()), (text, 0));
    }
}

#[test]
fn entities_are_decoded_on_request_only() {
    let block = BLOCK.replace("x\n", "&lt;a&gt; &amp;amp;");
    let (turn, _) = read(&block, &TurnOptions::default());
    assert_eq!(turn.calls[0].arguments, r#"{"a": "&lt;a&gt; &amp;amp;"}"#);
    let (turn, _) = read(&block, &TurnOptions { entities: true, ..Default::default() });
    assert_eq!(turn.calls[0].arguments, r#"{"a": "<a> &amp;"}"#);
}

#[test]
fn a_stop_filter_holds_back_only_what_may_be_a_stop_string() {
    let mut filter = StopFilter::new(&["".into(), "END".into(), "ENOUGH".into()]);
    assert_eq!(filter.push("text E"), ("text ".into(), None));
    assert_eq!(filter.push("N"), ("".into(), None));
    assert_eq!(filter.push("TRY"), ("ENTRY".into(), None));
    assert_eq!(filter.push("x ENOEND"), ("x ENO".into(), Some(1)));
    let mut filter = StopFilter::new(&["aab".into()]);
    assert_eq!(filter.push("aaa"), ("a".into(), None));
    assert_eq!(filter.flush(), "aa");
}
