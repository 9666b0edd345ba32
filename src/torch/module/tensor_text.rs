//! `repr` of small tensors, which observers and quantizers print among their attributes.
//!
//! Source: `torch/_tensor_str.py` of PyTorch 2.15, with its default options.

use super::TensorSummary;

/// Values of a tensor, as PyTorch tells them apart when it prints them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Of any floating-point type.
    Floats(Vec<f64>),
    /// Of any integer type.
    Ints(Vec<i64>),
    /// Of `torch.bool`.
    Bools(Vec<bool>),
}

/// Elements up to which PyTorch prints all of them.
const THRESHOLD: u64 = 1_000;
/// Elements it prints at each end of longer vectors.
const EDGE: usize = 3;

/// `repr(tensor)` of a dense tensor; `None` if its shape or length is one not printed here
/// (more than one dimension and over 1,000 elements), or the values are not as many as
/// [`Tensors::values`](super::Tensors::values) says.
#[must_use]
pub(super) fn tensor_repr(tensor: &TensorSummary, values: &Values) -> Option<String> {
    let shape = tensor.shape.as_deref()?;
    let numel = tensor.numel()?;
    let mut texts = match values {
        Values::Floats(values) => floats(values),
        Values::Ints(values) => aligned(values.iter().map(ToString::to_string).collect()),
        Values::Bools(values) => {
            aligned(values.iter().map(|value| bool_text(*value).to_owned()).collect())
        }
    };
    if numel > THRESHOLD && shape.len() == 1 && texts.len() == EDGE.saturating_mul(2) {
        texts.insert(EDGE, String::from(" ..."));
    } else if numel > THRESHOLD || texts.len() as u64 != numel {
        return None;
    }
    let body = if texts.is_empty() { String::from("[]") } else { laid_out(shape, &texts) };
    let repr = with_suffixes(format!("tensor({body}"), &suffixes(tensor, numel == 0));
    Some(if tensor.parameter { format!("Parameter containing:\n{repr}") } else { repr })
}

/// `format(tensor)`: a tensor without dimensions shows as its number.
#[must_use]
pub(super) fn tensor_format(tensor: &TensorSummary, values: &Values) -> Option<String> {
    if tensor.shape.as_deref() != Some(&[]) {
        return tensor_repr(tensor, values);
    }
    match values {
        Values::Floats(values) => values.first().copied().map(crate::python::literal::float),
        Values::Ints(values) => values.first().map(ToString::to_string),
        Values::Bools(values) => values.first().map(|value| bool_text(*value).to_owned()),
    }
}

/// `repr` of a tensor on the meta device, which has no values.
#[must_use]
pub(super) fn meta_repr(tensor: &TensorSummary) -> String {
    let sizes: Vec<String> = tensor.shape.iter().flatten().map(ToString::to_string).collect();
    let comma = if sizes.len() == 1 { "," } else { "" };
    let mut suffixes =
        vec![String::from("device='meta'"), format!("size=({}{comma})", sizes.join(", "))];
    if tensor.dtype != "float32" {
        suffixes.push(format!("dtype=torch.{}", tensor.dtype));
    }
    if tensor.requires_grad {
        suffixes.push(String::from("requires_grad=True"));
    }
    let repr = with_suffixes(String::from("tensor(..."), &suffixes);
    if tensor.parameter { format!("Parameter containing:\n{repr}") } else { repr }
}

