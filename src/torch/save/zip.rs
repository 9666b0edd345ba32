//! The layout of today: an archive of stored members.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_save`), `caffe2/serialize/inline_container.cc`
//! (`writeEndOfFile`, `writeSerializationId`).

use std::io::Write;

use super::fingerprint::Fingerprint;
use super::plan::Plan;
use crate::container::{ALIGNMENT, ZipWriter, zip_len};
use crate::torch::error::{Error, Kind};

const PICKLE: &str = "data.pkl";
const ID: &str = ".data/serialization_id";
/// Members before the storages, and what they hold.
const BEFORE: [(&str, &[u8]); 3] =
    [(".format_version", b"1"), (".storage_alignment", b"64"), ("byteorder", b"little")];
const VERSION: (&str, &[u8]) = ("version", b"3\n");

/// Bytes of the whole file.
pub(super) fn len(plan: &Plan) -> u64 {
    let fixed = |(name, bytes): (&'static str, &'static [u8])| (name.len(), bytes.len() as u64);
    let storages = plan.storages.iter();
    let storages = storages.map(|it| ("data/".len().saturating_add(it.key.len()), it.nbytes()));
    let members = std::iter::once((PICKLE.len(), plan.pickle.len() as u64))
        .chain(BEFORE.into_iter().map(fixed))
        .chain(storages)
        .chain([fixed(VERSION), (ID.len(), Fingerprint::LEN)]);
    let folder = plan.folder_name().len().saturating_add(1);
    zip_len(members.map(|(name, size)| (folder.saturating_add(name) as u64, size)), ALIGNMENT)
}

pub(super) fn write(plan: Plan, out: impl Write) -> Result<u64, Error> {
    let folder = plan.folder_name().into();
    let Plan { pickle, storages, .. } = plan;
    let mut archive = Archive { zip: ZipWriter::new(out), folder, print: Fingerprint::default() };
    archive.add(PICKLE, &pickle)?;
    drop(pickle);
    for (name, bytes) in BEFORE {
        archive.add(name, bytes)?;
    }
    let mut buffer = Vec::new();
    for storage in storages {
        let (name, nbytes) = (format!("data/{}", storage.key), storage.nbytes());
        let full = archive.name(&name);
        let mut member = archive.zip.begin(&full, nbytes).map_err(failed)?;
        let data = storage.stored.data;
        data.pass(&mut buffer, &mut |piece| member.write_all(piece).map_err(failed))?;
        let crc = member.finish().map_err(failed)?;
        archive.print.add(&name, nbytes, crc);
    }
    archive.add(VERSION.0, VERSION.1)?;
    let id = archive.print.to_string();
    archive.add(ID, id.as_bytes())?;
    archive.finish()
}

struct Archive<W> {
    zip: ZipWriter<W>,
    folder: Box<str>,
    print: Fingerprint,
}

impl<W: Write> Archive<W> {
    fn name(&self, below: &str) -> String {
        format!("{}/{below}", self.folder)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let full = self.name(name);
        let crc = self.zip.add(&full, bytes).map_err(failed)?;
        self.print.add(name, bytes.len() as u64, crc);
        Ok(())
    }

    fn finish(self) -> Result<u64, Error> {
        self.zip.finish_counted().map_err(failed)
    }
}

fn failed(why: std::io::Error) -> Error {
    Error::new(Kind::Write(why))
}
