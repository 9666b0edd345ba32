//! Saving: checkpoints as `torch.save` writes them, from what was read, from Rust values, or from
//! both.
//!
//! A [`Draft`] is a graph in the making, in which each storage has a place that its bytes come
//! from. [`Draft::finish`] gives it the form that PyTorch's pickler would, as a [`Plan`] whose
//! length is known; writing that streams the bytes from where they are, and holds none of them
//! longer than it takes to pass a mebibyte on.
//!
//! ```
//! use depickle::Budget;
//! use depickle::torch::{Checkpoint, Draft};
//!
//! let mut budget = Budget::default();
//! let mut draft = Draft::new(&mut budget);
//! let weight = draft.tensor(&[2, 3], &[0.5_f32; 6])?;
//! let model = draft.state_dict([("fc.weight", weight)])?;
//! let epoch = draft.value(&7)?;
//! let root = draft.mapping(&[("epoch", epoch), ("model", model)])?;
//! let mut file = Vec::new();
//! draft.finish(root)?.write(&mut file)?;
//!
//! let checkpoint = Checkpoint::from_bytes(file)?;
//! assert_eq!(checkpoint.tensor("model.fc.weight")?.to_vec::<f32>()?, [0.5; 6]);
//! # Ok::<(), depickle::torch::Error>(())
//! ```
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_save`, `_legacy_save`), `torch/_tensor.py`
//! (`__reduce_ex__`), `torch/_utils.py`.

mod data;
mod draft;
mod fingerprint;
mod finish;
mod legacy;
mod make;
mod plan;
mod take;
mod zip;

pub use data::Data;
pub use draft::{Draft, SavedStorage};
pub use make::TensorSpec;
pub use plan::{Form, Plan, PlannedStorage};
pub use take::Take;
