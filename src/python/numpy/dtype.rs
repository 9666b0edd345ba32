//! Types of elements.

use std::sync::Arc;

use super::datetime::Unit;
use super::error::{Error, Fault};
use super::given;
use super::views::Views;
use crate::base::FileOffset;
use crate::pickle::{Global, Object, Text};

/// Dtypes in each other that are followed (levels); honest ones have a handful.
pub(super) const DEEPEST: usize = 64;
/// Fields of one dtype, those of its inner dtypes included, that are followed.
pub(super) const MOST_FIELDS: u64 = 1 << 16;

/// A type of elements. Cheap to clone.
///
/// One that exists is sound: fields lie inside their element, sub-arrays fill it, and it does
/// not hold itself; it has at most 65,536 fields in all, at most 64 levels deep.
#[derive(Clone, Debug)]
pub struct DType<'graph>(Arc<Inner<'graph>>);

#[derive(Debug)]
struct Inner<'graph> {
    head: Head<'graph>,
    kind: Kind<'graph>,
    /// Levels below, and fields in all.
    depth: usize,
    fields: u64,
    objects: bool,
    /// Whether some number of several bytes is in no known order.
    unstated: bool,
    /// Whether some number is big-endian.
    big: bool,
}

/// What every dtype has, whatever its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'graph> {
    pub order: ByteOrder,
    pub itemsize: u64,
    pub alignment: Option<u64>,
    pub aligned: bool,
    pub class: Option<Global<'graph>>,
    pub metadata: Option<Object<'graph>>,
    pub at: Option<FileOffset>,
}

/// In which order the bytes of one number stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ByteOrder {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
    /// Elements have no numbers of several bytes.
    Irrelevant,
    /// The file does not say: the order of whichever machine reads it. A class stands for
    /// such a dtype; arrays and scalars are never of one.
    Unstated,
}

/// A kind of elements.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind<'graph> {
    /// `bool`: one byte, 0 is false.
    Bool,
    /// Signed integers of 1 to 8 bytes.
    Int,
    /// Unsigned integers of 1 to 8 bytes.
    UInt,
    /// Floating-point numbers of 2, 4 or 8 bytes, or of 12 or 16: C's `long double`.
    Float,
    /// Complex numbers: two floating-point numbers.
    Complex,
    /// Byte strings, filled up with zeros.
    Bytes,
    /// Texts: code points of 4 bytes each, filled up with zeros.
    Unicode,
    /// Raw bytes without meaning.
    Void,
    /// Points in time, counted from 1970 in units.
    DateTime(Unit),
    /// Spans of time, counted in units.
    TimeDelta(Unit),
    /// Python objects.
    Object,
    /// Texts of any length, `numpy.dtypes.StringDType`; missing ones are `na_object`.
    String {
        /// Whether other values become texts when they are assigned.
        coerce: bool,
        /// What a missing text is, if there can be any.
        na_object: Option<Object<'graph>>,
    },
    /// Structures of named fields, which may overlap.
    Struct(Box<[Field<'graph>]>),
    /// Arrays of one shape.
    SubArray {
        /// Their elements.
        base: DType<'graph>,
        /// Their shape.
        shape: Box<[u64]>,
    },
    /// A type that another library defined, `ml_dtypes.bfloat16` say: only its width is known.
    User(Global<'graph>),
}

/// A named part of an element.
#[derive(Clone, Debug)]
pub struct Field<'graph> {
    pub(super) name: Text<'graph>,
    pub(super) offset: u64,
    pub(super) title: Option<Object<'graph>>,
    pub(super) dtype: DType<'graph>,
}

impl Inner<'_> {
    fn byte_order(&self) -> ByteOrder {
        match self.kind {
            Kind::Bytes | Kind::Void | Kind::Bool | Kind::Object | Kind::String { .. } => {
                ByteOrder::Irrelevant
            }
            Kind::Struct(_) | Kind::SubArray { .. } => ByteOrder::Irrelevant,
            Kind::Int | Kind::UInt if self.head.itemsize == 1 => ByteOrder::Irrelevant,
            _ => self.head.order,
        }
    }
}

impl<'graph> Field<'graph> {
    /// Its name; Python 2's have no encoding.
    #[must_use]
    pub const fn name(&self) -> Text<'graph> {
        self.name
    }

    /// Where it begins in its element (bytes).
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Its second name, of any type.
    #[must_use]
    pub const fn title(&self) -> Option<Object<'graph>> {
        self.title
    }

    /// What it holds.
    #[must_use]
    pub const fn dtype(&self) -> &DType<'graph> {
        &self.dtype
    }
}

impl<'graph> DType<'graph> {
    /// A view of `object`: a dtype, or a class that stands for one (`numpy.float64`,
    /// `numpy.dtypes.Float64DType`). [`Views`] is cheaper for many.
    ///
    /// # Errors
    /// [`Error`] if it is none, or none that is sound.
    pub fn view(object: Object<'graph>) -> Result<Self, Error> {
        Views::default().dtype(object)
    }

