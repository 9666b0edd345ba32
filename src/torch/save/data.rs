//! Where the bytes of a storage come from, and passing them on.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use crc32fast::Hasher;

use crate::container::{self, Extent, Method};
use crate::torch::DType;
use crate::torch::checkpoint::Checkpoint;
use crate::torch::error::{Error, Kind};
use crate::torch::list::Scope;
use crate::torch::origin::{Layout, Origin, Place};
use crate::torch::read::{CHUNK, TensorRef};
use crate::torch::storage::StorageId;

/// Bytes of a storage in the making: elements in row-major order, little-endian.
///
/// Made from what is in memory, by `From`, or what a [`reader`](Self::reader) will give.
pub struct Data<'run>(pub(super) Held<'run>);

/// Places that bytes come from.
pub(super) enum Held<'run> {
    Shared(Bytes),
    Lent(&'run [u8]),
    Reader {
        reader: Box<dyn Read + 'run>,
        len: u64,
    },
    /// A storage of a file, with the width (bytes) of what is to be turned around in it, if the
    /// file is big-endian.
    Stored {
        checkpoint: &'run Checkpoint,
        id: StorageId,
        swap: usize,
    },
    /// The elements of a view, side by side.
    Elements(TensorRef<'run>),
    /// These as another type.
    Cast(TensorRef<'run>, DType),
}

impl<'run> Data<'run> {
    /// `len` bytes that are asked for when the checkpoint is written, once.
    pub fn reader(len: u64, reader: impl Read + 'run) -> Self {
        Self(Held::Reader { reader: Box::new(reader), len })
    }

    /// A tensor's elements as floats of another type, rounded when they are written: those of
    /// [`for_each_chunk_as`](TensorRef::for_each_chunk_as).
    #[must_use]
    pub const fn cast(tensor: TensorRef<'run>, dtype: DType) -> Self {
        Self(Held::Cast(tensor, dtype))
    }

    /// Bytes in all.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        match &self.0 {
            Held::Shared(bytes) => bytes.len() as u64,
            Held::Lent(bytes) => bytes.len() as u64,
            Held::Reader { len, .. } => *len,
            Held::Stored { checkpoint, id, .. } => checkpoint.storages().get(*id).nbytes(),
            Held::Elements(tensor) => tensor.nbytes(),
            Held::Cast(tensor, dtype) => tensor.numel().saturating_mul(dtype.width()),
        }
    }

    /// Hands the bytes to `sink`, in pieces of at most 1 MiB, through `buffer` where they must be
    /// read. Checksums of the file are compared where it has any.
    pub(super) fn pass(self, buffer: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<(), Error> {
        match self.0 {
            Held::Shared(bytes) => bytes.chunks(CHUNK).try_for_each(sink),
            Held::Lent(bytes) => bytes.chunks(CHUNK).try_for_each(sink),
            Held::Reader { reader, len } => pass_reader(reader, len, buffer, sink),
            Held::Stored { checkpoint, id, swap } => {
                let passed = Stored { checkpoint, id, swap }.pass(buffer, sink);
                passed.map_err(|why| name(why, checkpoint, id))
            }
            Held::Elements(tensor) => tensor.for_each_chunk(sink),
            Held::Cast(tensor, dtype) => tensor.for_each_chunk_as(dtype, sink),
        }
    }
}

/// Takes bytes as they pass.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Error> + 'a;

fn pass_reader(
    mut reader: Box<dyn Read + '_>,
    len: u64,
    buffer: &mut Vec<u8>,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let mut left = len;
    while left > 0 {
        let piece = room(buffer, left);
        reader.read_exact(piece)?;
        left = left.saturating_sub(piece.len() as u64);
        sink(piece)?;
    }
    match reader.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Unwritable(
            format!("the reader of a storage of {len} bytes has more than these").into(),
        ))),
    }
}

/// As much of the buffer as is left to fill, at most all of it.
fn room(buffer: &mut Vec<u8>, left: u64) -> &mut [u8] {
    if buffer.len() < CHUNK {
        buffer.resize(CHUNK, 0);
    }
    let len = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    buffer.get_mut(..len).unwrap_or_default()
}

#[derive(Clone, Copy)]
struct Stored<'run> {
    checkpoint: &'run Checkpoint,
    id: StorageId,
    swap: usize,
}

