//! Which globals a reader admits, and where. Plain data: it can be printed and compared, and
//! nothing of it runs. Safety does not rest on it, since nothing recorded can be called; it
//! decides how early to refuse.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

use super::graph::Global;
use super::pattern::{Key, Pattern, Text, enclosing, inner, is_named_as_class, passed};
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

/// A global's module and name, and what it does.
type Handed = (Text, Text, &'static [Handing]);

#[derive(Clone, Debug)]
struct Inner {
    name: &'static str,
    rules: Vec<Rule>,
    otherwise: Positions,
    extensions: BTreeMap<u32, (Box<str>, Box<str>)>,
    reading: Reading,
    handings: Vec<Handed>,
    /// Numbers of rules, the last for each key.
    by_key: Numbers,
    /// Numbers of the rules that have no key, for they are globs.
    globs: Vec<usize>,
    /// Numbers of handings.
    by_global: Numbers,
    /// Whether one of their names begins with that byte.
    handed_first: [bool; 256],
}

impl PartialEq for Inner {
    /// The numbers follow from what they number.
    fn eq(&self, other: &Self) -> bool {
        let parts = |inner: &Self| (inner.name, inner.otherwise, inner.reading);
        parts(self) == parts(other)
            && self.rules == other.rules
            && self.extensions == other.extensions
            && self.handings == other.handings
    }
}

impl Eq for Inner {}

impl Policy {
    /// A policy of `rules`, the last that matches deciding; `otherwise` decides about
    /// globals that none matches.
    #[must_use]
    pub fn new(
        name: &'static str,
        rules: impl IntoIterator<Item = Rule>,
        otherwise: Positions,
    ) -> Self {
        let rules = rules.into_iter();
        let mut inner = Inner {
            name,
            rules: Vec::with_capacity(rules.size_hint().0),
            otherwise,
            extensions: BTreeMap::new(),
            reading: Reading::Joblib,
            handings: Vec::new(),
            by_key: Numbers::with_capacity(rules.size_hint().0),
            globs: Vec::new(),
            by_global: Numbers::default(),
            handed_first: [false; 256],
        };
        rules.for_each(|rule| inner.add(rule));
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
    pub fn with_handing(
        mut self,
        module: impl Into<Text>,
        name: impl Into<Text>,
        ways: &'static [Handing],
    ) -> Self {
        self.tell(module.into(), name.into(), ways);
        self
    }

    /// As [`with_handing`](Self::with_handing).
    pub(crate) fn tell(&mut self, module: Text, name: impl Into<Text>, ways: &'static [Handing]) {
        Arc::make_mut(&mut self.0).add_handing(module, name.into(), ways);
    }

    /// What `global` does with what it is called with, as far as the policy was told.
    #[must_use]
    pub fn handings(&self, global: Global) -> &'static [Handing] {
        let Global { module, name } = global;
        // Most names begin as none of them does.
        let is_handed = |first: &u8| self.0.handed_first.get(usize::from(*first)) == Some(&true);
        if !name.first().is_some_and(is_handed) {
            return &[];
        }
        let handing =
            self.0.by_global.find(&Key::Name(module, name), |number| self.0.handed(number));
        handing.and_then(|number| self.0.handings.get(number)).map_or(&[], |(_, _, ways)| ways)
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
        self.rules.push(rule);
        let Self { rules, by_key, globs, .. } = self;
        let key = |number| key(rules, number);
        match key(number) {
            Some(own) => by_key.set(&own, number, key),
            None => globs.push(number),
        }
    }

    fn add_handing(&mut self, module: Text, name: Text, ways: &'static [Handing]) {
        let number = self.handings.len();
        let first = name.as_bytes().first().map(|&first| usize::from(first));
        if let Some(known) = first.and_then(|first| self.handed_first.get_mut(first)) {
            *known = true;
        }
        self.handings.push((module, name, ways));
        let Self { handings, by_global, .. } = self;
        let key = |number| handed(handings, number);
        if let Some(own) = key(number) {
            by_global.set(&own, number, key);
        }
    }

    fn handed(&self, number: usize) -> Option<Key<'_>> {
        handed(&self.handings, number)
    }

    /// The number of the last rule that matches.
    fn last_rule(&self, global: Global) -> Option<usize> {
        let Global { module, name } = global;
        let find = |sought: Key| self.by_key.find(&sought, |number| key(&self.rules, number));
        let single = [Key::Name(module, name), Key::Named(name), Key::Only(module)];
        let classes = is_named_as_class(name).then(|| enclosing(module).map(Key::Classes));
        let keys = single
            .into_iter()
            .chain(enclosing(module).map(Key::Module))
            .chain(classes.into_iter().flatten())
            .chain(inner(module).map(Key::Inner))
            .chain(passed(name).map(Key::Through));
        let keyed = keys.filter_map(find).max();
        let later = |number: &&usize| keyed.is_none_or(|keyed| **number > keyed);
        let matches = |number: &&usize| {
            self.rules.get(**number).is_some_and(|rule| rule.pattern.matches(global))
        };
        self.globs.iter().rev().take_while(later).find(matches).copied().or(keyed)
    }
}

/// What rule `number` is found by.
fn key(rules: &[Rule], number: usize) -> Option<Key<'_>> {
    rules.get(number)?.pattern.key()
}

/// What handing `number` is found by.
fn handed(handings: &[Handed], number: usize) -> Option<Key<'_>> {
    let (module, name, _) = handings.get(number)?;
    Some(Key::Name(module.as_bytes(), name.as_bytes()))
}

/// Places in a list, found by keys that the list itself holds: nothing is stored twice.
#[derive(Clone, Debug, Default)]
struct Numbers {
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Numbers {
    fn with_capacity(count: usize) -> Self {
        Self { table: HashTable::with_capacity(count), ..Self::default() }
    }

    /// Makes `number` the place of `key`, if another was it before.
    fn set<'list>(
        &mut self,
        key: &Key,
        number: usize,
        key_of: impl Fn(usize) -> Option<Key<'list>>,
    ) {
        let Self { table, hasher } = self;
        let same = |at: &usize| key_of(*at).as_ref() == Some(key);
        let rehash = |at: &usize| hasher.hash_one(key_of(*at));
        match table.entry(hasher.hash_one(Some(key)), same, rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = number,
            Entry::Vacant(entry) => {
                entry.insert(number);
            }
        }
    }

    fn find<'list>(
        &self,
        key: &Key,
        key_of: impl Fn(usize) -> Option<Key<'list>>,
    ) -> Option<usize> {
        let same = |at: &usize| key_of(*at).as_ref() == Some(key);
        self.table.find(self.hasher.hash_one(Some(key)), same).copied()
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
