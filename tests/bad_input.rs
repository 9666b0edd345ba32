//! Bad files get one error that says what, where and what to do; never a panic, never a part
//! passed off as the whole.
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

use common::{fixture, rezip};
use depickle::container::Zip;
use depickle::torch::{Checkpoint, Error, Fault, Kind};
use depickle::{Budget, Category};

fn open(bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    Checkpoint::from_bytes(bytes)
}

fn refused(bytes: impl Into<Vec<u8>>) -> Error {
    open(bytes.into()).map(drop).expect_err("opened")
}

fn mlp() -> Vec<u8> {
    fs::read(fixture("mlp_state_dict.pth")).unwrap()
}

/// The pickle of a fixture changed by `change`; everything else as it was.
fn with_pickle(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    rezip(&mlp(), |name, data| Some(if name.ends_with("/data.pkl") { change(data) } else { data }))
}

fn replace(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at =
        bytes.windows(from.len()).position(|window| window == from).expect("the bytes to replace");
    bytes.splice(at..at + from.len(), to.iter().copied());
    bytes
}

#[test]
fn what_is_no_checkpoint_is_named() {
    for (bytes, what) in [
        (&b""[..], "the file is empty: get it again from where it came"),
        (b"hello, world\n", "this is a text file, not a PyTorch file"),
        (b"<!DOCTYPE html><html>", "this is a web page, not the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x10\0\0\0\0\0\0\x01{\"__metadata__\":{}}", "a safetensors file, it seems"),
        (b"\x1f\x8b\x08\0", "gzip"),
    ] {
        let why = refused(bytes);
        assert_eq!(why.category(), Category::Unsupported, "{why}");
        assert!(why.to_string().contains(what), "{why}");
    }
}

#[test]
fn errors_of_files_name_the_file() {
    let path = std::env::temp_dir().join(format!("depickle-empty-{}.pth", std::process::id()));
    fs::write(&path, b"").unwrap();
    let why = Checkpoint::open(&path).map(drop).unwrap_err();
    fs::remove_file(&path).unwrap();
    assert!(why.to_string().starts_with(&path.display().to_string()), "{why}");
    #[cfg(feature = "mmap")]
    {
        let empty = std::env::temp_dir().join(format!("depickle-map-{}.pth", std::process::id()));
        fs::write(&empty, b"").unwrap();
        let why = Checkpoint::open_mapped(&empty).map(drop).unwrap_err();
        fs::remove_file(&empty).unwrap();
        assert!(why.to_string().contains("the file is empty"), "{why}");
    }
    let why = Checkpoint::open("/no/such/file.pth").map(drop).unwrap_err();
    assert_eq!(why.category(), Category::Io);
    assert!(why.to_string().starts_with("/no/such/file.pth: "), "{why}");
    let why = Checkpoint::open("tests").map(drop).unwrap_err();
    assert!(why.to_string().starts_with("tests: this is a folder"), "{why}");
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = mlp();
    for len in 4..whole.len() {
        let why = refused(&whole[..len]);
        assert_eq!(why.category(), Category::Malformed, "{len}: {why}");
        assert!(why.offset().is_some(), "{len}: {why}");
    }
}

#[test]
fn a_pickle_cut_anywhere_is_refused() {
    let mut pickle = Vec::new();
    rezip(&mlp(), |name, data| {
        if name.ends_with("/data.pkl") {
            pickle = data;
        }
        None
    });
    assert!(pickle.len() > 100);
    for len in 0..pickle.len() {
        let cut = with_pickle(|data| data[..len].to_vec());
        let why = refused(cut.clone());
        assert_eq!(why.category(), Category::Malformed, "{len}: {why}");
        assert_eq!(why.member().as_deref(), Some("mlp_state_dict/data.pkl"), "{len}: {why}");
        // The offset is absolute: it leads into the member, wherever that lies.
        let at = usize::try_from(why.offset().unwrap().0).unwrap();
        let start = member_start(cut, b"mlp_state_dict/data.pkl");
        assert!((start..=start + len).contains(&at), "{len}: {why}");
        assert!(why.to_string().contains("get it again from where it came"), "{len}: {why}");
    }
}

fn member_start(archive: Vec<u8>, name: &[u8]) -> usize {
    let archive = bytes::Bytes::from(archive);
    let zip = Zip::open(&archive, &mut Budget::default()).unwrap();
    let member = zip.find(name).unwrap().unwrap();
    usize::try_from(zip.locate(&archive, member).unwrap().at.0).unwrap()
}

#[test]
fn a_missing_pickle_is_refused() {
    let why = refused(rezip(&mlp(), |name, data| (!name.ends_with("/data.pkl")).then_some(data)));
    assert!(matches!(why.kind(), Kind::MissingMember), "{why}");
    assert_eq!(why.member().as_deref(), Some("data.pkl"));
}

