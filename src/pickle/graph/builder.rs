//! Making and changing graphs from Rust.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;

use bytes::Bytes;

use super::build::Builder;
use super::{BUILT, EffectKind, Global, Graph, Make, Node, NodeId, Object, Place, Value};
use crate::base::{Budget, Category, Exceeded, FileOffset, Limits};
use crate::pickle::text::shortest;

/// A graph in the making: new objects, or changes to a graph that was read.
///
/// Objects are named by the ids that its methods return; using one twice makes it shared.
///
/// ```
/// use depickle::Budget;
/// use depickle::pickle::{Encoder, GraphBuilder};
///
/// let mut budget = Budget::default();
/// let mut build = GraphBuilder::new(&mut budget);
/// let epoch = (build.value("epoch")?, build.value(&3)?);
/// let loss = (build.value("loss")?, build.value(&[0.5, 0.25])?);
/// let root = build.dict(&[epoch, loss])?;
/// let graph = build.finish(root);
/// let pickle = Encoder::new(2).to_vec(graph.root().unwrap(), &mut budget).unwrap();
/// assert!(pickle.starts_with(b"\x80\x02}(X\x05\0\0\0epochK\x03"));
/// # Ok::<(), depickle::pickle::BuildError>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder<'budget> {
    build: Builder<'budget>,
    globals: HashMap<Spelled, NodeId>,
}

type Spelled = (Box<[u8]>, Box<[u8]>);
type Made = Result<NodeId, BuildError>;
type Done = Result<(), BuildError>;

