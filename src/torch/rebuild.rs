//! Calls that make tensors: recognised global → what its arguments mean.
//!
//! Source: PyTorch 2.15 `torch/_utils.py`, `torch/_tensor.py` (`_rebuild_from_type_v2`).

use super::arrays::Array;
use super::error::{Fault, Located};
use super::layout::{Body, Inline, Wrapper};
use super::quantized::Quantizer;
use super::storage::{Storages, Typed};
use super::tensor::{Geometry, Tensor};
use super::{DType, nested, sparse};
use crate::pickle::{Dict, Global, Items, NodeId, Object, Recipe, Value};

/// A function that makes tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// `(storage, offset, size, stride)`
    Tensor,
    /// … `, requires_grad, backward_hooks[, metadata]`
    TensorV2,
    /// … `, requires_grad, backward_hooks, dtype[, metadata]`
    TensorV3,
    /// `(tensor, requires_grad, backward_hooks[, state])`
    Parameter,
    /// `(function, class, arguments, state)`
    FromType,
    /// `(storage, offset, size, stride, quantizer, requires_grad, backward_hooks)`
    Quantized,
    /// `(layout, parts)`
    Sparse,
    /// `(crow_indices, col_indices, values, size)`, or as `Sparse`
    SparseCsr,
    /// `(buffer, sizes, strides, offsets)`
    Nested,
    /// `({"values": …, "offsets": …, …},)`
    Jagged,
    /// `(dtype, size, stride, requires_grad)`
    Meta,
    /// `(class, dtype, size, stride, offset, layout, device, requires_grad)`
    Wrapper,
    /// `(tensor, dtype, device, requires_grad)`
    FromCpu,
    /// `(array, dtype, device, requires_grad)`
    FromNumpy,
    /// `(requires_grad)`: sizes unknown
    Uninitialized,
    /// A class of tensors, `(storage, offset, size, stride)` its state
    Old,
    /// A class around a tensor, `(tensor[, requires_grad])`, or all in its state
    Variable,
}

/// The table of functions, by module and name.
#[rustfmt::skip]
const FUNCTIONS: &[(&str, &str, Function)] = &[
    ("torch._utils", "_rebuild_tensor_v2", Function::TensorV2),
    ("torch._utils", "_rebuild_parameter", Function::Parameter),
    ("torch._utils", "_rebuild_tensor", Function::Tensor),
    ("torch._utils", "_rebuild_tensor_v3", Function::TensorV3),
    ("torch._utils", "_rebuild_parameter_with_state", Function::Parameter),
    ("torch._tensor", "_rebuild_from_type_v2", Function::FromType),
    ("torch._tensor", "_rebuild_from_type", Function::FromType),
    ("torch.tensor", "_rebuild_from_type_v2", Function::FromType),
    ("torch.tensor", "_rebuild_from_type", Function::FromType),
    ("torch._utils", "_rebuild_from_type", Function::FromType),
    ("torch._utils", "_rebuild_qtensor", Function::Quantized),
    ("torch._utils", "_rebuild_sparse_tensor", Function::Sparse),
    ("torch._utils", "_rebuild_sparse_csr_tensor", Function::SparseCsr),
    ("torch._utils", "_rebuild_nested_tensor", Function::Nested),
    ("torch.nested._internal.nested_tensor", "_rebuild_njt", Function::Jagged),
    ("torch._utils", "_rebuild_meta_tensor_no_storage", Function::Meta),
    ("torch._utils", "_rebuild_wrapper_subclass", Function::Wrapper),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Function::FromCpu),
    ("torch._utils", "_rebuild_device_tensor_from_numpy", Function::FromNumpy),
    ("torch._utils", "_rebuild_xla_tensor", Function::FromNumpy),
    ("torch.nn.parameter", "UninitializedParameter", Function::Uninitialized),
    ("torch.nn.parameter", "UninitializedBuffer", Function::Uninitialized),
    ("torch.nn.parameter", "Parameter", Function::Variable),
    ("torch.nn.parameter", "Buffer", Function::Variable),
    ("torch.autograd.variable", "Variable", Function::Variable),
    ("torch.autograd", "Variable", Function::Variable),
];

/// Modules with the classes of tensors of PyTorch 0.1: `torch.FloatTensor`.
const OLD: &[&[u8]] = &[b"torch", b"torch.cuda", b"torch.tensor", b"torch._tensor"];

