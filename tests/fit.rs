//! Whether weights fit a model: PyTorch's own answers, word for word, and what it copies.
#![cfg(feature = "torch")]
#![allow(
    clippy::format_collect,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::HashMap;

use common::fixture;
use depickle::torch::{Checkpoint, Conflict, DType, Expected, Given, LoadError, Weights};
use serde_json::{Value, json};

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(fixture(&format!("fit/{name}.pth"))).unwrap()
}

fn said(name: &str) -> Vec<Value> {
    let bytes = std::fs::read(fixture(&format!("fit/{name}.json"))).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What `load_state_dict` of a file's model says of another file.
fn loading(model: &Checkpoint, weights: &Checkpoint, strict: bool) -> Value {
    let expected = Expected::of(model, model.root()).unwrap();
    assert_eq!(expected.notes(), [] as [String; 0]);
    let refused = |why: String| json!({ "missing": null, "unexpected": null, "error": why });
    let weights = match Weights::of(weights, weights.root()) {
        Ok(weights) => weights,
        Err(why) => {
            // Ours also says in which file, and where.
            let why = why.to_string();
            let (start, end) = (why.find("Expected").unwrap(), why.find(">.").unwrap() + 2);
            let said = &why[start..end];
            return refused(said.to_owned());
        }
    };
    let fit = expected.fit(&weights);
    match fit.check(strict) {
        Ok(()) => json!({
            "missing": fit.missing(), "unexpected": fit.unexpected(), "error": null
        }),
        Err(why) => refused(why.to_string()),
    }
}

#[test]
fn every_answer_is_that_of_pytorch() {
    let cases = said("cases");
    assert!(cases.len() >= 42);
    for case in cases {
        let (model, weights) = (case["model"].as_str().unwrap(), case["weights"].as_str().unwrap());
        let strict = case["strict"].as_bool().unwrap();
        let found = loading(&open(model), &open(weights), strict);
        for part in ["error", "missing", "unexpected"] {
            assert_eq!(found[part], case[part], "{weights} into {model}, strict {strict}");
        }
    }
}

#[test]
fn a_model_fits_itself_and_its_state_dict() {
    for name in ["mlp_model", "tied", "resnet18_tiny", "transformer_encoder", "module_zoo"] {
        let model = Checkpoint::open(fixture(&format!("{name}.pth"))).unwrap();
        let found = loading(&model, &model, true);
        assert_eq!(found, json!({ "missing": [], "unexpected": [], "error": null }), "{name}");
    }
    let model = Checkpoint::open(fixture("mlp_model.pth")).unwrap();
    for file in ["mlp_state_dict.pth", "legacy_mlp_state_dict.pth"] {
        let weights = Checkpoint::open(fixture(file)).unwrap();
        assert_eq!(loading(&model, &weights, true)["error"], Value::Null, "{file}");
    }
}

#[test]
fn declared_names_are_a_model_too() {
    // In another order than the file's, and with what every old BatchNorm lacks.
    let net = Expected::new("Net")
        .with("scale", DType::Float32, &[])
        .with("bn.weight", DType::Float32, &[3])
        .with("bn.bias", DType::Float32, &[3])
        .with("bn.running_mean", DType::Float32, &[3])
        .with("bn.running_var", DType::Float32, &[3])
        .with("bn.num_batches_tracked", DType::Int64, &[])
        .with_any("conv.weight", &[3, 2, 1, 1])
        .with("other.deep.weight", DType::Float64, &[2]);
    let names: Vec<_> = net.slots().map(|slot| slot.name().to_owned()).collect();
    assert_eq!(names.len(), 8);

    let file = open("no_versions");
    let weights = Weights::of(&file, file.root()).unwrap();
    let fit = net.fit(&weights);
    assert_eq!(fit.missing(), ["other.deep.weight"]);
    assert_eq!(fit.kept(), ["bn.num_batches_tracked"]);
    let [first, .., last] = fit.unexpected() else { panic!() };
    assert_eq!((first.as_str(), last.as_str()), ("steps", "conv.bias"));
    assert_eq!(fit.matched().len(), 6);

    let told = open("no_counts");
    let weights = Weights::of(&told, told.root()).unwrap();
    assert_eq!(net.fit(&weights).missing(), ["bn.num_batches_tracked", "other.deep.weight"]);
    // A dict made of the items of another has no versions.
    let weights = weights.renamed(|name| Some(name.replace("bn.", "norm.")));
    let weights = weights.renamed(|name| Some(name.replace("norm.", "bn.")));
    assert_eq!(net.fit(&weights).missing(), ["other.deep.weight"]);
}

#[test]
fn names_are_renamed_or_left_out() {
    let (model, file) = (open("net_model"), open("wrapped"));
    let expected = Expected::of(&model, model.root()).unwrap();
    let weights = Weights::of(&file, file.root()).unwrap();
    let weights = weights.renamed(|name| {
        name.strip_prefix("module.").filter(|name| !name.starts_with("conv.")).map(str::to_owned)
    });
    let fit = expected.fit(&weights);
    assert_eq!(fit.missing(), ["conv.weight", "conv.bias"]);
    assert!(fit.unexpected().is_empty());
}

#[test]
fn a_number_as_pytorch_0_3_saved_it_is_read() {
    let (model, file) = (open("net_model"), open("number"));
    let expected = Expected::of(&model, model.root()).unwrap();
    let weights = Weights::of(&file, file.root()).unwrap();
    let fit = expected.fit(&weights);
    let of = |name: &str| *fit.matched().iter().find(|matched| matched.name() == name).unwrap();
    assert_eq!(of("scale").to_vec::<f32>().unwrap(), [5.0]);
    // From float64, as copy_ makes integers of it.
    assert_eq!(of("steps").tensor().dtype(), DType::Float64);
    assert_eq!(of("steps").to_vec::<i64>().unwrap(), [1, -2]);
    let why = of("steps").to_vec::<f32>().unwrap_err().to_string();
    assert!(
        why.ends_with("tensor \"steps\": its elements are int64 and cannot be read as f32"),
        "{why}"
    );
}

#[test]
fn every_cast_is_that_of_copy() {
    let file = open("casts");
    let weights = Weights::of(&file, file.root()).unwrap();
    let casts = said("casts");
    assert!(casts.len() > 200);
    let mut refused = Vec::new();
    for cast in casts {
        let (from, to) = (cast["from"].as_str().unwrap(), cast["to"].as_str().unwrap());
        let expected = Expected::new("One").with(from, DType::from_name(to).unwrap(), &[8]);
        let fit = expected.fit(&weights);
        let matched = fit.matched().iter().find(|matched| matched.name() == from).unwrap();
        let mut into = vec![0xaa; usize::try_from(matched.nbytes()).unwrap()];
        match matched.read_into(&mut into) {
            Ok(()) => {
                let found = into.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                assert_eq!(found, cast["bytes"].as_str().unwrap(), "{from} as {to}");
            }
            Err(why) => refused.push(format!("{from} {to}: {why}")),
        }
        let why = matched.read_into(&mut [0; 7]).unwrap_err().to_string();
        assert!(why.contains("but the buffer has 7"), "{why}");
    }
    assert_eq!(refused, [] as [String; 0]);
}

#[test]
fn what_no_integer_holds_is_refused_with_its_place() {
    let file = open("casts");
    let weights = Weights::of(&file, file.root()).unwrap();
    let expected = Expected::new("One")
        .with("int64", DType::Int8, &[8])
        .with("complex64", DType::Float32, &[8])
        .with("float32", DType::Float8E4M3Fn, &[8]);
    let fit = expected.fit(&weights);
    let mut into = [0; 8];
    for (index, wanted) in [
        (1, "elements of complex64 cannot be cast to float32"),
        (2, "elements of float32 cannot be cast to float8_e4m3fn"),
    ] {
        let matched = fit.matched()[index];
        let mut into = vec![0; usize::try_from(matched.nbytes()).unwrap()];
        let why = matched.read_into(&mut into).unwrap_err().to_string();
        assert!(why.ends_with(wanted), "{why}");
    }
    fit.matched()[0].read_into(&mut into).unwrap();
    assert_eq!(into[3..5], [44, 3], "integers wrap, as C's do");

    let dtypes = Checkpoint::open(fixture("dtypes.pth")).unwrap();
    let weights = Weights::of(&dtypes, dtypes.root()).unwrap();
    let float = dtypes.tensor("torch.float32").unwrap();
    let values = float.to_vec::<f32>().unwrap();
    let at = values.iter().position(|value| !value.is_finite() || value.abs() > 2e9).unwrap();
    let expected = Expected::new("One").with("torch.float32", DType::Int32, float.shape());
    let fit = expected.fit(&weights);
    let why = fit.matched()[0].to_vec::<i32>().unwrap_err().to_string();
    assert!(why.contains(&format!("its element {at} is ")), "{why}");
}

#[test]
fn loading_fills_buffers_or_touches_none() {
    let (model, file) = (open("net_model"), open("same"));
    let expected = Expected::of(&model, model.root()).unwrap();
    let weights = Weights::of(&file, file.root()).unwrap();
    let fit = expected.fit(&weights);
    let mut memory: HashMap<String, Vec<u8>> = expected
        .slots()
        .map(|slot| {
            (slot.name().to_owned(), vec![0xaa; usize::try_from(slot.nbytes().unwrap()).unwrap()])
        })
        .collect();
    let mut buffers: HashMap<&str, &mut [u8]> =
        memory.iter_mut().map(|(name, bytes)| (name.as_str(), &mut bytes[..])).collect();
    fit.load(true, |matched| buffers.remove(matched.name())).unwrap();
    assert!(buffers.is_empty());
    for (name, bytes) in &memory {
        assert_eq!(&file.tensor(name).unwrap().to_bytes().unwrap()[..], &bytes[..], "{name}");
    }

    let bad = open("sizes");
    let weights = Weights::of(&bad, bad.root()).unwrap();
    let fit = expected.fit(&weights);
    let mut asked = 0;
    let why = fit.load(false, |_| {
        asked += 1;
        None
    });
    assert!(matches!(why, Err(LoadError::Misfit(_))), "sizes differ, strict or not");
    assert_eq!(asked, 0);
    assert_eq!(fit.conflicts().len(), 4);
    assert!(matches!(fit.conflicts()[0], Conflict::Shape { name: "scale", .. }));
}

#[test]
fn one_tensor_that_cannot_be_read_hides_no_other() {
    let model = Checkpoint::open(fixture("fit/net_model.pth")).unwrap();
    let bytes = std::fs::read(fixture("fit/same.pth")).unwrap();
    let broken = common::rezip(&bytes, |name, data| (!name.ends_with("/data/2")).then_some(data));
    let file = Checkpoint::from_bytes(broken).unwrap();
    let weights = Weights::of(&file, file.root()).unwrap();
    let unreadable: Vec<_> = weights
        .entries()
        .iter()
        .filter(|entry| matches!(entry.given(), Given::Unreadable(_)))
        .map(depickle::torch::WeightsEntry::name)
        .collect();
    assert_eq!(unreadable.len(), 1);
    let expected = Expected::of(&model, model.root()).unwrap();
    let fit = expected.fit(&weights);
    assert_eq!(fit.conflicts().len(), 1);
    assert_eq!(fit.conflicts()[0].name(), unreadable[0]);
    assert!(
        fit.conflicts()[0].to_string().contains("no data for its storage"),
        "{}",
        fit.conflicts()[0]
    );
    assert_eq!(fit.matched().len() + 1, expected.slots().count());
}
