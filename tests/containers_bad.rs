//! Containers that lie: each costs what it lies about, and nothing else.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

mod common;

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use depickle::container::Tar;
use depickle::pickle::{Encoder, GraphBuilder, NodeId};
use depickle::torch::{Checkpoint, Options, Scope};
use depickle::{Budget, Category, Limits};

use common::{fixture, rezip};

fn container(name: &str) -> PathBuf {
    fixture("containers").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(container(name)).unwrap()
}

fn refused(bytes: Vec<u8>) -> String {
    Checkpoint::from_bytes(bytes).map(drop).unwrap_err().to_string()
}

/// Each tensor's name, and why it cannot be read if so.
fn listed(checkpoint: &Checkpoint) -> Vec<(String, Option<String>)> {
    let list = checkpoint.tensors().unwrap();
    let entry = |entry: &depickle::torch::Entry| {
        let why = entry.on(checkpoint).map(drop).err().map(|why| why.to_string());
        (entry.name().to_owned(), why)
    };
    list.iter().map(entry).collect()
}

/// The reasons for which tensors cannot be read, by name.
fn unreadable(checkpoint: &Checkpoint) -> Vec<(String, String)> {
    listed(checkpoint).into_iter().filter_map(|(name, why)| Some((name, why?))).collect()
}