impl Function {
    fn named(global: Global) -> Option<Self> {
        let row = FUNCTIONS.iter().find(|(module, name, _)| global.is(module, name));
        row.map(|&(_, _, function)| function)
    }

    /// The function by which a recipe makes a tensor.
    fn of(recipe: Recipe) -> Option<Self> {
        let global = recipe.callable().as_global()?;
        Self::named(global).or_else(|| {
            let old = OLD.contains(&global.module) && global.name.ends_with(b"Tensor");
            let state = recipe.state().and_then(Object::as_tuple);
            (old && state.is_some_and(|state| state.len() == 4)).then_some(Self::Old)
        })
    }
}

/// Wrappers around a tensor that are followed at most: a Parameter of a subclass of a
/// tensor takes two.
const DEEPEST: usize = 16;

impl Tensor {
    /// The tensor that `object` stands for; none if it is no tensor.
    ///
    /// # Errors
    /// What is wrong with its description, and where.
    #[must_use]
    pub(crate) fn view(object: Object, storages: &Storages) -> Option<Result<Self, Located>> {
        match storages.stand_in(object) {
            Ok(object) => Some(Call::of(object)?.carry_out(storages, false)),
            Err((fault, at)) => Some(Err((fault, at.or(object.offset())))),
        }
    }

    /// The strided tensor that `object` must be, since it is a part of another.
    pub(crate) fn plain(object: Object, storages: &Storages) -> Result<Self, Fault> {
        let not = Fault::NotA { wanted: "a tensor", found: object.kind() };
        let object = storages.stand_in(object).map_err(|(fault, _)| fault)?;
        let call = Call::of(object).ok_or(not)?;
        call.carry_out(storages, true).map_err(|(fault, _)| fault)
    }

    /// The class that a call gives to a tensor, if it is another than `torch.Tensor`, and the
    /// attributes it sets.
    pub(crate) fn dressed(object: Object<'_>) -> (Option<Global<'_>>, Option<Object<'_>>) {
        let mut next = Some(object);
        for _ in 0..DEEPEST {
            let Some(call) = next.and_then(Call::of) else { break };
            let args = call.args.as_tuple();
            match (call.function, args.and_then(Items::array::<4>)) {
                (Function::FromType, Some([_, class, _, state])) => {
                    let plain = |global: &Global| global.is("torch", "Tensor");
                    return (class.as_global().filter(|class| !plain(class)), Some(state));
                }
                (Function::Parameter, Some([_, _, _, state])) => return (None, Some(state)),
                (Function::Parameter, None) => next = args.and_then(|args| args.get(0)),
                _ => break,
            }
        }
        (None, None)
    }
}

/// Whether a function makes a tensor of an array of numpy.
pub(crate) fn takes_array(global: Global) -> bool {
    Function::named(global) == Some(Function::FromNumpy)
}

/// The array that a call makes a tensor of, and that tensor's dtype; none of other objects.
pub(crate) fn array_of(object: Object<'_>) -> Option<(Object<'_>, DType)> {
    let mut call = Call::of(object)?;
    if call.function == Function::FromType {
        (call, _) = from_type(call.args.as_tuple()?, call.from).ok()?;
    }
    let args = call.args.as_tuple().filter(|_| call.function == Function::FromNumpy)?;
    Some((args.get(0)?, dtype_of(args.get(1)?).ok()?))
}

/// A function with its arguments, and the call that speaks of them.
#[derive(Clone, Copy)]
struct Call<'graph> {
    function: Function,
    args: Object<'graph>,
    from: Object<'graph>,
    /// Attributes that a subclass was saved with.
    state: Option<Object<'graph>>,
}

impl<'graph> Call<'graph> {
    /// The call that makes `object`; none if that is no tensor.
    fn of(object: Object<'graph>) -> Option<Self> {
        let recipe = object.as_recipe()?;
        let function = Function::of(recipe)?;
        Some(Self { function, args: recipe.args(), from: object, state: None })
    }

