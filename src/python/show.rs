//! Any graph as text for people: indented, bounded in depth and in items.

use std::borrow::Cow;
use std::collections::HashMap;

use super::mapping;
use super::meaning::{self, Instance};
use super::repr::repr;
use super::views::spell::{self, Bracket, Parts, Spelling, spell};
use super::views::{self, Kind, View};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Items, NodeId, Object, Recipe, Value};

/// How much to show.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Extent {
    /// Levels of containers; deeper ones are counted only.
    pub depth: usize,
    /// Items of one container; further ones are counted only.
    pub items: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { depth: 16, items: 100 }
    }
}

impl Extent {
    /// Sets [`depth`](Self::depth), which no line can indent further than 256 levels.
    #[must_use]
    pub const fn with_depth(mut self, depth: usize) -> Self {
        self.depth = if depth > 256 { 256 } else { depth };
        self
    }

    /// Sets [`items`](Self::items).
    #[must_use]
    pub const fn with_items(mut self, items: usize) -> Self {
        self.items = items;
        self
    }
}

/// Text for objects that a layer above knows better, tensors say.
pub type Explain<'call, 'graph> = &'call dyn Fn(Object<'graph>) -> Option<String>;

/// `object` as indented text, a line an item. What stands in several places is shown once, by
/// `#n = …`, and as `#n` elsewhere.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover a step for each item.
pub fn show<'graph>(
    object: Object<'graph>,
    explain: Explain<'_, 'graph>,
    extent: Extent,
    budget: &mut Budget,
) -> Result<String, Exceeded> {
    let shared = shared(object, explain, budget)?;
    let mut printer = Printer {
        explain,
        extent,
        budget,
        shared,
        numbered: 0,
        out: String::new(),
        frames: Vec::new(),
    };
    printer.value(object)?;
    while !printer.frames.is_empty() {
        printer.line()?;
    }
    Ok(printer.out)
}

/// Containers that stand in several places, with a number once they are shown.
fn shared<'graph>(
    object: Object<'graph>,
    explain: Explain<'_, 'graph>,
    budget: &mut Budget,
) -> Result<HashMap<NodeId, usize>, Exceeded> {
    let mut places: HashMap<NodeId, usize> = HashMap::new();
    let mut todo = vec![object];
    while let Some(object) = todo.pop() {
        budget.visits(1)?;
        if !is_container(object) {
            continue;
        }
        let count = places.entry(object.id()).or_default();
        *count = count.saturating_add(1);
        if *count == 1 && explain(object).is_none() {
            object.each_child(|child| todo.push(child));
        }
        budget.memory(32)?;
    }
    places.retain(|_, count| *count > 1);
    for count in places.values_mut() {
        *count = 0;
    }
    Ok(places)
}

fn is_container(object: Object) -> bool {
    match object.value() {
        Value::List(_) | Value::Dict(_) | Value::Set(_) | Value::Recipe(_) => true,
        Value::Tuple(items) | Value::FrozenSet(items) => !items.is_empty(),
        _ => false,
    }
}

/// One line of a container: what stands before the value, and the value.
type Entry<'graph> = (Label<'graph>, Object<'graph>);

#[derive(Clone)]
enum Label<'graph> {
    None,
    /// `key: `
    Key(Object<'graph>),
    /// `name=`
    Name(Object<'graph>),
    /// The same, of a name in words.
    Word(String),
    /// `*`: arguments that are no plain tuple, a state that is no dict.
    Spread,
}

/// A container being shown.
struct Frame<'graph> {
    entries: std::vec::IntoIter<Entry<'graph>>,
    /// Entries not even taken, for there are too many.
    more: usize,
    close: Cow<'static, str>,
}

struct Printer<'run, 'graph> {
    explain: Explain<'run, 'graph>,
    extent: Extent,
    budget: &'run mut Budget,
    shared: HashMap<NodeId, usize>,
    /// How many of them have been shown.
    numbered: usize,
    out: String,
    frames: Vec<Frame<'graph>>,
}