fn small() -> Options {
    Options::default().limits(Limits::default().with_memory(16 << 20))
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("depickle-containers-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn copy_of(name: &str) -> Self {
        let folder = Self::new();
        for entry in fs::read_dir(container(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        folder
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// tar

struct Member<'a> {
    name: &'a str,
    kind: u8,
    size: Vec<u8>,
    data: Vec<u8>,
}

fn member<'a>(name: &'a str, data: &[u8]) -> Member<'a> {
    let size = format!("{:011o}\0", data.len()).into_bytes();
    Member { name, kind: b'0', size, data: data.to_vec() }
}

fn tar(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let mut header = vec![0; 512];
        header[..member.name.len()].copy_from_slice(member.name.as_bytes());
        header[124..136].copy_from_slice(&member.size);
        header[148..156].fill(b' ');
        header[156] = member.kind;
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(header);
        out.extend(&member.data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// The members of the real archive.
fn tar_members() -> Vec<(String, Vec<u8>)> {
    let bytes = read("tar.pth");
    let tar = Tar::open(&bytes::Bytes::from(bytes.clone()), &mut Budget::default()).unwrap();
    let part = |member: &depickle::container::TarMember| {
        let data = member.data.unwrap();
        let start = usize::try_from(data.at.0).unwrap();
        let data = bytes[start..start + usize::try_from(data.len).unwrap()].to_vec();
        (String::from_utf8_lossy(&member.name).into_owned(), data)
    };
    tar.members().iter().map(part).collect()
}

/// The real archive with one member changed.
fn tar_with(change: impl Fn(&str, &mut Member)) -> Vec<u8> {
    let parts = tar_members();
    let mut members: Vec<Member> = parts.iter().map(|(name, data)| member(name, data)).collect();
    for member in &mut members {
        change(member.name, member);
    }
    tar(&members)
}

#[test]
fn a_tar_packed_anew_is_read() {
    let checkpoint = Checkpoint::from_bytes(tar_with(|_, _| {})).unwrap();
    assert_eq!(listed(&checkpoint).len(), 8);
    assert_eq!(unreadable(&checkpoint), []);
}

#[test]
fn sizes_that_tar_headers_lie_about_are_refused() {
    let with_size = |size: &[u8; 12]| {
        refused(tar_with(|name, member| {
            if name == "storages" {
                member.size = size.to_vec();
            }
        }))
    };
    for huge in [b"77777777777\0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"] {
        let why = with_size(huge);
        assert!(why.contains("reach past the file's end"), "{why}");
    }
    for odd in [
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"-0000000010\0",
        b"0x400\0\0\0\0\0\0\0",
    ] {
        let why = with_size(odd);
        assert!(why.contains("a size is no number"), "{why}");
    }
}

#[test]
fn links_and_sparse_members_have_no_data() {
    for kind in [b'1', b'2', b'5', b'S'] {
        let why = refused(tar_with(|name, member| {
            if name == "storages" {
                member.kind = kind;
                if kind != b'S' {
                    member.data.clear();
                }
            }
        }));
        assert!(why.contains("a link or sparse member"), "{why}");
    }
    // The newer way to say it, in an extended header: 2.5 KB that unpack to a terabyte.
    let record = b"27 GNU.sparse.realsize=1e12\n";
    let pax = Member { kind: b'x', ..member("pax", &record[..]) };
    let mut members = vec![pax, member("storages", b"0")];
    members.extend([member("tensors", b""), member("pickle", b"")]);
    assert!(record.len() == 28, "the record says its own length");
    let why = refused(tar(&members));
    assert!(why.contains("damaged extended header"), "{why}");
    members[0] = Member { kind: b'x', ..member("pax", b"28 GNU.sparse.realsize=1e12\n") };
    let why = refused(tar(&members));
    assert!(why.contains("a link or sparse member"), "{why}");
}

#[test]
fn tars_that_are_no_checkpoint_are_said_to_be_none() {
    let why = refused(tar(&[member("README", b"hello")]));
    assert!(why.contains("not one that PyTorch before 0.1.10 wrote"), "{why}");
    let parts = tar_members();
    let mut members: Vec<Member> = parts.iter().map(|(name, data)| member(name, data)).collect();
    members.push(member("./pickle", b"N."));
    let why = refused(tar(&members));
    assert!(why.contains("readers disagree on which member"), "{why}");
    let mut damaged = read("tar.pth");
    let second = damaged.iter().skip(512).position(|&byte| byte == b's').unwrap() + 512;
    damaged[second] = b'z';
    assert!(!refused(damaged).is_empty());
}

#[test]
fn a_tar_cut_anywhere_is_refused_or_lists_what_is_lost() {
    let whole = read("tar.pth");
    for len in (0..whole.len()).step_by(61) {
        let Ok(checkpoint) = small().read(bytes::Bytes::from(whole[..len].to_vec())) else {
            continue;
        };
        assert_eq!(listed(&checkpoint).len(), 8, "{len}");
    }
}

#[test]
fn counts_and_ranks_in_a_tar_cost_nothing() {
    // A count of 2³¹ − 1 storages, of which there are none.
    let why = refused(tar_with(|name, member| {
        if name == "storages" {
            *member = self::member("storages", b"\x80\x02J\xff\xff\xff\x7f.");
        }
    }));
    assert!(why.contains("in storages"), "{why}");
    // A rank of 2³¹ − 1 or below zero: the tensors before it can be read.
    for rank in [i32::MAX, -1] {
        let bytes = tar_with(|name, member| {
            if name == "tensors" {
                let at = last_tensor(&member.data);
                member.data[at..at + 4].copy_from_slice(&rank.to_le_bytes());
            }
        });
        let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
        let lost = unreadable(&checkpoint);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(lost[0].1.contains("a tensor's sizes are cut off"), "{}", lost[0].1);
    }
}

/// Where the binary part of the last tensor begins: rank 2, then (2, 1), strides, offset.
fn last_tensor(tensors: &[u8]) -> usize {
    tensors.len() - 4 - 4 - 16 - 16 - 8
}

// Files embedded in pickles

fn embedded_in(bytes: &[u8], depth: usize) -> Vec<u8> {
    let mut inner = bytes.to_vec();
    for _ in 0..depth {
        let mut budget = Budget::default();
        let mut build = GraphBuilder::new(&mut budget);
        let function = build.global("torch.storage", "_load_from_bytes").unwrap();
        let inner_bytes = build.bytes(&inner).unwrap();
        let args = build.tuple(&[inner_bytes]).unwrap();
        let call = build.call(function, args).unwrap();
        let key = build.text("x").unwrap();
        let root = build.dict(&[(key, call)]).unwrap();
        let graph = build.finish(root);
        inner = Encoder::new(4).to_vec(graph.root().unwrap(), &mut budget).unwrap();
    }
    inner
}

#[test]
fn embedded_files_are_followed_to_a_depth() {
    let inner = fs::read(fixture("tensor.pth")).unwrap();
    let checkpoint = Checkpoint::from_bytes(embedded_in(&inner, 3)).unwrap();
    let [(name, None)] = &listed(&checkpoint)[..] else { panic!("{:?}", listed(&checkpoint)) };
    assert_eq!(name, "x.x.x");
    let values: Vec<f32> = checkpoint.tensor("x.x.x").unwrap().to_vec().unwrap();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let checkpoint = Checkpoint::from_bytes(embedded_in(&inner, 40)).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].1.contains("more than 8 deep"), "{}", lost[0].1);
}

#[test]
fn many_calls_on_the_same_bytes_open_them_once() {
    // Each level calls a hundred times on the level below: 100⁸ files if each were opened.
    let mut inner = fs::read(fixture("tensor.pth")).unwrap();
    for _ in 0..8 {
        let mut budget = Budget::default();
        let mut build = GraphBuilder::new(&mut budget);
        let function = build.global("torch.storage", "_load_from_bytes").unwrap();
        let bytes = build.bytes(&inner).unwrap();
        let args = build.tuple(&[bytes]).unwrap();
        let calls: Vec<NodeId> = (0..100).map(|_| build.call(function, args).unwrap()).collect();
        let root = build.list(&calls).unwrap();
        let graph = build.finish(root);
        inner = Encoder::new(4).to_vec(graph.root().unwrap(), &mut budget).unwrap();
    }
    let checkpoint = Checkpoint::from_bytes(inner).unwrap();
    assert!(checkpoint.graph().len() < 10_000, "{}", checkpoint.graph().len());
    // Listing them all is another matter, and bounded too.
    let why = checkpoint.tensors().map(drop).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit, "{why}");
}

#[test]
fn one_embedded_file_that_is_damaged_hides_no_other() {
    let whole = read("embedded_4.pkl");
    // The magic number of the second embedded file.
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let places: Vec<usize> =
        (0..whole.len() - 10).filter(|&at| whole[at..at + 10] == magic).collect();
    // One for each tensor: views do not share in such pickles.
    assert_eq!(places.len(), 4);
    let mut damaged = whole.clone();
    damaged[places[1]] ^= 0xff;
    let checkpoint = Checkpoint::from_bytes(damaged).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["turned"]);
    assert!(lost[0].1.contains("a storage wanted"), "{}", lost[0].1);
    // Cut short, so that it is no pickle at all.
    damaged = whole.clone();
    damaged[places[1] - 4..places[1]].fill(b'?');
    let checkpoint = Checkpoint::from_bytes(damaged).unwrap();
    assert!(unreadable(&checkpoint)[0].1.contains("embedded in the pickle"));
    assert_eq!(listed(&checkpoint).len(), 4);
}

