//! `unsafe` code stands in a few files, each with a reason (design 3, rule 4). The workspace denies
//! it; a file that allows it must be listed here, begin with a comment that says why it is safe,
//! and put `SAFETY:` before each use.

use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "unsafe";

/// Files that may hold unsafe code, and what for.
const ALLOWED: [(&str, &str); 5] = [
    ("backends/cpu/src/simd.rs", "calls functions compiled for instruction sets it has seen"),
    ("engine/format/tests/allocation.rs", "an allocator that counts, to test memory bounds"),
    ("engine/io/src/read/aligned.rs", "block-aligned memory from mmap, for O_DIRECT"),
    ("engine/io/src/read/ring/mod.rs", "io_uring entries point at buffers that slots keep alive"),
    ("engine/io/src/read/ring/setup.rs", "registers the pool's memory with the kernel"),
];

/// How far above a use its `SAFETY:` comment may begin.
const COMMENT_LINES_MAX: usize = 8;

pub fn check(tree: &Tree) -> Vec<Finding> {
    check_against(tree, &ALLOWED)
}

fn check_against(tree: &Tree, allowed: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let uses = unsafe_lines(file);
        let is_allowed = allowed.iter().any(|(path, _)| *path == file.path);
        if is_allowed {
            findings.extend(check_allowed(file, &uses));
        } else if let Some(line) = uses.first() {
            let message = format!(
                "unsafe code in a file that is not listed ({} places); write it safely, or add the \
                 file and its reason to tools/xtask/src/check/unsafety.rs",
                uses.len()
            );
            findings.push(Finding::error(RULE, &file.path, *line, message));
        }
    }
    for (path, _) in allowed.iter().filter(|(path, _)| !tree.exists(path)) {
        let message = "is listed in tools/xtask/src/check/unsafety.rs but does not exist";
        findings.push(Finding::error(RULE, path, 0, message.to_owned()));
    }
    findings
}

fn check_allowed(file: &SourceFile, uses: &[usize]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if uses.is_empty() {
        let message = "holds no unsafe code any more; take it off the list in \
                       tools/xtask/src/check/unsafety.rs";
        findings.push(Finding::error(RULE, &file.path, 0, message.to_owned()));
    }
    let head = file.head().to_lowercase();
    if !head.contains("safe") && !head.contains("invariant") {
        let message = "allows unsafe code but its head comment does not say why it is safe; add a \
                       list `Invariants:` of what must hold and who sees to it";
        findings.push(Finding::error(RULE, &file.path, 1, message.to_owned()));
    }
    let comments: Vec<&str> = file.comments.lines().collect();
    let code: Vec<&str> = file.code.lines().collect();
    for &line in uses.iter().filter(|line| needs_comment(code[**line - 1])) {
        let first = line.saturating_sub(COMMENT_LINES_MAX + 1);
        let explained = comments[first..line]
            .iter()
            .any(|comment| comment.contains("SAFETY:") || comment.contains("# Safety"));
        if !explained {
            let message = "unsafe code without a `SAFETY:` comment above it; say why it is sound";
            findings.push(Finding::error(RULE, &file.path, line, message.to_owned()));
        }
    }
    findings
}

/// Lines, from 1, that hold the keyword or allow the lint.
fn unsafe_lines(file: &SourceFile) -> Vec<usize> {
    let marked = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
            || (line.contains("allow(") && line.contains("unsafe_code"))
            || (line.contains("expect(") && line.contains("unsafe_code"))
    };
    let lines = file.code.lines().enumerate();
    lines.filter(|(_, line)| marked(line)).map(|(index, _)| index + 1).collect()
}

/// Blocks, implementations and functions are explained; attributes and foreign types are not.
fn needs_comment(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let followed_by =
        |next: &str| words.windows(2).any(|pair| pair[0].ends_with("unsafe") && pair[1] == next);
    line.contains("unsafe {") || followed_by("impl") || followed_by("fn")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! Mapping.\n//!\n//! Safety: the file is not cut.\n\n\
        #![allow(unsafe_code)]\n// SAFETY: the length was checked.\nlet x = unsafe { f() };\n";

    fn messages(text: &str, allowed: &[(&str, &str)]) -> Vec<String> {
        let found = check_against(&Tree::of(&[("io/map.rs", text)]), allowed);
        found.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn unlisted_files_are_found_and_prose_is_not() {
        assert!(messages(GOOD, &[])[0].starts_with("error[unsafe]: io/map.rs:5: unsafe code"));
        assert_eq!(messages("#[expect(unsafe_code)]\nfn f() {}", &[]).len(), 1);
        assert!(messages("// unsafe\nlet unsafe_code = \"unsafe\";\n", &[]).is_empty());
    }

    #[test]
    fn listed_files_need_a_head_and_comments() {
        let listed = [("io/map.rs", "maps files")];
        assert_eq!(messages(GOOD, &listed), Vec::<String>::new());
        let headless = GOOD.replace("//! Safety: the file is not cut.\n", "");
        assert!(messages(&headless, &listed)[0].contains("head comment"));
        let silent = GOOD.replace("// SAFETY: the length was checked.", "//");
        assert!(messages(&silent, &listed)[0].contains(":7: unsafe code without"));
    }

    #[test]
    fn stale_entries_are_found() {
        let listed = [("io/map.rs", "maps files"), ("io/gone.rs", "x")];
        let found = messages("//! Safe.\nfn f() {}\n", &listed);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("holds no unsafe code") && found[1].contains("does not exist"));
    }
}
