//! Elements of two tensors, one by one: how many differ, and by how much.
//!
//! Source: PyTorch 2.15 `torch/testing/_comparison.py` for what is close, and for the reference
//! (the left one here).

use half::{bf16, f16};

use super::DType;
use super::cast::{convert, has_numbers, unpack};
use super::dtype::Class;
use super::error::{Error, Fault};
use super::read::{Region, TensorRef};

/// What counts as equal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// Numbers that differ by no more than this are equal.
    pub absolute: f64,
    /// So are those that differ by no more than this part of the left one. Both add up, as in
    /// `torch.isclose`; infinities are only equal to themselves.
    pub relative: f64,
    /// Elements are equal only if all of their bits are: 0.0 and −0.0 differ, and one NaN from
    /// another.
    pub bitwise: bool,
}

/// How two tensors of the same sizes compare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Elements of each.
    pub elements: u64,
    /// Elements that are not equal under the tolerance. NaN equals NaN.
    pub differing: u64,
    /// The place of the first of these.
    pub first: Option<u64>,
    /// Elements equal as numbers whose bits differ: signs of zero, kinds of NaN. Not counted
    /// where the dtypes differ.
    pub only_bits: u64,
    /// Elements that are NaN on one side only. They count as differing, and in no gap.
    pub nan: u64,
    /// The largest difference, equal under the tolerance or not; none if there is none.
    pub absolute: Option<Gap>,
    /// The largest difference as a part of the left one's magnitude.
    pub relative: Option<Gap>,
}

/// A difference between two elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// How large it is.
    pub size: Size,
    /// The element's place, in row-major order.
    pub at: u64,
}

/// How large a difference is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// Of integers, exactly.
    Exact(u128),
    /// Of floats. Infinite if one element is.
    Float(f64),
}

impl Size {
    /// As a float, rounded to nearest.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Exact(size) => size as f64,
            Self::Float(size) => size,
        }
    }
}

/// Bytes of each side that are held at a time.
const HELD: u64 = 512 << 10;

impl TensorRef<'_> {
    /// Compares its elements with those of another tensor of the same sizes, of any dtypes that
    /// are numbers, or of one that is bits. Integers are compared exactly, with floats too. Of
    /// quantized tensors the integers are compared.
    ///
    /// Memory does not grow with the tensors, unless a view is not contiguous or a file
    /// compressed. `progress` is told of bytes as they are read.
    ///
    /// ```
    /// use depickle::torch::{Checkpoint, Tolerance};
    ///
    /// let new = Checkpoint::open("tests/fixtures/mlp_state_dict.pth")?;
    /// let old = Checkpoint::open("tests/fixtures/legacy_mlp_state_dict.pth")?;
    /// let name = "first.weight";
    /// let found = old.tensor(name)?.compare(new.tensor(name)?, Tolerance::default(), |_| {})?;
    /// assert_eq!((found.elements, found.differing), (60, 0));
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the tensor: it cannot be read, has no elements in a row, the sizes differ, or the
    /// dtypes cannot be compared ([`Fault::NoCast`]).
    pub fn compare(
        self,
        right: TensorRef,
        tolerance: Tolerance,
        mut progress: impl FnMut(usize),
    ) -> Result<Comparison, Error> {
        let (from, to) = (self.dtype(), right.dtype());
        if self.shape() != right.shape() || self.cells() != right.cells() {
            let what = "tensors of other sizes cannot be compared element by element";
            return Err(self.fault(Fault::Arguments(what)));
        }
        if from != to && !(is_number(from) && is_number(to)) {
            return Err(self.fault(Fault::NoCast { from: to, to: from }));
        }
        let (mut left, mut right) = (Rows::of(self)?, Rows::of(right)?);
        let mut run = Run::new(tolerance, from == to, from.values_per_byte());
        let step = HELD.checked_div(from.width().max(to.width())).unwrap_or(1).max(1);
        let mut first = 0_u64;
        while first < self.cells() {
            let count = step.min(self.cells().saturating_sub(first));
            let (left, right) = (left.read(first, count)?, right.read(first, count)?);
            run.chunk(from, left, to, right, first.saturating_mul(from.values_per_byte()));
            progress(left.len().saturating_add(right.len()));
            first = first.saturating_add(count);
        }
        Ok(run.found)
    }
}

