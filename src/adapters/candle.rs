//! Tensors for candle, and models of candle built from checkpoints.

use std::sync::Arc;

use candle_core::{DType as To, Device, Result, Shape, Tensor};
use candle_nn::Init;
use candle_nn::var_builder::{SimpleBackend, VarBuilder};
use half::{bf16, f16};

use crate::torch::{Checkpoint, DType, Entry, Error, Fault, Kind, List, Scope, TensorRef};

/// A tensor of candle with the elements of a checkpoint's.
///
/// `int8`, `uint16` and `bool` become the narrowest type that candle has for all of their numbers:
/// `i16`, `u32`, `u8`.
///
/// ```
/// use candle_core::Device;
/// use depickle::adapters::candle::tensor;
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open("tests/fixtures/mlp_state_dict.pth")?;
/// let weight = tensor(checkpoint.tensor("first.weight")?, &Device::Cpu)?;
/// assert_eq!(weight.dims(), [10, 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Names the tensor: candle has no such dtype, its elements are in no row, or it cannot be read.
/// And whatever the device says.
pub fn tensor(tensor: TensorRef<'_>, device: &Device) -> Result<Tensor> {
    let shape = shape(&tensor).map_err(wrapped)?;
    macro_rules! plain {
        ($number:ty) => {
            match tensor.as_slice::<$number>() {
                Some(lent) => Tensor::from_slice(lent, shape, device),
                None => {
                    let read = tensor.to_vec::<$number>().map_err(wrapped)?;
                    Tensor::from_vec(read, shape, device)
                }
            }
        };
    }
    macro_rules! widened {
        ($number:ty, $wider:ty) => {{
            let read = tensor.to_vec::<$number>().map_err(wrapped)?;
            let wide: Vec<$wider> = read.into_iter().map(<$wider>::from).collect();
            Tensor::from_vec(wide, shape, device)
        }};
    }
    match tensor.dtype() {
        DType::Float64 => plain!(f64),
        DType::Float32 => plain!(f32),
        DType::Float16 => plain!(f16),
        DType::BFloat16 => plain!(bf16),
        DType::Int64 => plain!(i64),
        DType::Int32 => plain!(i32),
        DType::Int16 => plain!(i16),
        DType::UInt32 => plain!(u32),
        DType::UInt8 | DType::Bool => plain!(u8),
        DType::Int8 => widened!(i8, i16),
        DType::UInt16 => widened!(u16, u32),
        DType::Float8E4M3Fn => {
            let bytes = tensor.to_bytes().map_err(wrapped)?;
            Tensor::from_raw_buffer(&bytes, To::F8E4M3, &shape, device)
        }
        other => {
            let what = format!("{other} in candle");
            Err(wrapped(tensor.fault(Fault::Unsupported(what.into()))))
        }
    }
}

fn shape(tensor: &TensorRef) -> std::result::Result<Vec<usize>, Error> {
    let sizes: std::result::Result<_, _> =
        tensor.shape().iter().map(|&size| usize::try_from(size)).collect();
    sizes.map_err(|_| tensor.fault(Fault::Overflow))
}

fn wrapped(why: Error) -> candle_core::Error {
    candle_core::Error::wrap(why)
}

/// The tensors of a checkpoint by name, for a [`VarBuilder`].
///
/// Nothing is read before the model asks for it; then it is read, cast to the builder's dtype
/// and put on its device.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use depickle::adapters::candle::Weights;
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open("tests/fixtures/checkpoint.pth")?;
/// let weights = Weights::at(checkpoint, "model_state_dict")?;
/// let builder = weights.builder(DType::F32, &Device::Cpu);
/// let first = candle_nn::linear(6, 10, builder.pp("first"))?;
/// let out = first.forward(&Tensor::ones((1, 6), DType::F32, &Device::Cpu)?)?;
/// assert_eq!(out.dims(), [1, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    checkpoint: Arc<Checkpoint>,
    list: Arc<List>,
}

impl Weights {
    /// Those of the whole file: of a whole model, its state dict.
    ///
    /// # Errors
    /// As [`Checkpoint::tensors`].
    pub fn new(checkpoint: Checkpoint) -> Result<Self> {
        let list = checkpoint.tensors_in(checkpoint.root(), Scope::StateDict).map_err(wrapped)?;
        Ok(Self { checkpoint: Arc::new(checkpoint), list: Arc::new(list) })
    }

    /// Those of the object at a path of keys, a model's in a checkpoint, under their names there.
    ///
    /// # Errors
    /// As [`Checkpoint::at`] and [`Checkpoint::tensors`].
    pub fn at(checkpoint: Checkpoint, path: &str) -> Result<Self> {
        let object = checkpoint.at(path).map_err(wrapped)?;
        let list = checkpoint.tensors_in(object, Scope::StateDict).map_err(wrapped)?;
        Ok(Self { checkpoint: Arc::new(checkpoint), list: Arc::new(list) })
    }

    /// A builder of variables with these.
    #[must_use]
    pub fn builder(self, dtype: To, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self), dtype, device.clone())
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.list.find(name).map_err(|why| match why.kind() {
            Kind::NoSuchTensor(_) => {
                candle_core::Error::CannotFindTensor { path: name.to_owned() }.bt()
            }
            _ => wrapped(why),
        })
    }
}

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: To, device: &Device) -> Result<Tensor> {
        let found = self.get_unchecked(name, dtype, device)?;
        if found.shape() == &shape {
            return Ok(found);
        }
        let msg = format!("shape mismatch for {name}");
        let got = found.shape().clone();
        Err(candle_core::Error::UnexpectedShape { msg, expected: shape, got }.bt())
    }

    fn get_unchecked(&self, name: &str, dtype: To, device: &Device) -> Result<Tensor> {
        let found = self.entry(name)?.on(&self.checkpoint).map_err(wrapped)?;
        tensor(found, device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.list.find(name).is_ok()
    }
}
