//! The kinds of view: each is what some rows of the whitelist say their globals make, and the
//! function that reads it from a call.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::call::{Call, Read};
use super::{
    array, builtins, collections, datetime, functools, iterators, numbers, pathlib, text, types,
    uuid,
};
use crate::base::Budget;
use crate::pickle::Global;
use crate::python::names::spellings;
use crate::python::whitelist::{self, Known};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident => $read:path,)*) => {
        /// What the globals of a row of the whitelist make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[doc = $doc])* $name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Reads a call of a global of this kind.
            pub(super) fn read<'graph>(
                self,
                call: &Call<'graph>,
                budget: &mut Budget,
            ) -> Read<'graph> {
                match self { $(Self::$name => $read(call, budget),)* }
            }
        }
    };
}

kinds! {
    /// `complex(re, im)`.
    Complex => builtins::complex,
    /// `bytes()` and `bytes(bytes)`.
    Bytes => builtins::bytes,
    /// `_codecs.encode(text, 'latin1')`: bytes.
    Encoded => builtins::encoded,
    /// `bytearray(bytes)` and `bytearray(text, 'latin-1')`.
    ByteArray => builtins::bytearray,
    /// `set([…])`.
    Set => builtins::set,
    /// `frozenset([…])`.
    FrozenSet => builtins::frozenset,
    /// `list([…])`.
    List => builtins::list,
    /// `tuple([…])`.
    Tuple => builtins::tuple,
    /// `int`, `float`, `bool` or `str` of a value of that type, or of nothing.
    Scalar => builtins::scalar,
    /// `range(start, stop, step)`.
    Range => builtins::range,
    /// `slice(start, stop, step)`.
    Slice => builtins::slice,
    /// `type(None)`.
    Type => builtins::type_of,
    /// `object()`.
    Object => builtins::object,
    /// An exception with its arguments.
    Exception => builtins::exception,
    /// `getattr(owner, name)`.
    Attribute => functools::attribute,
    /// `functools.partial(…)`.
    Partial => functools::partial,
    /// `operator.itemgetter(…)`.
    ItemGetter => functools::item_getter,
    /// `operator.attrgetter(…)`.
    AttrGetter => functools::attr_getter,
    /// `operator.methodcaller(…)`.
    MethodCaller => functools::method_caller,
    /// `iter(over)`.
    Iter => iterators::iter,
    /// `reversed(over)`.
    Reversed => iterators::reversed,
    /// `enumerate(over, next)`.
    Enumerate => iterators::enumerate,
    /// `itertools.count(start, step)`.
    Count => iterators::count,
    /// `itertools.repeat(object, times)`.
    Repeat => iterators::repeat,
    /// `itertools.cycle(over)`.
    Cycle => iterators::cycle,
    /// `itertools.chain()`.
    Chain => iterators::chain,
    /// `dict(…)`.
    Dict => collections::dict,
    /// `collections.OrderedDict(…)`.
    OrderedDict => collections::ordered_dict,
    /// `collections.defaultdict(factory, …)`.
    DefaultDict => collections::default_dict,
    /// `collections.Counter(…)`.
    Counter => collections::counter,
    /// `collections.deque(items, maxlen)`.
    Deque => collections::deque,
    /// A `collections.ChainMap` by its state.
    ChainMap => collections::chain_map,
    /// A `UserDict`, `UserList` or `UserString` by its state.
    User => collections::user,
    /// `generic[parameters]`, by `_operator.getitem`.
    GetItem => types::get_item,
    /// `types.GenericAlias(origin, parameters)`.
    GenericAlias => types::generic_alias,
    /// A `types.SimpleNamespace` by its state.
    SimpleNamespace => types::simple_namespace,
    /// An `argparse.Namespace` by its state.
    Namespace => types::namespace,
    /// A member of a known enumeration, by its value.
    Member => types::member,
    /// `copyreg._reconstructor(class, base, value)`.
    Reconstructor => types::reconstructor,
    /// `copyreg.__newobj__(class, …)`.
    NewObj => types::new_obj,
    /// `copyreg.__newobj_ex__(class, args, kwargs)`.
    NewObjEx => types::new_obj_ex,
    /// `fractions.Fraction(…)`.
    Fraction => numbers::fraction,
    /// `decimal.Decimal(text)`.
    Decimal => numbers::decimal,
    /// A `random.Random` by its state.
    Random => numbers::random,
    /// `datetime.datetime(…)`.
    DateTime => datetime::datetime,
    /// `datetime.date(…)`.
    Date => datetime::date,
    /// `datetime.time(…)`.
    Time => datetime::time,
    /// `datetime.timedelta(days, seconds, microseconds)`.
    TimeDelta => datetime::timedelta,
    /// `datetime.timezone(offset, name)`.
    TimeZone => datetime::timezone,
    /// `zoneinfo.ZoneInfo._unpickle(key, …)`.
    Zone => datetime::zone,
    /// A `uuid.UUID` by its state.
    Uuid => uuid::uuid,
    /// A path of `/`, by its parts.
    PosixPath => pathlib::posix,
    /// A path of `\` and drives, by its parts.
    WindowsPath => pathlib::windows,
    /// `re._compile(pattern, flags)`.
    Pattern => text::pattern,
    /// `logging.getLogger(name)`.
    Logger => text::logger,
    /// An address, network or interface of `ipaddress`.
    Ip => text::ip,
    /// `array.array(typecode, items)`.
    Array => array::listed,
    /// `array._array_reconstructor(class, typecode, format, bytes)`.
    ArrayReconstructor => array::packed,
}

