//! Tensors put together from chunks, each a small file of its own that `torch.save` wrote.
//!
//! The chunks are proven to tile the tensor when it is made, and are opened when they are read.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::DType;
use super::checkpoint::{Checkpoint, Options};
use super::error::{Error, Fault};
use super::folder::Folder;
use super::open;
use super::read::TensorRef;
use super::verify::{Problem, Verification};
use crate::base::{Budget, Exceeded, Source, Window};

/// Files and chunks that are kept open.
const KEPT: usize = 64;

/// One tensor. Its bytes are in row-major order.
#[derive(Debug)]
pub(crate) struct Stitched {
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub chunks: Vec<Chunk>,
    pub files: Arc<Files>,
}

/// A box of a tensor's elements, and where its file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its first element in each dimension.
    pub offsets: Vec<u64>,
    pub sizes: Vec<u64>,
    /// Which file of the folder.
    pub file: Arc<str>,
    /// Which bytes of that.
    pub bytes: Range<u64>,
}

impl Stitched {
    /// Bytes of the whole tensor.
    pub(crate) fn nbytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| self.chunk_bytes(chunk)).fold(0, u64::saturating_add)
    }

    fn chunk_bytes(&self, chunk: &Chunk) -> u64 {
        numel(&chunk.sizes).unwrap_or(u64::MAX).saturating_mul(self.dtype.width())
    }

    /// Proves that the chunks tile the tensor: none reaches out of it, no two share an element,
    /// and none is missing. Takes a step of `budget` for each pair that might meet.
    pub(crate) fn check(&self, budget: &mut Budget) -> Result<(), Fault> {
        let all = numel(&self.shape)?;
        all.checked_mul(self.dtype.width()).ok_or(Fault::Overflow)?;
        let mut covered = 0_u64;
        for chunk in &self.chunks {
            let ranks = [chunk.offsets.len(), chunk.sizes.len()];
            if ranks != [self.shape.len(); 2] {
                return Err(Fault::Rank { shape: self.shape.len(), stride: chunk.sizes.len() });
            }
            let ends = chunk.offsets.iter().zip(&chunk.sizes).map(|(at, len)| at.checked_add(*len));
            if ends.zip(&self.shape).any(|(end, size)| end.is_none_or(|end| end > *size)) {
                return Err(Fault::Chunks("one of its chunks reaches out of it"));
            }
            covered = covered.checked_add(numel(&chunk.sizes)?).ok_or(Fault::Overflow)?;
            // A box cannot take fewer bytes than it has elements: nobody compresses them.
            if chunk.bytes.end.saturating_sub(chunk.bytes.start) < self.chunk_bytes(chunk) {
                return Err(Fault::Chunks("one of its chunks has fewer bytes than elements"));
            }
        }
        let over = |why: Exceeded| Fault::Elsewhere(why.to_string().into());
        if self.overlap(budget).map_err(over)? {
            return Err(Fault::Chunks("two of its chunks overlap"));
        }
        if covered < all {
            return Err(Fault::Chunks("its chunks leave a hole"));
        }
        Ok(())
    }

    /// Sweeps along the dimension that is cut most often.
    fn overlap(&self, budget: &mut Budget) -> Result<bool, Exceeded> {
        let cuts = |dimension: usize| {
            let mut starts: Vec<u64> =
                self.chunks.iter().map(|it| at(it, dimension).start).collect();
            starts.sort_unstable();
            starts.dedup();
            starts.len()
        };
        let dimension = (0..self.shape.len()).max_by_key(|&dimension| cuts(dimension)).unwrap_or(0);
        let solid = |chunk: &&Chunk| chunk.sizes.iter().all(|&size| size > 0);
        let mut order: Vec<&Chunk> = self.chunks.iter().filter(solid).collect();
        order.sort_by_key(|chunk| at(chunk, dimension).start);
        let mut open: Vec<&Chunk> = Vec::new();
        for chunk in order {
            let start = at(chunk, dimension).start;
            budget.visits(open.len() as u64)?;
            open.retain(|other| at(other, dimension).end > start);
            budget.visits(open.len() as u64)?;
            let meets = |other: &&Chunk| {
                (0..self.shape.len()).all(|dimension| {
                    let (a, b) = (at(chunk, dimension), at(other, dimension));
                    a.start < b.end && b.start < a.end
                })
            };
            if open.iter().any(meets) {
                return Ok(true);
            }
            open.push(chunk);
        }
        Ok(false)
    }

    /// Opens and verifies each chunk, and counts what was looked at.
    pub(crate) fn verify(&self, found: &mut Verification) -> Result<Vec<Problem>, Error> {
        let mut problems = Vec::new();
        for chunk in &self.chunks {
            let opened = match self.files.chunk(chunk) {
                Ok(opened) => opened,
                Err(why) => {
                    problems.push(Problem::Error(why));
                    continue;
                }
            };
            if let Err(why) = opened.whole(self, chunk) {
                problems.push(Problem::Error(why));
            }
            let inner = opened.checkpoint.verify()?;
            found.members = found.members.saturating_add(inner.members);
            found.nbytes = found.nbytes.saturating_add(inner.nbytes);
            let path = self.files.path(&chunk.file);
            problems.extend(inner.problems.into_iter().map(|problem| match problem {
                Problem::Error(why) => Problem::Error(why.in_file(&path)),
                finding @ Problem::Finding(_) => finding,
            }));
        }
        Ok(problems)
    }

    /// Fills `into` with the tensor's bytes from `start` on.
    pub(crate) fn read_at(&self, start: u64, into: &mut [u8]) -> Result<(), Error> {
        let width = self.dtype.width();
        let end = start.saturating_add(into.len() as u64);
        // Whole elements around what is asked for.
        let first = start.checked_div(width).unwrap_or(0);
        let wanted = first..end.div_ceil(width);
        for chunk in &self.chunks {
            let rows = Rows::of(chunk, &self.shape);
            let Some(rows) = rows.within(&wanted) else { continue };
            let opened = self.files.chunk(chunk)?;
            let tensor = opened.whole(self, chunk)?;
            for row in rows.indices.clone() {
                let Some((place, skip, len)) = rows.clip(row, &wanted) else { continue };
                let inside = row.saturating_mul(rows.len).saturating_add(skip);
                let bytes = tensor.range(inside, len)?;
                copy(&bytes, place.saturating_mul(width), start, into);
            }
        }
        Ok(())
    }
}

