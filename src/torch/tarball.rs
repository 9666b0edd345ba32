//! The layout before PyTorch 0.1.10: a tar archive of `storages`, `tensors` and `pickle`.
//!
//! Tensors are described in binary, and the object's pickle names them by number. Here each is
//! spelled as later versions would, and stands in for its number.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`legacy_load` in `_legacy_load`).

use std::collections::HashMap;
use std::sync::Arc;

use super::DType;
use super::checkpoint::Options;
use super::error::{Error, Fault, Kind};
use super::legacy::{self, Pickles};
use super::open::Opened;
use super::origin::{Layout, Origin, Runs};
use super::sniff::Container;
use super::spell::{Spelled, SpelledStorage};
use super::storage::{self, StandIns};
use crate::base::{Budget, Cursor, FileOffset, Limits, Source, Window};
use crate::container::{Extent, Tar};
use crate::pickle::{Graph, GraphBuilder, Items, NodeId, Object, Policy, Value};

/// Bytes first looked at for each of the many small pickles.
const WINDOW: u64 = 512;

const OTHER_TAR: &str = "this is a tar archive, but not one that PyTorch before 0.1.10 wrote: \
    unpack it first";

/// Opens such a file.
pub(crate) fn open(
    source: Arc<dyn Source>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let open = if options.salvage { Tar::recover } else { Tar::open };
    let tar = open(&*source, budget)?;
    let find = |name: &str| {
        let found = tar.find(name.as_bytes())?;
        found.ok_or_else(|| Error::new(Kind::NotACheckpoint(OTHER_TAR)))
    };
    let mut found = Found::default();
    for (name, read) in [
        ("storages", Found::read_storages as fn(&mut Found, Pickles) -> Result<(), Error>),
        ("tensors", Found::read_tensors),
    ] {
        let place = find(name)?;
        let whole = up_to(&source, place)?;
        let pickles = pickles(&whole, place, WINDOW, options, budget);
        let outcome = read(&mut found, pickles).map_err(|why| why.in_member(name));
        // What was read before the file ended stays.
        if !options.salvage {
            outcome?;
        }
    }
    let place = find("pickle")?;
    let whole = up_to(&source, place)?;
    let graph = pickles(&whole, place, legacy::WINDOW, options, budget).next();
    let graph = graph.map_err(|why| why.in_member("pickle"))?;
    let (graph, stand_ins) = found.stand_in(graph, budget)?;
    let mut part = Origin::new(source, Layout::Runs(found.runs), 0..graph.len());
    part.pickle = Some("pickle".into());
    let opened = Opened::single(Container::Tar, graph, part);
    Ok(Opened { stand_ins, ..opened })
}

/// Where in the member `storages` or `tensors` other bytes lie between pickles: where each run of
/// them begins, and ends. None of other members, nor behind what is damaged.
pub(crate) fn gaps(
    source: &dyn Source,
    name: &str,
    place: Extent,
    limits: &Limits,
) -> HashMap<FileOffset, FileOffset> {
    let mut found = HashMap::new();
    let budget = &mut Budget::new(limits.clone());
    let policy = &Policy::inspect();
    let mut pickles = Pickles { source, policy, budget, at: place.at, window: WINDOW };
    // Where it breaks, whoever looks at the pickles sees it break.
    let _ = match name.strip_prefix("./").unwrap_or(name) {
        "storages" => find_gaps(&mut pickles, &mut found, after_storage),
        "tensors" => find_gaps(&mut pickles, &mut found, after_tensor),
        _ => Ok(()),
    };
    found.retain(|_, end| *end <= place.end());
    found
}

fn find_gaps(
    pickles: &mut Pickles,
    found: &mut HashMap<FileOffset, FileOffset>,
    after: fn(&Graph, FileOffset, &dyn Source) -> Result<FileOffset, Error>,
) -> Result<(), Error> {
    for _ in 0..count(&pickles.next()?, pickles.at)? {
        let graph = pickles.next()?;
        let end = after(&graph, pickles.at, pickles.source)?;
        pickles.budget.memory(64)?;
        found.insert(pickles.at, end);
        pickles.at = end;
    }
    Ok(())
}

