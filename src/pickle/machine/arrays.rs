//! Arrays that joblib writes into a pickle: a wrapper says what follows, and behind the BUILD
//! that gives the wrapper its state stand, in the stream itself, the elements as they are or,
//! for arrays of objects, a pickle. In the wrapper's place the machine puts what joblib's reader
//! would: the array, as numpy's own pickles spell one.
//!
//! What joblib does decides. Where a file says something of which that cannot be told, the
//! stream is not read further. Nothing is copied: the elements are a span of the stream.
//!
//! Source: joblib 1.6 `joblib/numpy_pickle.py` (`NumpyArrayWrapper`, `NumpyUnpickler.load_build`),
//! numpy 2.4 `_core/src/multiarray/descriptor.c` (`arraydescr_setstate`).

use super::memo::Memo;
use super::{Machine, Step};
use crate::base::Cursor;
use crate::pickle::error::Kind;
use crate::pickle::graph::{EffectKind, Global, Make, Node, NodeId, Object, Recipe, Span, Value};
use crate::pickle::policy::Reading;

/// What a wrapper's state says, each part proven to be what joblib takes it for.
pub(super) struct Announced {
    class: NodeId,
    shape: NodeId,
    dtype: NodeId,
    fortran: bool,
    data: Data,
}

enum Data {
    /// A pickle of its own.
    Pickle,
    /// So many bytes, behind a byte that says how many come before them.
    Padded(u64),
    /// So many bytes.
    Bare(u64),
}

/// What waits while a pickle in the pickle is read.
pub(super) struct Outer {
    stack: Vec<NodeId>,
    marks: Vec<usize>,
    memo: Memo,
    frame_end: usize,
    /// Where the inner one begins in the stream.
    began: usize,
}

/// Dimensions that numpy knows at most, in any version.
const MOST_DIMENSIONS: usize = 64;

/// Whether a name may mean joblib's wrapper.
pub(super) fn may_wrap(global: Global<'_>) -> bool {
    let last = global.name.rsplit(|&byte| byte == b'.').next();
    last == Some(b"NumpyArrayWrapper") && global.module.split(|&byte| byte == b'.').any(is_joblib)
}

fn is_joblib(part: &[u8]) -> bool {
    part == b"joblib" || part == b"_joblib"
}

/// Whether it does, for certain.
fn wraps(global: Global<'_>) -> bool {
    global.is("joblib.numpy_pickle", "NumpyArrayWrapper")
        || global.is("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper")
}

impl Machine<'_> {
    /// Looks, after BUILD, whether an array follows.
    #[cold]
    pub(super) fn look_for_array(&mut self) -> Step {
        let Ok(top) = self.top() else { return Ok(()) };
        let object = self.build.graph().object(top);
        let Some(recipe) = object.as_recipe().filter(|&recipe| touches_wrapper(recipe)) else {
            return Ok(());
        };
        let aligned = self.policy.reading() == Reading::Joblib;
        self.announced = Some(announced(recipe, aligned).map_err(Kind::InlineArray)?);
        Ok(())
    }

    /// Reads the array that follows.
    #[cold]
    pub(super) fn array(&mut self, cursor: &mut Cursor<'_>) -> Step {
        let Some(announced) = self.announced.take() else { return Ok(()) };
        let began = cursor.position();
        if self.frame_end > began {
            // joblib reads the file behind the frame, then the rest of the frame.
            return Err(Kind::InlineArray("its frame goes on behind the wrapper").into());
        }
        self.pop()?;
        let len = match announced.data {
            Data::Pickle => {
                let outer = Outer {
                    stack: std::mem::take(&mut self.stack),
                    marks: std::mem::take(&mut self.marks),
                    memo: std::mem::take(&mut self.memo),
                    frame_end: std::mem::take(&mut self.frame_end),
                    began,
                };
                self.outer = Some(Box::new(outer));
                return Ok(());
            }
            Data::Padded(len) => {
                let padding = cursor.byte()?;
                cursor.take(padding.into())?;
                len
            }
            Data::Bare(len) => len,
        };
        let start = cursor.position() as u64;
        cursor.take(len)?;
        let data = self.build.add(Node::Bytes(Span { start, len, decoded: false }))?;
        let array = self.made(&announced, data)?;
        self.push(array)?;
        self.build.inline_array(began as u64, cursor.position() as u64, false)?;
        Ok(())
    }

    /// What numpy's own pickle of the array would have made.
    fn made(&mut self, announced: &Announced, data: NodeId) -> Step<NodeId> {
        let &Announced { class, shape, dtype, fortran, .. } = announced;
        let (module, name) = (b"numpy._core.multiarray", b"_reconstruct");
        let callable = match self.reconstruct {
            Some(known) => known,
            None => {
                let (module, name) = (self.build.keep(module)?, self.build.keep(name)?);
                let id = self.build.global(module, name)?;
                self.reconstruct = Some(id);
                id
            }
        };
        let zero = self.build.int(0)?;
        let nothing = self.build.tuple(&[zero])?;
        let code = self.build.keep(b"b")?;
        let code = self.build.add(Node::Bytes(code))?;
        let args = self.build.tuple(&[class, nothing, code])?;
        let array = self.build.recipe(Make::Reduce, callable, args, NodeId::NONE)?;
        let version = self.build.int(1)?;
        let parts = [version, shape, dtype, NodeId::bool(fortran), data];
        let state = self.build.tuple(&parts)?;
        self.build.effect(array, EffectKind::State, &[state])?;
        Ok(array)
    }

    /// Goes on with the outer pickle, if the STOP that was read ends an inner one. Whether it does.
    #[cold]
    pub(super) fn leave_inner(&mut self, cursor: &Cursor<'_>) -> Step<bool> {
        let Some(outer) = self.outer.take() else { return Ok(false) };
        let end = cursor.position();
        if self.frame_end > end {
            return Err(Kind::InlineArray("the frame of its pickle goes on behind STOP").into());
        }
        let array = self.build.take_root().unwrap_or(NodeId::NONE);
        let Outer { stack, marks, memo, frame_end, began } = *outer;
        (self.stack, self.marks, self.memo, self.frame_end) = (stack, marks, memo, frame_end);
        self.build.inline_array(began as u64, end as u64, true)?;
        self.push(array)?;
        Ok(true)
    }
}

