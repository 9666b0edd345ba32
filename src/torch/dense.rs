//! Dense elements of quantized and sparse tensors.
//!
//! Source: PyTorch 2.15 `aten/src/ATen/native/quantized/AffineQuantizerBase.cpp`
//! (`dequantize_val`), `aten/src/ATen/native/TensorConversions.cpp` (`sparse_to_dense`,
//! `sparse_compressed_to_dense`).

use half::{bf16, f16};

use super::DType;
use super::cast::{Real, unpack};
use super::error::{Error, Fault};
use super::layout::{Layout, Split};
use super::quantized::{Numbers, Quantizer};
use super::read::TensorRef;
use super::sparse::Compressed;
use crate::base::Budget;

impl TensorRef<'_> {
    /// The numbers that a quantized tensor stands for, in row-major order, bit for bit as
    /// PyTorch's `dequantize()`.
    ///
    /// # Errors
    /// Names the tensor: it is not quantized, the file cannot be read, or
    /// [`Limits::materialised`](crate::Limits::materialised) is met.
    pub fn dequantize(self) -> Result<Vec<f32>, Error> {
        self.cast()
    }

    /// Hands dequantized numbers over in row-major order.
    pub(crate) fn for_each_dequantized<E: From<Error>>(
        self,
        mut each: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let channels = self.channels()?;
        let (mut integers, mut packed, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut done = 0_u64;
        self.for_each_chunk(|chunk| {
            integers.clear();
            match self.dtype() {
                DType::QInt8 => {
                    integers.extend(chunk.iter().map(|&byte| i64::from(byte.cast_signed())));
                }
                DType::QUInt8 => integers.extend(chunk.iter().map(|&byte| i64::from(byte))),
                DType::QInt32 => {
                    let (elements, _) = chunk.as_chunks();
                    integers
                        .extend(elements.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))));
                }
                dtype => {
                    packed.clear();
                    unpack(dtype, chunk, &mut packed);
                    integers.extend(packed.iter().copied().map(i64::from));
                    // Bits of the last byte that stand for nothing.
                    let left = usize::try_from(self.numel().saturating_sub(done));
                    integers.truncate(left.unwrap_or(usize::MAX));
                }
            }
            numbers.clear();
            let places = integers.iter().zip(done..);
            numbers.extend(places.map(|(&integer, at)| channels.number(integer, at)));
            done = done.saturating_add(integers.len() as u64);
            each(&numbers)
        })
    }

    fn channels(self) -> Result<Channels, Error> {
        match self.quantizer() {
            Some(Quantizer::PerTensor { scale, zero_point }) => {
                Ok(Channels::One { scale: f32::of_f64(*scale), zero_point: *zero_point })
            }
            Some(Quantizer::PerChannel { axis, scales, zero_points }) => {
                let inner = self.shape().get(axis.saturating_add(1)..).unwrap_or_default();
                let float = matches!(zero_points, Numbers::Tensor(points)
                    if matches!(points.dtype(), DType::Float32 | DType::Float64));
                let mut budget = Budget::new(self.checkpoint().limits().clone());
                Ok(Channels::Many {
                    inner: inner.iter().fold(1, |all, &size| all.saturating_mul(size)),
                    scales: self.numbers(scales, &mut budget)?,
                    zero_points: self.numbers(zero_points, &mut budget)?,
                    float,
                })
            }
            None => {
                Err(self.fault(Fault::Unsupported("dequantizing what is not quantized".into())))
            }
        }
    }

    fn numbers(self, numbers: &Numbers, budget: &mut Budget) -> Result<Vec<f64>, Error> {
        match numbers {
            Numbers::Tensor(tensor) => {
                budget.memory(tensor.numel().saturating_mul(8))?;
                self.part(tensor).cast()
            }
            Numbers::Listed(numbers) => Ok(numbers.to_vec()),
        }
    }

    /// Whether the indices of a sparse tensor are in range and order, and the tensors of a nested
    /// one inside its buffer. True of other layouts. Reads the indices.
    ///
    /// # Errors
    /// Names the tensor and the place: [`Fault::BadIndex`], or why they cannot be read.
    pub fn validate(self) -> Result<(), Error> {
        let Some(split) = self.tensor().split() else { return Ok(()) };
        let mut budget = Budget::new(self.checkpoint().limits().clone());
        match split.layout {
            Layout::Nested => self.nested().map(drop),
            Layout::SparseCoo => self.coordinates(split, &mut budget).map(drop),
            _ => self.pointers(split, &mut budget).map(drop),
        }
    }

    /// All elements of a sparse tensor in row-major order, little-endian; values that stand at
    /// the same coordinates are added, as PyTorch's `to_dense()` does. Of a plain tensor, its
    /// elements.
    ///
    /// # Errors
    /// Names the tensor: an index is out of range ([`Fault::BadIndex`]),
    /// [`Limits::materialised`](crate::Limits::materialised) is met, the file cannot be read, or
    /// the layout has no dense form ([`Fault::NoElements`]).
    pub fn to_dense(self) -> Result<Vec<u8>, Error> {
        let Some(split) = self.tensor().split() else { return Ok(self.to_bytes()?.into_owned()) };
        if split.layout == Layout::Nested {
            return Err(self.fault(Fault::NoElements(Layout::Nested)));
        }
        let mut budget = Budget::new(self.checkpoint().limits().clone());
        let nbytes = self.numel().checked_mul(self.dtype().width());
        let nbytes = nbytes.ok_or_else(|| self.fault(Fault::Overflow))?;
        self.materialise(nbytes)?;
        let values = self.part(self.split_part(split, "values")?);
        let places = match split.layout {
            Layout::SparseCoo => Places::Coo(self.coordinates(split, &mut budget)?),
            _ => Places::Compressed(self.pointers(split, &mut budget)?),
        };
        let mut out = self.zeroed::<u8>(nbytes)?;
        if nbytes == 0 || values.numel() == 0 {
            return Ok(out);
        }
        let values = values.to_bytes()?;
        let add = adder(self.dtype()).ok_or_else(|| {
            let what = format!("a dense form of a sparse tensor of {}", self.dtype());
            self.fault(Fault::Unsupported(what.into()))
        })?;
        let width = usize::try_from(self.dtype().width()).unwrap_or(1);
        let mut put = |to: u64, from: u64, count: u64| {
            let range = |at: u64| {
                let start = usize::try_from(at).ok()?.checked_mul(width)?;
                Some(start..start.checked_add(usize::try_from(count).ok()?.checked_mul(width)?)?)
            };
            let into = range(to).and_then(|range| out.get_mut(range));
            if let (Some(into), Some(from)) = (into, range(from).and_then(|from| values.get(from)))
            {
                add(into, from);
            }
        };
        match places {
            Places::Coo(places) => {
                let mut from = 0_u64;
                for place in &places.blocks {
                    put(place.saturating_mul(places.dense), from, places.dense);
                    from = from.saturating_add(places.dense);
                }
            }
            Places::Compressed(places) => places.scatter(put),
        }
        Ok(out)
    }

    /// Where the values of a COO tensor belong.
    fn coordinates(self, split: &Split, budget: &mut Budget) -> Result<Coordinates, Error> {
        let part = self.split_part(split, "indices")?;
        let values = self.split_part(split, "values")?;
        let count = part.shape().get(1).copied().unwrap_or(0);
        let numbers = self.indices(part, budget)?;
        let dimensions = part.shape().first().map_or(0, |&n| usize::try_from(n).unwrap_or(0));
        let (sparse, dense) = self.shape().split_at_checked(dimensions).unwrap_or_default();
        let dense = dense.iter().fold(1_u64, |all, &size| all.saturating_mul(size));
        if values.numel() > 0 {
            // Without sparse dimensions there may be many values without any index.
            budget.memory(count.saturating_mul(8))?;
        }
        let places = if values.numel() > 0 { count } else { 0 };
        let mut blocks = self.zeroed::<u64>(places)?;
        let rows = numbers.chunks(usize::try_from(count).unwrap_or(usize::MAX).max(1));
        for ((row, &size), dimension) in rows.zip(sparse).zip(0_u64..) {
            for (index, &value) in row.iter().enumerate() {
                let coordinate = u64::try_from(value).ok().filter(|&value| value < size);
                let coordinate = coordinate.ok_or_else(|| {
                    let at = dimension.saturating_mul(count).saturating_add(index as u64);
                    self.fault(Fault::BadIndex { part: "indices", at, value })
                })?;
                if let Some(block) = blocks.get_mut(index) {
                    *block = block.saturating_mul(size).saturating_add(coordinate);
                }
            }
        }
        Ok(Coordinates { blocks, dense })
    }

    /// Where the values of a compressed tensor belong.
    fn pointers(self, split: &Split, budget: &mut Budget) -> Result<Pointers, Error> {
        let shape = Compressed::of(split.layout, &split.parts, self.shape());
        let shape = shape.map_err(|fault| self.fault(fault))?;
        let names = if shape.by_row {
            ("crow_indices", "col_indices")
        } else {
            ("ccol_indices", "row_indices")
        };
        let compressed = self.indices(self.split_part(split, names.0)?, budget)?;
        let plain = self.indices(self.split_part(split, names.1)?, budget)?;
        let [rows, columns] = shape.grid;
        let (outer, inner) = if shape.by_row { (rows, columns) } else { (columns, rows) };
        let bad =
            |part, at: usize, value| self.fault(Fault::BadIndex { part, at: at as u64, value });
        let row = usize::try_from(outer.saturating_add(1)).unwrap_or(usize::MAX);
        let mut last = 0;
        for (at, &value) in compressed.iter().enumerate() {
            let place = at.checked_rem(row).unwrap_or(0);
            let in_order = match place {
                0 => value == 0,
                _ => value >= last && value.saturating_sub(last).cast_unsigned() <= inner,
            };
            let ends = place != row.saturating_sub(1) || u64::try_from(value) == Ok(shape.nnz);
            if !in_order || !ends {
                return Err(bad(names.0, at, value));
            }
            last = value;
        }
        for (at, &value) in plain.iter().enumerate() {
            if u64::try_from(value).is_err() || value.cast_unsigned() >= inner {
                return Err(bad(names.1, at, value));
            }
        }
        Ok(Pointers { shape, compressed, plain })
    }
}