    /// Follows wrappers down to the view, then sets what they said.
    fn carry_out(self, storages: &Storages, plain: bool) -> Result<Tensor, Located> {
        let (mut call, mut outer) = (self, Flags::default());
        for _ in 0..DEEPEST {
            let here = call.args.offset().or(call.from.offset());
            let located = |fault| (fault, here);
            let args = call.args.as_tuple().ok_or(Fault::Arguments("no tuple of arguments"));
            let args = args.map_err(located)?;
            let inner = match call.function {
                Function::Parameter => parameter(args),
                Function::Variable => variable(args, call.from),
                Function::FromCpu => from_cpu(args),
                Function::FromType => {
                    let (inner, is_buffer) = from_type(args, call.from).map_err(located)?;
                    outer.is_buffer |= is_buffer;
                    call = inner;
                    continue;
                }
                _ => {
                    let view = View { args, call, storages };
                    return view.tensor(self.from, outer, plain).map_err(located);
                }
            };
            let (inner, flags) = inner.map_err(located)?;
            outer = outer.or(flags);
            let inner = storages.stand_in(inner).map_err(|(fault, at)| (fault, at.or(here)))?;
            call = Self::within(inner).map_err(located)?;
        }
        Err((Fault::Unsupported("a tensor wrapped so often".into()), self.from.offset()))
    }

    /// The call behind an argument that must be a tensor.
    fn within(object: Object<'graph>) -> Result<Self, Fault> {
        Self::of(object).ok_or_else(|| {
            match object.as_recipe().and_then(|recipe| recipe.callable().as_global()) {
                Some(global) => Fault::Unsupported(format!("a tensor made by {global}").into()),
                None => Fault::NotA { wanted: "a tensor", found: object.kind() },
            }
        })
    }
}

/// What wrappers say of the tensor in them; the outermost counts.
#[derive(Clone, Default)]
struct Flags {
    requires_grad: Option<bool>,
    is_parameter: bool,
    is_buffer: bool,
    device: Option<Box<str>>,
    dtype: Option<DType>,
}

impl Flags {
    fn or(self, inner: Self) -> Self {
        Self {
            requires_grad: self.requires_grad.or(inner.requires_grad),
            is_parameter: self.is_parameter || inner.is_parameter,
            is_buffer: self.is_buffer || inner.is_buffer,
            device: self.device.or(inner.device),
            dtype: self.dtype.or(inner.dtype),
        }
    }
}

/// `(tensor, requires_grad, backward_hooks[, state])`
fn parameter(args: Items<'_>) -> Result<(Object<'_>, Flags), Fault> {
    let (Some(tensor), Some(grad), 3 | 4) = (args.get(0), args.get(1), args.len()) else {
        return Err(Fault::Arguments("a parameter takes 3 or 4 arguments"));
    };
    let requires_grad = Some(boolean(grad)?);
    Ok((tensor, Flags { requires_grad, is_parameter: true, ..Flags::default() }))
}

/// The classes `Parameter`, `Buffer` and `Variable` themselves: `(tensor[, requires_grad])` with
/// the state `(requires_grad, …, hooks)`; in the oldest files all in the state,
/// `(tensor, …, hooks, requires_grad, volatile)`.
///
/// Source: PyTorch 0.1 to 0.3 `torch/autograd/variable.py`; 2.15 `Tensor.__setstate__`.
fn variable<'graph>(
    args: Items<'graph>,
    from: Object<'graph>,
) -> Result<(Object<'graph>, Flags), Fault> {
    let recipe = from.as_recipe();
    let class = recipe.and_then(|recipe| recipe.callable().as_global());
    let is = |name: &[u8]| class.is_some_and(|class| class.name == name);
    let state = recipe.and_then(Recipe::state).and_then(Object::as_tuple);
    let (tensor, grad) = match state.map(|state| (state.get(0), state.get(3), state.len())) {
        Some((tensor, grad, 5)) => (tensor, grad),
        Some((grad, _, 3)) => (args.get(0), grad),
        _ => (args.get(0), args.get(1)),
    };
    let tensor = tensor.ok_or(Fault::Arguments("a parameter without a tensor"))?;
    let (is_parameter, is_buffer) = (is(b"Parameter"), is(b"Buffer"));
    let grad = grad.map_or(Ok(is_parameter), boolean)?;
    let flags = Flags { requires_grad: Some(grad), is_parameter, is_buffer, ..Flags::default() };
    Ok((tensor, flags))
}

/// `(tensor, dtype, device, requires_grad)`
fn from_cpu(args: Items<'_>) -> Result<(Object<'_>, Flags), Fault> {
    let Some([tensor, dtype, device, grad]) = args.array() else {
        return Err(Fault::Arguments("a tensor for a device takes 4 arguments"));
    };
    let (requires_grad, device) = (Some(boolean(grad)?), Some(device_name(device)?));
    let dtype = Some(dtype_of(dtype)?);
    Ok((tensor, Flags { requires_grad, device, dtype, ..Flags::default() }))
}

