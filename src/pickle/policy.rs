//! Which globals a reader admits, and where. Plain data: it can be printed and compared, and
//! nothing of it runs. Safety does not rest on it, since nothing recorded can be called; it
//! decides how early to refuse.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::graph::Global;
use super::uses::Handing;

/// How a global is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Position {
    /// Called: REDUCE.
    Call,
    /// Instantiated: NEWOBJ, NEWOBJ_EX, OBJ, INST.
    Instance,
    /// Mentioned.
    Value,
    /// Given new state by BUILD, which would change the class or function itself.
    Target,
    /// Called, and what it returned called in turn or instantiated.
    Computed,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Instance => "class of an instance",
            Self::Value => "value",
            Self::Target => "target of BUILD",
            Self::Computed => "call of what a call returned",
        })
    }
}

/// Whose reader a stream is read as. They differ only behind the BUILD of what joblib writes for an
/// array (`joblib.numpy_pickle.NumpyArrayWrapper`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reading {
    /// `joblib.load`: the array's elements follow in the stream, and the array takes the wrapper's
    /// place.
    #[default]
    Joblib,
    /// `joblib.load` of before joblib 1.2, which knows of no padding before the elements.
    JoblibUnaligned,
    /// `pickle.load`: the next operation follows, whatever the bytes are meant for.
    Plain,
}

/// A set of [`Position`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Positions(u8);

impl Positions {
    /// No position: the global is refused wherever it stands.
    pub const NONE: Self = Self(0);
    /// Every position.
    pub const ALL: Self = Self(0b1_1111);

    /// The set of one.
    #[must_use]
    pub const fn only(position: Position) -> Self {
        Self(1 << position as u8)
    }

    /// What is in either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `position` is in it.
    #[must_use]
    pub const fn has(self, position: Position) -> bool {
        self.0 & 1 << position as u8 != 0
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Position> {
        use Position::{Call, Computed, Instance, Target, Value};
        [Call, Instance, Value, Target, Computed].into_iter().filter(move |&at| self.has(at))
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Which globals a rule speaks about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One global, by its exact bytes.
    Name {
        /// Its module.
        module: Box<[u8]>,
        /// Its qualified name.
        name: Box<[u8]>,
    },
    /// All of a module and of its submodules.
    Module(Box<[u8]>),
    /// All of a module, and nothing of its submodules.
    Only(Box<[u8]>),
    /// All of a module and of its submodules that are named as classes are: without a dot,
    /// beginning with a capital.
    Classes(Box<[u8]>),
    /// All of modules that have this name inside of others: `six.moves.builtins` is in `moves`.
    Inner(Box<[u8]>),
    /// All whose qualified name leads through this attribute: `a.os.b` leads through `os`.
    Through(Box<[u8]>),
    /// All of exactly this name, whatever their module.
    Named(Box<[u8]>),
    /// All whose `module.name` matches: `*` stands for any bytes, `?` for any one.
    Glob(Box<[u8]>),
}

impl Pattern {
    /// The global `name` of `module`.
    #[must_use]
    pub fn name(module: &str, name: &str) -> Self {
        Self::Name { module: module.as_bytes().into(), name: name.as_bytes().into() }
    }

    /// Every global of `module` and its submodules.
    #[must_use]
    pub fn module(module: &str) -> Self {
        Self::Module(module.as_bytes().into())
    }

    /// Every global of `module` itself.
    #[must_use]
    pub fn only(module: &str) -> Self {
        Self::Only(module.as_bytes().into())
    }

    /// Every global of `module` and its submodules that is named as a class is.
    #[must_use]
    pub fn classes(module: &str) -> Self {
        Self::Classes(module.as_bytes().into())
    }

    /// Every global of a module that is called `part` inside of another.
    #[must_use]
    pub fn inner(part: &str) -> Self {
        Self::Inner(part.as_bytes().into())
    }

    /// Every global that is called `name` in its module.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Named(name.as_bytes().into())
    }

    /// Every global whose dotted name leads through `attribute`.
    #[must_use]
    pub fn through(attribute: &str) -> Self {
        Self::Through(attribute.as_bytes().into())
    }

    /// Every global whose `module.name` matches `glob`.
    #[must_use]
    pub fn glob(glob: &str) -> Self {
        Self::Glob(glob.as_bytes().into())
    }

    /// Whether `global` is meant.
    #[must_use]
    pub fn matches(&self, global: Global) -> bool {
        match self {
            Self::Name { module, name } => **module == *global.module && **name == *global.name,
            Self::Module(module) => enclosing(global.module).any(|outer| *outer == **module),
            Self::Classes(module) => {
                is_named_as_class(global.name)
                    && enclosing(global.module).any(|outer| *outer == **module)
            }
            Self::Only(module) => **module == *global.module,
            Self::Inner(part) => inner(global.module).any(|inner| *inner == **part),
            Self::Named(name) => **name == *global.name,
            Self::Through(attribute) => passed(global.name).any(|part| *part == **attribute),
            Self::Glob(glob) => glob_matches(glob, &[global.module, b".", global.name].concat()),
        }
    }
}

/// A module and those it lies in, innermost first.
fn enclosing(module: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(module), |inner| {
        let dot = inner.iter().rposition(|&byte| byte == b'.')?;
        inner.get(..dot)
    })
}

