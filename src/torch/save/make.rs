//! Tensors, parameters and state dicts from Rust values.

use super::data::Data;
use super::draft::{Draft, Mention, SavedStorage};
use crate::pickle::{NodeId, Value};
use crate::torch::dtype::Class;
use crate::torch::error::{Error, Fault};
use crate::torch::spell::row_major;
use crate::torch::storage::StorageId;
use crate::torch::tensor::{Geometry, Tensor};
use crate::torch::{DType, Element};

/// How a tensor lies in its storage. Counts are in elements.
///
/// ```
/// use depickle::torch::{DType, TensorSpec};
///
/// // The transpose of a row-major 2 × 3 matrix.
/// let spec = TensorSpec::new(DType::Float32, &[3, 2]).stride(&[1, 3]);
/// # let _ = spec;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    dtype: DType,
    shape: Vec<u64>,
    stride: Option<Vec<u64>>,
    offset: u64,
    requires_grad: bool,
    pub(super) conj: bool,
    pub(super) neg: bool,
}

impl TensorSpec {
    /// Row-major from the storage's beginning on.
    #[must_use]
    pub fn new(dtype: DType, shape: &[u64]) -> Self {
        let (shape, stride) = (shape.to_vec(), None);
        Self { dtype, shape, stride, offset: 0, requires_grad: false, conj: false, neg: false }
    }

    /// Other steps between neighbours, one a dimension.
    #[must_use]
    pub fn stride(mut self, stride: &[u64]) -> Self {
        self.stride = Some(stride.to_vec());
        self
    }

    /// Where its first element lies.
    #[must_use]
    pub const fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Whether PyTorch computes gradients for it.
    #[must_use]
    pub const fn requires_grad(mut self, requires_grad: bool) -> Self {
        self.requires_grad = requires_grad;
        self
    }
}

type Made = Result<NodeId, Error>;

impl<'run> Draft<'run> {
    /// A tensor of elements in row-major order, which are not copied. Of types that several
    /// dtypes are read as, it is the one of the same name; [`tensor_of`](Self::tensor_of) makes
    /// the others.
    ///
    /// # Errors
    /// [`Fault::BufferLength`] if `elements` are not as many as `shape` says; limits.
    pub fn tensor<T: Element>(&mut self, shape: &[u64], elements: &'run [T]) -> Made {
        let same = |dtype: &&DType| {
            T::reads(**dtype) && dtype.class() != Class::Opaque && !dtype.is_quantized()
        };
        let dtype = DType::ALL.iter().find(same).copied();
        let dtype = dtype.ok_or_else(|| unsupported("a tensor of elements without a dtype"))?;
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        if cfg!(target_endian = "big") && dtype.component_width() > 1 {
            let width = usize::try_from(dtype.component_width()).unwrap_or(1);
            let mut turned = bytes.to_vec();
            turned.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            return self.tensor_of(dtype, shape, turned);
        }
        self.tensor_of(dtype, shape, bytes)
    }

    /// A tensor of any plain dtype, its elements in row-major order, little-endian.
    ///
    /// # Errors
    /// [`Fault::BufferLength`] if `data` are not as long as `shape` says; [`Fault::Unsupported`]
    /// for quantized dtypes, which need more than bytes; limits.
    pub fn tensor_of(&mut self, dtype: DType, shape: &[u64], data: impl Into<Data<'run>>) -> Made {
        let (spec, data) = (TensorSpec::new(dtype, shape), data.into());
        let view = geometry(&spec).and_then(|view| Tensor::without_data(dtype, view, NodeId::NONE));
        let needs = view.map_err(fault)?.nbytes();
        let has = data.nbytes();
        if needs != has {
            return Err(fault(Fault::BufferLength { needs, has }));
        }
        let storage = self.storage(data);
        self.view(storage, &spec)
    }

