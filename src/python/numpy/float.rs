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

    /// The value, if x86 wrote it and 64-bit floating point has it exactly.
    ///
    /// None as well if the ten bytes are no value that x86 makes, or are zero or nearly so
    /// while the last two bytes are not zero: then another machine wrote it.
    #[must_use]
    pub fn x87(self) -> Option<f64> {
        let mut bytes = [0; 16];
        let used = bytes.get_mut(..self.bytes.len())?;
        used.copy_from_slice(self.bytes);
        if self.big {
            used.reverse();
        }
        let mantissa = u64::from_le_bytes(*bytes.first_chunk()?);
        let [.., tail_low, tail_high] = bytes;
        let [_, _, _, _, _, _, _, _, low, high, ..] = bytes;
        let exponent = u16::from_le_bytes([low, high & 0x7f]);
        let magnitude = match (exponent, mantissa) {
            (0, _) if (tail_low, tail_high) != (0, 0) => return None,
            (0, 0) => 0.0,
            (0x7fff, 0x8000_0000_0000_0000) => f64::INFINITY,
            (0x7fff, 0xc000_0000_0000_0000..) => f64::NAN,
            (1..0x7fff, 0x8000_0000_0000_0000..) => exact(mantissa, exponent)?,
            _ => return None,
        };
        Some(if high & 0x80 == 0 { magnitude } else { -magnitude })
    }
}

/// `mantissa · 2^(exponent − 16383 − 63)`, if that is a 64-bit floating-point number.
fn exact(mantissa: u64, exponent: u16) -> Option<f64> {
    let zeros = mantissa.trailing_zeros();
    let odd = mantissa.checked_shr(zeros)?;
    let lowest =
        i32::from(exponent).checked_add(i32::try_from(zeros).ok()?)?.checked_sub(16_446)?;
    let highest = i32::from(exponent).checked_sub(16_383)?;
    if odd >= 1 << 53 || lowest < -1074 || highest > 1023 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "of 53 bits at most")]
    let value = odd as f64;
    // In two steps: 2^-1074 is no normal number, but what is multiplied first stays one.
    let half = lowest / 2;
    Some(value * power(half)? * power(lowest.checked_sub(half)?)?)
}

/// `2^n` for normal numbers.
fn power(n: i32) -> Option<f64> {
    let biased = u64::try_from(n.checked_add(1023)?).ok()?;
    Some(f64::from_bits(biased << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x87(mantissa: u64, exponent: u16, tail: [u8; 6]) -> Option<f64> {
        let bytes = [&mantissa.to_le_bytes()[..], &exponent.to_le_bytes(), &tail].concat();
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let value = LongDouble::new(&bytes, false).x87();
        let swapped = LongDouble::new(&reversed, true).x87();
        assert_eq!(value.map(f64::to_bits), swapped.map(f64::to_bits));
        value
    }

    #[test]
    fn values_that_double_has() {
        const ONE: u64 = 1 << 63;
        let junk = [1, 2, 3, 4, 0, 0];
        assert_eq!(x87(ONE, 16_383, junk), Some(1.0));
        assert_eq!(x87(ONE | ONE >> 1, 16_383 | 0x8000, junk), Some(-1.5));
        assert_eq!(x87(ONE, 16_383 - 1074, junk), Some(f64::from_bits(1)));
        assert_eq!(x87(u64::MAX << 11, 16_383 + 1023, junk), Some(f64::MAX));
        assert_eq!(x87(ONE, 0x7fff, junk), Some(f64::INFINITY));
        assert!(x87(ONE | ONE >> 1, 0x7fff, junk).unwrap().is_nan());
        assert_eq!(x87(0, 0, junk), Some(0.0));
    }

    #[test]
    fn values_that_it_has_not() {
        const ONE: u64 = 1 << 63;
        assert_eq!(x87(ONE | 1, 16_383, [0; 6]), None, "64 bits");
        assert_eq!(x87(ONE, 16_383 - 1075, [0; 6]), None, "too small");
        assert_eq!(x87(ONE, 16_383 + 1024, [0; 6]), None, "too large");
        assert_eq!(x87(1, 16_383, [0; 6]), None, "no leading bit");
        assert_eq!(x87(0, 0, [0, 0, 0, 0x80, 0xff, 0x3f]), None, "1.5 of ARM");
        let doubles = [1.5_f64.to_le_bytes(), 0_f64.to_le_bytes()].concat();
        assert_eq!(LongDouble::new(&doubles, false).x87(), None, "1.5 of POWER");
    }
}
