//! Bytes → operations. Borrowed, bounded, without allocation.

use byteorder::{BigEndian, ByteOrder, LittleEndian};
use nom::Parser;
use nom::bytes::complete::{tag, take_until};
use nom::sequence::terminated;

use super::error::{Error, Kind};
use super::opcode::{Op, Opcode, for_each_opcode};
use crate::base::{Cursor, End, FileOffset};

/// The operations of one stream, in order, each with the offset of its opcode.
///
/// Ends after STOP, after an error, or where the bytes end without a STOP (an error too).
/// [`consumed`](Self::consumed) then says how much was read.
///
/// ```
/// use depickle::pickle::{Op, Ops};
///
/// let ops: Vec<Op> = Ops::new(b"K\x07.").map(|op| Ok(op?.1)).collect::<Result<_, depickle::pickle::Error>>()?;
/// assert_eq!(ops, [Op::BinInt1(7), Op::Stop]);
/// # Ok::<(), depickle::pickle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ops<'data> {
    cursor: Cursor<'data>,
    base: FileOffset,
    done: bool,
}

impl<'data> Ops<'data> {
    /// Decodes `bytes` from their beginning.
    #[must_use]
    pub const fn new(bytes: &'data [u8]) -> Self {
        Self::at(bytes, FileOffset(0))
    }

    /// As [`new`](Self::new); offsets count from `base`, where `bytes` begin in their file.
    #[must_use]
    pub const fn at(bytes: &'data [u8], base: FileOffset) -> Self {
        Self { cursor: Cursor::new(bytes), base, done: false }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.cursor.position() as u64
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'data [u8] {
        self.cursor.rest()
    }
}

impl<'data> Iterator for Ops<'data> {
    type Item = Result<(FileOffset, Op<'data>), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let at = self.base.plus(self.consumed());
        let op = decode(&mut self.cursor, at);
        self.done = matches!(op, Err(_) | Ok(Op::Stop));
        Some(op.map(|op| (at, op)))
    }
}

macro_rules! operand {
    ($visitor:ident $cursor:ident $name:ident $form:ident) => {{
        $visitor.operand_ends($cursor.position());
        $visitor.$name()
    }};
    ($visitor:ident $cursor:ident $name:ident ($operand:ty) $form:ident) => {{
        let operand = $form($cursor)?;
        $visitor.operand_ends($cursor.position());
        $visitor.$name(operand)
    }};
}

macro_rules! define {
    ($($byte:literal $name:ident $variant:ident $(($operand:ty))? $form:ident
       [$($pop:ident)*] => [$($push:ident)*] $since:literal)*) => {
        /// What is told of one operation after the other: a method an opcode.
        #[expect(non_snake_case, reason = "methods are named as opcodes")]
        pub(super) trait Visit<'data> {
            type Output;

            /// The operand was read; the next operation begins `at` bytes into the stream.
            fn operand_ends(&mut self, at: usize);

            $(fn $name(&mut self $(, operand: $operand)?) -> Result<Self::Output, Box<Kind>>;)*
        }

        /// Reads the operand of the opcode `byte` and tells `visitor` of the operation. On
        /// error in an operand the cursor stands where it failed.
        ///
        /// Gives `byte` back, each arm its own: whoever asks for it asks while compiling.
        #[inline(always)]
        pub(super) fn visit<'data, V: Visit<'data>>(
            byte: u8,
            cursor: &mut Cursor<'data>,
            visitor: &mut V,
        ) -> Result<(u8, V::Output), Box<Kind>> {
            match byte {
                $($byte => {
                    let output = operand!(visitor cursor $name $(($operand))? $form)?;
                    Ok(($byte, output))
                })*
                _ => Err(Kind::UnknownOpcode(byte).into()),
            }
        }

        impl<'data> Visit<'data> for Make {
            type Output = Op<'data>;

            fn operand_ends(&mut self, _: usize) {}

            $(made!($name $variant $(($operand))?);)*
        }
    };
}

macro_rules! made {
    ($name:ident $variant:ident) => {
        #[inline]
        fn $name(&mut self) -> Result<Op<'data>, Box<Kind>> {
            Ok(Op::$variant)
        }
    };
    ($name:ident $variant:ident ($operand:ty)) => {
        #[inline]
        fn $name(&mut self, operand: $operand) -> Result<Op<'data>, Box<Kind>> {
            Ok(Op::$variant(operand))
        }
    };
}

/// Makes a value of each operation.
struct Make;

for_each_opcode!(define);

/// The next operation, which begins at `at` in its file.
#[inline]
fn decode<'data>(cursor: &mut Cursor<'data>, at: FileOffset) -> Result<Op<'data>, Error> {
    let Ok(byte) = cursor.byte() else { return Err(Error::new(Kind::NoStop, None, at)) };
    let visited = visit(byte, cursor, &mut Make);
    visited.map(|(_, op)| op).map_err(|kind| Error::new(*kind, Opcode::from_byte(byte), at))
}

#[inline]
fn uint1(cursor: &mut Cursor) -> Result<u8, End> {
    cursor.byte()
}

#[inline]
fn uint2(cursor: &mut Cursor) -> Result<u16, End> {
    cursor.array::<2>().map(|bytes| LittleEndian::read_u16(bytes))
}

#[inline]
fn uint4(cursor: &mut Cursor) -> Result<u32, End> {
    cursor.array::<4>().map(|bytes| LittleEndian::read_u32(bytes))
}

