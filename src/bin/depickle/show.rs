//! `show`: the saved object, as text or as tagged JSON.

use std::cell::RefCell;

use depickle::Budget;
use depickle::pickle::{Object, Value};
use depickle::python::json::{self, Known};
use depickle::python::numpy::Views;
use depickle::python::show::{Extent, show};
use depickle::torch::Checkpoint;
use serde_json::json;

use crate::args::Show;
use crate::output::{self, Answer, Failure, printable};

pub(crate) fn run(args: &Show) -> Result<Answer, Failure> {
    let checkpoint = args.reading.open_stream(&args.file, args.stream)?;
    let object = args.key.object(&checkpoint)?;
    let mut budget = Budget::new(checkpoint.limits().clone());
    if args.json {
        return output::stdout(|out| {
            json::write(object, &Tensors(&checkpoint), &mut budget, out)
                .map_err(output::json_error)?;
            writeln!(out)
        });
    }
    let mut extent = Extent::default();
    extent = args.depth.map_or(extent, |depth| extent.with_depth(depth));
    extent = args.max_items.map_or(extent, |items| extent.with_items(items));
    let views = RefCell::new(Views::new(Budget::new(checkpoint.limits().clone())));
    let explain = |object| {
        Tensors(&checkpoint).text(object).or_else(|| array(&mut views.borrow_mut(), object))
    };
    let text = show(object, &explain, extent, &mut budget);
    let text = text.map_err(|why| Failure::Other(format!("{}: {why}", args.file.display())))?;
    output::stdout(|out| writeln!(out, "{}", output::lines(&text)))
}

/// An array, scalar or dtype of numpy in one line, unless there is more to see, or it
/// cannot be read: then its parts are shown.
fn array<'graph>(views: &mut Views<'graph>, object: Object<'graph>) -> Option<String> {
    let found = views.any(object)?.ok().filter(|found| !found.has_parts())?;
    Some(printable(&found.to_string()))
}

/// What the checkpoint knows of tensors and storages.
pub(crate) struct Tensors<'file>(pub &'file Checkpoint);

impl Tensors<'_> {
    /// A tensor or storage in one line.
    pub(crate) fn text(&self, object: Object) -> Option<String> {
        if let Some(found) = self.0.view(object) {
            return Some(match found {
                Ok(tensor) => {
                    let what = if tensor.is_parameter() { "Parameter" } else { "Tensor" };
                    let (kind, shape) =
                        (crate::tensor::kind(&tensor), crate::tensor::shape(&tensor));
                    format!("{what}({kind}, {shape})")
                }
                Err(why) => printable(&format!("<unreadable tensor: {why}>")),
            });
        }
        let storage = self.0.storage_of(object)?;
        Some(printable(&format!("<storage {} of {} bytes>", storage.key(), storage.nbytes())))
    }
}

impl<'graph> Known<'graph> for Tensors<'_> {
    fn json(&self, object: Object<'graph>) -> Option<String> {
        if !matches!(object.value(), Value::Recipe(_) | Value::Persistent(_)) {
            return None;
        }
        if let Some(found) = self.0.view(object) {
            let tensor = match found {
                Ok(tensor) => crate::tensor::value(self.0, &tensor),
                Err(why) => {
                    json!({ "error": why.to_string(), "offset": why.offset().map(|at| at.0) })
                }
            };
            return Some(json!({ "$tensor": tensor }).to_string());
        }
        let storage = self.0.storage_of(object)?;
        let dtype = self.0.storage_dtype(object).map(depickle::torch::DType::name);
        let fields = json!({ "dtype": dtype, "key": storage.key(), "nbytes": storage.nbytes() });
        Some(json!({ "$storage": fields }).to_string())
    }
}
