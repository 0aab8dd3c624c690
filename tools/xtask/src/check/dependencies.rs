//! Dependencies point one way (design 3, rule 1), and each external crate has a home.
//!
//! One table says what each workspace crate may name. The rule compares it with the manifests, so
//! a new edge is a decision made here, in review, and not an accident. It also asks that versions
//! stand in the root manifest only and that every crate takes the workspace's lints.

use toml::Table;

use super::tree::SourceFile;
use super::{Finding, Tree};

pub const RULE: &str = "dependencies";

/// What one workspace crate may depend on.
struct Policy {
    /// Folder of the crate from the root of the repository; empty for the root package.
    folder: &'static str,
    /// Crates of this workspace.
    internal: &'static [&'static str],
    /// Crates from outside.
    external: &'static [&'static str],
}

/// The whole dependency graph. A crate that does not exist yet has its row already.
const POLICIES: [Policy; 13] = [
    Policy {
        folder: "engine/format",
        internal: &[],
        external: &["blake3", "bytemuck", "half", "thiserror"],
    },
    Policy {
        folder: "engine/io",
        internal: &[],
        external: &["io-uring", "libc", "memmap2", "rustix", "thiserror"],
    },
    Policy {
        folder: "engine/text",
        internal: &[],
        external: &["aho-corasick", "serde", "serde_json", "thiserror", "tokenizers"],
    },
    Policy {
        folder: "engine/model",
        internal: &["ds4-format"],
        external: &["bytemuck", "half", "thiserror"],
    },
    Policy {
        folder: "engine/runtime",
        internal: &["ds4-model", "ds4-format", "ds4-text", "ds4-io"],
        external: &["blake3", "bytemuck", "half", "rayon", "thiserror", "tracing"],
    },
    Policy {
        folder: "shaders",
        internal: &["ds4-format"],
        external: &["bytemuck", "naga", "thiserror"],
    },
    Policy {
        folder: "backends/cpu",
        internal: &["ds4-model", "ds4-format"],
        external: &["bytemuck", "half", "rayon", "thiserror"],
    },
    Policy {
        folder: "backends/wgpu",
        internal: &["ds4-model", "ds4-format", "ds4-shaders"],
        external: &["ash", "bytemuck", "half", "pollster", "thiserror", "tracing", "wgpu"],
    },
    Policy {
        folder: "backends/cuda",
        internal: &["ds4-model", "ds4-format", "ds4-shaders"],
        external: &["bytemuck", "cudarc", "half", "thiserror", "tracing"],
    },
    Policy {
        folder: "tools/server",
        internal: &["ds4-runtime", "ds4-text"],
        external: &[
            "axum",
            "bytes",
            "futures-util",
            "http",
            "http-body-util",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tower",
            "tracing",
        ],
    },
    // Reads checkpoints, writes model files, and runs models to see what goes into their products.
    Policy {
        folder: "tools/quantize",
        internal: &["ds4-runtime", "ds4-model", "ds4-format", "ds4-text", "ds4-io"],
        external: &["blake3", "serde_json", "thiserror"],
    },
    // Developer commands write model files (`cargo xtask sparse`) and stand below no other crate.
    Policy {
        folder: "tools/xtask",
        internal: &["ds4-format", "ds4-model"],
        external: &["anyhow", "serde_json", "toml"],
    },
    // The binary chooses the back end, so it sees every crate.
    Policy {
        folder: "",
        internal: &[
            "ds4-format",
            "ds4-io",
            "ds4-text",
            "ds4-model",
            "ds4-quantize",
            "ds4-runtime",
            "ds4-shaders",
            "ds4-cpu",
            "ds4-wgpu",
            "ds4-cuda",
            "ds4-server",
        ],
        external: &[
            "anyhow",
            "clap",
            "clap_complete",
            "clap_mangen",
            "ctrlc",
            "indicatif",
            "plotters",
            "ratatui",
            "reedline",
            "rustyline",
            "safetensors",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
            "tracing-subscriber",
        ],
    },
];

/// What the tests and benches of any crate may name besides.
const TEST_INTERNAL: [&str; 1] = ["xtask"];
const TEST_EXTERNAL: [&str; 7] =
    ["criterion", "libc", "proptest", "safetensors", "serde", "serde_json", "tempfile"];

/// Folders with a manifest of their own outside the workspace.
const OUTSIDE_WORKSPACE: [&str; 1] = ["fuzz"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.sources().filter_map(|file| {
        let folder = file.path.strip_suffix("Cargo.toml")?.trim_end_matches('/');
        (!OUTSIDE_WORKSPACE.contains(&folder)).then_some((folder, file))
    });
    manifests.flat_map(|(folder, file)| check_manifest(folder, file)).collect()
}

fn check_manifest(folder: &str, file: &SourceFile) -> Vec<Finding> {
    let Some(policy) = POLICIES.iter().find(|policy| policy.folder == folder) else {
        let message = format!(
            "the crate in `{folder}` has no row in POLICIES of \
             tools/xtask/src/check/dependencies.rs; add one that says what it may depend on"
        );
        return vec![Finding::error(RULE, &file.path, 0, message)];
    };
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![Finding::error(RULE, &file.path, 0, format!("not TOML: {error}"))];
        }
    };
    let mut findings: Vec<Finding> = dependencies(&manifest)
        .into_iter()
        .filter_map(|dependency| {
            let message = judge(policy, &dependency)?;
            Some(Finding::error(RULE, &file.path, line_of(file, dependency.key), message))
        })
        .collect();
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(toml::Value::as_bool) != Some(true) {
        let message = "takes no lints from the workspace; add `[lints]` `workspace = true`";
        findings.push(Finding::error(RULE, &file.path, 0, message.to_owned()));
    }
    findings
}

