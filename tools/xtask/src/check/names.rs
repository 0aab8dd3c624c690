//! The same name everywhere (design 3, rule 2): `Op::RopeTail` is `rope_tail.rs` among the CPU's
//! ops, `rope_tail.wgsl` among the shaders and `rope_tail.cu` or `rope_tail_<variant>.cu` among
//! the CUDA kernels.

use std::collections::BTreeMap;

use super::{Finding, Tree};

pub const RULE: &str = "same-name";

const OP_FILE: &str = "engine/model/src/op.rs";

/// A folder with one file for each op.
struct Folder {
    path: &'static str,
    extension: &'static str,
    /// Every op needs a file here. CUDA has files for the ops it overrides only.
    complete: bool,
    /// `<op>_<variant>` is a name too.
    variants: bool,
    /// Files that are no op, and why.
    other_files: &'static [(&'static str, &'static str)],
    /// Ops without a file here (snake case), and why.
    without_file: &'static [(&'static str, &'static str)],
}

const FOLDERS: [Folder; 3] = [
    Folder {
        path: "backends/cpu/src/ops",
        extension: "rs",
        complete: true,
        variants: false,
        other_files: &[("mod", "the dispatch from `Op` to the files")],
        without_file: &[],
    },
    Folder {
        path: "shaders/wgsl/op",
        extension: "wgsl",
        complete: true,
        variants: false,
        other_files: &[],
        without_file: &[],
    },
    Folder {
        path: "backends/cuda/kernels",
        extension: "cu",
        complete: false,
        variants: true,
        other_files: &[],
        without_file: &[],
    },
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    check_folders(tree, &FOLDERS)
}

fn check_folders(tree: &Tree, folders: &[Folder]) -> Vec<Finding> {
    let present: Vec<&Folder> = folders.iter().filter(|folder| tree.exists(folder.path)).collect();
    if present.is_empty() {
        return Vec::new();
    }
    let Some(file) = tree.source(OP_FILE) else {
        let message = "does not exist, but folders of ops do; `enum Op` is declared there";
        return vec![Finding::error(RULE, OP_FILE, 0, message.to_owned())];
    };
    let ops: BTreeMap<String, usize> = variants_of_op(&file.code)
        .into_iter()
        .map(|(name, offset)| (snake_case(&name), file.line_of(offset)))
        .collect();
    if ops.is_empty() {
        let message = "holds no `enum Op`, but folders of ops exist".to_owned();
        return vec![Finding::error(RULE, OP_FILE, 0, message)];
    }
    present.into_iter().flat_map(|folder| check_folder(tree, folder, &ops)).collect()
}

fn check_folder(tree: &Tree, folder: &Folder, ops: &BTreeMap<String, usize>) -> Vec<Finding> {
    let stems = tree.stems_in(folder.path, folder.extension);
    let mut findings = Vec::new();
    let is_op = |stem: &str| {
        let variant =
            |op: &String| stem.strip_prefix(op.as_str()).is_some_and(|x| x.starts_with('_'));
        ops.contains_key(stem) || (folder.variants && ops.keys().any(variant))
    };
    let listed = |list: &[(&str, &str)], name: &str| list.iter().any(|(entry, _)| *entry == name);
    for stem in &stems {
        if !is_op(stem) && !listed(folder.other_files, stem) {
            let path = format!("{}/{stem}.{}", folder.path, folder.extension);
            let message = format!(
                "no variant of `enum Op` is called `{stem}` in snake case; name the file after its \
                 op"
            );
            findings.push(Finding::error(RULE, &path, 0, message));
        }
    }
    for (op, line) in ops {
        if folder.complete && !stems.contains(op.as_str()) && !listed(folder.without_file, op) {
            let message = format!(
                "the op `{op}` has no file {}/{op}.{}; write it, or name the reason in \
                 tools/xtask/src/check/names.rs",
                folder.path, folder.extension
            );
            findings.push(Finding::error(RULE, OP_FILE, *line, message));
        }
    }
    for (name, _) in folder.other_files.iter().filter(|(name, _)| !stems.contains(name)) {
        findings.push(stale(folder, name, "there is no such file"));
    }
    for (name, _) in folder.without_file {
        if !ops.contains_key(*name) {
            findings.push(stale(folder, name, "there is no such op"));
        } else if stems.contains(name) {
            findings.push(stale(folder, name, "it has a file now"));
        }
    }
    findings
}

