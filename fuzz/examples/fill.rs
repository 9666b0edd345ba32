//! Fills `corpus/` with what the fixtures and the seeds hold, for each target what suits it.
//!
//!     cargo run --example fill [TARGET…]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use depickle::container::Zip;
use depickle::pickle::assemble;
use depickle::torch::stretches;
use depickle::{Budget, Limits};
use depickle_fuzz::{Input, TARGETS};

/// Larger inputs only slow fuzzing down (bytes).
const LARGEST: usize = 64 << 10;

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

/// Streams of CPython with their JSON, each behind its length: every so manieth.
fn values(archive: &Bytes, pickles: &mut Vec<Vec<u8>>) {
    let mut budget = Budget::new(Limits::default());
    let Ok(zip) = Zip::open(archive, &mut budget) else { return };
    let Ok(Some(member)) = zip.find(b"values") else { return };
    let Ok(all) = zip.read(archive, member, &mut budget) else { return };
    let mut rest = &all[..];
    let mut next = || {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (part, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rest = after;
        Some(part)
    };
    let mut count = 0;
    while let (Some(stream), Some(_)) = (next(), next()) {
        if count % 7 == 0 && stream.len() < 2000 {
            pickles.push(stream.to_vec());
        }
        count += 1;
    }
}

/// The cases of the corpus in assembler.
fn cases(text: &str, pickles: &mut Vec<Vec<u8>>) {
    for case in text.split("\n;; ").skip(1) {
        pickles.extend(assemble(&format!(";; {case}")).ok());
    }
}

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut pickles, mut all) = (Vec::new(), Vec::new());
    for path in files(&root.join("../tests/fixtures")) {
        let bytes = Bytes::from(fs::read(&path)?);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "values.zip" {
            values(&bytes, &mut pickles);
        }
        if bytes.len() > LARGEST || name.ends_with(".py") || name.ends_with(".txt") {
            continue;
        }
        let limits = Limits::default();
        if let Ok(found) = stretches(&bytes, &limits) {
            for mut stretch in found.flatten() {
                let at = stretch.start();
                if let Ok(pickle) = stretch.pickle_at(at, &mut Budget::default()) {
                    pickles.push(pickle[..pickle.len().min(LARGEST)].to_vec());
                }
            }
        }
        all.push(bytes.to_vec());
    }
    for path in files(&root.join("../tests/corpus")) {
        cases(&fs::read_to_string(path)?, &mut pickles);
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let choices: Vec<Vec<u8>> = (0..64_u8)
        .map(|seed| {
            (0..=255)
                .map(|at: u8| at.wrapping_mul(seed | 1).rotate_left(u32::from(seed % 8)) ^ seed)
                .collect()
        })
        .collect();
    let cli = ("cli", Input::File);
    for (name, input) in TARGETS.iter().map(|&(name, input, _)| (name, input)).chain([cli]) {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        let folder = root.join("corpus").join(name);
        fs::create_dir_all(&folder)?;
        let inputs = match input {
            Input::Pickle => pickles.clone(),
            Input::File => [&all[..], if name == "modules" { &pickles } else { &[] }].concat(),
            Input::Choices => choices.clone(),
        };
        let seeds = files(&root.join("seeds").join(name)).into_iter().flat_map(fs::read);
        let mut count = 0;
        for (index, mut bytes) in inputs.into_iter().chain(seeds).enumerate() {
            if name == "cli" {
                // The first byte chooses the command.
                bytes.insert(0, index.to_le_bytes()[0]);
            }
            fs::write(folder.join(format!("{index:05}")), bytes)?;
            count += 1;
        }
        println!("{name}: {count}");
    }
    Ok(())
}
