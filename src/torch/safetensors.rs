//! Safetensors: names → tensors as raw bytes, described in a JSON header.
//!
//! The root is a dict in the order of the data, each tensor spelled as `torch.save` would; the
//! header's `__metadata__` stand beside it. The header is held to what the format demands:
//! tensors lie one behind the other, without holes or overlaps, up to the end of the file, each of
//! as many bytes as its sizes and type take. Of a file that ends before, the tensors that are there
//! can be read.
//!
//! Source: safetensors 0.8 `src/tensor.rs` (`read_metadata`, `Metadata::validate`, `Dtype`),
//! `bindings/python/py_src/safetensors/torch.py` (`_TYPES`).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::DType;
use super::checkpoint::{Checkpoint, Options};
use super::error::{Error, Kind};
use super::open::Opened;
use super::origin::{Layout, Origin, Runs};
use super::sniff::Container;
use super::spell::{Spelled, SpelledStorage, row_major};
use super::storage::StandIns;
use crate::base::{Budget, FileOffset, Source};
use crate::container::Extent;
use crate::pickle::{BuildError, Dict, GraphBuilder, NodeId};

/// The longest header that readers take (bytes).
pub(crate) const MOST_HEADER: u64 = 100_000_000;
/// Bytes that say how long the header is.
pub(crate) const LENGTH: u64 = 8;
/// What the header calls the texts that are about the file.
pub(crate) const METADATA: &str = "__metadata__";

/// Memory for each byte of a header, at most: sizes are a digit and a comma each.
const UNFOLDED: u64 = 16;

/// A type as the format names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub name: &'static str,
    /// Bits of one element.
    bits: u64,
    /// What PyTorch has for it.
    dtype: Option<DType>,
}

macro_rules! rows {
    ($($name:literal $bits:literal $dtype:expr;)*) => {
        &[$(Row { name: $name, bits: $bits, dtype: $dtype }),*]
    };
}

/// In the order in which writers put tensors: last come first.
pub(crate) const ROWS: &[Row] = rows! {
    "BOOL" 8 Some(DType::Bool);
    "F4" 4 Some(DType::Float4E2M1FnX2);
    "F6_E2M3" 6 None;
    "F6_E3M2" 6 None;
    "U8" 8 Some(DType::UInt8);
    "I8" 8 Some(DType::Int8);
    "F8_E5M2" 8 Some(DType::Float8E5M2);
    "F8_E4M3" 8 Some(DType::Float8E4M3Fn);
    "F8_E8M0" 8 Some(DType::Float8E8M0Fnu);
    "F8_E4M3FNUZ" 8 Some(DType::Float8E4M3Fnuz);
    "F8_E5M2FNUZ" 8 Some(DType::Float8E5M2Fnuz);
    "I16" 16 Some(DType::Int16);
    "U16" 16 Some(DType::UInt16);
    "F16" 16 Some(DType::Float16);
    "BF16" 16 Some(DType::BFloat16);
    "I32" 32 Some(DType::Int32);
    "U32" 32 Some(DType::UInt32);
    "F32" 32 Some(DType::Float32);
    "C64" 64 Some(DType::Complex64);
    "F64" 64 Some(DType::Float64);
    "I64" 64 Some(DType::Int64);
    "U64" 64 Some(DType::UInt64);
};

impl DType {
    /// The name of this type in safetensors files, if they have it.
    ///
    /// ```
    /// use depickle::torch::DType;
    ///
    /// assert_eq!(DType::BFloat16.safetensors_name(), Some("BF16"));
    /// assert_eq!(DType::Complex128.safetensors_name(), None);
    /// ```
    #[must_use]
    pub fn safetensors_name(self) -> Option<&'static str> {
        ROWS.iter().find(|row| row.dtype == Some(self)).map(|row| row.name)
    }
}

/// Whether a file begins as one: the length of a header, and its brace.
pub(crate) fn starts_here(source: &dyn Source) -> std::io::Result<bool> {
    let mut head = [0; 10];
    if source.len() < head.len() as u64 {
        return Ok(false);
    }
    source.read_at(0, &mut head)?;
    let [len @ .., brace, next] = head;
    let len = u64::from_le_bytes(len);
    let json = brace == b'{' && (matches!(next, b'"' | b'}') || next.is_ascii_whitespace());
    // Text has no such bytes, nor has a pickle that announces its protocol.
    Ok(json && u32::try_from(len).is_ok())
}

