//! The one integration-test binary.

mod inspect;
mod oracle;
mod plan;
mod support;
mod text;
mod tidy;
