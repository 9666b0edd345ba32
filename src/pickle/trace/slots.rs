//! What stands on the stack and in the memo, eight bytes each: texts by where their operation
//! stands, globals by number.

use std::collections::HashMap;
use std::rc::Rc;

use crate::base::{Budget, Exceeded};
use crate::pickle::decode::Ops;
use crate::pickle::opcode::Op;

/// What stands on the stack or in the memo, as far as following the operations tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thing<'data> {
    /// A text.
    Text(Name<'data>),
    /// A class, function or other module attribute.
    Global(Name<'data>, Name<'data>),
    /// What calling or instantiating this global gives.
    Made(Name<'data>, Name<'data>),
    /// What calling or instantiating that gives in turn.
    Computed(Name<'data>, Name<'data>),
    /// Something of this type, in `pickletools`' words.
    Some(&'static str),
}

/// The bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'data> {
    /// They stand so in the stream.
    Plain(&'data [u8]),
    /// They held escapes, or a registry gave them.
    Unescaped(Rc<[u8]>),
}

impl Name<'_> {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Unescaped(bytes) => bytes,
        }
    }
}

/// A [`Thing`], packed: its kind in the lowest bits, a number above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

impl Slot {
    const BITS: u32 = 3;
    const SOME: u64 = 0;
    const TEXT: u64 = 1;
    const UNESCAPED: u64 = 2;
    const GLOBAL: u64 = 3;
    const MADE: u64 = 4;
    const COMPUTED: u64 = 5;

    const fn new(kind: u64, number: u64) -> Self {
        Self(number << Self::BITS | kind)
    }

    const fn kind(self) -> u64 {
        self.0 & 0b111
    }

    const fn number(self) -> u64 {
        self.0 >> Self::BITS
    }

    /// The text that the operation at this offset gives.
    pub(super) const fn text(at: u64) -> Self {
        Self::new(Self::TEXT, at)
    }

    /// An instance of a global.
    pub(super) const fn made(self) -> Self {
        Self::new(Self::MADE, self.number())
    }

    /// What calling it gives, if that can be told.
    pub(super) const fn called(self) -> Option<Self> {
        match self.kind() {
            Self::GLOBAL => Some(self.made()),
            Self::MADE | Self::COMPUTED => Some(Self::new(Self::COMPUTED, self.number())),
            _ => None,
        }
    }
}

/// What slots stand for.
#[derive(Debug)]
pub(super) struct Slots<'data> {
    bytes: &'data [u8],
    globals: Vec<(Name<'data>, Name<'data>)>,
    texts: Vec<Rc<[u8]>>,
    words: Vec<&'static str>,
    codes: HashMap<u32, Slot>,
}

impl<'data> Slots<'data> {
    /// What a shared text takes beside its bytes, growth of the list included (bytes).
    const TEXT: u64 = 32;
    /// What an explained extension code takes beside its name (bytes).
    const CODE: u64 = 96;

    pub(super) fn new(bytes: &'data [u8]) -> Self {
        let (globals, texts) = (Vec::new(), Vec::new());
        Self { bytes, globals, texts, words: Vec::new(), codes: HashMap::new() }
    }

    /// Something of a type. There are few types.
    pub(super) fn some(&mut self, what: &'static str) -> Slot {
        let found = self.words.iter().position(|&word| word == what);
        let number = found.unwrap_or_else(|| {
            self.words.push(what);
            self.words.len().saturating_sub(1)
        });
        Slot::new(Slot::SOME, number as u64)
    }

    pub(super) fn unescaped(
        &mut self,
        text: Vec<u8>,
        budget: &mut Budget,
    ) -> Result<Slot, Exceeded> {
        budget.memory((text.len() as u64).saturating_add(Self::TEXT))?;
        let number = self.texts.len() as u64;
        self.texts.push(text.into());
        Ok(Slot::new(Slot::UNESCAPED, number))
    }

    pub(super) fn global(
        &mut self,
        module: Name<'data>,
        name: Name<'data>,
        budget: &mut Budget,
    ) -> Result<Slot, Exceeded> {
        let number = self.globals.len() as u64;
        budget.push(&mut self.globals, (module, name))?;
        Ok(Slot::new(Slot::GLOBAL, number))
    }

    /// The global behind an extension code, by the registry.
    pub(super) fn registered(
        &mut self,
        code: u32,
        module: &str,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Slot, Exceeded> {
        if let Some(&slot) = self.codes.get(&code) {
            return Ok(slot);
        }
        let len = (module.len() as u64).saturating_add(name.len() as u64);
        budget.memory(len.saturating_add(Self::CODE))?;
        let name_of = |text: &str| Name::Unescaped(text.as_bytes().into());
        let slot = self.global(name_of(module), name_of(name), budget)?;
        self.codes.insert(code, slot);
        Ok(slot)
    }

    /// What a slot stands for.
    pub(super) fn thing(&self, slot: Slot) -> Thing<'data> {
        let number = usize::try_from(slot.number()).unwrap_or(usize::MAX);
        let global = || self.globals.get(number).cloned();
        let found = match slot.kind() {
            Slot::TEXT => self.text_at(number).map(|text| Thing::Text(Name::Plain(text))),
            Slot::UNESCAPED => {
                self.texts.get(number).map(|text| Thing::Text(Name::Unescaped(text.clone())))
            }
            Slot::GLOBAL => global().map(|(module, name)| Thing::Global(module, name)),
            Slot::MADE => global().map(|(module, name)| Thing::Made(module, name)),
            Slot::COMPUTED => global().map(|(module, name)| Thing::Computed(module, name)),
            _ => self.words.get(number).map(|word| Thing::Some(word)),
        };
        found.unwrap_or(Thing::Some("any"))
    }

    fn text_at(&self, at: usize) -> Option<&'data [u8]> {
        match Ops::new(self.bytes.get(at..)?).next()?.ok()?.1 {
            Op::BinUnicode(text)
            | Op::ShortBinUnicode(text)
            | Op::BinUnicode8(text)
            | Op::BinString(text)
            | Op::ShortBinString(text)
            | Op::Unicode(text) => Some(text),
            _ => None,
        }
    }
}

/// The memo: a vector, and a map for indices that leave gaps.
#[derive(Debug, Default)]
pub(super) struct Memo {
    dense: Vec<Slot>,
    sparse: HashMap<u64, Slot>,
}

impl Memo {
    /// What an entry of the map takes (bytes), growth included.
    const ENTRY: u64 = 56;

    /// Distinct indices stored under: what MEMOIZE counts.
    pub(super) fn stored(&self) -> u64 {
        (self.dense.len() as u64).saturating_add(self.sparse.len() as u64)
    }

    pub(super) fn get(&self, index: u64) -> Option<Slot> {
        let dense = usize::try_from(index).ok().and_then(|index| self.dense.get(index));
        dense.or_else(|| self.sparse.get(&index)).copied()
    }

    pub(super) fn put(
        &mut self,
        index: u64,
        slot: Slot,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        if index == self.dense.len() as u64 && self.sparse.is_empty() {
            return budget.push(&mut self.dense, slot);
        }
        let dense = usize::try_from(index).ok().and_then(|index| self.dense.get_mut(index));
        if let Some(place) = dense {
            *place = slot;
            return Ok(());
        }
        if !self.sparse.contains_key(&index) {
            budget.memory(Self::ENTRY)?;
        }
        self.sparse.insert(index, slot);
        Ok(())
    }
}
