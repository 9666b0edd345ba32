//! Opening, listing, printing and writing files holds at most a stated multiple of their bytes, as
//! the allocator sees it. Stated in `docs/limits.md`; pickles alone are `memory.rs`'s.
#![cfg(feature = "torch")]
#![allow(
    clippy::items_after_statements,
    clippy::large_stack_arrays,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "common/heap.rs"]
mod heap;

use std::io;

use bytes::Bytes;
use depickle::container::{Tar, Zip};
use depickle::pickle::{Policy, run};
use depickle::python::json::{self, Nothing};
use depickle::python::numpy::Views;
use depickle::torch::module::Style;
use depickle::torch::{Checkpoint, Options, Scope};
use depickle::{Budget, FileOffset};
use heap::{alone, peak};

/// For each byte of a zip archive whose directory is all there is to it.
const ZIP_PER_BYTE: usize = 24;
/// For each byte of a tar archive.
const TAR_PER_BYTE: usize = 2;
/// For each byte of a file that is opened and listed: its graph, its storages, its tensors.
const LIST_PER_BYTE: usize = 450;
/// For each byte of a model that is printed, counted and named.
const TREE_PER_BYTE: usize = 60;
/// For each byte of an index of shards.
const INDEX_PER_BYTE: usize = 130;
/// For each byte of a pickle whose arrays are viewed.
const NUMPY_PER_BYTE: usize = 20;
/// For each byte of a container whose storages each have a place of their own.
const PLACES_PER_BYTE: usize = 60;
/// For each byte of a file that is scanned.
#[cfg(feature = "scan")]
const SCAN_PER_BYTE: usize = 40;
/// Whatever the file.
const ANYWAY: usize = 256 << 10;

/// The most memory that `work` holds at once beyond what is held already, for each byte.
fn held<T>(what: &str, len: usize, most: usize, work: impl FnOnce() -> T) -> T {
    let (done, held) = peak(work);
    println!("{what}: {:.1} bytes a byte", held as f64 / len as f64);
    assert!(held <= most * len + ANYWAY, "{what}: {held} bytes for {len}, {most} a byte stated");
    done
}