/// One entry of a dependency table.
struct Dependency<'a> {
    /// The key in the manifest.
    key: &'a str,
    /// The package it stands for, where `package` renames it.
    package: &'a str,
    /// From a `dev-dependencies` table.
    for_tests: bool,
    /// Takes its version from the root manifest.
    from_workspace: bool,
}

/// All dependency tables of a manifest, those under `target` included.
fn dependencies(manifest: &Table) -> Vec<Dependency<'_>> {
    let per_target = manifest.get("target").and_then(toml::Value::as_table);
    let targets = per_target.into_iter().flat_map(|targets| targets.values());
    let holders = std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table));
    let mut found = Vec::new();
    for holder in holders {
        for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let entries = holder.get(table).and_then(toml::Value::as_table);
            found.extend(entries.into_iter().flatten().map(|(key, value)| Dependency {
                key,
                package: value.get("package").and_then(toml::Value::as_str).unwrap_or(key),
                for_tests: table == "dev-dependencies",
                from_workspace: value.get("workspace").and_then(toml::Value::as_bool) == Some(true),
            }));
        }
    }
    found
}

/// What is wrong with a dependency, if anything.
fn judge(policy: &Policy, dependency: &Dependency<'_>) -> Option<String> {
    let Dependency { package, for_tests, .. } = *dependency;
    let place = if policy.folder.is_empty() { "the root package" } else { policy.folder };
    let is_internal = package.starts_with("ds4") || package == "xtask";
    let allowed = if is_internal {
        policy.internal.contains(&package) || (for_tests && TEST_INTERNAL.contains(&package))
    } else {
        policy.external.contains(&package) || (for_tests && TEST_EXTERNAL.contains(&package))
    };
    if !allowed && is_internal {
        return Some(format!(
            "{place} may not depend on `{package}`: dependencies point one way (ARCHITECTURE.md); \
             it may name {}",
            list(policy.internal)
        ));
    }
    if !allowed {
        return Some(format!(
            "{place} may not depend on `{package}`; it may name {}. If the crate earns its place, \
             add it to POLICIES in tools/xtask/src/check/dependencies.rs and a line to \
             ARCHITECTURE.md",
            list(policy.external)
        ));
    }
    (!dependency.from_workspace).then(|| {
        format!(
            "`{package}` has a version of its own; put it under `[workspace.dependencies]` of the \
             root manifest and write `{package}.workspace = true`"
        )
    })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The line that declares `key`, below the root manifest's own table of versions.
fn line_of(file: &SourceFile, key: &str) -> usize {
    let mut in_workspace_table = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            in_workspace_table = line.starts_with("[workspace");
        }
        let declares = line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
        if declares && !in_workspace_table {
            return index + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(folder: &str, dependencies: &str) -> Vec<Finding> {
        let path = format!("{folder}/Cargo.toml");
        let text = format!("{dependencies}\n[lints]\nworkspace = true\n");
        check(&Tree::of(&[(path.trim_start_matches('/'), &text)]))
    }

    #[test]
    fn the_runtime_never_names_a_back_end() {
        for section in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let found =
                findings("engine/runtime", &format!("[{section}]\nds4-cpu.workspace = true"));
            assert_eq!(found.len(), 1, "{section}");
            assert_eq!(found[0].line, 2);
            assert!(found[0].message.contains("engine/runtime may not depend on `ds4-cpu`"));
        }
    }

    #[test]
    fn no_back_end_knows_another_and_text_stands_alone() {
        for (folder, name) in [
            ("backends/wgpu", "ds4-cpu"),
            ("backends/cuda", "ds4-wgpu"),
            ("engine/text", "ds4-format"),
            ("engine/io", "ds4-format"),
            ("engine/model", "ds4-runtime"),
            ("tools/server", "ds4-model"),
        ] {
            let table = format!("[dependencies]\n{name}.workspace = true");
            assert_eq!(findings(folder, &table).len(), 1, "{folder} -> {name}");
        }
    }

    #[test]
    fn a_renamed_package_is_seen_through() {
        let table = "[dependencies]\nhelper = { path = \"../cpu\", package = \"ds4-cpu\" }";
        assert!(findings("backends/wgpu", table)[0].message.contains("`ds4-cpu`"));
    }

    #[test]
    fn external_crates_have_a_home_and_one_version() {
        let foreign = findings("engine/model", "[dependencies]\ntokio.workspace = true");
        assert!(foreign[0].message.contains("may not depend on `tokio`"));
        let own_version = findings("engine/model", "[dependencies]\nhalf = \"2\"");
        assert!(own_version[0].message.contains("version of its own"));
        assert!(findings("engine/model", "[dependencies]\nhalf.workspace = true").is_empty());
    }

    #[test]
    fn test_crates_are_for_tests() {
        assert!(findings("engine/io", "[dev-dependencies]\ntempfile.workspace = true").is_empty());
        assert_eq!(findings("engine/io", "[dependencies]\ntempfile.workspace = true").len(), 1);
    }

    #[test]
    fn unknown_crates_broken_manifests_and_missing_lints_are_found() {
        assert!(findings("engine/new", "")[0].message.contains("no row in POLICIES"));
        assert!(findings("engine/io", "[dependencies")[0].message.contains("not TOML"));
        let bare = check(&Tree::of(&[("engine/io/Cargo.toml", "[package]\nname = \"x\"\n")]));
        assert!(bare[0].message.contains("takes no lints"));
    }

    #[test]
    fn the_root_may_name_every_back_end_but_its_versions_are_no_dependencies() {
        let table =
            "[workspace.dependencies]\nnothing = \"1\"\n[dependencies]\nds4-cpu.workspace = true";
        assert!(findings("", table).is_empty());
    }
}
