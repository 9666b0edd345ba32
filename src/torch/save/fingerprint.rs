//! What PyTorch puts into `.data/serialization_id`: a hash of the members' names and one of their
//! checksums, 20 digits each.
//!
//! The names are hashed in the order in which the C++ library of Linux (libstdc++) keeps a set of
//! them. That is followed here, so that the same content gives the same file.
//!
//! Source: PyTorch 2.15 `caffe2/serialize/inline_container.cc` (`writeSerializationId`),
//! `c10/util/hash.h` (`hash_combine`); GCC 13 `libstdc++-v3/include/bits/hashtable.h`,
//! `libsupc++/hash_bytes.cc`, `src/c++11/hashtable_c++0x.cc`.

use std::fmt;

/// Names and checksums of members.
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    names: Names,
    checksums: u64,
}

impl Fingerprint {
    /// Bytes of its text.
    pub(super) const LEN: u64 = 40;

    pub(super) fn add(&mut self, name: &str, size: u64, crc: u32) {
        self.names.insert(hash(name.as_bytes()));
        // Those of empty members are left out.
        if size > 0 {
            self.checksums = combine(self.checksums, crc.into());
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().fold(0, combine);
        write!(f, "{names:020}{:020}", self.checksums)
    }
}

/// `c10::hash_combine`
const fn combine(seed: u64, value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9e37_79b9).wrapping_add(seed << 6).wrapping_add(seed >> 2);
    seed ^ mixed
}

/// `std::hash<std::string>`: `MurmurHash64A`.
fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xc70f_6907;
    let mix = |value: u64| value ^ (value >> 47);
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        hash = (hash ^ mix(word).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    mix(mix(hash).wrapping_mul(MULTIPLIER))
}

/// `std::unordered_set` of hashes: a chain, in which those of one bucket are neighbours.
#[derive(Debug, Default)]
struct Names {
    hashes: Vec<u64>,
    /// For each name its successor, and in front the first one; `END` behind the last.
    next: Vec<u32>,
    /// For each bucket what stands before its first name; `EMPTY` if it has none.
    buckets: Vec<u32>,
    grown: usize,
}

const END: u32 = u32::MAX;
const EMPTY: u32 = u32::MAX;

/// Numbers of buckets that sets grow through, one name at a time.
const SIZES: &[usize] = &[
    13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172_933, 351_061,
    712_697, 1_447_153, 2_938_679, 5_967_347, 12_117_689,
];

impl Names {
    fn insert(&mut self, hash: u64) {
        if self.next.is_empty() {
            self.next.push(END);
        }
        if self.hashes.len() >= self.buckets.len() {
            // Behind the table the order is another one, and the file as good.
            let more = SIZES.get(self.grown).copied().unwrap_or(self.buckets.len());
            self.grown = self.grown.saturating_add(1);
            self.rehash(more.max(1));
        }
        self.hashes.push(hash);
        // More names than that need more memory than there is.
        let place = u32::try_from(self.hashes.len()).unwrap_or(END);
        self.next.push(END);
        let bucket = self.bucket(place);
        match self.before(bucket) {
            EMPTY => {
                let first = self.next(0);
                self.set_next(place, first);
                self.set_next(0, place);
                if first != END {
                    self.set_before(self.bucket(first), place);
                }
                self.set_before(bucket, 0);
            }
            before => {
                self.set_next(place, self.next(before));
                self.set_next(before, place);
            }
        }
    }

    fn rehash(&mut self, buckets: usize) {
        self.buckets = vec![EMPTY; buckets];
        let (mut place, mut last) = (self.next(0), 0);
        self.set_next(0, END);
        while place != END {
            let (after, bucket) = (self.next(place), self.bucket(place));
            match self.before(bucket) {
                EMPTY => {
                    let first = self.next(0);
                    self.set_next(place, first);
                    self.set_next(0, place);
                    self.set_before(bucket, 0);
                    if first != END {
                        self.set_before(last, place);
                    }
                    last = bucket;
                }
                before => {
                    self.set_next(place, self.next(before));
                    self.set_next(before, place);
                }
            }
            place = after;
        }
    }

    /// Hashes in the order of the chain.
    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let mut place = self.next(0);
        std::iter::from_fn(move || {
            let hash = *self.hashes.get((place as usize).checked_sub(1)?)?;
            place = self.next(place);
            Some(hash)
        })
    }

    fn bucket(&self, place: u32) -> usize {
        let hash = (place as usize).checked_sub(1).and_then(|place| self.hashes.get(place));
        let buckets = self.buckets.len() as u64;
        let bucket = hash.copied().unwrap_or_default().checked_rem(buckets).unwrap_or(0);
        usize::try_from(bucket).unwrap_or(0)
    }

    fn next(&self, place: u32) -> u32 {
        self.next.get(place as usize).copied().unwrap_or(END)
    }

    fn set_next(&mut self, place: u32, next: u32) {
        if let Some(slot) = self.next.get_mut(place as usize) {
            *slot = next;
        }
    }

    fn before(&self, bucket: usize) -> u32 {
        self.buckets.get(bucket).copied().unwrap_or(EMPTY)
    }

    fn set_before(&mut self, bucket: usize, before: u32) {
        if let Some(slot) = self.buckets.get_mut(bucket) {
            *slot = before;
        }
    }
}
