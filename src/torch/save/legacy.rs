//! The layout of before 1.6: five pickles, then each storage behind its count of elements.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_legacy_save`),
//! `torch/csrc/serialization.cpp` (`THPStorage_writeFileRaw`).

use std::io::Write;

use super::plan::Plan;
use crate::base::Budget;
use crate::pickle::{GraphBuilder, NodeId};
use crate::python::names;
use crate::torch::DType;
use crate::torch::error::{Error, Kind};

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const VERSION: &[u8] = b"\x80\x02M\xe9\x03.";
/// `{"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}`
const SYSTEM: &[u8] = b"\x80\x02}q\0(X\x10\0\0\0protocol_versionq\x01M\xe9\x03X\r\0\0\0\
    little_endianq\x02\x88X\n\0\0\0type_sizesq\x03}q\x04(X\x05\0\0\0shortq\x05K\x02X\x03\0\0\0\
    intq\x06K\x04X\x04\0\0\0longq\x07K\x04uu.";

/// Bytes of the whole file.
pub(super) fn len(plan: &Plan) -> u64 {
    let keys = keys(plan).map_or(0, |keys| keys.len() as u64);
    let fixed = [MAGIC, VERSION, SYSTEM, &plan.pickle].map(|part| part.len() as u64);
    let storages = plan.storages.iter().map(|it| it.nbytes().saturating_add(8));
    fixed.into_iter().chain(storages).fold(keys, u64::saturating_add)
}

pub(super) fn write(plan: Plan, mut out: impl Write) -> Result<u64, Error> {
    let keys = keys(&plan)?;
    let mut written = 0_u64;
    let mut put = |bytes: &[u8]| {
        out.write_all(bytes).map_err(|why| Error::new(Kind::Write(why)))?;
        written = written.saturating_add(bytes.len() as u64);
        Ok(())
    };
    for part in [MAGIC, VERSION, SYSTEM, &plan.pickle, &keys] {
        put(part)?;
    }
    let mut buffer = Vec::new();
    let mut storages = plan.storages;
    storages.sort_by(|a, b| a.key.cmp(&b.key));
    for storage in storages {
        let (nbytes, width) = (storage.nbytes(), storage.dtype.map_or(1, DType::width));
        let numel = nbytes.checked_div(width).unwrap_or(0);
        put(&numel.to_le_bytes())?;
        let mut left = nbytes;
        storage.stored.data.pass(&mut buffer, &mut |piece| {
            left = left.saturating_sub(piece.len() as u64);
            put(piece)
        })?;
        if left > 0 {
            return Err(Error::new(Kind::Write(std::io::ErrorKind::UnexpectedEof.into())));
        }
    }
    out.flush().map_err(|why| Error::new(Kind::Write(why)))?;
    Ok(written)
}

/// The pickle of the list of keys.
fn keys(plan: &Plan) -> Result<Vec<u8>, Error> {
    let mut sorted: Vec<&str> = plan.storages.iter().map(|storage| &*storage.key).collect();
    sorted.sort_unstable();
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let keys = sorted.into_iter().map(|key| build.text(key)).collect::<Result<Vec<NodeId>, _>>()?;
    let root = build.list(&keys)?;
    let graph = build.finish(root);
    let root = graph.root().unwrap_or(graph.object(NodeId::NONE));
    let mut budget = Budget::default();
    Ok(names::encoder(2).memoize_all(true).to_vec(root, &mut budget)?)
}
