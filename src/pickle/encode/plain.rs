//! Values written as they come, with no graph before them: trees only, no memo but for names.

use std::io::Write;

use super::atoms::Atoms;
use super::{EncodeError, Encoder};
use crate::pickle::opcode::codes;

type Done = Result<(), EncodeError>;

/// Writes one value: atoms by their methods; containers by [`begin`](Self::begin), then
/// [`item`](Self::item) and [`done`](Self::done) around each item or pair, then
/// [`end`](Self::end).
pub(crate) struct Plain<'sink> {
    atoms: Atoms<'sink>,
    protocol: u8,
}

/// What is being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    List,
    Dict,
    Tuple,
}

/// A container that was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    container: Container,
    /// The next item is written without a mark.
    bare: bool,
    /// Items since the mark.
    batch: u16,
    /// Items of a tuple.
    len: Option<usize>,
}

impl<'sink> Plain<'sink> {
    /// Items that one operation takes at most, as in Python.
    const BATCH: u16 = 1000;

    pub(crate) fn new(options: &Encoder, sink: &'sink mut dyn Write) -> Result<Self, EncodeError> {
        let protocol = options.protocol();
        let mut atoms = Atoms::new(protocol, false, sink);
        atoms.begin()?;
        Ok(Self { atoms, protocol })
    }

    pub(crate) fn finish(self) -> Result<u64, EncodeError> {
        self.atoms.finish()
    }

    #[inline]
    fn next(&mut self) -> Result<&mut Atoms<'sink>, EncodeError> {
        self.atoms.out.boundary()?;
        Ok(&mut self.atoms)
    }

    pub(crate) fn none(&mut self) -> Done {
        self.next()?.out.byte(codes::NONE);
        Ok(())
    }

    pub(crate) fn bool(&mut self, value: bool) -> Done {
        self.next()?.bool(value);
        Ok(())
    }

    #[inline]
    pub(crate) fn int(&mut self, value: i64) -> Done {
        self.next()?.int(value);
        Ok(())
    }

    /// Little-endian two's complement, shortest form.
    pub(crate) fn big_int(&mut self, bytes: &[u8]) -> Done {
        self.next()?.big_int(bytes)
    }

    #[inline]
    pub(crate) fn float(&mut self, value: f64) -> Done {
        self.next()?.float(value);
        Ok(())
    }

    #[inline]
    pub(crate) fn text(&mut self, text: &str) -> Done {
        self.next()?.text(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Done {
        self.next()?.binary(bytes)
    }

    /// Stores the text just written. Returns where.
    pub(crate) fn put(&mut self) -> Result<u32, EncodeError> {
        self.atoms.put()
    }

    /// What was stored there.
    #[inline]
    pub(crate) fn get(&mut self, place: u32) -> Done {
        self.next()?.get(place);
        Ok(())
    }

    /// Begins a container of `len` items or pairs, as far as is known. A tuple must hold as
    /// many as were announced.
    pub(crate) fn begin(
        &mut self,
        container: Container,
        len: Option<usize>,
    ) -> Result<Open, EncodeError> {
        let protocol = self.protocol;
        let atoms = self.next()?;
        let bare = match container {
            Container::List => {
                atoms.empty_list();
                protocol == 0 || len == Some(1)
            }
            Container::Dict => {
                atoms.empty_dict();
                protocol == 0 || len == Some(1)
            }
            Container::Tuple => {
                let bare = matches!(len, Some(0)) || protocol >= 2 && matches!(len, Some(1..=3));
                if !bare {
                    atoms.out.byte(codes::MARK);
                }
                bare
            }
        };
        Ok(Open { container, bare, batch: 0, len })
    }

    /// An item or pair comes.
    #[inline]
    pub(crate) fn item(&mut self, open: &Open) {
        if open.container != Container::Tuple && open.batch == 0 && !open.bare {
            self.atoms.out.byte(codes::MARK);
        }
    }

    /// An item or pair was written.
    #[inline]
    pub(crate) fn done(&mut self, open: &mut Open) {
        let (one, many) = match open.container {
            Container::List => (codes::APPEND, codes::APPENDS),
            Container::Dict => (codes::SETITEM, codes::SETITEMS),
            Container::Tuple => return,
        };
        if open.bare {
            self.atoms.out.byte(one);
            open.bare = self.protocol == 0;
            return;
        }
        open.batch = open.batch.saturating_add(1);
        if open.batch == Self::BATCH {
            self.atoms.out.byte(many);
            open.batch = 0;
        }
    }

    pub(crate) fn end(&mut self, open: &Open) {
        match (open.container, open.len) {
            (Container::List, _) if open.batch > 0 => self.atoms.out.byte(codes::APPENDS),
            (Container::Dict, _) if open.batch > 0 => self.atoms.out.byte(codes::SETITEMS),
            (Container::List | Container::Dict, _) => {}
            (Container::Tuple, Some(0)) => self.atoms.empty_tuple(),
            (Container::Tuple, Some(1)) if open.bare => self.atoms.out.byte(codes::TUPLE1),
            (Container::Tuple, Some(2)) if open.bare => self.atoms.out.byte(codes::TUPLE2),
            (Container::Tuple, _) if open.bare => self.atoms.out.byte(codes::TUPLE3),
            (Container::Tuple, _) => self.atoms.out.byte(codes::TUPLE),
        }
    }
}
