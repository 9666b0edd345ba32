//! What the globals of the standard library and numpy mean.

pub mod literal;
pub mod mapping;
pub mod repr;
