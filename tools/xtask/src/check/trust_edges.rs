//! Modules that read outside bytes cannot panic by accident (design 3, rule 4): each denies the
//! lints below at its head, or its parent module does so for it.

use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "trust-edge";

/// Files and folders of code that reads what a user loads or sends. A new reader of outside bytes
/// is added here when it is written.
const EDGES: [&str; 18] = [
    "engine/format/src/bytes.rs",
    "engine/format/src/gguf/metadata.rs",
    "engine/format/src/gguf/parser.rs",
    "engine/format/src/gguf/reader.rs",
    "engine/format/src/gguf/set.rs",
    "engine/model/src/inventory/bind.rs",
    "engine/model/src/shape/metadata.rs",
    "engine/text/src/chat/from_json.rs",
    "engine/text/src/decode.rs",
    "engine/text/src/json/read.rs",
    "engine/text/src/tokenizer/tokenizer_json.rs",
    "engine/text/src/tokenizer/vocabulary.rs",
    "tools/quantize/src/importance/file.rs",
    "tools/quantize/src/source/checkpoint.rs",
    "tools/quantize/src/source/config.rs",
    "tools/quantize/src/source/gguf.rs",
    "tools/quantize/src/source/safetensors.rs",
    "tools/quantize/src/source/vocabulary.rs",
];

const LINTS: [&str; 5] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::indexing_slicing",
    "clippy::arithmetic_side_effects",
    "clippy::as_conversions",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    check_against(tree, &EDGES)
}

fn check_against(tree: &Tree, edges: &[&str]) -> Vec<Finding> {
    let belongs = |file: &SourceFile, edge: &str| {
        file.path.strip_prefix(edge).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let readers = tree
        .rust()
        .filter(|file| !file.is_test() && edges.iter().any(|edge| belongs(file, edge)))
        .filter_map(|file| check_file(tree, file));
    let gone = edges.iter().filter(|edge| !tree.exists(edge)).map(|edge| {
        let message = "is listed in tools/xtask/src/check/trust_edges.rs but does not exist";
        Finding::error(RULE, edge, 0, message.to_owned())
    });
    readers.chain(gone).collect()
}

fn check_file(tree: &Tree, file: &SourceFile) -> Option<Finding> {
    let mut missing = missing_lints(file);
    for parent in parents(&file.path).filter_map(|parent| tree.source(&parent)) {
        let also_missing = missing_lints(parent);
        missing.retain(|lint| also_missing.contains(lint));
    }
    let list = missing.join(", ");
    (!missing.is_empty()).then(|| {
        let message = format!(
            "reads outside bytes but does not deny {list}; put `#![deny(...)]` at its head, or at \
             its parent module's"
        );
        Finding::error(RULE, &file.path, 1, message)
    })
}

/// The lints that no inner attribute of the file denies or forbids.
fn missing_lints(file: &SourceFile) -> Vec<&'static str> {
    let attributes: Vec<&str> = file
        .code
        .split("#![")
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
        .filter(|attribute| attribute.contains("deny(") || attribute.contains("forbid("))
        .collect();
    LINTS
        .into_iter()
        .filter(|lint| !attributes.iter().any(|attribute| attribute.contains(lint)))
        .collect()
}

/// Where the modules above a file are written: `a/b/mod.rs`, `a/b.rs`, `a/mod.rs`, ...
fn parents(path: &str) -> impl Iterator<Item = String> {
    let ends: Vec<usize> = path.match_indices('/').map(|(end, _)| end).collect();
    ends.into_iter().rev().flat_map(move |end| {
        let folder = &path[..end];
        ["/mod.rs", ".rs", "/lib.rs", "/main.rs"].map(|tail| format!("{folder}{tail}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial() -> String {
        format!("//! Head.\n#![cfg_attr(\n    not(test),\n    deny({})\n)]\n", LINTS.join(",\n"))
    }

    fn found(files: &[(&str, &str)]) -> Vec<Finding> {
        check_against(&Tree::of(files), &["format/bytes.rs", "format/gguf"])
    }

    const CLEAN_FOLDER: (&str, &str) = ("format/gguf/tests.rs", "");

    #[test]
    fn an_edge_must_deny_every_lint() {
        let bytes = |text: &str| found(&[("format/bytes.rs", text), CLEAN_FOLDER]);
        let four = bytes(&denial().replace("clippy::as_conversions", "clippy::all"));
        assert_eq!(four.len(), 1);
        assert!(four[0].message.contains("deny clippy::as_conversions;"));
        assert!(bytes(&denial()).is_empty());
        assert_eq!(bytes(&denial().replace("deny(", "allow(")).len(), 1);
    }

    #[test]
    fn a_parent_speaks_for_its_modules() {
        let denial = denial();
        let bytes = ("format/bytes.rs", denial.as_str());
        let child = ("format/gguf/read.rs", "//! Head.\n");
        for parent in ["format/gguf/mod.rs", "format/gguf.rs"] {
            assert!(found(&[bytes, child, (parent, &denial)]).is_empty(), "{parent}");
        }
        assert_eq!(found(&[bytes, child])[0].path, child.0);
        assert_eq!(found(&[bytes, child, ("format/other.rs", &denial)])[0].path, child.0);
    }

    #[test]
    fn other_code_is_free_and_a_vanished_edge_is_found() {
        let denial = denial();
        assert!(
            found(&[("format/bytes.rs", &denial), ("format/bytes_more.rs", ""), CLEAN_FOLDER])
                .is_empty()
        );
        assert!(found(&[CLEAN_FOLDER])[0].message.contains("does not exist"));
    }
}
