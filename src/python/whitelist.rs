//! The whitelist: globals that honest files hold, where each may stand, and who says so.
//!
//! A class or function is here because its source was read and what it does to its arguments
//! is harmless there. Position is evidence: what may be mentioned may not be called.

use super::views::Kind;
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
    /// Who reads what they make.
    pub known: Known,
}

/// Who reads what the globals of a row make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A [view](super::views) of this kind.
    View(Kind),
    /// Nobody: it is held as the class and what it was given.
    Opaque,
    /// Torch's or numpy's own readers; or nothing is made, for they are only mentioned.
    Elsewhere,
}

const fn row(
    module: &'static str,
    names: &'static str,
    positions: Positions,
    meaning: &'static str,
    source: &'static str,
) -> Row {
    Row { module, names, positions, meaning, source, known: Known::Elsewhere }
}

impl Row {
    /// Links the row to the view that reads what it makes.
    const fn view(mut self, kind: Kind) -> Self {
        self.known = Known::View(kind);
        self
    }

    /// Says that nobody reads what it makes.
    const fn opaque(mut self) -> Self {
        self.known = Known::Opaque;
        self
    }
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
    row("collections", "OrderedDict", EITHER, "a dict", "Objects/odictobject.c").view(Kind::OrderedDict),
    row("collections", "Counter", EITHER, "a dict of counts", "Lib/collections/__init__.py").view(Kind::Counter),
    row("_codecs", "encode", CALL, "bytes, as protocol 2 writes them: encode(text, 'latin1')", "Lib/pickle.py (save_bytes)").view(Kind::Encoded),
    row("builtins", "bytearray", CALL, "plain data", "Objects/bytearrayobject.c").view(Kind::ByteArray),
    row("builtins", "set", CALL, "plain data", "Objects/setobject.c").view(Kind::Set),
    row("builtins", "complex", CALL, "a number", "Objects/complexobject.c").view(Kind::Complex),
];