/// A file in which one tensor cannot be read: the error names it, the others can be read.
fn one_unreadable(bytes: Vec<u8>, name: &str) -> (Fault, String) {
    let checkpoint = open(bytes).unwrap();
    let list = checkpoint.tensors().unwrap();
    let mut broken = Vec::new();
    for entry in list {
        match entry.on(&checkpoint) {
            Ok(tensor) => assert!(!tensor.to_bytes().unwrap().is_empty()),
            Err(why) => broken.push((entry.name().to_owned(), why)),
        }
    }
    assert_eq!(broken.len(), 1, "{broken:?}");
    let (found, why) = broken.pop().unwrap();
    assert_eq!((found.as_str(), why.tensor()), (name, Some(name)));
    assert!(why.offset().is_some(), "{why}");
    assert_eq!(why.member().as_deref(), Some("mlp_state_dict/data.pkl"));
    let Kind::BadTensor(fault) = why.kind() else { panic!("{why}") };
    (fault.clone(), why.to_string())
}

fn first_tensor() -> (String, u64) {
    let checkpoint = open(mlp()).unwrap();
    let entry = &checkpoint.tensors().unwrap().entries()[0];
    (entry.name().to_owned(), entry.tensor().unwrap().nbytes())
}

#[test]
fn a_missing_storage_costs_only_its_tensor() {
    let (name, _) = first_tensor();
    let bytes = rezip(&mlp(), |member, data| (!member.ends_with("/data/0")).then_some(data));
    assert_eq!(one_unreadable(bytes, &name).0, Fault::NoStorage("0".into()));
}

#[test]
fn a_storage_shorter_than_claimed_costs_only_its_tensor() {
    let (name, nbytes) = first_tensor();
    let bytes = rezip(&mlp(), |member, data| {
        Some(if member.ends_with("/data/0") { data[..data.len() - 1].to_vec() } else { data })
    });
    let (fault, message) = one_unreadable(bytes, &name);
    assert_eq!(fault, Fault::StorageLength { claimed: nbytes, has: nbytes - 1 });
    assert!(
        message.contains(&format!("{name:?}: its storage should have {nbytes} bytes")),
        "{message}"
    );
}

#[test]
fn a_shape_whose_product_overflows_costs_only_its_tensor() {
    let (name, _) = first_tensor();
    // The sizes of the first tensor, two small integers, become two of 2⁶¹.
    let checkpoint = open(mlp()).unwrap();
    let shape = checkpoint.tensor(&name).unwrap().shape().to_vec();
    let [rows, columns] = [shape[0], shape[1]].map(|size| u8::try_from(size).unwrap());
    let small = [b'K', rows, b'K', columns, 0x86];
    let huge = [&b"\x8a\x08"[..], &(1_u64 << 61).to_le_bytes()].concat();
    let huge = [&huge[..], &huge, &[0x86]].concat();
    let bytes = with_pickle(|pickle| replace(pickle, &small, &huge));
    assert_eq!(one_unreadable(bytes, &name).0, Fault::Overflow);
}

#[test]
fn a_stride_bomb_is_listed_but_not_written_out() {
    let (name, _) = first_tensor();
    let checkpoint = open(mlp()).unwrap();
    let shape = checkpoint.tensor(&name).unwrap().shape().to_vec();
    let [rows, columns] = [shape[0], shape[1]].map(|size| u8::try_from(size).unwrap());
    let honest = [&[b'K', rows, b'K', columns, 0x86, b'q'][..]].concat();
    let bytes = with_pickle(|pickle| {
        let at = pickle.windows(honest.len()).position(|window| window == honest).unwrap();
        // size BINPUT n, stride BINPUT m: both pairs are replaced.
        let size = [b'M', 0, 0x80, b'J', 0, 0, 0, 0x40, 0x86, b'q', pickle[at + 6]];
        let stride = [b'K', 0, b'K', 0, 0x86, b'q', pickle[at + 13]];
        let mut bomb = pickle[..at].to_vec();
        bomb.extend(size);
        bomb.extend(stride);
        bomb.extend(&pickle[at + 14..]);
        bomb
    });
    let checkpoint = open(bytes).unwrap();
    let tensor = checkpoint.tensor(&name).unwrap();
    assert_eq!(tensor.shape(), [0x8000, 0x4000_0000]);
    let why = tensor.to_vec::<f32>().unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    assert_eq!(why.tensor(), Some(&*name));
}

#[test]
fn a_legacy_file_cut_anywhere_is_refused_or_lists_what_is_lost() {
    let whole = fs::read(fixture("legacy_mlp_state_dict.pth")).unwrap();
    let names = |bytes: &[u8]| -> Result<(usize, usize), Error> {
        let checkpoint = open(bytes.to_vec())?;
        let list = checkpoint.tensors()?;
        let readable = list.iter().filter(|entry| entry.tensor().is_ok());
        let read = readable.filter(|entry| entry.on(&checkpoint).unwrap().to_bytes().is_ok());
        Ok((list.len(), read.count()))
    };
    assert_eq!(names(&whole).unwrap(), (5, 5));
    let mut lost = 0;
    for len in 1..whole.len() {
        match names(&whole[..len]) {
            Ok((listed, read)) => {
                assert!(listed == 5 && read < 5, "{len}: {read} of {listed}");
                lost += 1;
            }
            Err(why) => assert!(why.offset().is_some() || len < 14, "{len}: {why}"),
        }
    }
    assert!(lost > 400, "storages make up most of the file: {lost}");
}
