//! C's `long double`, whose width and meaning its machine decides.

/// A `longdouble`, of 12 or 16 bytes: x86's 80 bits and padding, as a rule, but the file does
/// not say so. Only its bytes are certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> LongDouble<'a> {
    pub(super) const fn new(bytes: &'a [u8], big: bool) -> Self {
        Self { bytes, big }
    }

    /// Its bytes as stored.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether its most significant byte comes first.
    #[must_use]
    pub const fn is_big_endian(self) -> bool {
        self.big
    }
}
