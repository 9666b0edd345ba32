//! Saving: checkpoints as `torch.save` writes them, from what was read, from Rust values, or from
//! both.
//!
//! A [`Draft`] is a graph in the making, in which each storage has a place that its bytes come
//! from. [`Draft::finish`] gives it the form that PyTorch's pickler would, as a [`Plan`] whose
//! length is known; writing that streams the bytes from where they are, and holds none of them
//! longer than it takes to pass a mebibyte on.
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