/// The parts of a module's path, but for the outermost.
fn inner(module: &[u8]) -> impl Iterator<Item = &[u8]> {
    module.split(|&byte| byte == b'.').skip(1)
}

/// Whether a name has no dot and begins, underscores aside, with a capital.
fn is_named_as_class(name: &[u8]) -> bool {
    let first = name.iter().find(|&&byte| byte != b'_');
    first.is_some_and(u8::is_ascii_uppercase) && !name.contains(&b'.')
}

/// The parts of a dotted name; none if it has no dot.
fn passed(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dotted = name.contains(&b'.').then_some(name);
    dotted.into_iter().flat_map(|name| name.split(|&byte| byte == b'.'))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { module, name } => Global { module, name }.fmt(f),
            Self::Module(module) => write!(f, "module {}", String::from_utf8_lossy(module)),
            Self::Only(module) => {
                write!(f, "module {} alone", String::from_utf8_lossy(module))
            }
            Self::Classes(module) => {
                write!(f, "classes of {}", String::from_utf8_lossy(module))
            }
            Self::Inner(part) => write!(f, "modules *.{}", String::from_utf8_lossy(part)),
            Self::Named(name) => write!(f, "any {}", String::from_utf8_lossy(name)),
            Self::Through(attribute) => {
                write!(f, "through {}", String::from_utf8_lossy(attribute))
            }
            Self::Glob(glob) => f.write_str(&String::from_utf8_lossy(glob)),
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

/// One line of a policy: the globals that match may stand in these positions, no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which globals.
    pub pattern: Pattern,
    /// Where they may stand.
    pub positions: Positions,
}

/// Which globals are admitted where, and what extension codes mean.
///
/// ```
/// use depickle::pickle::{Pattern, Policy, Position, Positions, Rule};
///
/// let policy = Policy::inspect().with(Rule {
///     pattern: Pattern::glob("os.*"),
///     positions: Positions::NONE,
/// });
/// assert!(!policy.judge("os", "system").has(Position::Call));
/// assert!(policy.judge("torch", "Size").has(Position::Call));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(Arc<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    name: &'static str,
    rules: Vec<Rule>,
    otherwise: Positions,
    index: Index,
    extensions: BTreeMap<u32, (Box<str>, Box<str>)>,
    reading: Reading,
    /// By name, then by module.
    handings: HashMap<Box<[u8]>, ByModule>,
}