/// What turns integers into numbers.
enum Channels {
    One {
        scale: f32,
        zero_point: i64,
    },
    Many {
        /// Elements between neighbouring channels.
        inner: u64,
        scales: Vec<f64>,
        zero_points: Vec<f64>,
        /// Whether zero points are floats: then all is calculated in `float32`.
        float: bool,
    },
}

impl Channels {
    /// The number that the integer at a place stands for.
    fn number(&self, integer: i64, at: u64) -> f32 {
        match self {
            Self::One { scale, zero_point } => {
                f32::of_i64(integer.wrapping_sub(*zero_point)) * scale
            }
            Self::Many { inner, scales, zero_points, float } => {
                let channel = at.checked_div(*inner).unwrap_or(0);
                let channel = channel.checked_rem(scales.len() as u64).unwrap_or(0);
                let channel = usize::try_from(channel).unwrap_or(0);
                let scale = scales.get(channel).copied().unwrap_or(0.0);
                let zero_point = zero_points.get(channel).copied().unwrap_or(0.0);
                let steps = f32::of_i64(integer) - f32::of_f64(zero_point);
                if *float {
                    return steps * f32::of_f64(scale);
                }
                f32::of_f64(f64::from(steps) * scale)
            }
        }
    }
}

enum Places {
    Coo(Coordinates),
    Compressed(Pointers),
}