const fn is_number(dtype: DType) -> bool {
    (has_numbers(dtype) && dtype.values_per_byte() == 1) || matches!(dtype.class(), Class::Complex)
}

/// A tensor that is read from front to back.
struct Rows<'file> {
    tensor: TensorRef<'file>,
    region: Option<Region>,
    buffer: Vec<u8>,
}

impl<'file> Rows<'file> {
    fn of(tensor: TensorRef<'file>) -> Result<Self, Error> {
        Ok(Self { tensor, region: tensor.region()?, buffer: Vec::new() })
    }

    fn read(&mut self, first: u64, count: u64) -> Result<&[u8], Error> {
        let len = count.saturating_mul(self.tensor.dtype().width());
        self.buffer.resize(usize::try_from(len).unwrap_or(0), 0);
        self.tensor.fill_from(self.region.as_ref(), first, &mut self.buffer)?;
        Ok(&self.buffer)
    }
}

/// Elements as numbers.
#[derive(Default)]
struct Numbers {
    floats: Vec<f64>,
    ints: Vec<i128>,
    pairs: Vec<[f64; 2]>,
}

impl Numbers {
    fn read(&mut self, dtype: DType, bytes: &[u8]) {
        let Self { floats, ints, pairs } = self;
        floats.clear();
        ints.clear();
        pairs.clear();
        macro_rules! whole {
            ($number:ty) => {{
                let (numbers, _) = bytes.as_chunks();
                ints.extend(numbers.iter().map(|it| i128::from(<$number>::from_le_bytes(*it))));
            }};
        }
        macro_rules! parts {
            ($number:ty) => {{
                let (numbers, _) = bytes.as_chunks();
                let mut parts = numbers.iter().map(|it| f64::from(<$number>::from_le_bytes(*it)));
                while let (Some(real), Some(imaginary)) = (parts.next(), parts.next()) {
                    pairs.push([real, imaginary]);
                }
            }};
        }
        match dtype {
            DType::Int64 => whole!(i64),
            DType::Int32 | DType::QInt32 => whole!(i32),
            DType::Int16 => whole!(i16),
            DType::Int8 | DType::QInt8 => whole!(i8),
            DType::UInt64 => whole!(u64),
            DType::UInt32 => whole!(u32),
            DType::UInt16 | DType::Bits16 => whole!(u16),
            DType::Bool => ints.extend(bytes.iter().map(|byte| i128::from(*byte != 0))),
            DType::Complex128 => parts!(f64),
            DType::Complex64 => parts!(f32),
            DType::Complex32 => parts!(f16),
            DType::BComplex32 => parts!(bf16),
            _ if has_numbers(dtype) => convert(dtype, bytes, floats),
            _ if dtype.values_per_byte() > 1 => {
                let mut values = Vec::new();
                unpack(dtype, bytes, &mut values);
                ints.extend(values.into_iter().map(i128::from));
            }
            _ => whole!(u8),
        }
    }
}

struct Run {
    tolerance: Tolerance,
    /// Whether the dtypes are the same, so that equal bytes are equal elements.
    same: bool,
    per_cell: u64,
    left: Numbers,
    right: Numbers,
    found: Comparison,
}

/// A number of either sort, compared without rounding.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
    Pair([f64; 2]),
}

impl Run {
    fn new(tolerance: Tolerance, same: bool, per_cell: u64) -> Self {
        let (left, right) = (Numbers::default(), Numbers::default());
        Self { tolerance, same, per_cell, left, right, found: Comparison::default() }
    }

