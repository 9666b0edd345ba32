//! What a module's printer and counters need to know of tensors.

use super::tensor_text::Values;
use crate::pickle::{Global, Items, Object, Recipe, Value};
use crate::torch::DType;

/// What is known of a tensor without its data.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSummary {
    /// PyTorch's name of the element type, without `torch.`.
    pub dtype: String,
    /// Sizes; `None` for parameters not yet initialised.
    pub shape: Option<Vec<u64>>,
    /// PyTorch's name of the device it was saved from.
    pub device: String,
    /// Whether it requires a gradient.
    pub requires_grad: bool,
    /// Whether it is an `nn.Parameter`.
    pub parameter: bool,
    /// Of a quantized tensor: its scheme, without `torch.`.
    pub qscheme: Option<String>,
}

impl TensorSummary {
    /// Elements; `None` if the shape is unknown or the product above 2⁶⁴.
    #[must_use]
    pub fn numel(&self) -> Option<u64> {
        self.shape.as_ref()?.iter().try_fold(1_u64, |all, &size| all.checked_mul(size))
    }

    /// Bytes of its elements; `None` if they or their width are not known.
    #[must_use]
    pub fn nbytes(&self) -> Option<u64> {
        let width = match &*self.dtype {
            "qint8" | "quint8" | "quint4x2" | "quint2x4" => 1,
            "qint32" => 4,
            name => DType::from_name(name)?.width(),
        };
        self.numel()?.checked_mul(width)
    }
}

/// Who knows the tensors of a graph.
pub trait Tensors<'graph> {
    /// What `object` is, if it is a tensor.
    fn describe(&self, object: Object<'graph>) -> Option<TensorSummary>;

    /// The values of a dense tensor in row-major order, if they can be read: all of at most
    /// 1,000; of more, in one dimension, the first three and the last three. Some modules
    /// print them.
    fn values(&self, object: Object<'graph>) -> Option<Values> {
        let _ = object;
        None
    }
}

/// Knows of tensors what the arguments of their calls say; no values.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromGraph;

impl<'graph> Tensors<'graph> for FromGraph {
    fn describe(&self, object: Object<'graph>) -> Option<TensorSummary> {
        describe(object, NESTED)
    }
}

/// How deep calls that rebuild tensors may stand in each other: a parameter holds its tensor,
/// a subclass the call of its base, a sparse tensor its values.
const NESTED: usize = 8;

fn describe(object: Object, left: usize) -> Option<TensorSummary> {
    let recipe = object.as_recipe()?;
    let global = recipe.callable().as_global()?;
    if global.module == b"torch" && global.name.ends_with(b"Tensor") {
        return old_tensor(recipe);
    }
    let mut call = (global, recipe.args().items()?);
    let mut parameter = None;
    for _ in 0..left {
        let (global, args) = call;
        match name_in_torch(global)? {
            b"_rebuild_parameter" | b"_rebuild_parameter_with_state" | b"Parameter" => {
                parameter = Some(args.get(1).and_then(Object::as_bool).unwrap_or(true));
                let inner = args.get(0)?.as_recipe()?;
                call = (inner.callable().as_global()?, inner.args().items()?);
            }
            b"_rebuild_from_type_v2" | b"_rebuild_from_type" => {
                let inner = args.get(0)?.as_global()?;
                call = (inner, args.get(2)?.items()?);
            }
            name => {
                let mut summary = rebuilt(name, args, left.saturating_sub(1))?;
                if let Some(requires_grad) = parameter {
                    summary.requires_grad = requires_grad;
                    summary.parameter = true;
                }
                return Some(summary);
            }
        }
    }
    None
}

/// The function's name, if it is one of those that rebuild tensors.
fn name_in_torch(global: Global<'_>) -> Option<&[u8]> {
    let known: &[&[u8]] =
        &[b"torch._utils", b"torch._tensor", b"torch.tensor", b"torch.nn.parameter"];
    known.contains(&global.module).then_some(global.name)
}

