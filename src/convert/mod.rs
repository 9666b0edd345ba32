//! State dicts in other formats: safetensors, numpy's `.npz`, and `.pth` files that hold nothing
//! else.
//!
//! A [`Plan`] says all that will be written before anything is: which object of the checkpoint was
//! chosen, what each tensor will be called, which of them share memory. Carrying it out moves
//! bytes, unchanged where nothing asks for change, into files that appear whole or not at all.
//!
//! ```
//! use depickle::convert::{Convert, Format};
//! use depickle::torch::Checkpoint;
//!
//! # let folder = tempfile::tempdir()?;
//! let checkpoint = Checkpoint::open("tests/fixtures/checkpoint.pth")?;
//! let plan = Convert::to(Format::Safetensors).plan(&checkpoint)?;
//! assert_eq!(plan.chosen().key.as_deref(), Some("model_state_dict"));
//! let written = plan.write(folder.path().join("model.safetensors"), Default::default(), &|_| {})?;
//! written.verify(&|_| {})?;
//! written.commit()?;
//! # assert!(Checkpoint::open(folder.path().join("model.safetensors"))?.tensors()?.len() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choose;
mod error;
mod moving;
mod names;
mod npz;
mod plan;
mod pth;
mod safetensors;
mod shards;
mod shared;
mod write;

pub use choose::Chosen;
pub use error::{Error, Kind, Refusal};
pub use names::{Names, Rename};
pub use plan::{Convert, Format, Item, Plan};
pub use shared::{Group, Shared};
pub use write::{FileWritten, Written, check_output};
