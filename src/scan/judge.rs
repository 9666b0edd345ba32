//! Judging what one pickle built: every global in every position, every shape that is dangerous
//! whatever the names.

use std::borrow::Cow;

use bytes::Bytes;
use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::finding::{Building, Finding, Place, Position, Standing, Used};
use super::rules::{self, Rule};
use super::{Scanner, dtype, line, source_text};
use crate::base::{Budget, Category, FileOffset};
use crate::pickle::{
    EffectKind, Error, Global, Graph, Handing, Kind, Make, NodeId, Object, Opcode, Outcome,
    Position as Stands, Recipe, Use, Value, What,
};
use crate::python::meaning;
use crate::python::policy;
use crate::python::views::{self, View};

/// A pickle, archive or compressed file inside of bytes that a pickle holds.
pub(super) struct Inner {
    pub bytes: Bytes,
    pub at: Option<FileOffset>,
    /// Whether loading the outer pickle loads it.
    pub loaded: bool,
}

/// Bytes looked at for what they begin.
const SHORTEST: usize = 2;

/// Judges what a pickle built and how it ended. Gives what lies in its bytes.
pub(super) fn judge(
    scanner: &Scanner,
    outcome: &Outcome,
    stream: &Bytes,
    member: Option<&str>,
    report: &mut Building,
    budget: &mut Budget,
) -> Vec<Inner> {
    let graph = &outcome.graph;
    let mut judge = Judge {
        scanner,
        member,
        report,
        budget,
        named: HashMap::new(),
        uses: HashMap::new(),
        taken: HashMap::new(),
        called: HashSet::new(),
        stream,
        inner: Vec::new(),
        seen: HashSet::new(),
        kept: std::collections::HashSet::default(),
        loaded: Vec::new(),
        using: Vec::new(),
    };
    judge.report.judged = true;
    judge.report.pickles = judge.report.pickles.saturating_add(1);
    for object in graph.objects() {
        judge.object(object);
    }
    judge.mentions(graph);
    judge.conclude(graph);
    judge.held_bytes(graph);
    let inner = std::mem::take(&mut judge.inner);
    if let Err(why) = &outcome.end {
        judge.broken(why);
    }
    inner
}

/// Whether anything was called before a stream broke: what tells a pickle from other bytes.
pub(super) fn calls(graph: &Graph) -> bool {
    graph.objects().any(|object| object.as_recipe().is_some())
}

/// Whether a global that tables know is named.
pub(super) fn names_forbidden(scanner: &Scanner, graph: &Graph) -> bool {
    let mut globals = graph.objects().filter_map(Object::as_global);
    globals.any(|global| scanner.standing(global, Position::Value) == Standing::Forbidden)
}

type Key<'graph> = (&'graph [u8], Cow<'graph, [u8]>, Position);

struct Judge<'run, 'graph> {
    scanner: &'run Scanner,
    member: Option<&'run str>,
    report: &'run mut Building,
    budget: &'run mut Budget,
    /// What the pickle was read from.
    stream: &'run Bytes,
    /// Uses by the object that names the global: what is met again and again is found by a number.
    named: HashMap<(NodeId, Position), Found<'graph>>,
    /// Uses of what stands behind attributes, by name.
    uses: HashMap<Key<'graph>, Found<'graph>>,
    /// How many mentions of a global were counted as other uses.
    taken: HashMap<NodeId, u64>,
    /// Globals that are called or changed themselves.
    called: HashSet<NodeId>,
    inner: Vec<Inner>,
    /// Arguments that were looked at.
    seen: HashSet<NodeId>,
    /// States and hooks that were looked at.
    kept: std::collections::HashSet<NodeId, DefaultHashBuilder>,
    /// Bytes that loading the pickle loads in turn.
    loaded: Vec<NodeId>,
    /// Empty between objects: memory that is used again.
    using: Vec<Use<'graph>>,
}

/// Uses of one global in one position.
struct Found<'graph> {
    count: u64,
    at: Option<FileOffset>,
    /// What uses it first.
    by: Option<Object<'graph>>,
}

