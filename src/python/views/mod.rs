//! Typed views: what the standard library's globals mean when an object is made by calling them.
//!
//! A view is made when asked, borrows the graph, and costs no more than what it must check.
//! It never follows an object's parts: those are objects again. Which global means what stands
//! in the [whitelist](super::whitelist), and nowhere else.
//!
//! What Python would have copied at the time of the call and the stream changed afterwards is
//! not trusted: there is no view then.
//!
//! Source: `__reduce__` and `__setstate__` of each class in CPython 2.7 to 3.13; each file names
//! its own.

mod array;
mod builtins;
mod call;
mod collections;
mod datetime;
mod error;
mod functools;
mod iterators;
mod kind;
mod numbers;
mod pathlib;
pub(crate) mod spell;
mod text;
mod types;
mod uuid;

pub use array::{Array, Element, Elements, Machine};
pub use builtins::{Exception, Int, Range, Raw, Scalar, Singleton};
pub use collections::{Deque, Mapping, MappingKind};
pub use datetime::{Date, DateTime, Time, TimeDelta, TimeZone};
pub use error::Error;
pub use functools::{Attribute, Caller, CallerKind, Partial};
pub use iterators::Iteration;
pub use kind::Kind;
pub use numbers::{Decimal, Fraction, Random};
pub use pathlib::Path;
pub use text::{Ip, Pattern};
pub use types::{Generic, Instance, is_class};
pub use uuid::Uuid;

use call::Call;

use crate::base::Budget;
use crate::pickle::{Dict, Items, Make, Object, Recipe, Value};

/// What an object is, if calling a known global makes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum View<'graph> {
    /// `complex(re, im)`.
    Complex(f64, f64),
    /// Bytes, as older protocols spell them.
    Bytes(Raw<'graph>),
    /// A bytearray, likewise.
    ByteArray(Raw<'graph>),
    /// `set([…])`; equal members may repeat.
    Set(Items<'graph>),
    /// `frozenset([…])`; equal members may repeat.
    FrozenSet(Items<'graph>),
    /// `list([…])`, before anything was appended.
    List(Items<'graph>),
    /// `tuple([…])`.
    Tuple(Items<'graph>),
    /// A number or text.
    Scalar(Scalar<'graph>),
    /// `range(start, stop, step)`.
    Range(Range<'graph>),
    /// `slice(start, stop, step)`.
    Slice([Object<'graph>; 3]),
    /// `Ellipsis` or `NotImplemented`.
    Singleton(Singleton),
    /// `type(None)`, `type(Ellipsis)` or `type(NotImplemented)`.
    Type(Singleton),
    /// `object()`.
    Object,
    /// An exception.
    Exception(Exception<'graph>),
    /// `getattr(owner, name)`: a bound method, a nested class, a member of an enumeration.
    Attribute(Attribute<'graph>),
    /// `functools.partial(…)`.
    Partial(Partial<'graph>),
    /// `operator.itemgetter(…)` and its like.
    Caller(Caller<'graph>),
    /// An iterator, with where it stands.
    Iteration(Iteration<'graph>),
    /// `OrderedDict`, `defaultdict`, `Counter`, or `dict` by call.
    Mapping(Mapping<'graph>),
    /// `collections.deque`.
    Deque(Deque<'graph>),
    /// `collections.ChainMap`: its maps, which are looked into in order.
    ChainMap(Items<'graph>),
    /// `UserDict`, `UserList` or `UserString`: what it wraps.
    User(Object<'graph>),
    /// A parametrized type.
    Generic(Generic<'graph>),
    /// `types.SimpleNamespace`: its attributes.
    SimpleNamespace(Option<Dict<'graph>>),
    /// `argparse.Namespace`: its attributes.
    Namespace(Option<Dict<'graph>>),
    /// A member of a known enumeration: the class and the member's value.
    Member(Object<'graph>, Object<'graph>),
    /// `fractions.Fraction`.
    Fraction(Fraction),
    /// `decimal.Decimal`.
    Decimal(Decimal),
    /// The state of a `random.Random`.
    Random(Random<'graph>),
    /// `datetime.datetime`.
    DateTime(DateTime<'graph>),
    /// `datetime.date`.
    Date(Date),
    /// `datetime.time` and its time zone.
    Time(Time, Option<Object<'graph>>),
    /// `datetime.timedelta`.
    TimeDelta(TimeDelta),
    /// `datetime.timezone`.
    TimeZone(TimeZone<'graph>),
    /// `zoneinfo.ZoneInfo` by its key.
    Zone(&'graph str),
    /// `uuid.UUID`.
    Uuid(Uuid),
    /// A path of `pathlib`.
    Path(Path<'graph>),
    /// A compiled regular expression.
    Pattern(Pattern<'graph>),
    /// `logging.getLogger(name)`; none for the root.
    Logger(Option<&'graph str>),
    /// An address, network or interface.
    Ip(Ip<'graph>),
    /// `array.array`.
    Array(Array<'graph>),
    /// An instance of any other class.
    Instance(Instance<'graph>),
}

/// The kind of view that a call of a known global promises; whether it keeps that, only the
/// view can tell. Costs a look into a table.
pub(crate) fn kind_of(object: Object) -> Option<Kind> {
    functools::direct(object).map(|(kind, _)| kind)
}

impl<'graph> View<'graph> {
    /// What `object` is, if calling a global of the standard library makes it, or if it is an
    /// instance of any class. None for plain values, for calls of other functions, and where
    /// what Python would have made is not certain.
    ///
    /// Never reads further into the graph than the arguments and what they hold. Pays a step
    /// for every 64 bytes of text that it must read, and one for each pair or element that it
    /// must check.
    ///
    /// ```
    /// use depickle::pickle::{Policy, run};
    /// use depickle::python::views::View;
    /// use depickle::{Budget, FileOffset};
    ///
    /// let stream = b"cfractions\nFraction\n(V3/4\ntR."; // Python 2 wrote Fraction(3, 4) so
    /// let mut budget = Budget::default();
    /// let graph = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
    /// let View::Fraction(fraction) = View::of(graph.root().unwrap(), &mut budget)?.unwrap() else {
    ///     panic!()
    /// };
    /// assert_eq!((fraction.numerator, fraction.denominator), (3, 4));
    /// # Ok::<(), depickle::python::views::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error`] for a known global with arguments or state that it would not take, with the
    /// offset of the call; or if the budget does not cover the texts.
    pub fn of(object: Object<'graph>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        match object.value() {
            Value::Global(global) => Ok(Singleton::named(global).map(Self::Singleton)),
            Value::Recipe(recipe) => Self::of_recipe(recipe, budget),
            _ => Ok(None),
        }
    }

    fn of_recipe(recipe: Recipe<'graph>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        let object = recipe.object();
        // They are gone through below, however often the object is met.
        budget.visits(object.effects().count() as u64 / 64)?;
        let new = !matches!(recipe.make(), Make::Reduce | Make::Inst | Make::Obj);
        let (callable, given) = (recipe.callable(), recipe.args());
        let Some(args) = given.as_tuple() else {
            return Ok(Instance::of(recipe).map(Self::Instance));
        };
        let kwargs = recipe.kwargs().map(Object::as_dict);
        match (callable.value(), kwargs) {
            (Value::Global(global), None) => match kind::of_global(global) {
                Some(kind) => kind.read(&Call { object, global, new, args, kwargs: None }, budget),
                None => Ok(Instance::of(recipe).map(Self::Instance)),
            },
            (Value::Recipe(made), None) if !new => functools::called(object, made, args, budget),
            _ => Ok(Instance::of(recipe).map(Self::Instance)),
        }
    }
}
