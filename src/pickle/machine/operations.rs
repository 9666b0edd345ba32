//! What each operation does, a method an opcode.

use super::{Machine, Step, wrong};
use crate::base::{End, Limit};
use crate::pickle::decode::Visit;
use crate::pickle::error::Kind;
use crate::pickle::graph::{Make, Node, NodeId, Span};
use crate::pickle::text::{self, Number};

type Lines<'data> = (&'data [u8], &'data [u8]);

impl<'data> Visit<'data> for Machine<'_> {
    type Output = ();

    #[inline(always)]
    fn operand_ends(&mut self, at: usize) {
        self.end = at;
    }

    #[inline(always)]
    fn MARK(&mut self) -> Step {
        let height = self.stack.len();
        Ok(self.build.budget().push(&mut self.marks, height)?)
    }

    fn STOP(&mut self) -> Step {
        let root = self.pop()?;
        self.build.root(root);
        Ok(())
    }

    fn POP(&mut self) -> Step {
        self.pop_any()
    }

    fn POP_MARK(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.stack.truncate(height);
        Ok(())
    }

    fn DUP(&mut self) -> Step {
        let top = self.top()?;
        self.push(top)
    }

    // Numbers.

    fn FLOAT(&mut self, line: &'data [u8]) -> Step {
        self.add(Node::Float(text::float(line)?))
    }

    fn INT(&mut self, line: &'data [u8]) -> Step {
        self.number(text::int(line)?)
    }

    #[inline(always)]
    fn BININT(&mut self, value: i32) -> Step {
        self.int(value.into())
    }

    #[inline(always)]
    fn BININT1(&mut self, value: u8) -> Step {
        self.int(value.into())
    }

    #[inline(always)]
    fn BININT2(&mut self, value: u16) -> Step {
        self.int(value.into())
    }

    fn LONG(&mut self, line: &'data [u8]) -> Step {
        self.number(text::long(line)?)
    }

    fn LONG1(&mut self, bytes: &'data [u8]) -> Step {
        self.long(bytes)
    }

    fn LONG4(&mut self, bytes: &'data [u8]) -> Step {
        self.long(bytes)
    }

    #[inline(always)]
    fn BINFLOAT(&mut self, value: f64) -> Step {
        self.add(Node::Float(value))
    }

    #[inline(always)]
    fn NONE(&mut self) -> Step {
        self.push(NodeId::NONE)
    }

    #[inline(always)]
    fn NEWTRUE(&mut self) -> Step {
        self.push(NodeId::TRUE)
    }

    #[inline(always)]
    fn NEWFALSE(&mut self) -> Step {
        self.push(NodeId::FALSE)
    }

    // Texts and bytes.

    fn STRING(&mut self, line: &'data [u8]) -> Step {
        let span = self.build.keep(&text::string(line)?)?;
        self.add(Node::Str8(span))
    }

    fn BINSTRING(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::Str8(self.span(bytes)))
    }

    #[inline(always)]
    fn SHORT_BINSTRING(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::Str8(self.span(bytes)))
    }

    fn UNICODE(&mut self, line: &'data [u8]) -> Step {
        let span = self.build.keep(&text::unicode(line)?)?;
        self.add(Node::Text(span))
    }

    #[inline(always)]
    fn BINUNICODE(&mut self, bytes: &'data [u8]) -> Step {
        self.text(bytes)
    }

    #[inline(always)]
    fn SHORT_BINUNICODE(&mut self, bytes: &'data [u8]) -> Step {
        self.text(bytes)
    }

    fn BINUNICODE8(&mut self, bytes: &'data [u8]) -> Step {
        self.text(bytes)
    }

    fn BINBYTES(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::Bytes(self.span(bytes)))
    }

    fn SHORT_BINBYTES(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::Bytes(self.span(bytes)))
    }

    fn BINBYTES8(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::Bytes(self.span(bytes)))
    }

    fn BYTEARRAY8(&mut self, bytes: &'data [u8]) -> Step {
        self.add(Node::ByteArray(self.span(bytes)))
    }

    fn NEXT_BUFFER(&mut self) -> Step {
        self.add(Node::Buffer { index: self.buffers, readonly: false })?;
        self.buffers = self.buffers.saturating_add(1);
        Ok(())
    }

    fn READONLY_BUFFER(&mut self) -> Step {
        self.read_only_buffer()
    }

    // Containers.

    #[inline(always)]
    fn EMPTY_LIST(&mut self) -> Step {
        let id = self.build.list(&[])?;
        self.push(id)
    }

    fn LIST(&mut self) -> Step {
        let height = self.pop_mark()?;
        let id = self.build.list(self.stack.get(height..).unwrap_or_default())?;
        self.replace(height, id)
    }

    fn APPEND(&mut self) -> Step {
        self.append(self.below_top(1)?)
    }

    #[inline(always)]
    fn APPENDS(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.append(height)
    }

    #[inline(always)]
    fn EMPTY_DICT(&mut self) -> Step {
        let id = self.build.dict(&[])?;
        self.push(id)
    }

    fn DICT(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.check_pairs(height)?;
        let id = self.build.dict(self.stack.get(height..).unwrap_or_default())?;
        self.replace(height, id)
    }

    /// Rare beside SETITEMS, which has the same inlined.
    #[inline(never)]
    fn SETITEM(&mut self) -> Step {
        self.set_items(self.below_top(2)?)
    }

    #[inline(always)]
    fn SETITEMS(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.set_items(height)
    }

    fn EMPTY_SET(&mut self) -> Step {
        let id = self.build.set()?;
        self.push(id)
    }

    fn ADDITEMS(&mut self) -> Step {
        self.add_items()
    }

    fn FROZENSET(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.check_members(height)?;
        let id = self.build.frozen_set(self.stack.get(height..).unwrap_or_default())?;
        self.replace(height, id)
    }

    #[inline(always)]
    fn EMPTY_TUPLE(&mut self) -> Step {
        self.push(NodeId::EMPTY_TUPLE)
    }

    #[inline(always)]
    fn TUPLE1(&mut self) -> Step {
        self.tuple(self.below_top(1)?)
    }

    #[inline(always)]
    fn TUPLE2(&mut self) -> Step {
        self.tuple(self.below_top(2)?)
    }

    #[inline(always)]
    fn TUPLE3(&mut self) -> Step {
        self.tuple(self.below_top(3)?)
    }

    #[inline(always)]
    fn TUPLE(&mut self) -> Step {
        let height = self.pop_mark()?;
        self.tuple(height)
    }

    // The memo.

    fn GET(&mut self, line: &'data [u8]) -> Step {
        self.get(text::index(line)?)
    }

    #[inline(always)]
    fn BINGET(&mut self, index: u8) -> Step {
        self.get(index.into())
    }

    #[inline(always)]
    fn LONG_BINGET(&mut self, index: u32) -> Step {
        self.get(index.into())
    }

    fn PUT(&mut self, line: &'data [u8]) -> Step {
        self.put(text::index(line)?)
    }

    #[inline(always)]
    fn BINPUT(&mut self, index: u8) -> Step {
        self.put(index.into())
    }

    #[inline(always)]
    fn LONG_BINPUT(&mut self, index: u32) -> Step {
        self.put(index.into())
    }

    #[inline(always)]
    fn MEMOIZE(&mut self) -> Step {
        self.put(self.memo.stored)
    }

    // Globals and what is made of them.

    fn GLOBAL(&mut self, (module, name): Lines<'data>) -> Step {
        let id = self.line_global(module, name)?;
        self.push(id)
    }

    fn STACK_GLOBAL(&mut self) -> Step {
        self.stack_global()
    }

    fn EXT1(&mut self, code: u8) -> Step {
        self.extension(code.into())
    }

    fn EXT2(&mut self, code: u16) -> Step {
        self.extension(code.into())
    }

    fn EXT4(&mut self, code: i32) -> Step {
        self.extension(code.into())
    }

    fn PERSID(&mut self, line: &'data [u8]) -> Step {
        if !line.is_ascii() {
            return Err(Kind::BadOperand("the persistent id is not ASCII").into());
        }
        let id = self.build.add(Node::Text(self.line_span(line)))?;
        self.add(Node::Persistent(id))
    }

    fn BINPERSID(&mut self) -> Step {
        let id = self.pop()?;
        self.add(Node::Persistent(id))
    }

    #[inline(always)]
    fn REDUCE(&mut self) -> Step {
        self.reduce()
    }

    fn INST(&mut self, (module, name): Lines<'data>) -> Step {
        self.inst(module, name)
    }

    fn OBJ(&mut self) -> Step {
        self.obj()
    }

    fn NEWOBJ(&mut self) -> Step {
        let args = self.pop()?;
        self.new_obj(Make::NewObj, args, NodeId::NONE)
    }

    fn NEWOBJ_EX(&mut self) -> Step {
        let kwargs = self.pop()?;
        let args = self.pop()?;
        self.new_obj(Make::NewObjEx, args, kwargs)
    }

    fn BUILD(&mut self) -> Step {
        self.set_state()?;
        if self.wrappers && self.outer.is_none() { self.look_for_array() } else { Ok(()) }
    }

    // The stream.

    fn PROTO(&mut self, protocol: u8) -> Step {
        if protocol > 5 {
            return Err(Kind::UnknownProtocol(protocol).into());
        }
        self.build.protocol(protocol);
        Ok(())
    }

    fn FRAME(&mut self, len: u64) -> Step {
        // As CPython: the frame must be there; where it ends means nothing but to joblib.
        let left = self.len.saturating_sub(self.end) as u64;
        if len > left {
            return Err(End { wanted: len, left }.into());
        }
        // It fits, so that it can be counted.
        self.frame_end = self.end.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl Machine<'_> {
    #[inline(always)]
    fn int(&mut self, value: i64) -> Step {
        let id = self.build.int(value)?;
        self.push(id)
    }

    fn number(&mut self, number: Number) -> Step {
        match number {
            Number::Bool(value) => self.push(NodeId::bool(value)),
            Number::Int(value) => self.int(value),
            Number::Big(bytes) => {
                self.build.budget().limits().admit(Limit::IntBytes, bytes.len() as u64)?;
                let span = self.build.keep(&bytes)?;
                self.add(Node::BigInt(span))
            }
        }
    }

    fn long(&mut self, bytes: &[u8]) -> Step {
        let short = text::shortest(bytes);
        if short.len() <= 8 {
            return self.number(text::twos_complement(short));
        }
        self.build.budget().limits().admit(Limit::IntBytes, short.len() as u64)?;
        let Span { start, .. } = self.span(bytes);
        self.add(Node::BigInt(Span { start, len: short.len() as u64, decoded: false }))
    }

    #[inline(always)]
    fn text(&mut self, bytes: &[u8]) -> Step {
        if !text::is_utf8_with_surrogates(bytes) {
            return Err(Kind::BadOperand("the text is not UTF-8").into());
        }
        self.add(Node::Text(self.span(bytes)))
    }

    fn read_only_buffer(&mut self) -> Step {
        let top = self.top()?;
        match self.build.graph().kind(top) {
            Some(Node::Buffer { index, readonly: false }) => {
                self.pop()?;
                self.add(Node::Buffer { index, readonly: true })
            }
            Some(Node::Buffer { .. } | Node::Bytes(_)) => Ok(()),
            _ => Err(wrong("a buffer", self.build.graph().object(top).kind()).into()),
        }
    }
}
