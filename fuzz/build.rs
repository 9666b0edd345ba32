//! The target `cli` compiles the modules of the command-line tool into a crate of its own, as
//! `main.rs` lists them, so that it follows when verbs are added.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&root).join("../src/bin/depickle");
    println!("cargo::rerun-if-changed={}", folder.display());
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("cli");
    copy(&folder, &out)?;
    let main = fs::read_to_string(folder.join("main.rs"))?;
    let mut text = String::new();
    for line in main.lines() {
        let Some(name) = line.strip_prefix("mod ").and_then(|line| line.strip_suffix(';')) else {
            continue;
        };
        // A file named by path looks for its own modules beside itself.
        let (file, inside) = (out.join(format!("{name}.rs")), out.join(name).join("mod.rs"));
        if file.exists() {
            fs::create_dir_all(out.join(name))?;
            fs::rename(file, &inside)?;
        }
        // What only `main` uses is not used here.
        text += "#[allow(dead_code)]\n";
        text += &format!("#[path = {:?}]\nmod {name};\n", inside.display().to_string());
    }
    // What decides between the verbs, but not `main` itself.
    let start = main.find("fn run(verb: Verb)").expect("main.rs has a function `run`");
    text += &main[start..];
    fs::write(out.join("cli.rs"), text)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, to)?;
        }
    }
    Ok(())
}
