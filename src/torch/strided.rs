//! Copies the elements of strided views into row-major order.

/// A view of bytes: strides and offset in bytes, all inside the bytes it is used on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strided {
    /// Bytes of one element.
    width: usize,
    /// Where the first element begins.
    offset: usize,
    /// Sizes and strides, outermost first, neighbours merged where they lie in one piece.
    dimensions: Vec<(usize, usize)>,
}

impl Strided {
    /// A view with sizes and strides in elements; none if it does not fit this machine's
    /// addresses.
    pub(crate) fn new(width: u64, offset: u64, shape: &[u64], stride: &[u64]) -> Option<Self> {
        let bytes = |elements: u64| usize::try_from(elements.checked_mul(width)?).ok();
        let mut dimensions: Vec<(usize, usize)> = Vec::with_capacity(shape.len());
        for (&size, &stride) in shape.iter().zip(stride) {
            if size == 1 {
                continue;
            }
            let size = usize::try_from(size).ok()?;
            // The strides of an empty view mean nothing and may be of any size.
            let step = if shape.contains(&0) { 0 } else { bytes(stride)? };
            match dimensions.last_mut() {
                Some((outer, outer_step)) if step.checked_mul(size) == Some(*outer_step) => {
                    (*outer, *outer_step) = (outer.checked_mul(size)?, step);
                }
                _ => dimensions.push((size, step)),
            }
        }
        let width = usize::try_from(width).ok()?;
        Some(Self { width, offset: bytes(offset)?, dimensions })
    }

    /// Bytes of one element.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Sizes and strides (bytes), outermost first, as far as they cannot be merged.
    pub(crate) fn dimensions(&self) -> &[(usize, usize)] {
        &self.dimensions
    }

    /// The view with other strides for the dimensions of the given places.
    pub(crate) fn restepped(&self, steps: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut view = self.clone();
        for (place, step) in steps {
            if let Some((_, old)) = view.dimensions.get_mut(place) {
                *old = step;
            }
        }
        view
    }

    /// Copies elements in row-major order into `out`, beginning with element `first`, as
    /// many as `out` holds. Elements outside of `from` are left as they are.
    pub(crate) fn copy(&self, from: &[u8], first: usize, out: &mut [u8]) {
        let (&(size, step), outer) =
            self.dimensions.split_last().unwrap_or((&(1, self.width), &[]));
        if size == 0 || out.is_empty() {
            return;
        }
        let mut odometer = Odometer::new(outer, first.checked_div(size).unwrap_or(0));
        let mut skip = first.checked_rem(size).unwrap_or(0);
        let mut out = out;
        while !out.is_empty() {
            let rows =
                if skip == 0 { self.rows_across(&odometer, from.len(), out.len()) } else { 0 };
            if rows > 1 {
                let row = size.saturating_mul(self.width);
                let (plane, rest) = out.split_at_mut(rows.saturating_mul(row));
                let from = from.get(self.offset.saturating_add(odometer.offset)..);
                let steps = (odometer.inner_step(), step);
                copy_plane(from.unwrap_or_default(), steps, self.width, row, plane);
                out = rest;
                (0..rows).for_each(|_| odometer.advance());
                continue;
            }
            let count =
                size.saturating_sub(skip).min(out.len().checked_div(self.width).unwrap_or(0));
            if count == 0 {
                return;
            }
            let (row, rest) = out.split_at_mut(count.saturating_mul(self.width));
            let start = self
                .offset
                .saturating_add(odometer.offset)
                .saturating_add(skip.saturating_mul(step));
            copy_row(from.get(start..).unwrap_or_default(), step, self.width, row);
            skip = 0;
            out = rest;
            odometer.advance();
        }
    }

    /// How many rows from here on can be copied by tiles, for their elements lie further apart
    /// than they do: whole ones, of one plane, all in `from` bytes, that fit in `room`.
    fn rows_across(&self, odometer: &Odometer<'_>, from: usize, room: usize) -> usize {
        let Some(&(size, step)) = self.dimensions.last() else { return 0 };
        let down = odometer.inner_step();
        let rows = room.checked_div(size.saturating_mul(self.width)).unwrap_or(0);
        let rows = rows.min(odometer.rows_left());
        let last = (rows.saturating_sub(1).saturating_mul(down))
            .saturating_add(size.saturating_sub(1).saturating_mul(step));
        let start = self.offset.saturating_add(odometer.offset);
        let end = start.saturating_add(last).saturating_add(self.width);
        if down < step && end <= from { rows } else { 0 }
    }
}