/// Why an object could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A limit was met.
    Over(Exceeded),
    /// A key or set member that Python cannot hash.
    Unhashable(&'static str),
    /// An object of the wrong type.
    WrongType {
        /// What the change needs.
        wanted: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// An id that this graph did not give out.
    Stranger,
}

impl BuildError {
    /// What sort of failure this is.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::Over(_) => Category::OverLimit,
            _ => Category::Malformed,
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over(why) => write!(f, "{why}"),
            Self::Unhashable(found) => write!(f, "a {found} cannot be a key or set member"),
            Self::WrongType { wanted, found } => write!(f, "{wanted} wanted, {found} given"),
            Self::Stranger => f.write_str("the id is of another graph"),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<Exceeded> for BuildError {
    fn from(why: Exceeded) -> Self {
        Self::Over(why)
    }
}

impl<'budget> GraphBuilder<'budget> {
    /// An empty graph. Its memory comes from `budget`.
    #[must_use]
    pub fn new(budget: &'budget mut Budget) -> Self {
        Self::over(Builder::new(Bytes::new(), FileOffset(0), budget))
    }

    /// A graph that was read, to be changed or added to. Its ids stay what they are.
    #[must_use]
    pub fn edit(graph: Graph, budget: &'budget mut Budget) -> Self {
        let mut this = Self::over(Builder::resume(graph, budget));
        let graph = this.build.graph();
        let globals = graph.objects().filter_map(|object| match object.value() {
            Value::Global(global) => {
                Some(((global.module.into(), global.name.into()), object.id()))
            }
            _ => None,
        });
        this.globals = globals.collect();
        this
    }

    fn over(mut build: Builder<'budget>) -> Self {
        build.begin(BUILT);
        Self { build, globals: HashMap::new() }
    }

    /// The graph as it stands.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.build.graph()
    }

    /// An object as it stands.
    #[must_use]
    pub fn object(&self, id: NodeId) -> Object<'_> {
        self.build.graph().object(id)
    }

    /// The graph, with `root` for its root.
    #[must_use]
    pub fn finish(mut self, root: NodeId) -> Graph {
        self.build.root(root);
        self.build.finish()
    }

    // Values without parts.

    /// Any Rust value that has a plain Python one.
    ///
    /// # Errors
    /// [`BuildError::Over`], as every method here; [`BuildError::Unhashable`] for keys.
    pub fn value<T: ToNode + ?Sized>(&mut self, value: &T) -> Made {
        value.to_node(self)
    }

    /// `None`.
    #[must_use]
    pub const fn none(&self) -> NodeId {
        NodeId::NONE
    }

    /// `True` or `False`.
    #[must_use]
    pub const fn bool(&self, value: bool) -> NodeId {
        NodeId::bool(value)
    }

    /// An `int`.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn int(&mut self, value: i64) -> Made {
        Ok(self.build.int(value)?)
    }

    /// An `int` of any size, little-endian two's complement.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn big_int(&mut self, bytes: &[u8]) -> Made {
        let bytes = shortest(bytes);
        if bytes.len() > 8 {
            let span = self.build.keep(bytes)?;
            return self.add(Node::BigInt(span));
        }
        let negative = bytes.last().is_some_and(|&last| last >= 0x80);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.int(i64::from_le_bytes(word))
    }

    /// A `float`.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn float(&mut self, value: f64) -> Made {
        self.add(Node::Float(value))
    }

    /// A `str`.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn text(&mut self, text: &str) -> Made {
        let span = self.build.keep(text.as_bytes())?;
        self.add(Node::Text(span))
    }

    /// `bytes`.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Made {
        let span = self.build.keep(bytes)?;
        self.add(Node::Bytes(span))
    }

    /// A `bytearray`.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn byte_array(&mut self, bytes: &[u8]) -> Made {
        let span = self.build.keep(bytes)?;
        self.add(Node::ByteArray(span))
    }

    /// A class, function or other attribute of a module. The same for the same name.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn global(&mut self, module: &str, name: &str) -> Made {
        let global = Global { module: module.as_bytes(), name: name.as_bytes() };
        Ok(named(&mut self.build, &mut self.globals, global)?)
    }

    // Values with parts.

    /// A `tuple`.
    ///
    /// # Errors
    /// [`BuildError::Over`]; [`BuildError::Stranger`], as every method that takes ids.
    pub fn tuple(&mut self, items: &[NodeId]) -> Made {
        self.check(items)?;
        Ok(self.build.tuple(items)?)
    }

    /// A `list`.
    ///
    /// # Errors
    /// As [`tuple`](Self::tuple).
    pub fn list(&mut self, items: &[NodeId]) -> Made {
        self.check(items)?;
        Ok(self.build.list(items)?)
    }

    /// A `dict`.
    ///
    /// # Errors
    /// As [`tuple`](Self::tuple); [`BuildError::Unhashable`].
    pub fn dict(&mut self, pairs: &[(NodeId, NodeId)]) -> Made {
        let ids = self.check_pairs(pairs)?;
        Ok(self.build.dict(&ids)?)
    }

    /// A `set`.
    ///
    /// # Errors
    /// As [`dict`](Self::dict).
    pub fn set(&mut self, members: &[NodeId]) -> Made {
        self.check_hashable(members)?;
        let set = self.build.set()?;
        if let Some(Node::Set(growing)) = self.build.graph().kind(set) {
            self.build.extend(growing, members)?;
        }
        Ok(set)
    }

    /// A `frozenset`.
    ///
    /// # Errors
    /// As [`dict`](Self::dict).
    pub fn frozen_set(&mut self, members: &[NodeId]) -> Made {
        self.check_hashable(members)?;
        Ok(self.build.frozen_set(members)?)
    }

    /// What the loader is to be asked for by `id`.
    ///
    /// # Errors
    /// As [`tuple`](Self::tuple).
    pub fn persistent(&mut self, id: NodeId) -> Made {
        self.check(&[id])?;
        self.add(Node::Persistent(id))
    }

    /// What calling `callable` with the tuple `args` would give.
    ///
    /// # Errors
    /// As [`tuple`](Self::tuple); [`BuildError::WrongType`] if `args` is neither a tuple nor
    /// made by a call.
    pub fn call(&mut self, callable: NodeId, args: NodeId) -> Made {
        self.recipe(Make::Reduce, callable, args)
    }

    /// An instance: `class.__new__(class, *args)`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn instance(&mut self, class: NodeId, args: NodeId) -> Made {
        self.recipe(Make::NewObj, class, args)
    }

    fn recipe(&mut self, make: Make, callable: NodeId, args: NodeId) -> Made {
        self.check(&[callable, args])?;
        match self.object(args).value() {
            Value::Tuple(_) | Value::Recipe(_) => {}
            _ => return Err(self.wrong("a tuple of arguments", args)),
        }
        match self.object(callable).value() {
            Value::Global(_) | Value::Recipe(_) | Value::Persistent(_) | Value::Extension(_) => {}
            _ => return Err(self.wrong("something to call", callable)),
        }
        Ok(self.build.recipe(make, callable, args, NodeId::NONE)?)
    }

    // Changes.

    /// Appends to a list, or to an object as `extend` would.
    ///
    /// # Errors
    /// As [`tuple`](Self::tuple); [`BuildError::WrongType`].
    pub fn append(&mut self, to: NodeId, items: &[NodeId]) -> Done {
        self.check(&[to])?;
        self.check(items)?;
        match self.build.graph().kind(to) {
            Some(Node::List(growing)) => Ok(self.build.extend(growing, items)?),
            _ => self.effect(to, EffectKind::Append, items, "a list"),
        }
    }

    /// Sets items of a dict, or of an object as `object[key] = value` would.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`BuildError::Unhashable`].
    pub fn insert(&mut self, to: NodeId, pairs: &[(NodeId, NodeId)]) -> Done {
        self.check(&[to])?;
        let ids = self.check_pairs(pairs)?;
        match self.build.graph().kind(to) {
            Some(Node::Dict(growing)) => Ok(self.build.extend(growing, &ids)?),
            _ => self.effect(to, EffectKind::SetItems, &ids, "a dict"),
        }
    }

    /// Gives an object its state, as BUILD does.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn set_state(&mut self, of: NodeId, state: NodeId) -> Done {
        self.check(&[of, state])?;
        self.effect(of, EffectKind::State, &[state], "an object with state")
    }

    fn effect(
        &mut self,
        on: NodeId,
        kind: EffectKind,
        items: &[NodeId],
        wanted: &'static str,
    ) -> Done {
        match self.object(on).value() {
            Value::Recipe(_) | Value::Persistent(_) | Value::Extension(_) => {}
            _ => return Err(self.wrong(wanted, on)),
        }
        if items.is_empty() {
            return Ok(());
        }
        Ok(self.build.effect(on, kind, items)?)
    }

    /// Puts other items in the place of all that a list holds.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn replace_items(&mut self, list: NodeId, items: &[NodeId]) -> Done {
        self.check(&[list])?;
        self.check(items)?;
        match self.build.graph().kind(list) {
            Some(Node::List(growing)) => Ok(self.build.replace(growing, items)?),
            _ => Err(self.wrong("a list", list)),
        }
    }

    /// Puts other pairs in the place of all that a dict holds, or that were set on an object
    /// such as an `OrderedDict`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn replace_pairs(&mut self, dict: NodeId, pairs: &[(NodeId, NodeId)]) -> Done {
        self.check(&[dict])?;
        let ids = self.check_pairs(pairs)?;
        match self.build.graph().kind(dict) {
            Some(Node::Dict(growing)) => Ok(self.build.replace(growing, &ids)?),
            Some(Node::Recipe(_)) => {
                self.build.drop_effects(dict, EffectKind::SetItems);
                self.effect(dict, EffectKind::SetItems, &ids, "a dict")
            }
            _ => Err(self.wrong("a dict", dict)),
        }
    }

    /// Copies an object of another graph with everything it refers to, shared as it is there.
    ///
    /// # Errors
    /// [`BuildError::Over`].
    pub fn copy(&mut self, object: Object<'_>) -> Made {
        let Self { build, globals } = self;
        let copy = build.copy(object, |build, global| named(build, globals, global));
        Ok(copy?)
    }

    /// Makes whatever refers to an object refer to another one: `to` says to which, and gives
    /// other ids back as they are. Constants and small integers, which are the same everywhere,
    /// stay. Costs a look at every reference of the graph.
    ///
    /// ```
    /// use depickle::Budget;
    /// use depickle::pickle::GraphBuilder;
    ///
    /// let mut budget = Budget::default();
    /// let mut build = GraphBuilder::new(&mut budget);
    /// let (old, new) = (build.value("old")?, build.value("new")?);
    /// let list = build.list(&[old, old])?;
    /// build.redirect(|id| if id == old { new } else { id })?;
    /// assert_eq!(build.object(list).items().unwrap().get(1).unwrap().as_str(), Some("new"));
    /// # Ok::<(), depickle::pickle::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError::Stranger`] if one of the new ids is of another graph; nothing is changed.
    pub fn redirect(&mut self, to: impl Fn(NodeId) -> NodeId) -> Done {
        let targets: Vec<NodeId> = self
            .build
            .graph()
            .objects()
            .map(Object::id)
            .filter_map(|id| Some(to(id)).filter(|target| *target != id))
            .collect();
        self.check(&targets)?;
        self.build.redirect(to);
        Ok(())
    }

    /// What building may cost.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.build.budget.limits()
    }

    // Checks.

    fn add(&mut self, node: Node) -> Made {
        Ok(self.build.add(node)?)
    }

    fn wrong(&self, wanted: &'static str, id: NodeId) -> BuildError {
        BuildError::WrongType { wanted, found: self.object(id).kind() }
    }

    fn check(&self, ids: &[NodeId]) -> Done {
        let len = self.build.graph().len();
        let known = |id: &NodeId| !matches!(id.place(), Place::Arena(index) if index >= len);
        if ids.iter().all(known) { Ok(()) } else { Err(BuildError::Stranger) }
    }

    fn check_hashable(&self, ids: &[NodeId]) -> Done {
        self.check(ids)?;
        match ids.iter().find(|&&id| !self.build.is_hashable(id)) {
            Some(&id) => Err(BuildError::Unhashable(self.build.unhashable(id))),
            None => Ok(()),
        }
    }

    /// Keys and values in turn.
    fn check_pairs(&mut self, pairs: &[(NodeId, NodeId)]) -> Result<Vec<NodeId>, BuildError> {
        for &(key, value) in pairs {
            self.check_hashable(&[key])?;
            self.check(&[value])?;
        }
        Ok(pairs.iter().flat_map(|&(key, value)| [key, value]).collect())
    }
}