type Numbers = HashMap<Box<[u8]>, usize>;
type ByModule = HashMap<Box<[u8]>, &'static [Handing]>;

/// Numbers of rules by what they speak about: the last for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    /// By name, then by module: so that looking up needs no key of both.
    names: HashMap<Box<[u8]>, Numbers>,
    modules: Numbers,
    only: Numbers,
    classes: Numbers,
    inner: Numbers,
    attributes: Numbers,
    named: Numbers,
    globs: Vec<usize>,
}

impl Policy {
    /// A policy of `rules`, the last that matches deciding; `otherwise` decides about
    /// globals that none matches.
    #[must_use]
    pub fn new(
        name: &'static str,
        rules: impl IntoIterator<Item = Rule>,
        otherwise: Positions,
    ) -> Self {
        let (index, extensions, handings) = (Index::default(), BTreeMap::new(), HashMap::new());
        let reading = Reading::Joblib;
        let mut inner =
            Inner { name, rules: Vec::new(), otherwise, index, extensions, reading, handings };
        rules.into_iter().for_each(|rule| inner.add(rule));
        Self(Arc::new(inner))
    }

    /// Records everything, refuses nothing.
    #[must_use]
    pub fn inspect() -> Self {
        Self::new("inspect", [], Positions::ALL)
    }

    /// This policy with one more rule, which counts before all others.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        Arc::make_mut(&mut self.0).add(rule);
        self
    }

    /// This policy with a meaning for one extension code, as `copyreg.add_extension` gives.
    #[must_use]
    pub fn with_extension(mut self, code: u32, module: &str, name: &str) -> Self {
        Arc::make_mut(&mut self.0).extensions.insert(code, (module.into(), name.into()));
        self
    }

    /// This policy, for streams read as `reading` says.
    #[must_use]
    pub fn with_reading(mut self, reading: Reading) -> Self {
        Arc::make_mut(&mut self.0).reading = reading;
        self
    }

    /// How streams are read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.0.reading
    }

    /// This policy, told what the global `name` of `module` does with what it is called with.
    #[must_use]
    pub fn with_handing(mut self, module: &str, name: &str, ways: &'static [Handing]) -> Self {
        let by_module = &mut Arc::make_mut(&mut self.0).handings;
        let by_module = by_module.entry(name.as_bytes().into()).or_default();
        by_module.insert(module.as_bytes().into(), ways);
        self
    }

    /// What `global` does with what it is called with, as far as the policy was told.
    #[must_use]
    pub fn handings(&self, global: Global) -> &'static [Handing] {
        let by_module = self.0.handings.get(global.name);
        by_module.and_then(|by_module| by_module.get(global.module)).copied().unwrap_or_default()
    }

    /// Whether it was told of any global what that does.
    pub(crate) fn knows_handings(&self) -> bool {
        !self.0.handings.is_empty()
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Its rules, in the order they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    /// Where globals may stand that no rule matches.
    #[must_use]
    pub fn otherwise(&self) -> Positions {
        self.0.otherwise
    }

    /// Where the global `name` of `module` may stand.
    #[must_use]
    pub fn judge(&self, module: &str, name: &str) -> Positions {
        self.admits(Global { module: module.as_bytes(), name: name.as_bytes() })
    }

    /// Where `global` may stand.
    #[must_use]
    pub fn admits(&self, global: Global) -> Positions {
        self.ruled(global).unwrap_or(self.0.otherwise)
    }

    /// Where `global` may stand by the last rule that matches; none if none does.
    #[must_use]
    pub fn ruled(&self, global: Global) -> Option<Positions> {
        let rule = self.0.last_rule(global).and_then(|number| self.0.rules.get(number));
        rule.map(|rule| rule.positions)
    }

    /// The number of the last rule that matches, among [`rules`](Self::rules).
    #[must_use]
    pub fn rule_number(&self, global: Global) -> Option<usize> {
        self.0.last_rule(global)
    }

    /// The global behind an extension code, if one was given.
    #[must_use]
    pub fn extension(&self, code: u32) -> Option<(&str, &str)> {
        self.0.extensions.get(&code).map(|(module, name)| (&**module, &**name))
    }
}

