//! What is printed where.

use super::{Home, text, toy};
use crate::support::case::case;

#[test]
fn greedy_chat_and_raw_prompts_stream_the_oracles_text() {
    let home = Home::new();
    let toy = toy();
    let wanted = case("quant_q4").generate();
    let question = wanted["prompt"].as_str().expect("a prompt");
    let expected = format!("{}\n", wanted["text_ds4kv"].as_str().expect("a text"));
    let chat = ["--nothink", "--temperature", "0", "-n", "16", "-p", question];
    assert_eq!(home.printed(&[&["-m", &toy], &chat[..]].concat()), expected);
    let raw = format!("<｜begin▁of▁sentence｜><｜User｜>{question}<｜Assistant｜></think>");
    let output = home.run(&["run", "-m", &toy, "--raw", "-n", "16", "-p", &raw]);
    assert_eq!(text(&output.stdout), expected);
    let summary = text(&output.stderr);
    for part in
        ["16 generated", "tokens/s", "ms/token", "GB/s", "logits hash", "token limit (-n)", "CPU"]
    {
        assert!(summary.contains(part), "{summary}");
    }
    // From a file, from a pipe, and both.
    let file = home.write("question.txt", format!("{question}\n").as_bytes());
    let greedy = ["-m", &toy, "--nothink", "--temperature", "0", "-n", "16", "-q"];
    let from_file = home.run(&[&greedy[..], &["--prompt-file", &file]].concat());
    assert_eq!(
        (text(&from_file.stdout), text(&from_file.stderr)),
        (expected.clone(), String::new())
    );
    let piped = home.run_with(&greedy, question.as_bytes());
    assert_eq!(text(&piped.stdout), expected);
    let both = home.run_with(&[&greedy[..], &["-p", "a", "-f", "-"]].concat(), b"b\n");
    assert_eq!(text(&both.stdout), home.printed(&[&greedy[..], &["-p", "a\n\nb"]].concat()));
}

#[test]
fn seeds_repeat_and_are_told() {
    let home = Home::new();
    let toy = toy();
    let ask = ["-m", &toy, "-p", "rivers", "-n", "30", "--nothink"];
    let first = home.run(&ask);
    let summary = text(&first.stderr);
    let seed =
        summary.split("seed ").nth(1).and_then(|rest| rest.split(',').next()).expect("a seed");
    assert_eq!(home.printed(&[&ask[..], &["--seed", seed]].concat()), text(&first.stdout));
    assert_ne!(home.printed(&[&ask[..], &["--seed", "1"]].concat()), text(&first.stdout));
}

#[test]
fn json_holds_the_whole_answer() {
    let home = Home::new();
    let (toy, lines) = (toy(), home.path("lines.jsonl"));
    let shown = lines.display().to_string();
    let ask =
        ["-m", &toy, "-p", "rivers", "-n", "12", "--seed", "5", "--think-budget", "4", "--json"];
    let dump = ["--dump-logprobs", &shown, "--top-logprobs", "3"];
    let printed = home.printed(&[&ask[..], &dump[..]].concat());
    let answer: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(answer["usage"]["completion_tokens"], 12);
    assert_eq!(answer["sampling"]["seed"], 5);
    assert_eq!(answer["finish_reason"], "length");
    assert!(answer["usage"]["reasoning_tokens"].as_u64().is_some_and(|count| count >= 1));
    assert!(answer["timings"]["tokens_per_second"].as_f64().is_some_and(|rate| rate > 0.0));
    let lines = std::fs::read_to_string(lines).expect("log-probabilities");
    assert_eq!(lines.lines().count(), 12);
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(line["logprob"].as_f64().is_some_and(|value| value < 0.0), "{line}");
        assert_eq!(line["top"].as_array().map(Vec::len), Some(3));
    }
    // Reasoning stays out of pipes unless asked for.
    let plain = home.printed(&ask[..ask.len() - 1]);
    assert_eq!(plain.trim_end(), answer["text"].as_str().expect("a text").trim_end());
    let shown = home.printed(&[&ask[..ask.len() - 1], &["--show-thinking"]].concat());
    let both = format!("<think>\n{}", answer["reasoning"].as_str().expect("a text"));
    assert!(shown.starts_with(&both) && shown.contains("</think>\n"), "{shown}");
}

#[test]
fn models_are_found_by_name_and_variable() {
    let home = Home::new();
    let folder = home.path("ds4/models");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(toy(), folder.join("toy.gguf")).expect("a copy");
    let only = home.printed(&["-p", "x", "-n", "3", "--temperature", "0"]);
    assert_eq!(home.printed(&["-m", "toy", "-p", "x", "-n", "3", "--temperature", "0"]), only);
    let mut command = home.command(&["-p", "x", "-n", "3", "--temperature", "0"]);
    let named = command.env("DS4_MODEL", toy()).output().expect("it runs");
    assert_eq!(text(&named.stdout), only);
}

#[test]
fn help_completions_and_man_pages_come_from_one_table() {
    let home = Home::new();
    let help = home.printed(&["--help"]);
    for part in
        ["Exit codes:", "130 interrupted", "DS4_MODEL", "ds4/models", "Examples:", "Greedy unless"]
    {
        assert!(help.contains(part), "the help lacks {part:?}");
    }
    let pages = home.path("man");
    home.printed(&["man", pages.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(pages.join("ds4-run.1")).expect("a page");
    let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
    let scripts = shells.map(|shell| home.printed(&["completions", shell]));
    for flag in ["prompt-file", "think-budget", "logit-bias", "dump-logprobs", "show-thinking"] {
        assert!(help.contains(&format!("--{flag}")), "help: {flag}");
        assert!(page.contains(&flag.replace('-', "\\-")), "man page: {flag}");
        assert!(scripts.iter().all(|script| script.contains(flag)), "completions: {flag}");
    }
}
