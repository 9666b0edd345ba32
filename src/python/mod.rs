//! What the globals of the standard library and numpy mean.
pub mod forbidden;
pub mod handing;
pub mod json;
pub mod literal;
pub mod mapping;
pub mod meaning;
pub mod names;
pub mod numpy;
pub mod policy;
pub mod repr;
#[cfg(feature = "serde")]
pub mod serde;
pub mod show;
pub mod views;
pub mod whitelist;
