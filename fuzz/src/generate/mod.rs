//! Pickles and files that mostly keep the rules, made of choices, so that fuzzing gets past the
//! door.

pub mod file;
mod operand;
mod operation;
pub mod program;
pub mod tables;
pub mod value;
pub mod zip;
