//! A whole model of a checkpoint: a module together with the file that holds its tensors.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Deref;

use half::{bf16, f16};

use super::checkpoint::Checkpoint;
use super::error::{Error, Kind};
use super::module::{
    self, Counts, FromGraph, Kinds, Module, Remark, StateDict, Style, Tally, TensorSummary,
    Tensors, Values,
};
use super::read::TensorRef;
use super::tensor::Tensor;
use super::{DType, Layout};
use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object};

/// A module of a checkpoint. `Display` prints it as Python's `print(model)`.
///
/// Everything a [`Module`] can be asked, to which this dereferences.
#[derive(Clone, Copy)]
pub struct Model<'file> {
    checkpoint: &'file Checkpoint,
    module: Module<'file>,
}

impl Checkpoint {
    /// The whole model that was saved.
    ///
    /// ```
    /// use depickle::torch::Checkpoint;
    ///
    /// let checkpoint = Checkpoint::open("tests/fixtures/mlp_model.pth")?;
    /// let model = checkpoint.module()?;
    /// assert_eq!(model.class().to_string(), "__main__.MLP");
    /// assert!(model.to_string().starts_with("MLP(\n  (first): Linear("));
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Kind::NotAModule`] if something else was saved.
    pub fn module(&self) -> Result<Model<'_>, Error> {
        self.module_in(self.root())
    }

    /// The module that an object of this checkpoint is.
    ///
    /// # Errors
    /// [`Kind::NotAModule`] if it is none.
    pub fn module_in<'file>(&'file self, object: Object<'file>) -> Result<Model<'file>, Error> {
        let not = || Error::new(Kind::NotAModule(object.kind())).at(object.offset());
        let module = Module::view(object).ok_or_else(|| self.locate(object.id(), not()))?;
        Ok(Model { checkpoint: self, module })
    }
}

impl<'file> Model<'file> {
    /// The text that `print(model)` shows.
    ///
    /// # Errors
    /// [`Kind::Over`] if the text takes more memory or steps than the limits grant.
    pub fn print(self, style: Style) -> Result<String, Error> {
        self.of(module::print(self.module, style, self.checkpoint, &mut self.budget()))
    }

    /// How many parameters it has, tied ones once.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn counts(self) -> Result<Counts, Error> {
        self.of(module::counts(self.module, self.checkpoint, &mut self.budget()))
    }

    /// As [`print`](Self::print), with what `remark` says of each module; see
    /// [`module::print_with`].
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_with(self, style: Style, remark: Remark<'_, 'file>) -> Result<String, Error> {
        let budget = &mut self.budget();
        self.of(module::print_with(self.module, style, self.checkpoint, remark, budget))
    }

    /// Parameters, buffers and bytes of every module in it.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn tallies(self) -> Result<HashMap<NodeId, Tally>, Error> {
        self.of(module::tallies(self.module, self.checkpoint, &mut self.budget()))
    }

    /// Its parameters and buffers by dtype and device.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn kinds(self) -> Result<BTreeMap<(String, String), Kinds>, Error> {
        self.of(module::kinds(self.module, self.checkpoint, &mut self.budget()))
    }

    /// Every module in it once, as `named_modules()` of PyTorch.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn named_modules(self) -> Result<Vec<(String, Self)>, Error> {
        let found = self.of(module::named_modules(self.module, &mut self.budget()))?;
        let model = |module| Self { checkpoint: self.checkpoint, module };
        Ok(found.into_iter().map(|(name, module)| (name, model(module))).collect())
    }

    /// Every parameter in it once, as `named_parameters()` of PyTorch;
    /// [`Checkpoint::view`] makes tensors of them.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn named_parameters(self) -> Result<Vec<(String, Object<'file>)>, Error> {
        self.of(module::named_parameters(self.module, &mut self.budget()))
    }

    /// Every buffer in it once, as `named_buffers()` of PyTorch.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn named_buffers(self) -> Result<Vec<(String, Object<'file>)>, Error> {
        self.of(module::named_buffers(self.module, &mut self.budget()))
    }

    /// What `state_dict()` of PyTorch holds, and what only code could say of it.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn state_dict(self) -> Result<StateDict<'file>, Error> {
        self.of(module::state_dict(self.module, &mut self.budget()))
    }

    fn of<T>(self, found: Result<T, Exceeded>) -> Result<T, Error> {
        found.map_err(|why| self.checkpoint.locate(self.module.id(), why.into()))
    }

    fn budget(self) -> Budget {
        Budget::new(self.checkpoint.limits().clone())
    }
}

impl<'file> Deref for Model<'file> {
    type Target = Module<'file>;

    fn deref(&self) -> &Module<'file> {
        &self.module
    }
}

impl fmt::Display for Model<'_> {
    /// Prints the whole tree; fails if that meets a limit, which
    /// [`print`](Self::print) would name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print(Style::default()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.module)
    }
}

/// Elements of which PyTorch prints all, and how many at each end of longer vectors.
const SHOWN: u64 = 1_000;
const EDGE: u64 = 3;

/// Numbers of the dtypes that modules are known to print.
fn values(dtype: DType, bytes: &[u8]) -> Option<Values> {
    macro_rules! read {
        ($values:ident $number:ty) => {{
            let (numbers, _) = bytes.as_chunks();
            let numbers = numbers.iter().map(|bytes| <$number>::from_le_bytes(*bytes).into());
            Some(Values::$values(numbers.collect()))
        }};
    }
    match dtype {
        DType::Float64 => read!(Floats f64),
        DType::Float32 => read!(Floats f32),
        DType::Float16 => read!(Floats f16),
        DType::BFloat16 => read!(Floats bf16),
        DType::Int64 => read!(Ints i64),
        DType::Int32 => read!(Ints i32),
        DType::Int16 => read!(Ints i16),
        DType::Int8 => read!(Ints i8),
        DType::UInt8 => read!(Ints u8),
        DType::Bool => Some(Values::Bools(bytes.iter().map(|&byte| byte != 0).collect())),
        _ => None,
    }
}

impl<'graph> Tensors<'graph> for Checkpoint {
    fn describe(&self, object: Object<'graph>) -> Option<TensorSummary> {
        let found = Tensor::view(object, self.storages()).and_then(Result::ok);
        let Some(tensor) = found.filter(|tensor| tensor.layout() == Layout::Strided) else {
            return FromGraph.describe(object);
        };
        Some(TensorSummary {
            dtype: tensor.dtype().name().to_owned(),
            shape: Some(tensor.shape().to_vec()),
            device: self.device_of(&tensor).to_owned(),
            requires_grad: tensor.requires_grad(),
            parameter: tensor.is_parameter(),
            qscheme: None,
        })
    }

    fn values(&self, object: Object<'graph>) -> Option<Values> {
        let tensor = Tensor::view(object, self.storages())?.ok()?;
        if tensor.layout() != Layout::Strided {
            return None;
        }
        let tensor = TensorRef::new(self, "", &tensor);
        let (all, edge) = (tensor.numel(), EDGE);
        let bytes = match tensor.shape() {
            _ if all <= SHOWN => tensor.range(0, all).ok()?,
            [_] => {
                let last = tensor.range(all.saturating_sub(edge), edge).ok()?;
                [tensor.range(0, edge).ok()?, last].concat()
            }
            _ => return None,
        };
        values(tensor.dtype(), &bytes)
    }
}
