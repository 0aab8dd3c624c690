//! README.md and ARCHITECTURE.md name only files and folders that exist.

use super::{Finding, Tree};

pub const RULE: &str = "documents";

const DOCUMENTS: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

/// What a path in this repository begins with. A word with a slash that begins otherwise
/// (`tokens/s`, `antirez/ds4`, `../shared`) is no path of ours.
const ROOTS: [&str; 9] =
    [".cargo", ".ci", ".github", "backends", "benches", "engine", "shaders", "tests", "tools"];

/// A bare name with one of these endings is a file somewhere in the tree.
const ENDINGS: [&str; 6] = [".rs", ".wgsl", ".cu", ".toml", ".md", ".py"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in DOCUMENTS {
        let Some(file) = tree.source(document) else {
            let message = "does not exist; every reader begins there".to_owned();
            findings.push(Finding::error(RULE, document, 0, message));
            continue;
        };
        for (index, line) in file.text.lines().enumerate() {
            for path in named_paths(line).filter(|path| !exists(tree, path)) {
                let message = format!("names `{path}`, which does not exist");
                findings.push(Finding::error(RULE, document, index + 1, message));
            }
        }
    }
    findings
}

/// Paths of this repository that a line names: in backticks, or as the target of a link.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    quoted.chain(linked).filter_map(path_of)
}

/// The path in a quoted word, without a line number, an item (`::name`) or a link's anchor.
fn path_of(word: &str) -> Option<&str> {
    let word = word.split("::").next()?.split('#').next()?;
    let word = word.split(':').next()?.trim_start_matches("./").trim_end_matches('/');
    // Patterns and commands are no paths.
    if word.contains(|c: char| c.is_whitespace() || "<>*{}[]()=\"|$".contains(c)) {
        return None;
    }
    let is_rooted = word.split_once('/').is_some_and(|(first, _)| ROOTS.contains(&first));
    let is_file = !word.contains('/') && ENDINGS.iter().any(|end| word.ends_with(end));
    (is_rooted || (is_file && !ENDINGS.contains(&word))).then_some(word)
}

fn exists(tree: &Tree, path: &str) -> bool {
    tree.exists(path) || (!path.contains('/') && tree.exists_named(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("README.md", line),
            ("ARCHITECTURE.md", ""),
            ("engine/io/src/ring.rs", ""),
            (".ci/run", ""),
        ]);
        check(&tree).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn missing_paths_are_found() {
        for line in [
            "see `engine/io/src/rings.rs`",
            "see `engine/model`",
            "see [the tests](tests/main.rs#top)",
            "`engine/io` and `gone.wgsl`",
        ] {
            let found = findings(line);
            assert_eq!(found.len(), 1, "{line}");
            assert!(found[0].starts_with("error[documents]: README.md:1: names `"), "{}", found[0]);
        }
    }

    #[test]
    fn what_exists_and_what_is_no_path_passes() {
        for line in [
            "`engine/io/`, `./engine/io/src/ring.rs:10`, `ring.rs`, `.ci/run`",
            "`engine/io/src/ring.rs::Ring`, [x](engine/io)",
            "`tokens/s`, `cargo xtask check`, `tests/<op>.rs`, `https://a.b/c.rs`, `.rs`",
            "engine/none without backticks, `../shared/x.md`, `-m tests/x.gguf`",
        ] {
            assert_eq!(findings(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn the_documents_must_exist() {
        assert_eq!(check(&Tree::of(&[("a.rs", "")])).len(), 2);
    }
}
