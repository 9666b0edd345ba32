//! Values made at random: written and read back, through peers, and cut short.

use std::collections::BTreeMap;

use depickle::python::serde::{self as pickle, SerOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::few_visits;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Unit,
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Any {
    Unit,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128),
    Float(f64),
    Char(char),
    Text(String),
    Bytes(ByteBuf),
    Optional(Option<Box<Any>>),
    List(Vec<Any>),
    Pair(Box<Any>, Box<Any>),
    Map(BTreeMap<String, Any>),
    Numbered(BTreeMap<i64, Any>),
    Keyed(BTreeMap<(u8, Vec<bool>), Any>),
    Struct { a: Box<Any>, b: (), c: Option<Box<Any>> },
}

/// Values of every kind; if not `wide`, those that `serde-pickle` has too: no integers over 64
/// bits, and no empty bytes, which are `bytes()` below protocol 3.
pub(super) fn any(wide: bool) -> impl Strategy<Value = Any> {
    let float = any_f64().prop_filter("compares", |value| !value.is_nan());
    // Others know no i128 at all.
    let wide_int = any_i128().prop_map(move |value| match i64::try_from(value >> 64) {
        Ok(value) if !wide => Any::Signed(value),
        _ => Any::Wide(value),
    });
    let unsigned = if wide { any_u64().boxed() } else { (0..1_u64 << 63).boxed() };
    let leaf = prop_oneof![
        Just(Any::Unit),
        prop::bool::ANY.prop_map(Any::Bool),
        prop_oneof![-300..300_i64, prop::num::i64::ANY].prop_map(Any::Signed),
        unsigned.prop_map(Any::Unsigned),
        wide_int,
        float.prop_map(Any::Float),
        prop::char::any().prop_map(Any::Char),
        ".{0,12}".prop_map(Any::Text),
        prop::collection::vec(prop::num::u8::ANY, usize::from(!wide)..300)
            .prop_map(|v| Any::Bytes(v.into())),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let key = (prop::num::u8::ANY, prop::collection::vec(prop::bool::ANY, 0..4));
        prop_oneof![
            prop::option::of(boxed()).prop_map(Any::Optional),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Any::List),
            (boxed(), boxed()).prop_map(|(a, b)| Any::Pair(a, b)),
            prop::collection::btree_map(".{0,4}", inner.clone(), 0..12).prop_map(Any::Map),
            prop::collection::btree_map(-9..9_i64, inner.clone(), 0..6).prop_map(Any::Numbered),
            prop::collection::btree_map(key, inner.clone(), 0..4).prop_map(Any::Keyed),
            (boxed(), prop::option::of(boxed())).prop_map(|(a, c)| Any::Struct { a, b: (), c }),
        ]
    })
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop::num::u64::ANY.prop_map(f64::from_bits)
}

fn any_i128() -> impl Strategy<Value = i128> {
    (prop::num::u128::ANY, 0..128_u32).prop_map(|(bits, shift)| bits.cast_signed() >> shift)
}

fn any_u64() -> impl Strategy<Value = u64> {
    prop::num::u64::ANY
}

/// Any JSON, for types that know nothing of what is coming.
fn json() -> impl Strategy<Value = serde_json::Value> {
    any(false).prop_filter_map("JSON", |value| serde_json::to_value(value).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn what_is_written_is_read(value in any(true), protocol in 0..6_u8, tuples in prop::bool::ANY) {
        let options = SerOptions::default().protocol(protocol).tuple_variants(tuples);
        let written = pickle::to_vec_with(&value, &options).unwrap();
        // Nothing but names is shared, and they are paid for by the stream's length.
        let read: Any = pickle::from_slice_with(&written, &few_visits(1000)).unwrap();
        prop_assert_eq!(read, value);
    }

    #[test]
    fn what_is_written_is_read_without_a_type(value in json(), protocol in 0..6_u8) {
        let options = SerOptions::default().protocol(protocol);
        let written = pickle::to_vec_with(&value, &options).unwrap();
        let read: serde_json::Value = pickle::from_slice(&written).unwrap();
        prop_assert_eq!(read, value);
    }

    #[test]
    fn peers_read_the_same(value in any(false), tuples in prop::bool::ANY) {
        for protocol in 0..=5 {
            let options = SerOptions::default().protocol(protocol).tuple_variants(tuples);
            let written = pickle::to_vec_with(&value, &options).unwrap();
            let read: Any = serde_pickle::from_slice(&written, serde_pickle::DeOptions::new()).unwrap();
            prop_assert_eq!(&read, &value, "serde-pickle reads protocol {}", protocol);
        }
        for v2 in [false, true] {
            let mut options = serde_pickle::SerOptions::new();
            options = if v2 { options.proto_v2() } else { options };
            options = if tuples { options.compat_enum_repr() } else { options };
            // It writes lists as keys, which Python refuses, and so do we.
            let Ok(theirs) = serde_pickle::to_vec(&value, options) else { continue };
            match pickle::from_slice::<Any>(&theirs) {
                Ok(read) => prop_assert_eq!(&read, &value, "of serde-pickle"),
                Err(why) => prop_assert!(why.to_string().contains("cannot be a key"), "{}", why),
            }
        }
    }

    #[test]
    fn what_is_cut_or_broken_is_an_error_or_another_value(
        value in any(true),
        protocol in 0..6_u8,
        place in prop::num::usize::ANY,
        byte in prop::num::u8::ANY,
    ) {
        let options = SerOptions::default().protocol(protocol);
        let mut written = pickle::to_vec_with(&value, &options).unwrap();
        let place = place % written.len();
        prop_assert!(pickle::from_slice::<Any>(&written[..place]).is_err());
        written[place] = byte;
        let _ = pickle::from_slice_with::<Any>(&written, &few_visits(100_000));
        let _ = pickle::from_slice_with::<serde_json::Value>(&written, &few_visits(100_000));
    }
}

#[test]
fn streams_at_random_end() {
    // Operations that fit together, of every kind.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = super::streams::soup();
    let mut plain = 0;
    for _ in 0..2000 {
        let stream = strategy.new_tree(&mut runner).unwrap().current();
        let options = few_visits(10_000).trailing(true);
        plain += u32::from(pickle::from_slice_with::<serde_json::Value>(&stream, &options).is_ok());
        let _ = pickle::from_slice_with::<Any>(&stream, &options);
        let _ = pickle::from_slice_with::<BTreeMap<Key, Vec<String>>>(&stream, &options);
    }
    assert!(plain > 10, "only {plain} streams were read: the test looks past them");
}
