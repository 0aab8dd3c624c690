//! `ds4`: local inference for DeepSeek V4.

mod args;
mod complete;
mod demo;
mod imatrix;
mod inspect;
mod interrupt;
mod limits;
mod memory;
mod models;
mod quantize;
mod run;
mod terminal;
mod tokenize;
mod units;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match args::Cli::parse().dispatch() {
        Ok(code) => code,
        Err(error) if reader_is_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("ds4: {error:#}"));
            ExitCode::from(if error.is::<args::Usage>() { 2 } else { 1 })
        }
    }
}

/// A reader that went away is no error: `ds4 ... | head` ends quietly.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}
