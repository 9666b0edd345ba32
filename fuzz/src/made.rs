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

/// A checkpoint in one of the layouts, odd in one way or another, has every property of files.
pub fn made_file(choices: &[u8]) {
    let file = file::file(choices);
    zip(&file);
    tar(&file);
    modules(&file);
    scan(&file);
    convert(&file);
    faults(&file);
    every_tensor(&Bytes::from(file));
}
