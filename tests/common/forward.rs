//! The forward pass of `mlp_model.pth`, as PyTorch recorded it, and files mapped to run it.

use depickle::torch::Checkpoint;
use serde_json::Value;

use super::fixture;

pub fn mapped(name: &str) -> Checkpoint {
    Checkpoint::open_mapped(fixture(name)).unwrap()
}

/// Inputs and outputs, row by row.
pub fn recorded() -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let bytes = std::fs::read(fixture("fit/forward.json")).unwrap();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let rows = |key: &str| serde_json::from_value(json[key].clone()).unwrap();
    (rows("input"), rows("output"))
}

pub fn is_pytorchs(found: &[Vec<f32>], wanted: &[Vec<f32>]) {
    assert_eq!((found.len(), found[0].len()), (4, 3));
    for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((found - wanted).abs() < 1e-6, "{found} for {wanted}");
    }
}