/// Copies what of `bytes`, which belong at `place`, falls into `into`, which begins at `start`.
fn copy(bytes: &[u8], place: u64, start: u64, into: &mut [u8]) {
    let cut = usize::try_from(start.saturating_sub(place)).unwrap_or(usize::MAX);
    let at = usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
    let bytes = bytes.get(cut..).unwrap_or_default();
    let into = into.get_mut(at..).unwrap_or_default();
    let len = bytes.len().min(into.len());
    if let (Some(into), Some(bytes)) = (into.get_mut(..len), bytes.get(..len)) {
        into.copy_from_slice(bytes);
    }
}

/// Where a chunk begins and ends in one dimension.
fn at(chunk: &Chunk, dimension: usize) -> Range<u64> {
    let start = chunk.offsets.get(dimension).copied().unwrap_or(0);
    start..start.saturating_add(chunk.sizes.get(dimension).copied().unwrap_or(1))
}

/// The runs of elements that a chunk has in row-major order of the whole tensor.
struct Rows<'chunk> {
    chunk: &'chunk Chunk,
    /// Elements of one run.
    len: u64,
    /// Dimensions that runs are counted by.
    outer: usize,
    /// Strides of the whole tensor.
    stride: Vec<u64>,
    indices: Range<u64>,
}

impl<'chunk> Rows<'chunk> {
    fn of(chunk: &'chunk Chunk, shape: &[u64]) -> Self {
        let mut stride = vec![1; shape.len()];
        let mut next = 1_u64;
        for (stride, &size) in stride.iter_mut().zip(shape).rev() {
            *stride = next;
            next = next.saturating_mul(size);
        }
        // Trailing dimensions that the chunk has whole are one run with the one before them.
        let (mut len, mut outer) = (1_u64, shape.len());
        for (&size, &all) in chunk.sizes.iter().zip(shape).rev() {
            len = len.saturating_mul(size);
            outer = outer.saturating_sub(1);
            if size != all {
                break;
            }
        }
        let count =
            chunk.sizes.iter().take(outer).fold(1_u64, |count, &size| count.saturating_mul(size));
        Self { chunk, len, outer, stride, indices: 0..count }
    }

    /// The element of the whole tensor at which a run begins.
    fn start(&self, index: u64) -> u64 {
        let dimensions = self.chunk.offsets.iter().zip(&self.chunk.sizes).zip(&self.stride);
        let (mut left, mut start) = (index, 0_u64);
        for (dimension, ((&offset, &size), &stride)) in dimensions.enumerate().rev() {
            let step = if dimension < self.outer {
                let step = left.checked_rem(size).unwrap_or(0);
                left = left.checked_div(size).unwrap_or(0);
                step
            } else {
                0
            };
            start = start.saturating_add(offset.saturating_add(step).saturating_mul(stride));
        }
        start
    }

    /// Those that touch `wanted`, found by halving: starts grow with the index.
    fn within(mut self, wanted: &Range<u64>) -> Option<Self> {
        let first_not = |holds: &dyn Fn(u64) -> bool| {
            let (mut low, mut high) = (0, self.indices.end);
            while low < high {
                let middle = low.midpoint(high);
                if holds(self.start(middle)) {
                    low = middle.saturating_add(1);
                } else {
                    high = middle;
                }
            }
            low
        };
        let first = first_not(&|start| start.saturating_add(self.len) <= wanted.start);
        let last = first_not(&|start| start < wanted.end);
        self.indices = first..last;
        (first < last && self.len > 0).then_some(self)
    }

