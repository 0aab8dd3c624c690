//! Conversations to prompts, against the official encoder.

use ds4_text::chat::{self, Conversation, Prompt, RenderOptions};
use ds4_text::json::Value;
use ds4_text::{Special, Tokenizer};

use super::{TOKENIZER, ids, lines, oracle};

fn options(conversation: &Conversation) -> RenderOptions<'static> {
    RenderOptions {
        checkpoint: conversation.checkpoint.unwrap_or_default(),
        thinking: conversation.thinking.unwrap_or_default(),
        effort: conversation.effort,
        keep_reasoning: conversation.keep_reasoning.unwrap_or(false),
        without_bos: conversation.without_bos.unwrap_or(false),
        ..Default::default()
    }
}

fn render(line: &Value) -> Prompt {
    let conversation = chat::conversation(line).unwrap();
    chat::render(&conversation.messages, &options(&conversation)).unwrap()
}

fn encode(tokenizer: &Tokenizer, prompt: &Prompt) -> Vec<u32> {
    let mut out = Vec::new();
    tokenizer.encode_pieces(prompt.pieces(), &mut out).unwrap();
    out
}

fn field<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_quirk(line: &Value) -> bool {
    line.get("quirk").and_then(Value::as_bool) == Some(true)
}

#[test]
fn conversations_render_to_the_official_ids() {
    let mut count = 0;
    for line in lines(&oracle("render.jsonl")).filter(|line| !is_quirk(line)) {
        let id = field(&line, "id");
        let prompt = render(&line);
        assert_eq!(prompt.display_text(), field(&line, "prompt"), "{id}");
        assert_eq!(encode(&TOKENIZER, &prompt), ids(line.get("ids").unwrap()), "{id}");
        count += 1;
    }
    assert!(count >= 40, "only {count} conversations");
}

/// Where spec/chat.md 10 decides against the official rendering, the decision; else the official
/// ids.
#[test]
fn quirks_render_as_decided() {
    for line in lines(&oracle("render.jsonl")).filter(is_quirk) {
        let (id, official) = (field(&line, "id"), field(&line, "prompt"));
        let prompt = render(&line);
        let text = prompt.display_text();
        match field(&line, "category") {
            "system_mid" => check_system_messages(id, &line, &text),
            "tool_history_no_tools" => {
                // Kept as with `drop_thinking: false`, which the official encoder renders.
                assert_ne!(text, official, "{id}");
                assert_eq!(text, with_all_reasoning(&line, official), "{id}");
            }
            _ => {
                assert_eq!(text, official, "{id}");
                assert_eq!(encode(&TOKENIZER, &prompt), ids(line.get("ids").unwrap()), "{id}");
            }
        }
    }
}

/// The official rendering with each dropped reasoning put back in its place.
fn with_all_reasoning(line: &Value, official: &str) -> String {
    let mut out = String::new();
    let mut rest = official;
    for message in line.get("messages").unwrap().as_array().unwrap() {
        if field(message, "role") != "assistant" {
            continue;
        }
        let (before, after) = rest.split_once("<｜Assistant｜>").unwrap();
        out += before;
        out += "<｜Assistant｜>";
        if let Some(dropped) = after.strip_prefix("</think>") {
            out += "<think>";
            out += field(message, "reasoning_content");
            out += "</think>";
            rest = dropped;
        } else {
            rest = after;
        }
    }
    out + rest
}

/// Leading system messages are joined by an empty line; a later one is a turn of its own.
fn check_system_messages(id: &str, line: &Value, text: &str) {
    let messages = line.get("messages").unwrap().as_array().unwrap();
    let leading = messages.iter().take_while(|message| field(message, "role") == "system");
    let joined: Vec<&str> = leading.map(|message| field(message, "content")).collect();
    let start = format!("<｜begin▁of▁sentence｜>{}", joined.join("\n\n"));
    assert!(text.starts_with(&start), "{id}: {text}");
    for message in &messages[joined.len()..] {
        if field(message, "role") != "system" {
            continue;
        }
        let turn = format!("<｜User｜>{}", field(message, "content"));
        let after = text.split_once(&turn).unwrap_or_else(|| panic!("{id}: {text}")).1;
        assert!(after.starts_with("<｜User｜>") || after.starts_with("<｜Assistant｜>"), "{id}");
    }
    let asked = field(messages.last().unwrap(), "role") != "assistant";
    let opened =
        text.ends_with("<｜Assistant｜><think>") || text.ends_with("<｜Assistant｜></think>");
    assert_eq!(opened, asked, "{id}");
}

#[test]
fn typed_markers_stay_text() {
    let mut escaped = 0;
    for line in lines(&oracle("render_literals.jsonl")) {
        let id = field(&line, "id");
        let prompt = render(&line);
        let (text, expected) = match line.get("ids_escaped") {
            Some(expected) => (field(&line, "text_escaped"), expected),
            None => (field(&line, "text"), line.get("ids").unwrap()),
        };
        escaped += usize::from(line.get("ids_escaped").is_some());
        assert_eq!(prompt.display_text(), text, "{id}");
        let found = encode(&TOKENIZER, &prompt);
        for (token, count) in line.get("template_counts").unwrap().as_object().unwrap().iter() {
            let token: u32 = token.parse().unwrap();
            let times = found.iter().filter(|id| **id == token).count();
            assert_eq!(Some(times as u32), count.as_u32(), "{id}: token {token}");
        }
        assert_eq!(found, ids(expected), "{id}");
    }
    assert!(escaped > 0);
}

