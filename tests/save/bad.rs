//! Bad input and bad luck: an error that says what is wrong, and nothing lost.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use depickle::base::{Existing, Output};
use depickle::container::{Zip, ZipWriter};
use depickle::torch::{Checkpoint, DType, Data, Draft, Error, Fault, Form, Kind, TensorSpec};
use depickle::{Budget, Category, Limits};

use crate::common::fixture;
use crate::{resaved, saved};

fn refused(
    form: Form,
    make: impl FnOnce(&mut Draft) -> Result<depickle::pickle::NodeId, Error>,
) -> Error {
    saved(form, "x", &mut Budget::default(), |draft| make(draft)).unwrap_err()
}

#[test]
fn a_tensor_with_another_checksum_is_named() {
    let mut file = fs::read(fixture("mlp_state_dict.pth")).unwrap();
    let at = {
        let read = Checkpoint::from_bytes(file.clone()).unwrap();
        let bytes = read.tensor("body.2.0.bias").unwrap().to_bytes().unwrap().into_owned();
        file.windows(bytes.len()).position(|window| window == &bytes[..]).unwrap()
    };
    file[at] ^= 1;
    let damaged = Checkpoint::from_bytes(file).unwrap();
    for form in [Form::Zip, Form::Legacy] {
        let why = resaved(&damaged, form, "x").unwrap_err();
        assert_eq!(why.tensor(), Some("body.2.0.bias"));
        assert_eq!(why.category(), Category::Malformed);
        assert!(why.to_string().contains("checksum"), "{why}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    fs::copy(fixture("mlp_state_dict.pth"), &path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2000).unwrap();
    let mut budget = Budget::default();
    let draft = Draft::of(&checkpoint, &mut budget).unwrap();
    let root = draft.root();
    let to = folder.path().join("to.pth");
    let why = draft.finish(root).unwrap().save(&to, Existing::Refuse).unwrap_err();
    assert_eq!(why.category(), Category::Io);
    assert!(why.tensor().is_some(), "{why}");
    assert_eq!(why.path(), Some(&*path));
    assert_eq!(names(folder.path()), ["model.pth"], "nothing is left");
}

#[test]
fn what_does_not_fit_is_refused() {
    let why = refused(Form::Zip, |draft| draft.tensor(&[3], &[1_f32; 2]));
    assert!(matches!(why.kind(), Kind::BadTensor(Fault::BufferLength { needs: 12, has: 8 })));
    let spec = |shape: &[u64]| TensorSpec::new(DType::Float32, shape);
    for (bad, fault) in [
        (spec(&[3]), Fault::OutOfStorage { needs: 3, has: 2 }),
        (spec(&[1]).offset(2), Fault::OutOfStorage { needs: 3, has: 2 }),
        (spec(&[2, 2]).stride(&[1]), Fault::Rank { shape: 2, stride: 1 }),
        (spec(&[u64::MAX, 2]), Fault::Overflow),
        (spec(&[2]).stride(&[u64::MAX]), Fault::Overflow),
    ] {
        let why = refused(Form::Zip, |draft| {
            let storage = draft.storage(vec![0; 8]);
            draft.view(storage, &bad)
        });
        assert!(matches!(why.kind(), Kind::BadTensor(found) if *found == fault), "{why}");
    }
    let why = refused(Form::Zip, |draft| draft.tensor_of(DType::QInt8, &[2], vec![0; 2]));
    assert_eq!(why.category(), Category::Unsupported);
    let why = refused(Form::Zip, |draft| {
        let storage = draft.storage(vec![0; 7]);
        draft.storage_object(storage, Some(DType::Float32))
    });
    assert_eq!(why.category(), Category::Malformed);
}

#[test]
fn readers_must_give_what_was_announced() {
    for (len, given) in [(8, 7_usize), (8, 9), (3 << 20, 1 << 20)] {
        let why = refused(Form::Zip, |draft| {
            let reader = io::repeat(7).take(given as u64);
            draft.tensor_of(DType::UInt8, &[len], Data::reader(len, reader))
        });
        assert!(matches!(why.kind(), Kind::Io(_) | Kind::Unwritable(_)), "{why}");
    }
    let mut budget = Budget::default();
    let file = saved(Form::Zip, "x", &mut budget, |draft| {
        let reader = io::repeat(7).take(3 << 20);
        draft.tensor_of(DType::UInt8, &[3 << 20], Data::reader(3 << 20, reader))
    });
    let read = Checkpoint::from_bytes(file.unwrap()).unwrap();
    assert!(read.tensor("").unwrap().to_bytes().unwrap().iter().all(|&byte| byte == 7));
}

#[test]
fn one_storage_is_of_one_type() {
    let both = |draft: &mut Draft| {
        let storage = draft.storage(vec![0; 8]);
        let one = draft.view(storage, &TensorSpec::new(DType::Float32, &[2]))?;
        let other = draft.view(storage, &TensorSpec::new(DType::Int64, &[1]))?;
        draft.mapping(&[("one", one), ("other", other)])
    };
    let why = refused(Form::Zip, both);
    assert!(why.to_string().contains("float32 and of int64"), "{why}");
}

#[test]
fn what_pytorch_cannot_load_from_the_older_layout_is_refused() {
    let float8 = |draft: &mut Draft| draft.tensor_of(DType::Float8E5M2, &[2], vec![0; 2]);
    let why = refused(Form::Legacy, float8);
    assert!(why.to_string().contains("layout of today"), "{why}");
    assert_eq!(why.category(), Category::Unsupported);
}

#[test]
fn persistent_ids_of_others_are_refused() {
    let why = refused(Form::Zip, |draft| {
        let id = draft.value("weights/1")?;
        Ok(draft.persistent(id)?)
    });
    assert!(matches!(why.kind(), Kind::Unwritable(_)), "{why}");
    let why = refused(Form::Zip, |draft| {
        let (a, b) = (draft.value("a")?, draft.value("b")?);
        draft.replace(a, b);
        draft.replace(b, a);
        Ok(draft.list(&[a])?)
    });
    assert!(why.to_string().contains("stand for each other"), "{why}");
}

#[test]
fn limits_are_met() {
    let mut budget = Budget::new(Limits::default().with_memory(1000));
    let why = saved(Form::Zip, "x", &mut budget, |draft| {
        let entries: Result<Vec<_>, Error> =
            (0..99).map(|n: i32| Ok((n.to_string(), draft.tensor::<f32>(&[0], &[])?))).collect();
        draft.state_dict(entries?)
    });
    assert_eq!(why.unwrap_err().category(), Category::OverLimit);
}

#[test]
fn members_hold_what_they_announce() {
    let mut zip = ZipWriter::new(Vec::new());
    let mut member = zip.begin("a", 3).unwrap();
    assert!(member.write(b"four").is_err());
    member.write_all(b"12").unwrap();
    assert_eq!(member.finish().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(zip.add("b", b"").is_err(), "the archive is spoilt");
    assert!(zip.finish().is_err());
    assert!(ZipWriter::new(Vec::new()).add("", b"").is_err());
    assert!(ZipWriter::new(Vec::new()).add(&"a".repeat(40_000), b"").is_err());
    // Any boundary, and many members.
    for align in [1, 2, 64, 4096, u16::MAX] {
        let mut zip = ZipWriter::new(Vec::new()).align(align);
        for number in 0..300_u32 {
            zip.add(&format!("x/{number}"), &number.to_le_bytes()).unwrap();
        }
        let file = Bytes::from(zip.finish().unwrap());
        let zip = Zip::open(&file, &mut Budget::default()).unwrap();
        assert!(zip.findings().is_empty());
        let align = u64::from(align).clamp(1, 1 << 15);
        for (number, member) in (0_u32..).zip(zip.members()) {
            let at = zip.locate(&file, member).unwrap().at.0;
            assert_eq!(at % align, 0);
            zip.check_crc(&file, member, &Limits::default()).unwrap();
            let bytes = zip.read(&file, member, &mut Budget::default()).unwrap();
            assert_eq!(bytes, number.to_le_bytes()[..]);
        }
    }
}

// Files

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    drop(Output::create(&path, Existing::Refuse).unwrap());
    assert!(names(folder.path()).is_empty());
    let mut output = Output::create(&path, Existing::Refuse).unwrap();
    output.write_all(b"new").unwrap();
    // Someone else is faster.
    fs::write(&path, b"theirs").unwrap();
    assert_eq!(output.commit().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    let refused = Output::create(&path, Existing::Refuse).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    let mut output = Output::create(&path, Existing::Replace).unwrap();
    output.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"theirs", "until it is whole");
    output.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["file"]);
    // Where no file can be.
    let folder_itself = Output::create(folder.path(), Existing::Replace).unwrap_err();
    assert_eq!(folder_itself.kind(), io::ErrorKind::IsADirectory);
    let missing = Output::create(folder.path().join("no/file"), Existing::Replace).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(Output::create("", Existing::Replace).is_err());
    assert!(Output::create(path.join("below"), Existing::Replace).is_err());
}

#[cfg(unix)]
#[test]
fn permissions_and_links_are_as_people_expect() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let [plain, fresh, link] = ["plain", "fresh", "link"].map(|name| folder.path().join(name));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::write(&plain, b"").unwrap();
    Output::create(&fresh, Existing::Refuse).unwrap().commit().unwrap();
    assert_eq!(mode(&plain), mode(&fresh), "those of any new file");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
    Output::create(&plain, Existing::Replace).unwrap().commit().unwrap();
    assert_eq!(mode(&plain), 0o640, "those of the file before");
    fs::write(&plain, b"target").unwrap();
    symlink(&plain, &link).unwrap();
    Output::create(&link, Existing::Replace).unwrap().commit().unwrap();
    assert_eq!(fs::read(&plain).unwrap(), b"target");
    assert_eq!(fs::read(&link).unwrap(), b"");
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    let dangling = Output::create(folder.path().join("dangling"), Existing::Refuse).unwrap_err();
    assert_eq!(dangling.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn the_input_may_be_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mlp_state_dict.pth");
    fs::copy(fixture("mlp_state_dict.pth"), &path).unwrap();
    let before = fs::read(&path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        let mut budget = Budget::default();
        let draft = Draft::of(&checkpoint, &mut budget).unwrap();
        let root = draft.root();
        let saved = draft.finish(root).unwrap().save(&path, existing);
        assert_eq!(saved.is_ok(), existing == Existing::Replace);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(names(folder.path()).len(), 1);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let checkpoint = Checkpoint::open(fixture("mlp_state_dict.pth")).unwrap();
    for form in [Form::Zip, Form::Legacy] {
        let mut budget = Budget::default();
        let draft = Draft::of(&checkpoint, &mut budget).unwrap();
        let root = draft.root();
        let plan = draft.finish_as(root, form).unwrap();
        let why = plan.save("/dev/full", Existing::Refuse).unwrap_err();
        assert!(matches!(why.kind(), Kind::Write(why) if why.kind() == io::ErrorKind::StorageFull));
        assert_eq!(
            why.to_string(),
            "/dev/full: cannot be written: No space left on device (os error 28)"
        );
    }
    assert!(Path::new("/dev/full").exists(), "a device is not replaced");
}

/// What the tests below start as a process of its own: saves 64 MiB to the file that the
/// environment names, slowly.
#[test]
fn child_that_saves() {
    let Some(path) = std::env::var_os("DEPICKLE_TEST_SAVE") else { return };
    struct Slow;
    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(20));
            let some = into.len().min(64 << 10);
            into[..some].fill(1);
            Ok(some)
        }
    }
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let len = 64 << 20;
    let data = Data::reader(len, Slow.take(len));
    let root = draft.tensor_of(DType::UInt8, &[len], data).unwrap();
    match draft.finish(root).unwrap().save(Path::new(&path), Existing::Replace) {
        Ok(_) => std::process::exit(0),
        Err(why) => {
            println!("refused: {why}");
            std::process::exit(3);
        }
    }
}

