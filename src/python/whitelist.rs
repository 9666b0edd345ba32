//! The whitelist: globals that honest files hold, where each may stand, and who says so.
//!
//! A class or function is here because its source was read and what it does to its arguments
//! is harmless there. Position is evidence: what may be mentioned may not be called.

use crate::pickle::{Position, Positions};

/// Where the globals of a row may stand.
const VALUE: Positions = Positions::only(Position::Value);
/// Called, mentioned.
const CALL: Positions = VALUE.and(Positions::only(Position::Call));
/// Made an instance of, mentioned.
const INSTANCE: Positions = VALUE.and(Positions::only(Position::Instance));
/// Called or made an instance of, mentioned.
const EITHER: Positions = CALL.and(INSTANCE);
/// Called, and what it returns called in turn: a bound method, a nested class.
const THROUGH: Positions = CALL.and(Positions::only(Position::Computed));

/// Some globals of one module that may stand in the same positions.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Their module, as Python 3 and numpy 2 spell it.
    pub module: &'static str,
    /// Their names, apart by spaces; `*` for all of the module and its submodules.
    pub names: &'static str,
    /// Where they may stand.
    pub positions: Positions,
    /// What they are or do.
    pub meaning: &'static str,
    /// Where that is defined.
    pub source: &'static str,
}

const fn row(
    module: &'static str,
    names: &'static str,
    positions: Positions,
    meaning: &'static str,
    source: &'static str,
) -> Row {
    Row { module, names, positions, meaning, source }
}

/// What `torch.load(weights_only=True)` accepts by default.
///
/// Source: PyTorch 2.15 `torch/_weights_only_unpickler.py` (`_get_allowed_globals`).
#[rustfmt::skip]
pub const WEIGHTS_ONLY: &[Row] = &[
    row("torch._utils", "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor _rebuild_wrapper_subclass", CALL, "rebuilds a tensor", "torch/_utils.py"),
    row("torch._tensor", "_rebuild_from_type_v2", CALL, "rebuilds a tensor, then gives it a class and attributes", "torch/_tensor.py"),
    row("torch", "Size", EITHER, "a tuple of sizes", "torch/csrc/Size.cpp"),
    row("torch", "device", CALL, "a device by name", "torch/csrc/Device.cpp"),
    row("torch", "Tensor", EITHER, "the class of tensors", "torch/_tensor.py"),
    row("torch", "DoubleTensor FloatTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor", EITHER, "a class of tensors by dtype", "torch/csrc/tensor/python_tensor.cpp"),
    row("torch.cuda", "DoubleTensor FloatTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor", EITHER, "a class of tensors by dtype", "torch/csrc/tensor/python_tensor.cpp"),
    row("torch.sparse", "DoubleTensor FloatTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor", EITHER, "a class of sparse tensors by dtype", "torch/csrc/tensor/python_tensor.cpp"),
    row("torch.cuda.sparse", "DoubleTensor FloatTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor", EITHER, "a class of sparse tensors by dtype", "torch/csrc/tensor/python_tensor.cpp"),
    row("torch", "DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage ComplexDoubleStorage ComplexFloatStorage QInt8Storage QUInt8Storage QInt32Storage QUInt4x2Storage QUInt2x4Storage", VALUE, "a class of storages by dtype", "torch/__init__.py"),
    row("torch.cuda", "DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage ComplexDoubleStorage ComplexFloatStorage", VALUE, "a class of storages by dtype", "torch/cuda/__init__.py"),
    row("torch.storage", "UntypedStorage TypedStorage", VALUE, "a class of storages", "torch/storage.py"),
    row("torch", "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex128 complex64 complex32 bcomplex32 qint8 quint8 qint32 quint4x2 quint2x4 uint16 uint32 uint64 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 bits8 bits16 bits1x8 bits2x4 bits4x2 uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7", VALUE, "a dtype", "c10/core/ScalarType.h"),
    row("torch", "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric per_channel_affine_float_qparams", VALUE, "a quantization scheme", "c10/core/QScheme.h"),
    row("torch.serialization", "_get_layout", CALL, "a layout by name, from a fixed table", "torch/serialization.py"),
    row("torch.nn.parameter", "Parameter", EITHER, "a parameter around a tensor", "torch/nn/parameter.py"),
    row("collections", "OrderedDict Counter", EITHER, "a dict", "Lib/collections/__init__.py"),
    row("_codecs", "encode", CALL, "bytes, as protocol 2 writes them: encode(text, 'latin1')", "Lib/pickle.py (save_bytes)"),
    row("builtins", "bytearray set complex", CALL, "plain data", "Python/bltinmodule.c"),
];

