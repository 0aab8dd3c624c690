//! The one integration-test binary.

mod inspect;
mod tidy;
