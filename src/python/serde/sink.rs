//! Where a value goes: into a pickle, or into a graph.

use std::collections::HashMap;

use super::error::Error;
use crate::pickle::{Container, GraphBuilder, NodeId, Open, Plain};

type Done = Result<(), Error>;

/// Takes a value part by part, parts before the whole.
pub(super) trait Sink {
    /// A container that was begun.
    type Open: Copy;
    /// A text that was given before.
    type Name: Copy;

    fn none(&mut self) -> Done;
    fn bool(&mut self, value: bool) -> Done;
    fn int(&mut self, value: i64) -> Done;
    /// Little-endian two's complement.
    fn big_int(&mut self, bytes: &[u8]) -> Done;
    fn float(&mut self, value: f64) -> Done;
    fn text(&mut self, text: &str) -> Done;
    fn bytes(&mut self, bytes: &[u8]) -> Done;
    /// Takes a text that may come again.
    fn first_name(&mut self, name: &str) -> Result<Self::Name, Error>;
    fn name_again(&mut self, name: Self::Name) -> Done;
    fn begin(&mut self, container: Container, len: Option<usize>) -> Result<Self::Open, Error>;
    /// Before each item or pair.
    fn item(&mut self, open: &Self::Open);
    /// After each.
    fn done(&mut self, open: &mut Self::Open);
    fn end(&mut self, container: Container, open: &Self::Open) -> Done;
}

impl Sink for Plain<'_> {
    type Open = Open;
    /// Its place in the memo.
    type Name = u32;

    #[inline]
    fn none(&mut self) -> Done {
        Ok(Plain::none(self)?)
    }

    #[inline]
    fn bool(&mut self, value: bool) -> Done {
        Ok(Plain::bool(self, value)?)
    }

    #[inline]
    fn int(&mut self, value: i64) -> Done {
        Ok(Plain::int(self, value)?)
    }

    fn big_int(&mut self, bytes: &[u8]) -> Done {
        Ok(Plain::big_int(self, bytes)?)
    }

    #[inline]
    fn float(&mut self, value: f64) -> Done {
        Ok(Plain::float(self, value)?)
    }

    #[inline]
    fn text(&mut self, text: &str) -> Done {
        Ok(Plain::text(self, text)?)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Done {
        Ok(Plain::bytes(self, bytes)?)
    }

    fn first_name(&mut self, name: &str) -> Result<u32, Error> {
        Plain::text(self, name)?;
        Ok(self.put()?)
    }

    #[inline]
    fn name_again(&mut self, name: u32) -> Done {
        Ok(self.get(name)?)
    }

    fn begin(&mut self, container: Container, len: Option<usize>) -> Result<Open, Error> {
        Ok(Plain::begin(self, container, len)?)
    }

    #[inline]
    fn item(&mut self, open: &Open) {
        Plain::item(self, open);
    }

    #[inline]
    fn done(&mut self, open: &mut Open) {
        Plain::done(self, open);
    }

    fn end(&mut self, _: Container, open: &Open) -> Done {
        Plain::end(self, open);
        Ok(())
    }
}

/// Objects of a graph, on a stack until what holds them is complete.
pub(super) struct Nodes<'build, 'budget> {
    build: &'build mut GraphBuilder<'budget>,
    stack: Vec<NodeId>,
}

impl<'build, 'budget> Nodes<'build, 'budget> {
    pub(super) fn new(build: &'build mut GraphBuilder<'budget>) -> Self {
        Self { build, stack: Vec::new() }
    }

    /// The one object that is left.
    pub(super) fn finish(mut self) -> NodeId {
        self.stack.pop().unwrap_or(NodeId::NONE)
    }

    fn push(&mut self, id: NodeId) {
        self.stack.push(id);
    }
}

impl Sink for Nodes<'_, '_> {
    /// The height of the stack below its items.
    type Open = usize;
    type Name = NodeId;

    fn none(&mut self) -> Done {
        self.push(NodeId::NONE);
        Ok(())
    }

    fn bool(&mut self, value: bool) -> Done {
        self.push(NodeId::bool(value));
        Ok(())
    }

    fn int(&mut self, value: i64) -> Done {
        let id = self.build.int(value)?;
        self.push(id);
        Ok(())
    }

    fn big_int(&mut self, bytes: &[u8]) -> Done {
        let id = self.build.big_int(bytes)?;
        self.push(id);
        Ok(())
    }

    fn float(&mut self, value: f64) -> Done {
        let id = self.build.float(value)?;
        self.push(id);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Done {
        let id = self.build.text(text)?;
        self.push(id);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Done {
        let id = self.build.bytes(bytes)?;
        self.push(id);
        Ok(())
    }

    fn first_name(&mut self, name: &str) -> Result<NodeId, Error> {
        let id = self.build.text(name)?;
        self.push(id);
        Ok(id)
    }

    fn name_again(&mut self, name: NodeId) -> Done {
        self.push(name);
        Ok(())
    }

    fn begin(&mut self, _: Container, _: Option<usize>) -> Result<usize, Error> {
        Ok(self.stack.len())
    }

    fn item(&mut self, _: &usize) {}

    fn done(&mut self, _: &mut usize) {}

    fn end(&mut self, container: Container, open: &usize) -> Done {
        let items = self.stack.get(*open..).unwrap_or_default();
        let id = match container {
            Container::List => self.build.list(items)?,
            Container::Tuple => self.build.tuple(items)?,
            Container::Dict => {
                let pairs: Vec<(NodeId, NodeId)> =
                    items.as_chunks().0.iter().map(|&[key, value]| (key, value)).collect();
                self.build.dict(&pairs)?
            }
        };
        self.stack.truncate(*open);
        self.push(id);
        Ok(())
    }
}

/// Names of fields and variants that were given before: told by where they lie in the program,
/// since those live for ever.
pub(super) struct Names<Name> {
    known: Vec<(&'static str, Name)>,
    by_place: HashMap<(usize, usize), usize>,
    /// The one behind the one given last: fields come in the same order again.
    next: usize,
}

impl<Name: Copy> Names<Name> {
    pub(super) fn new() -> Self {
        Self { known: Vec::new(), by_place: HashMap::new(), next: 0 }
    }

    pub(super) fn give<S: Sink<Name = Name>>(&mut self, name: &'static str, sink: &mut S) -> Done {
        /// So many are compared one by one.
        const FEW: usize = 16;
        let is = |(known, _): &(&'static str, Name)| std::ptr::eq(*known, name);
        let at = match self.known.get(self.next) {
            Some(known) if is(known) => Some(self.next),
            _ if self.known.len() <= FEW => self.known.iter().position(is),
            _ => self.by_place.get(&(name.as_ptr().addr(), name.len())).copied(),
        };
        if let Some((at, &(_, place))) = at.and_then(|at| Some((at, self.known.get(at)?))) {
            self.next = at.saturating_add(1);
            return sink.name_again(place);
        }
        let place = sink.first_name(name)?;
        self.by_place.insert((name.as_ptr().addr(), name.len()), self.known.len());
        self.known.push((name, place));
        self.next = self.known.len();
        Ok(())
    }
}
