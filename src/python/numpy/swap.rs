//! Big-endian numbers turned around, wherever they lie in an element.

use super::dtype::{DType, Kind};
use super::error::{Error, Fault};

/// Numbers in a row, one behind the other (bytes).
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    number: usize,
    len: usize,
}

/// A dtype whose parts are gone through.
struct Frame<'a> {
    dtype: &'a DType<'a>,
    next: usize,
    runs: Vec<Run>,
    /// Bytes in all of `runs`.
    swapped: usize,
}

impl<'a> Frame<'a> {
    fn new(dtype: &'a DType<'a>) -> Self {
        let width = width(dtype);
        let number = match dtype.kind() {
            _ if !dtype.is_big() => 0,
            Kind::Unicode => 4,
            Kind::Complex => width / 2,
            _ => width,
        };
        let whole = Run { start: 0, number, len: width };
        let runs = if number == 0 { Vec::new() } else { vec![whole] };
        Self { dtype, next: 0, runs, swapped: if number == 0 { 0 } else { width } }
    }

    /// The next part with big-endian numbers, and where it begins.
    fn next_part(&mut self) -> Option<(&'a DType<'a>, usize)> {
        loop {
            let (part, start) = match self.dtype.kind() {
                Kind::SubArray { base, .. } if self.next == 0 => (base, 0),
                Kind::Struct(fields) => {
                    let field = fields.get(self.next)?;
                    (field.dtype(), usize::try_from(field.offset()).unwrap_or(usize::MAX))
                }
                _ => return None,
            };
            self.next = self.next.saturating_add(1);
            if part.has_big() {
                return Some((part, start));
            }
        }
    }

    /// Takes in the runs of a part. More bytes than the element has can only be swapped where
    /// fields lie over one another; so no list grows beyond its element.
    fn take(&mut self, part: &Self, start: usize) -> Result<(), Error> {
        let own = width(self.dtype);
        let step = width(part.dtype).max(1);
        let times = match self.dtype.kind() {
            Kind::SubArray { .. } => own.checked_div(step).unwrap_or(0),
            _ => 1,
        };
        let swapped = part.swapped.saturating_mul(times);
        self.swapped = self.swapped.saturating_add(swapped);
        if self.swapped > own {
            let what = "turning around big-endian fields that lie over one another";
            return Err(Error::new(Fault::Unsupported(what.into()), self.dtype.at()));
        }
        if let ([run], true) = (&part.runs[..], part.swapped == step) {
            self.runs.push(Run { start, len: swapped, ..*run });
            return Ok(());
        }
        for index in 0..times {
            let base = index.saturating_mul(step).saturating_add(start);
            let moved = |run: &Run| Run { start: run.start.saturating_add(base), ..*run };
            self.runs.extend(part.runs.iter().map(moved));
        }
        Ok(())
    }
}

fn width(dtype: &DType) -> usize {
    usize::try_from(dtype.itemsize()).unwrap_or(usize::MAX)
}

/// Turns around the big-endian numbers in `elements`, which are of this dtype.
pub(super) fn to_little(dtype: &DType, elements: &mut [u8]) -> Result<(), Error> {
    let runs = runs(dtype)?;
    for element in elements.chunks_exact_mut(width(dtype).max(1)) {
        for run in &runs {
            let Some(part) = element.get_mut(run.start..run.start.saturating_add(run.len)) else {
                continue;
            };
            part.chunks_exact_mut(run.number.max(1)).for_each(<[u8]>::reverse);
        }
    }
    Ok(())
}

/// Where the big-endian numbers of an element lie: at most as many as it has bytes.
fn runs<'a>(dtype: &'a DType<'a>) -> Result<Vec<Run>, Error> {
    // Each waits for its part, which begins at the place beside it.
    let mut waiting: Vec<(Frame<'a>, usize)> = Vec::new();
    let mut frame = Frame::new(dtype);
    loop {
        if let Some((part, start)) = frame.next_part() {
            waiting.push((std::mem::replace(&mut frame, Frame::new(part)), start));
            continue;
        }
        let Some((mut above, start)) = waiting.pop() else { return Ok(frame.runs) };
        above.take(&frame, start)?;
        frame = above;
    }
}
