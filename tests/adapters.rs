//! Tensors as those of safetensors and ndarray.
#![cfg(all(feature = "safetensors", feature = "ndarray", feature = "mmap"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "../examples/ndarray_mlp.rs"]
mod ndarray_mlp;

use std::borrow::Cow;

use common::fixture;
use common::forward::{is_pytorchs, mapped, recorded};
use depickle::adapters::ndarray::{array, cow, view};
use depickle::adapters::safetensors::{View, dtype};
use depickle::torch::{Checkpoint, DType};
use half::{bf16, f16};
use safetensors::{SafeTensors, View as _};

#[test]
fn a_model_run_by_ndarray_gives_what_pytorch_gave() {
    let (inputs, outputs) = recorded();
    is_pytorchs(&ndarray_mlp::run(&fixture("mlp_model.pth"), &inputs).unwrap(), &outputs);
}

#[test]
fn safetensors_take_every_view_there_is() {
    for name in ["mlp_model.pth", "views.pth", "tied.pth", "legacy_views.pth", "dtypes.pth"] {
        let file = mapped(name);
        let list = file.tensors().unwrap();
        let (mut views, mut refused) = (Vec::new(), Vec::new());
        for entry in list {
            match View::new(entry.on(&file).unwrap()) {
                Ok(view) => views.push((entry.name(), view)),
                Err(why) => refused.push(why.to_string()),
            }
        }
        let bytes = safetensors::serialize(views.clone(), None).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        for (name, view) in &views {
            let (found, own) = (read.tensor(name).unwrap(), file.tensor(name).unwrap());
            let shape: Vec<u64> = found.shape().iter().map(|&size| size as u64).collect();
            assert_eq!(found.data(), &own.to_bytes().unwrap()[..], "{name}");
            assert_eq!((found.dtype(), view.data_len()), (view.dtype(), found.data().len()));
            if own.dtype() != DType::Float4E2M1FnX2 {
                assert_eq!(shape, own.shape());
            }
        }
        assert_eq!(views.len() + refused.len(), list.len());
        if name == "dtypes.pth" {
            assert!(
                refused
                    .iter()
                    .any(|why| why.ends_with("complex128 in safetensors is not supported yet"))
            );
        } else {
            assert_eq!(refused, [] as [String; 0]);
        }
    }
    let file = mapped("mlp_state_dict.pth");
    let lent = View::new(file.tensor("first.bias").unwrap()).unwrap();
    let Cow::Borrowed(bytes) = lent.data() else { panic!("a copy of a mapped tensor") };
    assert_eq!(bytes.as_ptr(), file.tensor("first.bias").unwrap().as_bytes().unwrap().as_ptr());
    assert_eq!(DType::ALL.iter().filter(|it| dtype(**it).is_some()).count(), 20);
}

#[test]
fn arrays_are_lent_with_their_strides() {
    let file = mapped("views.pth");
    for entry in file.tensors().unwrap() {
        let own = entry.on(&file).unwrap();
        if own.dtype() != DType::Float32 {
            continue;
        }
        let read = array::<f32>(own).unwrap();
        let shape: Vec<u64> = read.shape().iter().map(|&size| size as u64).collect();
        assert_eq!(shape, own.shape());
        let elements: Vec<f32> = read.iter().copied().collect();
        assert_eq!(elements, own.to_vec::<f32>().unwrap(), "{}", entry.name());
        if let Some(lent) = view::<f32>(own) {
            assert_eq!(lent, read, "{}", entry.name());
            assert_eq!(lent.as_slice().is_some(), own.is_contiguous(), "{}", entry.name());
        }
        assert_eq!(cow::<f32>(own).unwrap(), read);
    }
    let lent = |name: &str| view::<f32>(file.tensor(name).unwrap()).is_some();
    for name in ["base", "transposed", "stepped", "expanded"] {
        assert!(lent(name), "{name}");
    }
    // In no order of its own: negated when read.
    assert!(view::<i64>(file.tensor("base").unwrap()).is_none(), "of another type");
    assert!(array::<i64>(file.tensor("base").unwrap()).is_err());
    let unmapped = Checkpoint::open(fixture("views.pth")).unwrap();
    assert!(view::<f32>(unmapped.tensor("base").unwrap()).is_none());
    assert!(array::<f32>(unmapped.tensor("transposed").unwrap()).is_ok());
}

#[test]
fn arrays_are_of_every_element() {
    let file = mapped("dtypes.pth");
    macro_rules! arrays {
        ($($element:ty: $($dtype:literal)+;)*) => {$($(
            let own = file.tensor(concat!("torch.", $dtype)).unwrap();
            let found = array::<$element>(own).unwrap();
            let elements: Vec<$element> = found.iter().copied().collect();
            let bytes: &[u8] = bytemuck::cast_slice(&elements);
            assert_eq!(bytes, &own.to_bytes().unwrap()[..], $dtype);
        )+)*};
    }
    arrays! {
        f64: "float64"; f32: "float32"; f16: "float16"; bf16: "bfloat16"; i64: "int64";
        i32: "int32"; i16: "int16"; i8: "int8"; u8: "uint8" "bool" "float8_e4m3fn";
        [f32; 2]: "complex64"; [f64; 2]: "complex128";
    }
}
