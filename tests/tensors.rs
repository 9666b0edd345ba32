//! Tensors of every layout and dtype are what PyTorch says, however they are read.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

mod common;
#[path = "common/deep.rs"]
mod deep;

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use depickle::pickle::Policy;
use depickle::torch::{
    Checkpoint, DType, Error, Fault, Kind, Layout, Options, Quantizer, Real, Scope, Tensor,
    TensorRef, module::find_modules,
};
use depickle::{Limit, Limits, Source};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn record() -> Value {
    let text = std::fs::read(common::fixture("tensors/tensors.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(common::fixture("tensors").join(name)).unwrap()
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn numbers(json: &Value) -> Vec<u64> {
    json.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

/// Compares a tensor with what PyTorch said of it.
fn compare(at: &str, tensor: TensorRef, want: &Value) {
    assert_eq!(tensor.layout().name(), want["layout"].as_str().unwrap_or("strided"), "{at}");
    assert_eq!(tensor.dtype().name(), want["dtype"].as_str().unwrap(), "{at}");
    if !want["requires_grad"].is_null() {
        assert_eq!(Value::Bool(tensor.requires_grad()), want["requires_grad"], "{at}");
    }
    if !want["shape"].is_null() {
        assert_eq!(tensor.shape(), numbers(&want["shape"]), "{at}");
    }
    if !want["stride"].is_null() {
        assert_eq!(tensor.stride(), numbers(&want["stride"]), "{at}");
    }
    tensor.validate().unwrap();
    if let Some(hash) = want["sha256"].as_str() {
        each_reading(at, tensor, hash);
    }
    if let Some(wanted) = want["parts"].as_object() {
        let parts = tensor.checkpoint().parts(&tensor);
        let names: HashSet<&str> = parts.iter().map(|part| &*part.name).collect();
        assert_eq!(names, wanted.keys().map(String::as_str).collect(), "{at}");
        for part in &parts {
            let view = part.tensor.as_ref().unwrap();
            compare(&format!("{at}.{}", part.name), tensor.part(view), &wanted[&*part.name]);
        }
    }
    if let Some(hash) = want["dense"].as_str() {
        assert_eq!(sha256(tensor.to_dense().unwrap()), hash, "{at} dense");
        assert_eq!(tensor.is_coalesced(), want["coalesced"].as_bool(), "{at}");
    }
    if let Some(hash) = want["dequantized"].as_str() {
        let bytes: Vec<u8> =
            tensor.dequantize().unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(sha256(bytes), hash, "{at} dequantized");
        let wanted = &want["quantizer"];
        let quantizer = tensor.quantizer().unwrap();
        assert_eq!(quantizer.scheme(), wanted["scheme"], "{at}");
        match quantizer {
            Quantizer::PerTensor { scale, zero_point } => {
                assert_eq!(Some(*scale), wanted["scale"].as_f64(), "{at}");
                assert_eq!(Some(*zero_point), wanted["zero_point"].as_i64(), "{at}");
            }
            Quantizer::PerChannel { axis, .. } => {
                assert_eq!(Some(*axis as u64), wanted["axis"].as_u64(), "{at}");
            }
            _ => panic!("{at}"),
        }
    }
    if let Some(wanted) = want["nested"].as_array() {
        let inner = tensor.nested().unwrap();
        assert_eq!(inner.len(), wanted.len(), "{at}");
        assert_eq!(tensor.shape(), [wanted.len() as u64], "{at}");
        for (view, want) in inner.iter().zip(wanted) {
            assert_eq!(view.shape(), numbers(&want["shape"]), "{at}");
            each_reading(at, tensor.part(view), want["sha256"].as_str().unwrap());
        }
    }
}

/// Every way of reading bytes gives the same ones.
fn each_reading(at: &str, tensor: TensorRef, hash: &str) {
    let bytes = tensor.to_bytes().unwrap();
    assert_eq!(sha256(&bytes), hash, "{at}");
    let mut into = vec![0xa5; bytes.len()];
    tensor.read_into(&mut into).unwrap();
    assert_eq!(into, *bytes, "{at} read_into");
    into.push(0);
    let why = tensor.read_into(&mut into).unwrap_err();
    assert!(matches!(why.kind(), Kind::BadTensor(Fault::BufferLength { .. })), "{at}: {why}");
    let mut chunks = Vec::new();
    let push = |chunk: &[u8]| {
        chunks.extend_from_slice(chunk);
        Ok::<(), Error>(())
    };
    tensor.for_each_chunk(push).unwrap();
    assert_eq!(chunks, *bytes, "{at} chunks");
}

#[test]
fn every_layout_and_dtype_in_every_file_is_what_pytorch_says() {
    let record = record();
    let wanted = record["tensors"].as_object().unwrap();
    let dtypes: HashSet<&str> = wanted.values().filter_map(|want| want["dtype"].as_str()).collect();
    for dtype in DType::ALL {
        let name = dtype.name();
        let named_only = name.trim_start_matches('u').trim_start_matches("int").parse::<u8>();
        assert!(dtypes.contains(name) || named_only.is_ok_and(|bits| bits < 8), "{name}");
    }
    for layout in ["zip", "legacy"] {
        for (protocol, name) in [(2, "p2"), (3, "p3"), (4, "p4"), (5, "p5"), (2, "big")] {
            let file = format!("{layout}_{name}.pth");
            let checkpoint = open(&file);
            assert_eq!(checkpoint.graph().protocol(), protocol, "{file}");
            assert_eq!(checkpoint.is_big_endian(), name == "big", "{file}");
            let list = checkpoint.tensors().unwrap();
            assert_eq!(list.len(), wanted.len());
            for (name, want) in wanted {
                let tensor = checkpoint.tensor(name).unwrap();
                compare(&format!("{file} {name}"), tensor, want);
            }
        }
    }
}

#[test]
fn tensors_saved_as_arrays_are_what_pytorch_makes_of_them() {
    let record = record();
    let wanted = record["devices"].as_object().unwrap();
    for file in ["devices_p2.pth", "devices_p5.pth"] {
        let checkpoint = open(file);
        assert_eq!(checkpoint.tensors().unwrap().len(), wanted.len());
        for (name, want) in wanted {
            let at = format!("{file} {name}");
            let tensor = checkpoint.tensor(name).unwrap();
            // Strides are those of the array, which is read in row-major order.
            let want = want.as_object().unwrap().clone().into_iter();
            let want: Value = want.filter(|(key, _)| key != "stride").collect();
            compare(&at, tensor, &want);
            assert_eq!(tensor.device(), "xla:1", "{at}");
            assert_eq!(tensor.is_parameter(), name == "parameter", "{at}");
            if name != "cpu" {
                assert!(tensor.as_bytes().is_some(), "{at}");
            }
        }
        let grid = checkpoint.tensor("transposed").unwrap();
        let column = grid.slice(1, 1..2).unwrap();
        assert_eq!(grid.part(&column).to_vec::<f32>().unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(grid.cast::<half::f16>().unwrap()[1], half::f16::from_f32(3.0));
        let subclass = checkpoint.subclass_of(&checkpoint.tensor("subclass").unwrap());
        assert_eq!(subclass.as_deref(), Some("__main__.Labelled"));
    }
}

#[test]
fn one_array_costs_its_bytes_once_however_many_tensors_are_made_of_it() {
    // 4 MiB of text that must be decoded, and a thousand tensors made of it.
    let text = "\u{81}".repeat(1 << 22);
    let array = format!(
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntc_codecs\nencode\n(Vb\nVlatin1\n\
         tRtR(I1\n(I{}\ntcnumpy\ndtype\n(Vu1\nI00\nI01\ntR(I3\nV|\nNNNI-1\nI-1\nI0\ntbI00\n\
         c_codecs\nencode\n(V{text}\nVlatin1\ntRtbp9\n",
        1 << 22
    );
    let call =
        "(ctorch._utils\n_rebuild_device_tensor_from_numpy\n(g9\nctorch\nuint8\nVxla:0\nI00\ntRl";
    let call = &call[1..call.len() - 1];
    let pickle = format!("({array}{}l", call.repeat(1000));
    let limits = Limits::default().with_memory(64 << 20);
    let pickle: Vec<u8> = format!("\u{80}\u{2}{pickle}.").chars().map(|char| char as u8).collect();
    let bytes = archive(&pickle, &[], CompressionMethod::Stored);
    let checkpoint = Options::default().limits(limits).read(bytes::Bytes::from(bytes)).unwrap();
    let list = checkpoint.tensors().unwrap();
    assert_eq!(list.len(), 1000);
    let tensor = list.entries()[999].on(&checkpoint).unwrap();
    assert_eq!((tensor.nbytes(), tensor.as_bytes().unwrap()[0]), (1 << 22, 0x81));
}

#[test]
fn storages_for_themselves_are_listed_with_their_bytes() {
    let record = record();
    let wanted = record["storages"].as_object().unwrap();
    for file in ["storages.pth", "storages_legacy.pth", "storages.pkl"] {
        let checkpoint = open(file);
        let list = checkpoint.tensors().unwrap();
        let found: Vec<_> = list.iter().filter(|entry| entry.name() != "tensor").collect();
        assert_eq!(found.len(), wanted.len(), "{file}");
        for entry in found {
            let at = format!("{file} {}", entry.name());
            let (tensor, want) = (entry.on(&checkpoint).unwrap(), &wanted[entry.name()]);
            assert_eq!(entry.role().map(depickle::torch::Role::name), Some("storage"), "{at}");
            assert_eq!(tensor.dtype().name(), want["dtype"], "{at}");
            assert_eq!(tensor.shape(), numbers(&want["shape"]), "{at}");
            each_reading(&at, tensor, want["sha256"].as_str().unwrap());
        }
    }
    let checkpoint = open("storage.pth");
    let storage = checkpoint.tensor("").unwrap();
    assert_eq!(storage.to_vec::<u8>().unwrap()[..4], 1.5_f32.to_le_bytes());
}

#[test]
fn what_wrappers_say_is_kept() {
    let checkpoint = open("zip_p2.pth");
    let tensor = |name| checkpoint.tensor(name).unwrap();
    assert!(tensor("parameter").is_parameter() && !tensor("parameter").is_buffer());
    assert!(tensor("buffer").is_buffer() && !tensor("buffer").is_parameter());
    assert!(tensor("qint8.parameter").is_parameter());
    assert_eq!(tensor("wrapper").wrapper_class(), Some("__main__.Pair"));
    assert_eq!(checkpoint.subclass_of(&tensor("labelled")).unwrap(), "__main__.Labelled");
    assert_eq!(checkpoint.subclass_of(&tensor("parameter")), None);
    let state = checkpoint.attributes_of(&tensor("stateful")).unwrap().as_dict().unwrap();
    assert_eq!(state.get("tag").unwrap().as_dict().unwrap().get("rank").unwrap().as_int(), Some(1));
    assert_eq!(tensor("nested").nested_sizes(), Some(&[Some(2), None, None][..]));
    assert_eq!(tensor("nested.jagged").nested_sizes(), Some(&[Some(2), None, Some(3)][..]));
    assert_eq!(tensor("meta").device(), "meta");
    for (name, layout) in [("meta", Layout::Meta), ("csr", Layout::SparseCsr)] {
        let why = tensor(name).to_bytes().map(drop).unwrap_err();
        let fits =
            matches!(why.kind(), Kind::BadTensor(Fault::NoElements(found)) if *found == layout);
        assert!(fits && why.to_string().contains(name), "{why}");
    }
}

#[test]
fn packed_values_come_apart() {
    let checkpoint = open("zip_p2.pth");
    for (name, most) in [("quint4x2.float", 15), ("quint2x4.float", 3)] {
        let tensor = checkpoint.tensor(name).unwrap();
        let values = tensor.unpack().unwrap();
        assert_eq!((values.len(), tensor.numel()), (15, 15), "{name}");
        assert!(values.iter().all(|&value| value <= most), "{name}");
        // The same integers lie behind what PyTorch dequantizes.
        let Some(Quantizer::PerChannel { scales, zero_points, .. }) = tensor.quantizer() else {
            panic!("{name}")
        };
        let (depickle::torch::Numbers::Tensor(scales), depickle::torch::Numbers::Tensor(points)) =
            (scales, zero_points)
        else {
            panic!("{name}")
        };
        let scales = tensor.part(scales).to_vec::<f32>().unwrap();
        let points = tensor.part(points).to_vec::<f32>().unwrap();
        let want: Vec<f32> =
            (0..15).map(|i| (f32::from(values[i]) - points[i / 5]) * scales[i / 5]).collect();
        assert_eq!(tensor.dequantize().unwrap(), want, "{name}");
    }
    assert_eq!(checkpoint.tensor("dtype.bits1x8").unwrap().unpack().unwrap().len(), 512);
    let float4 = checkpoint.tensor("dtype.float4_e2m1fn_x2").unwrap();
    assert_eq!(float4.cast::<f32>().unwrap()[2..4], [-0.5 * 0.0 + 6.0, 0.0]);
    assert!(checkpoint.tensor("dtype.bits8").unwrap().cast::<f32>().is_err());
    assert!(checkpoint.tensor("dtype.complex64").unwrap().cast::<f32>().is_err());
}

fn casts_to<T: Real + std::fmt::Debug>(tensor: TensorRef, want: &[u8], is_nan: fn(T) -> bool) {
    let got = tensor.cast::<T>().unwrap();
    let want: &[T] = &elements(want);
    assert_eq!(got.len(), want.len());
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let same = bytes_of(got) == bytes_of(want) || (is_nan(*got) && is_nan(*want));
        assert!(same, "{} to {}, {index}: {got:?}, not {want:?}", tensor.name(), T::DTYPE);
    }
    let mut streamed = Vec::new();
    tensor
        .for_each_chunk_as(T::DTYPE, |chunk| {
            streamed.extend_from_slice(chunk);
            Ok::<(), Error>(())
        })
        .unwrap();
    assert_eq!(streamed, got.iter().flat_map(|x| bytes_of(x)).collect::<Vec<u8>>());
}

/// Little-endian, as files are, whatever this machine is; or back.
fn turned(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    bytes
}

fn bytes_of<T: Real>(value: &T) -> Vec<u8> {
    turned(bytemuck::bytes_of(value), size_of::<T>())
}

fn elements<T: Real>(bytes: &[u8]) -> Vec<T> {
    bytemuck::pod_collect_to_vec(&turned(bytes, size_of::<T>()))
}

#[test]
fn casts_round_as_pytorch_does() {
    let checkpoint = open("casts.pth");
    let mut compared = 0;
    for entry in checkpoint.tensors().unwrap() {
        let Some((from, to)) = entry.name().split_once('.') else { continue };
        let tensor = checkpoint.tensor(from).unwrap();
        let want = entry.on(&checkpoint).unwrap().to_bytes().unwrap();
        match to {
            "float64" => casts_to::<f64>(tensor, &want, f64::is_nan),
            "float32" => casts_to::<f32>(tensor, &want, f32::is_nan),
            "float16" => casts_to::<half::f16>(tensor, &want, half::f16::is_nan),
            _ => casts_to::<half::bf16>(tensor, &want, half::bf16::is_nan),
        }
        // Of the narrow types even NaN are those of PyTorch.
        if from.starts_with("float8") && to == "float32" {
            let got = tensor.cast::<f32>().unwrap();
            assert_eq!(got.iter().flat_map(bytes_of).collect::<Vec<u8>>(), *want, "{from}");
        }
        compared += 1;
    }
    assert_eq!(compared, 18 * 4);
}

#[test]
fn random_views_and_their_slices_are_pytorchs() {
    let checkpoint = open("random_views.pth");
    let record = record();
    let slices = record["slices"].as_array().unwrap();
    assert_eq!(slices.len(), 60);
    for want in slices {
        let name = want["name"].as_str().unwrap();
        let tensor = checkpoint.tensor(name).unwrap();
        let mut cut: Tensor = tensor.tensor().clone();
        for step in want["slices"].as_array().unwrap() {
            let [axis, start, end] = numbers(step)[..] else { panic!() };
            cut = cut.slice(axis as usize, start..end).unwrap();
        }
        assert_eq!(cut.shape(), numbers(&want["shape"]), "{name}");
        each_reading(name, tensor.part(&cut), want["sha256"].as_str().unwrap());
        let elements: Vec<i16> =
            tensor.part(&cut).elements::<i16>().unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(elements, tensor.part(&cut).to_vec::<i16>().unwrap(), "{name}");
    }
}

#[test]
fn slices_of_quantized_tensors_keep_their_channels() {
    let checkpoint = open("zip_p2.pth");
    for (name, axis) in [("qint8.channel", 0), ("qint8.last", 1), ("qint8.channel", 1)] {
        let tensor = checkpoint.tensor(name).unwrap();
        let (rows, columns) = (tensor.shape()[0] as usize, tensor.shape()[1] as usize);
        let cut = tensor.slice(axis, 1..3).unwrap();
        let all = tensor.dequantize().unwrap();
        let want: Vec<f32> = (0..rows * columns)
            .filter(|i| (1..3).contains(&[i / columns, i % columns][axis]))
            .map(|i| all[i])
            .collect();
        assert_eq!(tensor.part(&cut).dequantize().unwrap(), want, "{name}");
    }
    assert!(checkpoint.tensor("quint4x2.float").unwrap().slice(0, 0..1).is_err());
    assert!(checkpoint.tensor("csr").unwrap().slice(0, 0..1).is_err());
}

// Files made for one purpose.

/// An archive of a pickle and storages.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8], options| {
        zip.start_file(format!("a/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    put("data.pkl", pickle, stored);
    for (key, bytes) in storages {
        put(&format!("data/{key}"), bytes, stored.compression_method(method));
    }
    put("version", b"3\n", stored);
    zip.finish().unwrap().into_inner()
}

fn tuple(items: &[impl std::fmt::Display]) -> String {
    let items: String = items.iter().fold(String::new(), |all, item| format!("{all}I{item}\n"));
    format!("({items}t")
}

/// The pickle of a tensor.
fn tensor(
    class: &str,
    key: &str,
    numel: u64,
    offset: u64,
    shape: &[i64],
    stride: &[i64],
) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\n{class}Storage\nV{key}\nVcpu\nI{numel}\n\
         tQI{offset}\n{}{}I00\nNtR",
        tuple(shape),
        tuple(stride)
    )
}

fn file(pickle: &str, storages: &[(&str, &[u8])]) -> Checkpoint {
    let pickle = format!("\u{80}\u{2}{pickle}.");
    let pickle: Vec<u8> = pickle.chars().map(|char| char as u8).collect();
    // What the policies refuse is to be read here.
    let options = Options::default().policy(Policy::inspect());
    options.read(bytes::Bytes::from(archive(&pickle, storages, CompressionMethod::Stored))).unwrap()
}

fn ints(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `{"it": the tensor, "good": another}`: what is wrong with the first never hides the second.
fn with_good(it: &str, storages: &[(&str, &[u8])]) -> Checkpoint {
    let good = tensor("Byte", "good", 2, 0, &[2], &[1]);
    let storages = [storages, &[("good", &[1, 2])]].concat();
    let checkpoint = file(&format!("(dVit\n{it}sVgood\n{good}s"), &storages);
    assert_eq!(checkpoint.tensors().unwrap().len(), 2);
    assert_eq!(checkpoint.tensor("good").unwrap().to_vec::<u8>().unwrap(), [1, 2]);
    checkpoint
}

fn sparse(layout: &str, parts: &str, size: &[i64]) -> String {
    format!(
        "ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\n\
         (Vtorch.{layout}\ntR({parts}{}ttR",
        tuple(size)
    )
}

#[test]
fn indices_out_of_range_are_named() {
    let values = [0; 8];
    let coo = |index: &[i64], size: &[i64]| {
        let count = index.len() as i64 / 2;
        let numel = index.len() as u64;
        let indices = tensor("Long", "i", numel, 0, &[2, count], &[count, 1]);
        let it = sparse("sparse_coo", &(indices + &tensor("Float", "v", 2, 0, &[2], &[1])), size);
        with_good(&it, &[("i", &ints(index)), ("v", &values)])
    };
    let fine = coo(&[0, 1, 2, 0], &[2, 3]);
    assert_eq!(fine.tensor("it").unwrap().to_dense().unwrap(), [0; 24]);
    for (index, at) in [([0, 2, 0, 0], 1), ([0, 1, -1, 0], 2), ([0, 1, 0, i64::MAX], 3)] {
        let checkpoint = coo(&index, &[2, 3]);
        let it = checkpoint.tensor("it").unwrap();
        for why in [it.to_dense().map(drop).unwrap_err(), it.validate().unwrap_err()] {
            let fits = matches!(why.kind(), Kind::BadTensor(Fault::BadIndex { part: "indices", at: found, .. }) if *found == at);
            assert!(fits, "{why}");
        }
    }
    let csr = |rows: &[i64], columns: &[i64]| {
        let parts = tensor("Long", "r", 3, 0, &[3], &[1])
            + &tensor("Long", "c", 2, 0, &[2], &[1])
            + &tensor("Float", "v", 2, 0, &[2], &[1]);
        let it = sparse("sparse_csr", &parts, &[2, 3]);
        with_good(&it, &[("r", &ints(rows)), ("c", &ints(columns)), ("v", &values)])
    };
    assert!(csr(&[0, 1, 2], &[2, 0]).tensor("it").unwrap().validate().is_ok());
    for (rows, columns) in [
        ([1, 1, 2], [0, 0]),
        ([0, 2, 1], [0, 0]),
        ([0, 1, 1], [0, 0]),
        ([0, 1, 3], [0, 0]),
        ([0, i64::MIN, 2], [0, 0]),
        ([0, 1, 2], [3, 0]),
        ([0, 1, 2], [0, -1]),
    ] {
        let checkpoint = csr(&rows, &columns);
        let why = checkpoint.tensor("it").unwrap().to_dense().map(drop).unwrap_err();
        assert!(matches!(why.kind(), Kind::BadTensor(Fault::BadIndex { .. })), "{rows:?} {why}");
    }
}

/// What makes the tensor `it` of a file unreadable, with a good one beside it.
fn unreadable(it: &str, storages: &[(&str, &[u8])]) -> String {
    let checkpoint = with_good(it, storages);
    let why = checkpoint.tensor("it").map(drop).unwrap_err();
    assert!(why.offset().is_some() && why.member().is_some(), "{why}");
    why.to_string()
}

#[test]
fn parts_that_do_not_fit_make_a_tensor_unreadable() {
    let bytes = [0; 64];
    let storages: &[(&str, &[u8])] = &[("i", &bytes), ("v", &bytes[..8]), ("b", &bytes[..6])];
    let long = |shape: &[i64], stride: &[i64]| tensor("Long", "i", 8, 0, shape, stride);
    let float = |shape: &[i64], stride: &[i64]| tensor("Float", "v", 2, 0, shape, stride);
    let quantized = |quantizer: &str| {
        format!(
            "ctorch._utils\n_rebuild_qtensor\n((Vstorage\nctorch\nQInt8Storage\nVb\nVcpu\nI6\ntQI0\n{}{}({quantizer}tI00\nNtR",
            tuple(&[2, 3]),
            tuple(&[3, 1])
        )
    };
    let channel = |scales: &str, axis: i64| {
        quantized(&format!("ctorch\nper_channel_affine\n{scales}{}I{axis}\n", long(&[2], &[1])))
    };
    let nested = |shape: &[i64]| {
        format!(
            "ctorch._utils\n_rebuild_nested_tensor\n({}{}{}{}tR",
            float(&[2], &[1]),
            long(shape, &[2, 1]),
            long(&[1, 2], &[2, 1]),
            long(&[1], &[1])
        )
    };
    let coo = |indices: String, values: String, size: &[i64]| {
        sparse("sparse_coo", &(indices + &values), size)
    };
    for (it, reason) in [
        (coo(long(&[1, 100], &[100, 1]), float(&[100], &[1]), &[9]), "needs 100 elements"),
        (coo(long(&[1, 2], &[2, 1]), float(&[1], &[1]), &[9]), "do not fit"),
        (coo(long(&[2, 2], &[2, 1]), float(&[2], &[1]), &[9]), "do not fit"),
        (coo(float(&[1, 2], &[2, 1]), float(&[2], &[1]), &[9]), "indices of float32"),
        (coo(long(&[1, 2], &[2, 1]), float(&[2], &[1]), &[-9]), "of -9"),
        (coo(long(&[1, 2], &[2, 1]), float(&[2], &[1]), &[i64::MAX]), "exceeds 64 bits"),
        (coo(quantized("ctorch\nper_tensor_affine\nI1\nI0\n"), float(&[2], &[1]), &[9]), "strided"),
        (sparse("sparse_csr", &(long(&[2], &[1]) + &long(&[2], &[1]) + &float(&[2], &[1])), &[2, 3]), "do not fit"),
        (sparse("sparse_bsr", &(long(&[2], &[1]) + &long(&[1], &[1]) + &float(&[1, 1, 2], &[2, 2, 1])), &[1, 3]), "do not fit"),
        (sparse("mkldnn", "", &[2]), "the layout mkldnn"),
        (channel(&float(&[2], &[1]), 2), "none of its tensor's dimensions"),
        (channel(&float(&[2], &[1]), -1), "of -1"),
        (channel(&float(&[2], &[1]), 1), "as many scales"),
        (channel(&float(&[1], &[1]), 0), "as many scales"),
        (channel("(F0.5\nF0.5\nl", 1), "as many scales"),
        (quantized("ctorch\nper_tensor_affine\nNI0\n"), "a number wanted"),
        (quantized("cos\nsystem\nF0.5\nI0\n").replace("cos\nsystem", "ctorch\nfloat32"), "scheme float32"),
        (nested(&[2, 1]), "do not fit"),
        (tensor("Float", "v", 2, 0, &[4], &[i64::MAX]), "exceeds 64 bits"),
        (tensor("Float", "v", 2, 1, &[2], &[1]), "needs 3 elements but its storage has 2"),
        (tensor("Float", "v", 2, 0, &[-1], &[1]), "of -1"),
        ("ctorch._utils\n_rebuild_device_tensor_from_numpy\n(NNVxla:0\nI00\ntR".into(), "a dtype wanted"),
        ("ctorch._utils\n_rebuild_device_tensor_from_numpy\n(]ctorch\nuint8\nVxla:0\nI00\ntR".into(), "a numpy array wanted"),
        ("ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n(I-1\nt(I1\ntI00\ntR".into(), "of -1"),
    ] {
        let why = unreadable(&it, storages);
        assert!(why.contains(reason), "{why}\nnot {reason}");
    }
    // Fine as they stand, wrong once their data are read.
    let buffer = |numbers: &[i64]| {
        let checkpoint = with_good(&nested(&[1, 2]), &[("i", &ints(numbers)), ("v", &bytes[..8])]);
        checkpoint.tensor("it").unwrap().nested().map(|views| views.len())
    };
    assert_eq!(buffer(&[0; 8]).unwrap(), 1);
    for numbers in [[-1; 8], [9; 8], [i64::MAX; 8], [2, 2, 0, 0, 0, 0, 0, 0]] {
        match buffer(&numbers) {
            Err(why) => assert!(matches!(why.kind(), Kind::BadTensor(_)), "{why}"),
            Ok(views) => panic!("{numbers:?}: {views}"),
        }
    }
}

#[test]
fn calls_wrapped_without_end_are_unreadable() {
    let core = tensor("Byte", "v", 1, 0, &[1], &[1]);
    let storages: &[(&str, &[u8])] = &[("v", &[7])];
    let work = move || {
        let parameter = "ctorch._utils\n_rebuild_parameter\np0\n0".to_owned()
            + &"g0\n(".repeat(deep::DEEP)
            + &core
            + &"I01\nNtR".repeat(deep::DEEP);
        assert!(unreadable(&parameter, storages).contains("wrapped so often"));
        // Each wrapper an attribute of the next.
        let open = "ctorch._tensor\n_rebuild_from_type_v2\np0\n0ctorch._utils\n\
                    _rebuild_wrapper_subclass\np1\n0c__main__\nW\np2\n0ctorch\nfloat32\np3\n0"
            .to_owned();
        let body = "g0\n(g1\ng2\n(g2\ng3\n(t(tI0\nctorch\nstrided\nVcpu\nI00\nt(dVx\n";
        let wrappers = open + &body.repeat(deep::DEEP) + &core + &"stR".repeat(deep::DEEP);
        let checkpoint = with_good(&wrappers, storages);
        let it = checkpoint.tensor("it").unwrap();
        assert_eq!(it.layout(), Layout::Wrapper);
        assert_eq!(it.checkpoint().parts(&it).len(), 1);
        // One that holds itself.
        let cycle = "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_wrapper_subclass\n\
             c__main__\nW\n(c__main__\nW\nctorch\nfloat32\n(t(tI0\nctorch\nstrided\nVcpu\nI00\nt(dp5\ntRp6\n0g5\nVme\ng6\ns0g6\n";
        let checkpoint = with_good(cycle, storages);
        let it = checkpoint.tensor("it").unwrap();
        let parts = checkpoint.parts(&it);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].tensor.as_ref().unwrap(), it.tensor());
        // Functions that name themselves.
        let selves = "ctorch._tensor\n_rebuild_from_type_v2\np0\n(g0\nNg0\nNtR";
        assert!(!unreadable(selves, storages).is_empty());
    };
    deep::on_a_small_stack(work);
}

#[test]
fn a_bomb_of_one_element_meets_the_limit() {
    let bomb = tensor("Long", "v", 1, 0, &[1 << 20, 1 << 20], &[0, 0]);
    let checkpoint = with_good(&bomb, &[("v", &ints(&[7]))]);
    let it = checkpoint.tensor("it").unwrap();
    for why in [
        it.to_bytes().map(drop).unwrap_err(),
        it.to_vec::<i64>().map(drop).unwrap_err(),
        it.cast::<half::f16>().map(drop).unwrap_err(),
    ] {
        assert!(matches!(why.kind(), Kind::Over(over) if over.limit == Limit::Materialised));
        assert_eq!(why.tensor(), Some("it"));
    }
    // What fits is had.
    let part = it.slice(0, 5..6).unwrap().slice(1, 0..3).unwrap();
    assert_eq!(it.part(&part).to_vec::<i64>().unwrap(), [7; 3]);
    let sum = it.elements::<i64>().map(|elements| elements.take(100_000).sum::<Result<i64, _>>());
    if cfg!(target_pointer_width = "64") {
        assert_eq!(sum.unwrap().unwrap(), 700_000);
    } else {
        // More elements than such a machine can count.
        assert!(matches!(sum.unwrap_err().kind(), Kind::BadTensor(Fault::Overflow)));
    }
    // A small sparse tensor may be a large dense one.
    let indices = tensor("Long", "i", 2, 0, &[2, 1], &[1, 1]);
    let values = tensor("Long", "v", 1, 0, &[1], &[1]);
    let sparse = sparse("sparse_coo", &(indices + &values), &[1 << 30, 1 << 29]);
    let checkpoint = with_good(&sparse, &[("v", &ints(&[7])), ("i", &ints(&[0, 0]))]);
    let why = checkpoint.tensor("it").unwrap().to_dense().map(drop).unwrap_err();
    assert!(matches!(why.kind(), Kind::Over(over) if over.limit == Limit::Materialised), "{why}");
}

/// Counts what is read.
struct Counting {
    bytes: bytes::Bytes,
    read: Arc<AtomicU64>,
}

impl Source for Counting {
    fn len(&self) -> u64 {
        Source::len(&self.bytes)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.read.fetch_add(into.len() as u64, Ordering::Relaxed);
        self.bytes.read_at(at, into)
    }
}

#[test]
fn a_slice_reads_its_own_bytes() {
    let (rows, columns) = (64_i64, 5000_i64);
    let numel = (rows * columns) as u64;
    let data: Vec<u8> = (0..numel as u32).flat_map(u32::to_le_bytes).collect();
    let pickle =
        format!("\u{80}\u{2}{}.", tensor("Int", "v", numel, 0, &[rows, columns], &[columns, 1]));
    let pickle: Vec<u8> = pickle.chars().map(|char| char as u8).collect();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let read = Arc::new(AtomicU64::new(0));
        let bytes = archive(&pickle, &[("v", &data)], method).into();
        let source = Counting { bytes, read: Arc::clone(&read) };
        let checkpoint = Options::default().read(source).unwrap();
        let tensor = checkpoint.tensor("").unwrap();
        let cost = |tensor: TensorRef| {
            let before = read.load(Ordering::Relaxed);
            let values = tensor.to_vec::<i32>().unwrap();
            (values, read.load(Ordering::Relaxed) - before)
        };
        // The header in front of the member, once to see whether it can be lent.
        let header = 128;
        let cuts = [
            // Whole rows; a few columns; one column; a row of a column; nothing.
            (tensor.slice(0, 7..9).unwrap(), 2 * 5000 * 4),
            (tensor.slice(1, 100..110).unwrap(), 64 * 10 * 4),
            (tensor.slice(1, 4999..5000).unwrap(), 64 * 4),
            (tensor.slice(1, 3..4).unwrap().slice(0, 63..64).unwrap(), 4),
            (tensor.slice(0, 3..3).unwrap(), 0),
        ];
        for (cut, wanted) in cuts {
            let (values, bytes) = cost(tensor.part(&cut));
            let first = cut.storage_offset() as i32;
            let width = cut.shape()[1] as i32;
            let want = (0..cut.numel() as i32).map(|i| first + i / width * 5000 + i % width);
            assert_eq!(values, want.collect::<Vec<i32>>());
            // Compressed members are inflated whole, once.
            if method == CompressionMethod::Stored {
                assert!(bytes <= wanted + header, "{cut:?}: {bytes} bytes for {wanted}");
            }
        }
    }
}

proptest! {
    #[test]
    fn all_ways_of_reading_agree_with_indices(
        dimensions in prop::collection::vec((0_i64..4, prop::sample::select(vec![0_i64, 1, 2, 5, 700])), 0..4),
        offset in 0_u64..5,
        kind in 0_usize..4,
        cut in (0_usize..4, 0_u64..4, 0_u64..4),
    ) {
        let (class, width) = [("Byte", 1), ("Short", 2), ("Float", 4), ("ComplexDouble", 16)][kind];
        let (shape, stride): (Vec<i64>, Vec<i64>) = dimensions.into_iter().unzip();
        let reach: i64 = shape.iter().zip(&stride).map(|(n, s)| (n - 1).max(0) * s).sum();
        let numel = reach as u64 + offset + 1;
        let data: Vec<u8> = (0..numel * width).map(|i| (i * 7 % 251) as u8).collect();
        let pickle = format!("\u{80}\u{2}{}.", tensor(class, "v", numel, offset, &shape, &stride));
        let pickle: Vec<u8> = pickle.chars().map(|char| char as u8).collect();
        let bytes = bytes::Bytes::from(archive(&pickle, &[("v", &data)], CompressionMethod::Stored));
        let counting = Counting { bytes: bytes.clone(), read: Arc::default() };
        for checkpoint in [Checkpoint::from_bytes(bytes).unwrap(), Options::default().read(counting).unwrap()] {
            let whole = checkpoint.tensor("").unwrap();
            let (axis, start, end) = cut;
            let sliced = whole.slice(axis, start..end);
            let fits = shape.get(axis).is_some_and(|&size| start <= end && end <= size as u64);
            prop_assert_eq!(sliced.is_ok(), fits);
            let view = sliced.unwrap_or_else(|_| whole.tensor().clone());
            let tensor = whole.part(&view);
            let mut want = Vec::new();
            for mut index in 0..view.numel() {
                let mut at = view.storage_offset();
                for (size, stride) in view.shape().iter().zip(view.stride()).rev() {
                    at += index % size * stride;
                    index /= size;
                }
                let start = (at * width) as usize;
                want.extend_from_slice(&data[start..start + width as usize]);
            }
            prop_assert_eq!(&*tensor.to_bytes().unwrap(), &want[..]);
            each_reading("", tensor, &sha256(&want));
            if class == "Short" {
                let elements: Result<Vec<i16>, _> = tensor.elements::<i16>().unwrap().collect();
                let elements: Vec<u8> = elements.unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
                prop_assert_eq!(elements, want);
            }
        }
    }
}

#[test]
fn tensors_of_the_oldest_files_are_read() {
    let storage = "(Vstorage\nctorch\nFloatStorage\nVv\nVcpu\nI2\ntQ";
    let data = [1.0_f32, 2.5].map(f32::to_le_bytes).concat();
    let old = format!("ctorch\nFloatTensor\n)\u{81}({storage}I0\n(I2\nt(I1\nttb");
    let called = format!("ctorch\nFloatTensor\n)R({storage}I0\n(I2\nt(I1\nttb");
    let parameter = format!("ctorch.nn.parameter\nParameter\n({old}t\u{81}(I00\nI00\nNtb");
    let variable = format!("ctorch.autograd.variable\nVariable\n)\u{81}({old}NNI01\nI00\ntb");
    let cpu = format!(
        "ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n({old}ctorch\nfloat32\nVxla:0\nI01\ntR"
    );
    for (it, parameter, grad, device) in [
        (&old, false, false, "cpu"),
        (&called, false, false, "cpu"),
        (&parameter, true, false, "cpu"),
        (&variable, false, true, "cpu"),
        (&cpu, false, true, "xla:0"),
    ] {
        let checkpoint = with_good(it, &[("v", &data)]);
        let tensor = checkpoint.tensor("it").unwrap();
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [1.0, 2.5], "{it}");
        assert_eq!((tensor.is_parameter(), tensor.requires_grad()), (parameter, grad), "{it}");
        assert_eq!(tensor.device(), device, "{it}");
    }
}

#[test]
fn limits_of_memory_hold_for_indices() {
    let limits = Limits::default().with_memory(1 << 20);
    let nested = format!(
        "ctorch._utils\n_rebuild_nested_tensor\n({}{}{}{}tR",
        tensor("Float", "v", 2, 0, &[2], &[1]),
        tensor("Long", "i", 1, 0, &[1 << 20, 2], &[0, 0]),
        tensor("Long", "i", 1, 0, &[1 << 20, 2], &[0, 0]),
        tensor("Long", "i", 1, 0, &[1 << 20], &[0])
    );
    let pickle: Vec<u8> = format!("\u{80}\u{2}{nested}.").chars().map(|char| char as u8).collect();
    let bytes = archive(&pickle, &[("v", &[0; 8]), ("i", &ints(&[0]))], CompressionMethod::Stored);
    let checkpoint = Options::default().limits(limits).read(bytes::Bytes::from(bytes)).unwrap();
    let why = checkpoint.tensor("").unwrap().nested().map(drop).unwrap_err();
    assert!(matches!(why.kind(), Kind::Over(over) if over.limit == Limit::Memory), "{why}");
}

#[test]
fn numbers_that_state_dicts_make_tensors_of_are_listed() {
    let checkpoint = open("quantized_model.pth");
    let record = record();
    let wanted = record["quantized_model"].as_object().unwrap();
    let list = checkpoint.tensors().unwrap();
    let names: Vec<&str> = list.iter().map(depickle::torch::Entry::name).collect();
    assert_eq!(names.len(), wanted.len(), "{names:?}");
    for (name, want) in wanted {
        compare(name, checkpoint.tensor(name).unwrap(), want);
    }
}

#[test]
fn objects_beside_the_model_are_listed_and_reachable() {
    let folder = common::fixture("checkpoints");
    let text = std::fs::read(folder.join("checkpoints.json")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    let checkpoint = Checkpoint::open(folder.join("objects.pth")).unwrap();
    let found = find_modules(checkpoint.root(), &mut depickle::Budget::default()).unwrap();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["model", "ema", "hyper_parameters.criterion", "hyper_parameters.layers.0"]);
    for (name, want) in record["modules"].as_object().unwrap() {
        let object = checkpoint.at(name).unwrap();
        let model = checkpoint.module_in(object).unwrap();
        assert_eq!(model.to_string(), want["repr"].as_str().unwrap(), "{name}");
        let hashes = want["state_dict"].as_object().unwrap();
        let list = checkpoint.tensors_in(object, Scope::StateDict).unwrap();
        assert_eq!(list.len(), hashes.len(), "{name}");
        for entry in &list {
            let bytes = entry.on(&checkpoint).unwrap().to_bytes().unwrap();
            assert_eq!(sha256(&bytes), hashes[entry.name()], "{name}.{}", entry.name());
        }
    }
    // The optimizer's state hangs on the parameters themselves: they are told apart by place.
    for (place, want) in record["exp_avg"].as_array().unwrap().iter().enumerate() {
        for at in ["optimizer", "scheduler.optimizer"] {
            let name = format!("{at}.state.<{place}>.exp_avg");
            let bytes = checkpoint.tensor(&name).unwrap().to_bytes().unwrap().into_owned();
            assert_eq!(sha256(&bytes), *want.as_str().unwrap(), "{name}");
            assert!(checkpoint.view(checkpoint.at(&name).unwrap()).is_some(), "{name}");
        }
    }
    let rate = checkpoint.at("scheduler._last_lr.0").unwrap().value();
    let rate = if let depickle::pickle::Value::Float(rate) = rate { Some(rate) } else { None };
    assert_eq!(rate, record["lr"][0].as_f64());
    let class = checkpoint.class_of(checkpoint.at("optimizer").unwrap());
    assert_eq!(class.as_deref(), Some("torch.optim.adamw.AdamW"));
}
