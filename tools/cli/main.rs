//! `ds4`: local inference for DeepSeek V4.

mod args;
mod inspect;
mod run;
mod tokenize;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match args::Cli::parse().dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ds4: {error:#}");
            ExitCode::FAILURE
        }
    }
}