fn bool_text(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// What is said behind the values: whatever is not PyTorch's default.
fn suffixes(tensor: &TensorSummary, empty: bool) -> Vec<String> {
    let mut out = Vec::new();
    if tensor.device != "cpu" {
        out.push(format!("device='{}'", tensor.device));
    }
    let shape = tensor.shape.as_deref().unwrap_or_default();
    if empty && shape.len() != 1 {
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        out.push(format!("size=({})", sizes.join(", ")));
    }
    let default = match &*tensor.dtype {
        "float32" => true,
        "int64" | "bool" => !empty,
        _ => false,
    };
    if !default {
        out.push(format!("dtype=torch.{}", tensor.dtype));
    }
    if tensor.requires_grad {
        out.push(String::from("requires_grad=True"));
    }
    out
}

/// Source: `_add_suffixes`.
fn with_suffixes(mut text: String, suffixes: &[String]) -> String {
    // PyTorch counts two beyond the newline.
    let last = text.rsplit('\n').next().map_or(0, str::len);
    let mut line = last.saturating_add(2);
    for suffix in suffixes {
        let longer = line.saturating_add(suffix.len()).saturating_add(2);
        if longer > LINE {
            text.push_str(",\n       ");
            line = PREFIX.saturating_add(suffix.len());
        } else {
            text.push_str(", ");
            line = longer;
        }
        text.push_str(suffix);
    }
    text.push(')');
    text
}

/// Columns that PyTorch fills.
const LINE: usize = 80;
/// Length of `tensor(`.
const PREFIX: usize = 7;

/// Rows in brackets.
fn laid_out(shape: &[u64], texts: &[String]) -> String {
    let Some((&columns, outer)) = shape.split_last() else {
        return texts.first().cloned().unwrap_or_default();
    };
    let indent = PREFIX.saturating_add(outer.len());
    let width = texts.first().map_or(1, String::len).saturating_add(2);
    let in_line = (LINE.saturating_sub(indent).checked_div(width)).unwrap_or(1).max(1);
    let columns = match outer {
        [] => texts.len(),
        _ => usize::try_from(columns).unwrap_or(usize::MAX),
    };
    let broken = format!(",\n{}", " ".repeat(indent.saturating_add(1)));
    let mut out = "[".repeat(shape.len());
    for (row, values) in texts.chunks(columns.max(1)).enumerate() {
        if row > 0 {
            let closed = closed_before(outer, row as u64);
            out.push_str(&"]".repeat(closed));
            out.push(',');
            out.push_str(&"\n".repeat(closed));
            let open = shape.len().saturating_sub(closed);
            out.push_str(&" ".repeat(PREFIX.saturating_add(open)));
            out.push_str(&"[".repeat(closed));
        }
        let lines: Vec<String> = values.chunks(in_line).map(|line| line.join(", ")).collect();
        out.push_str(&lines.join(&broken));
    }
    out.push_str(&"]".repeat(shape.len()));
    out
}

/// How many brackets close before the `row`th row of the last dimension.
fn closed_before(outer: &[u64], row: u64) -> usize {
    let mut left = row;
    let mut closed = 1_usize;
    for &size in outer.iter().skip(1).rev() {
        if left.checked_rem(size) != Some(0) {
            break;
        }
        left = left.checked_div(size).unwrap_or(0);
        closed = closed.saturating_add(1);
    }
    closed
}

/// Right-aligned to the longest.
fn aligned(texts: Vec<String>) -> Vec<String> {
    let width = texts.iter().map(String::len).max().unwrap_or(1);
    texts.into_iter().map(|text| format!("{text:>width$}")).collect()
}

/// Source: `_Formatter`.
fn floats(values: &[f64]) -> Vec<String> {
    let mut finite = values.iter().filter(|value| value.is_finite() && **value != 0.0).peekable();
    let any = finite.peek().is_some();
    let mut range = (f64::INFINITY, 0.0_f64);
    let mut whole = true;
    for value in finite {
        range = (range.0.min(value.abs()), range.1.max(value.abs()));
        whole &= value.fract() == 0.0;
    }
    let scientific = any && (range.1 / range.0 > 1000.0 || range.1 > 1e8 || range.0 < 1e-4);
    let format = |value: f64| {
        if scientific {
            return exponent(value);
        }
        if !whole {
            return not_finite(value).unwrap_or_else(|| format!("{value:.4}"));
        }
        not_finite(value).unwrap_or_else(|| format!("{value:.0}."))
    };
    // Only finite values other than 0 count for the width.
    let counted = values.iter().filter(|value| value.is_finite() && **value != 0.0);
    let width = counted.map(|&value| format(value).len()).max().unwrap_or(1);
    values.iter().map(|&value| format!("{:>width$}", format(value))).collect()
}

fn not_finite(value: f64) -> Option<String> {
    (!value.is_finite()).then(|| crate::python::literal::float(value))
}

/// Python's `{:.4e}`.
fn exponent(value: f64) -> String {
    if let Some(text) = not_finite(value) {
        return text;
    }
    let text = format!("{value:.4e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(shape: &[u64], values: &Values, dtype: &str) -> String {
        let tensor = TensorSummary {
            dtype: dtype.to_owned(),
            shape: Some(shape.to_vec()),
            device: String::from("cpu"),
            requires_grad: false,
            parameter: false,
            qscheme: None,
        };
        tensor_repr(&tensor, values).unwrap()
    }

    /// Each as PyTorch 2.15 shows it.
    #[test]
    fn tensors_as_pytorch_prints_them() {
        let floats = |values: &[f64]| Values::Floats(values.to_vec());
        let ints = |values: &[i64]| Values::Ints(values.to_vec());
        assert_eq!(show(&[1], &floats(&[1.0]), "float32"), "tensor([1.])");
        assert_eq!(show(&[], &floats(&[f64::INFINITY]), "float32"), "tensor(inf)");
        assert_eq!(show(&[1], &ints(&[0]), "int32"), "tensor([0], dtype=torch.int32)");
        assert_eq!(show(&[0], &floats(&[]), "float32"), "tensor([])");
        assert_eq!(show(&[0], &ints(&[]), "int64"), "tensor([], dtype=torch.int64)");
        assert_eq!(show(&[2], &floats(&[0.5, -1.25]), "float32"), "tensor([ 0.5000, -1.2500])");
        assert_eq!(
            show(&[2], &floats(&[1e-5, 1.0]), "float32"),
            "tensor([1.0000e-05, 1.0000e+00])"
        );
        assert_eq!(
            show(&[2, 2], &ints(&[1, 2, 3, 40]), "int64"),
            "tensor([[ 1,  2],\n        [ 3, 40]])"
        );
        let cube = "tensor([[[0],\n         [1]],\n\n        [[2],\n         [3]]])";
        assert_eq!(show(&[2, 2, 1], &ints(&[0, 1, 2, 3]), "int64"), cube);
        assert_eq!(show(&[2], &Values::Bools(vec![true, false]), "bool"), "tensor([ True, False])");
        let long = show(&[2000], &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), "float32");
        assert_eq!(long, "tensor([1., 2., 3.,  ..., 4., 5., 6.])");
    }
}
