//! `ds4` as a user runs it: what it prints where, exit codes, messages, Ctrl-C.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use ds4_format::gguf::{GgufWriter, Value};
use ds4_model::inventory::Profile;
use ds4_model::inventory::synthetic::sparse_model;
use ds4_model::shape::Shape;
use tempfile::TempDir;

use crate::support::case::case;

/// A user without models, with files that are wrong in many ways.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.path(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ds4"));
        command.args(arguments).env_remove("DS4_MODEL").env("XDG_DATA_HOME", self.0.path());
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        // It may have ended before it reads.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    /// Standard output of a run that must succeed, and say no word of failure.
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        text(&output.stdout)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn toy() -> String {
    case("quant_q4").model().display().to_string()
}

/// A model of another family, otherwise in order.
fn foreign(home: &Home) -> String {
    let mut writer = GgufWriter::new();
    writer.key("general.architecture", Value::String("llama".into()));
    let directory = writer.finish().expect("can be written");
    home.write("llama.gguf", &directory.bytes)
}

/// Flash as it is published, without its weights.
fn flash(home: &Home) -> String {
    let model = sparse_model(&Shape::flash(), Profile::Q2).expect("can be written");
    let path = home.write("flash.gguf", &model.header);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    file.set_len(model.file_bytes).expect("a hole");
    path
}

