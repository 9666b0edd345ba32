//! What functions and classes do with what they are called with, as far as that matters for
//! judging: a callable handed to something that calls it stands in call position, too.

use crate::pickle::Handing;

/// Some globals of one module that do the same.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Their module, as Python 3 and numpy 2 spell it.
    pub module: &'static str,
    /// Their names, apart by spaces.
    pub names: &'static str,
    /// What they do.
    pub ways: &'static [Handing],
    /// Where that is defined.
    pub source: &'static str,
}

const fn row(
    module: &'static str,
    names: &'static str,
    ways: &'static [Handing],
    source: &'static str,
) -> Row {
    Row { module, names, ways, source }
}

const fn calls(callee: u8) -> Handing {
    Handing::Calls { callee, with: None }
}

const fn keeps(callee: u8) -> Handing {
    Handing::Keeps { callee, from: 1 }
}

/// The table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("builtins", "getattr", &[Handing::Attribute], "Python/bltinmodule.c (builtin_getattr)"),
    row("inspect", "getattr_static", &[Handing::Attribute], "Lib/inspect.py"),
    row("builtins", "type", &[Handing::Class], "Objects/typeobject.c (type_call)"),
    row("functools", "partial", &[Handing::Prepares], "Lib/functools.py"),
    row("functools", "partialmethod singledispatch singledispatchmethod cached_property lru_cache cache cmp_to_key total_ordering _lru_cache_wrapper", &[keeps(0)], "Lib/functools.py"),
    row("functools", "reduce", &[calls(0)], "Modules/_functoolsmodule.c"),
    row("builtins", "property classmethod staticmethod", &[keeps(0)], "Objects/funcobject.c, descrobject.c"),
    row("builtins", "iter", &[Handing::Keeps { callee: 0, from: 2 }], "Objects/iterobject.c (callable, sentinel)"),
    row("builtins", "sorted min max", &[keeps(1)], "Python/bltinmodule.c"),
    row("builtins", "bytes bytearray", &[Handing::Bytes], "Objects/bytesobject.c"),
    row("_codecs", "encode", &[Handing::Bytes], "Modules/_codecsmodule.c"),
    row("collections", "defaultdict", &[keeps(0)], "Modules/_collectionsmodule.c (defdict_missing)"),
    row("itertools", "groupby", &[calls(1)], "Modules/itertoolsmodule.c"),
    row("weakref", "ref ReferenceType WeakMethod finalize proxy", &[keeps(1)], "Objects/weakrefobject.c, Lib/weakref.py"),
    row("copyreg", "__newobj__ __newobj_ex__", &[Handing::Instantiates(0)], "Lib/copyreg.py"),
    row("copyreg", "_reconstructor", &[Handing::Instantiates(0), Handing::Calls { callee: 1, with: None }], "Lib/copyreg.py"),
    row("builtins", "object.__new__", &[Handing::Instantiates(0)], "Objects/typeobject.c"),
    row("_operator", "getitem", &[Handing::Existing], "Modules/_operator.c"),
    row("operator", "getitem", &[Handing::Existing], "Modules/_operator.c"),
    row("logging", "getLogger", &[Handing::Existing], "Lib/logging/__init__.py"),
    row("torch.serialization", "_get_layout", &[Handing::Existing], "torch/serialization.py"),
    row("torch._tensor", "_rebuild_from_type_v2", &[Handing::Calls { callee: 0, with: Some(2) }, Handing::Instantiates(1)], "torch/_tensor.py"),
    row("torch.tensor", "_rebuild_from_type_v2", &[Handing::Calls { callee: 0, with: Some(2) }, Handing::Instantiates(1)], "torch/tensor.py (1.9)"),
    row("torch._tensor", "_rebuild_from_type", &[Handing::Calls { callee: 0, with: Some(2) }, Handing::Instantiates(1)], "torch/_tensor.py"),
    row("torch._utils", "_rebuild_from_type", &[Handing::Calls { callee: 0, with: Some(2) }, Handing::Instantiates(1)], "torch/_utils.py (1.7)"),
    row("torch._utils", "_rebuild_parameter _rebuild_parameter_with_state", &[Handing::Holds(2)], "torch/_utils.py (backward_hooks)"),
    row("torch._utils", "_rebuild_tensor_v2 _rebuild_tensor_v3", &[Handing::Holds(5)], "torch/_utils.py (backward_hooks)"),
    row("torch._utils", "_rebuild_qtensor", &[Handing::Holds(6)], "torch/_utils.py (backward_hooks)"),
    row("torch._utils", "_rebuild_wrapper_subclass", &[Handing::Instantiates(0)], "torch/_utils.py"),
    row("torch.storage", "_load_from_bytes", &[Handing::Loads(0)], "torch/storage.py"),
    row("torch.utils._pytree", "tree_map tree_map_ tree_map_only", &[calls(0)], "torch/utils/_pytree.py"),
    row("torch.utils.checkpoint", "checkpoint", &[calls(0)], "torch/utils/checkpoint.py"),
    row("numpy", "vectorize", &[keeps(0)], "numpy/lib/_function_base_impl.py"),
    row("numpy", "fromfunction", &[calls(0)], "numpy/_core/numeric.py"),
];