#[test]
fn pickles_of_protocol_0_are_no_text_files() {
    let checkpoint = Checkpoint::from_bytes(&b"(dp0\nVa\np1\nI3\ns."[..]).unwrap();
    assert_eq!(checkpoint.root().as_dict().unwrap().get("a").unwrap().as_int(), Some(3));
    assert!(refused(b"Note. This is text.".to_vec()).contains("a text file"));
}

#[test]
fn pickles_behind_the_first_stand_beside_it() {
    let whole = [read("embedded_4.pkl"), read("embedded_5.pkl"), b"\x80\x02]trailing".to_vec()];
    let checkpoint = Checkpoint::from_bytes(whole.concat()).unwrap();
    assert_eq!(listed(&checkpoint).len(), 4);
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
    assert_eq!(list.len(), 8);
    let name = |name: &str| list.find(name).unwrap().on(&checkpoint).unwrap();
    assert_eq!(name("pickle1.turned").to_bytes().unwrap(), name("turned").to_bytes().unwrap());
    let evil = [read("embedded_4.pkl"), b"\x80\x02cos\nsystem\n(S'true'\ntR.".to_vec()];
    let why = Checkpoint::from_bytes(evil.concat()).map(drop).unwrap_err();
    assert_eq!(why.category(), Category::Forbidden, "{why}");
    // A stream is one pickle after another: many of them take their room, no more.
    let many = b"\x80\x02N.".repeat(200_000);
    let checkpoint = Checkpoint::from_bytes(many).unwrap();
    assert_eq!(checkpoint.others().len(), 199_999);
}

#[test]
fn embedded_files_are_refused_by_the_policy_too() {
    let evil = b"cos\nsystem\n(S'true'\ntR.";
    let checkpoint = Checkpoint::from_bytes(embedded_in(evil, 1));
    let why = checkpoint.map(drop).unwrap_err();
    assert_eq!(why.category(), Category::Forbidden, "{why}");
}

// Indexes of shards

fn index(folder: &Path, json: &str) -> PathBuf {
    let path = folder.join("pytorch_model.bin.index.json");
    fs::write(&path, json).unwrap();
    path
}

#[test]
fn indexes_lead_nowhere_else() {
    let folder = Folder::copy_of("sharded");
    let outside = Folder::new();
    fs::write(outside.join("other.bin"), fs::read(fixture("tensor.pth")).unwrap()).unwrap();
    let absolute = outside.join("other.bin").display().to_string();
    for name in
        ["../../etc/passwd", "..", "/etc/passwd", &absolute, "a/../../b", "", "C:\\x", "a\\\\b"]
    {
        let name = name.replace('\\', "\\\\");
        let json = format!(
            r#"{{"weight_map": {{"x": "{name}", "a.bias": "pytorch_model-00001-of-00002.bin"}}}}"#
        );
        let checkpoint = Checkpoint::open(index(&folder, &json)).unwrap();
        let lost = unreadable(&checkpoint);
        assert_eq!(lost.len(), 1, "{name}: {lost:?}");
        assert!(lost[0].1.contains("not in its folder"), "{name}: {}", lost[0].1);
        assert_eq!(listed(&checkpoint).len(), 2, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_a_folder_are_not_followed_but_in_the_cache() {
    use std::os::unix::fs::symlink;
    let outside = Folder::new();
    let shard = fs::read(container("sharded/pytorch_model-00001-of-00002.bin")).unwrap();
    fs::write(outside.join("other.bin"), &shard).unwrap();
    let folder = Folder::new();
    symlink(outside.join("other.bin"), folder.join("link.bin")).unwrap();
    let json = r#"{"weight_map": {"a.bias": "link.bin"}}"#;
    let checkpoint = Checkpoint::open(index(&folder, json)).unwrap();
    assert!(unreadable(&checkpoint)[0].1.contains("not in its folder"));
    // models--x/snapshots/REVISION/… → models--x/blobs/HASH
    let (snapshot, blobs) =
        (folder.join("models--x/snapshots/main"), folder.join("models--x/blobs"));
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join("1234"), &shard).unwrap();
    symlink("../../blobs/1234", snapshot.join("link.bin")).unwrap();
    let checkpoint = Checkpoint::open(index(&snapshot, json)).unwrap();
    assert_eq!(unreadable(&checkpoint), []);
    assert_eq!(listed(&checkpoint).len(), 1);
}

#[test]
fn a_missing_shard_costs_its_own_tensors() {
    let folder = Folder::copy_of("sharded");
    fs::remove_file(folder.join("pytorch_model-00001-of-00002.bin")).unwrap();
    let checkpoint = Checkpoint::open(&*folder).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a.weight", "a.bias"]);
    assert!(lost[0].1.contains("pytorch_model-00001-of-00002.bin"), "{}", lost[0].1);
    assert_eq!(listed(&checkpoint).len(), 4);
    let values: Vec<i64> = checkpoint.tensor("c").unwrap().to_vec().unwrap();
    assert_eq!(values, [0, 1, 2, 3]);
}

#[test]
fn a_tensor_that_its_shard_lacks_is_said() {
    let folder = Folder::copy_of("sharded");
    let json = r#"{"weight_map": {"a.bias": "pytorch_model-00001-of-00002.bin",
        "z": "pytorch_model-00001-of-00002.bin"}}"#;
    let checkpoint = Checkpoint::open(index(&folder, json)).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].1.contains("no tensor is named \"z\""), "{}", lost[0].1);
}

