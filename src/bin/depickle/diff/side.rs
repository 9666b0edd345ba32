//! One of the two files, and what of it is compared.

use std::collections::HashMap;
use std::path::Path;

use depickle::pickle::Object;
use depickle::torch::{
    Checkpoint, DType, Error, Fault, Kind, ObjectKind, Role, Scope, Tensor, TensorRef,
};

use super::Diff;
use crate::input::label;
use crate::output::Failure;

/// A file, opened.
pub(super) struct Opened {
    label: String,
    checkpoint: Checkpoint,
}

impl Opened {
    pub(super) fn new(args: &Diff, path: &Path) -> Result<Self, Error> {
        Ok(Self { label: label(path), checkpoint: args.reading.open(path)? })
    }
}

/// What of a file is compared.
pub(super) struct Side<'file> {
    pub label: &'file str,
    pub checkpoint: &'file Checkpoint,
    pub object: Object<'file>,
    pub kind: ObjectKind,
    /// Where the object is.
    pub key: Option<String>,
    /// Whether the key was chosen for the user.
    pub automatic: bool,
}

impl<'file> Side<'file> {
    pub(super) fn new(opened: &'file Opened, key: Option<&str>) -> Result<Self, Error> {
        let checkpoint = &opened.checkpoint;
        let object = key.map_or(Ok(checkpoint.root()), |key| checkpoint.at(key))?;
        Ok(Self {
            label: &opened.label,
            checkpoint,
            object,
            kind: checkpoint.kind_of(object)?,
            key: key.map(str::to_owned),
            automatic: false,
        })
    }

    /// Its tensors under the names that `name` gives them, in its order; those that cannot be
    /// read without their views, and the reasons.
    pub(super) fn tensors(
        &self,
        name: impl Fn(&str) -> Option<String>,
    ) -> Result<(Vec<Named>, Vec<String>), Failure> {
        let list = self.checkpoint.tensors_in(self.object, Scope::StateDict)?;
        let (mut held, mut errors) = (Vec::with_capacity(list.len()), Vec::new());
        // Names of several tensors that only types of keys tell apart are no clash of ours.
        let mut taken: HashMap<String, String> = HashMap::new();
        for entry in &list {
            let Some(shown) = name(entry.name()) else { continue };
            let other = taken.insert(shown.clone(), entry.name().to_owned());
            if let Some(other) = other.filter(|other| other != entry.name()) {
                let (label, name) = (self.label, entry.name());
                return Err(Failure::Other(format!(
                    "{label}: {other:?} and {name:?} would both be called {shown:?}"
                )));
            }
            let (mut tensor, mut lazy) = (None, false);
            match entry.on(self.checkpoint) {
                Ok(found) => tensor = Some(found.tensor().clone()),
                Err(why) => {
                    // One of a lazy module has nothing to be read yet.
                    lazy = matches!(why.kind(), Kind::BadTensor(Fault::Uninitialized));
                    errors.extend((!lazy).then(|| why.to_string()));
                }
            }
            let found = Held::new(entry.name(), entry.role(), tensor);
            held.push((shown, Held { lazy, ..found }));
        }
        Ok((held, errors))
    }

    /// Whether its tensors have the names of a model's.
    pub(super) fn is_flat(&self) -> bool {
        matches!(self.kind, ObjectKind::Module | ObjectKind::StateDict)
    }
}

/// A tensor under the name it is compared by.
pub(super) type Named = (String, Held);

/// What a side has under a key.
pub(super) struct Held {
    /// Its name in the file.
    pub name: String,
    pub role: Option<Role>,
    /// None if it cannot be read, or is no tensor.
    pub tensor: Option<Tensor>,
    pub dtype: Option<DType>,
    pub shape: Option<Vec<u64>>,
    /// Whether it has no sizes yet.
    pub lazy: bool,
}

impl Held {
    pub(super) fn new(name: &str, role: Option<Role>, tensor: Option<Tensor>) -> Self {
        Self {
            name: name.to_owned(),
            role,
            dtype: tensor.as_ref().map(Tensor::dtype),
            shape: tensor.as_ref().map(|tensor| tensor.shape().to_vec()),
            tensor,
            lazy: false,
        }
    }

    /// With the means to read it.
    pub(super) fn on<'a>(&'a self, side: &'a Side) -> Option<TensorRef<'a>> {
        Some(side.checkpoint.named(&self.name, self.tensor.as_ref()?))
    }
}
