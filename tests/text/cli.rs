//! `ds4 tokenize` as a user runs it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use ds4_text::json::{self, Value};

use super::{cached, ids, lines, oracle, root};

fn tokenize(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ds4"))
        .arg("tokenize")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn printed(arguments: &[&str], input: &str) -> String {
    let output = tokenize(arguments, input);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn refused(arguments: &[&str]) -> String {
    let output = tokenize(arguments, "");
    assert!(!output.status.success(), "{arguments:?} passes");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn vocabulary() -> String {
    cached("tokenizer.json");
    root().join("target/text-oracle/tokenizer.json").display().to_string()
}

#[test]
fn prints_ids_and_pieces_and_marks_special_tokens() {
    let model = vocabulary();
    let table = printed(&["-m", &model, "--raw", "-p", "<｜User｜>Hi 😀\n"], "");
    let expected = " 128803  \"<｜User｜>\"  special\n  23166  \"Hi\"\n";
    assert!(table.starts_with(expected), "{table}");
    assert!(table.contains("\\x"), "a token that is part of a character:\n{table}");
    assert_eq!(
        printed(&["-m", &model, "--ids", "-p", "Hello, world!"], ""),
        "[19923, 14, 2058, 3]\n"
    );
    assert_eq!(printed(&["-m", &model, "--ids"], "Hello, world!"), "[19923, 14, 2058, 3]\n");
    assert_eq!(printed(&["-m", &model, "--ids", "-p", ""], ""), "[]\n");
    // Without --raw the same literal is text.
    assert!(!printed(&["-m", &model, "-p", "<｜User｜>"], "").contains("special"));
}

#[test]
fn renders_the_conversations_of_the_oracle() {
    let text = oracle("render.jsonl");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("render.jsonl");
    std::fs::write(&path, &text).expect("written");
    let path = path.to_str().expect("UTF-8");
    let ids_printed = printed(&["-m", &vocabulary(), "--chat", path, "--ids"], "");
    let texts_printed = printed(&["-m", &vocabulary(), "--chat", path], "");
    let mut count = 0;
    for ((line, found), shown) in
        lines(&text).zip(ids_printed.lines()).zip(texts_printed.split('\n'))
    {
        let quirk = line.get("quirk").and_then(Value::as_bool) == Some(true);
        if !quirk {
            let found = json::parse(found).expect("a JSON list");
            assert_eq!(ids(&found), ids(line.get("ids").expect("ids")));
            assert_eq!(
                json::parse(shown).expect("a JSON string"),
                *line.get("prompt").expect("text")
            );
        }
        count += 1;
    }
    assert_eq!(count, ids_printed.lines().count());
    assert!(count >= 40, "only {count} conversations");
}

#[test]
fn options_win_over_the_conversation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chat.json");
    std::fs::write(&path, r#"[{"role": "user", "content": "Q"}]"#).expect("written");
    let path = path.to_str().expect("UTF-8");
    let model = vocabulary();
    let shown = |more: &[&str]| printed(&[&["-m", &model, "--chat", path], more].concat(), "");
    let question = "<｜begin▁of▁sentence｜><｜User｜>Q<｜Assistant｜>";
    assert_eq!(shown(&[]), format!("{question}<think>\n"));
    assert_eq!(shown(&["--mode", "chat"]), format!("{question}</think>\n"));
    assert!(shown(&["--effort", "max"]).contains("Reasoning Effort: Absolute maximum"));
    let later = ["--effort", "max", "--checkpoint", "0731"];
    assert!(shown(&later).contains("Reasoning Effort: Beyond maximum"));
    assert!(shown(&["--pieces"]).contains("128804  \"<｜Assistant｜>\"  special\n"));
}

#[test]
fn says_what_is_wrong() {
    let model = vocabulary();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.jsonl");
    std::fs::write(&path, "{\"messages\": []}\n{\"messages\": [{\"role\": \"robot\"}]}\n").unwrap();
    let path = path.to_str().expect("UTF-8");
    let error = refused(&["-m", &model, "--chat", path]);
    assert!(error.contains("line 2") && error.contains("messages[0].role"), "{error}");
    assert!(refused(&["-m", path, "-p", "x"]).contains("neither a GGUF nor"));
    assert!(refused(&["-m", "/no/such/file", "-p", "x"]).contains("cannot open /no/such/file"));
    assert!(refused(&["-p", "x"]).contains("--model"));
    let cut = folder.path().join("cut.gguf");
    let model = super::tokenizer::toy_models().remove(0).join("model.gguf");
    std::fs::write(&cut, &std::fs::read(model).unwrap()[..9000]).unwrap();
    assert!(refused(&["-m", cut.to_str().unwrap(), "-p", "x"]).contains("after 9000 bytes"));
}

#[test]
fn exports_every_prompt_string() {
    let export = json::parse(&printed(&["--export-prompts"], "")).expect("JSON");
    let strings = export.get("strings").and_then(Value::as_object).expect("an object");
    let tools = strings.get("tools_head").and_then(Value::as_str).expect("a text");
    assert!(tools.starts_with("## Tools\n\nYou have access"));
    assert!(strings.iter().all(|(_, text)| text.as_str().is_some_and(|text| !text.is_empty())));
    let specials = export.get("specials").and_then(Value::as_object).expect("an object");
    assert_eq!(specials.get("end_think").and_then(Value::as_str), Some("</think>"));
}
