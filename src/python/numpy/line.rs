//! Arrays, scalars and dtypes in a line, for people.

use std::fmt;

use super::array::NumpyArray;
use super::dtype::Kind;
use super::element::Element;
use super::scalar::NumpyScalar;
use super::views::Numpy;
use crate::python::literal;

/// The longest text of a line (characters).
const SHOWN: usize = 100;

/// `numpy.ndarray(<f8, [3, 4])`: class, dtype and shape.
impl fmt::Display for NumpyArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class().and_then(crate::pickle::Object::as_global) {
            Some(class) => write!(f, "{class}")?,
            None => f.write_str("numpy.ndarray")?,
        }
        write!(f, "({}, {:?})", self.dtype(), self.shape())
    }
}

/// `numpy.scalar(<f8, 0.5)`: dtype and value, where that is a number, a text or a time.
impl fmt::Display for NumpyScalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numpy.scalar({}", self.dtype())?;
        match self.value() {
            Element::Bool(value) => write!(f, ", {}", if value { "True" } else { "False" })?,
            Element::Int(value) => write!(f, ", {value}")?,
            Element::UInt(value) => write!(f, ", {value}")?,
            Element::Float16(value) => write!(f, ", {}", literal::float(value.into()))?,
            // As short as tells it from the other floats of its own width.
            Element::Float32(value) => write!(f, ", {value:?}")?,
            Element::Float64(value) => write!(f, ", {}", literal::float(value))?,
            Element::Text(text) => match text.to_text() {
                Some(text) if text.chars().count() <= SHOWN => write!(f, ", {text:?}")?,
                _ => f.write_str(", …")?,
            },
            Element::LongDouble(value) => match value.x87() {
                Some(value) => write!(f, ", {}", literal::float(value))?,
                None => f.write_str(", …")?,
            },
            Element::DateTime(moment) => match moment.iso() {
                Some(iso) => write!(f, ", {iso}")?,
                None => write!(f, ", {}", moment.raw())?,
            },
            Element::TimeDelta(moment) => match moment.count() {
                Some(count) => write!(f, ", {count}")?,
                None => f.write_str(", NaT")?,
            },
            _ => f.write_str(", …")?,
        }
        f.write_str(")")
    }
}

/// In a line; masked arrays by their data, dtypes as `numpy.dtype(<f8)`.
impl fmt::Display for Numpy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(array) => write!(f, "{array}"),
            Self::Masked(masked) => write!(f, "{}", masked.data()),
            Self::Scalar(scalar) => write!(f, "{scalar}"),
            Self::DType(dtype) => write!(f, "numpy.dtype({dtype})"),
            Self::Random(random) => {
                let bits = random.bit_generator().unwrap_or_default();
                write!(f, "numpy.random.{}({bits})", random.kind().name())
            }
        }
    }
}

impl Numpy<'_> {
    /// Whether its line leaves out parts that are worth a look: objects, fields, metadata.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        let (dtype, rest) = match self {
            Self::Array(array) => (array.dtype(), !array.rest().is_empty()),
            Self::Masked(masked) => (masked.data().dtype(), masked.fill_value().is_some()),
            Self::Scalar(scalar) => (scalar.dtype(), false),
            Self::DType(dtype) => (dtype, false),
            Self::Random(_) => return true,
        };
        let parts = match dtype.kind() {
            Kind::Struct(_) | Kind::SubArray { .. } | Kind::User(_) => {
                matches!(self, Self::DType(_))
            }
            Kind::String { .. } => true,
            _ => false,
        };
        let objects = dtype.has_objects() && !matches!(self, Self::DType(_));
        rest || parts || objects || dtype.metadata().is_some()
    }
}
