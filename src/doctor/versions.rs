//! What PyTorch a file needs, by what is in it.
//!
//! Looked up in the Python sources of PyTorch 1.3 to 2.15: in which release a name first is
//! there. What `torch.package`, `torch.export` and `format_utils` need, in the wheels of the releases
//! before and at it.

use crate::pickle::Global;
use crate::torch::{Checkpoint, Container};

/// A release, and what needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requires {
    /// The first release of PyTorch that loads it, such as `2.3`.
    pub torch: String,
    /// What in the file needs that.
    pub because: String,
}

type Release = (u32, u32);

/// Globals, and the release that first has them. Names are apart by spaces.
#[rustfmt::skip]
const GLOBALS: &[(&str, &str, Release)] = &[
    ("torch._utils", "_rebuild_qtensor", (1, 3)),
    ("torch._utils", "_rebuild_sparse_tensor", (1, 4)),
    ("torch._utils", "_rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy", (1, 10)),
    ("torch._tensor", "_rebuild_from_type_v2", (1, 10)),
    ("torch._utils", "_rebuild_sparse_csr_tensor", (1, 11)),
    ("torch._utils", "_rebuild_wrapper_subclass", (1, 12)),
    ("torch._utils", "_rebuild_parameter_with_state", (2, 0)),
    ("torch._utils", "_rebuild_tensor_v3 _rebuild_nested_tensor", (2, 2)),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", (2, 6)),
    ("torch.nn.parameter", "UninitializedParameter", (1, 8)),
    ("torch.nn.parameter", "UninitializedBuffer", (1, 9)),
    ("torch.nn.parameter", "Buffer", (2, 5)),
    ("torch.storage", "UntypedStorage TypedStorage", (2, 0)),
    ("torch", "BFloat16Storage", (1, 3)),
    ("torch", "ComplexFloatStorage ComplexDoubleStorage", (1, 6)),
    ("torch", "QUInt4x2Storage", (1, 8)),
    ("torch", "QUInt2x4Storage", (1, 11)),
    ("torch", "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz bits8 bits16 bits1x8 bits2x4 bits4x2", (2, 2)),
    ("torch", "uint16 uint32 uint64", (2, 3)),
    ("torch", "float8_e8m0fnu", (2, 7)),
    ("torch", "float4_e2m1fn_x2", (2, 8)),
    ("torch", "bcomplex32", (2, 14)),
];

/// What a checkpoint needs; none if any PyTorch of the last years will do.
pub(super) fn of(checkpoint: &Checkpoint) -> Option<Requires> {
    let layout = match checkpoint.container() {
        Container::Zip | Container::TorchScript => Some(((1, 6), "its zip layout")),
        Container::Package => Some(((1, 9), "torch.package")),
        Container::Export => Some(((2, 1), "torch.export")),
        Container::Distributed => Some(((2, 3), "torch.distributed.checkpoint's format_utils")),
        Container::Safetensors => return None,
        _ => None,
    };
    let mut newest: Option<(Release, String)> = layout.map(|(at, why)| (at, why.to_owned()));
    if checkpoint.is_big_endian() {
        // pytorch/pytorch pull requests 94503 (the mark, and swapping by it) and 108523, picked into
        // the branch of 2.1.
        newest = newest.max(Some(((2, 1), "bytes of a big-endian machine".to_owned())));
    }
    for object in checkpoint.graph().objects() {
        let Some(global) = object.as_global() else { continue };
        if let Some(release) = first_with(global)
            && newest.as_ref().is_none_or(|(newest, _)| release > *newest)
        {
            newest = Some((release, global.to_string()));
        }
    }
    newest.map(|((major, minor), because)| Requires { torch: format!("{major}.{minor}"), because })
}

fn first_with(global: Global<'_>) -> Option<Release> {
    let row = GLOBALS.iter().find(|(module, names, _)| {
        module.as_bytes() == global.module
            && names.split(' ').any(|name| name.as_bytes() == global.name)
    });
    row.map(|(_, _, release)| *release)
}

/// Asks for a release, if more than what is needed already.
pub(super) fn raise(requires: &mut Option<Requires>, torch: Release, because: &str) {
    let known = requires.as_ref().and_then(|known| {
        let (major, minor) = known.torch.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    if known.is_none_or(|known: Release| torch > known) {
        let (major, minor) = torch;
        let (torch, because) = (format!("{major}.{minor}"), because.to_owned());
        *requires = Some(Requires { torch, because });
    }
}
