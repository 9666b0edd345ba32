//! Checkpoints in every layout, their storages in place, odd in one way or another.

use arbitrary::{Arbitrary, Result, Unstructured};
use depickle::pickle::{Policy, Value, run};
use depickle::{Budget, FileOffset};

use super::program::damage;
use super::value::{self, Storage};
use super::zip::{self, Member};

/// The file that these choices make.
#[must_use]
pub fn file(choices: &[u8]) -> Vec<u8> {
    made(&mut Unstructured::new(choices)).unwrap_or_default()
}

fn made(choose: &mut Unstructured) -> Result<Vec<u8>> {
    let layout = choose.int_in_range(0..=9)?;
    let (pickle, storages) = value::pickle_with_storages(choose)?;
    let mut bytes = match layout {
        0 => legacy_of(&pickle, &storages),
        1 => tar_of(choose)?,
        2 => pickle,
        _ => {
            let members = members(choose, pickle, &storages)?;
            zip::archive(choose, members)?
        }
    };
    // So that choices that have run out do no damage.
    if !choose.ratio(7, 8)? {
        damage(choose, &mut bytes)?;
    }
    Ok(bytes)
}

/// Bytes that depend on their place.
fn data(nbytes: usize) -> Vec<u8> {
    (0..nbytes).map(|at| (at % 251) as u8).collect()
}

fn members(
    choose: &mut Unstructured,
    pickle: Vec<u8>,
    storages: &[Storage],
) -> Result<Vec<Member>> {
    let root = *choose.choose(&["archive", "archive", "m", "a/b", ""])?;
    let script = choose.ratio(1, 10)?;
    let name =
        |below: &str| if root.is_empty() { below.into() } else { format!("{root}/{below}").into() };
    let member = |below: &str, data: &[u8]| Member { name: name(below), data: data.to_vec() };
    let mut members = vec![member("data.pkl", &pickle)];
    if script {
        let (constants, _) = value::pickle_with_storages(choose)?;
        members.push(member("constants.pkl", &constants));
        members.push(member("code/__torch__.py", b"class Net(Module):\n  pass\n"));
    }
    if choose.ratio(3, 4)? {
        members
            .push(member("byteorder", choose.choose(&[&b"little"[..], b"little", b"big", b"x"])?));
    }
    for storage in storages {
        let odd = choose.ratio(1, 24)?;
        let nbytes = if odd { storage.nbytes / 2 } else { storage.nbytes };
        members.push(member(&format!("data/{}", storage.key), &data(nbytes)));
    }
    members.push(member("version", b"3\n"));
    if choose.ratio(1, 8)? {
        let name = *choose.choose(&[
            "../evil",
            "/root",
            "ARCHIVE/DATA.PKL",
            "archive/sub/data.pkl",
            "x\0y",
            "archive/data/0",
        ])?;
        members.push(Member { name: name.into(), data: data(4) });
    }
    Ok(members)
}

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
const SYSTEM: &[u8] = b"\x80\x02}(X\x10\0\0\0protocol_versionM\xe9\x03X\x0d\0\0\0little_endian\x88X\x0a\0\0\0type_sizes}u.";

/// The layout before 1.6 around an object's pickle, with a storage for each that it mentions, all
/// as large as they are said to be.
#[must_use]
pub fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut budget = Budget::default();
    let outcome = run(pickle.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
    let Ok(end) = outcome.end else { return [MAGIC, SYSTEM, pickle].concat() };
    let mut storages = Vec::new();
    for object in outcome.graph.objects() {
        let Value::Persistent(id) = object.value() else { continue };
        let Some(parts) = id.as_tuple() else { continue };
        let key = parts.get(2).and_then(|key| key.as_str().map(str::to_owned));
        let numel = parts.get(4).and_then(|numel| u64::try_from(numel.as_int()?).ok());
        if let (Some(key), Some(numel)) = (key, numel.filter(|&numel| numel < 1 << 10)) {
            storages.push((key, numel));
        }
    }
    storages.sort();
    storages.dedup_by(|a, b| a.0 == b.0);
    let end = usize::try_from(end).unwrap_or(pickle.len());
    let mut out = [MAGIC, SYSTEM, &pickle[..end]].concat();
    out.extend(keys(storages.iter().map(|(key, _)| key.as_str())));
    for (_, numel) in storages {
        out.extend(numel.to_le_bytes());
        // Widths are the reader's business: what is missing at the end is an error there.
        out.extend(data(usize::try_from(numel * 4).unwrap_or(0)));
    }
    out
}