/// What else honest files hold.
#[rustfmt::skip]
pub const OTHERS: &[Row] = &[
    row("torch._utils", "_rebuild_sparse_csr_tensor _rebuild_nested_tensor _rebuild_xla_tensor", CALL, "rebuilds a tensor", "torch/_utils.py"),
    row("torch.nested._internal.nested_tensor", "_rebuild_njt", CALL, "rebuilds a nested tensor, handed to _rebuild_from_type_v2", "torch/nested/_internal/nested_tensor.py"),
    row("torch.ao.quantization.observer", "FixedQParamsObserver HistogramObserver MinMaxObserver MovingAverageMinMaxObserver MovingAveragePerChannelMinMaxObserver NoopObserver PerChannelMinMaxObserver PlaceholderObserver ReuseInputObserver", EITHER, "a module that observes ranges, made of numbers; kept by a partial", "torch/ao/quantization/observer.py"),
    row("torch.ao.quantization.fake_quantize", "FakeQuantize FusedMovingAvgObsFakeQuantize FixedQParamsFakeQuantize", EITHER, "a module that rounds as quantization will", "torch/ao/quantization/fake_quantize.py"),
    row("joblib.numpy_pickle", "NumpyArrayWrapper", INSTANCE, "says that an array's bytes follow in the file", "joblib/numpy_pickle.py").opaque(),
    row("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper", INSTANCE, "as joblib.numpy_pickle.NumpyArrayWrapper", "sklearn/externals/joblib/numpy_pickle.py (0.20)").opaque(),
    row("_io", "BytesIO StringIO", EITHER, "bytes or text in memory", "Modules/_io/bytesio.c, stringio.c").opaque(),
    row("io", "BytesIO StringIO", EITHER, "bytes or text in memory", "Modules/_io/bytesio.c, stringio.c").opaque(),
    row("torch.tensor", "_rebuild_from_type_v2", CALL, "as torch._tensor._rebuild_from_type_v2", "torch/tensor.py (1.9)"),
    row("torch", "float double half long int short chalf cfloat cdouble", VALUE, "a dtype", "torch/csrc/utils/tensor_dtypes.cpp"),
    row("torch", "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc", VALUE, "a layout", "c10/core/Layout.h"),
    row("torch", "contiguous_format channels_last channels_last_3d preserve_format", VALUE, "a memory format", "c10/core/MemoryFormat.h"),
    row("torch._C", "Generator", EITHER, "a random generator's state", "torch/csrc/Generator.cpp"),
    row("torch.nn.parameter", "Buffer UninitializedParameter UninitializedBuffer", EITHER, "a parameter or buffer", "torch/nn/parameter.py"),
    row("torch.jit._pickle", "restore_type_tag build_intlist build_tensorlist build_doublelist build_boollist", CALL, "a typed list", "torch/jit/_pickle.py"),
    row("builtins", "frozenset", CALL, "plain data", "Objects/setobject.c").view(Kind::FrozenSet),
    row("builtins", "list", CALL, "plain data", "Objects/listobject.c").view(Kind::List),
    row("builtins", "tuple", CALL, "plain data", "Objects/tupleobject.c").view(Kind::Tuple),
    row("builtins", "dict", CALL, "plain data", "Objects/dictobject.c").view(Kind::Dict),
    row("builtins", "bytes", CALL, "plain data", "Objects/bytesobject.c").view(Kind::Bytes),
    row("builtins", "int float bool str", CALL, "a number or text", "Python/bltinmodule.c").view(Kind::Scalar),
    row("builtins", "range", CALL, "plain data", "Objects/rangeobject.c").view(Kind::Range),
    row("builtins", "slice", CALL, "plain data", "Objects/sliceobject.c").view(Kind::Slice),
    row("builtins", "type", CALL, "the class of None: type(None)", "Lib/pickle.py (save_type)").view(Kind::Type),
    row("builtins", "object", EITHER, "plain data", "Objects/typeobject.c").view(Kind::Object),
    row("builtins", "iter", CALL, "an iterator, not moved", "Objects/iterobject.c").view(Kind::Iter),
    row("builtins", "reversed", CALL, "an iterator, not moved", "Objects/enumobject.c").view(Kind::Reversed),
    row("builtins", "enumerate", CALL, "an iterator, not moved", "Objects/enumobject.c").view(Kind::Enumerate),
    row("builtins", "BaseException Exception ArithmeticError AssertionError AttributeError BlockingIOError BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError EncodingWarning EnvironmentError FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError", EITHER, "an exception, not raised", "Objects/exceptions.c").view(Kind::Exception),
    row("builtins", "getattr", THROUGH, "an attribute: a bound method or a nested class", "Lib/pickle.py (save_global)").view(Kind::Attribute),
    row("builtins", "NotImplemented Ellipsis", VALUE, "a constant", "Objects/sliceobject.c, Objects/object.c"),
    row("builtins", "print len abs min max sum sorted all any round", VALUE, "a function, mentioned", "Python/bltinmodule.c"),
    row("functools", "partial", THROUGH, "a call prepared, not made", "Lib/functools.py").view(Kind::Partial),
    row("collections", "defaultdict", EITHER, "a dict; it calls its factory later, for keys it lacks", "Modules/_collectionsmodule.c").view(Kind::DefaultDict),
    row("collections", "deque", EITHER, "a queue", "Modules/_collectionsmodule.c").view(Kind::Deque),
    row("collections", "ChainMap", EITHER, "dicts, looked into in order", "Lib/collections/__init__.py").view(Kind::ChainMap),
    row("collections", "UserDict UserList UserString", EITHER, "a dict, list or text in an object", "Lib/collections/__init__.py").view(Kind::User),
    row("copyreg", "_reconstructor", CALL, "an instance of a class, its __init__ not called", "Lib/copyreg.py").view(Kind::Reconstructor),
    row("copyreg", "__newobj__", CALL, "an instance of a class, its __init__ not called", "Lib/copyreg.py").view(Kind::NewObj),
    row("copyreg", "__newobj_ex__", CALL, "an instance of a class, its __init__ not called", "Lib/copyreg.py").view(Kind::NewObjEx),
    row("types", "SimpleNamespace", EITHER, "attributes, nothing else", "Objects/namespaceobject.c").view(Kind::SimpleNamespace),
    row("types", "GenericAlias", EITHER, "generic[args]", "Objects/genericaliasobject.c").view(Kind::GenericAlias),
    row("argparse", "Namespace", INSTANCE, "attributes, nothing else", "Lib/argparse.py").view(Kind::Namespace),
    row("_operator", "getitem", CALL, "generic[args]", "Lib/typing.py").view(Kind::GetItem),
    row("operator", "getitem", CALL, "generic[args]", "Lib/typing.py").view(Kind::GetItem),
    row("operator", "itemgetter", CALL, "a function that gets items, not called", "Modules/_operator.c").view(Kind::ItemGetter),
    row("operator", "attrgetter", CALL, "a function that gets attributes, not called", "Modules/_operator.c").view(Kind::AttrGetter),
    row("operator", "methodcaller", CALL, "a function that calls a method, not called", "Modules/_operator.c").view(Kind::MethodCaller),
    row("itertools", "count", CALL, "a counter", "Modules/itertoolsmodule.c").view(Kind::Count),
    row("itertools", "repeat", CALL, "an iterator, not moved", "Modules/itertoolsmodule.c").view(Kind::Repeat),
    row("itertools", "cycle", CALL, "an iterator, not moved", "Modules/itertoolsmodule.c").view(Kind::Cycle),
    row("itertools", "chain", CALL, "an iterator, not moved", "Modules/itertoolsmodule.c").view(Kind::Chain),
    row("fractions", "Fraction", EITHER, "a number", "Lib/fractions.py").view(Kind::Fraction),
    row("decimal", "Decimal", EITHER, "a number", "Lib/_pydecimal.py").view(Kind::Decimal),
    row("datetime", "datetime", EITHER, "a point in time", "Modules/_datetimemodule.c").view(Kind::DateTime),
    row("datetime", "date", EITHER, "a day", "Modules/_datetimemodule.c").view(Kind::Date),
    row("datetime", "time", EITHER, "a time of day", "Modules/_datetimemodule.c").view(Kind::Time),
    row("datetime", "timedelta", EITHER, "a span of time", "Modules/_datetimemodule.c").view(Kind::TimeDelta),
    row("datetime", "timezone", EITHER, "a distance from UTC", "Modules/_datetimemodule.c").view(Kind::TimeZone),
    row("zoneinfo", "ZoneInfo", VALUE, "the class of time zones by name", "Lib/zoneinfo/_zoneinfo.py"),
    row("zoneinfo", "ZoneInfo._unpickle", CALL, "a time zone by name, looked up where the system keeps them", "Lib/zoneinfo/_zoneinfo.py").view(Kind::Zone),
    row("uuid", "UUID", EITHER, "an identifier", "Lib/uuid.py").view(Kind::Uuid),
    row("uuid", "SafeUUID", EITHER, "a member of an enumeration", "Lib/uuid.py").view(Kind::Member),
    row("pathlib", "PosixPath PurePosixPath", EITHER, "a path, by its parts", "Lib/pathlib.py").view(Kind::PosixPath),
    row("pathlib", "WindowsPath PureWindowsPath", EITHER, "a path, by its parts", "Lib/pathlib.py").view(Kind::WindowsPath),
    row("pathlib", "Path PurePath", EITHER, "a path of the system that reads it", "Lib/pathlib.py").opaque(),
    row("pathlib._local", "PosixPath PurePosixPath", EITHER, "a path, by its parts", "Lib/pathlib/_local.py (3.13)").view(Kind::PosixPath),
    row("pathlib._local", "WindowsPath PureWindowsPath", EITHER, "a path, by its parts", "Lib/pathlib/_local.py (3.13)").view(Kind::WindowsPath),
    row("random", "Random", EITHER, "a random generator's state", "Lib/random.py").view(Kind::Random),
    row("re", "_compile", CALL, "a regular expression", "Lib/re/__init__.py").view(Kind::Pattern),
    row("logging", "getLogger", CALL, "a logger by name, made if there is none", "Lib/logging/__init__.py").view(Kind::Logger),
    row("ipaddress", "IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface", EITHER, "an internet address", "Lib/ipaddress.py").view(Kind::Ip),
    row("array", "array", CALL, "an array of numbers", "Modules/arraymodule.c").view(Kind::Array),
    row("array", "_array_reconstructor", CALL, "an array of numbers", "Modules/arraymodule.c").view(Kind::ArrayReconstructor),
    row("enum", "Enum IntEnum Flag IntFlag", INSTANCE, "an enumeration", "Lib/enum.py").opaque(),
    row("torch.nn.modules", "*", INSTANCE, "a module: BUILD sets its attributes", "torch/nn/modules/module.py (__setstate__)"),
    row("torch.nn.parallel", "*", INSTANCE, "a module around another", "torch/nn/parallel"),
    row("torch.nn.utils", "*", INSTANCE, "a parametrization or hook, held as data", "torch/nn/utils"),
    row("torch.ao.nn", "*", INSTANCE, "a module", "torch/ao/nn"),
    row("torch.nn.quantized", "*", INSTANCE, "a module", "torch/nn/quantized"),
    row("torch.optim", "*", INSTANCE, "an optimizer or a schedule of its rates", "torch/optim/optimizer.py (__setstate__)"),
    row("torchvision.models", "*", INSTANCE, "a module", "torchvision/models"),
    row("torchvision.ops", "*", INSTANCE, "a module", "torchvision/ops"),
    row("numpy", "dtype", CALL, "a type of elements", "numpy/_core/src/multiarray/descriptor.c (arraydescr_reduce)"),
    row("numpy", "ndarray matrix recarray chararray", VALUE, "a class of arrays, given to _reconstruct", "numpy/_core/src/multiarray/methods.c (array_reduce)"),
    row("numpy", "bool bool_ bool8 int8 int16 int32 int64 intc intp int_ longlong uint8 uint16 uint32 uint64 uintc uintp uint ulonglong float16 float32 float64 float96 float128 float_ longdouble complex64 complex128 complex192 complex256 complex_ clongdouble half single double csingle cdouble byte ubyte short ushort bytes_ string_ str_ unicode_ void object_ datetime64 timedelta64 record generic number integer signedinteger unsignedinteger inexact floating complexfloating flexible character", VALUE, "a class of numbers or other elements", "numpy/_core/numerictypes.py"),
    row("numpy", "poly1d", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/lib/_polynomial_impl.py"),
    row("numpy.dtypes", "BoolDType Int8DType Int16DType Int32DType Int64DType LongLongDType UInt8DType UInt16DType UInt32DType UInt64DType ULongLongDType IntDType UIntDType LongDType ULongDType ByteDType UByteDType ShortDType UShortDType Float16DType Float32DType Float64DType LongDoubleDType Complex64DType Complex128DType CLongDoubleDType StrDType BytesDType VoidDType ObjectDType DateTime64DType TimeDelta64DType StringDType", VALUE, "a class of dtypes", "numpy/dtypes.py"),
    row("numpy.rec", "recarray record", VALUE, "a class of arrays with fields, or of their elements", "numpy/_core/records.py"),
    row("numpy._core.records", "recarray record", VALUE, "as numpy.rec", "numpy/core/records.py (1.x)"),
    row("numpy.char", "chararray", VALUE, "a class of arrays of strings", "numpy/_core/defchararray.py"),
    row("numpy._core.defchararray", "chararray", VALUE, "as numpy.char", "numpy/core/defchararray.py (1.x)"),
    row("numpy.matrixlib.defmatrix", "matrix", VALUE, "as numpy.matrix", "numpy/matrixlib/defmatrix.py (1.x)"),
    row("numpy._core.multiarray", "_reconstruct scalar", CALL, "an array or a number", "numpy/_core/src/multiarray/methods.c (array_reduce), scalartypes.c.src (gentype_reduce)"),
    row("numpy._core.numeric", "_frombuffer", CALL, "an array over a buffer", "numpy/_core/numeric.py"),
    row("numpy._core._internal", "_convert_to_stringdtype_kwargs", CALL, "a type of texts of any length", "numpy/_core/_internal.py"),
    row("numpy.ma.core", "_mareconstruct", CALL, "a masked array", "numpy/ma/core.py"),
    row("numpy.ma.core", "MaskedArray mvoid", VALUE, "a class of masked arrays", "numpy/ma/core.py"),
    row("numpy.ma.core", "MaskedConstant", CALL, "the one masked constant", "numpy/ma/core.py (MaskedConstant.__reduce__)"),
    row("numpy.ma", "MaskedArray", VALUE, "as numpy.ma.core.MaskedArray", "numpy/ma/core.py"),
    row("numpy.ma.mrecords", "_mrreconstruct", CALL, "a masked array with fields", "numpy/ma/mrecords.py"),
    row("numpy.ma.mrecords", "MaskedRecords", VALUE, "a class of masked arrays with fields", "numpy/ma/mrecords.py"),
    row("numpy.polynomial.polynomial", "Polynomial", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.polynomial.chebyshev", "Chebyshev", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.polynomial.legendre", "Legendre", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.polynomial.laguerre", "Laguerre", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.polynomial.hermite", "Hermite", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.polynomial.hermite_e", "HermiteE", INSTANCE, "a polynomial: BUILD sets its attributes", "numpy/polynomial/_polybase.py"),
    row("numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor", CALL, "a random generator", "numpy/random/_pickle.py"),
    row("numpy.random", "__RandomState_ctor", CALL, "a random generator", "numpy/random/__init__.py"),
    row("numpy.random._mt19937", "MT19937", VALUE, "a class of bit generators, given to __bit_generator_ctor", "numpy/random/_mt19937.pyx"),
    row("numpy.random._pcg64", "PCG64 PCG64DXSM", VALUE, "a class of bit generators", "numpy/random/_pcg64.pyx"),
    row("numpy.random._philox", "Philox", VALUE, "a class of bit generators", "numpy/random/_philox.pyx"),
    row("numpy.random._sfc64", "SFC64", VALUE, "a class of bit generators", "numpy/random/_sfc64.pyx"),
    row("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence", CALL, "a seed", "numpy/random/bit_generator.pyx"),
    row("numpy.random.bit_generator", "SeedSequence", VALUE, "the class of seeds, given to __pyx_unpickle_SeedSequence", "numpy/random/bit_generator.pyx"),
];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    WEIGHTS_ONLY.iter().chain(OTHERS)
}