#[test]
fn every_mistake_has_its_exit_code_and_says_what_to_do() {
    let home = Home::new();
    let toy = toy();
    let good = std::fs::read(&toy).expect("a model");
    let [folder, absent] =
        ["folder", "absent/file"].map(|name| home.path(name).display().to_string());
    std::fs::create_dir(&folder).expect("a folder");
    let latin1 = home.write("latin1.txt", b"caf\xe9");
    let empty = home.write("empty.txt", b"\n");
    let words = home.write("words.txt", b"1 2 three");
    let beyond = home.write("beyond.txt", b"1 2 512");
    let cut = home.write("cut.gguf", &good[..good.len() / 2]);
    let noise = home.write("noise.gguf", b"this is no model at all");
    let nothing = home.write("nothing.gguf", b"");
    let (foreign, flash) = (foreign(&home), flash(&home));
    let mut rows = 0;
    let mut refuse = |arguments: &[&str], code: i32, needles: &[&str]| {
        let output = home.run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints on standard output");
        for needle in needles {
            assert!(error.contains(needle), "{arguments:?}: {error:?} lacks {needle:?}");
        }
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
        rows += 1;
    };
    // Which model.
    refuse(
        &["-p", "x"],
        1,
        &["no model", "Download a DeepSeek V4 GGUF from https://", "-m FILE", "DS4_MODEL"],
    );
    refuse(&["-m", &absent, "-p", "x"], 1, &["there is no file", "absent/file", "check the path"]);
    refuse(&["-m", "flash9", "-p", "x"], 1, &["no model in", "check the name", "download"]);
    refuse(&["-m", &folder, "-p", "x"], 1, &["folder", "is a", "regular file is needed"]);
    refuse(&["-m", &noise, "-p", "x"], 1, &["noise.gguf", "GGUF"]);
    refuse(&["-m", &nothing, "-p", "x"], 1, &["nothing.gguf"]);
    refuse(&["-m", &cut, "-p", "x"], 1, &["cut.gguf", "bytes"]);
    refuse(
        &["-m", &foreign, "-p", "x"],
        1,
        &["llama.gguf", "general.architecture = \"llama\"", "DeepSeek V4 family only"],
    );
    refuse(
        &["-m", &flash, "-p", "x", "--memory", "24G"],
        1,
        &[
            "flash.gguf needs",
            "80.8 GiB of weights",
            "24.0 GiB",
            "smaller quantisation",
            "56.8 GiB too large",
        ],
    );
    refuse(
        &["-m", &toy, "-p", "x", "--memory", "16M", "-c", "1M"],
        1,
        &["16.0 MiB", "1 x 1048576 tokens", "fits: use -c"],
    );
    refuse(&["-m", &toy, "-p", "x", "-c", "2M"], 2, &["-c", "32768, 32k or 1M"]);
    // What to ask.
    refuse(&["-m", &toy], 1, &["the prompt is empty", "-p TEXT"]);
    refuse(&["-m", &toy, "-p", ""], 1, &["the prompt is empty", "--prompt-file FILE"]);
    refuse(&["-m", &toy, "--raw", "-p", ""], 1, &["the prompt is empty"]);
    refuse(&["-m", &toy, "--prompt-file", &empty], 1, &["the prompt is empty"]);
    refuse(&["-m", &toy, "--prompt-file", &absent], 1, &["cannot open", "check the path"]);
    refuse(&["-m", &toy, "--prompt-file", &folder], 1, &["is a folder", "name a text file"]);
    refuse(
        &["-m", &toy, "--prompt-file", &latin1],
        1,
        &["latin1.txt is not UTF-8 text (byte 3)", "iconv"],
    );
    refuse(
        &["-m", &toy, "--prompt-file", "/dev/zero"],
        1,
        &["more than 67108864 bytes", "shorter text"],
    );
    refuse(
        &["-m", &toy, "-p", &"word ".repeat(100), "-c", "64"],
        1,
        &["the context 64: use -c", "shorten the prompt"],
    );
    refuse(
        &["-m", &toy, "-p", "x", "--effort", "low"],
        1,
        &["\"low\" is not known to this checkpoint", "\"high\" or \"max\""],
    );
    refuse(&["-m", &toy, "-p", "x", "--effort", "huge"], 2, &["none, low, high, max"]);
    refuse(&["-m", &toy, "-p", "x", "--effort", "none", "--think"], 2, &["leave out --think"]);
    refuse(&["-m", &toy, "-p", "x", "--nothink", "--think"], 2, &["cannot be used with"]);
    refuse(
        &["-m", &toy, "-p", "x", "--nothink", "--think-budget", "5"],
        2,
        &["cannot be used with"],
    );
    refuse(
        &["-m", &toy, "-p", "x", "--raw", "--system", "y"],
        2,
        &["cannot be used with", "--help"],
    );
    refuse(&["-m", &toy, "-p", "x", "--checkpoint", "0999"], 2, &["preview, 0731"]);
    // How long and how to draw.
    refuse(&["-m", &toy, "-p", "x", "-n", "0"], 2, &["at least 1"]);
    refuse(&["-m", &toy, "-p", "x", "-n", "-5"], 2, &["at least 1"]);
    refuse(&["-m", &toy, "-p", "x", "-n", "many"], 2, &["at least 1"]);
    refuse(&["-m", &toy, "-p", "x", "-c", "0"], 2, &["1 to 1048576"]);
    refuse(&["-m", &toy, "-p", "x", "--chunk", "0"], 2, &["at least 1"]);
    refuse(
        &["-m", &toy, "-p", "x", "--temperature", "-1"],
        2,
        &["temperature is -1", "from 0 to 100", "--help"],
    );
    refuse(&["-m", &toy, "-p", "x", "--temperature", "NaN"], 2, &["temperature is NaN"]);
    refuse(&["-m", &toy, "-p", "x", "--temperature", "hot"], 2, &["--temperature"]);
    refuse(&["-m", &toy, "-p", "x", "--top-p", "0"], 2, &["top_p is 0", "at most 1"]);
    refuse(&["-m", &toy, "-p", "x", "--top-p", "1.5"], 2, &["top_p is 1.5"]);
    refuse(&["-m", &toy, "-p", "x", "--min-p", "2"], 2, &["min_p is 2"]);
    refuse(&["-m", &toy, "-p", "x", "--top-k", "513"], 1, &["top_k is 513", "at most 512"]);
    refuse(
        &["-m", &toy, "-p", "x", "--repetition-penalty", "0"],
        2,
        &["repetition_penalty is 0", "1 is none"],
    );
    refuse(
        &["-m", &toy, "-p", "x", "--presence-penalty", "3"],
        2,
        &["presence_penalty is 3", "-2 to 2"],
    );
    refuse(&["-m", &toy, "-p", "x", "--frequency-penalty", "-3"], 2, &["frequency_penalty is -3"]);
    refuse(
        &["-m", &toy, "-p", "x", "--logit-bias", "512=1"],
        1,
        &["token 512", "0 to 511", "ds4 tokenize"],
    );
    refuse(&["-m", &toy, "-p", "x", "--logit-bias", "5"], 2, &["ID=BIAS"]);
    refuse(
        &["-m", &toy, "-p", "x", "--logit-bias", "5=1", "--logit-bias", "5=2"],
        2,
        &["token 5 twice"],
    );
    refuse(&["-m", &toy, "-p", "x", "--stop", ""], 1, &["stop string 1 has 0 bytes"]);
    refuse(&["-m", &toy, "-p", "x", "--seed", "-1"], 2, &["--seed"]);
    refuse(&["-m", &toy, "-p", "x", "--top-logprobs", "3"], 2, &["--dump-logprobs"]);
    // Where it runs and where results go.
    refuse(
        &["-m", &toy, "-p", "x", "--backend", "cuda"],
        1,
        &["no cuda back end", "--backend cpu"],
    );
    refuse(&["-m", &toy, "-p", "x", "--backend", "tpu"], 2, &["auto, cpu, metal, vulkan, cuda"]);
    refuse(&["-m", &toy, "-p", "x", "--device", "1"], 1, &["one device", "leave --device out"]);
    refuse(
        &["-m", &toy, "-p", "x", "--dump-logprobs", &folder],
        1,
        &["cannot write", "name a file"],
    );
    refuse(
        &["-m", &toy, "-p", "x", "--dump-logprobs", &absent],
        1,
        &["cannot write", "make its folder first"],
    );
    refuse(&["-m", &toy, "--tokens", &words], 2, &["--dump-logits"]);
    let out = home.path("out.safetensors").display().to_string();
    refuse(
        &["-m", &toy, "--tokens", &words, "--dump-logits", &out],
        1,
        &["words.txt", "word 3 is \"three\""],
    );
    refuse(
        &["-m", &toy, "--tokens", &beyond, "--dump-logits", &out],
        1,
        &["token 512 (word 3)", "0 to 511"],
    );
    refuse(&["-m", &toy, "--tokens", &empty, "--dump-logits", &out], 1, &["no token ids"]);
    refuse(&["-m", &toy, "--tokens", &absent, "--dump-logits", &out], 1, &["cannot open"]);
    let ids = home.write("ids.txt", b"1 2 3");
    refuse(
        &["-m", &toy, "--tokens", &ids, "--dump-logits", &absent],
        1,
        &["cannot write", "folder first"],
    );
    refuse(
        &["-m", &toy, "--tokens", &ids, "--dump-logits", &out, "--lanes", "0"],
        2,
        &["at least 1"],
    );
    let positions = ["--dump-tensors", "--dump-positions", "0,3"];
    refuse(
        &[&["-m", &toy, "--tokens", &ids, "--dump-logits", &out], &positions[..]].concat(),
        1,
        &["position 3", "0 to 2"],
    );
    // Words.
    refuse(&["fly"], 2, &["--help"]);
    refuse(&["--fly"], 2, &["--help"]);
    refuse(&["completions", "dosshell"], 2, &["bash", "zsh", "fish"]);
    refuse(&["man", &ids], 1, &["cannot write man pages", "name a folder"]);
    println!("{rows} rows");
    assert!(rows >= 60);
}