impl Found<'_> {
    /// Takes in other uses of the same global; the first in the file is who uses it first.
    fn join(&mut self, other: Self) {
        let count = self.count.saturating_add(other.count);
        let order = |found: &Self| (found.at, found.by.and_then(Object::index));
        if order(&other) < order(self) {
            *self = other;
        }
        self.count = count;
    }
}

impl<'graph> Judge<'_, 'graph> {
    fn place(&self, at: Option<FileOffset>) -> Place {
        Place { member: self.member.map(Into::into), offset: at }
    }

    fn find(&mut self, rule: &'static Rule, object: Object<'graph>, message: String) {
        let place = self.place(object.offset());
        let line = Some(line::of(object));
        self.report.find(Finding { line, ..Finding::new(rule, place, message) });
    }

    fn object(&mut self, object: Object<'graph>) {
        if !object.has_parts() {
            return;
        }
        let mut used = std::mem::take(&mut self.using);
        let policy = policy::models();
        match object.value() {
            Value::Recipe(recipe) => {
                policy.uses_of_call(recipe, &mut |one| used.push(one));
                self.recipe(recipe);
            }
            Value::Persistent(id) => self.persistent(id),
            Value::Extension(code) => {
                let message = format!(
                    "extension code {code} stands for a class or function that only the reader's registry knows"
                );
                self.find(rules::EXTENSION, object, message);
            }
            _ => {}
        }
        for one in used.drain(..) {
            self.used(&one, object);
        }
        for effect in object.effects() {
            policy.uses_of_effect(object, effect, &mut |one| used.push(one));
            for one in used.drain(..) {
                self.changed(&one, object, effect.kind, effect.items.get(0));
            }
        }
        policy.uses_later(object, &mut self.kept, &mut |one| used.push(one));
        for one in used.drain(..) {
            // A global is used by what holds it, which is no call.
            let by = if one.object.as_global().is_some() { one.object } else { object };
            self.used(&one, by);
        }
        self.using = used;
    }

    /// One use, by a call.
    fn used(&mut self, one: &Use<'graph>, by: Object<'graph>) {
        match &one.what {
            What::Global { module, name } => {
                let position = match one.position {
                    Stands::Call => Position::Call,
                    Stands::Instance => Position::Instance,
                    Stands::Target => Position::Target,
                    _ => Position::Value,
                };
                let callee = by.as_recipe().map(|recipe| recipe.callable().id());
                if callee == Some(one.object.id()) {
                    self.called.insert(one.object.id());
                } else if one.object.as_global().is_some() {
                    self.take(one.object);
                }
                self.count(module, name.clone(), position, one.object, by);
            }
            What::Attribute { of, name } => self.attribute(*of, name, one, by),
            What::Result => {
                let what = line::of(one.object);
                self.find(rules::COMPUTED_CALL, by, format!("Python would call or instantiate what {what} returns: what that is, only running it can tell"));
            }
            What::NewClass => {
                self.find(
                    rules::CLASS_MADE,
                    by,
                    "Python would make a class of these parts".to_owned(),
                );
            }
            What::Pickle => self.loaded.push(one.object.id()),
            What::UnseenPickle => {
                let what = line::of(one.object);
                self.find(rules::UNSEEN_PICKLE, by, format!("Python would load what {what} returns as a pickle, with everything that one calls"));
            }
            What::Outside if one.object.as_recipe().is_none() => {
                if matches!(one.object.value(), Value::Persistent(_)) {
                    self.find(
                        rules::OUTSIDE,
                        by,
                        "Python would call what its loader supplies for a persistent id".to_owned(),
                    );
                }
            }
            _ => {}
        }
    }

    /// One use by an operation on what was made before.
    fn changed(
        &mut self,
        one: &Use<'graph>,
        object: Object<'graph>,
        kind: EffectKind,
        with: Option<Object<'graph>>,
    ) {
        if one.position != Stands::Target {
            return self.used(one, object);
        }
        let method = match kind {
            EffectKind::State => ".__dict__.update",
            EffectKind::Append => ".extend",
            EffectKind::SetItems => ".update",
            EffectKind::AddItems => ".add",
        };
        if let What::Global { module, name } = &one.what {
            self.called.insert(object.id());
            self.tell(
                module,
                name,
                Position::Target,
                1,
                self.place(object.offset()),
                Standing::Forbidden,
            );
        }
        let message =
            format!("Python would change {} for everything that runs afterwards", line::of(object));
        let place = self.place(object.changed().or(object.offset()));
        let line = Some(line::of_effect(object, method, with));
        let global = object.as_global().map(|global| line::printable(&global.to_string()));
        let position = Some(Position::Target);
        let finding = Finding::new(rules::OVERWRITE, place, message);
        self.report.find(Finding { global, position, line, ..finding });
    }

    fn attribute(
        &mut self,
        of: Option<Global<'graph>>,
        name: &[u8],
        one: &Use<'graph>,
        by: Object<'graph>,
    ) {
        let attribute = line::printable(&String::from_utf8_lossy(name));
        let owner = of.map_or_else(
            || "an object".to_owned(),
            |of| format!("what {} makes", line::printable(&of.to_string())),
        );
        if policy::models().forbids_attribute(of, name) {
            let message =
                format!("Python would take {attribute} of {owner}, which leads out of the file");
            self.find(rules::FORBIDDEN_ATTRIBUTE, by, message);
        } else if one.position == Stands::Computed {
            let message = format!(
                "Python would call the method {attribute} of {owner}: what it does is for that class to say"
            );
            self.find(rules::METHOD_CALL, by, message);
        }
    }

    fn count(
        &mut self,
        module: &'graph [u8],
        name: Cow<'graph, [u8]>,
        position: Position,
        object: Object<'graph>,
        by: Object<'graph>,
    ) {
        self.counted(module, name, position, object, by, 1);
    }

    /// Counts a mention as another use.
    fn take(&mut self, object: Object<'graph>) {
        let taken = self.taken.entry(object.id()).or_default();
        *taken = taken.saturating_add(1);
    }

    fn counted(
        &mut self,
        module: &'graph [u8],
        name: Cow<'graph, [u8]>,
        position: Position,
        object: Object<'graph>,
        by: Object<'graph>,
        times: u64,
    ) {
        let first = || Found { count: 0, at: object.offset().or(by.offset()), by: Some(by) };
        let own = object.as_global() == Some(Global { module, name: &name });
        let found = if own {
            self.named.entry((object.id(), position)).or_insert_with(first)
        } else {
            self.uses.entry((module, name, position)).or_insert_with(first)
        };
        found.count = found.count.saturating_add(times);
    }

    /// All uses by name, in the order of the file.
    fn by_name(&mut self, graph: &'graph Graph) -> Vec<(Key<'graph>, Found<'graph>)> {
        let mut uses = std::mem::take(&mut self.uses);
        let named = std::mem::take(&mut self.named);
        for ((id, position), found) in named {
            let Some(Global { module, name }) = graph.object(id).as_global() else { continue };
            match uses.entry((module, name.into(), position)) {
                Entry::Vacant(entry) => {
                    entry.insert(found);
                }
                Entry::Occupied(mut entry) => entry.get_mut().join(found),
            }
        }
        let mut uses: Vec<_> = uses.into_iter().collect();
        uses.sort_by(|(a, x), (b, y)| (x.at, a).cmp(&(y.at, b)));
        uses
    }

    /// What some calls mean beyond what they call.
    fn recipe(&mut self, recipe: Recipe<'graph>) {
        let Some(global) = recipe.callable().as_global() else { return };
        let object = recipe.object();
        if recipe.make() == Make::Reduce && grows(global, recipe) {
            let message = "makes more than the file holds, or never ends".to_owned();
            self.find(rules::ARGUMENTS, object, message);
        }
        match (global.module, global.name) {
            (b"torch.fx.graph_module" | b"torch.fx._lazy_graph_module", name)
                if name.starts_with(b"reduce_") || name.starts_with(b"_make_graph_module") =>
            {
                self.source(recipe);
            }
            (b"numpy", b"dtype") => {
                if let Some(why) = dtype::forged(object) {
                    let message =
                        format!("numpy would believe a dtype that contradicts itself: {why}");
                    self.find(rules::FORGED, object, message);
                }
            }
            (b"_codecs", b"encode") => {
                let args = recipe.args().as_tuple();
                let codec = args.and_then(|args| args.get(1));
                let usual = codec.is_none_or(|codec| {
                    codec.as_str().is_some_and(|codec| {
                        matches!(
                            codec,
                            "latin1" | "latin-1" | "ascii" | "utf8" | "utf-8" | "iso-8859-1"
                        )
                    })
                });
                if !usual {
                    let message = "encoded otherwise than pickles write bytes".to_owned();
                    self.find(rules::ARGUMENTS, object, message);
                }
            }
            _ => {}
        }
    }

    /// A call that executes source text it was given.
    fn source(&mut self, recipe: Recipe<'graph>) {
        // Objects that calls share are looked at once.
        if !self.seen.insert(recipe.args().id()) {
            return;
        }
        let mut texts = Vec::new();
        // The text stands in the arguments, or in a dict among them.
        for arg in
            recipe.args().items().into_iter().flat_map(|args| args.iter().collect::<Vec<_>>())
        {
            texts.extend(arg.as_str());
            let dict = arg.as_dict();
            for (_, value) in dict.into_iter().flat_map(|dict| dict.iter().collect::<Vec<_>>()) {
                texts.extend(value.as_str());
            }
        }
        let object = recipe.object();
        match texts.iter().find_map(|text| source_text::reaches(text)) {
            Some(word) => {
                let message = format!("Python would execute text of this file that names {word}");
                self.find(rules::SOURCE_REACHES, object, message);
            }
            None => {
                let message = "Python would execute source text of this file as code".to_owned();
                self.find(rules::SOURCE, object, message);
            }
        }
    }

    /// The class of a storage.
    fn persistent(&mut self, id: Object<'graph>) {
        let Some(parts) = id.as_tuple() else { return };
        let tag = parts.get(0).and_then(|tag| match tag.value() {
            Value::Text(text) => Some(text.as_bytes()),
            _ => None,
        });
        let class = parts.get(1).filter(|_| tag == Some(b"storage"));
        if let Some(class) = class
            && let Some(Global { module, name }) = class.as_global()
        {
            self.take(class);
            self.count(module, name.into(), Position::Storage, class, id);
        }
    }

    /// Globals that are held, or only named.
    fn mentions(&mut self, graph: &'graph Graph) {
        let mut mentioned: HashMap<NodeId, (u64, Option<Object<'graph>>)> = HashMap::new();
        let globals = graph.objects().filter(|object| object.as_global().is_some());
        mentioned.extend(globals.map(|object| (object.id(), (0, None))));
        if mentioned.is_empty() {
            return;
        }
        for object in graph.objects().filter(|object| object.has_parts()) {
            let callable = object.as_recipe().map(|recipe| recipe.callable().id());
            let mut skip = callable.is_some();
            object.each_child(|child| {
                if std::mem::take(&mut skip) && Some(child.id()) == callable {
                    return;
                }
                if child.as_global().is_some()
                    && let Some((count, by)) = mentioned.get_mut(&child.id())
                {
                    *count = count.saturating_add(1);
                    by.get_or_insert(object);
                }
            });
        }
        if let Some((root, (count, by))) =
            graph.root().and_then(|root| Some((root, mentioned.get_mut(&root.id())?)))
        {
            *count = count.saturating_add(1);
            by.get_or_insert(root);
        }
        let mut found: Vec<_> = mentioned.into_iter().collect();
        found.sort_by_key(|(id, _)| graph.object(*id).index());
        for (id, (count, by)) in found {
            let object = graph.object(id);
            let Some(Global { module, name }) = object.as_global() else { continue };
            let taken = self.taken.get(&id).copied().unwrap_or_default();
            let held = count.saturating_sub(taken);
            let unused = count == 0 && !self.called.contains(&id);
            if held > 0 || unused {
                let by = by.unwrap_or(object);
                self.counted(module, name.into(), Position::Value, object, by, held.max(1));
            }
        }
    }

    /// Turns what was counted into findings.
    fn conclude(&mut self, graph: &'graph Graph) {
        for ((module, name, position), found) in self.by_name(graph) {
            let global = Global { module, name: &name };
            let standing = self.scanner.standing(global, position);
            let place = self.place(found.at);
            self.tell(module, &name, position, found.count, place.clone(), standing);
            let shown = line::printable(&global.to_string());
            let (rule, message) = match (standing, position) {
                (Standing::Whitelisted, _) => continue,
                (Standing::Forbidden, Position::Value | Position::Storage) => (
                    rules::FORBIDDEN_GLOBAL,
                    format!("Python would import {shown}, which {}", why(global)),
                ),
                (Standing::Forbidden, _) => (
                    rules::FORBIDDEN_CALL,
                    format!("Python would call {shown}, which {}", why(global)),
                ),
                (_, Position::Call) => (
                    rules::CALL,
                    format!("Python would call {shown}, which is not on the whitelist for that"),
                ),
                (_, Position::Instance) => (
                    rules::INSTANCE,
                    format!("Python would make an object of {shown}, a class off the whitelist"),
                ),
                _ => (
                    rules::MENTION,
                    format!("Python would import {shown}, which is not on the whitelist"),
                ),
            };
            let line = found.by.filter(|by| {
                by.as_recipe().is_some()
                    && rule != rules::FORBIDDEN_GLOBAL
                    && rule != rules::MENTION
            });
            let finding = Finding {
                global: Some(shown),
                position: Some(position),
                line: line.and_then(Object::as_recipe).map(line::of_call),
                count: found.count,
                ..Finding::new(rule, place, message)
            };
            self.report.find(finding);
        }
    }

    fn tell(
        &mut self,
        module: &[u8],
        name: &[u8],
        position: Position,
        count: u64,
        place: Place,
        standing: Standing,
    ) {
        let text = |bytes: &[u8]| line::printable(&String::from_utf8_lossy(bytes));
        let (module, name) = (text(module), text(name));
        self.report.uses(Used { module, name, position, count, place, standing });
    }

    /// Bytes that are, or hold, something to load.
    fn held_bytes(&mut self, graph: &'graph Graph) {
        let loaded: HashSet<NodeId> = std::mem::take(&mut self.loaded).into_iter().collect();
        let mut first: Vec<NodeId> = loaded.iter().copied().collect();
        first.sort_by_key(|id| graph.object(*id).index());
        for id in &first {
            let object = graph.object(*id);
            if let Some(bytes) = self.bytes_of(object) {
                self.inner.push(Inner { bytes, at: object.offset(), loaded: true });
            }
        }
        for object in graph.objects().filter(|object| object.may_be_bytes()) {
            let promising = match object.value() {
                Value::Bytes(bytes) | Value::ByteArray(bytes) => begins(bytes),
                Value::Text(text) if text.is_python2() => begins(text.as_bytes()),
                Value::Recipe(recipe) => is_encoded(recipe),
                _ => false,
            };
            if promising
                && !loaded.contains(&object.id())
                && let Some(bytes) = self.bytes_of(object)
            {
                self.inner.push(Inner { bytes, at: object.offset(), loaded: false });
            }
        }
    }

    /// Bytes, shared with the stream where they lie there.
    fn bytes_of(&mut self, object: Object<'graph>) -> Option<Bytes> {
        let literal = match object.value() {
            Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(bytes),
            Value::Text(text) => Some(text.as_bytes()),
            _ => None,
        };
        if let Some(literal) = literal {
            let shared = share(self.stream, literal);
            return shared.or_else(|| {
                let paid = self.budget.memory(literal.len() as u64);
                paid.map(|()| Bytes::copy_from_slice(literal)).ok().or_else(|| self.unread(object))
            });
        }
        match meaning::view(object, self.budget) {
            Ok(Some(View::Bytes(raw) | View::ByteArray(raw))) => {
                let bytes = raw.to_vec();
                let paid = self.budget.memory(bytes.len() as u64);
                paid.map(|()| Bytes::from(bytes)).ok().or_else(|| self.unread(object))
            }
            _ => self.unread(object),
        }
    }

    fn unread(&mut self, object: Object<'graph>) -> Option<Bytes> {
        let message = "bytes that hold something to load could not be looked into";
        self.report.find(Finding::new(rules::UNREAD, self.place(object.offset()), message));
        None
    }

    /// Why a pickle was not read to its end.
    fn broken(&mut self, why: &Error) {
        let place = self.place(Some(why.offset()));
        let changes = matches!(
            why.opcode().map(Opcode::name),
            Some("APPEND" | "APPENDS" | "SETITEM" | "SETITEMS" | "ADDITEMS")
        );
        if changes && matches!(why.kind(), Kind::WrongType { found: "global", .. }) {
            let message = "Python would put items into something that it imported";
            self.report.find(Finding::new(rules::OVERWRITE, place.clone(), message));
        }
        let (rule, message) = match why.category() {
            _ if why.python_goes_on() => (rules::HAND_MADE, why.to_string()),
            Category::OverLimit | Category::Unsupported => {
                (rules::UNREAD, format!("not read to its end: {why}"))
            }
            _ => (rules::BROKEN, format!("the pickle breaks, and was judged up to there: {why}")),
        };
        self.report.find(Finding::new(rule, place, line::printable(&message)));
    }
}

