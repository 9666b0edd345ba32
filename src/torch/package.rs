//! Archives of `torch.package`: pickles under names of the user's choice, their storages in
//! `.data/`.
//!
//! The root is a dict of what each pickle holds, by the pickle's member.
//!
//! Source: PyTorch 2.15 `torch/package/package_exporter.py` (`save_pickle`, `_persistent_id`),
//! `package_importer.py`.

use std::path::Path;
use std::sync::Arc;

use super::archive::Archive;
use super::checkpoint::Options;
use super::error::Error;
use super::open::{self, Opened};
use super::origin::Names;
use super::sniff::Container;
use super::storage::StandIns;
use crate::base::{Budget, Source};
use crate::container::Method;
use crate::pickle::GraphBuilder;

const STORAGES: Names = Names { before: ".data/", after: ".storage" };

/// Opens every pickle of the archive. One that cannot be opened hides no other.
pub(crate) fn open(
    source: &Arc<dyn Source>,
    archive: &Arc<Archive>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut found = Vec::new();
    for name in pickles(&**source, archive)? {
        let opened = open::member(source, archive, &name, STORAGES, options, budget);
        found.push((name, opened));
    }
    merge(Container::Package, found, budget)
}

/// One checkpoint of several: a dict by name.
pub(crate) fn merge(
    container: Container,
    found: Vec<(String, Result<Opened, Error>)>,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut parts = Vec::new();
    let mut stand_ins = StandIns::new();
    let mut build = GraphBuilder::new(budget);
    let mut pairs = Vec::new();
    for (name, opened) in found {
        let value = match opened {
            Ok(opened) => opened.copy_into(&mut build, &mut parts)?,
            // Refusals and limits are about the whole file.
            Err(why) if why.category() != crate::Category::Malformed => return Err(why),
            Err(why) => unreadable(&mut build, &mut stand_ins, &why)?,
        };
        pairs.push((build.text(&name)?, value));
    }
    let root = build.dict(&pairs)?;
    let graph = build.finish(root);
    Ok(Opened { container, graph, parts, stand_ins, others: Vec::new() })
}

/// An object that is listed with the reason for which it cannot be read.
pub(crate) fn unreadable(
    build: &mut GraphBuilder,
    stand_ins: &mut StandIns,
    why: &Error,
) -> Result<crate::pickle::NodeId, Error> {
    let text = build.text("unreadable")?;
    let object = build.persistent(text)?;
    let index = build.object(object).index().unwrap_or_default();
    stand_ins.insert(index, Err(why.as_fault()));
    Ok(object)
}

/// Names of the members that begin as pickles do: by PROTO, which the exporter always writes.
fn pickles(source: &dyn Source, archive: &Archive) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (member, name) in archive.members() {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.starts_with(".data/") || member.size() < 2 {
            continue;
        }
        let plain = member.method() == Method::Stored;
        let head = match plain {
            true => source.fetch(archive.zip.locate(source, member)?.at.0, 2)?,
            false if Path::new(name).extension().is_some_and(|it| it == "pkl") => {
                bytes::Bytes::from_static(&[0x80, 2])
            }
            false => continue,
        };
        if matches!(head[..], [0x80, 0..=5]) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}
