//! Rust values from and to plain pickles.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::items_after_statements,
    clippy::type_complexity,
    clippy::zero_sized_map_values,
    reason = "types of tests stand where they are used"
)]

#[path = "../common/deep.rs"]
mod deep;
mod errors;
mod hostile;
mod peers;
mod python;
mod random;
mod round_trip;
#[path = "../streams/mod.rs"]
mod streams;

use std::fmt::Debug;

use depickle::pickle::{GraphBuilder, assemble};
use depickle::python::serde::{self as pickle, DeOptions, SerOptions};
use depickle::{Budget, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The stream of some operations.
fn stream(text: &str) -> Vec<u8> {
    assemble(&text.replace(" / ", "\n")).unwrap()
}

/// Reads what some operations make, STOP left out.
fn read<T: DeserializeOwned>(text: &str) -> T {
    pickle::from_slice(&stream(&format!("{text} / STOP"))).unwrap()
}

/// As [`read`], where that fails.
fn fail<T: DeserializeOwned + Debug>(text: &str) -> pickle::Error {
    pickle::from_slice::<T>(&stream(&format!("{text} / STOP"))).unwrap_err()
}

fn few_visits(visits: u64) -> DeOptions {
    DeOptions::default().limits(Limits::default().with_visits(visits))
}

/// Writes in every protocol, both forms of variants, and into a graph; reads all of them.
fn everywhere<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for protocol in 0..=5 {
        for tuples in [false, true] {
            let options = SerOptions::default().protocol(protocol).tuple_variants(tuples);
            let written = pickle::to_vec_with(value, &options).unwrap();
            let again: T = pickle::from_slice(&written).unwrap();
            assert_eq!(again, *value, "protocol {protocol}, {}", written.escape_ascii());
            let mut budget = Budget::default();
            let mut build = GraphBuilder::new(&mut budget);
            let root = pickle::to_node(value, &mut build, &options).unwrap();
            let graph = build.finish(root);
            let again: T = pickle::from_object(graph.root().unwrap()).unwrap();
            assert_eq!(again, *value, "through a graph");
        }
    }
}

/// Runs `work` on a stack of 1 MiB. Serde's own recursion, 128 levels by default, takes more than
/// half of that where nothing was optimised.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    deep::on_a_stack_of(1 << 20, work);
}
