//! Reads Python pickles and PyTorch `.pth` files without ever running what is in them.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod base;
#[cfg(feature = "container")]
pub mod container;
#[cfg(feature = "pickle")]
pub mod pickle;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "torch")]
pub mod torch;

pub use base::{Budget, Category, FileOffset, Limit, Limits, Source};