impl Inner {
    fn add(&mut self, rule: Rule) {
        let number = self.rules.len();
        match &rule.pattern {
            Pattern::Name { module, name } => {
                self.index.names.entry(name.clone()).or_default().insert(module.clone(), number);
            }
            Pattern::Module(module) => {
                self.index.modules.insert(module.clone(), number);
            }
            Pattern::Only(module) => {
                self.index.only.insert(module.clone(), number);
            }
            Pattern::Classes(module) => {
                self.index.classes.insert(module.clone(), number);
            }
            Pattern::Inner(part) => {
                self.index.inner.insert(part.clone(), number);
            }
            Pattern::Named(name) => {
                self.index.named.insert(name.clone(), number);
            }
            Pattern::Through(attribute) => {
                self.index.attributes.insert(attribute.clone(), number);
            }
            Pattern::Glob(_) => self.index.globs.push(number),
        }
        self.rules.push(rule);
    }

    /// The number of the last rule that matches.
    fn last_rule(&self, global: Global) -> Option<usize> {
        let Index { names, modules, only, classes, inner: parts, attributes, named, globs } =
            &self.index;
        let name = names.get(global.name).and_then(|by_module| by_module.get(global.module));
        let module = enclosing(global.module).filter_map(|module| modules.get(module));
        let is_class = is_named_as_class(global.name);
        let class = enclosing(global.module).filter_map(|module| classes.get(module));
        let class = class.filter(|_| is_class);
        let part = inner(global.module).filter_map(|part| parts.get(part));
        let attribute = passed(global.name).filter_map(|part| attributes.get(part));
        let called = named.get(global.name);
        let single = name.into_iter().chain(called).chain(only.get(global.module));
        let hashed = single.chain(module).chain(class).chain(part).chain(attribute).max().copied();
        let later = |number: &&usize| hashed.is_none_or(|hashed| **number > hashed);
        let matches = |number: &&usize| {
            self.rules.get(**number).is_some_and(|rule| rule.pattern.matches(global))
        };
        globs.iter().rev().take_while(later).find(matches).copied().or(hashed)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy {}", self.name())?;
        for Rule { pattern, positions } in self.rules() {
            writeln!(f, "  {pattern}: {positions:?}")?;
        }
        writeln!(f, "  otherwise: {:?}", self.otherwise())
    }
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

    #[test]
    fn the_last_rule_that_matches_decides() {
        let rule = |pattern, positions| Rule { pattern, positions };
        let policy = Policy::new(
            "test",
            [
                rule(Pattern::glob("os.*"), Positions::NONE),
                rule(Pattern::name("os", "sep"), Positions::ALL),
            ],
            Positions::only(Position::Value),
        );
        assert_eq!(policy.judge("os", "system"), Positions::NONE);
        assert_eq!(policy.judge("os", "sep"), Positions::ALL);
        assert_eq!(policy.judge("x", "y"), Positions::only(Position::Value));
        let policy = policy.with(rule(Pattern::glob("*sep"), Positions::NONE));
        assert_eq!(policy.judge("os", "sep"), Positions::NONE);
        let policy = policy.with(rule(Pattern::module("a.b"), Positions::ALL));
        assert_eq!(policy.judge("a.b.c", "x"), Positions::ALL);
        assert_eq!(policy.judge("a.bc", "x"), Positions::only(Position::Value));
        let policy = policy.with(rule(Pattern::through("os"), Positions::NONE));
        assert_eq!(policy.judge("a.b", "c.os.system"), Positions::NONE);
        assert_eq!(policy.judge("a.b", "os"), Positions::ALL, "no dotted name");
    }
}
