//! What sort of thing was saved, and of which class.

use super::module::Module;
use super::storage::Storages;
use super::tensor::Tensor;
use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::mapping;

/// What sort of thing an object is to PyTorch's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// Names → tensors, and nothing else.
    StateDict,
    /// A pickled `nn.Module`.
    Module,
    /// A mapping that holds tensors or modules among other things.
    Checkpoint,
    /// One tensor.
    Tensor,
    /// Anything else.
    Object,
}

impl ObjectKind {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StateDict => "state_dict",
            Self::Module => "module",
            Self::Checkpoint => "checkpoint",
            Self::Tensor => "tensor",
            Self::Object => "object",
        }
    }

    pub(crate) fn of(
        object: Object,
        storages: &Storages,
        budget: &mut Budget,
    ) -> Result<Self, Exceeded> {
        let is_tensor = |object: Object| Tensor::view(object, storages).is_some();
        if is_tensor(object) {
            return Ok(Self::Tensor);
        }
        if Module::view(object).is_some() {
            return Ok(Self::Module);
        }
        let Some(pairs) = mapping::pairs(object, budget)? else { return Ok(Self::Object) };
        let named_tensor = |&(key, value): &(Object, Object)| {
            matches!(key.value(), Value::Text(_)) && is_tensor(value)
        };
        if !pairs.is_empty() && pairs.iter().all(named_tensor) {
            return Ok(Self::StateDict);
        }
        let holds =
            object.reach().any(|object| is_tensor(object) || Module::view(object).is_some());
        Ok(if holds { Self::Checkpoint } else { Self::Object })
    }
}
