//! Zip archives with anything odd about them: what honest libraries would not write.

use std::io::Write;

use arbitrary::{Arbitrary, Result, Unstructured};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// A member that is to be written.
pub struct Member {
    /// Its name.
    pub name: Vec<u8>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What is odd about one member.
#[derive(Arbitrary, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Odd {
    #[default]
    Nothing,
    Descriptor,
    Zip64,
    Crc,
    Size,
    LocalSize,
    LocalName,
    Flags,
    Method,
    Header,
    UnicodeName,
    Twice,
    Elsewhere,
}

/// What is odd about the end of the archive.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Plain,
    Zip64,
    Comment,
    Second,
    Count,
    Offset,
    Trailing,
    Gap,
    Prefix,
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    directory: Vec<u8>,
    entries: u64,
}

/// An archive of these members, each stored or deflated, some odd.
pub fn archive(choose: &mut Unstructured, members: Vec<Member>) -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    let oddities = choose.ratio(1, 2)?;
    let end = if choose.ratio(1, 4)? { End::arbitrary(choose)? } else { End::Plain };
    if end == End::Prefix {
        writer.out.extend(b"MZ");
    }
    let align = choose.ratio(1, 2)?;
    for member in members {
        let odd =
            if oddities && choose.ratio(1, 4)? { Odd::arbitrary(choose)? } else { Odd::Nothing };
        let deflate = choose.ratio(1, 5)?;
        writer.member(choose, &member, deflate, align, odd)?;
        if odd == Odd::Twice {
            writer.member(choose, &member, !deflate, align, Odd::Nothing)?;
        }
    }
    Ok(writer.finish(end))
}

fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn u32s(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// Lengths here fit; those that do not are beside the point.
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn long(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Writer {
    fn member(
        &mut self,
        choose: &mut Unstructured,
        Member { name, data }: &Member,
        deflate: bool,
        align: bool,
        odd: Odd,
    ) -> Result<()> {
        let at = self.out.len();
        let mut crc = Crc::new();
        crc.update(data);
        let mut crc = crc.sum();
        let stored = if deflate { deflated(data) } else { data.clone() };
        let (mut compressed, mut size) = (long(stored.len()), long(data.len()));
        let mut flags: u16 = 0x0800;
        let mut method: u16 = if deflate { 8 } else { 0 };
        match odd {
            Odd::Crc => crc ^= 1,
            Odd::Size => {
                size = choose.int_in_range(0..=size.saturating_mul(2).saturating_add(9))?
            }
            Odd::Flags => flags = u16::arbitrary(choose)?,
            Odd::Method => method = choose.int_in_range(0..=99)?,
            Odd::Descriptor => flags |= 8,
            _ => {}
        }
        let header = (flags, method, crc, compressed, size);
        let local_name =
            if odd == Odd::LocalName { [&name[..], b"x"].concat() } else { name.clone() };
        let mut local = header;
        if odd == Odd::Descriptor {
            (local.2, local.3, local.4) = (0, 0, 0);
        }
        if odd == Odd::LocalSize {
            local.4 ^= 1;
        }
        let padding = if align { self.padding(local_name.len()) } else { Vec::new() };
        u32s(&mut self.out, &[if odd == Odd::Header { 0x0403_4b51 } else { 0x0403_4b50 }]);
        u16s(&mut self.out, &[20, local.0, local.1, 0, 0x21]);
        u32s(&mut self.out, &[local.2, local.3, local.4]);
        u16s(&mut self.out, &[short(local_name.len()), short(padding.len())]);
        self.out.extend(local_name);
        self.out.extend(padding);
        self.out.extend(&stored);
        if odd == Odd::Descriptor {
            u32s(&mut self.out, &[0x0807_4b50, crc, compressed, size]);
        }
        let mut extra = Vec::new();
        if odd == Odd::Zip64 {
            u16s(&mut extra, &[1, 16]);
            extra.extend(u64::from(size).to_le_bytes());
            extra.extend(u64::from(compressed).to_le_bytes());
            (compressed, size) = (u32::MAX, u32::MAX);
        }
        if odd == Odd::UnicodeName {
            u16s(&mut extra, &[0x7075, short(name.len() + 6)]);
            extra.push(1);
            u32s(&mut extra, &[crc]);
            extra.extend(b"y");
            extra.extend(name);
        }
        let at = if odd == Odd::Elsewhere { choose.choose_index(self.out.len())? } else { at };
        u32s(&mut self.directory, &[0x0201_4b50]);
        u16s(&mut self.directory, &[20, 20, header.0, header.1, 0, 0x21]);
        u32s(&mut self.directory, &[header.2, compressed, size]);
        u16s(&mut self.directory, &[short(name.len()), short(extra.len()), 0, 0, 0]);
        u32s(&mut self.directory, &[0, long(at)]);
        self.directory.extend(name);
        self.directory.extend(extra);
        self.entries += 1;
        Ok(())
    }

    /// An extra field with which the data begin at a multiple of 64, as PyTorch writes it.
    fn padding(&self, name: usize) -> Vec<u8> {
        let start = self.out.len() + 30 + name + 4;
        let len = start.next_multiple_of(64) - start;
        let mut field = Vec::new();
        u16s(&mut field, &[0x4246, short(len)]);
        field.resize(4 + len, b'Z');
        field
    }

    fn finish(self, end: End) -> Vec<u8> {
        let Self { mut out, directory, mut entries } = self;
        let mut at = out.len() as u64;
        let len = directory.len() as u64;
        out.extend(directory);
        match end {
            End::Count => entries += 1,
            End::Offset => at += 1,
            End::Gap => out.push(0),
            _ => {}
        }
        let record = |out: &mut Vec<u8>, comment: &[u8], far: bool| {
            let count = if far { u16::MAX } else { u16::try_from(entries).unwrap_or(u16::MAX) };
            u32s(out, &[0x0605_4b50]);
            u16s(out, &[0, 0, count, count]);
            let far =
                |value: u64| if far { u32::MAX } else { u32::try_from(value).unwrap_or(u32::MAX) };
            u32s(out, &[far(len), far(at)]);
            u16s(out, &[short(comment.len())]);
            out.extend(comment);
        };
        if end == End::Zip64 {
            let begin = out.len() as u64;
            u32s(&mut out, &[0x0606_4b50]);
            out.extend(44_u64.to_le_bytes());
            u16s(&mut out, &[45, 45]);
            u32s(&mut out, &[0, 0]);
            [entries, entries, len, at].iter().for_each(|value| out.extend(value.to_le_bytes()));
            u32s(&mut out, &[0x0706_4b50, 0]);
            out.extend(begin.to_le_bytes());
            u32s(&mut out, &[1]);
        }
        match end {
            End::Comment => record(&mut out, b"a comment", false),
            End::Second => {
                let mut inner = Vec::new();
                record(&mut inner, b"", false);
                record(&mut out, &inner, false);
            }
            end => record(&mut out, b"", end == End::Zip64),
        }
        if end == End::Trailing {
            out.extend(b"more");
        }
        out
    }
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(data);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}