/// What else honest files hold.
#[rustfmt::skip]
pub const OTHERS: &[Row] = &[
    row("torch._utils", "_rebuild_sparse_csr_tensor _rebuild_nested_tensor _rebuild_xla_tensor", CALL, "rebuilds a tensor", "torch/_utils.py"),
    row("torch.tensor", "_rebuild_from_type_v2", CALL, "as torch._tensor._rebuild_from_type_v2", "torch/tensor.py (1.9)"),
    row("torch", "float double half long int short chalf cfloat cdouble", VALUE, "a dtype", "torch/csrc/utils/tensor_dtypes.cpp"),
    row("torch", "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc", VALUE, "a layout", "c10/core/Layout.h"),
    row("torch", "contiguous_format channels_last channels_last_3d preserve_format", VALUE, "a memory format", "c10/core/MemoryFormat.h"),
    row("torch._C", "Generator", EITHER, "a random generator's state", "torch/csrc/Generator.cpp"),
    row("torch.nn.parameter", "Buffer UninitializedParameter UninitializedBuffer", EITHER, "a parameter or buffer", "torch/nn/parameter.py"),
    row("torch.jit._pickle", "restore_type_tag build_intlist build_tensorlist build_doublelist build_boollist", CALL, "a typed list", "torch/jit/_pickle.py"),
    row("builtins", "frozenset list dict tuple slice range bytes int float bool str type object iter", CALL, "plain data", "Python/bltinmodule.c"),
    row("builtins", "getattr", THROUGH, "an attribute: a bound method or a nested class", "Lib/pickle.py (save_global)"),
    row("builtins", "NotImplemented Ellipsis print len abs min max sum sorted all any round", VALUE, "a function, mentioned", "Python/bltinmodule.c"),
    row("functools", "partial", THROUGH, "a call prepared, not made", "Lib/functools.py"),
    row("collections", "defaultdict deque ChainMap UserDict", EITHER, "a container", "Lib/collections/__init__.py"),
    row("copyreg", "_reconstructor __newobj__ __newobj_ex__", CALL, "an instance of a class, its __init__ not called", "Lib/copyreg.py"),
    row("types", "SimpleNamespace GenericAlias", EITHER, "plain data", "Lib/types.py"),
    row("argparse", "Namespace", INSTANCE, "plain data", "Lib/argparse.py"),
    row("_operator", "getitem", CALL, "generic[args]", "Lib/typing.py"),
    row("operator", "getitem", CALL, "generic[args]", "Lib/typing.py"),
    row("itertools", "count", CALL, "a counter", "Modules/itertoolsmodule.c"),
    row("fractions", "Fraction", EITHER, "a number", "Lib/fractions.py"),
    row("decimal", "Decimal", EITHER, "a number", "Lib/_pydecimal.py"),
    row("datetime", "datetime date time timedelta timezone", EITHER, "a point in time", "Lib/datetime.py"),
    row("uuid", "UUID SafeUUID", EITHER, "an identifier", "Lib/uuid.py"),
    row("pathlib", "PosixPath WindowsPath PurePosixPath PureWindowsPath Path PurePath", EITHER, "a path, by its parts", "Lib/pathlib.py"),
    row("random", "Random", EITHER, "a random generator's state", "Lib/random.py"),
    row("re", "_compile", CALL, "a regular expression", "Lib/re/__init__.py"),
    row("enum", "Enum IntEnum Flag IntFlag", INSTANCE, "an enumeration", "Lib/enum.py"),
    row("torch.nn.modules", "*", INSTANCE, "a module: BUILD sets its attributes", "torch/nn/modules/module.py (__setstate__)"),
    row("torch.nn.parallel", "*", INSTANCE, "a module around another", "torch/nn/parallel"),
    row("torch.nn.utils", "*", INSTANCE, "a parametrization or hook, held as data", "torch/nn/utils"),
    row("torch.ao.nn", "*", INSTANCE, "a module", "torch/ao/nn"),
    row("torch.nn.quantized", "*", INSTANCE, "a module", "torch/nn/quantized"),
    row("torch.optim", "*", INSTANCE, "an optimizer or a schedule of its rates", "torch/optim/optimizer.py (__setstate__)"),
    row("torchvision.models", "*", INSTANCE, "a module", "torchvision/models"),
    row("torchvision.ops", "*", INSTANCE, "a module", "torchvision/ops"),
    row("numpy", "dtype", CALL, "a type of elements", "numpy/_core/src/multiarray/descriptor.c"),
    row("numpy", "ndarray float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool_ bool complex128 complex64", VALUE, "a class of arrays or numbers", "numpy/_core/numerictypes.py"),
    row("numpy._core.multiarray", "_reconstruct scalar", CALL, "an array or a number", "numpy/_core/src/multiarray/methods.c"),
    row("numpy._core.numeric", "_frombuffer", CALL, "an array over a buffer", "numpy/_core/numeric.py"),
    row("numpy.ma.core", "_mareconstruct", CALL, "a masked array", "numpy/ma/core.py"),
    row("numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor", CALL, "a random generator", "numpy/random/_pickle.py"),
    row("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence", CALL, "a seed", "numpy/random/bit_generator.pyx"),
];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    WEIGHTS_ONLY.iter().chain(OTHERS)
}
