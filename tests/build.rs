//! Graphs made from Rust, changed after reading, and copied.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod streams;

use std::collections::BTreeMap;

use depickle::pickle::{BuildError, Encoder, Graph, GraphBuilder, Object, Policy, difference, run};
use depickle::python::json;
use depickle::{Budget, FileOffset, Limits};
use proptest::prelude::*;

fn read(stream: &[u8]) -> Graph {
    let mut budget = Budget::default();
    run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph
}

fn text(object: Object) -> String {
    let mut out = Vec::new();
    json::write(object, &json::Nothing, &mut Budget::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn rust_values_become_python_ones() {
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let map: BTreeMap<&str, (u64, Option<f32>)> =
        [("a", (u64::MAX, None)), ("b", (7, Some(0.5)))].into();
    let items = [
        build.value(&map).unwrap(),
        build.value(&[true, false]).unwrap(),
        build.value(&-1_i128).unwrap(),
        build.value(&i64::MIN).unwrap(),
        build.bytes(b"\xff").unwrap(),
        build.none(),
    ];
    let root = build.list(&items).unwrap();
    let graph = build.finish(root);
    let expected = concat!(
        r#"[{"a":{"$tuple":[{"$int":"18446744073709551615"},null]},"b":{"$tuple":[7,0.5]}},"#,
        r#"[true,false],-1,{"$int":"-9223372036854775808"},{"$bytes":"/w=="},null]"#
    );
    assert_eq!(text(graph.root().unwrap()), expected);
    for protocol in 0..=5 {
        let written = Encoder::new(protocol).to_vec(graph.root().unwrap(), &mut budget).unwrap();
        assert_eq!(text(read(&written).root().unwrap()), expected);
    }
}

#[test]
fn objects_cycles_and_state_can_be_made() {
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let class = build.global("m", "C").unwrap();
    assert_eq!(build.global("m", "C").unwrap(), class);
    let args = build.tuple(&[]).unwrap();
    let object = build.instance(class, args).unwrap();
    let name = build.value("self").unwrap();
    let state = build.dict(&[(name, object)]).unwrap();
    build.set_state(object, state).unwrap();
    let function = build.global("m", "f").unwrap();
    let made = build.call(function, args).unwrap();
    build.insert(made, &[(name, object)]).unwrap();
    build.append(made, &[object]).unwrap();
    let root = build.tuple(&[object, made]).unwrap();
    let graph = build.finish(root);
    let want = concat!(
        r#"{"$tuple":[{"$id":1,"value":{"$object":"m.C","state":{"self":{"$ref":1}}}},"#,
        r#"{"$call":"m.f","list":[{"$ref":1}],"items":[["self",{"$ref":1}]]}]}"#
    );
    assert_eq!(text(graph.root().unwrap()), want);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let list = build.list(&[]).unwrap();
    let text = build.value("a").unwrap();
    assert_eq!(build.dict(&[(list, text)]), Err(BuildError::Unhashable("list")));
    assert_eq!(build.set(&[list]), Err(BuildError::Unhashable("list")));
    let wrong = BuildError::WrongType { wanted: "something to call", found: "str" };
    let args = build.tuple(&[]).unwrap();
    assert_eq!(build.call(text, args), Err(wrong));
    let wrong = BuildError::WrongType { wanted: "a list", found: "str" };
    assert_eq!(build.append(text, &[list]), Err(wrong));
    let mut other = Budget::default();
    let stranger = {
        let mut far = GraphBuilder::new(&mut other);
        (0..9).map(|_| far.value("x").unwrap()).last().unwrap()
    };
    assert_eq!(build.list(&[stranger]), Err(BuildError::Stranger));
    let mut little = Budget::new(Limits::default().with_memory(64));
    let mut build = GraphBuilder::new(&mut little);
    let over = (0..100).find_map(|_| build.value("text").err());
    assert!(matches!(over, Some(BuildError::Over(_))));
}

#[test]
fn what_was_read_can_be_changed() {
    // OrderedDict(b=1, a=2) under "m", and a list.
    let graph = read(b"}(X\x01\0\0\0mccollections\nOrderedDict\n)R(X\x01\0\0\0bK\x01X\x01\0\0\0aK\x02uX\x01\0\0\0l](K\x01K\x02eu.");
    let root = graph.root().unwrap();
    let dict = root.as_dict().unwrap();
    let (model, list) = (dict.get("m").unwrap(), dict.get("l").unwrap());
    let pairs: Vec<_> =
        model.as_recipe().unwrap().set_items().map(|(key, value)| (key.id(), value.id())).collect();
    let (root, model, list) = (root.id(), model.id(), list.id());
    let mut budget = Budget::default();
    let mut build = GraphBuilder::edit(graph, &mut budget);
    let renamed = build.value("layer.b").unwrap();
    build.replace_pairs(model, &[(renamed, pairs[0].1)]).unwrap();
    let nine = build.value(&9).unwrap();
    build.replace_items(list, &[nine, model]).unwrap();
    build.append(list, &[nine]).unwrap();
    let graph = build.finish(root);
    let want = concat!(
        r#"{"m":{"$id":1,"value":{"$object":"collections.OrderedDict","items":[["layer.b",1]]}},"#,
        r#""l":[9,{"$ref":1},9]}"#
    );
    assert_eq!(text(graph.root().unwrap()), want);
    let written = Encoder::new(2).to_vec(graph.root().unwrap(), &mut budget).unwrap();
    assert_eq!(text(read(&written).root().unwrap()), want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_copy_is_the_same(stream in streams::soup()) {
        let graph = read(&stream);
        for object in graph.objects() {
            let mut budget = Budget::default();
            let mut build = GraphBuilder::new(&mut budget);
            let first = build.value("not the first").unwrap();
            let copy = build.copy(object).unwrap();
            let again = build.copy(object).unwrap();
            let root = build.list(&[first, copy, again]).unwrap();
            let copied = build.finish(root);
            for id in [copy, again] {
                let found = difference(object, copied.object(id), &mut budget).unwrap();
                prop_assert!(found.is_none(), "{}", found.unwrap());
            }
        }
    }
}
