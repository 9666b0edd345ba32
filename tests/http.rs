//! The example that reads over HTTP: listing a file of a gigabyte fetches its index only.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

#[path = "../examples/http.rs"]
mod http;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use depickle::Budget;
use depickle::pickle::{Encoder, GraphBuilder, NodeId};
use depickle::torch::Options;

const GIB: u64 = 1 << 30;

/// Serves one file, whole or in ranges, until the process ends.
fn serve(path: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let path = path.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, path) = (stream.unwrap(), path.clone());
            thread::spawn(move || answer(stream, &path));
        }
    });
    format!("http://{address}/model.pth")
}

fn answer(stream: TcpStream, path: &Path) {
    let mut file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes="));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
            let head =
                format!("HTTP/1.1 200 OK\r\naccept-ranges: bytes\r\ncontent-length: {len}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            assert!(lines[0].starts_with("head "), "the whole file was asked for");
            continue;
        };
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        let mut body = vec![0; usize::try_from(last + 1 - first).unwrap()];
        file.seek(SeekFrom::Start(first)).unwrap();
        file.read_exact(&mut body).unwrap();
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {first}-{last}/{len}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
    }
}

/// A state dict of float32 vectors, each on a storage of its own.
fn pickle(tensors: &[(&str, u64)]) -> Vec<u8> {
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let mut pairs = Vec::new();
    for (key, (name, numel)) in tensors.iter().enumerate() {
        let numel = build.int(i64::try_from(*numel).unwrap()).unwrap();
        let parts = ["storage", "", &key.to_string(), "cpu"].map(|text| build.text(text).unwrap());
        let class = build.global("torch", "FloatStorage").unwrap();
        let id = build.tuple(&[parts[0], class, parts[2], parts[3], numel]).unwrap();
        let storage = build.persistent(id).unwrap();
        let (zero, one) = (build.int(0).unwrap(), build.int(1).unwrap());
        let (size, stride) = (build.tuple(&[numel]).unwrap(), build.tuple(&[one]).unwrap());
        let (class, none) =
            (build.global("collections", "OrderedDict").unwrap(), build.tuple(&[]).unwrap());
        let hooks = build.call(class, none).unwrap();
        let grad = build.bool(false);
        let args = build.tuple(&[storage, zero, size, stride, grad, hooks]).unwrap();
        let function = build.global("torch._utils", "_rebuild_tensor_v2").unwrap();
        let tensor = build.call(function, args).unwrap();
        pairs.push((build.text(name).unwrap(), tensor));
    }
    let root: NodeId = build.dict(&pairs).unwrap();
    let graph = build.finish(root);
    Encoder::new(2).to_vec(graph.root().unwrap(), &mut budget).unwrap()
}

/// A zip archive whose members are written where they are not zeros, so that it takes hardly any
/// room on disk.
fn sparse_zip(path: &Path, members: &[(&str, Vec<u8>, u64)]) {
    let mut file = File::create(path).unwrap();
    let (mut directory, mut at) = (Vec::new(), 0_u64);
    for (name, data, len) in members {
        let mut fields = Vec::new();
        for field in [20_u16, 0, 0, 0, 0] {
            fields.extend(field.to_le_bytes());
        }
        let len32 = u32::try_from(*len).unwrap();
        for field in [0, len32, len32] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        fields.extend(0_u16.to_le_bytes());
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[b"PK\x03\x04", &fields[..], name.as_bytes(), data].concat()).unwrap();
        let offset = u32::try_from(at).unwrap().to_le_bytes();
        let entry = [b"PK\x01\x02\x14\0", &fields[..], &[0; 10], &offset, name.as_bytes()];
        directory.extend(entry.concat());
        at += 30 + name.len() as u64 + len;
    }
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&directory).unwrap();
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let (len, at) = (u32::try_from(directory.len()).unwrap(), u32::try_from(at).unwrap());
    let end =
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &len.to_le_bytes(), &at.to_le_bytes(), &[0; 2]];
    file.write_all(&end.concat()).unwrap();
}

fn gigabyte() -> PathBuf {
    let path = std::env::temp_dir().join(format!("depickle-http-{}.pth", std::process::id()));
    let small: Vec<u8> =
        [1.5_f32, -2.0, 3.25].iter().flat_map(|value| value.to_le_bytes()).collect();
    let data = pickle(&[("big", GIB / 4), ("small", 3)]);
    let len = data.len() as u64;
    sparse_zip(
        &path,
        &[
            ("model/data.pkl", data, len),
            ("model/data/0", Vec::new(), GIB),
            ("model/data/1", small, 12),
            ("model/version", b"3\n".to_vec(), 2),
        ],
    );
    path
}

#[test]
fn listing_a_gigabyte_fetches_less_than_a_hundredth_of_it() {
    let path = gigabyte();
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len > GIB);
    let url = serve(&path);
    let (lines, fetched) = http::list(&url).unwrap();
    assert_eq!(lines, ["big float32 [268435456]", "small float32 [3]"]);
    assert!(fetched * 100 < len, "{fetched} of {len}");
    // It is the end of the archive and the pickle, in truth.
    assert!(fetched < 128 << 10, "{fetched}");

    // Reading one tensor fetches that one.
    let source = http::HttpSource::open(&url).unwrap();
    let counter = source.fetched();
    let checkpoint = Options::default().read(source).unwrap();
    let before = counter.load(Ordering::Relaxed);
    let small: Vec<f32> = checkpoint.tensor("small").unwrap().to_vec().unwrap();
    assert_eq!(small, [1.5, -2.0, 3.25]);
    let more = counter.load(Ordering::Relaxed) - before;
    assert!(more < 1 << 10, "{more}");
    std::fs::remove_file(&path).unwrap();
}