/// Opens such a file.
pub(crate) fn open(
    source: Arc<dyn Source>,
    _: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let (header, data) = Header::read(&*source, budget)?;
    let mut build = GraphBuilder::new(budget);
    let mut places = HashMap::new();
    let mut pairs = Vec::with_capacity(header.tensors.len());
    for (name, info) in header.tensors {
        let at = data.plus(info.start);
        let there = info.nbytes().min(source.len().saturating_sub(at.0));
        let key = build.text(&name)?;
        pairs.push((key, info.build(&name, &mut build)?));
        places.insert(name, Extent { at, len: there });
    }
    let root = build.dict(&pairs)?;
    let mut others = Vec::new();
    if let Some(metadata) = header.metadata {
        let mut pairs = Vec::with_capacity(metadata.len());
        for (key, value) in metadata {
            pairs.push((build.text(&key)?, build.text(&value)?));
        }
        others.push((METADATA.into(), build.dict(&pairs)?));
    }
    let graph = build.finish(root);
    let layout = Layout::Runs(Runs { places, ..Runs::default() });
    let part = Origin::new(source, layout, 0..graph.len());
    let (parts, stand_ins) = (vec![part], StandIns::new());
    Ok(Opened { container: Container::Safetensors, graph, parts, stand_ins, others })
}

impl Checkpoint {
    /// The texts that a safetensors file holds about itself, by key; of other files none.
    #[must_use]
    pub fn metadata(&self) -> Vec<(&str, &str)> {
        let of_file =
            |&(name, _): &(&str, _)| name == METADATA && self.container() == Container::Safetensors;
        let dict = self.others().find(of_file).and_then(|(_, object)| object.as_dict());
        let pairs = dict.into_iter().flat_map(Dict::iter);
        pairs.filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?))).collect()
    }
}

/// The header, proven: tensors in the order of their data, one behind the other.
#[derive(Debug)]
struct Header {
    metadata: Option<Vec<(Box<str>, Box<str>)>>,
    tensors: Vec<(Box<str>, Info)>,
}

/// What it says of one tensor. Places are bytes behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Info {
    dtype: Box<str>,
    shape: Vec<u64>,
    start: u64,
    end: u64,
}

fn bad(why: impl Into<Box<str>>) -> Error {
    Error::new(Kind::Safetensors(why.into()))
}

impl Header {
    /// The header of a file, and where the data begin.
    fn read(source: &dyn Source, budget: &mut Budget) -> Result<(Self, FileOffset), Error> {
        let mut len = 0_u64.to_le_bytes();
        source.read_at(0, &mut len)?;
        let len = u64::from_le_bytes(len);
        if len > MOST_HEADER {
            return Err(bad(format!("its header of {len} bytes is above {MOST_HEADER}")));
        }
        let data = LENGTH.saturating_add(len);
        if data > source.len() {
            let has = source.len();
            return Err(bad(format!(
                "its header should end at byte {data}, but the file has {has}: get it again"
            )));
        }
        budget.memory(len.saturating_mul(UNFOLDED))?;
        let text = source.fetch(LENGTH, len)?;
        let parsed: Self = serde_json::from_slice(&text).map_err(|why| bad(why.to_string()))?;
        let end = parsed.check()?;
        let end = data.checked_add(end).ok_or_else(|| bad("its size exceeds 64 bits"))?;
        if end < source.len() {
            return Err(bad(format!(
                "its last tensor ends at byte {end}, but the file has {}: what follows is \
                 described by nothing",
                source.len()
            )));
        }
        Ok((parsed, FileOffset(data)))
    }

    /// Proves that tensors lie one behind the other, and gives where the last one ends.
    fn check(&self) -> Result<u64, Error> {
        let mut names = HashSet::with_capacity(self.tensors.len());
        let mut expected = 0;
        for (name, info) in &self.tensors {
            let named = |why: Error| why.in_tensor(name);
            if !names.insert(name) {
                return Err(named(bad("the header names it twice")));
            }
            info.check().map_err(named)?;
            if info.start != expected {
                let what = if info.start < expected { "overlap" } else { "leave a hole" };
                return Err(named(bad(format!(
                    "its data begin at byte {} and {what}: those before end at {expected}",
                    info.start
                ))));
            }
            expected = info.end;
        }
        Ok(expected)
    }
}

