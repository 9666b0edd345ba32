//! The layers use each other in one direction only.
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

/// Layer, and the layers it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("pickle", &["base"]),
    ("container", &["base"]),
    ("python", &["base", "pickle"]),
    ("torch", &["base", "pickle", "container", "python"]),
    ("doctor", &["base", "pickle", "container", "python", "torch", "convert", "scan"]),
    ("convert", &["base", "pickle", "container", "python", "torch"]),
    ("adapters", &["torch"]),
    ("scan", &["base", "pickle", "container", "python", "torch"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Layers that a line of code names by `crate::…`.
fn used(line: &str) -> impl Iterator<Item = String> + '_ {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).flat_map(|rest| {
        let (group, rest) = match rest.strip_prefix('{') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let names: Vec<&str> = if group { rest.split(',').collect() } else { vec![rest] };
        let name = |text: &str| {
            text.trim().chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
        };
        names.into_iter().map(name).collect::<Vec<String>>()
    })
}

#[test]
fn every_use_follows_a_permitted_arrow() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layers: Vec<&str> = ARROWS.iter().map(|(layer, _)| *layer).collect();
    let mut uses = 0;
    for (layer, allowed) in ARROWS {
        for path in sources(&src.join(layer)) {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                for name in used(line).filter(|name| layers.contains(&name.as_str())) {
                    let fine = name == *layer || allowed.contains(&name.as_str());
                    assert!(fine, "{}:{}: {layer} uses {name}", path.display(), number + 1);
                    uses += 1;
                }
            }
        }
    }
    assert!(uses > 20, "only {uses} uses were seen: the test looks past them");
}

#[test]
fn unsafe_stands_in_one_file() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let with_unsafe = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        })
    };
    let found: Vec<PathBuf> = sources(&src).into_iter().filter(with_unsafe).collect();
    assert_eq!(found, [src.join("base/map.rs")]);
}