#[test]
fn the_advice_on_memory_is_true() {
    let home = Home::new();
    let (toy, memory) = (toy(), ["--memory", "16M", "-p", "x", "-n", "2"]);
    let refused = home.run(&[&["-m", &toy, "-c", "1M"], &memory[..]].concat());
    let message = text(&refused.stderr);
    let advice = message.rsplit_once("use -c ").expect("advice").1.trim().to_owned();
    let tokens: usize = advice.parse().expect("a number");
    home.printed(&[&["-m", &toy, "-c", &advice], &memory[..]].concat());
    let twice = (2 * tokens).to_string();
    assert_eq!(
        home.run(&[&["-m", &toy, "-c", &twice], &memory[..]].concat()).status.code(),
        Some(1)
    );
}

#[test]
fn exact_rows_are_advised_where_packed_ones_do_not_exist() {
    let home = Home::new();
    let model = case("f32_small").model().display().to_string();
    let refused = home.run(&["-m", &model, "-p", "x", "-n", "2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("use --kv exact"));
    home.printed(&["-m", &model, "-p", "x", "-n", "2", "--kv", "exact"]);
}

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

/// A run whose output is read by nobody yet.
fn spawn(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let (toy, endless) = (toy(), ["--raw", "-p", "x", "-n", "100000", "-c", "200k"]);
    let mut child = spawn(&home, &[&["-m", &toy], &endless[..]].concat());
    let mut first = [0; 10];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("some text");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("ds4:"), "{}", text(&output.stderr));
    // Nor is one that never was.
    for shell in ["ds4 --help >&-", "ds4 -p x -m /absent 2>&-; test $? = 1"] {
        let script = shell.replace("ds4", env!("CARGO_BIN_EXE_ds4"));
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert_ne!(status.code(), Some(101), "{shell}: a panic");
    }
}

fn interrupt(child: &Child) {
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
}

/// Interrupts a run; how long it takes to end, how, and what it says.
fn interrupted(mut child: Child) -> (Duration, ExitStatus, String) {
    let start = Instant::now();
    interrupt(&child);
    let status = child.wait().expect("it ends");
    let time = start.elapsed();
    let mut errors = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("UTF-8");
    (time, status, errors)
}

/// Ctrl-C must end a run within 300 ms. The machine may be busy with other tests, so one of three tries counts.
fn ends_soon(start: impl Fn() -> Child, summary: &[&str]) {
    let mut times = Vec::new();
    for _ in 0..3 {
        let (time, status, errors) = interrupted(start());
        assert_eq!(status.code(), Some(130), "{errors}");
        for part in summary {
            assert!(errors.contains(part), "{errors:?} lacks {part:?}");
        }
        times.push(time);
        if time <= Duration::from_millis(300) {
            println!("{summary:?}: {times:?}");
            return;
        }
    }
    panic!("{summary:?}: {times:?}");
}

fn long_prompt(home: &Home) -> String {
    home.write("long.txt", "every token is another token ".repeat(4000).as_bytes())
}

#[test]
fn ctrl_c_ends_a_prefill() {
    let home = Home::new();
    let (toy, long) = (toy(), long_prompt(&home));
    let start = |chunk: &'static str| {
        let (home, toy, long) = (&home, &toy, &long);
        move || {
            let child = spawn(home, &["-m", toy, "--prompt-file", long, "--chunk", chunk]);
            std::thread::sleep(Duration::from_millis(1500));
            child
        }
    };
    ends_soon(start("64"), &["interrupted", "prompt tokens"]);
    // Segments that take longer than anyone wants to wait.
    ends_soon(start("100000"), &["interrupted", "prompt tokens"]);
}

#[test]
fn ctrl_c_ends_a_generation() {
    let home = Home::new();
    let toy = toy();
    let start = || {
        let endless = ["--raw", "-p", "x", "-n", "100000", "-c", "200k"];
        let mut child = spawn(&home, &[&["-m", &toy], &endless[..]].concat());
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        out.fill_buf().expect("some text");
        // Somebody must go on reading.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        child
    };
    ends_soon(start, &["interrupted", "generated", "Ctrl-C", "logits hash"]);
}

#[test]
fn ctrl_c_before_the_run_ends_it_too() {
    let home = Home::new();
    let mut command = home.command(&["-m", &toy()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let held = child.stdin.take();
    std::thread::sleep(Duration::from_millis(500));
    let (_, status, errors) = interrupted(child);
    assert_eq!(status.code(), Some(130), "{errors}");
    assert!(errors.contains("interrupted"), "{errors}");
    drop(held);
}

#[test]
fn the_folder_of_models_is_not_needed() {
    let home = Home::new();
    let mut command = home.command(&["-p", "x"]);
    let output = command.env_remove("XDG_DATA_HOME").env_remove("HOME").output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("-m FILE"), "{}", text(&output.stderr));
}
