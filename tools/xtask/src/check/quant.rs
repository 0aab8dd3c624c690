//! The block geometry of a quant format stands in one place (design 3, rule 3): outside
//! `engine/format/src/quant` nothing spells the size of a block as a number; code there asks the
//! format, and WGSL and CUDA get the constants generated.

use super::mask::Language;
use super::{Finding, Tree};

pub const RULE: &str = "block-constants";

/// The one place.
const HOME: &str = "engine/format/src/quant";

/// Bytes of one block: MXFP4, Q4_0, Q8_0, IQ2_XXS, Q2_K, Q4_K. The counts of weights (32, 256)
/// are too common as numbers to be told apart.
const BLOCK_BYTES: [&str; 6] = ["17", "18", "34", "66", "84", "144"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.sources() {
        let compiled = matches!(file.language, Language::Rust | Language::CLike);
        if !compiled || file.is_test() || file.path.starts_with(HOME) {
            continue;
        }
        for (index, line) in file.product_code.lines().enumerate() {
            if let Some(number) = block_size_in(line) {
                let message = format!(
                    "`{number}` beside the word block looks like a block size; those stand in \
                     {HOME} only, take it from there"
                );
                findings.push(Finding::error(RULE, &file.path, index + 1, message));
            }
        }
    }
    findings
}

/// A block size that stands on a line of code with an identifier that speaks of blocks.
fn block_size_in(line: &str) -> Option<&str> {
    let words = || line.split(|c: char| !c.is_alphanumeric() && c != '_');
    words().find(|word| word.to_lowercase().contains("block"))?;
    words().find(|word| {
        let digits = word.trim_end_matches("usize").trim_end_matches(['u', 'i']);
        BLOCK_BYTES.contains(&digits.trim_end_matches('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn block_sizes_outside_their_home_are_found() {
        for (path, text) in [
            ("backends/cpu/src/a.rs", "\nlet blocks = bytes / 66;"),
            ("backends/cpu/src/a.rs", "\nconst Q2_K_BLOCK_BYTES: usize = 84;"),
            ("shaders/wgsl/a.wgsl", "\nlet at = block * 34u;"),
            ("engine/format/src/gguf.rs", "\nblock_bytes: 144_usize,"),
        ] {
            assert_eq!(lines(path, text), [2], "{text}");
        }
    }

    #[test]
    fn other_numbers_tests_and_the_home_are_free() {
        for (path, text) in [
            ("engine/format/src/quant/q8_0.rs", "const BLOCK_BYTES: usize = 34;"),
            ("tests/a.rs", "let blocks = 34;"),
            ("engine/model/src/a.rs", "let layers = 34;"),
            ("engine/model/src/a.rs", "let block = x[1]; // 34 bytes"),
            ("engine/model/src/a.rs", "let block = 341;"),
        ] {
            assert!(lines(path, text).is_empty(), "{text}");
        }
    }
}
