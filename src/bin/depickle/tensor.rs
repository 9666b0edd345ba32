//! How a tensor is written.

use depickle::torch::{Role, Storage, Tensor, TensorRef};
use serde_json::{Map, Value, json};

/// A tensor as in `ls --json`.
pub(crate) fn json(name: &str, tensor: TensorRef, role: Option<Role>) -> Value {
    let fields = fields(&tensor, tensor.backing());
    let mut json = Map::from_iter([("name".to_owned(), json!(name))]);
    for (key, value) in fields.as_object().into_iter().flatten() {
        if key == "nbytes" {
            json.insert("role".to_owned(), json!(role.map(Role::name)));
        }
        json.insert(key.clone(), value.clone());
    }
    Value::Object(json)
}

/// A tensor without name and role.
pub(crate) fn fields(tensor: &Tensor, storage: &Storage) -> Value {
    json!({
        "dtype": tensor.dtype().name(),
        "shape": tensor.shape(),
        "stride": tensor.stride(),
        "storage_offset": tensor.storage_offset(),
        "layout": "strided",
        "device": storage.device(),
        "requires_grad": tensor.requires_grad(),
        "nbytes": tensor.nbytes(),
        "storage": { "key": storage.key(), "nbytes": storage.nbytes() },
    })
}

/// Sizes or strides, as Python prints a list.
pub(crate) fn list(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
