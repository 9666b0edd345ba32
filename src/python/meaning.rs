//! Plain values that older protocols spell as calls: sets, bytes, complex numbers.
//!
//! Source: CPython 3.11 `Lib/pickle.py` (`save_bytes`, `save_bytearray`, `save_set`),
//! `Objects/complexobject.c` (`__getnewargs__`), `Lib/copyreg.py`.

use super::names;
use crate::pickle::{Global, Items, Make, Object, Recipe, Value};

/// What a recipe stands for, if Python has a literal or display for it.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'graph> {
    /// `complex(re, im)`.
    Complex(f64, f64),
    /// `set([…])`.
    Set(Items<'graph>),
    /// `frozenset([…])`.
    FrozenSet(Items<'graph>),
    /// `_codecs.encode(text, 'latin1')`: the text, each character of it one byte. None in it
    /// for `bytes()`.
    Bytes(&'graph str),
    /// `bytearray(_codecs.encode(…))` or `bytearray(bytes)`; none for `bytearray()`.
    ByteArray(Option<Object<'graph>>),
}

impl<'graph> Meaning<'graph> {
    /// What `recipe` stands for; none if it is not a call of that form alone.
    #[must_use]
    pub fn of(recipe: Recipe<'graph>) -> Option<Self> {
        let global = recipe.callable().as_global()?;
        let unchanged = recipe.object().effects().next().is_none();
        if recipe.make() != Make::Reduce || !unchanged {
            return None;
        }
        let args = recipe.args().as_tuple()?;
        if is_builtin(global, b"complex") {
            let [re, im] = args.array()?;
            return Some(Self::Complex(float(re)?, float(im)?));
        }
        if global.is("_codecs", "encode") {
            let [text, encoding] = args.array()?;
            let latin1 = matches!(encoding.as_str()?, "latin1" | "latin-1");
            return text
                .as_str()
                .filter(|_| latin1)
                .filter(|text| is_latin1(text))
                .map(Self::Bytes);
        }
        let given = match args.len() {
            0 if is_builtin(global, b"bytes") => return Some(Self::Bytes("")),
            0 if is_builtin(global, b"bytearray") => return Some(Self::ByteArray(None)),
            1 => args.get(0)?,
            _ => return None,
        };
        // Python would have used the list as it was then.
        if given.changed() > recipe.object().offset() {
            return None;
        }
        match given.value() {
            Value::List(items) | Value::Tuple(items) if is_builtin(global, b"set") => {
                Some(Self::Set(items))
            }
            Value::List(items) | Value::Tuple(items) if is_builtin(global, b"frozenset") => {
                Some(Self::FrozenSet(items))
            }
            Value::Bytes(_) | Value::Recipe(_) if is_builtin(global, b"bytearray") => {
                given_bytes(given).map(|_| Self::ByteArray(Some(given)))
            }
            _ => None,
        }
    }
}

/// The bytes of a `bytes` object, spelled either way.
#[must_use]
pub fn given_bytes(object: Object) -> Option<Vec<u8>> {
    match object.value() {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Recipe(recipe) => match Meaning::of(recipe)? {
            Meaning::Bytes(text) => Some(latin1(text)),
            _ => None,
        },
        _ => None,
    }
}

/// One byte a character, for text that has none above U+00FF.
#[must_use]
pub fn latin1(text: &str) -> Vec<u8> {
    text.chars().filter_map(|char| u8::try_from(u32::from(char)).ok()).collect()
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|char| u32::from(char) < 256)
}

fn is_builtin(global: Global, name: &[u8]) -> bool {
    global.name == name && names::is_builtins(global.module)
}

fn float(object: Object) -> Option<f64> {
    match object.value() {
        Value::Float(value) => Some(value),
        _ => None,
    }
}

/// The class that a recipe makes an instance of, as far as its form tells: the class given to
/// NEWOBJ, INST or OBJ, or to one of `copyreg`'s helpers, or called if it is known as a class.
/// None for calls of functions.
#[must_use]
pub fn instance_of(recipe: Recipe<'_>) -> Option<Instance<'_>> {
    let (callable, args) = (recipe.callable(), recipe.args());
    if recipe.make() != Make::Reduce {
        return Some(Instance { class: callable, args: Some(args) });
    }
    let global = callable.as_global()?;
    if matches!(global.module, b"copyreg" | b"copy_reg") {
        let items = args.as_tuple()?;
        let class = items.get(0)?;
        return match (global.name, items.len()) {
            (b"_reconstructor", 3) if items.get(2)?.is_none() => {
                Some(Instance { class, args: None })
            }
            _ => None,
        };
    }
    is_class(global).then_some(Instance { class: callable, args: Some(args) })
}

/// An instance as a recipe describes it.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'graph> {
    /// Its class.
    pub class: Object<'graph>,
    /// What the class was called with; none if it was not called.
    pub args: Option<Object<'graph>>,
}

/// Classes whose names begin as functions' do.
#[rustfmt::skip]
const LOWERCASE: &[(&str, &str)] = &[
    ("collections", "defaultdict deque"),
    ("datetime", "datetime date time timedelta timezone tzinfo"),
    ("functools", "partial"),
    ("itertools", "count cycle repeat chain"),
    ("builtins", "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type"),
    ("numpy", "dtype ndarray"),
    ("torch", "device dtype"),
];

/// Whether a global is a class by its name: PEP 8's capital, or one of those listed.
fn is_class(global: Global) -> bool {
    let name = global.name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let capital = name.iter().find(|&&byte| byte != b'_').is_some_and(u8::is_ascii_uppercase);
    let listed = |(module, names): &(&str, &str)| {
        let in_module = global.module == module.as_bytes()
            || (*module == "builtins" && names::is_builtins(global.module));
        in_module && names.split(' ').any(|known| known.as_bytes() == global.name)
    };
    capital || LOWERCASE.iter().any(listed)
}
