//! The one integration-test binary.

mod inspect;
mod oracle;
mod support;
mod text;
mod tidy;