/// The one node of a global.
fn named(
    build: &mut Builder<'_>,
    globals: &mut HashMap<Spelled, NodeId>,
    global: Global<'_>,
) -> Result<NodeId, Exceeded> {
    /// What an entry of the map takes (bytes), growth included.
    const ENTRY: u64 = 128;
    let spelled: Spelled = (global.module.into(), global.name.into());
    if let Some(&id) = globals.get(&spelled) {
        return Ok(id);
    }
    let (module, name) = (build.keep(global.module)?, build.keep(global.name)?);
    build.budget().memory(ENTRY)?;
    let id = build.global(module, name)?;
    globals.insert(spelled, id);
    Ok(id)
}

/// A Rust value that has a plain Python one.
pub trait ToNode {
    /// Adds it to a graph.
    ///
    /// # Errors
    /// As [`GraphBuilder::value`].
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made;
}

impl ToNode for NodeId {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        build.check(&[*self])?;
        Ok(*self)
    }
}

impl ToNode for bool {
    fn to_node(&self, _: &mut GraphBuilder<'_>) -> Made {
        Ok(NodeId::bool(*self))
    }
}

macro_rules! to_int {
    ($($type:ty)*) => { $(impl ToNode for $type {
        fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
            build.int(i64::from(*self))
        }
    })* };
}
to_int!(i8 i16 i32 i64 u8 u16 u32);