/// A slice of a stream, sharing its memory; none if it lies elsewhere.
fn share(stream: &Bytes, slice: &[u8]) -> Option<Bytes> {
    let start = slice.as_ptr().addr().checked_sub(stream.as_ptr().addr())?;
    let end = start.checked_add(slice.len())?;
    (end <= stream.len()).then(|| stream.slice(start..end))
}

/// Why a global is forbidden, in words that follow "which".
fn why(global: Global) -> String {
    match policy::reach(global) {
        Some((reach, why)) => format!("can {reach}: {why}"),
        None => "was forbidden by --forbid".to_owned(),
    }
}

/// Whether a call makes as much as a number says, not as the file holds: no pickler writes such.
fn grows(global: Global, recipe: Recipe) -> bool {
    let Some(args) = recipe.args().as_tuple() else { return false };
    if global.name == b"_reconstruct" && global.module.ends_with(b".multiarray") {
        // numpy writes (0,): the shape comes with the state.
        let shape = args.get(1).and_then(Object::items);
        return shape.is_none_or(|shape| !shape.iter().any(|size| size.as_int() == Some(0)));
    }
    let Some(kind) = views::kind_of(recipe.object()).filter(|kind| kind.unfolds()) else {
        return false;
    };
    let given = args.iter().take(2);
    let mut lazy = given.filter_map(views::kind_of).filter(|kind| kind.is_lazy());
    let counted = matches!(kind, views::Kind::Bytes | views::Kind::ByteArray)
        && args.get(0).is_some_and(|size| matches!(size.value(), Value::Int(_) | Value::BigInt(_)));
    counted || lazy.next().is_some()
}

/// Whether bytes begin as something that could be loaded.
pub(super) fn begins(bytes: &[u8]) -> bool {
    if bytes.len() < SHORTEST {
        return false;
    }
    matches!(bytes, [0x80, 0..=5, ..])
        || super::inflate::is_compressed(bytes)
        || bytes.starts_with(b"PK\x03\x04")
        || bytes.starts_with(b"\x93NUMPY")
        || matches!(bytes.first(), Some(b'(' | b'c' | b'i' | b']' | b'}' | b'l' | b'd'))
            && bytes.ends_with(b".")
}

/// Whether a call writes bytes as text, as protocol 2 does, that begin as a pickle does.
fn is_encoded(recipe: Recipe<'_>) -> bool {
    let global = recipe.callable().as_global();
    let gives =
        global.is_some_and(|global| policy::models().handings(global).contains(&Handing::Bytes));
    let first = recipe.args().as_tuple().and_then(|args| args.get(0));
    gives
        && first.is_some_and(|first| match first.value() {
            Value::Text(text) => {
                let head = text.as_bytes();
                head.starts_with("\u{80}".as_bytes()) || begins(head)
            }
            Value::Bytes(bytes) => begins(bytes),
            _ => false,
        })
}
