//! Reads Python pickles and PyTorch `.pth` files without ever running what is in them.
//!
//! Five lines to a tensor:
//!
#![cfg_attr(feature = "torch", doc = "```")]
#![cfg_attr(not(feature = "torch"), doc = "```ignore")]
//! use depickle::torch::Checkpoint;
//!
//! let checkpoint = Checkpoint::open("tests/fixtures/mlp_model.pth")?;
//! let bias: Vec<f32> = checkpoint.tensor("first.bias")?.to_vec()?;
//! # assert_eq!(bias.len(), 10);
//! # Ok::<(), depickle::torch::Error>(())
//! ```
//!
//! | layer | takes | gives |
//! |---|---|---|
//! | [`pickle`] | bytes | operations, then the graph of what Python would have built, every call inert |
//! | [`container`] | a file | named members |
//! | [`python`] | the graph | what the standard library's globals mean; policies; JSON and text |
//! | [`torch`] | a file | checkpoints: tensors, storages, modules |
//! | [`convert`] | a checkpoint | other formats: safetensors and its shards, `.npz` |
//! | `adapters` | a tensor | that of another crate: features `safetensors`, `ndarray`, `candle` |
//! | [`scan`] | a file | a verdict: what it would have done, and why |
//!
//! No input panics, overflows the stack, or takes memory out of proportion to its size: lengths
//! and counts meet [`Limits`] first, and nothing recurses on a file's shape. Every error says
//! what is wrong, where, and what can be done.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

#[cfg(any(feature = "safetensors", feature = "ndarray", feature = "candle"))]
pub mod adapters;
pub mod base;
#[cfg(feature = "container")]
pub mod container;
#[cfg(feature = "convert")]
pub mod convert;
#[cfg(feature = "doctor")]
pub mod doctor;
#[cfg(feature = "pickle")]
pub mod pickle;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "scan")]
pub mod scan;
#[cfg(feature = "torch")]
pub mod torch;

#[cfg(all(doctest, feature = "candle", feature = "mmap", feature = "serde"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub use base::{Budget, Category, FileOffset, Limit, Limits, Source};
