//! Opening by content: which layout a file has, and what it holds.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::archive::{self, Archive};
use super::checkpoint::Options;
use super::error::{Error, Fault, Kind};
use super::folder::Folder;
use super::origin::{Layout, Names, Origin};
use super::sniff::{self, Container};
use super::storage::StandIns;
use super::stretch::Stretch;
use super::{
    distributed, embedded, export, legacy, package, safetensors, script, sharded, tarball,
};
use crate::base::{Budget, Category, FileOffset, Source};
use crate::container::{self, Method};
use crate::pickle::{self, BuildError, Graph, GraphBuilder, NodeId};

/// What was found in a file, or in several that are one checkpoint.
#[derive(Debug)]
pub(crate) struct Opened {
    pub container: Container,
    pub graph: Graph,
    /// In the order of their objects.
    pub parts: Vec<Origin>,
    pub stand_ins: StandIns,
    /// Objects beside the root, by name.
    pub others: Vec<(Box<str>, NodeId)>,
}

impl Opened {
    /// One graph of one part.
    pub(crate) fn single(container: Container, graph: Graph, part: Origin) -> Self {
        let parts = vec![part];
        Self { container, graph, parts, stand_ins: StandIns::new(), others: Vec::new() }
    }

    /// What was opened as a file of its own, and lies in another from this byte on. Is of one part.
    pub(crate) fn moved(mut self, by: u64) -> Self {
        for part in &mut self.parts {
            part.start = part.start.saturating_add(by);
            if !part.inflated {
                (part.at, part.end) = (part.at.plus(by), part.end.plus(by));
                self.graph = self.graph.moved(by);
            }
        }
        self
    }

    /// The part that an object is of, by the object's index.
    pub(crate) fn part_of(&self, object: usize) -> u32 {
        let before = self.parts.partition_point(|part| part.objects.end <= object);
        u32::try_from(before).unwrap_or(u32::MAX)
    }

    /// The root of its graph.
    pub(crate) fn root(&self) -> NodeId {
        self.graph.root().map_or(NodeId::NONE, pickle::Object::id)
    }

    /// Copies what it holds into a graph of several parts.
    ///
    /// # Errors
    /// [`Kind::Over`].
    pub(crate) fn copy_into(
        self,
        build: &mut GraphBuilder,
        parts: &mut Vec<Origin>,
    ) -> Result<NodeId, BuildError> {
        let start = build.graph().len();
        let copy = match self.graph.root() {
            Some(root) => build.copy(root)?,
            None => build.none(),
        };
        if let Some(part) = self.parts.into_iter().next() {
            parts.push(Origin { objects: start..build.graph().len(), ..part });
        }
        Ok(copy)
    }
}

/// Opens a file, an index of shards, or a folder.
pub(crate) fn by_path(
    path: &Path,
    open: fn(&Path) -> io::Result<Arc<dyn Source>>,
    options: &Options,
) -> Result<Opened, Error> {
    let mut budget = Budget::new(options.limits.clone());
    if fs::metadata(path)?.is_dir() {
        let folder = Folder::new(path, open)?;
        let opened = in_folder(folder, options, &mut budget)?;
        return finish(opened, options, &mut budget);
    }
    let file = open(path)?;
    // Both are looked into for what makes them an index; most files are neither.
    if sniff::is_json(&*file)? && !safetensors::starts_here(&*file)? {
        let folder = Folder::new(path.parent().unwrap_or(Path::new("")), open)?;
        let opened = sharded::open(&file, &folder, options, &mut budget)?;
        return finish(opened, options, &mut budget);
    }
    let opened = source(file, options, &mut budget)?;
    let opened = if distributed::is_metadata(&opened) {
        let folder = Folder::new(path.parent().unwrap_or(Path::new("")), open)?;
        distributed::open(opened, folder, options, &mut budget)?
    } else {
        opened
    };
    finish(opened, options, &mut budget)
}

