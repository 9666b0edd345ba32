//! Values without parts, and the memo: what they look like in each protocol.

use std::collections::HashMap;
use std::io::{self, Write};

use super::count::Uses;
use super::error::EncodeError;
use super::out::Out;
use super::write::{Builtin, full};
use crate::base::Budget;
use crate::pickle::digits;
use crate::pickle::graph::{Graph, Node, NodeId, Place};
use crate::pickle::opcode::codes;
use crate::pickle::text::shortest;

type Done = Result<(), EncodeError>;

/// Writes single operations.
pub(super) struct Atoms<'sink> {
    pub(super) out: Out<'sink>,
    protocol: u8,
    /// Whether Python's habit of storing everything is kept.
    all: bool,
    /// Places of the memo taken so far.
    stored: u32,
    builtins: Vec<(Builtin, u32)>,
    /// Where names of modules, and of globals, are in the memo, if all of them go there.
    names: [HashMap<Box<[u8]>, u32>; 2],
    latin1: Option<u32>,
}

impl<'sink> Atoms<'sink> {
    pub(super) fn new(protocol: u8, all: bool, sink: &'sink mut dyn Write) -> Self {
        let (builtins, names) = (Vec::new(), [HashMap::new(), HashMap::new()]);
        Self { out: Out::new(sink), protocol, all, stored: 0, builtins, names, latin1: None }
    }