    fn chunk(&mut self, from: DType, left: &[u8], to: DType, right: &[u8], first: u64) {
        let cells = (left.len() as u64).checked_div(from.width()).unwrap_or(0);
        self.found.elements =
            self.found.elements.saturating_add(cells.saturating_mul(self.per_cell));
        if self.same && left == right {
            return;
        }
        let (mut one, mut other) =
            (std::mem::take(&mut self.left), std::mem::take(&mut self.right));
        one.read(from, left);
        other.read(to, right);
        let width = usize::try_from(from.width()).unwrap_or(1);
        let per_cell = usize::try_from(self.per_cell).unwrap_or(1);
        let bits = |index: usize| {
            let at = index.checked_div(per_cell).unwrap_or(0).saturating_mul(width);
            let range = at..at.saturating_add(width);
            self.same && left.get(range.clone()) != right.get(range)
        };
        let mut found = std::mem::take(&mut self.found);
        let tolerance = self.tolerance;
        each_pair(&one, &other, |index, one, other| {
            let at = first.saturating_add(index as u64);
            found.element(one, other, at, tolerance, || bits(index));
        });
        (self.found, self.left, self.right) = (found, one, other);
    }
}

fn each_pair(left: &Numbers, right: &Numbers, mut each: impl FnMut(usize, Number, Number)) {
    macro_rules! pairs {
        ($left:ident $one:ident, $right:ident $other:ident) => {{
            let pairs = left.$left.iter().zip(&right.$right).enumerate();
            pairs.for_each(|(at, (one, other))| {
                each(at, Number::$one(*one), Number::$other(*other));
            });
        }};
    }
    // Only one list of each side has anything in it.
    pairs!(floats Float, floats Float);
    pairs!(ints Int, ints Int);
    pairs!(pairs Pair, pairs Pair);
    pairs!(ints Int, floats Float);
    pairs!(floats Float, ints Int);
    pairs!(pairs Pair, floats Float);
    pairs!(floats Float, pairs Pair);
    pairs!(pairs Pair, ints Int);
    pairs!(ints Int, pairs Pair);
}

impl Comparison {
    fn element(
        &mut self,
        left: Number,
        right: Number,
        at: u64,
        tolerance: Tolerance,
        bits: impl Fn() -> bool,
    ) {
        if equal(left, right) {
            if bits() {
                self.only_bits = self.only_bits.saturating_add(1);
                if tolerance.bitwise {
                    self.differs(at);
                }
            }
            return;
        }
        let Some(gap) = distance(left, right) else {
            self.nan = self.nan.saturating_add(1);
            return self.differs(at);
        };
        let (size, whole) = (gap.to_f64(), magnitude(left));
        let relative = if size.is_finite() && whole > 0.0 { size / whole } else { f64::INFINITY };
        let larger = |known: Option<Gap>, size: Size| match known {
            Some(known) if known.size.to_f64() >= size.to_f64() => Some(known),
            _ => Some(Gap { size, at }),
        };
        self.absolute = larger(self.absolute, gap);
        self.relative = larger(self.relative, Size::Float(relative));
        let allowed = tolerance.absolute + tolerance.relative * whole;
        if tolerance.bitwise || !size.is_finite() || size > allowed {
            self.differs(at);
        }
    }

    fn differs(&mut self, at: u64) {
        self.differing = self.differing.saturating_add(1);
        self.first = self.first.or(Some(at));
    }
}

fn equal(left: Number, right: Number) -> bool {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => left == right,
        (Number::Float(left), Number::Float(right)) => same(left, right),
        (Number::Int(int), Number::Float(float)) | (Number::Float(float), Number::Int(int)) => {
            whole(float) == Some(int)
        }
        (Number::Pair([real, imaginary]), Number::Pair(other)) => {
            same(real, other[0]) && same(imaginary, other[1])
        }
        (Number::Pair([real, imaginary]), other) | (other, Number::Pair([real, imaginary])) => {
            imaginary == 0.0 && equal(Number::Float(real), other)
        }
    }
}

/// Whether floats are equal, NaN with NaN.
#[expect(clippy::float_cmp, reason = "equal is meant")]
fn same(left: f64, right: f64) -> bool {
    left == right || (left.is_nan() && right.is_nan())
}

