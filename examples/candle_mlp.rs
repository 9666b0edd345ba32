//! Runs a model that PyTorch saved, with candle: its layers take their weights from the file
//! through a `VarBuilder`.
//!
//! ```console
//! $ cargo run --features candle --example candle_mlp
//! ```
#![allow(clippy::arithmetic_side_effects, reason = "tensors are scaled, not numbers that wrap")]

use std::path::Path;

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder};
use depickle::adapters::candle::Weights;
use depickle::torch::Checkpoint;

/// The `MLP` of `tests/fixtures/make.py`.
struct Mlp {
    first: Linear,
    middle: Linear,
    last: Linear,
}

impl Mlp {
    fn new(builder: &VarBuilder) -> Result<Self> {
        Ok(Self {
            first: candle_nn::linear(6, 10, builder.pp("first"))?,
            middle: candle_nn::linear(10, 10, builder.pp("body.2.0"))?,
            last: candle_nn::linear_no_bias(10, 3, builder.pp("last"))?,
        })
    }
}

impl Module for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(x)?.relu()?;
        let x = (self.middle.forward(&x)?.tanh()? * 1.5)?;
        self.last.forward(&x)
    }
}

/// Outputs for rows of inputs.
///
/// # Errors
/// What opening or reading the model says, or rows of another length than it takes.
pub(crate) fn run(path: &Path, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let file = Checkpoint::open_mapped(path).map_err(candle_core::Error::wrap)?;
    let builder = Weights::new(file)?.builder(DType::F32, &Device::Cpu);
    let x = Tensor::new(inputs.to_vec(), &Device::Cpu)?;
    Mlp::new(&builder)?.forward(&x)?.to_vec2()
}

#[allow(dead_code, reason = "a test uses the rest")]
fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or("tests/fixtures/mlp_model.pth".to_owned());
    for row in run(path.as_ref(), &[vec![1.0, 0.0, -1.0, 0.5, 2.0, 0.0]])? {
        println!("{row:?}");
    }
    Ok(())
}