/// Whether a call makes a wrapper, or could.
fn touches_wrapper(recipe: Recipe<'_>) -> bool {
    let may = |object: Object| object.as_global().is_some_and(may_wrap);
    let args = recipe.args().as_tuple();
    may(recipe.callable()) || args.is_some_and(|args| args.iter().take(2).any(may))
}

type Why = &'static str;

/// What the wrapper that `recipe` makes says of the array behind it.
fn announced(recipe: Recipe<'_>, aligned: bool) -> Result<Announced, Why> {
    if !is_plainly_made(recipe) {
        return Err("its wrapper is not made as joblib makes it");
    }
    let mut effects = recipe.object().effects();
    let (Some(effect), None) = (effects.next(), effects.next()) else {
        return Err("its wrapper was changed more than once");
    };
    let state = effect.items.get(0).filter(|_| effect.kind == EffectKind::State);
    let state = state.and_then(Object::as_dict).ok_or("its wrapper's state is no dict")?;
    let [mut class, mut shape, mut order, mut dtype, mut padding] = [None; 5];
    for (key, value) in state.iter() {
        let Value::Text(key) = key.value() else { return Err(OTHER) };
        let slot = match key.as_bytes() {
            b"subclass" => &mut class,
            b"shape" => &mut shape,
            b"order" => &mut order,
            b"dtype" => &mut dtype,
            b"numpy_array_alignment_bytes" => &mut padding,
            b"allow_mmap" => continue,
            // Attributes hide the methods that joblib calls to read.
            _ => return Err(OTHER),
        };
        *slot = Some(value);
    }
    let missing = "its wrapper's state lacks a part";
    let (class, shape) = (class.ok_or(missing)?, shape.ok_or(missing)?);
    let (order, dtype) = (order.ok_or(missing)?, dtype.ok_or(missing)?);
    if class.as_global().is_none() {
        return Err("its class is not named");
    }
    let fortran = match order.as_str() {
        Some("C") => false,
        Some("F") => true,
        _ => return Err("its order is neither C nor F"),
    };
    let element = element(dtype)?;
    let count = count(shape)?;
    let data = match element {
        Element::Object => Data::Pickle,
        Element::Bytes(width) => {
            let len = count.checked_mul(width).ok_or("it has more bytes than any file")?;
            // What joblib before 1.2 wrote has no such attribute, and it does not look for one.
            let padded = padding.is_some_and(|padding| !padding.is_none()) && aligned;
            if padded { Data::Padded(len) } else { Data::Bare(len) }
        }
    };
    Ok(Announced { class: class.id(), shape: shape.id(), dtype: dtype.id(), fortran, data })
}

const OTHER: Why = "its wrapper's state says more than joblib's does";

/// `NumpyArrayWrapper` by NEWOBJ without arguments, or as protocols 0 and 1 spell that.
fn is_plainly_made(recipe: Recipe<'_>) -> bool {
    let is_wrapper = |object: Object| object.as_global().is_some_and(wraps);
    let Some(args) = recipe.args().as_tuple() else { return false };
    match recipe.make() {
        Make::NewObj => is_wrapper(recipe.callable()) && args.is_empty(),
        Make::Reduce => {
            let by = recipe.callable().as_global();
            let by = by.is_some_and(|by| {
                by.is("copyreg", "_reconstructor") || by.is("copy_reg", "_reconstructor")
            });
            args.array().is_some_and(|[class, base, nothing]: [Object; 3]| {
                let base = base.as_global().is_some_and(|base| {
                    base.is("builtins", "object") || base.is("__builtin__", "object")
                });
                by && base && is_wrapper(class) && nothing.is_none()
            })
        }
        _ => false,
    }
}