impl<'graph> Printer<'_, 'graph> {
    /// The next line of the innermost container, or its end.
    fn line(&mut self) -> Result<(), Exceeded> {
        let level = self.frames.len();
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        match frame.entries.next() {
            Some((label, value)) => {
                self.new_line(level)?;
                self.label(label)?;
                self.value(value)
            }
            None if frame.more > 0 => {
                let more = std::mem::take(&mut frame.more);
                self.new_line(level)?;
                self.put(&format!("… {more} more"))
            }
            None => {
                let close = std::mem::take(&mut frame.close);
                self.frames.pop();
                self.new_line(level.saturating_sub(1))?;
                self.put(&close)
            }
        }
    }

    fn put(&mut self, text: &str) -> Result<(), Exceeded> {
        self.budget.memory(text.len() as u64)?;
        self.out.push_str(text);
        Ok(())
    }

    fn new_line(&mut self, level: usize) -> Result<(), Exceeded> {
        self.budget.visits(1)?;
        self.put("\n")?;
        self.put(&"  ".repeat(level))
    }

    fn label(&mut self, label: Label<'graph>) -> Result<(), Exceeded> {
        match label {
            Label::None => Ok(()),
            Label::Key(key) => {
                self.plain(key)?;
                self.put(": ")
            }
            Label::Name(name) => match name.as_str() {
                Some(name) => self.put(&format!("{}=", name.escape_debug())),
                None => self.label(Label::Key(name)),
            },
            Label::Word(name) => self.put(&format!("{}=", name.escape_debug())),
            Label::Spread => self.put("*"),
        }
    }

    /// A value on the current line; a container is opened.
    fn value(&mut self, object: Object<'graph>) -> Result<(), Exceeded> {
        if !is_container(object) {
            return self.plain(object);
        }
        if let Some(text) = self.atom(object)? {
            return self.put(&text);
        }
        match self.shared.get_mut(&object.id()) {
            Some(number @ 0) => {
                self.numbered = self.numbered.saturating_add(1);
                *number = self.numbered;
                self.put(&format!("#{} = ", self.numbered))?;
            }
            Some(number) => {
                let text = format!("#{number}");
                return self.put(&text);
            }
            None => {}
        }
        match (self.explain)(object) {
            Some(text) => self.put(&text),
            None => self.open(object),
        }
    }

    /// What holds nothing and never changes: whether two places hold one date or two equal ones
    /// means nothing.
    fn atom(&mut self, object: Object<'graph>) -> Result<Option<String>, Exceeded> {
        let atom = views::kind_of(object).is_some_and(Kind::is_atom);
        if !atom || (self.explain)(object).is_some() {
            return Ok(None);
        }
        let view = meaning::view(object, self.budget)?;
        let spelling = view.map(|view| spell(&view, self.budget)).transpose()?.flatten();
        Ok(match spelling {
            Some(Spelling::Text(text)) => Some(text),
            _ => None,
        })
    }

    /// What is no container, as Python writes it.
    fn plain(&mut self, object: Object<'graph>) -> Result<(), Exceeded> {
        let mut text = String::new();
        repr(object, self.explain, &mut text, self.budget)?;
        self.put(&text)
    }

    fn open(&mut self, object: Object<'graph>) -> Result<(), Exceeded> {
        let most = self.extent.items;
        let list = |items: Items<'graph>| entries(items, most);
        match object.value() {
            Value::List(items) => self.frame("[", list(items), items.len(), "]"),
            Value::Tuple(items) => self.frame("(", list(items), items.len(), ")"),
            Value::Set(items) => self.frame("{", list(items), items.len(), "}"),
            Value::FrozenSet(items) => self.frame("frozenset(", list(items), items.len(), ")"),
            Value::Dict(_) => {
                let pairs = mapping::pairs(object, self.budget)?.unwrap_or_default();
                let all = pairs.len();
                let pairs = pairs.into_iter().take(most);
                self.frame(
                    "{",
                    pairs.map(|(key, value)| (Label::Key(key), value)).collect(),
                    all,
                    "}",
                )
            }
            Value::Recipe(recipe) => match meaning::view(object, self.budget)? {
                Some(View::Set(items)) => self.frame("{", list(items), items.len(), "}"),
                Some(View::FrozenSet(items)) => {
                    self.frame("frozenset(", list(items), items.len(), ")")
                }
                Some(View::Instance(instance)) => self.instance(recipe, instance),
                Some(view) => match spell(&view, self.budget)? {
                    Some(Spelling::Text(text)) => self.put(&text),
                    Some(Spelling::Parts(parts)) => self.parts(object, parts),
                    Some(Spelling::Opaque(_)) | None => self.object(recipe),
                },
                None => self.object(recipe),
            },
            _ => self.plain(object),
        }
    }

    fn frame(
        &mut self,
        open: &str,
        entries: Vec<Entry<'graph>>,
        all: usize,
        close: impl Into<Cow<'static, str>>,
    ) -> Result<(), Exceeded> {
        let close = close.into();
        self.put(open)?;
        if all == 0 {
            return self.put(&close);
        }
        if self.frames.len() >= self.extent.depth {
            return self.put(&format!("… {all} items{close}"));
        }
        let more = all.saturating_sub(entries.len());
        self.frames.push(Frame { entries: entries.into_iter(), more, close });
        Ok(())
    }

    /// A view as Python writes it: on one line if it is no container and holds none.
    fn parts(&mut self, object: Object<'graph>, parts: Parts<'graph>) -> Result<(), Exceeded> {
        let bare = parts.attributes.is_empty() && !parts.lines;
        let types = parts.bracket == Bracket::Types;
        if bare && (types || parts.items.len() <= 8 && self.short(&parts)?) {
            return self.plain(object);
        }
        if let Value::Recipe(recipe) = object.value()
            && parts.wraps
        {
            return self.object(recipe);
        }
        let (open, close) = parts.brackets();
        let Parts { before, lead, after, items, attributes, .. } = parts;
        let most = self.extent.items;
        let count = items.len().saturating_add(attributes.len());
        self.put(&before)?;
        if let Some(lead) = lead {
            // A function, as a rule; whatever else it is stays on this line.
            self.plain(lead)?;
            self.put(", ")?;
        }
        let entry = |(label, value)| match label {
            spell::Label::None => (Label::None, value),
            spell::Label::Key(key) => (Label::Key(key), value),
            spell::Label::Name(name) => (Label::Word(name), value),
        };
        let attributes = attributes.into_iter().map(|(name, value)| (Label::Name(name), value));
        let entries = items.into_iter().map(entry).chain(attributes).take(most).collect();
        self.frame(open, entries, count, format!("{close}{after}"))
    }

    /// Whether no part of it needs lines of its own.
    fn short(&mut self, parts: &Parts<'graph>) -> Result<bool, Exceeded> {
        for &(_, part) in &parts.items {
            if !is_container(part) || (self.explain)(part).is_some() {
                continue;
            }
            let view = match part.value() {
                Value::Recipe(_) => meaning::view(part, self.budget)?,
                _ => None,
            };
            let text = match view {
                Some(view) => matches!(spell(&view, self.budget)?, Some(Spelling::Text(_))),
                None => false,
            };
            if !text {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `module.Class(arguments, attribute=…, key: …)`.
    fn object(&mut self, recipe: Recipe<'graph>) -> Result<(), Exceeded> {
        let (class, args) = match meaning::instance_of(recipe) {
            Some(Instance { class, args }) => (class, args),
            None => (recipe.callable(), Some(recipe.args())),
        };
        let given = match args.map(|args| (args, args.as_tuple())) {
            Some((_, Some(items))) => items.iter().map(|item| (Label::None, item)).collect(),
            Some((args, None)) => vec![(Label::Spread, args)],
            None => Vec::new(),
        };
        self.made(recipe, class, given, recipe.kwargs())
    }

    /// The same, of an instance by whatever way.
    fn instance(
        &mut self,
        recipe: Recipe<'graph>,
        instance: views::Instance<'graph>,
    ) -> Result<(), Exceeded> {
        let views::Instance { class, args, spread, base, kwargs, .. } = instance;
        let args = args.iter().map(|item| (Label::None, item));
        let base = base.map(|base| (Label::None, base));
        let spread = spread.map(|spread| (Label::Spread, spread));
        let mut given: Vec<Entry> = args.chain(base).chain(spread).collect();
        for (name, value) in kwargs.into_iter().flat_map(|kwargs| kwargs.iter().collect::<Vec<_>>())
        {
            self.budget.visits(1)?;
            given.push((Label::Name(name), value));
        }
        self.made(recipe, class, given, None)
    }

    fn made(
        &mut self,
        recipe: Recipe<'graph>,
        class: Object<'graph>,
        mut all: Vec<Entry<'graph>>,
        kwargs: Option<Object<'graph>>,
    ) -> Result<(), Exceeded> {
        match class.as_global() {
            Some(global) => self.put(&global.to_string().escape_debug().to_string())?,
            None => self.plain(class)?,
        }
        let named = [kwargs, recipe.state()].into_iter().flatten();
        for names in named.filter(|names| !names.is_none()) {
            match mapping::pairs(names, self.budget)? {
                Some(pairs) => {
                    all.extend(pairs.into_iter().map(|(name, value)| (Label::Name(name), value)));
                }
                None => all.push((Label::Spread, names)),
            }
        }
        all.extend(recipe.appended().map(|item| (Label::None, item)));
        let pairs = mapping::distinct(recipe.set_items(), self.budget)?;
        all.extend(pairs.into_iter().map(|(key, value)| (Label::Key(key), value)));
        let count = all.len();
        all.truncate(self.extent.items);
        self.frame("(", all, count, ")")
    }
}

fn entries(items: Items<'_>, most: usize) -> Vec<Entry<'_>> {
    items.iter().take(most).map(|item| (Label::None, item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileOffset;
    use crate::pickle::{Policy, run};

    fn text(stream: &[u8], extent: Extent) -> String {
        let mut budget = Budget::default();
        let outcome = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
        outcome.end.unwrap();
        show(outcome.graph.root().unwrap(), &|_| None, extent, &mut budget).unwrap()
    }

    #[test]
    fn containers_are_indented() {
        let stream = b"}(X\x01\0\0\0a](K\x01K\x02eK\x07)u.";
        let want = "{\n  'a': [\n    1\n    2\n  ]\n  7: ()\n}";
        assert_eq!(text(stream, Extent::default()), want);
        assert_eq!(
            text(stream, Extent::default().with_depth(1)),
            "{\n  'a': [… 2 items]\n  7: ()\n}"
        );
        assert_eq!(
            text(stream, Extent::default().with_items(1)),
            "{\n  'a': [\n    1\n    … 1 more\n  ]\n  … 1 more\n}"
        );
    }

    #[test]
    fn objects_show_their_parts() {
        let stream = b"cm\nC\nK\x01\x85\x81}X\x01\0\0\0aNsb.";
        assert_eq!(text(stream, Extent::default()), "m.C(\n  1\n  a=None\n)");
    }

    #[test]
    fn what_is_shared_is_shown_once() {
        assert_eq!(text(b"]q\x00h\x00\x86.", Extent::default()), "(\n  #1 = []\n  #1\n)");
        assert_eq!(text(b"]q\x00h\x00a.", Extent::default()), "#1 = [\n  #1\n]");
    }
}