/// `(function, class, arguments, state)`: the same call, its result given a class. Also whether
/// that is a buffer.
fn from_type<'graph>(
    args: Items<'graph>,
    from: Object<'graph>,
) -> Result<(Call<'graph>, bool), Fault> {
    let Some([function, _class, inner, state]) = args.array() else {
        return Err(Fault::Arguments("a tensor subclass takes 4 arguments"));
    };
    let Some(global) = function.as_global() else {
        return Err(Fault::NotA {
            wanted: "a function that makes tensors",
            found: function.kind(),
        });
    };
    let function = Function::named(global)
        .ok_or_else(|| Fault::Unsupported(format!("a tensor made by {global}").into()))?;
    let marked = state.as_dict().and_then(|state| state.get("_is_buffer")?.as_bool());
    let call = Call { function, args: inner, from, state: Some(state) };
    Ok((call, marked.unwrap_or(false)))
}

/// The arguments of a function that makes a tensor of its own.
struct View<'graph, 'all> {
    args: Items<'graph>,
    call: Call<'graph>,
    storages: &'all Storages,
}

impl<'graph> View<'graph, '_> {
    fn arg(&self, index: usize) -> Result<Object<'graph>, Fault> {
        self.args.get(index).ok_or(Fault::Arguments("too few arguments for a tensor"))
    }

    /// The tensor, for the object that wraps it; `plain` if it must be a strided one.
    fn tensor(&self, object: Object, outer: Flags, plain: bool) -> Result<Tensor, Fault> {
        let mut tensor = match self.call.function {
            Function::Tensor | Function::TensorV2 | Function::TensorV3 | Function::Old => {
                self.strided()?
            }
            Function::FromNumpy => self.array()?,
            Function::Uninitialized => return Err(Fault::Uninitialized),
            _ if plain => return Err(Fault::Arguments("a part of a tensor is a strided tensor")),
            _ => self.compound()?,
        };
        tensor.node = object.id();
        tensor.requires_grad = outer.requires_grad.unwrap_or(tensor.requires_grad);
        (tensor.is_parameter, tensor.is_buffer) = (outer.is_parameter, outer.is_buffer);
        if let Some(dtype) = outer.dtype.filter(|dtype| *dtype != tensor.dtype()) {
            let what = format!("a tensor of {} that was of {dtype} on its device", tensor.dtype());
            return Err(Fault::Unsupported(what.into()));
        }
        if let Some(device) = outer.device.filter(|_| tensor.body.is_none()) {
            tensor.body = Some(Box::new(Body::Device(device)));
        }
        Ok(tensor)
    }

    fn compound(&self) -> Result<Tensor, Fault> {
        let (args, from) = (self.args, self.call.from);
        match self.call.function {
            Function::Quantized => self.quantized(),
            Function::Sparse => sparse::read(args, from, self.storages),
            Function::SparseCsr => sparse::read_csr(args, from, self.storages),
            Function::Nested => nested::read(args, from, self.storages),
            Function::Jagged => nested::read_jagged(args, from, self.storages),
            Function::Meta => self.meta(),
            Function::Wrapper => self.wrapper(),
            _ => Err(Fault::Arguments("a tensor made by another call")),
        }
    }

    /// An array of numpy, which was made of the tensor when it was saved.
    fn array(&self) -> Result<Tensor, Fault> {
        let Some([array, dtype, device, grad]) = self.args.array() else {
            return Err(Fault::Arguments("a tensor made of an array takes 4 arguments"));
        };
        let (dtype, device) = (dtype_of(dtype)?, device_name(device)?);
        // Only arrays are found.
        let not = Fault::NotA { wanted: "an array of numpy", found: array.kind() };
        let Array { dtype, shape, bytes } =
            self.storages.array(array, dtype).ok_or(not)?.clone()?;
        let inline = Inline { bytes, device };
        let mut tensor = Tensor::of_bytes(dtype, shape, inline, self.call.from.id())?;
        tensor.requires_grad = boolean(grad)?;
        Ok(tensor)
    }

    fn strided(&self) -> Result<Tensor, Fault> {
        let old = self.call.function == Function::Old;
        let state = self.call.from.as_recipe().and_then(Recipe::state);
        let args = if old { state.and_then(Object::as_tuple) } else { None };
        let args = args.unwrap_or(self.args);
        let arg = |index| args.get(index).ok_or(Fault::Arguments("too few arguments for a tensor"));
        let storage = self.storage(arg(0)?)?;
        let dtype = self.dtype(storage)?;
        let view = Geometry {
            offset: unsigned(arg(1)?)?,
            shape: sizes(arg(2)?, self.call.from)?,
            stride: sizes(arg(3)?, self.call.from)?,
        };
        let nbytes = self.storages.get(storage.id).nbytes();
        let mut tensor = Tensor::new(storage.id, nbytes, dtype, view, self.call.from.id())?;
        tensor.requires_grad = match self.call.function {
            Function::TensorV2 | Function::TensorV3 => boolean(arg(4)?)?,
            _ => false,
        };
        (tensor.conj, tensor.neg) = self.metadata()?;
        Ok(tensor)
    }

    fn quantized(&self) -> Result<Tensor, Fault> {
        let storage = self.storage(self.arg(0)?)?;
        let dtype = storage.dtype.filter(|dtype| dtype.is_quantized());
        let dtype = dtype.ok_or(Fault::Arguments("a quantized tensor over another storage"))?;
        let from = self.call.from;
        let view = Geometry {
            offset: unsigned(self.arg(1)?)?,
            shape: sizes(self.arg(2)?, from)?,
            stride: sizes(self.arg(3)?, from)?,
        };
        let nbytes = self.storages.get(storage.id).nbytes();
        let quantizer = Quantizer::read(self.arg(4)?, &view.shape, self.storages)?;
        let id = storage.id;
        let mut tensor = Tensor::quantized(id, nbytes, dtype, view, quantizer, from.id())?;
        tensor.requires_grad = boolean(self.arg(5)?)?;
        Ok(tensor)
    }

    fn meta(&self) -> Result<Tensor, Fault> {
        let from = self.call.from;
        let (shape, stride) = (sizes(self.arg(1)?, from)?, sizes(self.arg(2)?, from)?);
        let view = Geometry { offset: 0, shape, stride };
        let mut tensor = Tensor::without_data(dtype_of(self.arg(0)?)?, view, from.id())?;
        tensor.requires_grad = boolean(self.arg(3)?)?;
        tensor.body = Some(Box::new(Body::Meta));
        Ok(tensor)
    }

    fn wrapper(&self) -> Result<Tensor, Fault> {
        let Some([class, dtype, size, stride, offset, _layout, device, grad]) = self.args.array()
        else {
            return Err(Fault::Arguments("a wrapper subclass takes 8 arguments"));
        };
        let wrong = Fault::NotA { wanted: "a class", found: class.kind() };
        let class = class.as_global().ok_or(wrong)?.to_string().into();
        let from = self.call.from;
        let view = Geometry {
            offset: unsigned(offset)?,
            shape: sizes(size, from)?,
            stride: sizes(stride, from)?,
        };
        let mut tensor = Tensor::without_data(dtype_of(dtype)?, view, from.id())?;
        tensor.requires_grad = boolean(grad)?;
        let attributes = self.call.state.map(attributes).unwrap_or_default();
        let wrapper = Wrapper { class, device: device_name(device)?, attributes };
        tensor.body = Some(Box::new(Body::Wrapper(wrapper)));
        Ok(tensor)
    }

    fn storage(&self, object: Object) -> Result<Typed, Fault> {
        let not = Fault::NotA { wanted: "a storage", found: object.kind() };
        self.storages.of(object).ok_or(not)?
    }

    fn dtype(&self, storage: Typed) -> Result<DType, Fault> {
        if self.call.function != Function::TensorV3 {
            let untyped = Fault::Arguments("an untyped storage where a typed one is needed");
            return storage.dtype.ok_or(untyped);
        }
        dtype_of(self.arg(6)?)
    }

    /// The lazy bits: conj and neg.
    fn metadata(&self) -> Result<(bool, bool), Fault> {
        let index = match self.call.function {
            Function::TensorV2 => 6,
            Function::TensorV3 => 7,
            _ => return Ok((false, false)),
        };
        let Some(object) = self.args.get(index).filter(|object| !object.is_none()) else {
            return Ok((false, false));
        };
        let Some(metadata) = object.as_dict() else {
            return Err(Fault::NotA { wanted: "a dict of bits", found: object.kind() });
        };
        let bit = |name| metadata.get(name).map_or(Ok(false), boolean);
        Ok((bit("conj")?, bit("neg")?))
    }
}

