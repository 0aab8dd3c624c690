//! The demo model inside the program: what a new user sees first.

use std::process::{Command, Output};

/// `ds4` with an empty home: no model anywhere.
fn ds4(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_ds4"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("ds4 starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn demo_model_answers_without_a_file() {
    let output = ds4(&["-p", "What is 12 + 30?", "--temperature", "0"]);
    let (answer, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(answer.contains("42"), "{answer}");
    assert!(said.starts_with("no model given: using the built-in demo model"), "{said}");
    assert!(said.contains("https://") && said.contains("-m FILE"), "{said}");
}

#[test]
fn demo_model_can_be_named_and_thinks() {
    let prompt = ["-m", "nano", "-p", "What is 348 + 275?", "--temperature", "0"];
    let output = ds4(&[&prompt[..], &["--think"]].concat());
    let (answer, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && !said.contains("no model given"), "{said}");
    assert!(answer.contains("623") && said.contains("of reasoning"), "{answer} {said}");
    let quiet = ds4(&["-p", "Hi", "-n", "1", "--quiet"]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
}
