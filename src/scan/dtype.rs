//! Dtypes of numpy whose state contradicts what they were made of. numpy takes the state's word
//! for sizes and for whether there are objects, and then reads memory by it.
//!
//! Source: numpy 2.4 `_core/src/multiarray/descriptor.c` (`arraydescr_setstate`), `methods.c`
//! (`array_setstate`).

use crate::pickle::{Object, Value};

/// Fields of one dtype that are looked at.
const MOST: usize = 1 << 16;

/// What a dtype's state says: size and flags, as far as it says them.
struct Stated {
    size: Option<i64>,
    objects: Option<bool>,
}

/// Why a dtype, made by a call and given a state, cannot be honest; none if nothing is wrong.
pub(super) fn forged(dtype: Object<'_>) -> Option<&'static str> {
    let states = dtype.effects().filter_map(|effect| effect.items.get(0)).take(MOST);
    states.into_iter().find_map(|state| forged_by(dtype, state))
}

fn forged_by(dtype: Object<'_>, state: Object<'_>) -> Option<&'static str> {
    let Stated { size, objects } = stated(state);
    let kind = kind(dtype)?;
    if kind == b'O' && objects == Some(false) {
        return Some("its elements are objects, and its flags say that they are not");
    }
    let flexible = matches!(kind, b'S' | b'U' | b'V' | b'a');
    if flexible && size.is_some_and(|size| size < 0) {
        return Some("its elements have fewer bytes than none");
    }
    if !flexible {
        return None;
    }
    let parts = state.as_tuple()?;
    let base = parts.get(2).and_then(Object::as_tuple).and_then(|base| base.get(0));
    let fields = parts.get(4).and_then(Object::as_dict);
    let fields = fields.into_iter().flat_map(|fields| fields.iter().take(MOST));
    let fields = fields.filter_map(|(_, field)| {
        let parts = field.as_tuple()?;
        Some((parts.get(0)?, parts.get(1)?.as_int()))
    });
    for (part, offset) in base.map(|base| (base, Some(0))).into_iter().chain(fields) {
        if has_objects(part) && objects == Some(false) {
            return Some("a part of it holds objects, and its flags say that none does");
        }
        let end = offset.and_then(|offset| offset.checked_add(width(part).unwrap_or(0)));
        let inside = offset.is_some_and(|offset| offset >= 0)
            && end.zip(size).is_none_or(|(end, size)| end <= size);
        if !inside {
            return Some("a part of it lies outside of its bytes");
        }
    }
    None
}

fn stated(state: Object<'_>) -> Stated {
    let nothing = Stated { size: None, objects: None };
    let Some(parts) = state.as_tuple() else { return nothing };
    let int = |index: usize| parts.get(index).and_then(Object::as_int);
    // The oldest states have no flags: numpy finds them itself.
    let objects = int(7).filter(|_| parts.len() >= 8).map(|flags| flags & 1 != 0);
    Stated { size: int(5), objects }
}

/// The letter of its code.
fn kind(dtype: Object<'_>) -> Option<u8> {
    code(dtype)?.trim_start_matches(['<', '>', '|', '=']).bytes().next()
}

fn code(dtype: Object<'_>) -> Option<&str> {
    let args = dtype.as_recipe()?.args().as_tuple()?;
    match args.get(0)?.value() {
        Value::Text(text) => text.as_str(),
        _ => None,
    }
}

fn has_objects(dtype: Object<'_>) -> bool {
    let last = dtype.effects().filter_map(|effect| effect.items.get(0)).last();
    kind(dtype) == Some(b'O') || last.is_some_and(|state| stated(state).objects == Some(true))
}

/// Bytes of an element.
fn width(dtype: Object<'_>) -> Option<i64> {
    let last = dtype.effects().filter_map(|effect| effect.items.get(0)).last();
    let stated = last.and_then(|state| stated(state).size).filter(|&size| size >= 0);
    stated.or_else(|| {
        let digits = code(dtype)?.trim_start_matches(|char: char| !char.is_ascii_digit());
        let width = digits.parse::<i64>().ok()?;
        let wide = if kind(dtype) == Some(b'U') { 4 } else { 1 };
        width.checked_mul(wide)
    })
}