    /// A tensor that is a view of a storage.
    ///
    /// # Errors
    /// [`Fault::Rank`], [`Fault::Overflow`] or [`Fault::OutOfStorage`] if it does not lie in it;
    /// [`Fault::Unsupported`] for quantized dtypes; limits.
    pub fn view(&mut self, storage: SavedStorage, spec: &TensorSpec) -> Made {
        let dtype = spec.dtype;
        if dtype.is_quantized() {
            return Err(unsupported("a tensor of quantized numbers without their scale"));
        }
        let nbytes = self.storages.get(storage.0).map_or(0, |stored| stored.nbytes);
        let view = geometry(spec).map_err(fault)?;
        // Proves that it lies in its storage; which one does not matter to that.
        Tensor::new(StorageId::default(), nbytes, dtype, view.clone(), NodeId::NONE)
            .map_err(fault)?;
        let typed = dtype.storage_class().map(|_| dtype);
        let object = self.storage_object(storage, typed)?;
        let (shape, stride) = (self.counts(&view.shape)?, self.counts(&view.stride)?);
        let hooks = self.no_hooks()?;
        let grad = self.build.bool(spec.requires_grad);
        let mut args = vec![object, self.count(view.offset)?, shape, stride, grad, hooks];
        let function = if typed.is_some() {
            "_rebuild_tensor_v2"
        } else {
            args.push(self.build.global("torch", dtype.name())?);
            "_rebuild_tensor_v3"
        };
        let mut bits = Vec::new();
        for (name, set) in [("conj", spec.conj), ("neg", spec.neg)] {
            if set {
                bits.push((self.word(name)?, self.build.bool(true)));
            }
        }
        if !bits.is_empty() {
            args.push(self.build.dict(&bits)?);
        }
        let (function, args) =
            (self.build.global("torch._utils", function)?, self.build.tuple(&args)?);
        Ok(self.build.call(function, args)?)
    }

    /// The storage itself, as an object: `None` for the dtype makes it a `torch.UntypedStorage`.
    ///
    /// # Errors
    /// Limits; [`Fault::StorageLength`] if the bytes are no whole number of elements;
    /// [`Fault::Unsupported`] for dtypes that have no class of storage.
    pub fn storage_object(&mut self, storage: SavedStorage, dtype: Option<DType>) -> Made {
        let (nbytes, device) = match self.storages.get(storage.0) {
            Some(stored) => (stored.nbytes, stored.device.clone()),
            None => return Err(unsupported("a storage of another draft")),
        };
        let id = self.storage_id(&storage.0.to_string(), dtype, nbytes, &device)?;
        let object = self.build.persistent(id)?;
        self.mentions.insert(object, Ok(Mention { storage, dtype }));
        Ok(object)
    }

    /// `("storage", class, key, location, numel)`
    pub(super) fn storage_id(
        &mut self,
        key: &str,
        dtype: Option<DType>,
        nbytes: u64,
        device: &str,
    ) -> Made {
        let width = dtype.map_or(1, DType::width);
        let numel = nbytes.checked_div(width).unwrap_or(0);
        if numel.checked_mul(width) != Some(nbytes) {
            let claimed = numel.saturating_add(1).saturating_mul(width);
            return Err(fault(Fault::StorageLength { claimed, has: nbytes }));
        }
        let class = match dtype {
            None => self.build.global("torch.storage", "UntypedStorage")?,
            Some(dtype) => {
                let class = dtype.storage_class();
                let class = class.ok_or_else(|| unsupported("a storage of a type without one"))?;
                self.build.global("torch", class)?
            }
        };
        let items = [
            self.word("storage")?,
            class,
            self.build.text(key)?,
            self.word(device)?,
            self.count(numel)?,
        ];
        Ok(self.build.tuple(&items)?)
    }

    /// A tensor as `torch.nn.Parameter`.
    ///
    /// # Errors
    /// Limits; ids of other graphs.
    pub fn parameter(&mut self, tensor: NodeId, requires_grad: bool) -> Made {
        let function = self.build.global("torch._utils", "_rebuild_parameter")?;
        let hooks = self.no_hooks()?;
        let args = [tensor, self.build.bool(requires_grad), hooks];
        let args = self.build.tuple(&args)?;
        Ok(self.build.call(function, args)?)
    }