fn in_folder(folder: Folder, options: &Options, budget: &mut Budget) -> Result<Opened, Error> {
    if let Some(metadata) = folder.find(".metadata")? {
        let opened = source(metadata, options, budget)?;
        if distributed::is_metadata(&opened) {
            return distributed::open(opened, folder, options, budget);
        }
    }
    match folder.index()? {
        Some(index) => sharded::open(&folder.open(&index)?, &folder, options, budget),
        None => Err(Error::new(Kind::NotACheckpoint(FOLDER))),
    }
}

const FOLDER: &str = "this is a folder that holds neither the `.metadata` of a distributed \
    checkpoint nor one index of shards (`*.bin.index.json`, `*.safetensors.index.json`): name a file \
    in it";

/// Opens one file, but for what is embedded in its pickle.
pub(crate) fn source(
    source: Arc<dyn Source>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    // PyTorch decides by the first four bytes; a zip that begins elsewhere is none to it.
    if container::starts_as_zip(&*source)? {
        only_pickle(options.stream)?;
        return zip(&source, options, budget);
    }
    if container::starts_as_tar(&*source)? {
        only_pickle(options.stream)?;
        return tarball::open(source, options, budget);
    }
    if safetensors::starts_here(&*source)? {
        only_pickle(options.stream)?;
        return safetensors::open(source, options, budget);
    }
    let other = sniff::name_other(&*source)?;
    if let Some(what) = other.filter(|what| *what != sniff::TEXT) {
        return Err(Error::new(Kind::NotACheckpoint(what)));
    }
    if sniff::is_legacy(&*source)? {
        only_pickle(options.stream)?;
        let (graph, runs) = legacy::open(&*source, &options.policy, budget)?;
        let objects = 0..graph.len();
        let part = Origin::new(source, Layout::Runs(runs), objects);
        return Ok(Opened::single(Container::Legacy, graph, part));
    }
    plain(source, other, options, budget)
}

/// Of the other layouts one pickle holds the object.
fn only_pickle(stream: usize) -> Result<(), Error> {
    if stream == 0 { Ok(()) } else { Err(Error::new(Kind::NoSuchStream { asked: stream, has: 1 })) }
}

/// Opens a plain pickle.
fn plain(
    source: Arc<dyn Source>,
    other: Option<&'static str>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let (at, stream) = Stretch::whole(&*source).nth(options.stream, budget)?;
    let outcome = pickle::run(stream.clone(), at, &options.policy, budget);
    let end = match (outcome.end, other) {
        (Ok(end), _) => end,
        // Protocol 0 is text as well.
        (Err(why), Some(what)) if why.category() == Category::Malformed => {
            return Err(Error::new(Kind::NotACheckpoint(what)));
        }
        (Err(why), _) => return Err(why.into()),
    };
    let mut part = Origin::new(source, Layout::Nothing, 0..outcome.graph.len());
    (part.stream, part.at, part.end) = (stream, at, at.plus(end));
    Ok(Opened::single(Container::Pickle, outcome.graph, part))
}

/// Puts the pickles that follow a plain one beside it, counted from 0 as [`Options::stream`] does.
fn with_following(opened: Opened, options: &Options, budget: &mut Budget) -> Result<Opened, Error> {
    let (Container::Pickle, 0, [part]) = (opened.container, options.stream, &opened.parts[..])
    else {
        return Ok(opened);
    };
    let more = following(&part.source, part.end, options, budget)?;
    if more.is_empty() {
        return Ok(opened);
    }
    let root = opened.root();
    let Opened { container, graph, mut parts, stand_ins, mut others } = opened;
    let mut build = GraphBuilder::edit(graph, budget);
    for (number, opened) in (1..).zip(more) {
        let copy = opened.copy_into(&mut build, &mut parts)?;
        others.push((format!("pickle{number}").into(), copy));
    }
    Ok(Opened { container, graph: build.finish(root), parts, stand_ins, others })
}

