//! All that will be written, before anything is.

use std::collections::{HashMap, HashSet};

use super::choose::{self, Chosen};
use super::error::{Error, Kind, Refusal};
use super::names::Names;
use super::npz;
use super::pth;
use super::shards;
use super::shared::{self, Group, Named, Shared};
use crate::base::{Budget, Limit};
use crate::python::mapping;
use crate::torch::module::{Module, name_of};
use crate::torch::safetensors::METADATA;
use crate::torch::{self, Checkpoint, Class, DType, Layout, Scope, Tensor};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Hugging Face's safetensors.
    Safetensors,
    /// As `torch.save` writes a state dict.
    Pth,
    /// Arrays as numpy's `savez` writes them.
    Npz,
}

impl Format {
    /// Its name, and the extension of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Pth => "pth",
            Self::Npz => "npz",
        }
    }
}

/// How to turn a checkpoint into another format.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "decisions of the user, each yes or no")]
pub struct Convert {
    pub(crate) format: Format,
    key: Option<String>,
    names: Names,
    dtype: Option<DType>,
    shared: Option<Shared>,
    shard: Option<u64>,
    dense: bool,
    skip_unreadable: bool,
    pub(crate) checksums: bool,
    pub(crate) whole: bool,
}

impl Convert {
    /// Into this format, all else as by default.
    #[must_use]
    pub fn to(format: Format) -> Self {
        Self {
            format,
            key: None,
            names: Names::default(),
            dtype: None,
            shared: None,
            shard: None,
            dense: false,
            skip_unreadable: false,
            checksums: true,
            whole: false,
        }
    }

    /// The object at this path of keys; the root for an empty one. Otherwise one is chosen.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Which tensors, and what they are called.
    #[must_use]
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Floats as this type: `float64`, `float32`, `float16` or `bfloat16`, rounded as PyTorch
    /// does; quantized tensors as the numbers they stand for. Integers and all else stay.
    #[must_use]
    pub const fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// What becomes of tensors that share memory: by default [`Shared::Once`] in safetensors,
    /// [`Shared::Copy`] in `.npz`; in `.pth` files they go on sharing it.
    #[must_use]
    pub const fn shared(mut self, shared: Shared) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Several files, of at most so many bytes of tensors each.
    #[must_use]
    pub const fn max_shard_size(mut self, bytes: u64) -> Self {
        self.shard = Some(bytes);
        self
    }

    /// Sparse tensors with all their zeros, rather than not at all.
    #[must_use]
    pub const fn dense(mut self) -> Self {
        self.dense = true;
        self
    }

    /// Leaves out tensors that cannot be read, rather than giving up.
    #[must_use]
    pub const fn skip_unreadable(mut self) -> Self {
        self.skip_unreadable = true;
        self
    }

    /// Does not compare checksums of what is copied with those in the file. They are wrong where
    /// `torch.serialization.set_crc32_options(False)` was in force.
    #[must_use]
    pub const fn without_checksums(mut self) -> Self {
        self.checksums = false;
        self
    }

    /// All that the checkpoint holds, not only the tensors of one object, if
    /// `torch.load(weights_only=True)` takes it: only into [`Format::Pth`].
    #[must_use]
    pub const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Whether each tensor is to have data of its own.
    pub(crate) fn copies(&self) -> bool {
        self.shared == Some(Shared::Copy)
    }

    /// Whether more is asked for than to write everything as it is.
    fn changes(&self) -> bool {
        let plain = self.key.is_none() && self.names.is_empty() && self.dtype.is_none();
        !plain || self.shared.is_some() || self.dense || self.skip_unreadable
    }

    /// Decides all that can be decided without reading tensors' data.
    ///
    /// # Errors
    /// Whatever stands against it: see [`Kind`].
    pub fn plan<'file>(&self, checkpoint: &'file Checkpoint) -> Result<Plan<'file>, Error> {
        Planning { convert: self, checkpoint }.plan()
    }
}