/// Attributes that are tensors, of a state that is a dict or `(dict, slots)`.
fn attributes(state: Object) -> Box<[(Box<str>, NodeId)]> {
    let dicts = match state.as_tuple() {
        Some(halves) => halves.iter().take(2).filter_map(Object::as_dict).collect(),
        None => Vec::from_iter(state.as_dict()),
    };
    let pairs = dicts.into_iter().flat_map(Dict::iter);
    let tensors = pairs.filter(|(_, value)| Call::of(*value).is_some());
    tensors.filter_map(|(key, value)| Some((key.as_str()?.into(), value.id()))).collect()
}

/// A tuple or list of sizes, or `torch.Size` of one, as the call `from` got it.
pub(crate) fn sizes(object: Object, from: Object) -> Result<Vec<u64>, Fault> {
    let object = match object.value() {
        Value::Recipe(recipe) if recipe.callable().as_global().is_some_and(is_torch_size) => {
            recipe.args().as_tuple().and_then(|args| args.get(0)).unwrap_or(object)
        }
        _ => object,
    };
    let items = match object.value() {
        Value::Tuple(items) => items,
        // Python would have used the list as it was then.
        Value::List(_)
            if object.changed().zip(from.offset()).is_some_and(|(changed, at)| changed > at) =>
        {
            return Err(Fault::ChangedLater);
        }
        Value::List(items) => items,
        _ => return Err(Fault::NotA { wanted: "a tuple of sizes", found: object.kind() }),
    };
    let mut sizes = Vec::with_capacity(items.len());
    for item in items.iter() {
        sizes.push(unsigned(item)?);
    }
    Ok(sizes)
}

