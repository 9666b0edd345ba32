//! Runs a model that PyTorch saved, with ndarray: linear layers, ReLU, tanh.
//!
//! ```console
//! $ cargo run --features ndarray --example ndarray_mlp
//! ```
#![allow(clippy::arithmetic_side_effects, reason = "arrays are added, not numbers that wrap")]

use std::error::Error;
use std::path::Path;

use depickle::adapters::ndarray::{array, cow};
use depickle::pickle::{Object, Value};
use depickle::torch::Checkpoint;
use ndarray::{Array1, Array2, Ix1, Ix2};

/// The `MLP` of `tests/fixtures/make.py`.
struct Mlp {
    first: (Array2<f32>, Array1<f32>),
    middle: (Array2<f32>, Array1<f32>),
    last: Array2<f32>,
    factor: f32,
}

impl Mlp {
    fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = Checkpoint::open_mapped(path)?;
        let weight = |name: &str| -> Result<Array2<f32>, Box<dyn Error>> {
            Ok(cow(file.tensor(name)?)?.into_owned().into_dimensionality::<Ix2>()?)
        };
        let bias = |name: &str| -> Result<Array1<f32>, Box<dyn Error>> {
            Ok(array(file.tensor(name)?)?.into_dimensionality::<Ix1>()?)
        };
        // What is no tensor is among the attributes of the pickled modules.
        let scale = file.module_in(file.at("body.2.1")?)?;
        let factor = scale.attribute("factor").map(Object::value);
        let Some(Value::Float(factor)) = factor else {
            return Err("the scale has no factor".into());
        };
        #[expect(clippy::cast_possible_truncation, reason = "weights are float32 too")]
        Ok(Self {
            first: (weight("first.weight")?, bias("first.bias")?),
            middle: (weight("body.2.0.weight")?, bias("body.2.0.bias")?),
            last: weight("last.weight")?,
            factor: factor as f32,
        })
    }

    fn forward(&self, x: &Array2<f32>) -> Array2<f32> {
        let x = x.dot(&self.first.0.t()) + &self.first.1;
        let x = x.mapv(|value| value.max(0.0));
        let x = x.dot(&self.middle.0.t()) + &self.middle.1;
        let x = x.mapv(|value| value.tanh() * self.factor);
        x.dot(&self.last.t())
    }
}

/// Outputs for rows of inputs.
///
/// # Errors
/// What opening or reading the model says, or rows of another length than it takes.
pub(crate) fn run(path: &Path, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let columns = inputs.first().map_or(0, Vec::len);
    let x = Array2::from_shape_vec((inputs.len(), columns), inputs.concat())?;
    let out = Mlp::open(path)?.forward(&x);
    Ok(out.rows().into_iter().map(|row| row.to_vec()).collect())
}

#[allow(dead_code, reason = "a test uses the rest")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("tests/fixtures/mlp_model.pth".to_owned());
    for row in run(path.as_ref(), &[vec![1.0, 0.0, -1.0, 0.5, 2.0, 0.0]])? {
        println!("{row:?}");
    }
    Ok(())
}
