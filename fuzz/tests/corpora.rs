//! Every property, over every corpus: seeds, what fuzzing found, and the fixtures.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use depickle_fuzz::{Input, TARGETS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

/// The targets to go through: all, or those that `TARGETS` names.
fn wanted(name: &str) -> bool {
    std::env::var("TARGETS").map_or(true, |names| names.split(' ').any(|one| one == name))
}

fn hold(names: &[&str]) {
    let fixtures = files(&root().join("../tests/fixtures"));
    assert!(fixtures.len() > 50, "no fixtures");
    for &(name, input, property) in TARGETS {
        if !names.contains(&name) || !wanted(name) {
            continue;
        }
        let mut inputs = files(&root().join("corpus").join(name));
        inputs.extend(files(&root().join("seeds").join(name)));
        if input != Input::Choices {
            inputs.extend(fixtures.iter().cloned());
        }
        for path in &inputs {
            let bytes = fs::read(path).expect("a readable file");
            if catch_unwind(AssertUnwindSafe(|| property(&bytes))).is_err() {
                panic!("{name} does not hold for {}", path.display());
            }
        }
        println!("{name}: {} files", inputs.len());
    }
}

#[test]
fn every_target_is_in_the_table_and_in_the_manifest() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let mut bins: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let mut known: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).chain(["cli"]).collect();
    bins.sort_unstable();
    known.sort_unstable();
    assert_eq!(bins, known);
    for name in known {
        assert!(root().join(format!("fuzz_targets/{name}.rs")).exists());
        assert!(root().join("seeds").join(name).exists(), "no seeds for {name}");
    }
}

// In threads of the harness, a few targets each.
#[test]
fn pickles() {
    hold(&["decode", "assembly", "encode", "views", "numpy", "json"]);
}

#[test]
fn machine() {
    hold(&["machine", "cpython"]);
}

#[test]
fn files_of_all_kinds() {
    hold(&["zip", "tar", "legacy", "checkpoint", "modules", "scan", "convert", "faults"]);
}

#[test]
fn what_generators_make() {
    hold(&["made_pickle", "made_file"]);
}

/// What generators make mostly keeps the rules, or they would be of no use.
#[test]
fn generators_get_past_the_door() {
    use depickle::pickle::{Policy, run};
    use depickle::torch::Options;
    use depickle::{Budget, FileOffset};
    let (mut whole, mut opened, mut tensors, mut modules) = (0, 0, 0, 0);
    for seed in 0..1000_u64 {
        let choices: Vec<u8> = (0..600_u64)
            .map(|at| {
                let mixed = (seed * 7919 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (mixed ^ (mixed >> 29)).to_le_bytes()[5]
            })
            .collect();
        let pickle = depickle_fuzz::generate::program::pickle(&choices);
        let outcome = run(pickle.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
        whole += u32::from(outcome.end.is_ok());
        let file = depickle_fuzz::generate::file::file(&choices);
        let Ok(file) = Options::default().policy(Policy::inspect()).read(bytes::Bytes::from(file))
        else {
            continue;
        };
        opened += 1;
        let Ok(list) = file.tensors() else { continue };
        tensors += list
            .iter()
            .filter(|entry| entry.on(&file).is_ok_and(|tensor| tensor.to_bytes().is_ok()))
            .count();
        modules += usize::from(file.module().is_ok());
    }
    println!("{whole} pickles, {opened} files, {tensors} tensors, {modules} modules of 1000");
    // Some are broken on purpose.
    assert!((750..950).contains(&whole), "{whole} pickles");
    assert!(opened > 500 && tensors > 500 && modules > 50);
}
