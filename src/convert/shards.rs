//! Files of limited size, and the index that says which tensor is in which.
//!
//! Source: huggingface_hub 2.4 `serialization/_base.py` (`split_state_dict_into_shards_factory`),
//! `_torch.py` (`save_torch_state_dict`).

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Which tensors each file holds, by their sizes in order. One larger than `most` has a file of its
/// own; otherwise a file is full where the next tensor would exceed it.
pub(crate) fn split(sizes: &[u64], most: Option<u64>) -> Vec<Vec<usize>> {
    let Some(most) = most else { return vec![(0..sizes.len()).collect()] };
    let (mut files, mut current, mut filled) = (Vec::new(), Vec::new(), 0_u64);
    for (index, &size) in sizes.iter().enumerate() {
        if size > most {
            files.push(vec![index]);
            continue;
        }
        if filled.saturating_add(size) > most {
            files.push(std::mem::take(&mut current));
            filled = 0;
        }
        current.push(index);
        filled = filled.saturating_add(size);
    }
    if !current.is_empty() || files.is_empty() {
        files.push(current);
    }
    files
}

/// `model.safetensors` → `model-00001-of-00003.safetensors`, counted from 0.
pub(crate) fn name(path: &Path, index: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let number = index.saturating_add(1);
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number:05}-of-{count:05}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `model.safetensors` → `model.safetensors.index.json`.
pub(crate) fn index_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(".index.json");
    path.with_file_name(name)
}

/// The index, as Python's `json.dump(…, indent=2)` writes it.
pub(crate) fn index<'plan>(
    total: u64,
    metadata: &[(String, String)],
    tensors: impl Iterator<Item = (&'plan str, String)>,
) -> String {
    let mut about = json!({ "total_size": total });
    for (key, value) in metadata {
        if let Some(about) = about.as_object_mut() {
            about.entry(key.as_str()).or_insert_with(|| json!(value));
        }
    }
    let map = tensors.map(|(name, file)| (name.to_owned(), Value::String(file)));
    let map = Value::Object(map.collect());
    let json = json!({ "metadata": about, "weight_map": map });
    ascii(&serde_json::to_string_pretty(&json).unwrap_or_default())
}

/// JSON in which every character beyond ASCII is escaped, as Python does.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for char in json.chars() {
        // Python escapes DEL no more than serde does.
        if char.is_ascii() {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut units) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_go_where_the_hub_puts_them() {
        // The example of the Hub's documentation.
        assert_eq!(split(&[6, 6, 2, 6, 2, 2], Some(10)), [vec![0], vec![1, 2], vec![3, 4, 5]]);
        // A large one goes into a file of its own before what was begun.
        assert_eq!(split(&[3, 20, 3, 8], Some(10)), [vec![1], vec![0, 2], vec![3]]);
        assert_eq!(split(&[20, 1], Some(10)), [vec![0], vec![1]]);
        assert_eq!(split(&[], Some(10)), [Vec::<usize>::new()]);
        assert_eq!(split(&[1, 2, 3], None), [vec![0, 1, 2]]);
        assert_eq!(split(&[0, 0], Some(0)), [vec![0, 1]]);
    }

    #[test]
    fn names_are_the_hub_s() {
        let path = Path::new("out/model.v2.safetensors");
        assert_eq!(name(path, 0, 12), Path::new("out/model.v2-00001-of-00012.safetensors"));
        assert_eq!(name(path, 0, 1), path);
        assert_eq!(index_name(path), Path::new("out/model.v2.safetensors.index.json"));
    }

    #[test]
    fn the_index_is_json_as_python_writes_it() {
        let tensors = [("é\u{1f600}", "a".to_owned()), ("b\"", "c".to_owned())];
        let text = index(7, &[("x".to_owned(), "y".to_owned())], tensors.into_iter());
        let want = "{\n  \"metadata\": {\n    \"total_size\": 7,\n    \"x\": \"y\"\n  },\n  \
            \"weight_map\": {\n    \"\\u00e9\\ud83d\\ude00\": \"a\",\n    \"b\\\"\": \"c\"\n  }\n}";
        assert_eq!(text, want);
    }
}
