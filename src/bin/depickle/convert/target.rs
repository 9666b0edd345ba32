//! Where the output goes, and in which format.

use std::path::{Path, PathBuf};

use depickle::convert::{Error, Format, Kind};
use depickle::torch::{Checkpoint, Container};

use super::{Args, To};

/// The output.
pub(super) struct Target {
    pub format: Format,
    pub path: PathBuf,
}

/// What files of PyTorch and safetensors are called; the longer ends first.
const ENDS: &[&str] = &[
    ".bin.index.json",
    ".safetensors.index.json",
    ".pth.tar",
    ".pt.tar",
    ".safetensors",
    ".pth",
    ".pt2",
    ".pt",
    ".bin",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".th",
    ".tar",
];

pub(super) fn find(args: &Args, checkpoint: &Checkpoint) -> Result<Target, Error> {
    let usage = |why: &str| Error::from(Kind::Usage(why.into()));
    let output = args.output.as_ref().or(args.named.as_ref());
    if output.is_some_and(|path| path == Path::new("-")) {
        return Err(usage("the output cannot be standard output: name a file"));
    }
    let folder = output.filter(|path| path.is_dir() || ends_in_slash(path));
    let by_name = output.filter(|_| folder.is_none()).and_then(|path| by_extension(path));
    let asked = args.to.map(|to| match to {
        To::Safetensors => Format::Safetensors,
        To::Pth => Format::Pth,
        To::Npz => Format::Npz,
    });
    let format = match (asked, by_name, output) {
        (Some(format), ..) | (None, Some(format), _) => format,
        (None, None, Some(path)) if folder.is_none() => {
            let why = format!(
                "{}: its extension names no format that is written: .safetensors, .pth, .npz; or say \
                 it with --to",
                path.display()
            );
            return Err(usage(&why));
        }
        _ if checkpoint.container() == Container::Safetensors => {
            return Err(usage("this is a safetensors file: say with --to what it is to become"));
        }
        _ => Format::Safetensors,
    };
    let path = match (output, folder) {
        (Some(path), None) => path.clone(),
        (_, folder) => {
            if args.file == Path::new("-") {
                return Err(usage("standard input has no name: name the output"));
            }
            let name = format!("{}.{}", stem(&args.file), format.name());
            folder.map_or_else(|| beside(&args.file, &name), |folder| folder.join(&name))
        }
    };
    Ok(Target { format, path })
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

fn by_extension(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "safetensors" => Some(Format::Safetensors),
        "pth" | "pt" | "bin" | "ckpt" | "th" => Some(Format::Pth),
        "npz" => Some(Format::Npz),
        _ => None,
    }
}

/// The input's name without what says its format.
fn stem(path: &Path) -> String {
    // Of `.` and its like, what they lead to.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().or(real.file_name()).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let end = ENDS.iter().find(|end| name.len() > end.len() && name.ends_with(*end));
    end.and_then(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
}

/// Beside the input; beside a folder, not in it.
fn beside(file: &Path, name: &str) -> PathBuf {
    let real = file.file_name().is_none().then(|| file.canonicalize().ok()).flatten();
    real.as_deref().unwrap_or(file).with_file_name(name)
}

/// Bytes as the Hub counts: `5GB` is 5·10⁹. `5GiB` is 5·2³⁰.
pub(super) fn shard_size(text: &str) -> Result<u64, String> {
    let unit_at = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "T" | "TB" => 1_000_000_000_000,
        "KIB" => 1 << 10,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        "TIB" => 1 << 40,
        _ => return Err("a whole number and a unit, such as 500MB, 5GB or 5GiB".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "a whole number and a unit, such as 5GB")?;
    let bytes = count.checked_mul(factor).ok_or_else(|| "too large".to_owned())?;
    if bytes == 0 { Err("at least a byte".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_says_their_format() {
        for (name, want) in [
            ("model.pth", "model"),
            ("a/checkpoint.pth.tar", "checkpoint"),
            ("pytorch_model.bin.index.json", "pytorch_model"),
            ("v1.2", "v1.2"),
            (".pth", ".pth"),
            ("folder/", "folder"),
        ] {
            assert_eq!(stem(Path::new(name)), want);
        }
        assert_eq!(beside(Path::new("a/b.pth"), "c"), Path::new("a/c"));
        assert_eq!(beside(Path::new("a/dcp/"), "c"), Path::new("a/c"));
    }

    #[test]
    fn sizes_of_shards_are_the_hub_s() {
        assert_eq!(shard_size("5GB"), Ok(5_000_000_000));
        assert_eq!(shard_size("5 GiB"), Ok(5 << 30));
        assert_eq!(shard_size("123"), Ok(123));
        for bad in ["", "GB", "5XB", "0", "-1", "1.5GB", "99999999999TB"] {
            assert!(shard_size(bad).is_err(), "{bad}");
        }
    }
}
