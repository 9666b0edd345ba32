//! Tensors of checkpoints as those of other crates. Each adapter is a feature of its own and
//! needs no other.
//!
//! | feature | gives |
//! |---|---|
#![cfg_attr(
    feature = "safetensors",
    doc = "| `safetensors` | [`safetensors::View`]: a tensor that any writer of safetensors takes |"
)]
#![cfg_attr(
    not(feature = "safetensors"),
    doc = "| `safetensors` | a tensor that any writer of safetensors takes |"
)]
#![cfg_attr(
    feature = "ndarray",
    doc = "| `ndarray` | [`ndarray::view`], [`ndarray::array`]: arrays, lent with their strides or owned |"
)]
#![cfg_attr(
    not(feature = "ndarray"),
    doc = "| `ndarray` | arrays, lent with their strides or owned |"
)]
#![cfg_attr(
    feature = "candle",
    doc = "| `candle` | [`candle::tensor`], [`candle::Weights`]: tensors, and the backend of a `VarBuilder` |"
)]
#![cfg_attr(
    not(feature = "candle"),
    doc = "| `candle` | tensors, and the backend of a `VarBuilder` |"
)]

#[cfg(feature = "candle")]
pub mod candle;
#[cfg(feature = "ndarray")]
pub mod ndarray;
#[cfg(feature = "safetensors")]
pub mod safetensors;
