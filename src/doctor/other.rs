//! Files of other programs, and names that promise something else.

use std::path::Path;

use super::python::quoted;
use super::words::human;
use super::{Diagnosis, Report};
use crate::base::Source;
use crate::torch::{Container, Error, formats};

/// Formats that only wrap another file.
const WRAPPERS: &[&str] =
    &["gzip", "7z", "rar", "xz", "lzma", "bzip2", "zstd", "lz4", "compress", "zlib", "cabinet"];

/// Says what a file of another program is; false if it is none that is known.
pub(super) fn examine(source: &dyn Source, report: &mut Report) -> Result<bool, Error> {
    let Some(format) = formats::of(source)? else { return Ok(false) };
    // Checkpoints can be of this format.
    if format.id == "safetensors" {
        return Ok(false);
    }
    report.what(format.id, format.thing);
    let id = match format.id {
        "zeros" => return zeros(source, report).map(|()| true),
        id if WRAPPERS.contains(&id) => "compressed",
        _ => "wrong-format",
    };
    let what = if id == "compressed" { "" } else { ", not a PyTorch file" };
    report
        .add(Diagnosis::error(id, format!("this is {}{what}", format.thing)).advice(format.advice));
    let python = format.python.replace("PATH", &quoted(&report.path));
    report.load = python.lines().map(str::to_owned).collect();
    Ok(true)
}

const CHUNK: u64 = 1 << 20;

/// Zeros up to where?
fn zeros(source: &dyn Source, report: &mut Report) -> Result<(), Error> {
    let mut at = 0_u64;
    let other = loop {
        let len = CHUNK.min(source.len().saturating_sub(at));
        if len == 0 {
            break None;
        }
        let bytes = source.fetch(at, len)?;
        if let Some(place) = bytes.iter().position(|&byte| byte != 0) {
            break Some(at.saturating_add(place as u64));
        }
        at = at.saturating_add(len);
    };
    let message = match other {
        None => format!("all {} of it are zero bytes", human(source.len())),
        Some(at) => format!("its first {} are zero bytes", human(at)),
    };
    report.what("zeros", "a file of zero bytes");
    report.add(Diagnosis::error("zero-bytes", message).advice(
        "a download or copy went wrong: space was set aside and never filled, or a disk failed; \
         get it again from where it came",
    ));
    Ok(())
}

/// What names promise, and the kinds and containers that keep the promise.
const EXTENSIONS: &[(&str, &[&str])] = &[
    ("safetensors", &["safetensors"]),
    ("gguf", &["gguf"]),
    ("onnx", &["onnx"]),
    ("h5", &["hdf5"]),
    ("hdf5", &["hdf5"]),
    ("npy", &["numpy"]),
    ("npz", &["npz"]),
    ("tflite", &["tflite"]),
    ("pt2", &["export"]),
    ("zip", &["zip", "npz", "archive", "torchscript", "package", "export"]),
    ("gz", &["gzip"]),
    ("pth", TORCH),
    ("pt", TORCH),
    ("ckpt", TORCH),
    ("bin", TORCH),
    ("pkl", &["pickle", "legacy", "zip"]),
    ("pickle", &["pickle", "legacy", "zip"]),
];

/// Such names are given to all that PyTorch writes.
const TORCH: &[&str] =
    &["zip", "legacy", "tar", "torchscript", "package", "export", "pickle", "sharded"];

/// Compares the name with what the file is.
pub(super) fn extension(path: Option<&Path>, report: &mut Report) {
    let extension = path.and_then(Path::extension).map(|it| it.to_string_lossy().to_lowercase());
    let Some(extension) = extension else { return };
    let row = EXTENSIONS.iter().find(|(known, _)| **known == *extension);
    let Some((_, fits)) = row else { return };
    let is = report.container.map_or(report.kind, Container::name);
    // What is cut, empty or a page says enough.
    let known = report.container.is_some() || EXTENSIONS.iter().any(|(_, all)| all.contains(&is));
    if fits.contains(&is) || !known {
        return;
    }
    let message = format!("its name ends in .{extension}, but it is {}", report.what);
    report.add(
        Diagnosis::warning("extension", message)
            .advice("programs that go by names will take it for something else: rename it"),
    );
}