/// The pickles from `at` on, up to what is none. Only such as announce their protocol: any
/// byte could begin one of the oldest.
fn following(
    source: &Arc<dyn Source>,
    mut at: FileOffset,
    options: &Options,
    budget: &mut Budget,
) -> Result<Vec<Opened>, Error> {
    let mut found = Vec::new();
    loop {
        let mut head = [0; 2];
        if source.len().saturating_sub(at.0) < 2 {
            return Ok(found);
        }
        source.read_at(at.0, &mut head)?;
        if !matches!(head, [0x80, 2..=5]) {
            return Ok(found);
        }
        let stream = legacy::first_pickle(&**source, at, SMALL, budget)?;
        let outcome = pickle::run(stream, at, &options.policy, budget);
        match outcome.end {
            Ok(end) => at = at.plus(end),
            Err(why) => match why.category() {
                Category::Malformed | Category::Unsupported | Category::Missing => {
                    return Ok(found);
                }
                // It may be one, which nobody has seen.
                Category::Io | Category::OverLimit | Category::Forbidden => return Err(why.into()),
            },
        }
        let mut part = Origin::new(Arc::clone(source), Layout::Nothing, 0..outcome.graph.len());
        part.pickle = Some(format!("pickle {}", found.len().saturating_add(1)).into());
        budget.memory(512)?;
        found.push(Opened::single(Container::Pickle, outcome.graph, part));
    }
}

/// Bytes first looked at for the end of one of many pickles.
const SMALL: u64 = 512;

/// Opens one file that lies in another: one of a single part, so that none leads on.
pub(crate) fn source_within(
    file: Arc<dyn Source>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    if container::starts_as_zip(&*file)? {
        let archive = Arc::new(Archive::open(&*file, budget)?);
        if archive.container == Container::Zip {
            return member(&file, &archive, archive::PICKLE, Names::DATA, options, budget);
        }
        let what = format!("a {} archive inside of another file", archive.container);
        return Err(Error::fault(Fault::Unsupported(what.into()), None));
    }
    source(file, options, budget)
}

fn zip(source: &Arc<dyn Source>, options: &Options, budget: &mut Budget) -> Result<Opened, Error> {
    let open = if options.salvage { Archive::salvage } else { Archive::open };
    let archive = Arc::new(open(&**source, budget)?);
    match archive.container {
        Container::Package => package::open(source, &archive, options, budget),
        Container::Export => export::open(source, &archive, options, budget),
        Container::TorchScript => script::open(source, &archive, options, budget),
        _ => member(source, &archive, archive::PICKLE, Names::DATA, options, budget),
    }
}

/// Opens one pickle of an archive, with the storages below one of its folders.
pub(crate) fn member(
    source: &Arc<dyn Source>,
    archive: &Arc<Archive>,
    name: &str,
    names: Names,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let full = archive.name(name);
    let member = archive.member(name)?;
    let member = member.ok_or_else(|| Error::new(Kind::MissingMember).in_member(&full))?;
    let stream = archive.zip.read(&**source, member, budget)?;
    // Offsets in a compressed member count from its own beginning.
    let base = match member.method() {
        Method::Stored => archive.zip.locate(&**source, member)?.at,
        _ => FileOffset(0),
    };
    let outcome = pickle::run(stream.clone(), base, &options.policy, budget);
    let inflated = member.method() != Method::Stored;
    outcome.end.map_err(|why| {
        let why = Error::from(why).in_member(&full);
        if inflated { why.in_inflated() } else { why }
    })?;
    let layout = Layout::Zip { archive: Arc::clone(archive), names };
    let mut part = Origin::new(Arc::clone(source), layout, 0..outcome.graph.len());
    (part.pickle, part.inflated) = (Some(full.into()), inflated);
    (part.stream, part.at) = (stream, base);
    Ok(Opened::single(archive.container, outcome.graph, part))
}

/// Opens what is embedded as well, and what follows a plain pickle.
pub(crate) fn finish(
    opened: Opened,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let opened = with_following(opened, options, budget)?;
    // Which of several pickles is about the file itself.
    embedded::resolve(opened, &options.clone().stream(0), budget)
}
