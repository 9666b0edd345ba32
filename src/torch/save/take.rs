//! Tensors and other objects of open checkpoints, taken over into a draft.

use std::collections::HashMap;

use super::data::{Data, Held};
use super::draft::{Draft, Refusal};
use super::make::TensorSpec;
use crate::pickle::{NodeId, Object, Value};
use crate::torch::checkpoint::Checkpoint;
use crate::torch::error::Error;
use crate::torch::layout::{Body, Layout};
use crate::torch::list::List;
use crate::torch::read::TensorRef;
use crate::torch::tensor::Tensor;

/// What becomes of a tensor that is taken from a checkpoint. By default it stays what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Take {
    compact: bool,
    detach: bool,
    on_cpu: bool,
}

impl Take {
    /// As `tensor.clone().contiguous()`: in a storage of its own, which holds nothing else, in
    /// row-major order. Of other layouts than strided ones, storages are taken as they are.
    #[must_use]
    pub const fn compact(self) -> Self {
        Self { compact: true, ..self }
    }

    /// As `tensor.detach()`: a plain tensor that requires no gradient, as `state_dict()` has
    /// them. Subclasses of other layouts stay what they are.
    #[must_use]
    pub const fn detach(self) -> Self {
        Self { detach: true, ..self }
    }

    /// On the device `cpu`, so that it loads where there is no other.
    #[must_use]
    pub const fn on_cpu(self) -> Self {
        Self { on_cpu: true, ..self }
    }
}

type Made = Result<NodeId, Error>;

impl<'run> Draft<'run> {
    /// A tensor of an open checkpoint as it is: a parameter if it is one, a view if it is one, on
    /// a storage that all tensors taken from there share.
    ///
    /// ```
    /// use depickle::Budget;
    /// use depickle::torch::{Checkpoint, Draft};
    ///
    /// let checkpoint = Checkpoint::open("tests/fixtures/views.pth")?;
    /// let mut budget = Budget::default();
    /// let mut draft = Draft::new(&mut budget);
    /// let base = draft.take(checkpoint.tensor("base")?)?;
    /// let root = draft.mapping(&[("base", base)])?;
    /// assert_eq!(draft.finish(root)?.storages().len(), 1);
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the tensor: it is of a kind that cannot be saved; limits.
    pub fn take(&mut self, tensor: TensorRef<'run>) -> Made {
        self.take_as(tensor, Take::default())
    }

    /// As [`take`](Self::take), changed on the way.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_as(&mut self, tensor: TensorRef<'run>, how: Take) -> Made {
        self.taken(tensor, how).map_err(|why| why.in_tensor(tensor.name()))
    }

    /// An `OrderedDict` of all tensors of a list that can be read, by name.
    ///
    /// Tensors that are listed under several names are one object.
    ///
    /// # Errors
    /// The first tensor that cannot be read or saved, by name; limits.
    pub fn take_all(&mut self, checkpoint: &'run Checkpoint, list: &'run List, how: Take) -> Made {
        let mut entries = Vec::with_capacity(list.len());
        let mut known: HashMap<NodeId, NodeId> = HashMap::new();
        for entry in list {
            let id = match known.get(&entry.object()) {
                Some(id) => *id,
                None => self.take_as(entry.on(checkpoint)?, how)?,
            };
            known.insert(entry.object(), id);
            entries.push((entry.name(), id));
        }
        self.state_dict(entries)
    }

    fn taken(&mut self, tensor: TensorRef<'run>, how: Take) -> Made {
        let view: &Tensor = tensor.tensor();
        let checkpoint = tensor.checkpoint();
        let device = if how.on_cpu { "cpu" } else { tensor.device() };
        if view.inline().is_some() {
            // What the pickle holds becomes a tensor like all others.
            let storage = self.add(Data(Held::Elements(tensor)), device.into());
            let grad = view.requires_grad() && !how.detach;
            let spec = TensorSpec::new(view.dtype(), view.shape()).requires_grad(grad);
            return self.view(storage, &spec);
        }
        let object = checkpoint.graph().object(view.node);
        let (class, state) = Tensor::dressed(object);
        let dressed = class.is_some() || state.is_some();
        if !is_plain(view) || (dressed && !how.detach) {
            return self.adopt(checkpoint, object);
        }
        let grad = view.requires_grad() && !how.detach;
        let parameter = view.is_parameter() && !how.detach;
        let spec = TensorSpec::new(view.dtype(), view.shape()).requires_grad(grad && !parameter);
        let made = if how.compact {
            let storage = self.add(Data(Held::Elements(tensor)), device.into());
            self.view(storage, &spec)?
        } else {
            let Some(id) = view.storage() else { return self.adopt(checkpoint, object) };
            let swaps = self.swaps(checkpoint);
            let storage = self.storage_of(checkpoint, id, &swaps);
            let storage = storage.map_err(|fault| Error::fault(fault, None))?;
            if let Some(stored) = self.storages.get_mut(storage.0) {
                stored.device = device.into();
            }
            let spec = spec.stride(view.stride()).offset(view.storage_offset());
            self.view(storage, &spec.conj(view.conj).neg(view.neg))?
        };
        if parameter { self.parameter(made, grad) } else { Ok(made) }
    }

    /// Any object of an open checkpoint with everything it refers to: modules, optimizers, plain
    /// data, the tensors in them.
    ///
    /// # Errors
    /// Limits.
    pub fn adopt(&mut self, checkpoint: &'run Checkpoint, object: Object<'run>) -> Made {
        let swaps = self.swaps(checkpoint);
        let mut todo = vec![object];
        let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
        let mut links: Vec<(NodeId, NodeId)> = Vec::new();
        while let Some(object) = todo.pop() {
            if copies.contains_key(&object.id()) {
                continue;
            }
            let copy = self.build.copy(object)?;
            copies.insert(object.id(), copy);
            // Both walks go the same way; only globals may be one in the copy and several here.
            let made = self.build.object(copy).reach().filter(is_made).map(Object::id);
            let pairs: Vec<_> = object.reach().filter(is_made).zip(made).collect();
            for (from, to) in pairs {
                match checkpoint.storages().stand_in(from) {
                    Ok(other) if other != from => {
                        links.push((to, other.id()));
                        todo.push(other);
                    }
                    Ok(_) => self.mention(checkpoint, from, to, &swaps),
                    Err(why) => {
                        let refusal = Refusal::new(checkpoint, from, why);
                        self.mentions.insert(to, Err(refusal));
                    }
                }
            }
        }
        for (from, to) in links {
            self.redirects.insert(from, copies.get(&to).copied().unwrap_or(to));
        }
        Ok(copies.get(&object.id()).copied().unwrap_or(NodeId::NONE))
    }
}

/// Whether it is of the kinds that containers have a way of their own for.
fn is_made(object: &Object<'_>) -> bool {
    matches!(object.value(), Value::Persistent(_) | Value::Recipe(_))
}

/// Whether a tensor is one view of one storage.
fn is_plain(view: &Tensor) -> bool {
    let plain = matches!(view.body.as_deref(), None | Some(Body::Device(_)));
    plain && view.storage().is_some() && view.layout() == Layout::Strided
}
