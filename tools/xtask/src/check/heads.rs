//! Every source file begins by saying what it is for. A module of unit tests (`foo/tests.rs`,
//! `foo/tests/bar.rs`) is explained by its name.

use super::mask::Language;
use super::{Finding, Tree};

pub const RULE: &str = "file-head";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        let missing = match file.language {
            Language::Rust if file.is_unit_test() => None,
            Language::Rust => (!file.head().starts_with("//!")).then_some("`//!` comment"),
            Language::CLike | Language::Python => {
                file.head().trim().is_empty().then_some("comment")
            }
            Language::Plain => None,
        };
        if let Some(kind) = missing {
            let message = format!("begins with no {kind}; say in its first lines what it is for");
            findings.push(Finding::error(RULE, &file.path, 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headless_files_are_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! Head.\n"),
            ("b.rs", "/// Item.\nfn f() {}\n"),
            ("c.rs", "use x;\n//! Late.\n"),
            ("d.wgsl", "// Head.\nfn f() {}\n"),
            ("e.cu", "void f();\n"),
            ("f.py", "#!/usr/bin/env python3\n\"\"\"Head.\"\"\"\n"),
            ("g.py", "import x\n"),
            ("h.toml", "x = 1\n"),
            ("i.rs", "#![deny(x)]\n//! Head.\n"),
            ("j/tests.rs", "use super::*;\n"),
            ("k/tests/l.rs", "use super::*;\n"),
            ("tests/m.rs", "use super::*;\n"),
        ]);
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["b.rs", "c.rs", "e.cu", "g.py", "tests/m.rs"]);
    }
}