fn after_storage(graph: &Graph, at: FileOffset, source: &dyn Source) -> Result<FileOffset, Error> {
    let located = |fault| Error::fault(fault, Some(at));
    let [_, _, class] = triple(graph).map_err(located)?;
    let dtype = storage::storage_dtype(class).map_err(located)?.unwrap_or(DType::UInt8);
    let run = legacy::counted(source, at, dtype.width())?;
    run.map(|run| run.end()).ok_or_else(|| located(Fault::Arguments("a storage is cut off")))
}

fn after_tensor(_: &Graph, at: FileOffset, source: &dyn Source) -> Result<FileOffset, Error> {
    let mut rank = [0; 4];
    source.read_at(at.0, &mut rank)?;
    let rank = u64::try_from(i32::from_le_bytes(rank)).unwrap_or(u64::MAX);
    Ok(at.plus(rank.saturating_mul(16).saturating_add(16)))
}

/// The file up to the end of a member, so that offsets stay those of the file.
fn up_to(source: &Arc<dyn Source>, place: Extent) -> Result<Window, Error> {
    Ok(Window::new(Arc::clone(source), 0, place.end().0)?)
}

fn pickles<'run>(
    source: &'run Window,
    place: Extent,
    window: u64,
    options: &'run Options,
    budget: &'run mut Budget,
) -> Pickles<'run> {
    Pickles { source, policy: &options.policy, budget, at: place.at, window }
}

/// What the members describe, by number.
#[derive(Default)]
struct Found {
    runs: Runs,
    storages: HashMap<i64, SpelledStorage>,
    tensors: HashMap<i64, Spelled>,
    /// Why the rest of the tensors was not reached, if it was not.
    broken: Option<Fault>,
}

impl Found {
    /// A count; so many of `(key, location, class)`, each with the raw storage behind it; and a
    /// list of `(key, whole's key, offset, numel)` for storages that are pieces of others.
    fn read_storages(&mut self, mut pickles: Pickles) -> Result<(), Error> {
        for _ in 0..count(&pickles.next()?, pickles.at)? {
            let graph = pickles.next()?;
            let at = pickles.at;
            let located = |fault| Error::fault(fault, Some(at));
            let [key, location, class] = triple(&graph).map_err(located)?;
            let dtype = storage::storage_dtype(class).map_err(located)?;
            let dtype = dtype.unwrap_or(DType::UInt8);
            let key = number(key).map_err(located)?;
            let run = legacy::counted(pickles.source, at, dtype.width())?;
            let Some(run) = run.filter(|run| run.end().0 <= pickles.source.len()) else {
                return Err(located(Fault::NoStorage(key.to_string().into())));
            };
            let numel = run.len.checked_div(dtype.width()).unwrap_or(0);
            let device = storage::text(location, "a device").map_err(located)?.into();
            let name: Box<str> = key.to_string().into();
            let storage = SpelledStorage { key: name.clone(), device, dtype, numel, piece: None };
            pickles.budget.memory(256)?;
            self.runs.places.insert(name, run);
            self.storages.insert(key, storage);
            pickles.at = run.end();
        }
        let views = pickles.next()?;
        let list = views.root().and_then(Object::items);
        for view in list.into_iter().flat_map(Items::iter) {
            pickles.budget.memory(256)?;
            self.piece(view).map_err(|fault| Error::fault(fault, view.offset()))?;
        }
        Ok(())
    }

    fn piece(&mut self, view: Object) -> Result<(), Fault> {
        const ITEMS: Fault = Fault::Arguments("a piece of a storage is described by 4 items");
        let [key, whole, offset, numel] = view.as_tuple().and_then(Items::array).ok_or(ITEMS)?;
        let (key, whole) = (number(key)?, number(whole)?);
        let missing = || Fault::NoStorage(whole.to_string().into());
        let mut storage = self.storages.get(&whole).ok_or_else(missing)?.clone();
        let unsigned = |object| {
            let value = number(object)?;
            u64::try_from(value).map_err(|_| Fault::Negative(value))
        };
        let (mut offset, numel) = (unsigned(offset)?, unsigned(numel)?);
        if let Some((_, before, _)) = &storage.piece {
            offset = offset.saturating_add(*before);
        }
        storage.piece = Some((key.to_string().into(), offset, numel));
        self.storages.insert(key, storage);
        Ok(())
    }

