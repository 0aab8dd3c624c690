//! Nothing is left for later: no placeholder macros, no marker words in comments, no test that is
//! switched off.

use super::mask::Language;
use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "leftovers";

/// Code that stands for work not done, or was meant for one debugging session.
const MACROS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// Words that mark work not done, in comments and plain text files.
const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    // Plain text may speak about the markers; manifests and scripts may not hold them.
    tree.sources().filter(|file| !file.path.ends_with(".md")).flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.language == Language::Rust {
        for (index, line) in file.code.lines().enumerate() {
            for found in MACROS.iter().filter(|found| has_word(line, found)) {
                let message = format!("`{found}` is left in the code; finish it or take it out");
                findings.push(Finding::error(RULE, &file.path, index + 1, message));
            }
        }
    }
    for (index, line) in file.comments.lines().enumerate() {
        for found in MARKERS.iter().filter(|found| has_word(line, found)) {
            let message = format!("`{found}`: do it now, or say in the issue what is missing");
            findings.push(Finding::error(RULE, &file.path, index + 1, message));
        }
    }
    findings
}

/// `word` stands on the line, and no longer word that contains it.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let continues = word.ends_with(is_part) && after.is_some_and(is_part);
        !continues && !before.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn leftovers_are_found() {
        for (path, text) in [
            ("a.rs", "\nfn f() { todo!() }"),
            ("a.rs", "\nfn f() { unimplemented!() }"),
            ("a.rs", "\nlet x = dbg!(y);"),
            ("a.rs", "\n#[ignore = \"slow\"]"),
            ("a.rs", "\n// TODO: more"),
            ("a.wgsl", "\n/* FIXME */"),
            ("a.py", "\nx = 1  # XXX"),
            ("a.toml", "\n# TODO"),
        ] {
            assert_eq!(lines(path, text), [2], "{text}");
        }
    }

    #[test]
    fn strings_and_longer_words_are_free() {
        for text in ["let x = \"TODO\";", "let x = my_todo!();", "// mkTODOs", "let todo = 1;"] {
            assert!(lines("a.rs", text).is_empty(), "{text}");
        }
    }
}
