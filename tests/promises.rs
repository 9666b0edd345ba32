//! What SECURITY.md names exists, and what it says of the source is so.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Words of a text that stand between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The packed crate has neither the fuzz targets nor what CI runs.
fn is_packed() -> bool {
    !root().join("fuzz").exists()
}

#[test]
fn every_test_that_is_named_exists() {
    let mut count = 0;
    for page in ["SECURITY.md", "docs/safety.md", "docs/limits.md", "docs/architecture.md"] {
        let text = read(page);
        for name in quoted(&text).flat_map(|code| code.split("--test ").skip(1)) {
            let name = name.split_whitespace().next().unwrap();
            let file = root().join(format!("tests/{name}.rs"));
            let folder = root().join(format!("tests/{name}/main.rs"));
            assert!(file.exists() || folder.exists(), "{page}: no test {name}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} tests are named");
}

#[test]
fn every_fuzz_target_that_is_named_exists() {
    if is_packed() {
        return;
    }
    let mut count = 0;
    for page in ["SECURITY.md", "docs/safety.md", "docs/limits.md"] {
        let text = read(page).replace('\n', " ");
        for rest in text.split("fuzz target").skip(1) {
            // As far as the list of names goes: `a`, `b` and `c`.
            let mut rest = rest.strip_prefix('s').unwrap_or(rest);
            while let Some((between, after)) = rest.split_once('`') {
                if !matches!(between.trim(), "" | "," | "and" | ", and") {
                    break;
                }
                let (name, after) = after.split_once('`').unwrap();
                assert!(
                    root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(),
                    "{page}: no fuzz target {name}"
                );
                count += 1;
                rest = after;
            }
        }
    }
    assert!(count > 8, "only {count} fuzz targets are named");
}

#[test]
fn every_file_that_is_named_exists() {
    if is_packed() {
        return;
    }
    let mut count = 0;
    for page in ["SECURITY.md", "docs/safety.md", "docs/limits.md", "docs/architecture.md"] {
        let text = read(page);
        for name in quoted(&text) {
            let folders = ["src/", "tests/", "docs/", "benches/", ".ci/", "fuzz/", "deny.toml"];
            let is_path = folders.iter().any(|folder| name.starts_with(folder));
            if is_path && !name.contains([' ', '*', '<']) {
                assert!(root().join(name).exists(), "{page}: no {name}");
                count += 1;
            }
        }
    }
    assert!(count > 15, "only {count} files are named");
}

/// The library calls nothing that could run something: no processes, no libraries loaded.
#[test]
fn the_library_starts_and_loads_nothing() {
    for path in files(&root().join("src")) {
        if path.starts_with(root().join("src/bin")) || path.extension().is_none_or(|it| it != "rs")
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for word in ["process::Command", "libloading", "dlopen", "std::process::", "extern \"C\""] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Each dependency has its reason behind it, in the same line.
#[test]
fn every_dependency_has_its_reason() {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml", "benches/peers/Cargo.toml"] {
        let Ok(text) = fs::read_to_string(root().join(manifest)) else { continue };
        let mut within = false;
        let mut count = 0;
        let mut shared_reason = false;
        for line in text.lines() {
            if line.starts_with('[') {
                within = line.contains("dependencies");
                continue;
            }
            if line.is_empty() {
                shared_reason = false;
            }
            shared_reason |= within && line.starts_with("# What ");
            // Packing writes manifests of its own, without comments.
            if within && line.contains(" = ") && !line.starts_with('#') && !line.contains("path = ")
            {
                let reason = line.rsplit_once("# ").map(|(_, reason)| reason.trim());
                assert!(
                    shared_reason || is_packed() || reason.is_some_and(|it| it.len() > 5),
                    "{manifest}: {line}"
                );
                count += 1;
            }
        }
        assert!(is_packed() || count > 3, "{manifest}: {count} dependencies");
    }
}
