//! Files that were compressed as a whole: what is said of what they hold.

use std::sync::Arc;

use super::python::quoted;
use super::words::human;
use super::{Diagnosis, Look, Report};
use crate::base::{Budget, Source};
use crate::scan::inflate::{Packing, inflate};
use crate::torch::Error;

/// Bytes that tell how a file is compressed.
const HEAD: u64 = 512;

/// Looks at what a compressed file holds, if it can be unpacked here.
pub(super) fn examine(
    look: &Look<'_>,
    source: &dyn Source,
    report: &mut Report,
) -> Result<(), Error> {
    let head = source.fetch(0, source.len().min(HEAD))?;
    let Some(packing) = Packing::of(&head) else { return Ok(()) };
    let mut budget = Budget::new(look.options.limits.clone());
    let unpacked = inflate(packing, source, u64::MAX, &mut budget, look.progress);
    let len = unpacked.bytes.len() as u64;
    if let Err(why) = unpacked.end {
        let message = format!("unpacking ends after {}: {why}", human(len));
        report.add(Diagnosis::error("unpacking", message).advice(
            "unpack it with its own program and look at that; if it fails too, get the file again",
        ));
    }
    if len == 0 {
        return Ok(());
    }
    let bytes: Arc<dyn Source> = Arc::new(unpacked.bytes);
    let inside = Look { path: None, packed: true, options: look.options, progress: &|_| {} };
    let inside = inside.at(&bytes)?;
    report.what = format!("{}: unpacked, {}", report.what, inside.what);
    report.load = load(packing, &inside, &report.path);
    report.requires = inside.requires;
    for found in inside.diagnosis {
        let place = found.offset.map(|at| format!(" (byte {} of it)", at.0)).unwrap_or_default();
        let message = format!("unpacked: {}{place}", found.message);
        report.add(Diagnosis { message, offset: None, ..found });
    }
    Ok(())
}

/// Python that loads what is inside, where its own library unpacks it.
fn load(packing: Packing, inside: &Report, path: &str) -> Vec<String> {
    let module = match packing {
        Packing::Gzip => "gzip",
        Packing::Bzip2 => "bz2",
        Packing::Xz | Packing::Lzma => "lzma",
        _ => return Vec::new(),
    };
    let call = format!("torch.load({}", quoted(&inside.path));
    if !inside.load.iter().any(|line| line.contains(&call)) {
        return Vec::new();
    }
    let unpacked = format!("torch.load(io.BytesIO({module}.open({}).read())", quoted(path));
    let imports = format!("import {module}, io");
    let lines = inside.load.iter().map(|line| line.replace(&call, &unpacked));
    std::iter::once(imports).chain(lines).collect()
}