#[test]
fn indexes_of_damaged_safetensors_say_what_is_wrong() {
    let folder = Folder::new();
    let mut file = 40_u64.to_le_bytes().to_vec();
    file.extend(br#"{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#);
    fs::write(folder.join("model.safetensors"), file).unwrap();
    let json = r#"{"weight_map": {"x": "model.safetensors"}}"#;
    let checkpoint = Checkpoint::open(index(&folder, json)).unwrap();
    let lost = unreadable(&checkpoint);
    assert!(lost[0].1.contains("no sound safetensors file"), "{lost:?}");
}

#[test]
fn json_that_is_no_index_is_said_to_be_none() {
    let folder = Folder::new();
    for (json, want) in [
        (r#"{"model_type": "bert"}"#, "without a `weight_map`"),
        (r#"{"weight_map": 3}"#, "without a `weight_map`"),
        (r#"{"weight_map": {"x": 3}}"#, "without a `weight_map`"),
        (r#"{"weight_map": {"x": "#, "no JSON text"),
        (&format!(r#"{{"a": {}{}}}"#, "[".repeat(9999), "]".repeat(9999)), "no JSON text"),
    ] {
        let why = Checkpoint::open(index(&folder, json)).map(drop).unwrap_err().to_string();
        assert!(why.contains(want), "{why}");
    }
    let long = format!(r#"{{"weight_map": {{{}"x": "y"}}}}"#, r#""a": "b","#.repeat(100_000));
    let why = small().open(index(&folder, &long)).map(drop).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit, "{why}");
}

// Distributed checkpoints

/// What the metadata say of one chunk.
#[derive(Clone)]
struct Chunk {
    offsets: Vec<i64>,
    sizes: Vec<i64>,
    file: String,
    at: i64,
    len: i64,
}

/// A folder of one float32 tensor, whose chunks are what they are said to be or not.
fn metadata(shape: &[i64], chunks: &[Chunk]) -> Vec<u8> {
    const MODULE: &str = "torch.distributed.checkpoint.metadata";
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let none = build.tuple(&[]).unwrap();
    let instance =
        |build: &mut GraphBuilder, module: &str, class: &str, fields: &[(&str, NodeId)]| {
            let class = build.global(module, class).unwrap();
            let object = build.instance(class, none).unwrap();
            let pairs: Vec<_> =
                fields.iter().map(|(name, value)| (build.text(name).unwrap(), *value)).collect();
            let state = build.dict(&pairs).unwrap();
            build.set_state(object, state).unwrap();
            object
        };
    let size = |build: &mut GraphBuilder, sizes: &[i64]| {
        let ids: Vec<NodeId> = sizes.iter().map(|&size| build.int(size).unwrap()).collect();
        let (class, sizes) = (build.global("torch", "Size").unwrap(), build.tuple(&ids).unwrap());
        let args = build.tuple(&[sizes]).unwrap();
        build.call(class, args).unwrap()
    };
    let fqn = build.text("w").unwrap();
    let mut listed = Vec::new();
    let mut places = Vec::new();
    for chunk in chunks {
        let (offsets, sizes) = (size(&mut build, &chunk.offsets), size(&mut build, &chunk.sizes));
        let fields = [("offsets", offsets), ("sizes", sizes)];
        listed.push(instance(&mut build, MODULE, "ChunkStorageMetadata", &fields));
        let index =
            instance(&mut build, MODULE, "MetadataIndex", &[("fqn", fqn), ("offset", offsets)]);
        let (file, at, len) = (
            build.text(&chunk.file).unwrap(),
            build.int(chunk.at).unwrap(),
            build.int(chunk.len).unwrap(),
        );
        let fields = [("relative_path", file), ("offset", at), ("length", len)];
        let info = instance(
            &mut build,
            "torch.distributed.checkpoint.filesystem",
            "_StorageInfo",
            &fields,
        );
        places.push((index, info));
    }
    let class = build.global(MODULE, "TensorProperties").unwrap();
    let properties = build.instance(class, none).unwrap();
    let (dtype, grad) = (build.global("torch", "float32").unwrap(), build.bool(false));
    let state = build.tuple(&[dtype, none, grad, none, grad]).unwrap();
    build.set_state(properties, state).unwrap();
    let shape = size(&mut build, shape);
    let chunks = build.list(&listed).unwrap();
    let fields = [("properties", properties), ("size", shape), ("chunks", chunks)];
    let tensor = instance(&mut build, MODULE, "TensorStorageMetadata", &fields);
    let tensors = build.dict(&[(fqn, tensor)]).unwrap();
    let places = build.dict(&places).unwrap();
    let fields = [("state_dict_metadata", tensors), ("storage_data", places)];
    let root = instance(&mut build, MODULE, "Metadata", &fields);
    let graph = build.finish(root);
    Encoder::new(4).to_vec(graph.root().unwrap(), &mut budget).unwrap()
}

/// Where the chunk of the fixture's tensor of 3 × 4 lies.
const FILE: &str = "__0_0.distcp";

fn chunk(offsets: &[i64], sizes: &[i64], at: i64, len: i64) -> Chunk {
    Chunk { offsets: offsets.to_vec(), sizes: sizes.to_vec(), file: FILE.to_owned(), at, len }
}

fn opened(shape: &[i64], chunks: &[Chunk]) -> (Folder, Checkpoint) {
    let folder = Folder::copy_of("dcp_one");
    fs::write(folder.join(".metadata"), metadata(shape, chunks)).unwrap();
    let checkpoint = small().open(&*folder).unwrap();
    (folder, checkpoint)
}

fn why(shape: &[i64], chunks: &[Chunk]) -> String {
    let (_folder, checkpoint) = opened(shape, chunks);
    let lost = unreadable(&checkpoint);
    let [(name, why)] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!(name, "w");
    why.clone()
}

#[test]
fn chunks_must_tile_their_tensor() {
    let rows = |rows: [(i64, i64); 2]| {
        let mut at = -100;
        rows.map(|(start, len)| {
            at += 100;
            chunk(&[start, 0], &[len, 2], at, 100)
        })
    };
    assert!(why(&[4, 2], &rows([(0, 2), (1, 3)])).contains("two of its chunks overlap"));
    assert!(why(&[4, 2], &rows([(0, 2), (3, 1)])).contains("leave a hole"));
    assert!(why(&[4, 2], &rows([(0, 2), (2, 3)])).contains("reaches out of it"));
    assert!(why(&[4, 2], &rows([(0, 2), (2, 2)])[..1]).contains("leave a hole"));
    assert!(why(&[4], &rows([(0, 2), (2, 2)])).contains("sizes but"));
    assert!(why(&[4, 2], &rows([(-1, 2), (2, 2)])).contains("-1"));
    let huge = chunk(&[0, 0], &[1 << 40, 1 << 40], 0, 100);
    assert!(why(&[1 << 40, 1 << 40], &[huge]).contains("exceeds 64 bits"));
    // Sizes that balance: two overlap where a third is missing.
    let three = [
        chunk(&[0, 0], &[2, 1], 0, 100),
        chunk(&[0, 0], &[1, 2], 100, 100),
        chunk(&[1, 1], &[1, 1], 200, 100),
    ];
    assert!(!why(&[2, 2], &three).is_empty());
}

#[test]
fn chunks_lie_in_their_files() {
    let one = |at, len| why(&[2], &[chunk(&[0], &[2], at, len)]);
    assert!(one(0, 1 << 40).contains("behind the end of its file"));
    assert!(one(1 << 40, 8).contains("behind the end of its file"));
    assert!(one(i64::MAX, i64::MAX).contains("behind the end"), "{}", one(i64::MAX, i64::MAX));
    assert!(one(0, 7).contains("fewer bytes than elements"));
    assert!(one(-1, 8).contains("-1"));
    for name in ["../x", "/etc/passwd", "no_such_file"] {
        let lost = why(&[2], &[Chunk { file: name.to_owned(), ..chunk(&[0], &[2], 0, 100) }]);
        let known = lost.contains("not in its folder") || lost.contains("no_such_file");
        assert!(known, "{lost}");
    }
    let shared = [chunk(&[0], &[1], 0, 100), chunk(&[1], &[1], 50, 100)];
    assert!(why(&[2], &shared).contains("shares bytes with another"));
}

#[test]
fn a_chunk_that_is_another_tensor_is_found_when_it_is_read() {
    // All that is known without reading it agrees.
    let (_folder, checkpoint) = opened(&[2], &[chunk(&[0], &[2], 0, 1000)]);
    assert_eq!(unreadable(&checkpoint), []);
    let why = checkpoint.tensor("w").unwrap().to_vec::<f32>().unwrap_err().to_string();
    assert!(why.contains("\"w\""), "{why}");
    let verified = checkpoint.verify().unwrap();
    assert!(!verified.is_sound());
}

#[test]
fn a_hundred_thousand_chunks_are_bounded() {
    // One element each, all in one file that has not so many bytes.
    let many: Vec<Chunk> = (0..100_000).map(|index| chunk(&[index], &[1], index, 1)).collect();
    let folder = Folder::copy_of("dcp_one");
    fs::write(folder.join(".metadata"), metadata(&[100_000], &many)).unwrap();
    let why = small().open(&*folder).map(drop).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit, "{why}");
    let checkpoint = Checkpoint::open(&*folder).unwrap();
    assert_eq!(unreadable(&checkpoint).len(), 1);
}

// Archives of other writers

#[test]
fn damaged_code_costs_only_what_it_says() {
    let damaged = rezip(&read("script.pt"), |name, data| {
        Some(if name.contains("/code/") { b"class X(Module)\0\xff".to_vec() } else { data })
    });
    let checkpoint = Checkpoint::from_bytes(damaged).unwrap();
    assert_eq!(unreadable(&checkpoint), []);
    assert!(listed(&checkpoint).iter().any(|(name, _)| name == "linear.weight"));
    let without = rezip(&read("script.pt"), |name, data| {
        (!name.contains("/code/") && !name.ends_with("constants.pkl")).then_some(data)
    });
    let checkpoint = Checkpoint::from_bytes(without).unwrap();
    assert_eq!(unreadable(&checkpoint), []);
}

#[test]
fn one_damaged_pickle_of_a_package_hides_no_other() {
    let damaged = rezip(&read("package.pt"), |name, data| {
        Some(if name.ends_with("model.pkl") { data[..40].to_vec() } else { data })
    });
    let checkpoint = Checkpoint::from_bytes(damaged).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].0, "model/model.pkl");
    assert_eq!(listed(&checkpoint).len(), 3);
}

#[test]
fn what_export_json_says_is_checked() {
    let with = |from: &str, to: &str| {
        let changed = rezip(&read("export.pt2"), |name, data| {
            let text = String::from_utf8(data);
            Some(match text {
                Ok(text) if name.ends_with("weights_config.json") => {
                    assert!(text.contains(from), "{text}");
                    text.replacen(from, to, 1).into_bytes()
                }
                Ok(text) => text.into_bytes(),
                Err(bytes) => bytes.into_bytes(),
            })
        });
        let checkpoint = Checkpoint::from_bytes(changed).unwrap();
        let lost = unreadable(&checkpoint);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(listed(&checkpoint).len() > 3);
        lost[0].1.clone()
    };
    let why = with("\"weight_0\"", "\"../../../etc/passwd\"");
    assert!(why.contains("no data for its storage"), "{why}");
    let why = with("\"dtype\": 7", "\"dtype\": 99");
    assert!(why.contains("99"), "{why}");
    let why = with("\"layout\": 7", "\"layout\": 1");
    assert!(why.contains("another layout"), "{why}");
    let why = with("{\"as_int\": 4}", "{\"as_int\": 4611686018427387904}");
    assert!(why.contains("64 bits"), "{why}");
    let why = with("{\"as_int\": 4}", "{\"as_expr\": \"s0\"}");
    assert!(why.contains("no number"), "{why}");
    let why = with("{\"as_int\": 4}", "{\"as_int\": 400}");
    assert!(why.contains("its storage has"), "{why}");
}

#[test]
fn marks_of_other_writers_beside_a_data_pkl_change_nothing() {
    // `torch.load` looks for `data.pkl` only: so does this.
    let bytes = fs::read(fixture("mlp_state_dict.pth")).unwrap();
    let mut marked = rezip(&bytes, |_, data| Some(data));
    for mark in [".data/extern_modules", "archive_format"] {
        marked = rezip(&marked, |name, data| {
            Some(if name.ends_with("serialization_id") { mark.as_bytes().to_vec() } else { data })
        });
        let checkpoint = Checkpoint::from_bytes(marked.clone()).unwrap();
        assert_eq!(checkpoint.container().name(), "zip");
    }
}

// Archives of torch.save, packed again

#[test]
fn root_folders_of_every_length_are_read() {
    let whole = read("zip_comment.pth");
    let plain = Checkpoint::from_bytes(whole.clone()).unwrap();
    for len in 1..=64 {
        let root = "r".repeat(len);
        let renamed = renamed(&whole, &root);
        let checkpoint = Checkpoint::from_bytes(renamed).unwrap();
        assert_eq!(listed(&checkpoint), listed(&plain), "{len}");
        let turned = |checkpoint: &Checkpoint| -> Vec<f32> {
            checkpoint.tensor("turned").unwrap().to_vec().unwrap()
        };
        assert_eq!(turned(&checkpoint), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{len}");
        assert!(checkpoint.verify().unwrap().is_sound(), "{len}");
    }
}

fn renamed(bytes: &[u8], root: &str) -> Vec<u8> {
    use std::io::{Cursor, Read, Write};
    let mut from = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut to = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for index in 0..from.len() {
        let mut member = from.by_index(index).unwrap();
        let name = member.name().unwrap().replace("archive/", &format!("{root}/"));
        let mut data = Vec::new();
        member.read_to_end(&mut data).unwrap();
        // Alignments from 1 to 64.
        let alignment = 1_u16 << (index % 7);
        to.start_file(name, stored.with_alignment(alignment)).unwrap();
        to.write_all(&data).unwrap();
    }
    to.finish().unwrap().into_inner()
}

#[test]
fn what_pytorch_refuses_is_read_where_nothing_is_in_doubt() {
    let values = |name: &str| {
        let checkpoint = Checkpoint::open(container(name)).unwrap();
        let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
        let read = |entry: &depickle::torch::Entry| {
            (
                entry.name().to_owned(),
                entry.on(&checkpoint).unwrap().to_bytes().unwrap().into_owned(),
            )
        };
        list.iter().map(read).collect::<Vec<_>>()
    };
    let plain = values("zip_comment.pth");
    assert_eq!(values("zip_no_root.pth"), plain);
    assert_eq!(values("zip_nested_root.pth"), plain);
}

#[test]
fn a_changed_byte_is_found_by_verify() {
    let whole = read("zip_comment.pth");
    let checkpoint = Checkpoint::from_bytes(whole.clone()).unwrap();
    assert!(checkpoint.verify().unwrap().is_sound());
    let data = checkpoint.tensor("base").unwrap();
    let raw = data.to_bytes().unwrap().into_owned();
    let at = whole.windows(raw.len()).position(|window| window == raw).unwrap();
    let mut changed = whole.clone();
    changed[at + 5] ^= 1;
    let checkpoint = Checkpoint::from_bytes(changed).unwrap();
    let verified = checkpoint.verify().unwrap();
    assert_eq!(verified.problems.len(), 1, "{:?}", verified.problems);
    let why = verified.problems[0].to_string();
    assert!(why.contains("checksum") && why.contains("archive/data/0"), "{why}");
}

#[test]
fn what_pytorch_overlooks_in_an_archive_is_a_problem_here() {
    let whole = fs::read(fixture("tensor.pth")).unwrap();
    let name = b"tensor/data/0";
    let local = whole.windows(name.len()).position(|window| window == name).unwrap() - 30;
    let entry = whole.windows(name.len()).rposition(|window| window == name).unwrap() - 46;
    let with = |at: usize, bits: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= bits;
        bytes
    };
    // PyTorch reads all of these (2.15, tried) but those said to be encrypted in the directory.
    for (what, bytes, readable) in [
        ("encrypted, says the local header", with(local + 6, 1), false),
        ("a patch, says the local header", with(local + 6, 0x20), false),
        ("encrypted strongly, says the local header", with(local + 6, 0x40), false),
        ("masked, says the local header", with(local + 7, 0x20), false),
        ("another local name", with(local + 30, 1), false),
        ("encrypted, says the directory", with(entry + 8, 1), false),
        ("sizes that differ", with(entry + 24, 1), false),
        ("another checksum", with(entry + 16, 1), true),
        ("bytes behind the archive", [&whole[..], b"more"].concat(), true),
    ] {
        let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
        let read = checkpoint.tensor("").and_then(|tensor| tensor.to_bytes().map(drop));
        assert_eq!(read.is_ok(), readable, "{what}: {read:?}");
        assert!(!checkpoint.verify().unwrap().is_sound(), "{what}");
    }
    // It takes what begins otherwise for the layout before 1.6.
    assert!(Checkpoint::from_bytes([b"x", &whole[..]].concat()).is_err());
}

#[test]
fn pieces_stay_in_their_storage() {
    let whole = read("pieces.pth");
    // The piece is (key "77", offset 2, numel 3).
    let text = b"77";
    let at = whole.windows(2).position(|pair| pair == text).unwrap();
    let two = whole[at..].windows(2).position(|pair| pair == [b'K', 2]).unwrap() + at + 1;
    let mut changed = whole.clone();
    changed[two] = 6;
    let checkpoint = Checkpoint::from_bytes(changed).unwrap();
    let lost = unreadable(&checkpoint);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].1.contains("needs 9 elements but its storage has 8"), "{}", lost[0].1);
}

#[test]
fn an_unknown_storage_class_costs_what_lies_behind_it() {
    let whole = fs::read(fixture("legacy_checkpoint.pth")).unwrap();
    let plain = Checkpoint::from_bytes(whole.clone()).unwrap();
    let names: Vec<String> = listed(&plain).into_iter().map(|(name, _)| name).collect();
    let at = whole.windows(18).position(|window| window == b"torch\nFloatStorage").unwrap();
    let mut changed = whole;
    changed[at + 6] = b'G';
    let checkpoint = Checkpoint::from_bytes(changed).unwrap();
    assert_eq!(listed(&checkpoint).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    let lost = unreadable(&checkpoint);
    assert!(lost.iter().all(|(_, why)| {
        why.contains("GloatStorage is no storage class") || why.contains("whose width nothing says")
    }));
    assert!(!lost.is_empty());
}

// All of them

/// Everything there is to ask, under limits.
fn look_at(checkpoint: &Checkpoint) {
    let Ok(list) = checkpoint.tensors_in(checkpoint.root(), Scope::All) else { return };
    for entry in &list {
        let Ok(tensor) = entry.on(checkpoint) else { continue };
        if tensor.nbytes() <= 1 << 16 {
            let _ = tensor.to_bytes();
        }
    }
    let _ = checkpoint.module().map(|model| model.print(depickle::torch::module::Style::default()));
    let _ = checkpoint.verify();
}

/// A generator (xorshift64) that gives the same numbers each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// A few bytes of a file changed, some to values that mean much.
    fn change(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let other = u8::try_from(self.below(256)).unwrap();
            bytes[at] = [0, 1, 0x7f, 0x80, 0xff, other, bytes[at] ^ 1][self.below(7)];
        }
    }
}

#[test]
fn files_changed_at_random_cost_what_they_are() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut opened = 0;
    for entry in fs::read_dir(container("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "json") {
            continue;
        }
        let whole = fs::read(&path).unwrap();
        for _ in 0..100 {
            let mut changed = whole.clone();
            numbers.change(&mut changed);
            if let Ok(checkpoint) = small().read(bytes::Bytes::from(changed)) {
                look_at(&checkpoint);
                opened += 1;
            }
        }
    }
    assert!(opened > 200, "only {opened} were opened");
}