    /// Proves the parts to fit, and joins them.
    pub(super) fn new(head: Head<'graph>, kind: Kind<'graph>) -> Result<Self, Error> {
        let fault = |fault| Error::new(fault, head.at);
        let mut parts: Vec<&DType> = Vec::new();
        match &kind {
            Kind::Struct(fields) => {
                for field in fields {
                    let end = field.offset.checked_add(field.dtype.itemsize());
                    let end = end.ok_or_else(|| fault(Fault::Overflow))?;
                    if end > head.itemsize {
                        let name = given::clip(field.name.as_bytes());
                        let itemsize = head.itemsize;
                        return Err(fault(Fault::FieldOutside { name, end, itemsize }));
                    }
                    parts.push(&field.dtype);
                }
            }
            Kind::SubArray { base, shape } => {
                let needs = given::product(shape, base.itemsize(), head.at)?;
                if needs != head.itemsize {
                    return Err(fault(Fault::SubArraySize { needs, itemsize: head.itemsize }));
                }
                if needs == 0 && given::count(shape) > MOST_FIELDS {
                    return Err(fault(Fault::EmptyElements(given::count(shape))));
                }
                parts.push(base);
            }
            Kind::Unicode if !head.itemsize.is_multiple_of(4) => {
                return Err(fault(Fault::Width(head.itemsize)));
            }
            _ => {}
        }
        let depth = parts.iter().map(|part| part.0.depth.saturating_add(1)).max().unwrap_or(0);
        if depth > DEEPEST {
            return Err(fault(Fault::TooDeep(DEEPEST)));
        }
        let fields = parts
            .iter()
            .fold(0, |sum: u64, part| sum.saturating_add(part.0.fields).saturating_add(1));
        if fields > MOST_FIELDS {
            return Err(fault(Fault::TooManyFields(MOST_FIELDS)));
        }
        let objects = matches!(kind, Kind::Object) || parts.iter().any(|part| part.0.objects);
        let parts_big = parts.iter().any(|part| part.0.big);
        let parts_unstated = parts.iter().any(|part| part.0.unstated);
        let mut inner = Inner { head, kind, depth, fields, objects, unstated: false, big: false };
        let own = !matches!(inner.kind, Kind::User(_)) && inner.byte_order() == ByteOrder::Unstated;
        inner.unstated = own || parts_unstated;
        inner.big = inner.byte_order() == ByteOrder::Big || parts_big;
        Ok(Self(Arc::new(inner)))
    }

    /// What its elements are.
    #[must_use]
    pub fn kind(&self) -> &Kind<'graph> {
        &self.0.kind
    }

    /// One element (bytes).
    #[must_use]
    pub fn itemsize(&self) -> u64 {
        self.0.head.itemsize
    }

    /// In which order the bytes of numbers stand. That of a structure's fields is their own.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.0.byte_order()
    }

    /// Whether some number in it is big-endian.
    pub(super) fn has_big(&self) -> bool {
        self.0.big
    }

    pub(super) fn is_big(&self) -> bool {
        self.byte_order() == ByteOrder::Big
    }

    /// What addresses are a multiple of (bytes), where the file says so.
    #[must_use]
    pub fn alignment(&self) -> Option<u64> {
        self.0.head.alignment
    }

    /// Whether a structure was laid out as C does, `align=True`.
    #[must_use]
    pub fn is_aligned_struct(&self) -> bool {
        self.0.head.aligned
    }

    /// The class of elements where it is not numpy's own for the kind: `numpy.record`.
    #[must_use]
    pub fn class(&self) -> Option<Global<'graph>> {
        self.0.head.class
    }

    /// The dict of further facts that Python code attached.
    #[must_use]
    pub fn metadata(&self) -> Option<Object<'graph>> {
        self.0.head.metadata
    }

    /// Whether elements hold Python objects, so that they are no bytes.
    #[must_use]
    pub fn has_objects(&self) -> bool {
        self.0.objects
    }

    /// The fields, in order; none if it is no structure.
    #[must_use]
    pub fn fields(&self) -> &[Field<'graph>] {
        match &self.0.kind {
            Kind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field<'graph>> {
        self.fields().iter().find(|field| field.name.as_bytes() == name.as_bytes())
    }

    /// Fields in all, those of inner dtypes included.
    pub(super) fn fields_in_all(&self) -> u64 {
        self.0.fields
    }

    pub(super) fn at(&self) -> Option<FileOffset> {
        self.0.head.at
    }

    /// Refuses elements that cannot be read: numbers of several bytes in no known order.
    pub(super) fn check_stated(&self) -> Result<(), Error> {
        if self.0.unstated {
            return Err(Error::new(Fault::NoByteOrder, self.at()));
        }
        Ok(())
    }

    /// The dtype of a mask: booleans in place of everything but structures.
    ///
    /// Source: numpy `ma/core.py` (`make_mask_descr`).
    pub(super) fn mask(&self) -> Result<Self, Error> {
        // As deep as `DEEPEST` at most.
        let head = Head {
            order: ByteOrder::Irrelevant,
            itemsize: 1,
            alignment: None,
            aligned: false,
            class: None,
            metadata: None,
            at: self.at(),
        };
        match self.kind() {
            Kind::Struct(fields) => {
                let mut offset = 0_u64;
                let mut masks = Vec::with_capacity(fields.len());
                for field in fields {
                    let dtype = field.dtype.mask()?;
                    let next = offset.checked_add(dtype.itemsize());
                    masks.push(Field { offset, dtype, ..field.clone() });
                    offset = next.ok_or_else(|| Error::new(Fault::Overflow, self.at()))?;
                }
                Self::new(Head { itemsize: offset, ..head }, Kind::Struct(masks.into()))
            }
            Kind::SubArray { base, shape } => {
                let base = base.mask()?;
                let itemsize = given::product(shape, base.itemsize(), self.at())?;
                let kind = Kind::SubArray { base, shape: shape.clone() };
                Self::new(Head { itemsize, ..head }, kind)
            }
            _ => Self::new(head, Kind::Bool),
        }
    }
}
