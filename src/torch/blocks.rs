//! Streams views whose elements do not lie in order, a block at a time, so that memory does not
//! follow their size.
//!
//! A block is a box of consecutive elements. Where the bytes it touches lie far apart it is read in
//! boxes along the dimension with the largest steps, each of a span that fits in memory.

use super::error::Error;
use super::parts::has_elements;
use super::read::TensorRef;
use super::tensor::Tensor;

/// Elements of one block (bytes).
const BLOCK: u64 = 16 << 20;
/// From the first to the last byte that is read at once.
const SPAN: u64 = 8 << 20;
/// The same where nearly all of it is wanted: so little that it is still near to the processor when
/// it is put in order.
const NEAR: u64 = 512 << 10;

impl TensorRef<'_> {
    /// Whether it has elements in a storage, and not in order.
    fn is_out_of_order(self) -> bool {
        let elements = self.storage().is_some() && has_elements(self.layout());
        elements && !self.is_contiguous() && !self.is_packed()
    }

    /// Whether it must be read in blocks: what it touches is more than one.
    pub(crate) fn is_scattered(self) -> bool {
        self.is_out_of_order() && self.span() > BLOCK && self.width() > 0
    }

    fn width(self) -> u64 {
        self.dtype().width()
    }

    /// Hands its elements over in row-major order, little-endian, in pieces of whole elements.
    pub(crate) fn for_each_block<E: From<Error>>(
        self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (axis, rows) = self.cut();
        let outer = self.shape().get(..axis).unwrap_or_default();
        let count = outer.iter().fold(1_u64, |count, &size| count.saturating_mul(size));
        let size = self.shape().get(axis).copied().unwrap_or(1);
        let mut buffer = Vec::new();
        for index in 0..count {
            let outer = self.outer(axis, index)?;
            let mut start = 0;
            while start < size {
                let end = start.saturating_add(rows).min(size);
                let block = outer.slice(axis, start..end).map_err(|why| self.named(why))?;
                let len = usize::try_from(block.nbytes()).unwrap_or(usize::MAX);
                buffer.resize(len, 0);
                self.part(&block).gather(&mut buffer, SPAN)?;
                each(&buffer)?;
                start = end;
            }
        }
        Ok(())
    }

    /// The dimension that blocks are cut along, and how much of it each has.
    fn cut(self) -> (usize, u64) {
        let mut row = self.width();
        for (axis, &size) in self.shape().iter().enumerate().rev() {
            let all = row.saturating_mul(size);
            if all > BLOCK || axis == 0 {
                return (axis, BLOCK.checked_div(row).unwrap_or(1).max(1));
            }
            row = all;
        }
        (0, 1)
    }

    /// Its part at one place of the dimensions before `axis`.
    fn outer(self, axis: usize, index: u64) -> Result<Tensor, Error> {
        let (mut part, mut left) = (self.tensor().clone(), index);
        let sizes = self.shape().get(..axis).unwrap_or_default();
        for (axis, &size) in sizes.iter().enumerate().rev() {
            let at = left.checked_rem(size).unwrap_or(0);
            left = left.checked_div(size).unwrap_or(0);
            part = part.slice(axis, at..at.saturating_add(1)).map_err(|why| self.named(why))?;
        }
        Ok(part)
    }

    /// Whether all of it is best read a span at a time: it touches more, leaves little of that
    /// out, repeats nothing, and nothing lends it.
    pub(super) fn is_gathered(self) -> bool {
        let span = self.span();
        self.is_out_of_order()
            && span > NEAR
            && (span / 2..=span).contains(&self.nbytes())
            && !self.is_lent()
    }

    /// Fills `into` with its elements, reading little at once. Goes one level deeper for each
    /// dimension of two or more at most, and no tensor has more than 63 of these.
    pub(super) fn gather_near(self, into: &mut [u8]) -> Result<(), Error> {
        self.gather(into, NEAR)
    }

    /// Fills `into` with its elements, reading no more than a span of so many bytes at once.
    fn gather(self, into: &mut [u8], most: u64) -> Result<(), Error> {
        let steps = self.shape().iter().zip(self.stride()).enumerate();
        let far = steps.filter(|(_, (size, _))| **size > 1).max_by_key(|(_, (_, step))| **step);
        let Some((axis, (&size, &step))) = far.filter(|_| self.span() > most) else {
            return self.read_into(into);
        };
        let step = step.saturating_mul(self.width());
        let rest = self.span().saturating_sub(size.saturating_sub(1).saturating_mul(step));
        let count = most.saturating_sub(rest).checked_div(step).unwrap_or(0).saturating_add(1);
        let inner = self.shape().get(axis.saturating_add(1)..).unwrap_or_default();
        let inner = inner.iter().fold(self.width(), |bytes, &size| bytes.saturating_mul(size));
        let row = inner.saturating_mul(size);
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let mut buffer = Vec::new();
        let mut start = 0;
        while start < size {
            let end = start.saturating_add(count).min(size);
            let part = self.slice(axis, start..end).map_err(|why| self.named(why))?;
            let run = bytes(end.saturating_sub(start).saturating_mul(inner)).max(1);
            let skip = bytes(start.saturating_mul(inner));
            start = end;
            // What stands in a row is read to where it belongs.
            if row == into.len() as u64
                && let Some(to) = into.get_mut(skip..skip.saturating_add(run))
            {
                self.part(&part).read_into(to)?;
                continue;
            }
            buffer.resize(bytes(part.nbytes()), 0);
            self.part(&part).read_into(&mut buffer)?;
            for (from, to) in buffer.chunks(run).zip(into.chunks_mut(bytes(row).max(1))) {
                let to = to.get_mut(skip..).and_then(|to| to.get_mut(..from.len()));
                if let Some(to) = to {
                    to.copy_from_slice(from);
                }
            }
        }
        Ok(())
    }

    fn named(self, why: Error) -> Error {
        why.in_tensor(self.name())
    }
}
