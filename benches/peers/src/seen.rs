//! What a reader showed: touched as cheaply as can be where it is timed, and once with care, so
//! that a reader that is fast because it reads something else is found out.

/// Sums over all tensors, in whatever order they come. `checkpoints.py` has the same in Python.
#[derive(Default)]
pub(crate) struct Seen {
    careful: bool,
    total: u64,
    /// Of the tensor at hand.
    name: u64,
    words: u64,
    place: u64,
}

impl Seen {
    pub(crate) fn new(careful: bool) -> Self {
        Self { careful, ..Self::default() }
    }

    /// Another tensor; its bytes follow.
    pub(crate) fn tensor(&mut self, name: &str, shape: impl Iterator<Item = u64>) {
        self.close();
        if self.careful {
            // FNV-1a over the name and the sizes.
            let sizes = shape.flat_map(u64::to_le_bytes);
            let bytes = name.bytes().chain(sizes);
            self.name = bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        } else {
            self.name = shape.fold(name.len() as u64, u64::wrapping_add);
        }
    }

    /// Its next bytes: whole words of eight, but for the last.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        if self.careful {
            // Each word times an odd number of its own: bytes in another order are other bytes.
            for word in words {
                self.place = self.place.wrapping_add(2);
                self.words = self.words.wrapping_add(word.wrapping_mul(self.place - 1));
            }
        } else {
            self.words = words.fold(self.words, u64::wrapping_add);
        }
        let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.words = self.words.wrapping_add(rest.wrapping_mul(self.place | 1));
    }

    fn close(&mut self) {
        let tensor = self.words.wrapping_add(1).wrapping_mul(self.name | 1);
        self.total = self.total.wrapping_add(tensor);
        (self.name, self.words, self.place) = (0, 0, 0);
    }

    pub(crate) fn answer(mut self) -> u64 {
        self.close();
        self.total
    }
}
