//! Developer commands: `cargo xtask COMMAND`. The work is done in the library; this file reads
//! the command line and turns results into an exit status.

use std::process::ExitCode;

const HELP: &str = "\
Developer commands of ds4.

Usage: cargo xtask COMMAND

Commands:
  check   the rules of this repository that no compiler checks (ARCHITECTURE.md)
  demo-eval SAMPLES.jsonl [--ds4 BINARY] [--model FILE] [--samples N] [--wrong OUT.txt]
          how often the demo model is right, through ds4 itself; samples: tools/nano/make_eval.py
  sparse-model --shape flash|pro|nano --profile q2|q4|q2-q4|mxfp4|q2-aproj-q4|q4-aproj-q4
               [--layers N] [--random SEED] OUT.gguf
          a model file with the real directory and a hole where the weights would be,
          or random weights of the right size
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => check(),
        ["demo-eval", rest @ ..] => xtask::demo_eval::run(rest),
        ["sparse-model", rest @ ..] => xtask::sparse::run(rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => anyhow::bail!("unknown command `{}`; see `cargo xtask --help`", words.join(" ")),
    }
}

/// Prints every finding; fails when one of them is an error.
fn check() -> anyhow::Result<ExitCode> {
    let report = xtask::check::run(&xtask::repository_root())?;
    print!("{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
