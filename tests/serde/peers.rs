//! The forms that `serde-pickle` writes and reads.

use depickle::python::serde::{self as pickle, SerOptions};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(u8, u8),
    Box { width: u8, depth: u8 },
}

fn shapes() -> Vec<Shape> {
    vec![Shape::Point, Shape::Circle(1.5), Shape::Line(1, 2), Shape::Box { width: 3, depth: 4 }]
}

/// What a pickle holds, however it is written.
fn held(bytes: &[u8]) -> serde_pickle::Value {
    serde_pickle::value_from_slice(bytes, serde_pickle::DeOptions::new()).unwrap()
}

#[test]
fn variants_have_the_same_forms() {
    for tuples in [false, true] {
        let ours = SerOptions::default().protocol(3).tuple_variants(tuples);
        let theirs = serde_pickle::SerOptions::new();
        let theirs = if tuples { theirs.compat_enum_repr() } else { theirs };
        let ours = pickle::to_vec_with(&shapes(), &ours).unwrap();
        let theirs = serde_pickle::to_vec(&shapes(), theirs).unwrap();
        assert_eq!(held(&ours), held(&theirs));
        assert_eq!(pickle::from_slice::<Vec<Shape>>(&theirs).unwrap(), shapes());
    }
}
