//! What the standard library's objects are viewed as, printed as, and read into.

use std::collections::BTreeMap;

use depickle::pickle::Object;
use depickle::python::serde::{self as rust, DeOptions};
use depickle::python::show::{Extent, show};
use depickle::python::views::View;
use depickle::python::{literal, repr};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{graph_of, small};

/// Every object is viewed, printed and read as Rust values, or it is said why not; what is read
/// is written again and reads as the same.
pub fn views(bytes: &[u8]) {
    let outcome = graph_of(bytes);
    let mut budget = small();
    for object in outcome.graph.objects().take(1 << 12) {
        match View::of(object, &mut budget) {
            Ok(Some(view)) => drop(format!("{view:?}")),
            Ok(None) => {}
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    let Some(root) = outcome.graph.root().or_else(|| outcome.graph.objects().last()) else {
        return;
    };
    let (mut text, mut short) = (String::new(), String::new());
    let _ = repr::repr(root, &|_| None, &mut text, &mut small());
    let _ = repr::str(root, &|_| None, &mut short, &mut small());
    let shown = show(root, &|_| None, Extent::default(), &mut small());
    assert!(shown.is_err() || !shown.expect("text").is_empty());
    let _ = (literal::text(short.as_bytes()), literal::bytes(text.as_bytes()));
    into_rust(root);
}

fn into_rust(object: Object) {
    read::<IgnoredAny>(object);
    read::<i64>(object);
    read::<Vec<f64>>(object);
    read::<BTreeMap<String, u32>>(object);
    read::<(u8, Option<char>, bool)>(object);
    let Some(value) = read::<serde_json::Value>(object) else { return };
    let Ok(bytes) = rust::to_vec(&value) else { return };
    let again: serde_json::Value = rust::from_slice(&bytes).expect("we wrote it");
    assert_eq!(value, again);
}

fn read<T: DeserializeOwned>(object: Object) -> Option<T> {
    match rust::from_object_with(object, &DeOptions::default(), &mut small()) {
        Ok(value) => Some(value),
        Err(why) => {
            assert!(!why.to_string().is_empty());
            None
        }
    }
}