/// Where each value of a COO tensor belongs.
struct Coordinates {
    /// Places counted in blocks.
    blocks: Vec<u64>,
    /// Elements of a block: the dense dimensions.
    dense: u64,
}

/// The indices of a compressed tensor, checked.
struct Pointers {
    shape: Compressed,
    compressed: Vec<i64>,
    plain: Vec<i64>,
}

impl Pointers {
    /// Calls `put` with where elements go, where they come from, and how many.
    fn scatter(&self, mut put: impl FnMut(u64, u64, u64)) {
        let Compressed { nnz, grid, block, dense, by_row, .. } = self.shape;
        let [block_rows, block_columns] = block;
        let width = grid[1].saturating_mul(block_columns);
        let height = grid[0].saturating_mul(block_rows);
        let outer = if by_row { grid[0] } else { grid[1] };
        let row = usize::try_from(outer.saturating_add(1)).unwrap_or(usize::MAX);
        let all = usize::try_from(nnz).unwrap_or(usize::MAX).max(1);
        let batches = self.compressed.chunks(row).zip(self.plain.chunks(all)).zip(0_u64..);
        for ((pointers, plain), batch) in batches {
            for (ends, major) in pointers.windows(2).zip(0_u64..) {
                let &[start, end] = ends else { continue };
                for entry in start..end {
                    let index = usize::try_from(entry).ok();
                    let Some(&minor) = index.and_then(|index| plain.get(index)) else { continue };
                    let minor = minor.cast_unsigned();
                    let (r, c) = if by_row { (major, minor) } else { (minor, major) };
                    let entry = batch.saturating_mul(nnz).saturating_add(entry.cast_unsigned());
                    for line in 0..block_rows {
                        let from = entry.saturating_mul(block_rows).saturating_add(line);
                        let from = from.saturating_mul(block_columns).saturating_mul(dense);
                        let to = batch.saturating_mul(height);
                        let to = to.saturating_add(r.saturating_mul(block_rows));
                        let to = to.saturating_add(line).saturating_mul(width);
                        let to = to.saturating_add(c.saturating_mul(block_columns));
                        put(to.saturating_mul(dense), from, block_columns.saturating_mul(dense));
                    }
                }
            }
        }
    }
}