/// Copies elements of `width` bytes, `step` bytes apart, side by side.
fn copy_row(from: &[u8], step: usize, width: usize, row: &mut [u8]) {
    if step == width {
        if let Some(from) = from.get(..row.len()) {
            row.copy_from_slice(from);
        }
        return;
    }
    match width {
        1 => copy_elements::<1>(from, step, row),
        2 => copy_elements::<2>(from, step, row),
        4 => copy_elements::<4>(from, step, row),
        8 => copy_elements::<8>(from, step, row),
        _ => copy_elements::<16>(from, step, row),
    }
}

/// Copies rows of `row` bytes whose elements are `steps.1` bytes apart, each row beginning
/// `steps.0` behind the one before.
fn copy_plane(from: &[u8], steps: (usize, usize), width: usize, row: usize, plane: &mut [u8]) {
    match width {
        1 => copy_tiles::<1>(from, steps, row, plane),
        2 => copy_tiles::<2>(from, steps, row, plane),
        4 => copy_tiles::<4>(from, steps, row, plane),
        8 => copy_tiles::<8>(from, steps, row, plane),
        _ => copy_tiles::<16>(from, steps, row, plane),
    }
}

/// Rows and columns of a tile: lines of the cache are read and written once for all of a tile's
/// elements in them, wherever the lines lie.
const TILE: usize = 16;

fn copy_tiles<const WIDTH: usize>(
    from: &[u8],
    (down, across): (usize, usize),
    row: usize,
    plane: &mut [u8],
) {
    let mut tile = [[[0; WIDTH]; TILE]; TILE];
    let line = TILE.saturating_mul(WIDTH);
    for (band, rows) in plane.chunks_mut(row.saturating_mul(TILE)).enumerate() {
        let top = band.saturating_mul(TILE).saturating_mul(down);
        for (block, left) in (0..row).step_by(line).enumerate() {
            let columns = row.saturating_sub(left).min(line).checked_div(WIDTH).unwrap_or(0);
            let mut column_at =
                top.saturating_add(block.saturating_mul(TILE).saturating_mul(across));
            let height = rows.len().checked_div(row).unwrap_or(0);
            for column in 0..columns {
                let mut at = column_at;
                for line in tile.iter_mut().take(height) {
                    let bytes = from.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>);
                    if let (Some(element), Some(bytes)) = (line.get_mut(column), bytes) {
                        *element = *bytes;
                    }
                    at = at.saturating_add(down);
                }
                column_at = column_at.saturating_add(across);
            }
            for (into, line) in rows.chunks_mut(row).zip(&tile) {
                let into = into.get_mut(left..).unwrap_or_default();
                let (into, _) = into.as_chunks_mut::<WIDTH>();
                for (element, bytes) in into.iter_mut().zip(line).take(columns) {
                    *element = *bytes;
                }
            }
        }
    }
}

fn copy_elements<const WIDTH: usize>(from: &[u8], step: usize, row: &mut [u8]) {
    let (elements, _) = row.as_chunks_mut::<WIDTH>();
    let mut at = 0_usize;
    for element in elements {
        if let Some(bytes) = from.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
            *element = *bytes;
        }
        at = at.saturating_add(step);
    }
}

/// Counts through the outer dimensions, innermost fastest, keeping the byte offset.
struct Odometer<'a> {
    dimensions: &'a [(usize, usize)],
    digits: Vec<usize>,
    offset: usize,
}

impl<'a> Odometer<'a> {
    /// Stands at the `row`th row.
    fn new(dimensions: &'a [(usize, usize)], row: usize) -> Self {
        let mut digits = vec![0; dimensions.len()];
        let (mut left, mut offset) = (row, 0_usize);
        for (digit, &(size, step)) in digits.iter_mut().zip(dimensions).rev() {
            *digit = left.checked_rem(size).unwrap_or(0);
            left = left.checked_div(size).unwrap_or(0);
            offset = offset.saturating_add(digit.saturating_mul(step));
        }
        Self { dimensions, digits, offset }
    }