/// One tensor of the output.
#[derive(Clone, Debug)]
pub struct Item {
    name: String,
    from: Box<str>,
    pub(crate) tensor: Tensor,
    dtype: DType,
    shape: Vec<u64>,
    nbytes: u64,
    pub(crate) how: How,
}

/// What happens to a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Put in order, if they are not.
    Kept,
    /// Turned into another type.
    Cast,
    /// Put between the zeros that are not stored.
    Dense,
}

impl Item {
    /// Its name in the output.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name in the checkpoint, below the object that was chosen.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The type of its elements in the output.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its sizes in the output (elements).
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Its bytes in the output.
    #[must_use]
    pub const fn nbytes(&self) -> u64 {
        self.nbytes
    }

    /// The tensor it is made of.
    #[must_use]
    pub const fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

/// What will be written.
#[derive(Debug)]
pub struct Plan<'file> {
    pub(crate) checkpoint: &'file Checkpoint,
    pub(crate) convert: Convert,
    chosen: Chosen,
    pub(crate) items: Vec<Item>,
    groups: Vec<Group>,
    unreadable: Vec<(Box<str>, torch::Error)>,
    not_taken: usize,
    /// Which items each file holds.
    pub(crate) files: Vec<Vec<usize>>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Plan<'_> {
    /// What is converted.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    /// Into which format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.convert.format
    }

    /// The object whose tensors these are.
    #[must_use]
    pub const fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// The tensors, in the order of the checkpoint.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Tensors that share memory, of which one is written.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Tensors that cannot be read and are left out, each with the reason.
    #[must_use]
    pub fn unreadable(&self) -> &[(Box<str>, torch::Error)] {
        &self.unreadable
    }

    /// Leaves out all tensors but those whose name in the checkpoint is kept; of a plan of one file.
    #[cfg(feature = "doctor")]
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.items.retain(|item| keep(&item.from));
        self.files = vec![(0..self.items.len()).collect()];
    }

    /// How many tensors the globs left out.
    #[must_use]
    pub const fn not_taken(&self) -> usize {
        self.not_taken
    }

    /// How many files there will be, an index not counted.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// In which file each tensor will be.
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.items.len()];
        for (file, items) in self.files.iter().enumerate() {
            for &item in items {
                if let Some(place) = places.get_mut(item) {
                    *place = file;
                }
            }
        }
        places
    }

    /// Bytes of all tensors in the output.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.items.iter().map(|item| item.nbytes).fold(0, u64::saturating_add)
    }
}

struct Planning<'plan, 'file> {
    convert: &'plan Convert,
    checkpoint: &'file Checkpoint,
}

