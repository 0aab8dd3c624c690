//! The environment is looked at by the command line only (design 3, rule 4): everything below it
//! is told what to do by its arguments. Tests are free, and so is a build script that reads the
//! variables Cargo sets for it.

use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "environment";

/// Folders that may look.
const ALLOWED: [&str; 2] = ["tools/cli/", "tools/xtask/"];

/// What a look-up is written as. `env::var` covers `var_os`, `vars` and `vars_os`.
const LOOK_UPS: [&str; 7] = [
    "env::var",
    "env::set_var",
    "env::remove_var",
    "env::temp_dir",
    "env::home_dir",
    "env!(",
    "env::{",
];

/// Words that make an import list from `std::env` a look-up.
const IMPORTS: [&str; 5] = ["var", "set_var", "remove_var", "temp_dir", "home_dir"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.rust().filter(|file| {
        !file.is_test() && !ALLOWED.iter().any(|folder| file.path.starts_with(folder))
    });
    sources.flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for look_up in LOOK_UPS {
        for (offset, _) in file.product_code.match_indices(look_up) {
            if look_up == "env::{" && !imports_a_look_up(&file.product_code[offset..]) {
                continue;
            }
            if cargo_sets_it(&file.text[offset..]) {
                continue;
            }
            let message = "looks at the environment; take the value as an argument, and let \
                           tools/cli read it"
                .to_owned();
            findings.push(Finding::error(RULE, &file.path, file.line_of(offset), message));
        }
    }
    findings
}

fn imports_a_look_up(code: &str) -> bool {
    let list = code.split(['{', '}']).nth(1).unwrap_or_default();
    list.split(',').any(|item| {
        let name = item.split_whitespace().next().unwrap_or_default();
        IMPORTS.contains(&name) || name.starts_with("var")
    })
}

/// The look-up at the head of `text` names a variable that Cargo sets when it builds.
fn cargo_sets_it(text: &str) -> bool {
    let argument = text.split_once('(').map(|(_, rest)| rest.trim_start());
    argument.is_some_and(|argument| {
        ["\"CARGO_", "\"OUT_DIR\"", "\"TARGET\""].iter().any(|name| argument.starts_with(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn look_ups_are_found() {
        for text in [
            "\nlet x = std::env::var(\"HOME\");",
            "\nlet x = env::var_os(name);",
            "\nuse std::env::vars;",
            "\nuse std::env::{self, var};",
            "\nlet x = option_env!(\"DS4\");",
            "\nlet x = std::env::temp_dir();",
        ] {
            assert_eq!(lines("engine/io/src/a.rs", text), [2], "{text}");
        }
    }

    #[test]
    fn cargo_variables_tests_and_the_command_line_are_free() {
        let look_up = "let x = std::env::var(\"HOME\");";
        for path in ["tools/cli/main.rs", "tests/main.rs", "engine/io/src/ring/tests.rs"] {
            assert!(lines(path, look_up).is_empty(), "{path}");
        }
        let test_item = format!("#[cfg(test)]\nmod tests {{ {look_up} }}\n");
        assert!(lines("engine/io/src/a.rs", &test_item).is_empty());
        for text in [
            "const V: &str = env!(\"CARGO_PKG_VERSION\");",
            "let x = std::env::var(\"OUT_DIR\");",
            "let x = \"std::env::var(1)\"; // env::var",
            "use std::env::{args, current_dir};",
        ] {
            assert!(lines("shaders/build.rs", text).is_empty(), "{text}");
        }
    }
}
