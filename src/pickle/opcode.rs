//! The opcodes: one table from which decoding, names, stack effects and assembly derive.
//!
//! Source: CPython 3.11 `Lib/pickletools.py` (`opcodes`) for names, operands, stack effects
//! and protocols; `Modules/_pickle.c` for signs of lengths.

use std::fmt;

/// Hands the table to a macro: one row an opcode.
///
/// Columns: byte, name, variant with the Rust type of its operand, how the operand is
/// encoded, what it takes from the stack, what it leaves, and the first protocol with it.
/// `slice` stands for everything above the newest `mark`.
macro_rules! for_each_opcode {
    ($then:ident) => {
        $then! {
            b'(' MARK             Mark                        none     [] => [mark]                        0
            b'.' STOP             Stop                        none     [any] => []                         0
            b'0' POP              Pop                         none     [any] => []                         0
            b'1' POP_MARK         PopMark                     none     [mark slice] => []                  1
            b'2' DUP              Dup                         none     [any] => [any any]                  0
            b'F' FLOAT            Float(&'data [u8])          line     [] => [float]                       0
            b'I' INT              Int(&'data [u8])            line     [] => [int_or_bool]                 0
            b'J' BININT           BinInt(i32)                 int4     [] => [int]                         1
            b'K' BININT1          BinInt1(u8)                 uint1    [] => [int]                         1
            b'L' LONG             Long(&'data [u8])           line     [] => [int]                         0
            b'M' BININT2          BinInt2(u16)                uint2    [] => [int]                         1
            b'N' NONE             None                        none     [] => [none]                        0
            b'P' PERSID           PersId(&'data [u8])         line     [] => [any]                         0
            b'Q' BINPERSID        BinPersId                   none     [any] => [any]                      1
            b'R' REDUCE           Reduce                      none     [any any] => [any]                  0
            b'S' STRING           String(&'data [u8])         line     [] => [bytes_or_str]                0
            b'T' BINSTRING        BinString(&'data [u8])      len4s    [] => [bytes_or_str]                1
            b'U' SHORT_BINSTRING  ShortBinString(&'data [u8]) len1     [] => [bytes_or_str]                1
            b'V' UNICODE          Unicode(&'data [u8])        line     [] => [str]                         0
            b'X' BINUNICODE       BinUnicode(&'data [u8])     len4     [] => [str]                         1
            b'a' APPEND           Append                      none     [list any] => [list]                0
            b'b' BUILD            Build                       none     [any any] => [any]                  0
            b'c' GLOBAL           Global((&'data [u8], &'data [u8])) line2 [] => [any]                     0
            b'd' DICT             Dict                        none     [mark slice] => [dict]              0
            b'}' EMPTY_DICT       EmptyDict                   none     [] => [dict]                        1
            b'e' APPENDS          Appends                     none     [list mark slice] => [list]         1
            b'g' GET              Get(&'data [u8])            line     [] => [any]                         0
            b'h' BINGET           BinGet(u8)                  uint1    [] => [any]                         1
            b'i' INST             Inst((&'data [u8], &'data [u8])) line2 [mark slice] => [any]             0
            b'j' LONG_BINGET      LongBinGet(u32)             uint4    [] => [any]                         1
            b'l' LIST             List                        none     [mark slice] => [list]              0
            b']' EMPTY_LIST       EmptyList                   none     [] => [list]                        1
            b'o' OBJ              Obj                         none     [mark any slice] => [any]           1
            b'p' PUT              Put(&'data [u8])            line     [] => []                            0
            b'q' BINPUT           BinPut(u8)                  uint1    [] => []                            1
            b'r' LONG_BINPUT      LongBinPut(u32)             uint4    [] => []                            1
            b's' SETITEM          SetItem                     none     [dict any any] => [dict]            0
            b't' TUPLE            Tuple                       none     [mark slice] => [tuple]             0
            b')' EMPTY_TUPLE      EmptyTuple                  none     [] => [tuple]                       1
            b'u' SETITEMS         SetItems                    none     [dict mark slice] => [dict]         1
            b'G' BINFLOAT         BinFloat(f64)               float8   [] => [float]                       1
            0x80 PROTO            Proto(u8)                   uint1    [] => []                            2
            0x81 NEWOBJ           NewObj                      none     [any any] => [any]                  2
            0x82 EXT1             Ext1(u8)                    uint1    [] => [any]                         2
            0x83 EXT2             Ext2(u16)                   uint2    [] => [any]                         2
            0x84 EXT4             Ext4(i32)                   int4     [] => [any]                         2
            0x85 TUPLE1           Tuple1                      none     [any] => [tuple]                    2
            0x86 TUPLE2           Tuple2                      none     [any any] => [tuple]                2
            0x87 TUPLE3           Tuple3                      none     [any any any] => [tuple]            2
            0x88 NEWTRUE          NewTrue                     none     [] => [bool]                        2
            0x89 NEWFALSE         NewFalse                    none     [] => [bool]                        2
            0x8a LONG1            Long1(&'data [u8])          len1     [] => [int]                         2
            0x8b LONG4            Long4(&'data [u8])          len4s    [] => [int]                         2
            b'B' BINBYTES         BinBytes(&'data [u8])       len4     [] => [bytes]                       3
            b'C' SHORT_BINBYTES   ShortBinBytes(&'data [u8])  len1     [] => [bytes]                       3
            0x8c SHORT_BINUNICODE ShortBinUnicode(&'data [u8]) len1    [] => [str]                         4
            0x8d BINUNICODE8      BinUnicode8(&'data [u8])    len8     [] => [str]                         4
            0x8e BINBYTES8        BinBytes8(&'data [u8])      len8     [] => [bytes]                       4
            0x8f EMPTY_SET        EmptySet                    none     [] => [set]                         4
            0x90 ADDITEMS         AddItems                    none     [set mark slice] => [set]           4
            0x91 FROZENSET        FrozenSet                   none     [mark slice] => [frozenset]         4
            0x92 NEWOBJ_EX        NewObjEx                    none     [any any any] => [any]              4
            0x93 STACK_GLOBAL     StackGlobal                 none     [str str] => [any]                  4
            0x94 MEMOIZE          Memoize                     none     [any] => [any]                      4
            0x95 FRAME            Frame(u64)                  uint8    [] => []                            4
            0x96 BYTEARRAY8       ByteArray8(&'data [u8])     len8     [] => [bytearray]                   5
            0x97 NEXT_BUFFER      NextBuffer                  none     [] => [buffer]                      5
            0x98 READONLY_BUFFER  ReadOnlyBuffer              none     [buffer] => [buffer]                5
        }
    };
}
pub(super) use for_each_opcode;

macro_rules! define {
    ($($byte:literal $name:ident $variant:ident $(($operand:ty))? $form:ident
       [$($pop:ident)*] => [$($push:ident)*] $since:literal)*) => {
        /// One operation of a pickle with its operand, borrowed from the stream.
        ///
        /// Variants are named as `pickletools` names the opcodes; [`opcode`](Self::opcode)
        /// gives that name.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[expect(missing_docs, reason = "the table above is their documentation")]
        pub enum Op<'data> { $($variant $(($operand))?,)* }

        impl Op<'_> {
            /// Which opcode this is.
            #[must_use]
            pub const fn opcode(&self) -> Opcode {
                match self { $(Self::$variant { .. } => Opcode($byte),)* }
            }
        }

        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 rows, when compiled")]
        const TABLE: [Option<Row>; 256] = {
            let mut table = [const { None }; 256];
            $(table[$byte as usize] = Some(Row {
                name: stringify!($name),
                form: Form::$form,
                pops: &[$(stringify!($pop)),*],
                pushes: &[$(stringify!($push)),*],
                since: $since,
            });)*
            table
        };
    };
}
for_each_opcode!(define);

macro_rules! define_codes {
    ($($byte:literal $name:ident $variant:ident $(($operand:ty))? $form:ident
       [$($pop:ident)*] => [$($push:ident)*] $since:literal)*) => {
        /// The byte of each opcode, for what writes them.
        #[allow(dead_code, reason = "readers of the table write no old spelling of every opcode")]
        pub(super) mod codes {
            $(pub(in crate::pickle) const $name: u8 = $byte;)*
        }
    };
}
for_each_opcode!(define_codes);

struct Row {
    name: &'static str,
    form: Form,
    pops: &'static [&'static str],
    pushes: &'static [&'static str],
    since: u8,
}

/// How an operand is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "they are the words of the table")]
pub enum Form {
    /// No operand.
    none,
    /// One byte, unsigned.
    uint1,
    /// Two bytes, unsigned, little-endian.
    uint2,
    /// Four bytes, unsigned, little-endian.
    uint4,
    /// Eight bytes, unsigned, little-endian.
    uint8,
    /// Four bytes, signed, little-endian.
    int4,
    /// Eight bytes, IEEE 754, big-endian.
    float8,
    /// A `uint1` length, then so many bytes.
    len1,
    /// A `uint4` length, then so many bytes.
    len4,
    /// An `int4` length, never negative, then so many bytes.
    len4s,
    /// A `uint8` length, then so many bytes.
    len8,
    /// Text up to a newline.
    line,
    /// Two lines.
    line2,
}

/// The byte of an opcode in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opcode(u8);

impl Opcode {
    /// The opcode with this byte, if there is one.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        row(byte).map(|_| Self(byte))
    }

    /// The opcode with this name, as `pickletools` spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|opcode| opcode.name() == name)
    }

    /// All 68, by byte.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).filter_map(Self::from_byte)
    }

    /// Its byte in a stream.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Its name in `pickletools`.
    #[must_use]
    pub fn name(self) -> &'static str {
        row(self.0).map_or("", |row| row.name)
    }

    /// How its operand is encoded.
    #[must_use]
    pub fn form(self) -> Form {
        row(self.0).map_or(Form::none, |row| row.form)
    }

    /// What it takes from the stack, bottom first, in `pickletools`' words.
    #[must_use]
    pub fn pops(self) -> &'static [&'static str] {
        row(self.0).map_or(&[], |row| row.pops)
    }

    /// What it leaves on the stack, bottom first.
    #[must_use]
    pub fn pushes(self) -> &'static [&'static str] {
        row(self.0).map_or(&[], |row| row.pushes)
    }

    /// The first protocol that has it.
    #[must_use]
    pub fn since(self) -> u8 {
        row(self.0).map_or(0, |row| row.since)
    }
}

fn row(byte: u8) -> Option<&'static Row> {
    static ROWS: [Option<Row>; 256] = TABLE;
    ROWS.get(usize::from(byte))?.as_ref()
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(Opcode::all().count(), 68);
        for opcode in Opcode::all() {
            assert_eq!(Opcode::from_name(opcode.name()), Some(opcode));
        }
        let since = |protocol| Opcode::all().filter(|o| o.since() == protocol).count();
        assert_eq!([0, 1, 2, 3, 4, 5].map(since), [22, 19, 12, 2, 10, 3]);
    }

    #[test]
    fn columns_say_what_pickletools_says() {
        let appends = Opcode::from_name("APPENDS").unwrap();
        assert_eq!(appends.byte(), b'e');
        assert_eq!(appends.pops(), ["list", "mark", "slice"]);
        assert_eq!(appends.pushes(), ["list"]);
        assert_eq!(Opcode::from_byte(0x8b).unwrap().form(), Form::len4s);
        assert_eq!(Opcode::from_byte(0), None);
    }
}
