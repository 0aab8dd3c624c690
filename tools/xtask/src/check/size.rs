//! Files stay small (design 3, rule 4): aim below 500 lines, never 700. Functions are kept short by
//! clippy and lines of code by rustfmt, which leaves comments and strings alone: wide lines are
//! listed here.

use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "file-size";

/// Above this a file is listed, so that it is split before it must be.
const LINES_AIM: usize = 500;
/// A file has fewer lines than this.
const LINES_LIMIT: usize = 700;

/// Columns of a line. Code beyond it is rustfmt's error; what is left is comments and strings.
const COLUMNS_MAX: usize = 100;

const EXTENSIONS: [&str; 5] = [".rs", ".wgsl", ".cu", ".cuh", ".py"];

/// Tables and generated files, and why they are not split.
const EXEMPT: [(&str, &str); 0] = [];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        let measured = EXTENSIONS.iter().any(|extension| file.path.ends_with(extension));
        let exempt = EXEMPT.iter().any(|(path, _)| *path == file.path);
        if !measured || exempt {
            continue;
        }
        let lines = file.text.lines().count();
        if lines >= LINES_LIMIT {
            let message = format!(
                "{lines} lines, the limit is {LINES_LIMIT}; split it, or name it as a table in \
                 tools/xtask/src/check/size.rs"
            );
            findings.push(Finding::error(RULE, &file.path, 0, message));
        } else if lines >= LINES_AIM {
            let message = format!("{lines} lines, aim below {LINES_AIM}");
            findings.push(Finding::warning(RULE, &file.path, 0, message));
        }
        findings.extend(wide_lines(file));
    }
    for (path, _) in EXEMPT.iter().filter(|(path, _)| !tree.exists(path)) {
        let message = "is exempt in tools/xtask/src/check/size.rs but does not exist".to_owned();
        findings.push(Finding::error(RULE, path, 0, message));
    }
    findings
}

/// One warning for all lines of a file that are too wide.
fn wide_lines(file: &SourceFile) -> Option<Finding> {
    let is_wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    let first = file.text.lines().position(is_wide)? + 1;
    let count = file.text.lines().filter(|line| is_wide(line)).count();
    let message = format!("{count} lines are wider than {COLUMNS_MAX} columns, the first here");
    Some(Finding::warning(RULE, &file.path, first, message))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn long_files_are_found() {
        let text = |lines: usize| "x\n".repeat(lines);
        let tree = Tree::of(&[
            ("a.rs", &text(499)),
            ("b.wgsl", &text(500)),
            ("c.cu", &text(699)),
            ("d.py", &text(700)),
            ("e.md", &text(2000)),
        ]);
        let found: Vec<(String, Severity)> =
            check(&tree).into_iter().map(|finding| (finding.path, finding.severity)).collect();
        let expected =
            [("b.wgsl", Severity::Warning), ("c.cu", Severity::Warning), ("d.py", Severity::Error)];
        assert_eq!(found, expected.map(|(path, severity)| (path.to_owned(), severity)));
    }
    #[test]
    fn wide_lines_are_counted_in_characters() {
        let (narrow, wide) = ("é".repeat(100), "é".repeat(101));
        assert!(check(&Tree::of(&[("a.rs", &narrow)])).is_empty());
        let found = check(&Tree::of(&[("a.rs", &format!("x\n{wide}\n{wide}\n"))]));
        assert_eq!((found.len(), found[0].line), (1, 2));
        assert!(found[0].message.starts_with("2 lines are wider"));
    }
}