fn rebuilt(name: &[u8], args: Items, left: usize) -> Option<TensorSummary> {
    let flag = |index| args.get(index).and_then(Object::as_bool).unwrap_or(false);
    match name {
        b"_rebuild_tensor" => strided(args, false, None),
        b"_rebuild_tensor_v2" => strided(args, flag(4), None),
        b"_rebuild_tensor_v3" => strided(args, flag(4), Some(dtype_name(args.get(6)?)?)),
        b"_rebuild_qtensor" => {
            let mut summary = strided(args, flag(5), None)?;
            let parts = args.get(4)?.items()?;
            summary.qscheme = qscheme(parts, left);
            Some(summary)
        }
        b"_rebuild_meta_tensor_no_storage" => Some(TensorSummary {
            device: String::from("meta"),
            ..plain(dtype_name(args.get(0)?)?, sizes(args.get(1)?), flag(3))
        }),
        b"_rebuild_wrapper_subclass" => {
            Some(plain(dtype_name(args.get(1)?)?, sizes(args.get(2)?), flag(7)))
        }
        b"_rebuild_sparse_tensor" => {
            let parts = args.get(1)?.items()?;
            let numbers = |index| parts.get(index).and_then(|part| describe(part, left));
            // COO: indices, values, size. Compressed: two of indices, then values and size.
            let (values, size) = match sizes(parts.get(2)?) {
                Some(size) => (numbers(1)?, size),
                None => (numbers(2)?, sizes(parts.get(3)?)?),
            };
            Some(TensorSummary { shape: Some(size), ..values })
        }
        b"UninitializedParameter" | b"UninitializedBuffer" => {
            let requires_grad = name == b"UninitializedParameter";
            let dtype = args.get(2).and_then(dtype_name);
            let summary = plain(dtype.unwrap_or(String::from("float32")), None, requires_grad);
            Some(TensorSummary { parameter: requires_grad, ..summary })
        }
        _ => None,
    }
}

/// `(storage, offset, size, …)`.
fn strided(args: Items, requires_grad: bool, dtype: Option<String>) -> Option<TensorSummary> {
    let (stored, device) = storage(args.get(0)?)?;
    let shape = sizes(args.get(2)?)?;
    Some(TensorSummary { device, ..plain(dtype.unwrap_or(stored), Some(shape), requires_grad) })
}

fn plain(dtype: String, shape: Option<Vec<u64>>, requires_grad: bool) -> TensorSummary {
    let (device, parameter, qscheme) = (String::from("cpu"), false, None);
    TensorSummary { dtype, shape, device, requires_grad, parameter, qscheme }
}

/// `torch.FloatTensor` with the state `(storage, offset, size, stride)`, as before 0.1.10.
fn old_tensor(recipe: Recipe) -> Option<TensorSummary> {
    let state = recipe.state().or(Some(recipe.args()))?;
    strided(state.items()?, false, None)
}

/// Storage classes, without `Storage`, and their element types.
const STORED: &[(&str, &str)] = &[
    ("Double", "float64"),
    ("Float", "float32"),
    ("Half", "float16"),
    ("BFloat16", "bfloat16"),
    ("Long", "int64"),
    ("Int", "int32"),
    ("Short", "int16"),
    ("Char", "int8"),
    ("Byte", "uint8"),
    ("Bool", "bool"),
    ("ComplexDouble", "complex128"),
    ("ComplexFloat", "complex64"),
    ("QInt8", "qint8"),
    ("QUInt8", "quint8"),
    ("QInt32", "qint32"),
    ("QUInt4x2", "quint4x2"),
    ("QUInt2x4", "quint2x4"),
    ("Untyped", "uint8"),
];

/// dtype and device of a storage, from its persistent id.
fn storage(object: Object) -> Option<(String, String)> {
    let Value::Persistent(id) = object.value() else { return None };
    let id = id.as_tuple()?;
    let class = id.get(1)?.as_global()?;
    let name = std::str::from_utf8(class.name).ok()?.strip_suffix("Storage")?;
    let (_, dtype) = STORED.iter().find(|(known, _)| *known == name)?;
    Some(((*dtype).to_owned(), id.get(3)?.as_str()?.to_owned()))
}

/// `torch.float32` → `float32`.
fn dtype_name(object: Object) -> Option<String> {
    let global = object.as_global().filter(|global| global.module == b"torch")?;
    Some(String::from_utf8_lossy(global.name).into_owned())
}

/// A tuple or `torch.Size` of sizes.
fn sizes(object: Object) -> Option<Vec<u64>> {
    const DIMENSIONS: usize = 64;
    let size = object.as_recipe().and_then(|recipe| recipe.args().items()?.get(0));
    let items = size.unwrap_or(object).items().filter(|items| items.len() <= DIMENSIONS)?;
    items.iter().map(|size| u64::try_from(size.as_int()?).ok()).collect()
}

/// The scheme of a quantized tensor. What per-channel tensors are saved with does not tell
/// integer from float zero points; the tensor of zero points does.
fn qscheme(parts: Items, left: usize) -> Option<String> {
    let scheme = dtype_name(parts.get(0)?)?;
    if scheme != "per_channel_affine" {
        return Some(scheme);
    }
    let zero_points = describe(parts.get(2)?, left)?;
    let float = zero_points.dtype.starts_with("float");
    Some(if float { String::from("per_channel_affine_float_qparams") } else { scheme })
}
