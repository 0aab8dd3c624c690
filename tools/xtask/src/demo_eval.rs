//! `cargo xtask demo-eval`: how often the demo model is right, measured through `ds4` itself.
//!
//! Samples come from `tools/nano/make_eval.py`, one JSON object a line. Each is one greedy run of the
//! binary on the rendered prompt; the answer must be the expected text, or the expected calls in the
//! official form. Only the first step of a sample counts (tools/nano/make_eval.py, `steps`).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

const USAGE: &str = "usage: cargo xtask demo-eval SAMPLES.jsonl [--ds4 BINARY] [--model FILE] \
                     [--samples N] [--wrong OUT.txt]";
const END_OF_TURN: &str = "<｜end▁of▁sentence｜>";
const END_OF_THINKING: &str = "</think>";

/// Right and all answers of a group of tasks.
type Score = (usize, usize);

struct Options<'a> {
    samples: &'a Path,
    ds4: &'a str,
    model: &'a str,
    per_group: usize,
    wrong: Option<&'a Path>,
}

/// Runs the command with the words after its name.
///
/// # Errors
/// Unknown options, a file that cannot be read, or a `ds4` that fails.
pub fn run(words: &[&str]) -> anyhow::Result<ExitCode> {
    let options = parse(words)?;
    let text = std::fs::read_to_string(options.samples)
        .with_context(|| format!("cannot read {}", options.samples.display()))?;
    let samples = chosen(&text, options.per_group)?;
    ensure!(!samples.is_empty(), "{} holds no samples", options.samples.display());
    let state = Mutex::new((samples.iter(), BTreeMap::<String, Score>::new(), String::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let Some(sample) = state.lock().expect("no panic").0.next() else { return Ok(()) };
            let found = answer(&options, sample)?;
            let expected = expected(sample)?;
            let mut state = state.lock().expect("no panic");
            let score = state.1.entry(field(sample, "group")?.to_owned()).or_default();
            score.1 += 1;
            if found.trim() == expected.trim() {
                score.0 += 1;
            } else {
                state.2.push_str(&format!("{sample}\nexpected {expected}\nfound {found}\n\n"));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no panic"))
    })?;
    let (_, scores, wrong) = state.into_inner().expect("no panic");
    for (group, (right, all)) in scores {
        println!("{group:24} {right:4} of {all:4}  {:5.1} %", 100.0 * right as f64 / all as f64);
    }
    if let Some(path) = options.wrong {
        std::fs::write(path, wrong).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse<'a>(words: &[&'a str]) -> anyhow::Result<Options<'a>> {
    let mut options = Options {
        samples: Path::new(""),
        ds4: "target/release/ds4",
        model: "nano",
        per_group: usize::MAX,
        wrong: None,
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut value = || words.next().copied().context(USAGE);
        match word {
            "--ds4" => options.ds4 = value()?,
            "--model" => options.model = value()?,
            "--samples" => options.per_group = value()?.parse().context(USAGE)?,
            "--wrong" => options.wrong = Some(Path::new(value()?)),
            _ if word.starts_with('-') => bail!("unexpected `{word}`; {USAGE}"),
            path => options.samples = Path::new(path),
        }
    }
    ensure!(options.samples != Path::new(""), USAGE);
    Ok(options)
}

/// The first samples of each group.
fn chosen(text: &str, per_group: usize) -> anyhow::Result<Vec<Value>> {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut samples = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let sample: Value =
            serde_json::from_str(line).with_context(|| format!("line {}", i + 1))?;
        let count = counts.entry(field(&sample, "group")?.to_owned()).or_default();
        *count += 1;
        if *count <= per_group {
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn field<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value[name].as_str().with_context(|| format!("a sample without `{name}`"))
}

/// What the model writes after the prompt, without its reasoning.
fn answer(options: &Options<'_>, sample: &Value) -> anyhow::Result<String> {
    let thinking = sample["thinking"] == true;
    let limit = if thinking { "400" } else { "160" };
    let mut child = Command::new(options.ds4)
        .args(["run", "-m", options.model, "--raw", "--quiet", "--threads", "1", "-n", limit])
        .args(["--stop", END_OF_TURN, "--prompt-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", options.ds4))?;
    let prompt = field(sample, "prompt")?;
    child.stdin.take().context("a pipe")?.write_all(prompt.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{} failed on {prompt:?}", options.ds4);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = if thinking { text.rsplit(END_OF_THINKING).next().unwrap_or("") } else { &text };
    Ok(text.to_owned())
}

/// The expected text, or the expected calls in the official form (spec/chat.md 6.1).
fn expected(sample: &Value) -> anyhow::Result<String> {
    let expect = &sample["steps"][0]["expect"];
    if field(expect, "kind")? == "text" {
        return Ok(field(expect, "text")?.to_owned());
    }
    let mut block = "<｜DSML｜tool_calls>\n".to_owned();
    for call in expect["calls"].as_array().context("`calls` is no list")? {
        block.push_str(&format!("<｜DSML｜invoke name=\"{}\">\n", field(call, "name")?));
        for (name, value) in call["arguments"].as_object().context("`arguments` is no object")? {
            let (is_text, value) = match value {
                Value::String(text) => (true, text.clone()),
                value => (false, value.to_string()),
            };
            block.push_str(&format!(
                "<｜DSML｜parameter name=\"{name}\" string=\"{is_text}\">{value}</｜DSML｜parameter>\n"
            ));
        }
        block.push_str("</｜DSML｜invoke>\n");
    }
    Ok(block + "</｜DSML｜tool_calls>")
}