/// Elements in an array of this shape: a tuple of integers, none below zero.
fn count(shape: Object<'_>) -> Result<u64, Why> {
    let sizes = shape.as_tuple().ok_or("its shape is no tuple")?;
    if sizes.len() > MOST_DIMENSIONS {
        return Err("it has more dimensions than numpy knows");
    }
    let (mut count, mut empty) = (1_u64, false);
    for size in sizes.iter() {
        let size = size.as_int().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or("its shape holds what is no size")?;
        empty |= size == 0;
        // Sizes are multiplied as int64: what does not fit wraps round there.
        count = count
            .checked_mul(size.max(1))
            .filter(|&count| i64::try_from(count).is_ok())
            .ok_or("it has more elements than can be counted")?;
    }
    Ok(if empty { 0 } else { count })
}

/// What the elements of an array are.
enum Element {
    Object,
    /// So many bytes each.
    Bytes(u64),
}

/// What `numpy.dtype(code, False, True)` and its state say of elements. The state has the last
/// word in what it says of texts, bytes and records, and of whether there are objects in these.
fn element(dtype: Object<'_>) -> Result<Element, Why> {
    let unknown = "its dtype is not spelled as numpy spells it";
    let recipe = dtype.as_recipe().ok_or(unknown)?;
    let is_dtype = recipe.callable().as_global().is_some_and(|global| global.is("numpy", "dtype"));
    if !is_dtype || recipe.make() != Make::Reduce {
        return Err(unknown);
    }
    let args = recipe.args().as_tuple().ok_or(unknown)?;
    let [code, align, copy]: [Object; 3] = args.array().ok_or(unknown)?;
    let flag = |object: Object, wanted: bool| {
        object.as_bool() == Some(wanted) || object.as_int() == Some(wanted.into())
    };
    if !flag(align, false) || !flag(copy, true) {
        return Err(unknown);
    }
    let code = match code.value() {
        Value::Text(text) => text.as_bytes(),
        _ => return Err(unknown),
    };
    let (kind, width) = code.split_first().ok_or(unknown)?;
    let width = std::str::from_utf8(width).ok().and_then(|width| width.parse::<u32>().ok());
    let mut effects = dtype.effects();
    let (Some(effect), None) = (effects.next(), effects.next()) else { return Err(unknown) };
    let state = effect.items.get(0).filter(|_| effect.kind == EffectKind::State);
    let state = state.and_then(Object::as_tuple).ok_or(unknown)?;
    let at = |index: usize| state.get(index).ok_or(unknown);
    let int = |index: usize| at(index).and_then(|object| object.as_int().ok_or(unknown));
    if !matches!(int(0)?, 3 | 4) || !matches!(state.len(), 8 | 9) {
        return Err(unknown);
    }
    let has_parts = !at(2)?.is_none() || !at(3)?.is_none() || !at(4)?.is_none();
    let (size, objects) = (int(5)?, int(7)? & 1 != 0);
    let lies = "its dtype's state contradicts itself";
    match (kind, width) {
        (b'O', Some(4 | 8)) if objects && !has_parts => Ok(Element::Object),
        (b'V', Some(_)) if objects && has_parts => Ok(Element::Object),
        (b'V' | b'S' | b'U', Some(_)) if !objects && size > 0 && (!has_parts || *kind == b'V') => {
            if has_parts && holds_objects(dtype) {
                return Err(lies);
            }
            Ok(Element::Bytes(u64::try_from(size).map_err(|_| lies)?))
        }
        (b'b', Some(1))
        | (b'i' | b'u', Some(1 | 2 | 4 | 8))
        | (b'f', Some(2 | 4 | 8 | 12 | 16))
        | (b'c', Some(8 | 16 | 24 | 32))
        | (b'm' | b'M', Some(8))
            if !objects && !has_parts && size == -1 =>
        {
            Ok(Element::Bytes(width.unwrap_or_default().into()))
        }
        // joblib divides by the width, and fails.
        (b'V' | b'S' | b'U', Some(_)) if size == 0 => Err("its elements have no bytes"),
        _ => Err(lies),
    }
}

/// Whether a record's fields lead to objects, or to more than is followed.
fn holds_objects(dtype: Object<'_>) -> bool {
    const MOST: usize = 4096;
    let mut todo = vec![dtype];
    let mut looked = 0_usize;
    while let Some(dtype) = todo.pop() {
        looked = looked.saturating_add(1);
        let Some(recipe) = dtype.as_recipe().filter(|_| looked <= MOST) else { return true };
        let code = recipe.args().as_tuple().and_then(|args| args.get(0)).and_then(Object::as_str);
        if code.is_none_or(|code| code.starts_with('O')) {
            return true;
        }
        let Some(state) = recipe.last_state().and_then(Object::as_tuple) else { return true };
        if let Some(parts) = state.get(2).filter(|parts| !parts.is_none()) {
            match parts.as_tuple().and_then(|parts| parts.get(0)) {
                Some(base) => todo.push(base),
                None => return true,
            }
        }
        let Some(fields) = state.get(4).filter(|fields| !fields.is_none()) else { continue };
        let Some(fields) = fields.as_dict().filter(|fields| fields.len() <= MOST) else {
            return true;
        };
        for (_, field) in fields.iter() {
            match field.as_tuple().and_then(|field| field.get(0)) {
                Some(dtype) => todo.push(dtype),
                None => return true,
            }
        }
    }
    false
}