impl<'file> Planning<'_, 'file> {
    fn plan(&self) -> Result<Plan<'file>, Error> {
        let (convert, checkpoint) = (self.convert, self.checkpoint);
        if convert.shard.is_some() && convert.format != Format::Safetensors {
            return Err(Error::usage("only safetensors are written in several files"));
        }
        if convert.whole {
            self.whole_fits()?;
        }
        let key = if convert.whole { Some("") } else { convert.key.as_deref() };
        let mut chosen = choose::choose(checkpoint, key)?;
        let (mut items, unreadable, not_taken) = self.items(&mut chosen)?;
        if !unreadable.is_empty() && !convert.skip_unreadable {
            return Err(Error::new(Kind::Unreadable(unreadable)));
        }
        if items.is_empty() {
            return Err(Error::new(Kind::NoTensors(match not_taken {
                0 if unreadable.is_empty() => {
                    "there are no tensors in it: `depickle show` prints what there is"
                }
                0 => "none of its tensors can be read",
                _ => "no tensor is left: --include and --exclude leave none",
            })));
        }
        distinct_names(&items)?;
        self.names_fit(&items)?;
        let groups = self.share(&mut items)?;
        self.admit(&items)?;
        let sizes: Vec<u64> = items.iter().map(Item::nbytes).collect();
        let files = shards::split(&sizes, convert.shard);
        let metadata = self.metadata(&groups);
        let convert = convert.clone();
        Ok(Plan {
            checkpoint,
            convert,
            chosen,
            items,
            groups,
            unreadable,
            not_taken,
            files,
            metadata,
        })
    }

    /// Whether all of the checkpoint can be written as it is.
    fn whole_fits(&self) -> Result<(), Error> {
        if self.convert.format != Format::Pth {
            return Err(Error::usage("--keep-all: only a .pth file can hold what is no tensor"));
        }
        if self.convert.changes() {
            let why = "--keep-all writes everything as it is: it cannot be had together with what \
                chooses or changes tensors";
            return Err(Error::usage(why));
        }
        pth::check_whole(self.checkpoint)
    }

    /// The tensors that were asked for; those that cannot be read; how many were not asked for.
    #[expect(clippy::type_complexity, reason = "three results of one walk")]
    fn items(
        &self,
        chosen: &mut Chosen,
    ) -> Result<(Vec<Item>, Vec<(Box<str>, torch::Error)>, usize), Error> {
        let object = self.checkpoint.graph().object(chosen.object);
        let list = self.checkpoint.tensors_in(object, Scope::StateDict)?;
        if !self.convert.whole {
            self.left_out(chosen, list.iter().map(torch::Entry::name).collect())?;
        }
        let (mut items, mut unreadable, mut not_taken) = (Vec::new(), Vec::new(), 0_usize);
        let mut refused = Vec::new();
        for entry in &list {
            let from = entry.name();
            // A tensor that is all there is has no name.
            let name = if from.is_empty() { "tensor" } else { from };
            let Some(name) = self.convert.names.apply(name) else {
                not_taken = not_taken.saturating_add(1);
                continue;
            };
            let tensor = match entry.on(self.checkpoint) {
                Ok(tensor) => tensor,
                Err(why) => {
                    unreadable.push((from.into(), why));
                    continue;
                }
            };
            match self.item(from, name.into_owned(), tensor.tensor()) {
                Ok(item) => items.push(item),
                Err(why) => refused.push(Refusal { name: from.into(), why: why.into() }),
            }
        }
        if refused.is_empty() {
            return Ok((items, unreadable, not_taken));
        }
        Err(Error::new(Kind::Refused(refused)))
    }

    /// Entries of what was chosen that hold no tensors.
    fn left_out(&self, chosen: &mut Chosen, mut names: Vec<&str>) -> Result<(), Error> {
        let object = self.checkpoint.graph().object(chosen.object);
        if Module::view(object).is_some() {
            return Ok(());
        }
        names.sort_unstable();
        let mut budget = Budget::new(self.checkpoint.limits().clone());
        for (key, _) in mapping::pairs(object, &mut budget)?.unwrap_or_default() {
            let key = name_of(key);
            let below = format!("{key}.");
            let first = names.partition_point(|name| **name < *below);
            let holds = names.get(first).is_some_and(|name| name.starts_with(&below));
            if !holds && names.binary_search(&&*key).is_err() {
                chosen.left_out.push(match &chosen.key {
                    Some(path) => format!("{path}.{key}").into(),
                    None => key.into(),
                });
            }
        }
        Ok(())
    }

    /// What a tensor becomes, or why it cannot be written.
    fn item(&self, from: &str, name: String, tensor: &Tensor) -> Result<Item, String> {
        if name.is_empty() {
            return Err("nothing is left of its name".to_owned());
        }
        let (dtype, how) = self.become_of(tensor)?;
        self.has_type(dtype)?;
        if dtype.values_per_byte() > 1 && how == How::Kept && tensor.shape().is_empty() {
            self.has_no_half(dtype)?;
        }
        let shape = tensor.shape().to_vec();
        let nbytes = match how {
            How::Kept => Some(tensor.nbytes()),
            _ => tensor.numel().checked_mul(dtype.width()),
        };
        let nbytes = nbytes.ok_or_else(|| "its size exceeds 64 bits".to_owned())?;
        let storage = tensor.storage().map_or(0, |id| self.checkpoint.storages().get(id).nbytes());
        if tensor.nbytes() > storage || how == How::Dense {
            let admitted = self.checkpoint.limits().admit(Limit::Materialised, nbytes);
            admitted.map_err(|why| why.to_string())?;
        }
        Ok(Item { name, from: from.into(), tensor: tensor.clone(), dtype, shape, nbytes, how })
    }

    fn become_of(&self, tensor: &Tensor) -> Result<(DType, How), String> {
        let dtype = tensor.dtype();
        let cast = self.convert.dtype.filter(|to| is_float(dtype) && *to != dtype);
        // PyTorch's own files hold whatever it has, but for what only a class can make.
        if self.convert.format == Format::Pth && self.keeps_layout(tensor) {
            return Ok((dtype, How::Kept));
        }
        match (tensor.layout(), cast) {
            (Layout::Strided, None) => Ok((dtype, How::Kept)),
            (Layout::Strided, Some(to)) => Ok((to, How::Cast)),
            (Layout::Quantized, _) => match self.convert.dtype {
                Some(to) => Ok((to, How::Cast)),
                None => Err(format!(
                    "it is quantized ({dtype}), which the format does not know: --dtype f32 writes \
                     the numbers that its integers stand for, --exclude leaves it out"
                )),
            },
            (layout, _) if is_sparse(layout) => match (self.convert.dense, cast) {
                (true, to) => Ok((to.unwrap_or(dtype), How::Dense)),
                (false, _) => Err(format!(
                    "it is sparse ({}), which the format does not know: --dense writes it with all \
                     its zeros, --exclude leaves it out",
                    layout.name()
                )),
            },
            (Layout::Meta, _) => {
                Err("it has sizes but no data (device meta): --exclude leaves it \
                                      out"
                .to_owned())
            }
            (layout, _) => Err(format!(
                "its layout ({}) is not known to the format: --exclude leaves it out",
                layout.name()
            )),
        }
    }

    /// Whether the format has a type for such elements.
    fn has_type(&self, dtype: DType) -> Result<(), String> {
        let (known, format) = match self.convert.format {
            Format::Safetensors => (dtype.safetensors_name().is_some(), "safetensors"),
            Format::Npz => (npz::descr(dtype).is_some(), "numpy"),
            Format::Pth => (true, "PyTorch"),
        };
        if known {
            return Ok(());
        }
        let help = if is_float(dtype) {
            "--dtype f32 holds all its values, --exclude leaves it out"
        } else {
            "--exclude leaves it out"
        };
        Err(format!("{format} has no type for {dtype}: {help}"))
    }

    /// Formats that count values have none for half of the values in one byte.
    fn has_no_half(&self, dtype: DType) -> Result<(), String> {
        match self.convert.format {
            Format::Safetensors => {
                Err(format!("{dtype} without dimensions is half a number there"))
            }
            _ => Ok(()),
        }
    }

    fn names_fit(&self, items: &[Item]) -> Result<(), Error> {
        let names: HashSet<&str> = items.iter().map(Item::name).collect();
        match self.convert.format {
            Format::Safetensors if names.contains(METADATA) => {
                let why = "no tensor of a safetensors file can be called `__metadata__`: --rename \
                    gives it another name";
                Err(Error::usage(why))
            }
            // numpy takes one for the other.
            Format::Npz => {
                let twice =
                    names.iter().find(|name| names.contains(format!("{name}.npy").as_str()));
                match twice {
                    Some(name) => Err(Error::usage(format!(
                        "numpy cannot tell the arrays {name:?} and \"{name}.npy\" apart: --rename \
                         gives one another name"
                    ))),
                    None => Ok(()),
                }
            }
            Format::Safetensors | Format::Pth => Ok(()),
        }
    }

    /// Whether a tensor of another layout than strided is written as it is.
    fn keeps_layout(&self, tensor: &Tensor) -> bool {
        match tensor.layout() {
            Layout::Strided | Layout::Wrapper => false,
            Layout::Quantized => self.convert.dtype.is_none(),
            layout if is_sparse(layout) => !self.convert.dense,
            _ => true,
        }
    }

    /// Decides about tensors that share memory, and takes out those that are not written.
    fn share(&self, items: &mut Vec<Item>) -> Result<Vec<Group>, Error> {
        let default = match self.convert.format {
            Format::Safetensors => Shared::Once,
            Format::Npz => Shared::Copy,
            // They share what they did.
            Format::Pth => Shared::Copy,
        };
        let shared = self.convert.shared.unwrap_or(default);
        if shared == Shared::Copy {
            return Ok(Vec::new());
        }
        let storages = self.checkpoint.storages();
        let named = items.iter().enumerate().map(|(index, item)| {
            let (name, tensor) = (item.name(), &item.tensor);
            let storage = tensor.storage().map_or(0, |id| storages.get(id).nbytes());
            Named { name, tensor, index, storage }
        });
        let overlapping = shared::overlapping(named.collect());
        if shared == Shared::Refuse && !overlapping.is_empty() {
            let names = |group: &Vec<Named>| group.iter().map(|it| it.name.into()).collect();
            return Err(Error::new(Kind::Shares(overlapping.iter().map(names).collect())));
        }
        let (groups, removed) = shared::once(&overlapping)?;
        let removed: HashSet<usize> = removed.into_iter().collect();
        let mut index = 0_usize;
        items.retain(|_| {
            let keep = !removed.contains(&index);
            index = index.saturating_add(1);
            keep
        });
        Ok(groups)
    }

    /// Repeated elements may stand for any number of bytes: all together are bounded.
    fn admit(&self, items: &[Item]) -> Result<(), Error> {
        let mut storages = HashSet::new();
        let (mut there, mut wanted) = (0_u64, 0_u64);
        for item in items {
            wanted = wanted.saturating_add(item.tensor.nbytes());
            match item.tensor.storage() {
                Some(id) if storages.insert(id) => {
                    there = there.saturating_add(self.checkpoint.storages().get(id).nbytes());
                }
                Some(_) => {}
                None => there = there.saturating_add(item.tensor.nbytes()),
            }
        }
        Ok(self.checkpoint.limits().admit(Limit::Materialised, wanted.saturating_sub(there))?)
    }

    /// What the file says about itself: what the one that was read said, and which names share the
    /// tensors of others.
    fn metadata(&self, groups: &[Group]) -> Vec<(String, String)> {
        let mut all = vec![("format".to_owned(), "pt".to_owned())];
        let own = self.checkpoint.metadata().into_iter();
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let removed = groups.iter().flat_map(|group| {
            group.removed.iter().map(|(name, _)| (name.clone(), group.kept.clone()))
        });
        let mut known: HashSet<String> = HashSet::from(["format".to_owned()]);
        for (key, value) in own.chain(removed) {
            if known.insert(key.clone()) {
                all.push((key, value));
            }
        }
        all
    }
}

fn distinct_names(items: &[Item]) -> Result<(), Error> {
    let mut seen: HashMap<&str, &Item> = HashMap::with_capacity(items.len());
    for item in items {
        if let Some(other) = seen.insert(item.name(), item) {
            let from = [other.from.clone(), item.from.clone()];
            return Err(Error::new(Kind::SameName { name: item.name().into(), from }));
        }
    }
    Ok(())
}

/// Whether elements are numbers that `--dtype` is about.
fn is_float(dtype: DType) -> bool {
    dtype.class() == Class::Float || dtype == DType::Float8E8M0Fnu
}

fn is_sparse(layout: Layout) -> bool {
    matches!(
        layout,
        Layout::SparseCoo
            | Layout::SparseCsr
            | Layout::SparseCsc
            | Layout::SparseBsr
            | Layout::SparseBsc
    )
}
