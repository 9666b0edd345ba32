//! `.npy` files: arrays of objects hold a pickle behind their header.
//!
//! Source: numpy `lib/_format_impl.py`.

use super::content::{Role, Run, Spot};
use super::part::Part;
use super::rules;
use crate::base::Source;

/// The longest header that numpy reads is 10,000 characters; one that is longer is looked at
/// no further.
const LONGEST: u64 = 1 << 20;

impl Run<'_> {
    pub(super) fn npy(&mut self, source: &dyn Source, spot: &Spot) {
        self.report.judged = true;
        let Some((header, start)) = header(source) else {
            return self.find(rules::BROKEN, spot.place(0), "the array's header is cut off");
        };
        let text = String::from_utf8_lossy(&header);
        let left = source.len().saturating_sub(start);
        if is_object(&text) {
            let part = Part::new(source, start, left);
            let base = spot.base.saturating_add(start);
            self.streams(&part, &Spot { base, ..spot.clone() }, Role::Pickle);
            if left == 0 {
                self.find(rules::BROKEN, spot.place(start), "the array's pickle is missing");
            }
        } else if let Some(size) = size(&text) {
            match left.checked_sub(size) {
                Some(0) => {}
                Some(_) => self.behind(source, spot, start.saturating_add(size)),
                None => {
                    let why = format!("the array is cut off: {left} of {size} bytes are there");
                    self.find(rules::BROKEN, spot.place(start), why);
                }
            }
        }
    }
}

/// The header's text, and where the data begin.
fn header(source: &dyn Source) -> Option<(bytes::Bytes, u64)> {
    let major = *source.fetch(6, 1).ok()?.first()?;
    let (len, start) = match major {
        1 => {
            let mut len = [0; 2];
            source.read_at(8, &mut len).ok()?;
            (u64::from(u16::from_le_bytes(len)), 10_u64)
        }
        _ => {
            let mut len = [0; 4];
            source.read_at(8, &mut len).ok()?;
            (u64::from(u32::from_le_bytes(len)), 12)
        }
    };
    let bytes = source.fetch(start, len.min(LONGEST)).ok()?;
    Some((bytes, start.saturating_add(len)))
}

/// Whether the header speaks of objects, alone or in fields.
fn is_object(header: &str) -> bool {
    // Codes of types stand in quotes: '|O', 'O', '|O8', '<O'.
    header.split(['\'', '"']).skip(1).step_by(2).any(|word| {
        let code = word.trim_start_matches(['|', '<', '>', '=']);
        matches!(code.as_bytes(), [b'O', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
    })
}

/// Bytes of an array of numbers; none if the header is about anything else.
fn size(header: &str) -> Option<u64> {
    let after = |key: &str| {
        header.split_once(key).map(|(_, rest)| rest.trim_start_matches(['\'', '"', ':', ' ']))
    };
    let descr = after("'descr")?;
    let code = descr.trim_start_matches(['|', '<', '>', '=']);
    let digits: String = code.chars().skip(1).take_while(char::is_ascii_digit).collect();
    let kind = code.chars().next()?;
    let width: u64 = digits.parse().ok()?;
    let width = if kind == 'U' { width.checked_mul(4)? } else { width };
    if !"biufcSUVmM".contains(kind) {
        return None;
    }
    let shape = after("'shape")?.strip_prefix('(')?;
    let shape = shape.split(')').next()?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse::<u64>().ok()).try_fold(width, |all, size| all.checked_mul(size?))
}
