//! The rules of this repository that neither the compiler nor clippy checks.
//!
//! A rule is a pure function from a [`Tree`] (every file of the checkout, read once) to findings.
//! All findings of all rules are listed at once. Each rule's tests feed it a small bad tree and
//! see it fail.

mod dependencies;
mod documents;
mod environment;
mod heads;
mod leftovers;
mod mask;
mod names;
mod quant;
mod size;
mod tree;
mod trust_edges;
mod unsafety;

use std::fmt;
use std::path::Path;

pub use tree::Tree;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Listed, never fails the check.
    Warning,
    /// Fails the check.
    Error,
}

/// One place that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule, e.g. `file-size`.
    pub rule: &'static str,
    /// Warning or error.
    pub severity: Severity,
    /// Path from the root of the repository, with forward slashes.
    pub path: String,
    /// Line, from 1; 0 when the finding is about the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    fn error(rule: &'static str, path: &str, line: usize, message: String) -> Self {
        Self { rule, severity: Severity::Error, path: path.to_owned(), line, message }
    }

    fn warning(rule: &'static str, path: &str, line: usize, message: String) -> Self {
        Self { severity: Severity::Warning, ..Self::error(rule, path, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}[{}]: {}", self.rule, self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What all rules found, errors last so that they stand next to the prompt.
#[derive(Debug)]
pub struct Report {
    /// Number of files the rules looked at.
    pub files: usize,
    /// Everything found, warnings before errors, then by path and line.
    pub findings: Vec<Finding>,
}

impl Report {
    /// No finding is an error.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let errors = self.findings.iter().filter(|x| x.severity == Severity::Error).count();
        let warnings = self.findings.len() - errors;
        writeln!(
            f,
            "check: {} rules over {} files: {errors} errors, {warnings} warnings",
            RULES.len(),
            self.files
        )
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule. Each module names its own (`RULE`), which its findings carry.
const RULES: [Rule; 10] = [
    dependencies::check,
    names::check,
    size::check,
    environment::check,
    unsafety::check,
    trust_edges::check,
    quant::check,
    leftovers::check,
    documents::check,
    heads::check,
];

/// Reads the checkout at `root` and applies every rule to it.
///
/// # Errors
/// When the tree cannot be read; what the rules find is in the report.
pub fn run(root: &Path) -> anyhow::Result<Report> {
    Ok(check_tree(&Tree::read(root)?))
}

/// Applies every rule to a tree already in memory.
pub fn check_tree(tree: &Tree) -> Report {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort_by(|a, b| {
        (a.severity, &a.path, a.line, a.rule).cmp(&(b.severity, &b.path, b.line, b.rule))
    });
    Report { files: tree.file_count(), findings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_every_rule_that_a_tree_breaks_and_fails() {
        let report = check_tree(&Tree::of(&[
            ("README.md", ""),
            ("ARCHITECTURE.md", "`tools/gone.rs`"),
            ("engine/io/src/a.rs", "fn f() { unsafe { g(env::var(\"A\")); todo!() } }"),
            ("engine/io/src/wide.rs", &format!("//! {}", "x".repeat(100))),
        ]));
        let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule).collect();
        assert!(!report.passed());
        for rule in ["documents", "unsafe", "environment", "leftovers", "file-head"] {
            assert!(rules.contains(&rule), "{rule} is not in\n{report}");
        }
        assert_eq!(rules[0], "file-size", "warnings come first");
        assert!(report.to_string().contains("engine/io/src/a.rs:1: looks at the environment"));
    }

    #[test]
    fn warnings_alone_pass() {
        let finding = Finding::warning("file-size", "a.rs", 1, "wide".to_owned());
        assert!(Report { files: 1, findings: vec![finding] }.passed());
    }
}