#[test]
fn folders_changed_at_random_cost_what_they_are() {
    let mut numbers = Numbers(0xd1b5_4a32_d192_ed03);
    let mut opened = 0;
    for (name, file) in [
        ("dcp_one", ".metadata"),
        ("dcp_two", ".metadata"),
        ("dcp_two", "__1_0.distcp"),
        ("sharded", "pytorch_model.bin.index.json"),
        ("sharded", "pytorch_model-00002-of-00002.bin"),
    ] {
        let folder = Folder::copy_of(name);
        let whole = fs::read(folder.join(file)).unwrap();
        for _ in 0..200 {
            let mut changed = whole.clone();
            numbers.change(&mut changed);
            fs::write(folder.join(file), changed).unwrap();
            if let Ok(checkpoint) = small().open(&*folder) {
                look_at(&checkpoint);
                opened += 1;
            }
        }
    }
    assert!(opened > 200, "only {opened} were opened");
}

// Where in which file

/// Gives the first storage class of a file's pickle a name that PyTorch does not know.
fn strange(mut bytes: Vec<u8>, class: &str) -> Vec<u8> {
    let at = bytes.windows(class.len()).position(|window| window == class.as_bytes()).unwrap();
    bytes[at + 1] = b'?';
    bytes
}

/// Each tensor that cannot be read names the arguments of its call in the file that holds it.
fn point_at_arguments(checkpoint: &Checkpoint, file: &[u8], path: Option<&Path>) {
    let list = checkpoint.tensors().unwrap();
    let broken = list.iter().filter_map(|entry| entry.on(checkpoint).map(drop).err());
    let broken: Vec<_> = broken.collect();
    assert!(!broken.is_empty());
    for why in broken {
        let at = usize::try_from(why.offset().unwrap().0).unwrap();
        assert_eq!(file[at], b't', "{why}");
        // The call follows its arguments, but for where the memo keeps them.
        assert!(file[at..].iter().take(8).any(|&byte| byte == b'R'), "{why}");
        assert_eq!(why.path(), path, "{why}");
    }
}