/// Every control token's literal in every field, alone, doubled and in two halves: the number of
/// control tokens is that of the same conversation without them.
#[test]
fn no_field_yields_a_control_token() {
    let conversation = |typed: &str| {
        let typed = ds4_text::json::string_text(typed);
        let text = r#"{"tools": [{"type": "function", "function": {"name": "f", "description": X,
            "parameters": {X: {"a": [X]}}}}], "response_format": {"type": X}, "messages": [
            {"role": "system", "content": X}, {"role": "latest_reminder", "content": X},
            {"role": "user", "content": X}, {"role": "assistant", "content": X,
            "reasoning_content": X, "tool_calls": [{"id": X, "function": {"name": X, "arguments":
            {X: X, "n": {X: X}}}}, {"id": "b", "function": {"name": "g", "arguments": X}}]},
            {"role": "tool", "tool_call_id": X, "content": X}, {"role": "tool", "content":
            [{"type": "text", "text": X}, {"type": X}]}, {"role": "developer", "content": X},
            {"role": "user", "content": [{"type": "text", "text": X}]}]}"#;
        let value = ds4_text::json::parse(&text.replace('X', &typed)).unwrap();
        let prompt = render(&value);
        encode(&TOKENIZER, &prompt).into_iter().filter(|id| TOKENIZER.is_special(*id)).count()
    };
    let expected = conversation("plain");
    let vocabulary = 0..TOKENIZER.vocabulary_size() as u32;
    for id in vocabulary.filter(|id| TOKENIZER.is_special(*id)) {
        let literal = String::from_utf8(TOKENIZER.token_bytes(id).to_vec()).unwrap();
        let chat = Special::ALL.iter().any(|special| special.literal() == literal);
        let forms = [literal.clone(), literal.repeat(2), format!("<{literal}> {literal}\n")];
        // The reserved places differ by a number only: one form of each will do.
        for form in forms.iter().take(if chat { 3 } else { 1 }) {
            assert_eq!(conversation(form), expected, "{form}");
        }
    }
}

#[test]
fn what_the_official_encoder_refuses() {
    for line in lines(&oracle("render_errors.jsonl")) {
        let category = field(&line, "category");
        let result = chat::conversation(&line)
            .and_then(|conversation| chat::render(&conversation.messages, &options(&conversation)));
        let text = result.map(|prompt| prompt.display_text()).map_err(|error| error.to_string());
        let start = "<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜></think>";
        let call = |parameter: &str| {
            format!(
                "{start}\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n{parameter}\n\
                 </｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜><｜User｜><tool_result>r\
                 </tool_result><｜Assistant｜></think>"
            )
        };
        let whole = |text: &str| {
            call(&format!(
                "<｜DSML｜parameter name=\"arguments\" string=\"true\">{text}</｜DSML｜parameter>"
            ))
        };
        let expected = match category {
            "effort_low_preview" | "effort_low_preview_chat" => Err("effort \"low\""),
            "effort_unknown" | "effort_none_word" => Err("options.effort"),
            "mode_unknown" => Err("options.thinking_mode"),
            "role_unknown" => Err("messages[0].role"),
            "developer_empty" => Err("messages[0]: a developer message needs text"),
            "user_null" => Err("messages[0].content"),
            "task_unknown" => Err("messages[0].task"),
            // Parts are joined; the official encoder prints or refuses the list.
            "user_list" | "developer_list" => Ok(start.replacen("hi", "onetwo", 1)),
            "system_list_repr" => Ok(start.replacen("<｜User｜>", "onetwo<｜User｜>", 1)),
            "assistant_list_repr" => Ok(format!(
                "{start}onetwo<｜end▁of▁sentence｜>{}",
                &start["<｜begin▁of▁sentence｜>".len()..]
            )),
            // Null is empty, not "None".
            "tool_null_repr" | "reminder_null_repr" => {
                Ok(field(&line, "official_prompt").replace("None", ""))
            }
            "args_array" => Ok(whole("[1, 2]")),
            "args_string" => Ok(whole("\"text\"")),
            "args_number" => Ok(whole("5")),
            "args_null" => Ok(whole("null")),
            "args_true" => Ok(whole("true")),
            "args_object_not_text" => {
                Ok(call("<｜DSML｜parameter name=\"a\" string=\"false\">1</｜DSML｜parameter>"))
            }
            _ => Ok(field(&line, "official_prompt").to_owned()),
        };
        match (text, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{category}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{category}: {error}"),
            (text, expected) => panic!("{category}: {text:?}, expected {expected:?}"),
        }
    }
}