impl Stored<'_> {
    fn pass(self, buffer: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Self { checkpoint, id, swap } = self;
        let storages = checkpoint.storages();
        let len = storages.get(id).nbytes();
        let (whole, start) = storages.whole(id, 0);
        let Some((part, key)) = checkpoint.holder(whole) else { return Ok(()) };
        let located = |why| checkpoint.name(part.locate(why));
        let told = if whole == id { checksum(part, key).map_err(located)? } else { None };
        let mut hasher = told.map(|_| Hasher::new());
        let mut each = |piece: &[u8]| {
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            if swap > 1 { swapped(piece, swap, sink) } else { sink(piece) }
        };
        match part.place(key).map_err(located)? {
            Place::File(at) => {
                let run = Extent { at: at.plus(start), len };
                if let Some(bytes) = part.source.lend(run.at.0, len) {
                    bytes.chunks(CHUNK).try_for_each(&mut each)?;
                } else {
                    pass_run(part, run, buffer, &mut each)
                        .map_err(|why| why.or(|why| checkpoint.unread(why, part, key)))?;
                }
            }
            Place::Deflated(_) | Place::Stitched(_) => {
                let mut at = 0_u64;
                while at < len {
                    let piece = room(buffer, len.saturating_sub(at));
                    checkpoint.read_at(id, at, piece)?;
                    at = at.saturating_add(piece.len() as u64);
                    each(piece)?;
                }
            }
        }
        match (told, hasher) {
            (Some((crc, at)), Some(hasher)) if hasher.clone().finalize() != crc => {
                let kind = container::Kind::Crc(crc);
                let why = container::Error::of(kind, at, part.name(key).as_bytes());
                Err(located(why.into()))
            }
            _ => Ok(()),
        }
    }
}

/// Either the reading failed or what took the bytes did.
enum Failed {
    Read(io::Error),
    Taken(Error),
}

impl Failed {
    fn or(self, read: impl FnOnce(io::Error) -> Error) -> Error {
        match self {
            Self::Read(why) => read(why),
            Self::Taken(why) => why,
        }
    }
}

fn pass_run(
    part: &Origin,
    run: Extent,
    buffer: &mut Vec<u8>,
    each: &mut Sink<'_>,
) -> Result<(), Failed> {
    let (mut at, mut left) = (run.at, run.len);
    while left > 0 {
        let piece = room(buffer, left);
        part.source.read_at(at.0, piece).map_err(Failed::Read)?;
        at = at.plus(piece.len() as u64);
        left = left.saturating_sub(piece.len() as u64);
        each(piece).map_err(Failed::Taken)?;
    }
    Ok(())
}

/// The checksum that an archive has for a storage that lies in it as it is; none where it was
/// written without.
fn checksum(part: &Origin, key: &str) -> Result<Option<(u32, crate::base::FileOffset)>, Error> {
    let Layout::Zip { archive, names } = &part.layout else { return Ok(None) };
    let Some(member) = archive.storage(*names, key)? else { return Ok(None) };
    // PyTorch writes 0 where it was told to compute none.
    let plain = member.method() == Method::Stored && member.crc32() != 0;
    Ok(plain.then(|| (member.crc32(), member.header_offset())))
}

/// Elements with their bytes turned around. A piece holds whole ones: it begins on a boundary of
/// its storage, and their widths are powers of two.
fn swapped(piece: &[u8], width: usize, sink: &mut Sink<'_>) -> Result<(), Error> {
    let mut turned = piece.to_vec();
    turned.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    sink(&turned)
}

/// An error with the tensor that the storage is of.
#[cold]
fn name(why: Error, checkpoint: &Checkpoint, id: StorageId) -> Error {
    if why.tensor().is_some() || matches!(why.kind(), Kind::Write(_)) {
        return why;
    }
    let Ok(list) = checkpoint.tensors_in(checkpoint.root(), Scope::All) else { return why };
    let on = |entry: &&super::super::Entry| {
        let Ok(tensor) = entry.tensor() else { return false };
        tensor.storage() == Some(id)
            || checkpoint
                .parts(tensor)
                .iter()
                .any(|part| part.tensor.as_ref().is_ok_and(|tensor| tensor.storage() == Some(id)))
    };
    match list.iter().find(on) {
        Some(entry) => why.in_tensor(entry.name()),
        None => why,
    }
}

impl From<Bytes> for Data<'_> {
    fn from(bytes: Bytes) -> Self {
        Self(Held::Shared(bytes))
    }
}

impl From<Vec<u8>> for Data<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Held::Shared(bytes.into()))
    }
}

impl<'run> From<&'run [u8]> for Data<'run> {
    fn from(bytes: &'run [u8]) -> Self {
        Self(Held::Lent(bytes))
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data").field("nbytes", &self.nbytes()).finish_non_exhaustive()
    }
}