#[test]
fn faults_say_where_in_the_file_that_holds_them() {
    let shards = Folder::copy_of("sharded");
    let index = shards.join("pytorch_model.bin.index.json");
    for shard in ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"] {
        let path = shards.join(shard);
        let good = fs::read(&path).unwrap();
        let bad = strange(good.clone(), "FloatStorage");
        fs::write(&path, &bad).unwrap();
        point_at_arguments(&Checkpoint::open(&index).unwrap(), &bad, Some(&path));
        fs::write(&path, &good).unwrap();
    }
    let package = strange(read("package.pt"), "FloatStorage");
    point_at_arguments(&Checkpoint::from_bytes(package.clone()).unwrap(), &package, None);
    let tar = strange(read("tar.pth"), "FloatStorage");
    let why = Checkpoint::from_bytes(tar).map(drop).unwrap_err();
    assert!(why.offset().is_some() && why.member().is_some(), "{why}");
}

#[test]
fn faults_in_embedded_files_say_where_in_the_outer_one() {
    // Protocol 4 keeps bytes as they are.
    let whole = strange(read("embedded_4.pkl"), "LongStorage");
    let checkpoint = Checkpoint::from_bytes(whole.clone()).unwrap();
    // The fault is in the file inside; the tensor's call names no place in that.
    let list = checkpoint.tensors().unwrap();
    let broken = list.iter().find_map(|entry| entry.on(&checkpoint).map(drop).err()).unwrap();
    assert!(broken.offset().is_some_and(|at| at.0 < whole.len() as u64), "{broken}");
    // A file of one tensor, loaded from bytes.
    let inner = strange(read("big_endian_legacy.pth"), "FloatStorage");
    let outer = embedded_in(&inner, 1);
    point_at_arguments(&Checkpoint::from_bytes(outer.clone()).unwrap(), &outer, None);
}