macro_rules! to_big_int {
    ($($type:ty)*) => { $(impl ToNode for $type {
        fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
            let mut bytes = self.to_le_bytes().to_vec();
            // A byte for the sign.
            #[allow(unused_comparisons, reason = "one macro for signed and unsigned")]
            bytes.push(if *self < 0 { 0xff } else { 0 });
            build.big_int(&bytes)
        }
    })* };
}
to_big_int!(u64 usize isize i128 u128);

impl ToNode for f32 {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        build.float(f64::from(*self))
    }
}

impl ToNode for f64 {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        build.float(*self)
    }
}

impl ToNode for str {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        build.text(self)
    }
}

impl ToNode for String {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        build.text(self)
    }
}

impl<T: ToNode + ?Sized> ToNode for &T {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        (**self).to_node(build)
    }
}

/// `None` for none.
impl<T: ToNode> ToNode for Option<T> {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        self.as_ref().map_or(Ok(NodeId::NONE), |value| value.to_node(build))
    }
}

/// A `list`.
impl<T: ToNode> ToNode for [T] {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        let items: Result<Vec<NodeId>, _> = self.iter().map(|item| item.to_node(build)).collect();
        build.list(&items?)
    }
}

/// A `list`.
impl<T: ToNode> ToNode for Vec<T> {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        self.as_slice().to_node(build)
    }
}

/// A `list`.
impl<T: ToNode, const N: usize> ToNode for [T; N] {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        self.as_slice().to_node(build)
    }
}

/// A `tuple`.
impl<A: ToNode, B: ToNode> ToNode for (A, B) {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        let items = [self.0.to_node(build)?, self.1.to_node(build)?];
        build.tuple(&items)
    }
}

/// A `tuple`.
impl<A: ToNode, B: ToNode, C: ToNode> ToNode for (A, B, C) {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        let items = [self.0.to_node(build)?, self.1.to_node(build)?, self.2.to_node(build)?];
        build.tuple(&items)
    }
}

/// A `dict`, in the order of the map.
impl<K: ToNode, V: ToNode> ToNode for BTreeMap<K, V> {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        dict(self, build)
    }
}

/// A `dict`, in the order of the map.
impl<K: ToNode, V: ToNode, S: BuildHasher> ToNode for HashMap<K, V, S> {
    fn to_node(&self, build: &mut GraphBuilder<'_>) -> Made {
        dict(self, build)
    }
}

fn dict<'map, K: ToNode + 'map, V: ToNode + 'map>(
    map: impl IntoIterator<Item = (&'map K, &'map V)>,
    build: &mut GraphBuilder<'_>,
) -> Made {
    let mut pairs = Vec::new();
    for (key, value) in map {
        pairs.push((key.to_node(build)?, value.to_node(build)?));
    }
    build.dict(&pairs)
}