fn legacy_of(pickle: &[u8], storages: &[Storage]) -> Vec<u8> {
    let mut out = [MAGIC, SYSTEM, pickle].concat();
    let names: Vec<String> = storages.iter().map(|storage| storage.key.to_string()).collect();
    out.extend(keys(names.iter().map(String::as_str)));
    for storage in storages {
        out.extend(storage.numel.to_le_bytes());
        out.extend(data(storage.nbytes));
    }
    out
}

/// The pickle of a list of texts.
fn keys<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = b"\x80\x02](".to_vec();
    for name in names {
        out.push(b'X');
        out.extend(u32::try_from(name.len()).unwrap_or(0).to_le_bytes());
        out.extend(name.bytes());
    }
    out.extend(b"e.");
    out
}

/// The layout before 0.1.10: `storages`, `tensors` and `pickle` in a tar archive.
fn tar_of(choose: &mut Unstructured) -> Result<Vec<u8>> {
    let count: u8 = choose.int_in_range(0..=3)?;
    let mut storages = vec![0x80, 2, b'K', count, b'.'];
    let mut tensors = storages.clone();
    let mut object = b"\x80\x02}(".to_vec();
    for key in 0..count {
        let numel: u8 = choose.int_in_range(0..=12)?;
        storages.extend(b"\x80\x02K");
        storages.extend([key]);
        storages.extend(b"X\x03\0\0\0cpuctorch\nFloatStorage\n\x87.");
        storages.extend(u64::from(numel).to_le_bytes());
        storages.extend(data(usize::from(numel) * 4));
        tensors.extend(b"\x80\x02K");
        tensors.extend([key + 10, b'K', key]);
        tensors.extend(b"ctorch\nFloatTensor\n\x87.");
        let rank: u8 = if choose.ratio(7, 8)? { 1 } else { u8::arbitrary(choose)? % 4 };
        tensors.extend(u32::from(rank).to_le_bytes());
        tensors.extend([0; 4]);
        for value in (0..rank).map(|_| numel).chain((0..rank).map(|_| 1)).chain([0]) {
            tensors.extend(i64::from(value).to_le_bytes());
        }
        object.extend(b"X\x01\0\0\0");
        object.extend([b'a' + key]);
        object.extend(b"X\x02\0\0\0");
        object.extend(format!("{}Q", key + 10).bytes());
    }
    object.extend(b"u.");
    // No storage is a piece of another.
    storages.extend(b"\x80\x02].");
    let mut out = Vec::new();
    for (name, data) in [("storages", storages), ("tensors", tensors), ("pickle", object)] {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[156] = *choose.choose(b"000000125xgL7\0")?;
        header[257..265].copy_from_slice(b"ustar\x0000");
        out.extend(header);
        out.extend(&data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    repair_tar(&mut out);
    Ok(out)
}

/// Makes the checksum right in every header that is reached from the beginning.
pub fn repair_tar(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = bytes.get_mut(at..at + 512) {
        if header.iter().all(|&byte| byte == 0) {
            return;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let octal = header[124..136].iter().take_while(|byte| byte.is_ascii_digit());
        let size = octal.fold(0, |size: usize, &byte| {
            size.saturating_mul(8).saturating_add(usize::from(byte - b'0') & 7)
        });
        let Some(next) = size.min(1 << 30).checked_add(511 + 512) else { return };
        at += next / 512 * 512;
    }
}