#[test]
fn faults_in_distributed_files_say_where() {
    let folder = Folder::copy_of("dcp_one");
    let path = folder.join("__0_0.distcp");
    let bad = strange(fs::read(&path).unwrap(), "BFloat16Storage");
    fs::write(&path, &bad).unwrap();
    let checkpoint = Checkpoint::open(&*folder).unwrap();
    let why = checkpoint.tensor("half").unwrap().to_bytes().map(drop).unwrap_err();
    assert_eq!(why.path(), Some(&*path), "{why}");
    assert_eq!(bad[usize::try_from(why.offset().unwrap().0).unwrap()], b't', "{why}");
    let all =
        ["__0_0.distcp", ".metadata"].map(|name| fs::metadata(folder.join(name)).unwrap().len());
    assert_eq!(checkpoint.file_len(), all[0] + all[1]);
}

/// What holds nothing has nothing to be wrong: every way of reading it agrees, and only `verify`
/// speaks of the member.
#[test]
fn an_empty_tensor_is_read_where_its_header_is_gone() {
    let mut bytes = fs::read(fixture("views.pth")).unwrap();
    let key = {
        let checkpoint = Checkpoint::from_bytes(bytes.clone()).unwrap();
        checkpoint.tensor("empty").unwrap().backing().key().to_owned()
    };
    let name = format!("/data/{key}").into_bytes();
    let named = bytes.windows(name.len()).position(|window| window == name).unwrap();
    let header = bytes[..named].windows(4).rposition(|window| window == b"PK\x03\x04").unwrap();
    bytes[header] = b'p';
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &bytes).unwrap();
    for checkpoint in [Checkpoint::open(file.path()), Checkpoint::from_bytes(bytes)] {
        let checkpoint = checkpoint.unwrap();
        let tensor = checkpoint.tensor("empty").unwrap();
        assert_eq!(tensor.to_bytes().unwrap().len(), 0);
        tensor.read_into(&mut []).unwrap();
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [0.0; 0]);
        assert_eq!(tensor.elements::<f32>().unwrap().count(), 0);
        let verified = checkpoint.verify().unwrap();
        let said: Vec<String> = verified.problems.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|why| why.contains(&format!("data/{key}"))), "{said:?}");
    }
}