/// A float as an integer, if it is one of less than 127 bits.
fn whole(float: f64) -> Option<i128> {
    const MOST: f64 = 1.0e38;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (float.fract() == 0.0 && float.abs() < MOST).then_some(float as i128)
}

/// How far apart two numbers are; none if one is NaN.
fn distance(left: Number, right: Number) -> Option<Size> {
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        return Some(Size::Exact(left.abs_diff(right)));
    }
    if let (Number::Int(int), Number::Float(float)) | (Number::Float(float), Number::Int(int)) =
        (left, right)
        && let Some(float) = whole(float)
    {
        return Some(Size::Exact(int.abs_diff(float)));
    }
    let (left, right) = (parts(left), parts(right));
    // Of equal infinities the difference is none.
    let apart = |one: f64, other: f64| {
        if same(one, other) && !one.is_nan() { 0.0 } else { one - other }
    };
    let (real, imaginary) = (apart(left[0], right[0]), apart(left[1], right[1]));
    let size = if imaginary == 0.0 { real.abs() } else { real.hypot(imaginary) };
    (!size.is_nan()).then_some(Size::Float(size))
}

fn magnitude(number: Number) -> f64 {
    let [real, imaginary] = parts(number);
    if imaginary == 0.0 { real.abs() } else { real.hypot(imaginary) }
}

#[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
const fn parts(number: Number) -> [f64; 2] {
    match number {
        Number::Int(value) => [value as f64, 0.0],
        Number::Float(value) => [value, 0.0],
        Number::Pair(parts) => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(left: &[f64], right: &[f64], tolerance: Tolerance) -> Comparison {
        let bytes =
            |values: &[f64]| values.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
        let mut run = Run::new(tolerance, true, 1);
        run.chunk(DType::Float64, &bytes(left), DType::Float64, &bytes(right), 0);
        run.found
    }

    #[test]
    fn floats_differ_by_value_and_nan_equals_nan() {
        let nan = f64::NAN;
        let found =
            floats(&[1.0, nan, nan, 0.0, 4.0], &[1.0, -nan, 1.0, -0.0, 3.0], Tolerance::default());
        assert_eq!((found.elements, found.differing, found.nan, found.only_bits), (5, 2, 1, 2));
        assert_eq!(found.absolute, Some(Gap { size: Size::Float(1.0), at: 4 }));
        assert_eq!(found.relative, Some(Gap { size: Size::Float(0.25), at: 4 }));
        assert_eq!(found.first, Some(2));
        let bitwise = Tolerance { bitwise: true, ..Tolerance::default() };
        assert_eq!(floats(&[0.0], &[-0.0], bitwise).differing, 1);
    }

    #[test]
    fn tolerance_is_that_of_isclose_with_the_left_as_reference() {
        let tolerance = Tolerance { relative: 0.1, absolute: 0.5, bitwise: false };
        assert_eq!(floats(&[10.0, 10.0, 0.0], &[11.5, 11.6, 0.5], tolerance).differing, 1);
        let infinite = f64::INFINITY;
        assert_eq!(
            floats(&[infinite, infinite, 1.0], &[infinite, 1.0, infinite], tolerance).differing,
            2
        );
        let found = floats(&[infinite], &[-infinite], tolerance);
        assert_eq!(found.absolute, Some(Gap { size: Size::Float(infinite), at: 0 }));
    }

    #[test]
    fn integers_are_exact_and_meet_floats_without_rounding() {
        let most = i64::MAX.to_le_bytes();
        let mut run = Run::new(Tolerance::default(), true, 1);
        run.chunk(DType::Int64, &most, DType::Int64, &i64::MIN.to_le_bytes(), 0);
        assert_eq!(run.found.absolute.unwrap().size, Size::Exact(u128::from(u64::MAX)));
        let float = 9_223_372_036_854_775_807_f64.to_le_bytes();
        let mut run = Run::new(Tolerance::default(), false, 1);
        run.chunk(DType::Int64, &most, DType::Float64, &float, 0);
        assert_eq!(run.found.absolute.unwrap().size, Size::Exact(1), "2^63 - 1 is no float64");
    }
}
