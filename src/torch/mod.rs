//! Checkpoints: tensors, storages and modules in what `torch.save` wrote.
//!
//! Nothing of a file runs: tensors and modules are views on the recorded graph, made when
//! asked. A view that cannot be made is an error about that object and hides no other.

mod archive;
mod arrays;
mod backing;
mod blocks;
mod cast;
mod checkpoint;
mod compare;
mod dense;
mod distributed;
mod dtype;
mod element;
mod embedded;
mod error;
mod export;
mod fit;
mod folder;
pub(crate) mod formats;
mod gather;
mod kind;
mod layout;
pub(crate) mod legacy;
mod list;
mod model;
pub mod module;
mod nested;
mod open;
mod origin;
mod package;
mod parts;
mod quantized;
mod read;
mod rebuild;
pub(crate) mod safetensors;
mod salvage;
mod save;
mod script;
#[cfg(test)]
mod shard_faults;
mod sharded;
pub(crate) mod sniff;
mod sparse;
mod spell;
mod stitched;
pub(crate) mod storage;
mod stretch;
mod strided;
mod tarball;
mod tensor;
mod verify;

pub use cast::Real;
pub use checkpoint::{Checkpoint, Following, Options};
pub use compare::{Comparison, Gap, Size, Tolerance};
pub use dtype::{Class, DType};
pub use element::Element;
pub use error::{Error, Fault, Kind};
pub use fit::{
    Conflict, Expected, Fit, Given, LoadError, Match, Misfit, Slot, Weights, WeightsEntry,
};
pub use kind::ObjectKind;
pub use layout::Layout;
pub use list::{Entry, List, Scope};
pub use model::Model;
pub use module::Role;
pub use parts::Part;
pub use quantized::{Numbers, Quantizer};
pub use read::{Elements, TensorRef};
pub use salvage::WholeLen;
pub use save::{Data, Draft, Form, Plan, PlannedStorage, SavedStorage, Take, TensorSpec};
pub use sniff::Container;
pub use storage::{Storage, StorageId, Storages};
pub use stretch::{Stretch, stretches};
pub use tensor::Tensor;
pub use verify::{Problem, Verification};
