//! The one integration-test binary.

mod cli;
mod demo;
mod inspect;
mod oracle;
mod plan;
mod quantize;
mod runtime;
mod support;
mod text;
mod tidy;