/// Adds little-endian elements to others.
type Adder = fn(&mut [u8], &[u8]);

fn each<const WIDTH: usize>(
    into: &mut [u8],
    from: &[u8],
    add: impl Fn([u8; WIDTH], [u8; WIDTH]) -> [u8; WIDTH],
) {
    let ((into, _), (from, _)) = (into.as_chunks_mut::<WIDTH>(), from.as_chunks::<WIDTH>());
    for (into, from) in into.iter_mut().zip(from) {
        *into = add(*into, *from);
    }
}

/// How elements of a type are added; none if PyTorch does not.
fn adder(dtype: DType) -> Option<Adder> {
    macro_rules! adder {
        ($number:ty, $add:expr) => {
            |into, from| {
                let read = <$number>::from_le_bytes;
                each(into, from, |a, b| $add(read(a), read(b)).to_le_bytes());
            }
        };
    }
    Some(match dtype {
        DType::Float64 | DType::Complex128 => adder!(f64, |a, b| a + b),
        DType::Float32 | DType::Complex64 => adder!(f32, |a, b| a + b),
        DType::Float16 | DType::Complex32 => {
            adder!(f16, |a: f16, b: f16| f16::from_f32(a.to_f32() + b.to_f32()))
        }
        DType::BFloat16 | DType::BComplex32 => {
            adder!(bf16, |a: bf16, b: bf16| bf16::from_f32(a.to_f32() + b.to_f32()))
        }
        DType::Int64 | DType::UInt64 => adder!(u64, u64::wrapping_add),
        DType::Int32 | DType::UInt32 => adder!(u32, u32::wrapping_add),
        DType::Int16 | DType::UInt16 => adder!(u16, u16::wrapping_add),
        DType::Int8 | DType::UInt8 => adder!(u8, u8::wrapping_add),
        DType::Bool => adder!(u8, |a, b| u8::from(a != 0 || b != 0)),
        _ => return None,
    })
}
