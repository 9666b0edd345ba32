//! Checkpoints: tensors, storages and modules in what `torch.save` wrote.
//!
//! Nothing of a file runs: tensors and modules are views on the recorded graph, made when
//! asked. A view that cannot be made is an error about that object and hides no other.

mod archive;
mod backing;
mod checkpoint;
mod distributed;
mod dtype;
mod element;
mod embedded;
mod error;
mod export;
mod folder;
mod kind;
mod legacy;
mod list;
mod model;
pub mod module;
mod open;
mod package;
mod part;
mod read;
mod rebuild;
mod script;
mod sharded;
mod sniff;
mod spell;
mod stitched;
mod storage;
mod stretch;
mod strided;
mod tarball;
mod tensor;
mod verify;

pub use checkpoint::{Checkpoint, Following, Options};
pub use dtype::{Class, DType};
pub use element::Element;
pub use error::{Error, Fault, Kind};
pub use kind::ObjectKind;
pub use list::{Entry, List, Scope};
pub use model::Model;
pub use module::Role;
pub use read::TensorRef;
pub use sniff::Container;
pub use storage::{Storage, StorageId, Storages};
pub use stretch::{Stretch, stretches};
pub use tensor::Tensor;
pub use verify::{Problem, Verification};
