//! Headers of safetensors files, byte for byte as the official writer makes them.
//!
//! Source: safetensors 0.8 `src/tensor.rs` (`prepare`).

use serde_json::Value;

use super::error::Error;
use super::plan::Item;
use crate::torch::safetensors::{MOST_HEADER, ROWS};

/// Where a type stands in the order of tensors: those that need most alignment come first.
fn rank(item: &Item) -> usize {
    let name = item.dtype().safetensors_name();
    ROWS.iter().position(|row| Some(row.name) == name).unwrap_or(usize::MAX)
}

/// The order in which a file has its tensors.
pub(crate) fn order(items: &[Item], of: &[usize]) -> Vec<usize> {
    let mut order: Vec<(usize, &Item)> =
        of.iter().filter_map(|&index| Some((index, items.get(index)?))).collect();
    order.sort_by(|(_, a), (_, b)| rank(b).cmp(&rank(a)).then_with(|| a.name().cmp(b.name())));
    order.into_iter().map(|(index, _)| index).collect()
}

/// The length, the header, and the spaces that fill it up to a multiple of 8.
pub(crate) fn header<'plan>(
    items: impl Iterator<Item = &'plan Item>,
    metadata: &[(String, String)],
) -> Result<Vec<u8>, Error> {
    let mut text = String::from("{");
    let quoted = |text: &str| Value::from(text).to_string();
    if !metadata.is_empty() {
        let pairs =
            metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)));
        text.extend(["\"__metadata__\":{", &pairs.collect::<Vec<_>>().join(","), "}"]);
    }
    let mut start = 0_u64;
    for item in items {
        let dtype = item.dtype().safetensors_name().unwrap_or_default();
        let end = start.saturating_add(item.nbytes());
        let shape: Vec<String> = header_shape(item).iter().map(u64::to_string).collect();
        if text.len() > 1 {
            text.push(',');
        }
        let entry = format!(
            "{}:{{\"dtype\":\"{dtype}\",\"shape\":[{}],\"data_offsets\":[{start},{end}]}}",
            quoted(item.name()),
            shape.join(",")
        );
        text.push_str(&entry);
        start = end;
    }
    text.push('}');
    let len = text.len().next_multiple_of(8);
    if len as u64 > MOST_HEADER {
        let why = format!(
            "the names and sizes of so many tensors take {len} bytes, above the {MOST_HEADER} that \
             readers take: write several files with --max-shard-size"
        );
        return Err(Error::usage(why));
    }
    let mut header = (len as u64).to_le_bytes().to_vec();
    header.extend_from_slice(text.as_bytes());
    header.resize(len.saturating_add(8), b' ');
    Ok(header)
}

/// Sizes as the format counts: two elements for each byte of packed types.
fn header_shape(item: &Item) -> Vec<u64> {
    let mut shape = item.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = last.saturating_mul(item.dtype().values_per_byte());
    }
    shape
}
