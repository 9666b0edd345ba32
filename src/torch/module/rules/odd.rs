//! Rules that are no formula.

use std::fmt::Write as _;

use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::mapping;

use super::super::template::Scope;
use super::super::{Class, TensorSummary};

/// Source: `ParameterList.extra_repr`.
pub(super) fn parameter_list(
    scope: &Scope,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    let module = scope.module;
    let size = module.attribute("_size").and_then(Object::as_int);
    let mut held = module.parameters(budget)?;
    held.extend(module.attributes(budget)?);
    // Before 1.12 there was no size: the parameters were all there was.
    let size = size.unwrap_or(i64::MAX);
    let by_name: std::collections::HashMap<_, _> = held.into_iter().collect();
    for index in 0..size {
        budget.visits(1)?;
        let name = index.to_string();
        let Some(object) = by_name.get(&*name) else { break };
        line(scope, &name, *object, &|tensor| format!("torch.{}", tensor.dtype), out, budget)?;
    }
    Ok(())
}

/// Source: `ParameterDict.extra_repr`.
pub(super) fn parameter_dict(
    scope: &Scope,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    let module = scope.module;
    let keys = module.attribute("_keys").map(|keys| mapping::pairs(keys, budget)).transpose()?;
    let names = match keys.flatten() {
        Some(keys) => keys.into_iter().map(|(key, _)| super::super::name_of(key)).collect(),
        None => module.parameters(budget)?.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
    };
    let held = module.parameters(budget)?.into_iter().chain(module.attributes(budget)?);
    let by_name: std::collections::HashMap<_, _> = held.collect();
    for name in names {
        budget.visits(1)?;
        if let Some(object) = by_name.get(&name) {
            line(scope, &name, *object, &type_name, out, budget)?;
        }
    }
    Ok(())
}

/// One entry of a list or dict of parameters.
fn line<'graph>(
    scope: &Scope<'_, 'graph>,
    name: &str,
    object: Object<'graph>,
    kind: &dyn Fn(&TensorSummary) -> String,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    budget.memory(64)?;
    if !out.is_empty() {
        out.push('\n');
    }
    let text = match scope.tensors.describe(object) {
        Some(tensor) => {
            let role = if tensor.parameter { "Parameter" } else { "Tensor" };
            let sizes = tensor.shape.iter().flatten().map(ToString::to_string);
            let sizes = sizes.collect::<Vec<_>>().join("x");
            let cuda = tensor.device.starts_with("cuda");
            let device = if cuda { format!(" ({})", tensor.device) } else { String::new() };
            format!("{role} containing: [{} of size {sizes}{device}]", kind(&tensor))
        }
        None => format!("Object of type: {}", python_type(object)),
    };
    let _ = write!(out, "  ({name}): {text}");
    Ok(())
}

/// `torch.typename(tensor)`.
fn type_name(tensor: &TensorSummary) -> String {
    let name = match &*tensor.dtype {
        "float64" => "Double",
        "float32" => "Float",
        "float16" => "Half",
        "bfloat16" => "BFloat16",
        "int64" => "Long",
        "int32" => "Int",
        "int16" => "Short",
        "int8" => "Char",
        "uint8" => "Byte",
        "bool" => "Bool",
        "complex64" => "ComplexFloat",
        "complex128" => "ComplexDouble",
        other => other,
    };
    let cuda = if tensor.device.starts_with("cuda") { "cuda." } else { "" };
    format!("torch.{cuda}{name}Tensor")
}

/// `type(object).__name__`.
fn python_type(object: Object) -> String {
    match object.value() {
        Value::None => String::from("NoneType"),
        Value::Recipe(recipe) => Class::of(recipe).name().to_owned(),
        _ => object.kind().to_owned(),
    }
}

/// Source: `extra_repr` of torchvision's `transforms.v2.Transform`: every public attribute
/// of a plain type.
pub(super) fn settings(
    scope: &Scope,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    for (name, object) in scope.module.attributes(budget)? {
        let plain = match object.value() {
            Value::Bool(_)
            | Value::Int(_)
            | Value::BigInt(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Tuple(_)
            | Value::List(_) => true,
            Value::Recipe(recipe) => Class::of(recipe).name() == "InterpolationMode",
            _ => false,
        };
        if plain && !name.starts_with('_') {
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(&name);
            out.push('=');
            scope.show(object, false, out, budget)?;
        }
    }
    Ok(())
}

/// Source: `timm.layers.DropPath.extra_repr`, `round(p, 3):0.3f`.
pub(super) fn drop_path(
    scope: &Scope,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    budget.visits(1)?;
    let Some(object) = scope.module.attribute("drop_prob") else { return Ok(()) };
    let _ = match object.value() {
        Value::Float(value) => write!(out, "drop_prob={value:.3}"),
        Value::Int(value) => write!(out, "drop_prob={value}.000"),
        _ => write!(out, "drop_prob=<no number>"),
    };
    Ok(())
}

/// Source: `RearrangeMixin.__repr__` and `ReduceMixin.__repr__` of einops.
pub(super) fn einops(scope: &Scope, out: &mut String, budget: &mut Budget) -> Result<(), Exceeded> {
    scope.expand("{class}({pattern!r}", out, budget)?;
    if scope.name == "Reduce" {
        scope.expand(", {reduction!r}", out, budget)?;
    }
    let axes = scope.module.attribute("axes_lengths");
    let axes = axes.map(|axes| mapping::pairs(axes, budget)).transpose()?.flatten();
    for (axis, length) in axes.unwrap_or_default() {
        out.push_str(", ");
        out.push_str(&super::super::name_of(axis));
        out.push('=');
        scope.show(length, false, out, budget)?;
    }
    out.push(')');
    Ok(())
}

/// Source: `torch_geometric.nn.models.MLP.__repr__`, `str(self.channel_list)[1:-1]`.
pub(super) fn channels(
    scope: &Scope,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    let mut list = String::new();
    scope.expand("{channel_list}", &mut list, budget)?;
    let inner = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    out.push_str(&[scope.name, "(", inner.unwrap_or(&list), ")"].concat());
    Ok(())
}
