//! What stands behind `cargo xtask`. A library, so that the integration tests of the root package
//! run the same rules inside `cargo test`.

use std::path::PathBuf;

pub mod check;
pub mod demo_eval;
pub mod sparse;

/// The root of the checkout this crate was compiled in.
pub fn repository_root() -> PathBuf {
    // tools/xtask is two levels below the root.
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root.pop();
    root
}
