//! Which globals a rule of a [policy](super::Policy) speaks about.

use std::borrow::Cow;
use std::fmt;

use super::graph::Global;

/// A name in a [`Pattern`]: of a table, or of somebody's own.
pub(super) type Text = Cow<'static, str>;

/// Which globals a rule speaks about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One global.
    Name {
        /// Its module.
        module: Text,
        /// Its qualified name.
        name: Text,
    },
    /// All of a module and of its submodules.
    Module(Text),
    /// All of a module, and nothing of its submodules.
    Only(Text),
    /// All of a module and of its submodules that are named as classes are: without a dot,
    /// beginning with a capital.
    Classes(Text),
    /// All of modules that have this name inside of others: `six.moves.builtins` is in `moves`.
    Inner(Text),
    /// All whose qualified name leads through this attribute: `a.os.b` leads through `os`.
    Through(Text),
    /// All of exactly this name, whatever their module.
    Named(Text),
    /// All whose `module.name` matches: `*` stands for any bytes, `?` for any one.
    Glob(Text),
}

impl Pattern {
    /// The global `name` of `module`.
    #[must_use]
    pub fn name(module: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self::Name { module: module.into(), name: name.into() }
    }

    /// Every global of `module` and its submodules.
    #[must_use]
    pub fn module(module: impl Into<Text>) -> Self {
        Self::Module(module.into())
    }

    /// Every global of `module` itself.
    #[must_use]
    pub fn only(module: impl Into<Text>) -> Self {
        Self::Only(module.into())
    }

    /// Every global of `module` and its submodules that is named as a class is.
    #[must_use]
    pub fn classes(module: impl Into<Text>) -> Self {
        Self::Classes(module.into())
    }

    /// Every global of a module that is called `part` inside of another.
    #[must_use]
    pub fn inner(part: impl Into<Text>) -> Self {
        Self::Inner(part.into())
    }

    /// Every global that is called `name` in its module.
    #[must_use]
    pub fn named(name: impl Into<Text>) -> Self {
        Self::Named(name.into())
    }

    /// Every global whose dotted name leads through `attribute`.
    #[must_use]
    pub fn through(attribute: impl Into<Text>) -> Self {
        Self::Through(attribute.into())
    }

    /// Every global whose `module.name` matches `glob`.
    #[must_use]
    pub fn glob(glob: impl Into<Text>) -> Self {
        Self::Glob(glob.into())
    }

    /// Whether `global` is meant.
    #[must_use]
    pub fn matches(&self, global: Global) -> bool {
        let is = |text: &Text, bytes: &[u8]| text.as_bytes() == bytes;
        let within = |module| enclosing(global.module).any(|outer| is(module, outer));
        match self {
            Self::Name { module, name } => is(module, global.module) && is(name, global.name),
            Self::Module(module) => within(module),
            Self::Classes(module) => is_named_as_class(global.name) && within(module),
            Self::Only(module) => is(module, global.module),
            Self::Inner(part) => inner(global.module).any(|inner| is(part, inner)),
            Self::Named(name) => is(name, global.name),
            Self::Through(attribute) => passed(global.name).any(|part| is(attribute, part)),
            Self::Glob(glob) => {
                glob_matches(glob.as_bytes(), &[global.module, b".", global.name].concat())
            }
        }
    }

    /// What it is found by, of a global that it matches; none of globs.
    pub(super) fn key(&self) -> Option<Key<'_>> {
        Some(match self {
            Self::Name { module, name } => Key::Name(module.as_bytes(), name.as_bytes()),
            Self::Module(module) => Key::Module(module.as_bytes()),
            Self::Only(module) => Key::Only(module.as_bytes()),
            Self::Classes(module) => Key::Classes(module.as_bytes()),
            Self::Inner(part) => Key::Inner(part.as_bytes()),
            Self::Through(attribute) => Key::Through(attribute.as_bytes()),
            Self::Named(name) => Key::Named(name.as_bytes()),
            Self::Glob(_) => return None,
        })
    }
}

/// What a [`Pattern`] is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<'text> {
    Name(&'text [u8], &'text [u8]),
    Module(&'text [u8]),
    Only(&'text [u8]),
    Classes(&'text [u8]),
    Inner(&'text [u8]),
    Through(&'text [u8]),
    Named(&'text [u8]),
}

/// A module and those it lies in, innermost first.
pub(super) fn enclosing(module: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(module), |inner| {
        let dot = inner.iter().rposition(|&byte| byte == b'.')?;
        inner.get(..dot)
    })
}

/// The parts of a module's path, but for the outermost.
pub(super) fn inner(module: &[u8]) -> impl Iterator<Item = &[u8]> {
    module.split(|&byte| byte == b'.').skip(1)
}

/// Whether a name has no dot and begins, underscores aside, with a capital.
pub(super) fn is_named_as_class(name: &[u8]) -> bool {
    let first = name.iter().find(|&&byte| byte != b'_');
    first.is_some_and(u8::is_ascii_uppercase) && !name.contains(&b'.')
}

/// The parts of a dotted name; none if it has no dot.
pub(super) fn passed(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dotted = name.contains(&b'.').then_some(name);
    dotted.into_iter().flat_map(|name| name.split(|&byte| byte == b'.'))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { module, name } => {
                Global { module: module.as_bytes(), name: name.as_bytes() }.fmt(f)
            }
            Self::Module(module) => write!(f, "module {module}"),
            Self::Only(module) => write!(f, "module {module} alone"),
            Self::Classes(module) => write!(f, "classes of {module}"),
            Self::Inner(part) => write!(f, "modules *.{part}"),
            Self::Named(name) => write!(f, "any {name}"),
            Self::Through(attribute) => write!(f, "through {attribute}"),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

/// Whether `text` matches `glob`, where `*` stands for any bytes and `?` for any one.
///
/// Takes time in proportion to the product of the lengths at worst, and no memory.
#[must_use]
pub fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0_usize, 0_usize);
    let mut retry = None;
    while let Some(byte) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g, t));
                g = g.saturating_add(1);
            }
            Some(b'?') => (g, t) = (g.saturating_add(1), t.saturating_add(1)),
            Some(literal) if literal == byte => (g, t) = (g.saturating_add(1), t.saturating_add(1)),
            _ => match retry {
                Some((star, from)) => {
                    let next = from.saturating_add(1);
                    retry = Some((star, next));
                    (g, t) = (star.saturating_add(1), next);
                }
                None => return false,
            },
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let yes =
            [("*", ""), ("os.*", "os.system"), ("a*b*c", "aXbbYc"), ("?.b", "a.b"), ("**", "x")];
        let no = [("os.*", "oss.x"), ("a*b", "aXc"), ("?", ""), ("", "a"), ("a*bc", "abcb")];
        for (glob, text) in yes {
            assert!(glob_matches(glob.as_bytes(), text.as_bytes()), "{glob} {text}");
        }
        for (glob, text) in no {
            assert!(!glob_matches(glob.as_bytes(), text.as_bytes()), "{glob} {text}");
        }
    }
}