fn stale(folder: &Folder, name: &str, why: &str) -> Finding {
    let message = format!(
        "the exemption of `{name}` in tools/xtask/src/check/names.rs is stale: {why}; remove it"
    );
    Finding::error(RULE, folder.path, 0, message)
}

/// Names of the variants of `enum Op` and where they stand, from masked code.
fn variants_of_op(code: &str) -> Vec<(String, usize)> {
    let Some(start) = code.find("enum Op ").or_else(|| code.find("enum Op{")) else {
        return Vec::new();
    };
    let mut variants = Vec::new();
    let mut depth = 0usize;
    // A variant's name is the first word after the opening brace, a comma or an attribute.
    let mut name_follows = false;
    let mut word = String::new();
    for (offset, character) in code.char_indices().skip_while(|(offset, _)| *offset < start) {
        if depth == 1 && name_follows && (character.is_alphanumeric() || character == '_') {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            variants.push((std::mem::take(&mut word), offset - 1));
            name_follows = false;
        }
        match character {
            '{' | '(' | '[' => {
                depth += 1;
                name_follows |= depth == 1;
            }
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 1 => name_follows = true,
            _ => {}
        }
        if depth == 0 && character == '}' {
            break;
        }
    }
    variants
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut previous_is_lower = false;
    for character in name.chars() {
        if character.is_uppercase() && previous_is_lower {
            out.push('_');
        }
        previous_is_lower = !character.is_uppercase();
        out.extend(character.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: &str = "//! Ops.\n/// All { of them.\n#[derive(Clone)]\npub enum Op {\n    \
        /// One, two.\n    RmsNorm { x: Value, rows: [u32; 2] },\n    #[cfg(feature = \"x\")]\n    \
        RopeTail(Value),\n    Argmax,\n}\nenum Other { Nothing }\n";

    fn folder(variants: bool, complete: bool) -> Folder {
        Folder {
            path: "ops",
            extension: "rs",
            complete,
            variants,
            other_files: &[],
            without_file: &[],
        }
    }

    fn findings(files: &[&str], folder: Folder) -> Vec<String> {
        let mut tree = vec![(OP_FILE, OPS)];
        tree.extend(files.iter().map(|path| (*path, "")));
        let found = check_folders(&Tree::of(&tree), &[folder]);
        found.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn variants_are_read_with_their_lines() {
        let file = super::super::tree::SourceFile::new(OP_FILE, OPS);
        let found: Vec<(String, usize)> = variants_of_op(&file.code)
            .into_iter()
            .map(|(name, offset)| (snake_case(&name), file.line_of(offset)))
            .collect();
        let expected = [("rms_norm", 6), ("rope_tail", 8), ("argmax", 9)];
        assert_eq!(found, expected.map(|(name, line)| (name.to_owned(), line)));
    }

    #[test]
    fn agreement_passes() {
        let files = ["ops/rms_norm.rs", "ops/rope_tail.rs", "ops/argmax.rs"];
        assert_eq!(findings(&files, folder(false, true)), Vec::<String>::new());
        assert!(check_folders(&Tree::of(&[("a.rs", "")]), &[folder(false, true)]).is_empty());
    }

    #[test]
    fn a_missing_and_a_foreign_file_are_found() {
        let found =
            findings(&["ops/rms_norm.rs", "ops/rope.rs", "ops/argmax.rs"], folder(false, true));
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("error[same-name]: ops/rope.rs: no variant"));
        assert!(
            found[1].starts_with("error[same-name]: engine/model/src/op.rs:8: the op `rope_tail`")
        );
    }

    #[test]
    fn kernels_may_be_few_and_have_variants() {
        assert!(findings(&["ops/rope_tail_sm90.rs"], folder(true, false)).is_empty());
        assert_eq!(findings(&["ops/rope_sm90.rs"], folder(true, false)).len(), 1);
    }

    #[test]
    fn stale_exemptions_are_found() {
        let stale = Folder {
            other_files: &[("common", "x")],
            without_file: &[("argmax", "has a file"), ("gone", "no op")],
            ..folder(false, false)
        };
        assert_eq!(findings(&["ops/argmax.rs"], stale).len(), 3);
    }

    #[test]
    fn a_missing_enum_is_found() {
        let tree = Tree::of(&[("ops/a.rs", "")]);
        assert_eq!(check_folders(&tree, &[folder(false, true)]).len(), 1);
        let tree = Tree::of(&[("ops/a.rs", ""), (OP_FILE, "struct Op;")]);
        assert_eq!(check_folders(&tree, &[folder(false, true)]).len(), 1);
    }
}
