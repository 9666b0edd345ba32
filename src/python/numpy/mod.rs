//! What numpy's globals mean: dtypes, arrays, masked arrays, scalars.
//!
//! Views over a graph, made when asked, in either spelling of numpy's modules (`numpy.core`
//! before 2, `numpy._core` since). One that exists is proved: the data has as many bytes as shape
//! and dtype need, and every field lies inside its element.
//!
//! ```
//! use depickle::pickle::{Policy, assemble, run};
//! use depickle::python::numpy::{Element, NumpyArray};
//! use depickle::{Budget, FileOffset};
//!
//! let stream = assemble(
//!     "GLOBAL numpy.core.multiarray _reconstruct
//!      GLOBAL numpy ndarray\nBININT1 0\nTUPLE1\nSHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE
//!      MARK\nBININT1 1\nBININT1 3\nTUPLE1
//!      GLOBAL numpy dtype\nSHORT_BINUNICODE \"i2\"\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE
//!      MARK\nBININT1 3\nSHORT_BINUNICODE \">\"\nNONE\nNONE\nNONE\nBININT -1\nBININT -1\nBININT1 0\nTUPLE\nBUILD
//!      NEWFALSE\nSHORT_BINBYTES \"\\x00\\x01\\x00\\x02\\xff\\xff\"\nTUPLE\nBUILD\nSTOP",
//! )?;
//! let (policy, mut budget) = (Policy::inspect(), Budget::default());
//! let graph = run(stream.into(), FileOffset(0), &policy, &mut budget).graph;
//! let array = NumpyArray::view(graph.root().ok_or("no root")?, &mut budget)?.ok_or("no array")?;
//! assert_eq!((array.dtype().to_string(), array.shape()), (">i2".to_owned(), &[3][..]));
//! let elements: Vec<Element> = array.elements(&mut budget)?.collect();
//! assert_eq!(elements, [Element::Int(1), Element::Int(2), Element::Int(-1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: numpy 2.4 and 1.26 `multiarray/methods.c` (`array_reduce_ex`, `array_setstate`),
//! `multiarray/descriptor.c` (`arraydescr_reduce`, `arraydescr_setstate`), `numeric.py`
//! (`_frombuffer`), `multiarray/scalartypes.c.src` (`gentype_reduce`), `ma/core.py`.

mod array;
mod dtype;
mod element;
mod error;
mod given;

pub use array::{MaskedArray, NumpyArray, NumpyScalar};
pub use dtype::{ByteOrder, DType, Field, Kind, Unit};
pub use element::Element;
pub use error::Error;