/// A dtype of `torch`, by name.
fn dtype_of(object: Object) -> Result<DType, Fault> {
    let not = Fault::NotA { wanted: "a dtype", found: object.kind() };
    let Some(global) = object.as_global().filter(|global| global.module == b"torch") else {
        return Err(not);
    };
    let name = String::from_utf8_lossy(global.name);
    DType::from_name(&name).ok_or_else(|| Fault::UnknownDType(name.into()))
}

/// A device by name, or `torch.device(type[, index])`.
fn device_name(object: Object) -> Result<Box<str>, Fault> {
    let not = Fault::NotA { wanted: "a device", found: object.kind() };
    if let Some(name) = object.as_str() {
        return Ok(name.into());
    }
    let recipe = object.as_recipe().ok_or(not.clone())?;
    let is_device = |global: Global| global.is("torch", "device");
    let args = recipe.args().as_tuple();
    match args.filter(|_| recipe.callable().as_global().is_some_and(is_device)) {
        Some(args) => {
            let kind = args.get(0).and_then(Object::as_str).ok_or(not)?;
            let index = args.get(1).and_then(Object::as_int);
            Ok(index.map_or_else(|| kind.into(), |index| format!("{kind}:{index}").into()))
        }
        None => Err(not),
    }
}

fn is_torch_size(global: Global) -> bool {
    global.is("torch", "Size")
}

pub(crate) fn unsigned(object: Object) -> Result<u64, Fault> {
    let value =
        object.as_int().ok_or(Fault::NotA { wanted: "an integer", found: object.kind() })?;
    u64::try_from(value).map_err(|_| Fault::Negative(value))
}

pub(crate) fn boolean(object: Object) -> Result<bool, Fault> {
    object.as_bool().ok_or(Fault::NotA { wanted: "a boolean", found: object.kind() })
}

pub(crate) fn integer(object: Object) -> Result<i64, Fault> {
    object.as_int().ok_or(Fault::NotA { wanted: "an integer", found: object.kind() })
}

/// A float, or an integer that is one exactly.
pub(crate) fn float(object: Object) -> Result<f64, Fault> {
    match object.value() {
        Value::Float(value) => Ok(value),
        Value::Int(value) => {
            let float = i32::try_from(value).map(f64::from);
            float.map_err(|_| Fault::Unsupported("a quantizer with so large a number".into()))
        }
        _ => Err(Fault::NotA { wanted: "a number", found: object.kind() }),
    }
}