#[inline]
fn uint8(cursor: &mut Cursor) -> Result<u64, End> {
    cursor.array::<8>().map(|bytes| LittleEndian::read_u64(bytes))
}

#[inline]
fn int4(cursor: &mut Cursor) -> Result<i32, End> {
    cursor.array::<4>().map(|bytes| LittleEndian::read_i32(bytes))
}

#[inline]
fn float8(cursor: &mut Cursor) -> Result<f64, End> {
    cursor.array::<8>().map(|bytes| BigEndian::read_f64(bytes))
}

#[inline]
fn len1<'data>(cursor: &mut Cursor<'data>) -> Result<&'data [u8], End> {
    let len = uint1(cursor)?;
    cursor.take(len.into())
}

#[inline]
fn len4<'data>(cursor: &mut Cursor<'data>) -> Result<&'data [u8], End> {
    let len = uint4(cursor)?;
    cursor.take(len.into())
}

fn len4s<'data>(cursor: &mut Cursor<'data>) -> Result<&'data [u8], Kind> {
    let len = int4(cursor)?;
    let len = u64::try_from(len).map_err(|_| Kind::NegativeLength(len.into()))?;
    Ok(cursor.take(len)?)
}

fn len8<'data>(cursor: &mut Cursor<'data>) -> Result<&'data [u8], End> {
    let len = uint8(cursor)?;
    cursor.take(len)
}

#[inline]
fn line<'data>(cursor: &mut Cursor<'data>) -> Result<&'data [u8], Kind> {
    aside(cursor, |cursor| cursor.parse(rest_of_line).map_err(|_| Kind::NoNewline))
}

#[inline]
fn line2<'data>(cursor: &mut Cursor<'data>) -> Result<(&'data [u8], &'data [u8]), Kind> {
    aside(cursor, |cursor| cursor.parse((rest_of_line, rest_of_line)).map_err(|_| Kind::NoNewline))
}

/// Reads with a copy of the cursor, so that the cursor itself, of which nothing else keeps the
/// address, may stay in registers.
#[inline]
fn aside<'data, T>(
    cursor: &mut Cursor<'data>,
    read: impl FnOnce(&mut Cursor<'data>) -> Result<T, Kind>,
) -> Result<T, Kind> {
    let mut own = cursor.clone();
    let operand = read(&mut own)?;
    *cursor = own;
    Ok(operand)
}

fn rest_of_line(input: &[u8]) -> nom::IResult<&[u8], &[u8]> {
    terminated(take_until(&b"\n"[..]), tag(&b"\n"[..])).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<Op<'_>, String> {
        Ops::new(bytes).next().unwrap().map(|(_, op)| op).map_err(|why| why.to_string())
    }

    #[test]
    fn operands_of_every_form() {
        assert_eq!(one(b"N"), Ok(Op::None));
        assert_eq!(one(b"K\xff"), Ok(Op::BinInt1(255)));
        assert_eq!(one(b"M\x01\x02"), Ok(Op::BinInt2(0x201)));
        assert_eq!(one(b"J\xff\xff\xff\xff"), Ok(Op::BinInt(-1)));
        assert_eq!(one(b"r\x01\0\0\x80"), Ok(Op::LongBinPut(0x8000_0001)));
        assert_eq!(one(b"G\x3f\xf0\0\0\0\0\0\0"), Ok(Op::BinFloat(1.0)));
        assert_eq!(one(b"\x95\x01\0\0\0\0\0\0\x01"), Ok(Op::Frame((1 << 56) + 1)));
        assert_eq!(one(b"U\x02ab"), Ok(Op::ShortBinString(b"ab")));
        assert_eq!(one(b"X\x01\0\0\0a"), Ok(Op::BinUnicode(b"a")));
        assert_eq!(one(b"\x8d\x01\0\0\0\0\0\0\0a"), Ok(Op::BinUnicode8(b"a")));
        assert_eq!(one(b"cos\nsystem\n"), Ok(Op::Global((b"os", b"system"))));
        assert_eq!(one(b"I12\n"), Ok(Op::Int(b"12")));
    }

    #[test]
    fn errors_say_what_and_where() {
        let why = |bytes| one(bytes).unwrap_err();
        assert_eq!(
            why(b"\xff"),
            "unknown opcode 0xff at byte 0 (0x0); this is no pickle, or it is damaged here"
        );
        assert_eq!(
            why(b"X\x05\0\0\0ab"),
            "the stream ends: 5 bytes wanted, 2 left at byte 0 (0x0), in BINUNICODE; \
             the file is truncated or damaged: get it again from where it came"
        );
        assert!(why(b"T\xff\xff\xff\xff").starts_with("negative length -1 at byte 0"));
        assert!(why(b"I12").starts_with("no newline ends the operand at byte 0 (0x0), in INT"));
        assert!(why(b"").starts_with("the stream ends without STOP at byte 0"));
    }

    #[test]
    fn offsets_count_from_the_base_and_nothing_follows_stop() {
        let mut ops = Ops::at(b"NK\x01.N", FileOffset(100));
        let offsets: Vec<u64> = ops.by_ref().map(|op| op.unwrap().0.0).collect();
        assert_eq!(offsets, [100, 101, 103]);
        assert_eq!(ops.rest(), b"N");
    }
}