    /// What of a run is wanted: where it belongs, how much of the run lies before it, how much
    /// it is.
    fn clip(&self, index: u64, wanted: &Range<u64>) -> Option<(u64, u64, u64)> {
        let start = self.start(index);
        let from = start.max(wanted.start);
        let to = start.saturating_add(self.len).min(wanted.end);
        let len = to.checked_sub(from).filter(|&len| len > 0)?;
        Some((from, from.saturating_sub(start), len))
    }
}

fn numel(shape: &[u64]) -> Result<u64, Fault> {
    shape.iter().try_fold(1_u64, |all, &size| all.checked_mul(size)).ok_or(Fault::Overflow)
}

/// The files of a distributed checkpoint, opened when they are needed.
pub(crate) struct Files {
    folder: Folder,
    options: Options,
    open: Mutex<HashMap<Arc<str>, Arc<dyn Source>>>,
    lengths: Mutex<HashMap<Arc<str>, Result<u64, Fault>>>,
    chunks: Mutex<Chunks>,
}

/// Open chunks by file and first byte.
type Chunks = HashMap<(Arc<str>, u64), Arc<Opened>>;

/// The file of one chunk.
pub(crate) struct Opened {
    checkpoint: Checkpoint,
}

impl Opened {
    /// The tensor it holds, if it is the one that was promised.
    fn whole(&self, stitched: &Stitched, chunk: &Chunk) -> Result<TensorRef<'_>, Error> {
        let list = self.checkpoint.tensors()?;
        let [entry] = list.entries() else {
            let fault = Fault::Chunks("one of its chunks is no tensor");
            return Err(self.checkpoint.name(Error::fault(fault, None)));
        };
        let tensor = entry.on(&self.checkpoint)?;
        if tensor.dtype() != stitched.dtype || tensor.shape() != chunk.sizes {
            let why = "one of its chunks has another dtype or shape than the checkpoint says";
            return Err(self.checkpoint.name(Error::fault(Fault::Chunks(why), None)));
        }
        Ok(tensor)
    }
}

impl Files {
    pub(crate) fn new(folder: Folder, options: Options) -> Self {
        Self {
            folder,
            options,
            open: Mutex::new(HashMap::new()),
            lengths: Mutex::new(HashMap::new()),
            chunks: Mutex::new(HashMap::new()),
        }
    }

    /// A run of bytes of a file in the folder.
    pub(crate) fn window(&self, file: &Arc<str>, bytes: &Range<u64>) -> Result<Window, Error> {
        let source = self.source(file)?;
        let len = bytes.end.saturating_sub(bytes.start);
        let window = Window::new(source, bytes.start, len);
        window.map_err(|why| Error::from(why).in_file(&self.folder.path(file)))
    }

    /// Whether a file has bytes up to there.
    pub(crate) fn has(&self, file: &Arc<str>, end: u64) -> Result<(), Fault> {
        if end > self.length(file)? {
            return Err(Fault::Chunks("one of its chunks lies behind the end of its file"));
        }
        Ok(())
    }

    /// Bytes of these files; of those that cannot be opened none.
    pub(crate) fn total<'name>(&self, files: impl IntoIterator<Item = &'name Arc<str>>) -> u64 {
        let lengths = files.into_iter().filter_map(|file| self.length(file).ok());
        lengths.fold(0, u64::saturating_add)
    }

    fn length(&self, file: &Arc<str>) -> Result<u64, Fault> {
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lengths.get(file) {
            return known.clone();
        }
        let len = self.source(file).map(|source| source.len());
        let len = len.map_err(|why| Fault::Elsewhere(why.to_string().into()));
        lengths.insert(Arc::clone(file), len.clone());
        len
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path(file)
    }

    fn source(&self, file: &Arc<str>) -> Result<Arc<dyn Source>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = open.get(file) {
            return Ok(Arc::clone(source));
        }
        let source = self.folder.open(file)?;
        if open.len() >= KEPT {
            open.clear();
        }
        open.insert(Arc::clone(file), Arc::clone(&source));
        Ok(source)
    }

    fn chunk(&self, chunk: &Chunk) -> Result<Arc<Opened>, Error> {
        let key = (Arc::clone(&chunk.file), chunk.bytes.start);
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = chunks.get(&key) {
            return Ok(Arc::clone(opened));
        }
        let file = Arc::new(self.window(&chunk.file, &chunk.bytes)?);
        let mut budget = Budget::new(self.options.limits.clone());
        let opened = open::source_within(file, &self.options, &mut budget);
        let (path, at) = (self.folder.path(&chunk.file), chunk.bytes.start);
        let opened = opened.map_err(|why| why.moved(at).in_file(&path))?.moved(at);
        let checkpoint = Checkpoint::new(opened, &self.options).at_path(path);
        let opened = Arc::new(Opened { checkpoint });
        if chunks.len() >= KEPT {
            chunks.clear();
        }
        chunks.insert(key, Arc::clone(&opened));
        Ok(opened)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.fmt(f)
    }
}
