//! What numpy's globals mean: dtypes, arrays, masked arrays, scalars, random generators.
//!
//! Views over a graph, made when asked. One that exists is proven: the data has as many bytes
//! as shape and dtype need, every field lies inside its element, every sub-array fills it. No
//! view follows the file's shape by recursion, and nothing is allocated but what a
//! [`Budget`](crate::Budget) covers.
//!
//! ```
//! use depickle::pickle::{Policy, assemble, run};
//! use depickle::python::numpy::NumpyArray;
//! use depickle::{Budget, FileOffset};
//!
//! let stream = assemble(
//!     "GLOBAL numpy.core.multiarray _reconstruct
//!      GLOBAL numpy ndarray\nBININT1 0\nTUPLE1\nSHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE
//!      MARK\nBININT1 1\nBININT1 3\nTUPLE1
//!      GLOBAL numpy dtype\nUNICODE i2\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE
//!      MARK\nBININT1 3\nUNICODE >\nNONE\nNONE\nNONE\nBININT -1\nBININT -1\nBININT1 0\nTUPLE\nBUILD
//!      NEWFALSE\nSHORT_BINBYTES \"\\x00\\x01\\x00\\x02\\xff\\xff\"\nTUPLE\nBUILD\nSTOP",
//! )?;
//! let policy = Policy::inspect();
//! let outcome = run(stream.into(), FileOffset(0), &policy, &mut Budget::default());
//! let array = NumpyArray::view(outcome.graph.root().ok_or("no root")?)?;
//! assert_eq!(array.dtype().to_string(), ">i2");
//! assert_eq!(array.shape(), [3]);
//! assert_eq!(array.to_vec::<i64>()?, [1, 2, -1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: numpy 2.4 and 1.26 `multiarray/methods.c` (`array_reduce`, `array_setstate`),
//! `multiarray/descriptor.c` (`arraydescr_reduce`, `arraydescr_setstate`),
//! `multiarray/scalartypes.c.src` (`gentype_reduce`), `ma/core.py`, `random/_pickle.py`.

mod array;
mod code;
mod datetime;
mod descr;
mod dtype;
mod dtype_text;
mod element;
mod error;
mod float;
mod given;
mod line;
mod masked;
mod number;
mod random;
mod rebuild;
mod scalar;
mod swap;
mod views;

pub use array::{NumpyArray, Order};
pub use datetime::{Moment, Unit, UnitBase};
pub use dtype::{ByteOrder, DType, Field, Kind};
pub use element::{Element, Record, SubArray, Ucs4};
pub use error::{Error, Fault};
pub use float::LongDouble;
pub use masked::MaskedArray;
pub use number::{FromElement, Plain};
pub use random::{Random, RandomKind};
pub use scalar::NumpyScalar;
pub use views::{Numpy, Views};
