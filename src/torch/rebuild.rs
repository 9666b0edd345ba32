//! Calls that make tensors: recognised global → what its arguments mean.
//!
//! Source: PyTorch 2.15 `torch/_utils.py`, `torch/_tensor.py` (`_rebuild_from_type_v2`).

use super::DType;
use super::error::Fault;
use super::storage::{Storages, Typed};
use super::tensor::{Geometry, Tensor};
use crate::base::FileOffset;
use crate::pickle::{Global, Items, Object, Value};

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
    /// A layout that is not read yet, by its name.
    Other(&'static str),
}

/// The table of functions, by module and name.
const FUNCTIONS: &[(&str, &str, Function)] = &[
    ("torch._utils", "_rebuild_tensor", Function::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Function::TensorV2),
    ("torch._utils", "_rebuild_tensor_v3", Function::TensorV3),
    ("torch._utils", "_rebuild_parameter", Function::Parameter),
    ("torch._utils", "_rebuild_parameter_with_state", Function::Parameter),
    ("torch._tensor", "_rebuild_from_type_v2", Function::FromType),
    ("torch.tensor", "_rebuild_from_type_v2", Function::FromType),
    ("torch._utils", "_rebuild_qtensor", Function::Other("a quantized tensor")),
    ("torch._utils", "_rebuild_sparse_tensor", Function::Other("a sparse tensor")),
    ("torch._utils", "_rebuild_sparse_csr_tensor", Function::Other("a sparse tensor")),
    ("torch._utils", "_rebuild_nested_tensor", Function::Other("a nested tensor")),
    ("torch._utils", "_rebuild_meta_tensor_no_storage", Function::Other("a meta tensor")),
    ("torch._utils", "_rebuild_device_tensor_from_numpy", Function::Other("a device tensor")),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Function::Other("a device tensor")),
    ("torch._utils", "_rebuild_xla_tensor", Function::Other("an XLA tensor")),
    ("torch._utils", "_rebuild_wrapper_subclass", Function::Other("a wrapper subclass")),
];

impl Function {
    fn named(global: Global) -> Option<Self> {
        let row = FUNCTIONS.iter().find(|(module, name, _)| global.is(module, name));
        row.map(|&(_, _, function)| function)
    }
}

/// Wrappers around a tensor that are followed at most: a Parameter of a subclass of a
/// tensor takes two.
const DEEPEST: usize = 16;

impl Tensor {
    /// The strided tensor that `object` stands for; none if it is no tensor.
    ///
    /// # Errors
    /// What is wrong with its description, and where.
    #[must_use]
    pub(crate) fn view(object: Object, storages: &Storages) -> Option<Result<Self, Located>> {
        let object = match storages.stand_in(object) {
            Ok(object) => object,
            Err(fault) => return Some(Err((fault, object.offset()))),
        };
        let recipe = object.as_recipe()?;
        let function = Function::named(recipe.callable().as_global()?)?;
        let call = Call { function, args: recipe.args(), from: object };
        Some(call.carry_out(storages))
    }
}

/// A fault and where in the file it lies.
pub(crate) type Located = (Fault, Option<FileOffset>);

/// A function with its arguments, and the call that speaks of them.
#[derive(Clone, Copy)]
struct Call<'graph> {
    function: Function,
    args: Object<'graph>,
    from: Object<'graph>,
}

impl<'graph> Call<'graph> {
    /// Follows wrappers down to the view, then sets what they said.
    fn carry_out(self, storages: &Storages) -> Result<Tensor, Located> {
        let (mut call, mut outer) = (self, Flags::default());
        for _ in 0..DEEPEST {
            let here = call.args.offset().or(call.from.offset());
            let located = |fault| (fault, here);
            let args = call.args.as_tuple().ok_or(Fault::Arguments("no tuple of arguments"));
            let args = args.map_err(located)?;
            match call.function {
                Function::Parameter => {
                    let (inner, flags) = parameter(args).map_err(located)?;
                    outer = outer.or(flags);
                    let inner = storages.stand_in(inner).map_err(located)?;
                    call = Self::of(inner).map_err(located)?;
                }
                Function::FromType => call = from_type(args, call.from).map_err(located)?,
                Function::Other(what) => return Err(located(Fault::Unsupported(what.into()))),
                plain => {
                    let view = View { args, function: plain, from: call.from, storages };
                    return view.tensor(self.from, outer).map_err(located);
                }
            }
        }
        Err((Fault::Unsupported("a tensor wrapped so often".into()), self.from.offset()))
    }

    /// The call behind an argument that must be a tensor.
    fn of(object: Object<'graph>) -> Result<Self, Fault> {
        let not = Fault::NotA { wanted: "a tensor", found: object.kind() };
        let Some(recipe) = object.as_recipe() else { return Err(not) };
        let Some(global) = recipe.callable().as_global() else { return Err(not) };
        let Some(function) = Function::named(global) else {
            return Err(Fault::Unsupported(format!("a tensor made by {global}").into()));
        };
        Ok(Self { function, args: recipe.args(), from: object })
    }
}