impl Kind {
    /// Whether it makes what holds nothing and never changes, so that its sharing means nothing.
    pub(crate) const fn is_atom(self) -> bool {
        matches!(
            self,
            Self::Complex
                | Self::Bytes
                | Self::Encoded
                | Self::Scalar
                | Self::Range
                | Self::Type
                | Self::Fraction
                | Self::Decimal
                | Self::Date
                | Self::TimeDelta
                | Self::TimeZone
                | Self::Zone
                | Self::PosixPath
                | Self::WindowsPath
                | Self::Ip
        )
    }
}

#[cfg(feature = "scan")]
impl Kind {
    /// Whether a call goes through all of what it is given at once, or makes as many bytes as it
    /// is told.
    pub(crate) const fn unfolds(self) -> bool {
        matches!(
            self,
            Self::Bytes
                | Self::ByteArray
                | Self::Set
                | Self::FrozenSet
                | Self::List
                | Self::Tuple
                | Self::Dict
                | Self::OrderedDict
                | Self::Counter
                | Self::Deque
                | Self::User
                | Self::Array
        )
    }

    /// Whether it may give more items than the file holds, or never end.
    pub(crate) const fn is_lazy(self) -> bool {
        matches!(
            self,
            Self::Range
                | Self::Count
                | Self::Repeat
                | Self::Cycle
                | Self::Chain
                | Self::Iter
                | Self::Reversed
                | Self::Enumerate
        )
    }
}

/// The kind of what `name` of `module` makes, whichever Python spells it.
pub(super) fn of(module: &[u8], name: &[u8]) -> Option<Kind> {
    static KINDS: LazyLock<Table> = LazyLock::new(table);
    KINDS.get(module)?.get(name).copied()
}

/// As [`of`].
pub(super) fn of_global(global: Global) -> Option<Kind> {
    of(global.module, global.name)
}

/// Kinds by module and name.
type Table = HashMap<Vec<u8>, HashMap<Vec<u8>, Kind>>;

fn table() -> Table {
    let mut kinds = Table::new();
    for row in whitelist::rows() {
        let Known::View(kind) = row.known else { continue };
        spellings(row.module, row.names, |module, name| {
            let names = kinds.entry(module.into_owned().into()).or_default();
            names.insert(name.into(), kind);
        });
    }
    kinds
}