    /// A tensor as `torch.nn.Buffer`.
    ///
    /// # Errors
    /// [`Fault::NotA`] if `tensor` is not made by a call; limits; ids of other graphs.
    pub fn buffer(&mut self, tensor: NodeId, persistent: bool) -> Made {
        let Value::Recipe(recipe) = self.build.object(tensor).value() else {
            let found = self.build.object(tensor).kind();
            return Err(fault(Fault::NotA { wanted: "a tensor", found }));
        };
        let (callable, args) = (recipe.callable().id(), recipe.args().id());
        let class = self.build.global("torch._tensor", "Tensor")?;
        let (persistent, yes) = (self.build.bool(persistent), self.build.bool(true));
        let state = [(self.word("persistent")?, persistent), (self.word("_is_buffer")?, yes)];
        let state = self.build.dict(&state)?;
        let args = self.build.tuple(&[callable, class, args, state])?;
        let function = self.build.global("torch._tensor", "_rebuild_from_type_v2")?;
        Ok(self.build.call(function, args)?)
    }

    /// A `dict` by texts.
    ///
    /// # Errors
    /// Limits; ids of other graphs.
    pub fn mapping<K: AsRef<str>>(&mut self, pairs: &[(K, NodeId)]) -> Made {
        let pairs = self.named(pairs.iter().map(|(key, value)| (key.as_ref(), *value)))?;
        Ok(self.build.dict(&pairs)?)
    }

    /// An `OrderedDict` by texts, which is what `Module.state_dict()` gives.
    ///
    /// # Errors
    /// Limits; ids of other graphs.
    pub fn state_dict<K: AsRef<str>>(
        &mut self,
        entries: impl IntoIterator<Item = (K, NodeId)>,
    ) -> Made {
        let pairs = self.named(entries)?;
        let dict = self.no_hooks()?;
        self.build.insert(dict, &pairs)?;
        Ok(dict)
    }

    /// Gives a state dict its `_metadata`: the version of each module, by its name; the root has
    /// none.
    ///
    /// # Errors
    /// Limits; ids of other graphs.
    pub fn set_versions<K: AsRef<str>>(
        &mut self,
        state_dict: NodeId,
        versions: impl IntoIterator<Item = (K, i64)>,
    ) -> Result<(), Error> {
        let mut modules = Vec::new();
        for (name, version) in versions {
            let pair = [(self.word("version")?, self.build.int(version)?)];
            modules.push((name, self.build.dict(&pair)?));
        }
        let metadata = self.state_dict(modules)?;
        let pair = [(self.word("_metadata")?, metadata)];
        let state = self.build.dict(&pair)?;
        Ok(self.build.set_state(state_dict, state)?)
    }

    /// The object of a text that Python has once, such as a name in PyTorch's source.
    pub(super) fn word(&mut self, word: &str) -> Made {
        if let Some(id) = self.words.get(word) {
            return Ok(*id);
        }
        let id = self.build.text(word)?;
        self.words.insert(word.into(), id);
        Ok(id)
    }

    fn named<K: AsRef<str>>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, NodeId)>,
    ) -> Result<Vec<(NodeId, NodeId)>, Error> {
        let named =
            pairs.into_iter().map(|(key, value)| Ok((self.build.text(key.as_ref())?, value)));
        named.collect()
    }

    /// `OrderedDict()`
    fn no_hooks(&mut self) -> Made {
        let class = self.build.global("collections", "OrderedDict")?;
        let args = self.build.tuple(&[])?;
        Ok(self.build.call(class, args)?)
    }

    fn counts(&mut self, all: &[u64]) -> Made {
        let ids = all.iter().map(|&item| self.count(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.build.tuple(&ids)?)
    }

    fn count(&mut self, value: u64) -> Made {
        let value = i64::try_from(value).map_err(|_| fault(Fault::Overflow))?;
        Ok(self.build.int(value)?)
    }
}

fn geometry(spec: &TensorSpec) -> Result<Geometry, Fault> {
    let stride = match &spec.stride {
        Some(stride) => stride.clone(),
        None => row_major(&spec.shape)?,
    };
    Ok(Geometry { offset: spec.offset, shape: spec.shape.clone(), stride })
}

pub(super) fn fault(fault: Fault) -> Error {
    Error::fault(fault, None)
}

fn unsupported(what: &'static str) -> Error {
    fault(Fault::Unsupported(what.into()))
}