    /// Bytes from one row to the next, within the innermost of these dimensions.
    fn inner_step(&self) -> usize {
        self.dimensions.last().map_or(usize::MAX, |(_, step)| *step)
    }

    /// Rows from here to the end of the innermost of these dimensions.
    fn rows_left(&self) -> usize {
        let size = self.dimensions.last().map_or(0, |(size, _)| *size);
        size.saturating_sub(self.digits.last().copied().unwrap_or(0))
    }

    fn advance(&mut self) {
        for (digit, &(size, step)) in self.digits.iter_mut().zip(self.dimensions).rev() {
            *digit = digit.saturating_add(1);
            self.offset = self.offset.saturating_add(step);
            if *digit < size {
                return;
            }
            *digit = 0;
            self.offset = self.offset.saturating_sub(size.saturating_mul(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every element by its indices, the slow way.
    fn brute(from: &[u8], width: u64, offset: u64, shape: &[u64], stride: &[u64]) -> Vec<u8> {
        let numel: u64 = shape.iter().product();
        let element = |mut index: u64| {
            let mut at = offset;
            for (size, stride) in shape.iter().zip(stride).rev() {
                at += index % size * stride;
                index /= size;
            }
            let start = usize::try_from(at * width).unwrap();
            from[start..start + usize::try_from(width).unwrap()].to_vec()
        };
        (0..numel).flat_map(element).collect()
    }

    proptest! {
        #[test]
        fn planes_across_are_copied_by_tiles_as_by_elements(
            rows in 1_u64..50,
            columns in 1_u64..50,
            planes in 1_u64..3,
            apart in 0_u64..3,
            width in prop::sample::select(vec![1_u64, 2, 4, 8, 16]),
            cut in 0_usize..200,
        ) {
            // Transposed, with room between what were rows.
            let shape = [planes, rows, columns];
            let stride = [columns * (rows + apart), 1, rows + apart];
            let len = usize::try_from(planes * columns * (rows + apart) * width).unwrap();
            let from: Vec<u8> = (0_u8..=250).map(|i| i.wrapping_mul(7)).cycle().take(len).collect();
            let want = brute(&from, width, 0, &shape, &stride);
            let view = Strided::new(width, 0, &shape, &stride).unwrap();
            let mut all = vec![0; want.len()];
            view.copy(&from, 0, &mut all);
            prop_assert_eq!(&all, &want);
            let first = cut.min(want.len() / usize::try_from(width).unwrap());
            let mut tail = vec![0; want.len() - first * usize::try_from(width).unwrap()];
            view.copy(&from, first, &mut tail);
            prop_assert_eq!(&tail[..], &want[first * usize::try_from(width).unwrap()..]);
        }

        #[test]
        fn every_view_holds_the_elements_its_indices_name(
            dimensions in prop::collection::vec((0_u64..5, 0_u64..7), 0..5),
            offset in 0_u64..9,
            width in prop::sample::select(vec![1_u64, 2, 4, 8, 16]),
            cut in 0_usize..40,
        ) {
            let (shape, stride): (Vec<_>, Vec<_>) = dimensions.into_iter().unzip();
            let from: Vec<u8> = (0..16 * (9 + 4 * 4 * 7)).map(|i: u32| (i % 251) as u8).collect();
            let want = brute(&from, width, offset, &shape, &stride);
            let view = Strided::new(width, offset, &shape, &stride).unwrap();
            let mut all = vec![0; want.len()];
            view.copy(&from, 0, &mut all);
            prop_assert_eq!(&all, &want);
            // In two parts as well.
            let numel = want.len() / usize::try_from(width).unwrap();
            let first = cut.min(numel);
            let mut tail = vec![0; want.len() - first * usize::try_from(width).unwrap()];
            view.copy(&from, first, &mut tail);
            prop_assert_eq!(&tail[..], &want[first * usize::try_from(width).unwrap()..]);
        }
    }
}
