//! Tensors and models of candle.
#![cfg(all(feature = "candle", feature = "mmap"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "../examples/candle_mlp.rs"]
mod candle_mlp;

use candle_core::{DType as Candle, Device};
use candle_nn::var_builder::SimpleBackend;
use common::fixture;
use common::forward::{is_pytorchs, mapped, recorded};
use depickle::adapters::candle::{Weights, tensor};
use depickle::torch::DType;

#[test]
fn a_model_run_by_candle_gives_what_pytorch_gave() {
    let (inputs, outputs) = recorded();
    is_pytorchs(&candle_mlp::run(&fixture("mlp_model.pth"), &inputs).unwrap(), &outputs);
    // A state dict of the same model, by name.
    is_pytorchs(&candle_mlp::run(&fixture("mlp_state_dict.pth"), &inputs).unwrap(), &outputs);
}

#[test]
fn candle_gets_what_it_has_types_for() {
    let file = mapped("dtypes.pth");
    let mut refused = Vec::new();
    for entry in file.tensors().unwrap() {
        let own = entry.on(&file).unwrap();
        let found = match tensor(own, &Device::Cpu) {
            Ok(found) => found,
            Err(why) => {
                assert!(why.to_string().contains(&format!("tensor {:?}", entry.name())), "{why}");
                refused.push(own.dtype());
                continue;
            }
        };
        let shape: Vec<u64> = found.dims().iter().map(|&size| size as u64).collect();
        assert_eq!(shape, own.shape());
        let flat = found.flatten_all().unwrap();
        match own.dtype() {
            DType::Float32 => {
                let found: Vec<u32> =
                    flat.to_vec1::<f32>().unwrap().iter().map(|it| it.to_bits()).collect();
                let own: Vec<u32> =
                    own.to_vec::<f32>().unwrap().iter().map(|it| it.to_bits()).collect();
                assert_eq!(found, own);
            }
            DType::Int64 => {
                assert_eq!(flat.to_vec1::<i64>().unwrap(), own.to_vec::<i64>().unwrap());
            }
            DType::Int8 => {
                let wide: Vec<i16> =
                    own.to_vec::<i8>().unwrap().into_iter().map(i16::from).collect();
                assert_eq!(flat.to_vec1::<i16>().unwrap(), wide);
            }
            DType::Bool => assert_eq!(flat.to_vec1::<u8>().unwrap(), own.to_vec::<u8>().unwrap()),
            DType::Float8E4M3Fn => assert_eq!(found.dtype(), Candle::F8E4M3),
            _ => {}
        }
    }
    assert!(
        refused.contains(&DType::Complex64) && refused.contains(&DType::Float8E5M2),
        "{refused:?}"
    );
    assert!(!refused.contains(&DType::Float16) && !refused.contains(&DType::BFloat16));
}

#[test]
fn a_var_builder_says_what_is_missing_or_of_another_shape() {
    let weights = Weights::at(mapped("checkpoint.pth"), "model_state_dict").unwrap();
    assert!(weights.contains_tensor("first.weight"));
    assert!(!weights.contains_tensor("second.weight"));
    let builder = weights.builder(Candle::F64, &Device::Cpu);
    let found = builder.get((10, 6), "first.weight").unwrap();
    assert_eq!(found.dtype(), Candle::F64, "cast to the builder's dtype");
    let why = builder.get((6, 10), "first.weight").unwrap_err().to_string();
    assert!(why.starts_with("shape mismatch for first.weight"), "{why}");
    let why = builder.pp("second").get(1, "weight").unwrap_err().to_string();
    assert!(why.contains("cannot find tensor second.weight"), "{why}");
    assert!(Weights::at(mapped("checkpoint.pth"), "no_such").is_err());
}
