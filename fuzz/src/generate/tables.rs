//! Words of the formats, from the tables of the crate itself: for generators and dictionaries.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use depickle::pickle::{Form, Opcode};
use depickle::python::{forbidden, whitelist};
use depickle::torch::DType;

/// Module and name of every global that the tables speak of, in order.
pub static GLOBALS: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let mut all = BTreeSet::new();
    for row in whitelist::rows() {
        let names = if row.names == "*" { "Some" } else { row.names };
        all.extend(names.split(' ').map(|name| (row.module, name)));
    }
    for row in forbidden::ROWS {
        let whole = row.names == forbidden::ALL || row.names == forbidden::OWN;
        let names = if whole { "f" } else { row.names };
        for module in row.modules.split(' ') {
            all.extend(names.split(' ').map(|name| (module, name)));
        }
    }
    all.extend([("__main__", "Net"), ("m", "C"), ("m", "f"), ("a.b", "C.D")]);
    all.into_iter().collect()
});

/// Entries of a libFuzzer dictionary for pickles.
#[must_use]
pub fn pickle_dictionary() -> String {
    let mut out = String::from(
        "# Written by `cargo test -p depickle-fuzz --test dictionaries` with BLESS=1.\n",
    );
    for opcode in Opcode::all() {
        let operand: &[u8] = match opcode.form() {
            Form::none => b"",
            Form::uint1 => b"\x01",
            Form::uint2 => b"\x01\x00",
            Form::uint4 | Form::int4 => b"\x01\x00\x00\x00",
            Form::uint8 => b"\x01\x00\x00\x00\x00\x00\x00\x00",
            Form::float8 => b"\x3f\xf0\x00\x00\x00\x00\x00\x00",
            Form::len1 => b"\x01a",
            Form::len4 | Form::len4s => b"\x01\x00\x00\x00a",
            Form::len8 => b"\x01\x00\x00\x00\x00\x00\x00\x00a",
            Form::line => b"1\n",
            Form::line2 => b"m\nC\n",
        };
        entry(&mut out, &opcode.to_string(), &[&[opcode.byte()], operand].concat());
    }
    for &(module, name) in GLOBALS.iter() {
        entry(&mut out, "", format!("c{module}\n{name}\n").as_bytes());
    }
    for dtype in DType::ALL {
        entry(&mut out, "", dtype.name().as_bytes());
    }
    for name in MODULE_STATE {
        entry(&mut out, "", name.as_bytes());
    }
    out
}

/// Entries of a libFuzzer dictionary for archives.
#[must_use]
pub fn archive_dictionary() -> String {
    let mut out = String::from(
        "# Written by `cargo test -p depickle-fuzz --test dictionaries` with BLESS=1.\n",
    );
    let records: [(&str, &[u8]); 6] = [
        ("local", b"PK\x03\x04"),
        ("central", b"PK\x01\x02"),
        ("end", b"PK\x05\x06"),
        ("zip64_end", b"PK\x06\x06"),
        ("zip64_locator", b"PK\x06\x07"),
        ("descriptor", b"PK\x07\x08"),
    ];
    for (name, record) in records {
        entry(&mut out, name, record);
    }
    for name in MEMBERS {
        entry(&mut out, "", name.as_bytes());
    }
    entry(&mut out, "stored", b"\x00\x00");
    entry(&mut out, "deflated", b"\x08\x00");
    entry(&mut out, "zip64_extra", b"\x01\x00\x1c\x00");
    entry(&mut out, "unicode_name", b"\x75\x70\x05\x00");
    entry(&mut out, "legacy_magic", b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    entry(&mut out, "ustar", b"ustar\x0000");
    out
}

/// Names that members have to the readers of archives.
pub const MEMBERS: &[&str] = &[
    "archive/data.pkl",
    "archive/data/0",
    "archive/byteorder",
    "archive/version",
    "archive/constants.pkl",
    "archive/code/__torch__.py",
    "archive/.data/extern_modules",
    "archive/archive_format",
    "archive/.data/serialization_id",
    "serialized_exported_program.json",
    "data.pkl",
    "storages",
    "tensors",
    "pickle",
];

/// What the state of a module holds.
pub const MODULE_STATE: &[&str] = &[
    "training",
    "_parameters",
    "_buffers",
    "_modules",
    "_non_persistent_buffers_set",
    "in_features",
    "out_features",
    "kernel_size",
    "bias",
    "weight",
    "inplace",
    "eps",
    "p",
];

fn entry(out: &mut String, name: &str, bytes: &[u8]) {
    let escape = |&byte: &u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    let text: String = bytes.iter().map(escape).collect();
    let equals = if name.is_empty() { "" } else { "=" };
    out.push_str(&format!("{}{equals}\"{text}\"\n", name.to_lowercase()));
}
