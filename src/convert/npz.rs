//! Arrays as `numpy.savez` writes them: a zip archive of `.npy` files.
//!
//! Source: numpy 2.4 `numpy/lib/_npyio_impl.py` (`_savez`), `numpy/lib/_format_impl.py`
//! (`_write_array_header`).

use crate::torch::DType;

use super::plan::Item;

/// The type as numpy spells it; none if it has none.
pub(crate) fn descr(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Float64 => "<f8",
        DType::Float32 => "<f4",
        DType::Float16 => "<f2",
        DType::Int64 => "<i8",
        DType::Int32 => "<i4",
        DType::Int16 => "<i2",
        DType::Int8 => "|i1",
        DType::UInt64 => "<u8",
        DType::UInt32 => "<u4",
        DType::UInt16 => "<u2",
        DType::UInt8 => "|u1",
        DType::Bool => "|b1",
        DType::Complex128 => "<c16",
        DType::Complex64 => "<c8",
        _ => return None,
    })
}

/// What stands before an array's data: filled up to a multiple of 64 bytes.
pub(crate) fn header(item: &Item) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    /// Spare digits that numpy leaves, so that the first size can grow.
    const GROWTH: usize = 21;
    let sizes: Vec<String> = item.shape().iter().map(u64::to_string).collect();
    let shape = match &sizes[..] {
        [one] => format!("({one},)"),
        sizes => format!("({})", sizes.join(", ")),
    };
    let descr = descr(item.dtype()).unwrap_or_default();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let spare = sizes.first().map_or(0, |first| GROWTH.saturating_sub(first.len()));
    text.push_str(&" ".repeat(spare));
    // The length takes two bytes, or four if those are not enough.
    let (version, before) = if text.len() < 65_000 { (1, 10) } else { (2, 12) };
    // numpy adds 64 bytes rather than none.
    let len = text.len().saturating_add(before).saturating_add(2).next_multiple_of(ALIGNMENT);
    let len = len.saturating_sub(before);
    let mut out = b"\x93NUMPY".to_vec();
    out.extend_from_slice(&[version, 0]);
    match u16::try_from(len) {
        Ok(len) if version == 1 => out.extend_from_slice(&len.to_le_bytes()),
        _ => out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()),
    }
    text.push_str(&" ".repeat(len.saturating_sub(text.len()).saturating_sub(1)));
    text.push('\n');
    out.extend_from_slice(text.as_bytes());
    out
}

/// The member of an array.
pub(crate) fn member(item: &Item) -> String {
    format!("{}.npy", item.name())
}
