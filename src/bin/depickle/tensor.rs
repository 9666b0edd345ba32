//! How a tensor is written.

use depickle::torch::{Role, TensorRef};
use serde_json::{Value, json};

/// A tensor as in `ls --json`.
pub fn json(name: &str, tensor: TensorRef, role: Option<Role>) -> Value {
    json!({
        "name": name,
        "dtype": tensor.dtype().name(),
        "shape": tensor.shape(),
        "stride": tensor.stride(),
        "storage_offset": tensor.storage_offset(),
        "layout": "strided",
        "device": tensor.device(),
        "requires_grad": tensor.requires_grad(),
        "role": role.map(Role::name),
        "nbytes": tensor.nbytes(),
        "storage": { "key": tensor.backing().key(), "nbytes": tensor.backing().nbytes() },
    })
}

/// Sizes or strides, as Python prints a list.
pub fn list(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
