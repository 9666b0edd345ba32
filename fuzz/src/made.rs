//! All properties, of what the generators make.

use bytes::Bytes;

use crate::checkpoints::every_tensor;
use crate::generate::{file, program};
use crate::{
    assembly, convert, cpython, decode, encode, faults, json, machine, modules, numpy, scan, tar,
    views, zip,
};

/// A pickle that mostly keeps the rules has every property of pickles.
pub fn made_pickle(choices: &[u8]) {
    let pickle = program::pickle(choices);
    for property in [decode, machine, assembly, encode, views, numpy, json, cpython] {
        property(&pickle);
    }
    scan(&pickle);
}

/// A checkpoint in one of the layouts, odd in one way or another, has the property of files that
/// the last byte names: all of them would take six times as long, which six more files are worth.
pub fn made_file(choices: &[u8]) {
    const PROPERTIES: [fn(&[u8]); 7] = [zip, tar, modules, scan, convert, faults, tensors];
    let Some((which, choices)) = choices.split_last() else { return };
    if let Some(property) = PROPERTIES.get(usize::from(*which) % PROPERTIES.len()) {
        property(&file::file(choices));
    }
}

fn tensors(file: &[u8]) {
    every_tensor(&Bytes::copy_from_slice(file));
}