impl Info {
    const fn nbytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn row(&self) -> Option<&'static Row> {
        ROWS.iter().find(|row| *row.name == *self.dtype)
    }

    fn check(&self) -> Result<(), Error> {
        let (start, end) = (self.start, self.end);
        if start > end {
            return Err(bad(format!("its data end at byte {end}, before they begin at {start}")));
        }
        let unknown = || bad(format!("{:?} is no type of the format", self.dtype));
        let row = self.row().ok_or_else(unknown)?;
        let bits = self.shape.iter().try_fold(row.bits, |bits, &size| bits.checked_mul(size));
        let bits = bits.ok_or_else(|| bad("its size exceeds 64 bits"))?;
        if !bits.is_multiple_of(8) {
            return Err(bad("its last element ends within a byte"));
        }
        let (needs, has) = (bits / 8, self.nbytes());
        if needs != has {
            return Err(bad(format!(
                "{} elements of {:?} take {needs} bytes, but it has {has}",
                self.dtype, self.shape
            )));
        }
        Ok(())
    }

    /// As PyTorch would describe it. What it has no type for becomes a tensor that says so when
    /// it is looked at.
    fn build(&self, name: &str, build: &mut GraphBuilder) -> Result<NodeId, BuildError> {
        let mut shape = self.shape.clone();
        let dtype = match self.row().and_then(|row| row.dtype) {
            // PyTorch counts bytes, of two elements each.
            Some(DType::Float4E2M1FnX2) => match shape.last_mut() {
                Some(last) if last.is_multiple_of(2) => {
                    *last /= 2;
                    Some(DType::Float4E2M1FnX2)
                }
                _ => None,
            },
            known => known,
        };
        let numel = dtype.and_then(|dtype| self.nbytes().checked_div(dtype.width()));
        let storage = SpelledStorage {
            key: name.into(),
            device: "cpu".into(),
            dtype: dtype.unwrap_or(DType::UInt8),
            numel: numel.unwrap_or(self.nbytes()),
            piece: None,
        };
        let stride = row_major(&shape).unwrap_or_default();
        let Some(dtype) = dtype else {
            return Spelled::unknown(&storage, &self.dtype, &shape, build);
        };
        let (offset, requires_grad, is_parameter) = (0, false, false);
        Spelled { storage, dtype, offset, shape, stride, requires_grad, is_parameter }.build(build)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Headers)
    }
}

struct Headers;

impl<'de> Visitor<'de> for Headers {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("names and what is said of each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { metadata: None, tensors: Vec::new() };
        let mut told = false;
        while let Some(name) = map.next_key::<Box<str>>()? {
            if *name == *METADATA {
                if std::mem::replace(&mut told, true) {
                    return Err(A::Error::custom("`__metadata__` stand there twice"));
                }
                header.metadata = map.next_value::<Option<Texts>>()?.map(|texts| texts.0);
            } else {
                let info = map.next_value();
                let named = |why| A::Error::custom(format!("tensor {name:?}: {why}"));
                let info = info.map_err(named)?;
                header.tensors.push((name, info));
            }
        }
        header.tensors.sort_by_key(|(_, info)| (info.start, info.end));
        Ok(header)
    }
}

/// Texts by key, each key once.
struct Texts(Vec<(Box<str>, Box<str>)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("texts by key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let (mut pairs, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = map.next_entry::<Box<str>, Box<str>>()? {
                    if !seen.insert(key.clone()) {
                        let why = format!("`__metadata__` have the key {key:?} twice");
                        return Err(A::Error::custom(why));
                    }
                    pairs.push((key, value));
                }
                Ok(Texts(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Info {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Infos)
    }
}

struct Infos;

impl<'de> Visitor<'de> for Infos {
    type Value = Info;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Info, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(field) = map.next_key::<Box<str>>()? {
            let twice = match &*field {
                "dtype" => dtype.replace(map.next_value()?).is_some(),
                "shape" => shape.replace(map.next_value()?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<[u64; 2]>()?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if twice {
                return Err(A::Error::custom(format!("`{field}` stands there twice")));
            }
        }
        let missing = |field| A::Error::custom(format!("`{field}` is missing"));
        let [start, end] = offsets.ok_or_else(|| missing("data_offsets"))?;
        Ok(Info {
            dtype: dtype.ok_or_else(|| missing("dtype"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            start,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_crate_s_order_and_no_type_twice() {
        let dtypes: Vec<DType> = ROWS.iter().filter_map(|row| row.dtype).collect();
        let distinct: HashSet<DType> = dtypes.iter().copied().collect();
        assert_eq!((ROWS.len(), distinct.len()), (22, dtypes.len()));
        for row in ROWS {
            let Some(dtype) = row.dtype else { continue };
            assert_eq!(dtype.safetensors_name(), Some(row.name));
            assert_eq!(dtype.width() * 8, row.bits * dtype.values_per_byte(), "{}", row.name);
        }
        assert!(ROWS.iter().map(|row| row.bits).skip_while(|bits| *bits < 16).is_sorted());
    }
}
