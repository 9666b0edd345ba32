//! The one place that indexes a file's bytes.

use std::fmt;

/// A position in a file, in bytes from its first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

impl FileOffset {
    /// This position `bytes` further on. Saturates: no file reaches 2⁶⁴ bytes.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for FileOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} ({:#x})", self.0, self.0)
    }
}

/// The bytes ended where more were needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes that were left.
    pub left: u64,
}

/// A bounded reader that borrows. A failed read moves nothing.
#[derive(Clone, Debug)]
pub struct Cursor<'data> {
    all: &'data [u8],
    pos: usize,
}

impl<'data> Cursor<'data> {
    /// Reads `all` from its beginning.
    #[must_use]
    pub const fn new(all: &'data [u8]) -> Self {
        Self { all, pos: 0 }
    }

    /// Bytes consumed so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.pos
    }

    /// What has not been read yet.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'data [u8] {
        self.all.get(self.pos..).unwrap_or_default()
    }

    /// Moves to where so many bytes are left; to the beginning if there never were as many.
    #[inline]
    pub const fn leave(&mut self, bytes: usize) {
        self.pos = self.all.len().saturating_sub(bytes);
    }

    #[cold]
    fn end(&self, wanted: u64) -> End {
        End { wanted, left: self.rest().len() as u64 }
    }

    /// Borrows the next `n` bytes.
    ///
    /// # Errors
    /// [`End`] if fewer are left; the cursor has not moved then.
    #[inline]
    pub fn take(&mut self, n: u64) -> Result<&'data [u8], End> {
        let wanted = usize::try_from(n).ok().and_then(|n| self.pos.checked_add(n));
        match wanted.and_then(|end| Some((end, self.all.get(self.pos..end)?))) {
            Some((end, bytes)) => {
                self.pos = end;
                Ok(bytes)
            }
            None => Err(self.end(n)),
        }
    }

    /// Borrows the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`End`] if fewer are left; the cursor has not moved then.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<&'data [u8; N], End> {
        let end = self.pos.checked_add(N);
        // One by one: as a pair, which `take` has, a tenth of a load's instructions more.
        let bytes = end.and_then(|end| self.all.get(self.pos..end)?.first_chunk());
        match (end, bytes) {
            (Some(end), Some(bytes)) => {
                self.pos = end;
                Ok(bytes)
            }
            _ => Err(self.end(N as u64)),
        }
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`End`] at the end.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, End> {
        self.array::<1>().map(|&[byte]| byte)
    }

    /// Runs a nom parser over what is left and moves past what it consumed.
    ///
    /// # Errors
    /// Whatever the parser says; the cursor has not moved then.
    #[cfg(any(feature = "pickle", feature = "container"))]
    pub fn parse<P>(&mut self, mut parser: P) -> Result<P::Output, nom::Err<P::Error>>
    where
        P: nom::Parser<&'data [u8]>,
    {
        let (rest, output) = parser.parse(self.rest())?;
        self.pos = self.all.len().saturating_sub(rest.len());
        Ok(output)
    }
}