/// What wrappers say of the tensor in them; the outermost counts.
#[derive(Clone, Copy, Default)]
struct Flags {
    requires_grad: Option<bool>,
    is_parameter: bool,
}

impl Flags {
    fn or(self, inner: Self) -> Self {
        Self {
            requires_grad: self.requires_grad.or(inner.requires_grad),
            is_parameter: self.is_parameter || inner.is_parameter,
        }
    }
}

/// `(tensor, requires_grad, backward_hooks[, state])`
fn parameter(args: Items<'_>) -> Result<(Object<'_>, Flags), Fault> {
    let (Some(tensor), Some(grad), 3 | 4) = (args.get(0), args.get(1), args.len()) else {
        return Err(Fault::Arguments("a parameter takes 3 or 4 arguments"));
    };
    Ok((tensor, Flags { requires_grad: Some(boolean(grad)?), is_parameter: true }))
}

/// `(function, class, arguments, state)`: the same call, its result given a class.
fn from_type<'graph>(args: Items<'graph>, from: Object<'graph>) -> Result<Call<'graph>, Fault> {
    let Some([function, _class, inner, _state]) = args.array() else {
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
    Ok(Call { function, args: inner, from })
}

/// The arguments of one of the plain functions.
struct View<'graph, 'all> {
    args: Items<'graph>,
    function: Function,
    from: Object<'graph>,
    storages: &'all Storages,
}

impl<'graph> View<'graph, '_> {
    fn arg(&self, index: usize) -> Result<Object<'graph>, Fault> {
        self.args.get(index).ok_or(Fault::Arguments("too few arguments for a tensor"))
    }

    fn tensor(&self, object: Object, outer: Flags) -> Result<Tensor, Fault> {
        let storage = self.storage()?;
        let dtype = self.dtype(storage)?;
        let view = Geometry {
            offset: unsigned(self.arg(1)?)?,
            shape: self.sizes(self.arg(2)?)?,
            stride: self.sizes(self.arg(3)?)?,
        };
        let nbytes = self.storages.get(storage.id).nbytes();
        let mut tensor = Tensor::new(storage.id, nbytes, dtype, view, object.id())?;
        let own_grad = match self.function {
            Function::Tensor => false,
            _ => boolean(self.arg(4)?)?,
        };
        tensor.requires_grad = outer.requires_grad.unwrap_or(own_grad);
        tensor.is_parameter = outer.is_parameter;
        (tensor.conj, tensor.neg) = self.metadata()?;
        Ok(tensor)
    }

    fn storage(&self) -> Result<Typed, Fault> {
        let object = self.arg(0)?;
        let not = Fault::NotA { wanted: "a storage", found: object.kind() };
        self.storages.of(object).ok_or(not)?
    }

    fn dtype(&self, storage: Typed) -> Result<DType, Fault> {
        if self.function != Function::TensorV3 {
            let untyped = Fault::Arguments("an untyped storage where a typed one is needed");
            return storage.dtype.ok_or(untyped);
        }
        let object = self.arg(6)?;
        let not = Fault::NotA { wanted: "a dtype", found: object.kind() };
        let Some(global) = object.as_global().filter(|global| global.module == b"torch") else {
            return Err(not);
        };
        let name = String::from_utf8_lossy(global.name);
        DType::from_name(&name).ok_or_else(|| Fault::UnknownDType(name.into()))
    }

    /// A tuple or list of sizes, or `torch.Size` of one.
    fn sizes(&self, object: Object) -> Result<Vec<u64>, Fault> {
        let object = match object.value() {
            Value::Recipe(recipe) if recipe.callable().as_global().is_some_and(is_torch_size) => {
                recipe.args().as_tuple().and_then(|args| args.get(0)).unwrap_or(object)
            }
            _ => object,
        };
        let (Value::Tuple(items) | Value::List(items)) = object.value() else {
            return Err(Fault::NotA { wanted: "a tuple of sizes", found: object.kind() });
        };
        // Python would have used the list as it was then.
        if object.changed() > self.from.offset() {
            return Err(Fault::ChangedLater);
        }
        items.iter().map(unsigned).collect()
    }

    /// The lazy bits: conj and neg.
    fn metadata(&self) -> Result<(bool, bool), Fault> {
        let index = match self.function {
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

fn is_torch_size(global: Global) -> bool {
    global.is("torch", "Size")
}

fn unsigned(object: Object) -> Result<u64, Fault> {
    let value =
        object.as_int().ok_or(Fault::NotA { wanted: "an integer", found: object.kind() })?;
    u64::try_from(value).map_err(|_| Fault::Negative(value))
}

fn boolean(object: Object) -> Result<bool, Fault> {
    object.as_bool().ok_or(Fault::NotA { wanted: "a boolean", found: object.kind() })
}