    /// A count; so many of `(key, storage's key, class)`, each followed by how the tensor lies,
    /// in binary. Where one cannot be followed, those before it can be read.
    fn read_tensors(&mut self, mut pickles: Pickles) -> Result<(), Error> {
        for _ in 0..count(&pickles.next()?, pickles.at)? {
            match self.read_tensor(&mut pickles) {
                Err(why) if matches!(why.kind(), Kind::BadTensor(_)) => {
                    self.broken = Some(Fault::BadStorage(why.to_string().into()));
                    break;
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn read_tensor(&mut self, pickles: &mut Pickles) -> Result<(), Error> {
        let graph = pickles.next()?;
        let at = pickles.at;
        let located = |fault| Error::fault(fault, Some(at));
        let [key, storage, _class] = triple(&graph).map_err(located)?;
        let (key, storage) = (number(key).map_err(located)?, number(storage).map_err(located)?);
        let left = pickles.source.len().saturating_sub(at.0);
        // 4 bytes of rank, 4 unused, sizes, strides, offset.
        let rank = Cursor::new(&pickles.source.fetch(at.0, left.min(4))?).array().copied();
        let rank = i32::from_le_bytes(rank.unwrap_or([0xff; 4]));
        let short = || located(Fault::Arguments("a tensor's sizes are cut off"));
        let rank = u64::try_from(rank).map_err(|_| short())?;
        let len = rank.saturating_mul(16).saturating_add(16);
        if len > left {
            return Err(short());
        }
        let bytes = pickles.source.fetch(at.0, len)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().skip(1).map(|bytes| i64::from_le_bytes(*bytes));
        let mut take = |count: u64| -> Result<Vec<u64>, Error> {
            let unsigned = |value| u64::try_from(value).map_err(|_| Fault::Negative(value));
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            numbers.by_ref().take(count).map(unsigned).collect::<Result<_, _>>().map_err(located)
        };
        let (shape, stride, offset) = (take(rank)?, take(rank)?, take(1)?);
        let offset = offset.first().copied().unwrap_or_default();
        let missing = || located(Fault::NoStorage(storage.to_string().into()));
        let storage = self.storages.get(&storage).ok_or_else(missing)?.clone();
        let dtype = storage.dtype;
        let (requires_grad, is_parameter) = (false, false);
        let tensor = Spelled { storage, dtype, offset, shape, stride, requires_grad, is_parameter };
        pickles.budget.memory(len.saturating_add(256))?;
        self.tensors.insert(key, tensor);
        pickles.at = at.plus(len);
        Ok(())
    }

    /// Spells what the object's pickle names by number.
    fn stand_in(&self, graph: Graph, budget: &mut Budget) -> Result<(Graph, StandIns), Error> {
        let named = graph.objects().filter_map(|object| match object.value() {
            Value::Persistent(id) => Some((object.index()?, object.offset(), number(id).ok()?)),
            _ => None,
        });
        let named: Vec<_> = named.collect();
        let root = graph.root().map_or(NodeId::NONE, Object::id);
        let mut build = GraphBuilder::edit(graph, budget);
        let mut made: HashMap<i64, NodeId> = HashMap::new();
        let mut stand_ins = StandIns::new();
        for (object, at, key) in named {
            let found = match (made.get(&key), self.tensors.get(&key), self.storages.get(&key)) {
                (Some(id), _, _) => Ok(*id),
                (_, Some(tensor), _) => Ok(tensor.build(&mut build)?),
                (_, _, Some(storage)) => Ok(storage.build(&mut build)?),
                _ => {
                    let missing = || Fault::NoStorage(key.to_string().into());
                    Err((self.broken.clone().unwrap_or_else(missing), at))
                }
            };
            if let Ok(id) = found {
                made.insert(key, id);
            }
            stand_ins.insert(object, found);
        }
        Ok((build.finish(root), stand_ins))
    }
}

fn count(graph: &Graph, at: FileOffset) -> Result<u64, Error> {
    let count = graph.root().map_or(Err(Fault::Arguments("no count")), number);
    let count = count.and_then(|count| u64::try_from(count).map_err(|_| Fault::Negative(count)));
    count.map_err(|fault| Error::fault(fault, Some(at)))
}

fn triple(graph: &Graph) -> Result<[Object<'_>; 3], Fault> {
    let items = graph.root().and_then(Object::items).and_then(Items::array);
    items.ok_or(Fault::Arguments("three items were to stand here"))
}

/// A number, or the digits of one.
fn number(object: Object) -> Result<i64, Fault> {
    let found = object.as_int().or_else(|| object.as_str()?.parse().ok());
    found.ok_or(Fault::NotA { wanted: "a number", found: object.kind() })
}
