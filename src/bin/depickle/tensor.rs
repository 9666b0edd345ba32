//! How a tensor is written.

use std::fmt::Write;

use depickle::Budget;
use depickle::torch::{
    Checkpoint, Error, Layout, Numbers, Part, Quantizer, Role, Tensor, TensorRef,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::progress::Progress;

/// A tensor with what was found of its data.
pub(crate) struct Shown<'file> {
    pub tensor: TensorRef<'file>,
    /// Of the contiguous bytes, if it has elements in a row.
    pub sha256: Option<String>,
    pub parts: Vec<ShownPart>,
}

/// A part of a tensor.
pub(crate) struct ShownPart {
    pub part: Part,
    pub sha256: Option<String>,
    pub parts: Vec<ShownPart>,
}

/// Parts of parts that are looked into: a wrapper of a wrapper of a sparse tensor.
const DEEPEST: usize = 4;

impl<'file> Shown<'file> {
    /// Looks at a tensor; with `hashing`, also at its data.
    pub(crate) fn new(tensor: TensorRef<'file>, hashing: Option<&Progress>) -> Result<Self, Error> {
        let budget = &mut Budget::new(tensor.checkpoint().limits().clone());
        let sha256 = hashing.map_or(Ok(None), |progress| hash(tensor, progress))?;
        let parts = parts(tensor, hashing, budget, DEEPEST)?;
        Ok(Self { tensor, sha256, parts })
    }

    /// As in `ls --json`.
    pub(crate) fn json(&self, name: &str, role: Option<Role>) -> Value {
        let tensor = self.tensor;
        let fields = fields(tensor.checkpoint(), &tensor, self.sha256.as_deref(), &self.parts);
        let mut json = Map::from_iter([("name".to_owned(), json!(name))]);
        for (key, value) in fields {
            if key == "nbytes" {
                json.insert("role".to_owned(), json!(role.map(Role::name)));
            }
            json.insert(key, value);
        }
        Value::Object(json)
    }
}

fn parts(
    tensor: TensorRef,
    hashing: Option<&Progress>,
    budget: &mut Budget,
    left: usize,
) -> Result<Vec<ShownPart>, Error> {
    let mut shown = Vec::new();
    for part in tensor.checkpoint().parts(&tensor) {
        budget.visits(1)?;
        let (mut sha256, mut inner) = (None, Vec::new());
        if let Ok(view) = &part.tensor {
            let view = tensor.part(view);
            sha256 = hashing.map_or(Ok(None), |progress| hash(view, progress))?;
            if left > 0 {
                inner = parts(view, hashing, budget, left.saturating_sub(1))?;
            }
        }
        shown.push(ShownPart { part, sha256, parts: inner });
    }
    Ok(shown)
}

/// SHA-256 of the contiguous, row-major, little-endian bytes, of layouts of one part; of others,
/// only whether what the file says of them holds.
fn hash(tensor: TensorRef, progress: &Progress) -> Result<Option<String>, Error> {
    tensor.validate()?;
    if tensor.layout() != Layout::Strided {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    tensor.for_each_chunk(|chunk| {
        hasher.update(chunk);
        progress.advance(chunk.len() as u64);
        Ok::<(), Error>(())
    })?;
    Ok(Some(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })))
}

/// A tensor without name, role and data.
pub(crate) fn value(checkpoint: &Checkpoint, tensor: &Tensor) -> Value {
    let budget = &mut Budget::new(checkpoint.limits().clone());
    let parts = checkpoint.named("", tensor);
    let parts = self::parts(parts, None, budget, DEEPEST).unwrap_or_default();
    Value::Object(fields(checkpoint, tensor, None, &parts))
}

fn fields(
    checkpoint: &Checkpoint,
    tensor: &Tensor,
    sha256: Option<&str>,
    parts: &[ShownPart],
) -> Map<String, Value> {
    let storage = tensor.storage().map(|storage| checkpoint.storages().get(storage));
    let storage = storage.map(|found| json!({ "key": found.key(), "nbytes": found.nbytes() }));
    let strided = storage.is_some() || matches!(tensor.layout(), Layout::Meta | Layout::Wrapper);
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
    put("dtype", json!(tensor.dtype().name()));
    put("shape", tensor.nested_sizes().map_or(json!(tensor.shape()), |sizes| json!(sizes)));
    put("stride", json!(strided.then_some(tensor.stride())));
    put("storage_offset", json!(strided.then_some(tensor.storage_offset())));
    put("layout", json!(tensor.layout().name()));
    put("device", json!(checkpoint.device_of(tensor)));
    put("requires_grad", json!(tensor.requires_grad()));
    put("nbytes", json!(tensor.nbytes()));
    put("storage", json!(storage));
    let class = tensor.wrapper_class().map(str::to_owned);
    if let Some(class) = class.or_else(|| checkpoint.subclass_of(tensor)) {
        put("class", json!(class));
    }
    if let Some(quantizer) = tensor.quantizer() {
        put("quantizer", self::quantizer(quantizer));
    }
    if let Some(coalesced) = tensor.is_coalesced() {
        put("coalesced", json!(coalesced));
    }
    if !parts.is_empty() {
        let parts = parts.iter().map(|part| (part.part.name.to_string(), part.json(checkpoint)));
        put("parts", Value::Object(parts.collect()));
    }
    if let Some(sha256) = sha256 {
        put("sha256", json!(sha256));
    }
    json
}

impl ShownPart {
    fn json(&self, checkpoint: &Checkpoint) -> Value {
        match &self.part.tensor {
            Ok(tensor) => {
                Value::Object(fields(checkpoint, tensor, self.sha256.as_deref(), &self.parts))
            }
            Err(why) => json!({ "error": why.to_string(), "offset": why.offset().map(|at| at.0) }),
        }
    }
}

fn quantizer(quantizer: &Quantizer) -> Value {
    let mut json = Map::from_iter([("scheme".to_owned(), json!(quantizer.scheme()))]);
    let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
    match quantizer {
        Quantizer::PerTensor { scale, zero_point } => {
            put("scale", json!(scale));
            put("zero_point", json!(zero_point));
        }
        Quantizer::PerChannel { axis, scales, zero_points } => {
            put("axis", json!(axis));
            for (key, numbers) in [("scales", scales), ("zero_points", zero_points)] {
                if let Numbers::Listed(numbers) = numbers {
                    put(key, json!(numbers));
                }
            }
        }
        _ => {}
    }
    Value::Object(json)
}

/// Its dtype, and its layout if that is another than strided.
pub(crate) fn kind(tensor: &Tensor) -> String {
    match tensor.layout() {
        Layout::Strided => tensor.dtype().to_string(),
        layout => format!("{} {}", tensor.dtype(), layout.name()),
    }
}

/// Its sizes, as Python prints a list.
pub(crate) fn shape(tensor: &Tensor) -> String {
    let Some(sizes) = tensor.nested_sizes() else { return list(tensor.shape()) };
    let sizes = sizes.iter().map(|size| size.map_or("?".to_owned(), |size| size.to_string()));
    format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
}

/// Sizes or strides, as Python prints a list.
pub(crate) fn list(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