    pub(super) fn begin(&mut self) -> Done {
        if self.protocol >= 2 {
            self.out.op(codes::PROTO, [self.protocol]);
        }
        if self.protocol >= 4 {
            self.out.frame()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<u64, EncodeError> {
        self.out.byte(codes::STOP);
        Ok(self.out.finish()?)
    }

    /// Writes a number, a constant, or an object that is in the memo. False if it is none of
    /// these, with nothing written.
    #[inline(always)]
    pub(super) fn plain(&mut self, graph: &Graph, uses: &Uses, id: NodeId) -> io::Result<bool> {
        self.out.boundary()?;
        match id.place() {
            Place::Int(value) => self.int(value.into()),
            Place::None => self.out.byte(codes::NONE),
            Place::Bool(value) => self.bool(value),
            Place::EmptyTuple => self.empty_tuple(),
            Place::Arena(index) => {
                let met = uses.met.get(index).copied().unwrap_or_default();
                if let Some(place) = met.checked_sub(Uses::FIRST) {
                    self.get(place);
                    return Ok(true);
                }
                match graph.number(id) {
                    Some(Node::Float(value)) => self.float(value),
                    Some(Node::Int(value)) => self.int(value),
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    // The memo.

    pub(super) const fn stored(&self) -> u32 {
        self.stored
    }

    /// Stores the top of the reader's stack. Returns where.
    pub(super) fn put(&mut self) -> Result<u32, EncodeError> {
        let place = self.stored;
        self.stored = place.checked_add(1).filter(|&n| n < u32::MAX >> 1).ok_or_else(full)?;
        match u8::try_from(place) {
            _ if self.protocol >= 4 => self.out.byte(codes::MEMOIZE),
            _ if self.protocol == 0 => self.line(codes::PUT, place.to_string().as_bytes()),
            Ok(place) => self.out.op(codes::BINPUT, [place]),
            Err(_) => self.out.op(codes::LONG_BINPUT, place.to_le_bytes()),
        }
        Ok(place)
    }

    /// Stores what the graph does not know, as Python would.
    pub(super) fn put_unnamed(&mut self) -> Done {
        if self.all { self.put().map(drop) } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn get(&mut self, place: u32) {
        match u8::try_from(place) {
            _ if self.protocol == 0 => self.line(codes::GET, place.to_string().as_bytes()),
            Ok(place) => self.out.op(codes::BINGET, [place]),
            Err(_) => self.out.op(codes::LONG_BINGET, place.to_le_bytes()),
        }
    }

    /// Takes so many objects off the reader's stack, and the mark below them if there is one.
    pub(super) fn drop_parts(&mut self, (count, mark): (usize, bool)) {
        if mark && self.protocol >= 1 {
            return self.out.byte(codes::POP_MARK);
        }
        (0..count.saturating_add(mark.into())).for_each(|_| self.out.byte(codes::POP));
    }

    // Numbers.

    #[inline(always)]
    pub(super) fn int(&mut self, value: i64) {
        match value {
            _ if self.protocol == 0 => self.int_line(value),
            0..=0xff => self.out.op(codes::BININT1, low::<1>(value)),
            0x100..=0xffff => self.out.op(codes::BININT2, low::<2>(value)),
            -0x8000_0000..=-1 | 0x1_0000..=0x7fff_ffff => {
                self.out.op(codes::BININT, low::<4>(value));
            }
            _ if self.protocol == 1 => self.int_line(value),
            _ => self.long1(value),
        }
    }

    fn long1(&mut self, value: i64) {
        let bytes = value.to_le_bytes();
        let bytes = shortest(&bytes);
        self.out.op(codes::LONG1, [u8::try_from(bytes.len()).unwrap_or_default()]);
        self.out.bytes(bytes);
    }

    #[cold]
    fn int_line(&mut self, value: i64) {
        if i32::try_from(value).is_ok() {
            self.line(codes::INT, value.to_string().as_bytes());
        } else {
            self.line(codes::LONG, format!("{value}L").as_bytes());
        }
    }

    /// Little-endian two's complement.
    pub(super) fn big_int(&mut self, bytes: &[u8]) -> Done {
        if self.protocol < 2 {
            let text = digits::big_int_of(bytes);
            self.line(codes::LONG, format!("{text}L").as_bytes());
            return Ok(());
        }
        match (u8::try_from(bytes.len()), i32::try_from(bytes.len())) {
            (Ok(len), _) => Ok(self.out.payload(&[codes::LONG1, len], bytes)?),
            (_, Ok(len)) => self.long_payload(codes::LONG4, len.cast_unsigned(), bytes),
            _ => Err(EncodeError::needs("an integer over 2 GiB", 6)),
        }
    }

    #[inline]
    pub(super) fn float(&mut self, value: f64) {
        if self.protocol == 0 {
            self.line(codes::FLOAT, digits::float(value).as_bytes());
        } else {
            self.out.op(codes::BINFLOAT, value.to_be_bytes());
        }
    }

    pub(super) fn bool(&mut self, value: bool) {
        match (self.protocol >= 2, value) {
            (true, true) => self.out.byte(codes::NEWTRUE),
            (true, false) => self.out.byte(codes::NEWFALSE),
            (false, true) => self.line(codes::INT, b"01"),
            (false, false) => self.line(codes::INT, b"00"),
        }
    }

    // Texts and bytes.

    #[inline(never)]
    pub(super) fn line(&mut self, op: u8, text: &[u8]) {
        self.out.byte(op);
        self.out.bytes(text);
        self.out.byte(b'\n');
    }

    pub(super) fn two_lines(&mut self, op: u8, first: &[u8], second: &[u8]) {
        self.line(op, first);
        self.out.bytes(second);
        self.out.byte(b'\n');
    }

    #[inline]
    pub(super) fn text(&mut self, bytes: &[u8]) -> Done {
        match (u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
            _ if self.protocol == 0 => self.text_line(bytes),
            (Ok(len), _) if self.protocol >= 4 => {
                Ok(self.out.payload(&[codes::SHORT_BINUNICODE, len], bytes)?)
            }
            (_, Ok(len)) => self.long_payload(codes::BINUNICODE, len, bytes),
            _ => self.huge(codes::BINUNICODE8, bytes, 4, "a text over 4 GiB"),
        }
    }

    fn long_payload(&mut self, op: u8, len: u32, bytes: &[u8]) -> Done {
        let [a, b, c, d] = len.to_le_bytes();
        Ok(self.out.payload(&[op, a, b, c, d], bytes)?)
    }

    fn huge(&mut self, op: u8, bytes: &[u8], since: u8, what: &'static str) -> Done {
        if self.protocol < since {
            return Err(EncodeError::needs(what, since));
        }
        let mut head = [op; 9];
        if let Some(len) = head.get_mut(1..) {
            len.copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        }
        Ok(self.out.payload(&head, bytes)?)
    }

    /// UNICODE: what is not Latin-1, or would end the line, as an escape.
    fn text_line(&mut self, mut bytes: &[u8]) -> Done {
        self.out.byte(codes::UNICODE);
        loop {
            let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            for char in valid.chars() {
                self.char(char.into());
                self.out.boundary()?;
            }
            bytes = match bytes.get(valid.len()..).unwrap_or_default() {
                [lead, second, third, rest @ ..] => {
                    // A surrogate, in three bytes.
                    let code = (u32::from(lead & 0x0f) << 12)
                        | (u32::from(second & 0x3f) << 6)
                        | u32::from(third & 0x3f);
                    self.char(code);
                    rest
                }
                _ => break,
            };
        }
        self.out.byte(b'\n');
        Ok(())
    }

    fn char(&mut self, code: u32) {
        match (u8::try_from(code), u16::try_from(code)) {
            (Ok(byte), _) if !matches!(byte, b'\\' | 0 | b'\n' | b'\r' | 0x1a) => {
                self.out.byte(byte);
            }
            (_, Ok(code)) => self.out.bytes(format!("\\u{code:04x}").as_bytes()),
            _ => self.out.bytes(format!("\\U{code:08x}").as_bytes()),
        }
    }

    /// A `str` of Python 2.
    pub(super) fn str8(&mut self, bytes: &[u8]) -> Done {
        match (u8::try_from(bytes.len()), i32::try_from(bytes.len())) {
            _ if self.protocol == 0 => self.str8_line(bytes),
            (Ok(len), _) => Ok(self.out.payload(&[codes::SHORT_BINSTRING, len], bytes)?),
            (_, Ok(len)) => self.long_payload(codes::BINSTRING, len.cast_unsigned(), bytes),
            _ => Err(EncodeError::needs("a Python 2 string over 2 GiB", 6)),
        }
    }

    fn str8_line(&mut self, bytes: &[u8]) -> Done {
        self.out.bytes(&[codes::STRING, b'\'']);
        for &byte in bytes {
            match byte {
                b'\'' | b'\\' => self.out.bytes(&[b'\\', byte]),
                b' '..=b'~' => self.out.byte(byte),
                _ => self.out.bytes(format!("\\x{byte:02x}").as_bytes()),
            }
            self.out.boundary()?;
        }
        self.out.bytes(b"'\n");
        Ok(())
    }

    pub(super) fn binary(&mut self, bytes: &[u8]) -> Done {
        match (u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
            _ if self.protocol < 3 => self.encoded_binary(bytes),
            (Ok(len), _) => Ok(self.out.payload(&[codes::SHORT_BINBYTES, len], bytes)?),
            (_, Ok(len)) => self.long_payload(codes::BINBYTES, len, bytes),
            _ => self.huge(codes::BINBYTES8, bytes, 4, "bytes over 4 GiB"),
        }
    }

    /// `_codecs.encode(text, 'latin1')`, or `bytes()`.
    fn encoded_binary(&mut self, bytes: &[u8]) -> Done {
        if bytes.is_empty() {
            self.builtin(Builtin::Bytes)?;
            self.empty_tuple();
            self.out.byte(codes::REDUCE);
            return Ok(());
        }
        self.builtin(Builtin::Encode)?;
        if self.protocol < 2 {
            self.out.byte(codes::MARK);
        }
        self.latin1_text(bytes)?;
        self.put_unnamed()?;
        if let Some(place) = self.latin1 {
            self.get(place);
        } else {
            self.text(b"latin1")?;
            if self.all {
                self.latin1 = Some(self.put()?);
            }
        }
        self.out.byte(if self.protocol < 2 { codes::TUPLE } else { codes::TUPLE2 });
        self.put_unnamed()?;
        self.out.byte(codes::REDUCE);
        Ok(())
    }

    /// A text whose characters have the numbers that the bytes are.
    fn latin1_text(&mut self, bytes: &[u8]) -> Done {
        if self.protocol == 0 {
            self.out.byte(codes::UNICODE);
            for &byte in bytes {
                self.char(byte.into());
                self.out.boundary()?;
            }
            self.out.byte(b'\n');
            return Ok(());
        }
        let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
        let len = u32::try_from(bytes.len().saturating_add(high));
        let len = len.map_err(|_| EncodeError::needs("bytes over 4 GiB", 4))?;
        self.out.op(codes::BINUNICODE, len.to_le_bytes());
        for &byte in bytes {
            self.out.bytes(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes());
            self.out.boundary()?;
        }
        Ok(())
    }

    pub(super) fn byte_array(&mut self, bytes: &[u8]) -> Done {
        if self.protocol >= 5 {
            return self.huge(codes::BYTEARRAY8, bytes, 5, "a bytearray");
        }
        self.builtin(Builtin::ByteArray)?;
        if bytes.is_empty() {
            self.empty_tuple();
        } else {
            if self.protocol < 2 {
                self.out.byte(codes::MARK);
            }
            self.binary(bytes)?;
            self.put_unnamed()?;
            self.out.byte(if self.protocol < 2 { codes::TUPLE } else { codes::TUPLE1 });
            self.put_unnamed()?;
        }
        self.out.byte(codes::REDUCE);
        Ok(())
    }

    // Empty containers.

    pub(super) fn empty_tuple(&mut self) {
        self.out.bytes(if self.protocol == 0 { b"(t" } else { b")" });
    }

    pub(super) fn empty_list(&mut self) {
        self.out.bytes(if self.protocol == 0 { b"(l" } else { b"]" });
    }

    pub(super) fn empty_dict(&mut self) {
        self.out.bytes(if self.protocol == 0 { b"(d" } else { b"}" });
    }

    // Globals.

    pub(super) fn extension(&mut self, code: u32) {
        match (u8::try_from(code), u16::try_from(code)) {
            (Ok(code), _) => self.out.op(codes::EXT1, [code]),
            (_, Ok(code)) => self.out.op(codes::EXT2, code.to_le_bytes()),
            _ => self.out.op(codes::EXT4, code.to_le_bytes()),
        }
    }

    /// A global by name. Dotted names need an attribute look-up before protocol 4.
    pub(super) fn global(&mut self, module: &[u8], name: &[u8], budget: &mut Budget) -> Done {
        if self.protocol >= 4 {
            self.name(0, module, budget)?;
            self.name(1, name, budget)?;
            self.out.byte(codes::STACK_GLOBAL);
            return Ok(());
        }
        let lines = [module, name];
        let line = |text: &[u8]| {
            !text.is_empty() && !text.contains(&b'\n') && std::str::from_utf8(text).is_ok()
        };
        if !lines.into_iter().all(line) || name.starts_with(b".") {
            return Err(EncodeError::needs("a global whose name is no line of text", 4));
        }
        let mut path = name.split(|&byte| byte == b'.');
        let outer = path.next().unwrap_or_default();
        let attributes: Vec<&[u8]> = path.collect();
        for _ in &attributes {
            self.builtin(Builtin::GetAttr)?;
            if self.protocol < 2 {
                self.out.byte(codes::MARK);
            }
        }
        self.two_lines(codes::GLOBAL, module, outer);
        for attribute in attributes {
            self.put_unnamed()?;
            self.text(attribute)?;
            self.put_unnamed()?;
            self.out.byte(if self.protocol < 2 { codes::TUPLE } else { codes::TUPLE2 });
            self.put_unnamed()?;
            self.out.byte(codes::REDUCE);
        }
        Ok(())
    }

    /// The name of a module (0) or global (1), for STACK_GLOBAL.
    fn name(&mut self, sort: usize, name: &[u8], budget: &mut Budget) -> Done {
        if let Some(&place) = self.names.get(sort).and_then(|names| names.get(name)) {
            self.get(place);
            return Ok(());
        }
        self.text(name)?;
        if self.all {
            let place = self.put()?;
            budget.memory((name.len() as u64).saturating_add(64))?;
            if let Some(names) = self.names.get_mut(sort) {
                names.insert(name.into(), place);
            }
        }
        Ok(())
    }

    pub(super) fn builtin(&mut self, name: Builtin) -> Done {
        if let Some(&(_, place)) = self.builtins.iter().find(|(known, _)| *known == name) {
            self.get(place);
            return Ok(());
        }
        let (module, attribute) = name.names(self.protocol);
        if self.protocol >= 4 {
            self.text(module.as_bytes())?;
            self.put_unnamed()?;
            self.text(attribute.as_bytes())?;
            self.put_unnamed()?;
            self.out.byte(codes::STACK_GLOBAL);
        } else {
            self.two_lines(codes::GLOBAL, module.as_bytes(), attribute.as_bytes());
        }
        let place = self.put()?;
        self.builtins.push((name, place));
        Ok(())
    }
}

/// The low bytes of an integer that has no others.
#[inline(always)]
fn low<const N: usize>(value: i64) -> [u8; N] {
    let bytes = value.to_le_bytes();
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}
