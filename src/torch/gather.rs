//! Reading strided views by position: only the pieces of a storage that a view touches.

use super::strided::Strided;

/// Bytes between two pieces that are read along rather than asked for apart: a page, which is
/// what a disk gives anyway.
const GAP: usize = 4096;

/// The pieces of bytes that a view touches, all of one length, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Bytes of one piece.
    pub len: usize,
    /// How many there are, and how far apart (bytes), the outermost first.
    apart: Vec<(usize, usize)>,
    /// The view of the pieces put one behind the other.
    pub view: Strided,
}

impl Pieces {
    /// Of a view with its first element at 0. None if it does not fit this machine's addresses.
    pub(crate) fn of(view: &Strided) -> Option<Self> {
        let places = view.dimensions().iter().copied().enumerate();
        let mut physical: Vec<(usize, (usize, usize))> =
            places.filter(|&(_, (size, step))| size > 1 && step > 0).collect();
        physical.sort_by_key(|&(_, (_, step))| std::cmp::Reverse(step));
        let mut len = view.width();
        while let Some(&(_, (size, step))) = physical.last() {
            if step > len.checked_add(GAP)? {
                break;
            }
            len = size.saturating_sub(1).checked_mul(step)?.checked_add(len)?;
            physical.pop();
        }
        let (mut steps, mut step) = (Vec::with_capacity(physical.len()), len);
        for &(place, (size, _)) in physical.iter().rev() {
            steps.push((place, step));
            step = step.checked_mul(size)?;
        }
        let apart = physical.into_iter().map(|(_, dimension)| dimension).collect();
        Some(Self { len, apart, view: view.restepped(steps.into_iter()) })
    }

    /// How many pieces there are.
    pub(crate) fn count(&self) -> usize {
        self.apart.iter().fold(1, |count, &(size, _)| count.saturating_mul(size))
    }

    /// Where each piece begins (bytes from the view's first element), in the order of the file.
    pub(crate) fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.count()).map(|index| {
            let (mut left, mut at) = (index, 0_u64);
            for &(size, step) in self.apart.iter().rev() {
                let digit = left.checked_rem(size).unwrap_or(0);
                left = left.checked_div(size).unwrap_or(0);
                at = at.saturating_add((digit as u64).saturating_mul(step as u64));
            }
            at
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_hold_what_the_view_names(
            dimensions in prop::collection::vec((0_u64..4, prop::sample::select(vec![0_u64, 1, 3, 7, 600, 1500, 5000])), 0..4),
            width in prop::sample::select(vec![1_u64, 2, 4, 8]),
        ) {
            let (shape, stride): (Vec<_>, Vec<_>) = dimensions.into_iter().unzip();
            let numel: u64 = shape.iter().product();
            let end: u64 = shape.iter().zip(&stride).map(|(n, s)| n.saturating_sub(1) * s).sum();
            let from: Vec<u8> = (0..(end + 1) * width).map(|i| (i % 251) as u8).collect();
            let view = Strided::new(width, 0, &shape, &stride).unwrap();
            let bytes = usize::try_from(numel * width).unwrap();
            let (mut want, mut got) = (vec![0; bytes], vec![0; bytes]);
            view.copy(&from, 0, &mut want);
            if numel > 0 {
                let pieces = Pieces::of(&view).unwrap();
                let mut packed = Vec::new();
                let mut last = 0;
                for start in pieces.starts() {
                    let start = usize::try_from(start).unwrap();
                    packed.extend_from_slice(&from[start..start + pieces.len]);
                    last = last.max(start + pieces.len);
                }
                prop_assert!(last <= from.len());
                pieces.view.copy(&packed, 0, &mut got);
                prop_assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn only_far_pieces_are_apart() {
        // A column of a wide matrix, and one of a narrow.
        let wide = Pieces::of(&Strided::new(4, 0, &[100, 1], &[2000, 1]).unwrap()).unwrap();
        assert_eq!((wide.len, wide.count()), (4, 100));
        let narrow = Pieces::of(&Strided::new(4, 0, &[100, 1], &[10, 1]).unwrap()).unwrap();
        assert_eq!((narrow.len, narrow.count()), (99 * 40 + 4, 1));
        let transposed =
            Pieces::of(&Strided::new(4, 0, &[2000, 100], &[1, 2000]).unwrap()).unwrap();
        assert_eq!((transposed.len, transposed.count()), (800_000, 1));
    }
}
