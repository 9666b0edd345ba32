//! Iterators: over what, and where they stand.
//!
//! Source: CPython 3.11 `Objects/iterobject.c`, `listobject.c`, `tupleobject.c`, `unicodeobject.c`,
//! `bytesobject.c`, `rangeobject.c`, `enumobject.c`, `Modules/itertoolsmodule.c`: `__reduce__` and
//! `__setstate__` of each iterator.

use super::builtins::{Int, raw};
use super::call::{Call, Read, State, never_iterable};
use super::functools::direct;
use super::{Error, Kind, View};
use crate::base::Budget;
use crate::pickle::{EffectKind, Items, Object, Value};

/// An iterator.
#[derive(Clone, Copy, Debug)]
pub enum Iteration<'graph> {
    /// `iter(over)`, of a list, tuple, text, bytes or range; `next` is the position of what
    /// comes next, at or beyond the end if nothing does.
    Iter {
        /// The sequence, which the iterator shares.
        over: Object<'graph>,
        /// Counted from 0.
        next: u64,
    },
    /// `reversed(over)`, likewise; `next` is below 0 if nothing comes.
    Reversed {
        /// The sequence, which the iterator shares.
        over: Object<'graph>,
        /// Counted from 0, the last one if nothing was said.
        next: Option<i64>,
    },
    /// `enumerate(over, next)`.
    Enumerate {
        /// An iterable.
        over: Object<'graph>,
        /// The number of what comes next.
        next: Int<'graph>,
    },
    /// `itertools.count(start, step)`.
    Count {
        /// The number that comes next; none for 0.
        start: Option<Object<'graph>>,
        /// What is added each time; none for 1.
        step: Option<Object<'graph>>,
    },
    /// `itertools.repeat(object, times)`.
    Repeat {
        /// What comes each time.
        object: Object<'graph>,
        /// How often; none for ever.
        times: Option<u64>,
    },
    /// `itertools.cycle(over)`.
    Cycle {
        /// An iterable, gone through first.
        over: Object<'graph>,
        /// What came before, and comes again after that.
        saved: Option<Object<'graph>>,
        /// Whether the first round is over.
        again: bool,
    },
    /// `itertools.chain(…)`.
    Chain {
        /// What it was made from; empty where `sources` stands for it.
        iterables: Items<'graph>,
        /// An iterator over the iterables to come.
        sources: Option<Object<'graph>>,
        /// The iterator in use.
        active: Option<Object<'graph>>,
    },
}

/// Arguments that `iter` and `reversed` are pickled with.
fn sequence<'graph>(
    call: &Call<'graph>,
    budget: &mut Budget,
) -> Result<Option<Object<'graph>>, Error> {
    call.only(&[EffectKind::State])?;
    let Some([over]) = call.args.array() else {
        return match call.args.len() {
            // `iter(function, sentinel)` hands control to the function.
            2 => Ok(None),
            _ => Err(call.refuse_args("one sequence")),
        };
    };
    if never_iterable(over) {
        return Err(call.refuse_args("one sequence"));
    }
    let known = match over.value() {
        Value::List(_) | Value::Tuple(_) | Value::Text(_) | Value::Bytes(_) => true,
        Value::Recipe(_) => {
            direct(over).is_some_and(|(kind, _)| kind == Kind::Range)
                || raw(over, budget)?.is_some()
        }
        _ => false,
    };
    Ok(known.then_some(over).filter(|_| !call.new))
}

/// The index that a state holds.
enum Index {
    None,
    At(i64),
    Unsure,
}

fn index(call: &Call) -> Result<Index, Error> {
    match call.state() {
        State::None => Ok(Index::None),
        State::Some(state) => match Int::of(state) {
            Some(Int::Small(at)) => Ok(Index::At(at)),
            _ => Err(call.refuse(format!("a state of one index wanted, {} given", state.kind()))),
        },
        State::Unsure => Ok(Index::Unsure),
    }
}

pub(super) fn iter<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let Some(over) = sequence(call, budget)? else { return Ok(None) };
    let next = match index(call)? {
        Index::None => 0,
        // What is below 0 Python takes for 0.
        Index::At(at) => u64::try_from(at).unwrap_or(0),
        Index::Unsure => return Ok(None),
    };
    Ok(Some(View::Iteration(Iteration::Iter { over, next })))
}

pub(super) fn reversed<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let Some(over) = sequence(call, budget)? else { return Ok(None) };
    let next = match index(call)? {
        Index::None => None,
        Index::At(at) => Some(at.max(-1)),
        Index::Unsure => return Ok(None),
    };
    Ok(Some(View::Iteration(Iteration::Reversed { over, next })))
}

pub(super) fn enumerate<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let over = call.args.get(0).filter(|&over| !never_iterable(over));
    let next = match call.args.len() {
        1 => Some(Int::Small(0)),
        2 => Int::of(call.arg(1)),
        _ => None,
    };
    match (over, next) {
        (Some(over), Some(next)) => Ok(Some(View::Iteration(Iteration::Enumerate { over, next }))),
        _ => Err(call.refuse_args("an iterable and a number")),
    }
}

pub(super) fn count<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let no_number = |object: Object| {
        !matches!(object.value(), Value::Float(_) | Value::Recipe(_)) && Int::of(object).is_none()
    };
    if call.args.len() > 2 || call.args.iter().any(no_number) {
        return Err(call.refuse_args("two numbers"));
    }
    let (start, step) = (call.args.get(0), call.args.get(1));
    Ok(Some(View::Iteration(Iteration::Count { start, step })))
}

pub(super) fn repeat<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let times = match call.args.len() {
        1 => None,
        2 => match Int::of(call.arg(1)) {
            // What is below 0 Python takes for 0.
            Some(Int::Small(times)) => Some(u64::try_from(times).unwrap_or(0)),
            _ => return Err(call.refuse_args("an object and how often")),
        },
        _ => return Err(call.refuse_args("an object and how often")),
    };
    Ok(Some(View::Iteration(Iteration::Repeat { object: call.arg(0), times })))
}

pub(super) fn cycle<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    let Some([over]) = call.args.array().filter(|&[over]: &[_; 1]| !never_iterable(over)) else {
        return Err(call.refuse_args("an iterable"));
    };
    let (saved, again) = match call.state() {
        State::None => (None, false),
        State::Some(state) => {
            let parts = state.as_tuple().and_then(Items::array);
            let parts = parts.and_then(|[saved, again]| {
                matches!(saved.value(), Value::List(_)).then_some((saved, Int::of(again)?))
            });
            let Some((saved, again)) = parts else {
                return Err(call.refuse("a state of a list and a number wanted"));
            };
            (Some(saved), again != Int::Small(0))
        }
        State::Unsure => return Ok(None),
    };
    Ok(Some(View::Iteration(Iteration::Cycle { over, saved, again })))
}

pub(super) fn chain<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    let iterables = call.args;
    let (sources, active) = match call.state() {
        State::None => (None, None),
        State::Some(state) => {
            let parts = state.as_tuple().filter(|parts| (1..=2).contains(&parts.len()));
            let Some(parts) = parts else {
                return Err(call.refuse("a state of one or two iterators wanted"));
            };
            (parts.get(0), parts.get(1))
        }
        State::Unsure => return Ok(None),
    };
    let iterables = if sources.is_some() { iterables.rest(iterables.len()) } else { iterables };
    Ok(Some(View::Iteration(Iteration::Chain { iterables, sources, active })))
}
