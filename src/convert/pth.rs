//! State dicts as `torch.save` writes them: nothing in them but tensors, so that
//! `torch.load(weights_only=True)` takes them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use super::error::{Error, Kind};
use super::moving::Sink;
use super::plan::{How, Item, Plan};
use crate::base::Budget;
use crate::pickle::{Global, NodeId, Object, Positions, Recipe};
use crate::python::policy;
use crate::torch::module::Module;
use crate::torch::{self, Checkpoint, DType, Data, Draft, StorageId, Take};

/// Counts what passes, and lets it pass as long as it may.
struct Counted<'run, 'out> {
    sink: &'run mut Sink<'out>,
    each: &'run mut dyn FnMut(u64) -> io::Result<()>,
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Asked first: of what says that it failed, nothing was written.
        (self.each)(bytes.len() as u64)?;
        self.sink.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Plan<'_> {
    /// Writes the tensors, or all that the checkpoint holds.
    pub(crate) fn pth(
        &self,
        path: &Path,
        sink: &mut Sink,
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut budget = Budget::new(self.checkpoint.limits().clone());
        let plan = if self.convert.whole {
            let draft = Draft::of(self.checkpoint, &mut budget)?;
            let root = draft.root();
            draft.finish(root)?
        } else {
            let mut draft = Draft::new(&mut budget);
            let root = self.state_dict(&mut draft)?;
            draft.finish(root)?
        };
        let written = plan.named_for(path).write(Counted { sink, each });
        written.map(drop).map_err(|why| match why.kind() {
            torch::Kind::Write(inner) => io::Error::new(inner.kind(), inner.to_string()).into(),
            _ => why.into(),
        })
    }

    /// An `OrderedDict` of the tensors, by the names they are to have.
    fn state_dict<'run>(&'run self, draft: &mut Draft<'run>) -> Result<NodeId, Error> {
        let uses = uses(&self.items);
        let mut entries = Vec::with_capacity(self.items.len());
        let mut known: HashMap<Same, NodeId> = HashMap::new();
        for item in &self.items {
            let tensor = item.on(self.checkpoint);
            // One tensor under several names stays one.
            let same = (!self.convert.copies()).then(|| Same::of(item));
            let made = same.as_ref().and_then(|same| known.get(same)).copied();
            let made = match (made, item.how) {
                (Some(made), _) => made,
                (None, How::Kept) => {
                    let take = Take::default().detach().on_cpu();
                    let alone = self.is_alone(item, &uses);
                    draft.take_as(tensor, if alone { take.compact() } else { take })?
                }
                (None, How::Cast) => {
                    let data = Data::cast(tensor, item.dtype());
                    draft.tensor_of(item.dtype(), item.shape(), data)?
                }
                (None, How::Dense) => {
                    let data = tensor.to_dense_as(item.dtype())?;
                    draft.tensor_of(item.dtype(), item.shape(), data)?
                }
            };
            known.extend(same.map(|same| (same, made)));
            entries.push((item.name(), made));
        }
        let dict = draft.state_dict(entries)?;
        self.keep_versions(draft, dict)?;
        Ok(dict)
    }

    /// Whether nothing is lost if a tensor has a storage of its own: it is the only one there, and
    /// does not need all of it.
    pub(crate) fn is_alone(&self, item: &Item, uses: &HashMap<StorageId, usize>) -> bool {
        let Some(storage) = item.tensor.storage() else { return false };
        let whole = self.checkpoint.storages().get(storage).nbytes();
        let only = uses.get(&storage).copied().unwrap_or(0) == 1;
        self.convert.copies() || (only && item.tensor.nbytes() < whole)
    }

    /// Keeps what `state_dict()` says of modules' versions, if the names are still theirs.
    fn keep_versions<'run>(&'run self, draft: &mut Draft<'run>, dict: NodeId) -> Result<(), Error> {
        let object = self.checkpoint.graph().object(self.chosen().object);
        let renamed = self.items.iter().any(|item| item.name() != item.from());
        let ordered = |recipe: &Recipe| {
            recipe.callable().as_global().is_some_and(|it| it.is("collections", "OrderedDict"))
        };
        if renamed || Module::view(object).is_some() {
            return Ok(());
        }
        let state = object.as_recipe().filter(ordered).and_then(Recipe::state);
        let Some(state) = state.filter(|state| offends(*state).is_empty()) else { return Ok(()) };
        let state = draft.adopt(self.checkpoint, state)?;
        Ok(draft.set_state(dict, state).map_err(torch::Error::from)?)
    }
}

/// What tensors have in common that are the same in the output.
#[derive(PartialEq, Eq, Hash)]
enum Same {
    /// One object.
    Object(NodeId),
    /// One view, of elements that are turned into others.
    View(StorageId, DType, u64, Vec<u64>, Vec<u64>),
}

impl Same {
    fn of(item: &Item) -> Self {
        let tensor = &item.tensor;
        match tensor.storage().filter(|_| item.how == How::Cast && !tensor.is_lazy()) {
            Some(storage) => Self::View(
                storage,
                tensor.dtype(),
                tensor.storage_offset(),
                tensor.shape().to_vec(),
                tensor.stride().to_vec(),
            ),
            None => Self::Object(tensor.node),
        }
    }
}

/// How many tensors are views of each storage.
pub(crate) fn uses(items: &[Item]) -> HashMap<StorageId, usize> {
    let mut uses = HashMap::new();
    for storage in items.iter().filter_map(|item| item.tensor.storage()) {
        let count: &mut usize = uses.entry(storage).or_default();
        *count = count.saturating_add(1);
    }
    uses
}

/// Globals below an object that `torch.load(weights_only=True)` does not take, each once.
fn offends(object: Object) -> Vec<String> {
    let mut found: Vec<String> = object
        .reach()
        .filter_map(Object::as_global)
        .filter(|global: &Global| policy::weights_only().admits(*global) == Positions::NONE)
        .map(|global| global.to_string())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether all that a checkpoint holds can be loaded by whoever loads weights only.
pub(crate) fn check_whole(checkpoint: &Checkpoint) -> Result<(), Error> {
    let found = offends(checkpoint.root());
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<Box<str>> = found.into_iter().map(Into::into).collect();
    Err(Error::new(Kind::NotOnlyWeights(found)))
}
