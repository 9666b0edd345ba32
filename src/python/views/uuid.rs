//! Universally unique identifiers. A state beyond 128 bits, which Python takes and cannot print,
//! is an error here.
//!
//! Source: CPython 3.11 `Lib/uuid.py` (`__getstate__`, `__setstate__`), 2.7 (no `__setstate__`).

use std::fmt;

use super::View;
use super::builtins::Int;
use super::call::{Attributes, Call, Read};
use crate::base::Budget;
use crate::pickle::{BigInt, EffectKind, Object};

/// An identifier of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid {
    /// Its value; the first two hexadecimal digits are the highest byte.
    pub int: u128,
    /// Whether it was made so that no two processes get the same: 0 if so, −1 if not; none if
    /// unknown.
    pub is_safe: Option<i64>,
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.int);
        for (index, range) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
            f.write_str(if index > 0 { "-" } else { "" })?;
            f.write_str(digits.get(range).unwrap_or_default())?;
        }
        Ok(())
    }
}

pub(super) fn uuid<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    // `UUID('…')` by call is how people write them, not picklers.
    if !call.args.is_empty() || !call.new {
        return Ok(None);
    }
    let Attributes::Sure(Some(state)) = call.attributes()? else { return Ok(None) };
    budget.visits(state.len() as u64 / 8)?;
    let Some(int) = state.get("int").map(|int| (int, Int::of(int))) else {
        return Err(call.refuse("a state without int"));
    };
    let int = match int {
        (_, Some(Int::Small(value))) => u128::try_from(value).ok(),
        (_, Some(Int::Big(value))) => unsigned(value),
        (object, None) if object.as_recipe().is_some() => return Ok(None),
        (object, None) => {
            return Err(call.refuse(format!("an int wanted, {} given", object.kind())));
        }
    };
    let Some(int) = int else { return Err(call.refuse("int is not in 0 to 2^128 - 1")) };
    let is_safe = match state.get("is_safe").filter(|safe| !safe.is_none()) {
        None => None,
        Some(safe) => match safe.as_int() {
            Some(safe @ -1..=0) => Some(safe),
            None if safe.as_recipe().is_some() => member_value(safe),
            _ => return Err(call.refuse("is_safe is neither 0, -1 nor None")),
        },
    };
    Ok(Some(View::Uuid(Uuid { int, is_safe })))
}

/// `SafeUUID(value)`, as it stands in some states.
fn member_value(safe: Object) -> Option<i64> {
    safe.as_recipe()?.args().as_tuple()?.get(0)?.as_int()
}

pub(super) fn unsigned(value: BigInt) -> Option<u128> {
    let bytes = value.as_le_bytes();
    // A positive number may need a byte for its sign alone.
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let mut wide = [0; 16];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    (!value.is_negative()).then_some(u128::from_le_bytes(wide))
}
