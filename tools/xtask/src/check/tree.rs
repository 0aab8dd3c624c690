//! Every file of the checkout, read once; what the rules look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::mask::{self, Language};

/// Folders that hold no sources of ours, by name (first table) or by path from the root (second).
const SKIPPED_NAMES: [&str; 4] = [".git", "__pycache__", "node_modules", "target"];
const SKIPPED_PATHS: [&str; 4] = ["carry", "device-out", "fuzz/artifacts", "fuzz/corpus"];

/// Extensions of the files whose text the rules read.
const TEXT_EXTENSIONS: [&str; 12] =
    ["rs", "wgsl", "cu", "cuh", "h", "py", "sh", "toml", "md", "yml", "yaml", "metal"];

/// One text file.
#[derive(Debug)]
pub struct SourceFile {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The text without comments and strings.
    pub code: String,
    /// `code` without the items that exist in tests only.
    pub product_code: String,
    /// The comments alone.
    pub comments: String,
    /// What it is written in.
    pub language: Language,
}

impl SourceFile {
    /// Takes `text` apart by the language that the path's extension tells.
    pub fn new(path: &str, text: &str) -> Self {
        let language = language_of(path);
        let masked = mask::mask(text, language);
        let product_code = match language {
            Language::Rust => mask::without_test_items(&masked.code),
            _ => masked.code.clone(),
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: masked.code,
            product_code,
            comments: masked.comments,
            language,
        }
    }

    /// The file belongs to tests or benches as a whole.
    pub fn is_test(&self) -> bool {
        let of_root = self.path.starts_with("tests/") || self.path.starts_with("benches/");
        of_root || self.path.contains("/benches/") || self.is_unit_test()
    }

    /// The file is a module of unit tests.
    pub fn is_unit_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Line number, from 1, of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }

    /// The comment block that the file begins with; inner attributes may stand before it.
    pub fn head(&self) -> &str {
        let mut start = 0;
        for line in self.code.split_inclusive('\n').take_while(|line| line.starts_with("#![")) {
            start += line.len();
        }
        let code = &self.code[start..];
        let length = code.find(|c: char| !c.is_whitespace()).unwrap_or(code.len());
        self.comments.get(start..start + length).unwrap_or_default().trim_start()
    }
}

/// All files of a checkout.
#[derive(Debug, Default)]
pub struct Tree {
    sources: BTreeMap<String, SourceFile>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the checkout at `root`: names of all files and folders, text of the sources.
    ///
    /// # Errors
    /// When a folder or file cannot be read, or a source is not UTF-8.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree made of `(path, text)` pairs.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            for (end, _) in path.match_indices('/') {
                tree.paths.insert(path[..end].to_owned());
            }
            tree.insert(path, text);
        }
        tree
    }

    /// The text files, by path.
    pub fn sources(&self) -> impl Iterator<Item = &SourceFile> {
        self.sources.values()
    }

    /// The Rust files, by path.
    pub fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.sources().filter(|file| file.language == Language::Rust)
    }

    /// The text file at `path`.
    pub fn source(&self, path: &str) -> Option<&SourceFile> {
        self.sources.get(path)
    }

    /// A file or folder stands at `path`.
    pub fn exists(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// A file or folder of this name stands anywhere.
    pub fn exists_named(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path.rsplit('/').next() == Some(name))
    }

    /// Names, without extension, of the files directly in `folder` that end in `.extension`;
    /// empty when there is no such folder.
    pub fn stems_in(&self, folder: &str, extension: &str) -> BTreeSet<&str> {
        let inside = |path: &'_ String| path.starts_with(&format!("{folder}/"));
        self.paths
            .iter()
            .filter(|path| inside(path))
            .filter_map(|path| {
                let name = &path[folder.len() + 1..];
                name.strip_suffix(extension)?.strip_suffix('.').filter(|stem| !stem.contains('/'))
            })
            .collect()
    }

    /// Number of files whose text was read.
    pub fn file_count(&self) -> usize {
        self.sources.len()
    }

    fn insert(&mut self, path: &str, text: &str) {
        self.paths.insert(path.to_owned());
        self.sources.insert(path.to_owned(), SourceFile::new(path, text));
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let context = || format!("reading the folder {}", folder.display());
        for entry in fs::read_dir(folder).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let kind = entry.file_type().with_context(context)?;
            if kind.is_dir() {
                let build_output = prefix.is_empty() && name.starts_with("target");
                if build_output
                    || SKIPPED_NAMES.contains(&name.as_str())
                    || SKIPPED_PATHS.contains(&path.as_str())
                {
                    continue;
                }
                self.paths.insert(path.clone());
                self.read_folder(&entry.path(), &path)?;
            } else if is_text(&path) {
                let text = fs::read_to_string(entry.path())
                    .with_context(|| format!("reading {} as UTF-8 text", entry.path().display()))?;
                self.insert(&path, &text);
            } else {
                self.paths.insert(path);
            }
        }
        Ok(())
    }
}

fn extension(path: &str) -> Option<&str> {
    Path::new(path).extension()?.to_str()
}

/// Test data is listed but never read as a source: it may be malformed on purpose.
fn is_text(path: &str) -> bool {
    let known = extension(path).is_some_and(|found| TEXT_EXTENSIONS.contains(&found));
    (known && !path.starts_with("tests/data/")) || path == ".ci/run"
}

fn language_of(path: &str) -> Language {
    match extension(path) {
        Some("rs") => Language::Rust,
        Some("wgsl" | "cu" | "cuh" | "h" | "metal") => Language::CLike,
        Some("py") => Language::Python,
        _ => Language::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_checkout_and_skips_build_output() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for (path, text) in
            [("a/b.rs", "//! x"), ("target/c.rs", "//! x"), ("tests/data/bad.toml", "x")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("has a parent"))?;
            fs::write(path, text)?;
        }
        let tree = Tree::read(folder.path())?;
        assert_eq!(tree.file_count(), 1);
        assert!(tree.exists("a") && tree.exists("a/b.rs") && tree.exists("tests/data/bad.toml"));
        assert!(!tree.exists("target/c.rs"));
        assert!(tree.exists_named("b.rs") && !tree.exists_named("c.rs"));
        Ok(())
    }

    #[test]
    fn stems_are_of_the_folder_itself() {
        let tree = Tree::of(&[("ops/add.rs", ""), ("ops/deep/mul.rs", ""), ("ops/x.md", "")]);
        assert_eq!(tree.stems_in("ops", "rs").into_iter().collect::<Vec<_>>(), ["add"]);
        assert!(tree.stems_in("none", "rs").is_empty());
    }

    #[test]
    fn head_is_the_comment_before_the_first_code() {
        let file = SourceFile::new("a.rs", "//! One.\n//! Two.\nuse x; // three\n");
        assert_eq!(file.head().trim_end(), "//! One.\n//! Two.");
        assert_eq!(file.line_of(10), 2);
        let file = SourceFile::new("a.rs", "#![allow(x)]\n//! One.\n");
        assert_eq!(file.head().trim_end(), "//! One.");
    }

    #[test]
    fn test_files_are_known_by_path() {
        for (path, expected) in [
            ("tests/main.rs", true),
            ("engine/text/src/encode/tests.rs", true),
            ("engine/text/tests/a.rs", true),
            ("engine/io/benches/a.rs", true),
            ("engine/text/src/lib.rs", false),
        ] {
            assert_eq!(SourceFile::new(path, "").is_test(), expected, "{path}");
        }
    }
}