/// A directory of so many entries, all for one empty member.
fn zip(count: u32, name: impl Fn(u32) -> String, flags: u16, method: u16) -> Bytes {
    let mut out = b"PK\x03\x04".to_vec();
    out.extend([0; 26]);
    let start = out.len();
    for index in 0..count {
        let name = name(index);
        out.extend(b"PK\x01\x02\x14\0\x14\0");
        out.extend(flags.to_le_bytes());
        out.extend(method.to_le_bytes());
        out.extend([0; 16]);
        out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        out.extend([0; 16]);
        out.extend(name.bytes());
    }
    let len = out.len() - start;
    out.extend(b"PK\x06\x06");
    out.extend(44_u64.to_le_bytes());
    out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let end = start + len;
    for value in [u64::from(count), u64::from(count), len as u64, start as u64] {
        out.extend(value.to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend((end as u64).to_le_bytes());
    out.extend([1, 0, 0, 0]);
    out.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    out.into()
}

#[test]
fn a_zip_directory_holds_no_more_than_stated() {
    let _turn = alone();
    type Names = fn(u32) -> String;
    let names: [(&str, Names); 4] = [
        ("no names", |_| String::new()),
        ("one name", |_| "a".to_owned()),
        ("short names", |index| format!("{index:x}")),
        ("odd names", |index| format!("../{index:x}")),
    ];
    for (what, name) in names {
        for (flags, method) in [(0, 0), (1, 99)] {
            let file = zip(40_000, name, flags, method);
            let what = format!("zip, {what}, flags {flags}");
            let zip = held(&what, file.len(), ZIP_PER_BYTE, || {
                Zip::open(&file, &mut Budget::default()).unwrap()
            });
            assert_eq!(zip.members().len(), 40_000);
        }
    }
}

fn tar(count: usize, kind: u8, body: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for _ in 0..count {
        let mut header = [0_u8; 512];
        header[0] = b'a';
        header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(header);
        out.extend(body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.into()
}

#[test]
fn a_tar_archive_holds_no_more_than_stated() {
    let _turn = alone();
    let long = [b"900000 path=", &[b'n'; 899_987][..], b"\n"].concat();
    for (what, file) in [
        ("empty members", tar(10_000, b'0', b"")),
        ("links", tar(10_000, b'1', b"")),
        ("long names", [&tar(1, b'x', &long)[..], &tar(1, b'0', b"")].concat().into()),
        ("many long names", tar(50, b'L', &[b'n'; 100_000])),
    ] {
        let what = format!("tar, {what}");
        let done =
            held(&what, file.len(), TAR_PER_BYTE, || Tar::open(&file, &mut Budget::default()));
        done.unwrap();
    }
}

const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((V\
    storage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQK\0(K\x02K\x02t(K\x02K\x01t\x89)tRq\x01";

/// Pickles in which little says much: tensors named again and again, many small ones, storages.
fn costly() -> Vec<(&'static str, Vec<u8>)> {
    let count = 20_000_u32;
    let wrap = |body: Vec<u8>| [b"\x80\x02", &body[..], b"."].concat();
    let each = |one: &dyn Fn(u32) -> Vec<u8>| (0..count).flat_map(one).collect::<Vec<u8>>();
    let own = |index: u32| {
        let id = format!("(V\nctorch\nFloatStorage\nV{index}\nV\nK\0tQ");
        let id = id.replacen("V\n", "Vstorage\n", 1).into_bytes();
        [b"ctorch._utils\n_rebuild_tensor\n(", &id[..], b"K\0))tR"].concat()
    };
    let named = |index: u32| format!("V{index}\nh\x01").into_bytes();
    vec![
        (
            "one tensor many times",
            wrap([b"](", TENSOR, &b"h\x01".repeat(count as usize), b"e"].concat()),
        ),
        ("one tensor by many names", wrap([b"}(Va\n", TENSOR, &each(&named)[..], b"u"].concat())),
        ("many tensors", wrap([b"](", &each(&own)[..], b"e"].concat())),
        ("lists in lists", wrap([&b"](".repeat(1 << 16)[..], &b"e".repeat(1 << 16)].concat())),
        ("calls", wrap([b"](", &b"cm\nf\n)R".repeat(count as usize)[..], b"e"].concat())),
    ]
}

fn options() -> Options {
    Options::default().policy(Policy::inspect())
}

#[test]
fn opening_and_listing_holds_no_more_than_stated() {
    let _turn = alone();
    for (what, stream) in costly() {
        let len = stream.len();
        let what = format!("list, {what}");
        held(&what, len, LIST_PER_BYTE, || {
            let checkpoint = options().read(Bytes::from(stream)).unwrap();
            let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
            (list.len(), checkpoint.verify().unwrap().tensors)
        });
    }
}

/// Tensors that hold nothing, by the shortest names, in a safetensors header.
fn safetensors() -> Vec<u8> {
    let one = |index: u32| {
        format!("\"{index:x}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
    };
    let header = format!("{{{}}}", (0..20_000).map(one).collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Storages that hold nothing, in the layout of before 1.6: an object that names them, their keys,
/// and the count of each.
fn legacy() -> Vec<u8> {
    let count = 20_000_u32;
    let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let system =
        b"\x80\x02}(Vprotocol_version\nM\xe9\x03Vlittle_endian\n\x88Vtype_sizes\n}(Vshort\n\
        K\x02Vint\nK\x04Vlong\nK\x04uu.";
    let storage = |index: u32| {
        format!("(Vstorage\nctorch\nFloatStorage\nV{index}\nVcpu\nK\0NtQ").into_bytes()
    };
    let key = |index: u32| format!("V{index}\n").into_bytes();
    let all = |one: &dyn Fn(u32) -> Vec<u8>| {
        [b"\x80\x02](", &(0..count).flat_map(one).collect::<Vec<u8>>()[..], b"e."].concat()
    };
    let data = vec![0; count as usize * 8];
    [&magic[..], system, &all(&storage), &all(&key), &data].concat()
}

/// A zip archive of as many storages as it has tensors, all empty.
fn zipped() -> Vec<u8> {
    let tensor = |index: u32| {
        let id = format!("((Vstorage\nctorch\nFloatStorage\nV{index}\nVcpu\nK\0tQ");
        [b"ctorch._utils\n_rebuild_tensor_v2\n", id.as_bytes(), b"K\0(K\0t(K\x01t\x89)tR"].concat()
    };
    let tensors: Vec<u8> = (0..20_000).flat_map(tensor).collect();
    let tensors = [b"\x80\x02](", &tensors[..], b"e."].concat();
    let mut zip = depickle::container::ZipWriter::new(Vec::new());
    zip.add("a/data.pkl", &tensors).unwrap();
    zip.add("a/version", b"3\n").unwrap();
    for index in 0..20_000 {
        zip.add(&format!("a/data/{index}"), b"").unwrap();
    }
    zip.finish().unwrap()
}

/// The same in each container, which has an index of its own.
#[test]
fn containers_of_many_storages_hold_no_more_than_stated() {
    let _turn = alone();
    for (what, file, tensors) in [
        ("safetensors", safetensors(), 20_000),
        // Storages without tensors, each listed by itself.
        ("before 1.6", legacy(), 20_000),
        ("zip", zipped(), 20_000),
    ] {
        let len = file.len();
        let listed = held(&format!("many storages, {what}"), len, PLACES_PER_BYTE, || {
            let checkpoint = options().read(Bytes::from(file)).unwrap();
            let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
            let readable = list.iter().filter(|entry| entry.on(&checkpoint).is_ok()).count();
            checkpoint.verify().unwrap();
            readable
        });
        assert_eq!(listed, tensors, "{what}");
    }
}

#[cfg(feature = "scan")]
#[test]
fn scanning_holds_no_more_than_stated() {
    use depickle::scan::{Scanner, Verdict};
    let _turn = alone();
    let scanner = Scanner::new();
    let findings = b"cos\nsystem\n(Vid\ntR0".repeat(20_000);
    let inside = (0..2_000_u32).flat_map(|_| [&b"C\x0ccos\nsystem\n.0"[..]].concat());
    let files = costly().into_iter().chain([
        ("safetensors", safetensors()),
        ("before 1.6", legacy()),
        ("zip", zipped()),
        ("many findings", [&b"\x80\x02"[..], &findings, b"N."].concat()),
        ("pickles in bytes", [&b"\x80\x03"[..], &inside.collect::<Vec<u8>>(), b"N."].concat()),
        ("pickles in a row", b"cos\nsystem\n.".repeat(20_000)),
    ]);
    for (what, file) in files {
        let len = file.len();
        let report =
            held(&format!("scan, {what}"), len, SCAN_PER_BYTE, || scanner.scan_bytes(file));
        assert!(!matches!(report.verdict, Verdict::Clean) || report.complete, "{what}");
    }
}

/// A module with a module with a module; or one with many, each with a parameter.
fn models() -> Vec<(&'static str, Vec<u8>)> {
    let open = b"cm\nN\n)\x81}(V_parameters\n}V_buffers\n}V_modules\n}(";
    let deep =
        [&[&open[..], b"Va\n"].concat().repeat(4_000)[..], b"N", &b"uub".repeat(4_000)].concat();
    let child = |index: u32| {
        [
            format!("V{index}\n").as_bytes(),
            b"cm\nN\n)\x81}(V_parameters\n}V_buffers\n}V_modules\n}ub",
        ]
        .concat()
    };
    let children: Vec<u8> = (0..4_000).flat_map(child).collect();
    let wide = [&open[..], &children, b"uub"].concat();
    let shared = [
        &open[..],
        b"Va\n",
        &child(0)[3..],
        b"q\x02",
        &(0..6_000_u32)
            .flat_map(|index| format!("V{index}\nh\x02").into_bytes())
            .collect::<Vec<u8>>(),
        b"uub",
    ]
    .concat();
    let wrap = |body: Vec<u8>| [b"\x80\x02", &body[..], b"."].concat();
    vec![("deep", wrap(deep)), ("wide", wrap(wide)), ("shared", wrap(shared))]
}

#[test]
fn trees_hold_no_more_than_stated() {
    let _turn = alone();
    for (what, stream) in models() {
        let len = stream.len();
        let checkpoint = Checkpoint::from_bytes(stream).unwrap();
        let model = checkpoint.module().unwrap();
        // The text itself is left out: a deep tree is indented, so its text is quadratic, and paid
        // for from the budget.
        if what != "deep" {
            held(&format!("print, {what}"), len, TREE_PER_BYTE, || {
                model.print(Style::default()).unwrap()
            });
            held(&format!("names, {what}"), len, TREE_PER_BYTE, || {
                model.named_modules().unwrap().len()
            });
        }
        held(&format!("tallies, {what}"), len, TREE_PER_BYTE, || model.tallies().unwrap().len());
        held(&format!("state dict, {what}"), len, TREE_PER_BYTE, || {
            model.state_dict().unwrap().entries.len()
        });
        held(&format!("JSON, {what}"), len, TREE_PER_BYTE, || {
            json::write(checkpoint.root(), &Nothing, &mut Budget::default(), &mut io::sink())
                .unwrap();
        });
    }
}

/// What is quadratic is paid for: a tree that is deep enough is refused, and holds no more memory
/// than it was granted.
#[test]
fn deep_text_is_paid_for() {
    let _turn = alone();
    let (_, stream) = models().swap_remove(0);
    let limits = depickle::Limits::default().with_memory(8 << 20);
    let checkpoint = Options::default().limits(limits).read(Bytes::from(stream)).unwrap();
    let model = checkpoint.module().unwrap();
    let (text, held) = peak(|| model.print(Style::default()));
    assert!(
        held < 3 * (8 << 20),
        "{held} bytes, 8 MiB granted; {} were printed",
        text.map_or(0, |it| it.len())
    );
}

#[test]
fn an_index_of_shards_holds_no_more_than_stated() {
    let _turn = alone();
    let folder = std::env::temp_dir().join(format!("depickle-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.bin.index.json");
    let pairs = |name: &dyn Fn(u32) -> String| {
        let all: Vec<String> = (0..20_000).map(name).collect();
        format!("{{\"weight_map\":{{{}}}}}", all.join(","))
    };
    for (what, text) in [
        ("names", pairs(&|index| format!("\"{index}\":\"a\""))),
        ("files", pairs(&|index| format!("\"{index}\":\"{index}\""))),
        ("numbers", format!("{{\"weight_map\":{{}},\"x\":[{}1]}}", "1,".repeat(50_000))),
        ("lists", format!("{{\"weight_map\":{{}},\"x\":[{}[]]}}", "[],".repeat(50_000))),
    ] {
        std::fs::write(&path, &text).unwrap();
        // Its shards are not there: what counts is what was held before that is found.
        held(&format!("index, {what}"), text.len(), INDEX_PER_BYTE, || {
            options().open(&path).is_ok()
        });
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn views_of_arrays_hold_no_more_than_stated() {
    let _turn = alone();
    let dtype =
        b"cnumpy\ndtype\n(Vf8\n\x89\x88tR(K\x03V<\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb";
    let one =
        [&b"cnumpy.core.multiarray\nscalar\n("[..], dtype, b"C\x08\0\0\0\0\0\0\0\0tR"].concat();
    let fields = (0..2_000_u32).map(|index| format!("Vf{index}\n(h\x01K\0tq\x02"));
    let fields: Vec<u8> = fields.flat_map(String::into_bytes).collect();
    let names: Vec<u8> =
        (0..2_000_u32).flat_map(|index| format!("Vf{index}\n").into_bytes()).collect();
    let structure = [
        &b"]("[..],
        dtype,
        b"q\x01cnumpy\ndtype\n(VV8\n\x89\x88tR(K\x03V|\nN(",
        &names,
        b"t}(",
        &fields,
        b"uK\x08K\x01K\0tbe",
    ]
    .concat();
    for (what, body) in
        [("scalars", [b"](", &one.repeat(3_000)[..], b"e"].concat()), ("structures", structure)]
    {
        let stream = [b"\x80\x03", &body[..], b"."].concat();
        let len = stream.len();
        let outcome = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
        assert!(outcome.end.is_ok(), "{what}: {:?}", outcome.end);
        held(&format!("numpy, {what}"), len, NUMPY_PER_BYTE, || {
            let mut views = Views::new(Budget::default());
            outcome.graph.objects().filter_map(|object| views.any(object)?.ok()).count()
        });
    }
}