fn child(path: &Path, before: &str) -> Command {
    child_called("child_that_saves", path, before)
}

fn child_called(name: &str, path: &Path, before: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$0\" --exact bad::{name} --nocapture");
    command.args(["-c", &script]).arg(program).env("DEPICKLE_TEST_SAVE", path);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

#[cfg(target_os = "linux")]
#[test]
fn killed_in_the_middle_the_old_file_is_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    fs::write(&path, b"precious").unwrap();
    let mut child = child(&path, "").spawn().unwrap();
    // Until it has written something: the open file of the folder that it holds has grown.
    let open = format!("/proc/{}/fd", child.id());
    let begun = || {
        let files = fs::read_dir(&open).into_iter().flatten().flatten();
        files
            .filter(|file| fs::read_link(file.path()).is_ok_and(|to| to.starts_with(folder.path())))
            .any(|file| fs::metadata(file.path()).is_ok_and(|facts| facts.len() > 100_000))
    };
    let since = Instant::now();
    while !begun() {
        assert!(since.elapsed() < Duration::from_secs(600), "the child does not write");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // Where files can do without a name until they are whole, nothing is left even so.
    let left = names(folder.path());
    assert!(left == ["model.pth"] || left.len() == 2, "{left:?}");
    for other in left.iter().filter(|name| *name != "model.pth") {
        assert!(other.starts_with(".model.pth") && other.ends_with(".part"), "{other}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_is_an_error_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    fs::write(&path, b"precious").unwrap();
    let output = child(&path, "trap '' XFSZ; ulimit -f 64;").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("model.pth: cannot be written: "), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(names(folder.path()), ["model.pth"]);
}

/// As `child_that_saves`, 512 MiB at once.
#[test]
fn child_that_saves_much() {
    let Some(path) = std::env::var_os("DEPICKLE_TEST_SAVE") else { return };
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let len = 512 << 20;
    let data = Data::reader(len, io::repeat(1).take(len));
    let root = draft.tensor_of(DType::UInt8, &[len], data).unwrap();
    draft.finish(root).unwrap().save(Path::new(&path), Existing::Replace).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_however_large_a_tensor_is() {
    // KiB of addresses, of which the program and its libraries take most.
    let child = child_called("child_that_saves_much", Path::new("/dev/null"), "ulimit -v 262144;");
    let output = { child }.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
