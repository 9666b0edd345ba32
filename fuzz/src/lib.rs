//! Properties that hold for any bytes. Each is a fuzz target, and a test over the fixtures.

use depickle::container::Zip;
use depickle::pickle::{
    Annotated, Encoder, Object, Op, Ops, Policy, assemble, difference, disassemble, run,
};
use depickle::python::numpy::{DType, MaskedArray, NumpyArray, NumpyScalar};
use depickle::torch::{Checkpoint, Error, Options, Scope};
use depickle::{Budget, FileOffset, Limits};

/// Memory that a stream may take (bytes): for each of its own, and whatever its size.
const BYTES_PER_BYTE: u64 = 100;
const BYTES_ANYWAY: u64 = 4 << 10;

/// Decoding moves forward, ends, and says the same from the middle on.
pub fn decode(bytes: &[u8]) {
    let mut ops = Ops::new(bytes);
    let mut last = None;
    while let Some(op) = ops.next() {
        let Ok((at, op)) = op else { break };
        assert!(last < Some(at), "offsets rise");
        last = Some(at);
        let start = usize::try_from(at.0).expect("an offset into the bytes");
        let again = Ops::at(&bytes[start..], at).next().expect("an operation").expect("the same");
        // Not by `==`: NaN operands differ from themselves.
        assert_eq!(format!("{again:?}"), format!("{:?}", (at, op)));
        if op == Op::Stop {
            assert!(ops.next().is_none(), "nothing follows STOP");
        }
    }
    assert!(ops.consumed() <= bytes.len() as u64);
}

/// Running takes memory in proportion to the stream, and all that was built can be visited.
pub fn machine(bytes: &[u8]) {
    let mut budget = Budget::new(Limits::default());
    let outcome = run(bytes.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
    let len = bytes.len() as u64;
    assert!(budget.memory_taken() <= len * BYTES_PER_BYTE + BYTES_ANYWAY, "memory per byte");
    match &outcome.end {
        Ok(end) => {
            assert!((1..=len).contains(end));
            assert!(outcome.graph.root().is_some());
        }
        Err(why) => {
            assert!(why.offset().0 <= len);
            assert!(outcome.graph.root().is_none());
        }
    }
    assert!(outcome.graph.reach().count() <= outcome.graph.len());
    for object in outcome.graph.objects() {
        object.each_child(|child| assert!(child.offset().is_none_or(|at| at.0 < len)));
    }
}

/// Disassembly loses nothing, and its annotations take memory in proportion to the stream.
pub fn assembly(bytes: &[u8]) {
    let text = disassemble(bytes);
    assert_eq!(assemble(&text).as_deref(), Ok(bytes), "{text}");
    let mut budget = Budget::new(Limits::default());
    let lines = Annotated::new(bytes, FileOffset(0), &mut budget);
    let lines = lines.map(|line| line.expect("little memory").to_string());
    assert_eq!(lines.count(), text.lines().count());
    let len = bytes.len() as u64;
    assert!(budget.memory_taken() <= len * 64 + BYTES_ANYWAY, "memory per byte");
    // Any text is read as well.
    let _ = assemble(&String::from_utf8_lossy(bytes));
}

/// Whatever a stream built is written, and reads as the same again.
pub fn encode(bytes: &[u8]) {
    let mut budget = Budget::new(Limits::default().with_visits(1 << 20));
    let outcome = run(bytes.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
    let Some(object) = outcome.graph.objects().last().filter(|_| outcome.end.is_err()) else {
        return outcome.graph.root().map(written).unwrap_or_default();
    };
    written(object);
}

/// A view of numpy's that exists has the bytes and elements that it says.
pub fn numpy(bytes: &[u8]) {
    let mut budget = Budget::new(Limits::default().with_visits(1 << 20));
    let graph = run(bytes.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
    for object in graph.objects() {
        let _ = DType::view(object, &mut budget);
        if let Ok(Some(scalar)) = NumpyScalar::view(object, &mut budget) {
            let _ = scalar.value();
        }
        let _ = MaskedArray::view(object, &mut budget);
        let Ok(Some(array)) = NumpyArray::view(object, &mut budget) else { continue };
        if let Some(bytes) = array.bytes() {
            let width = array.dtype().width();
            assert_eq!(Some(bytes.len() as u64), array.len().checked_mul(width));
            if let Ok(whole) = array.to_bytes(&mut budget) {
                assert_eq!(whole.expect("bytes").len(), bytes.len());
            }
        }
        let len = array.len();
        if let Ok(elements) = array.elements(&mut budget) {
            assert_eq!(elements.count() as u64, len);
        }
    }
}

fn written(object: Object) {
    for protocol in 0..=5 {
        let mut budget = Budget::new(Limits::default().with_visits(1 << 20));
        let Ok(bytes) = Encoder::new(protocol).to_vec(object, &mut budget) else { continue };
        let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut budget);
        assert!(outcome.end.is_ok(), "protocol {protocol}: {:?}", outcome.end);
        let root = outcome.graph.root().expect("a root");
        // In older protocols, calls stand for what has no operation.
        if protocol == 5 {
            let found = difference(object, root, &mut Budget::default()).expect("enough steps");
            assert!(found.is_none(), "{found:?}");
        }
    }
}

/// A directory that opens leads to members that can be read or say why not.
pub fn zip(bytes: &[u8]) {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let mut budget = small();
    let Ok(zip) = Zip::open(&bytes, &mut budget) else { return };
    for member in zip.members().take(64) {
        if let Ok(read) = zip.read(&bytes, member, &mut budget) {
            assert_eq!(read.len() as u64, member.size());
        }
    }
}

/// A checkpoint that opens lists its tensors, and each is read whole or says why not.
pub fn checkpoint(bytes: &[u8]) {
    let options = Options::default().policy(Policy::inspect()).limits(small().limits().clone());
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let Ok(checkpoint) = options.read(bytes) else { return };
    let Ok(list) = checkpoint.tensors_in(checkpoint.root(), Scope::All) else { return };
    for entry in &list {
        let Ok(tensor) = entry.on(&checkpoint) else { continue };
        let Ok(whole) = tensor.to_bytes() else { continue };
        assert_eq!(whole.len() as u64, tensor.nbytes());
        let mut pieces = Vec::new();
        let read = tensor.for_each_chunk(|chunk| {
            pieces.extend_from_slice(chunk);
            Ok::<(), Error>(())
        });
        assert!(read.is_ok());
        assert_eq!(pieces, &*whole);
    }
}

fn small() -> Budget {
    let limits = Limits::default().with_memory(64 << 20).with_visits(1 << 16);
    Budget::new(limits.with_materialised(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every file below a folder.
    fn each_file(folder: &Path, each: &mut impl FnMut(&[u8])) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                count += each_file(&path, each);
            } else {
                each(&std::fs::read(&path).expect("a readable file"));
                count += 1;
            }
        }
        count
    }

    #[test]
    fn properties_hold_for_the_fixtures_and_the_corpora() {
        for (name, property) in [
            ("decode", super::decode as fn(&[u8])),
            ("machine", super::machine),
            ("assembly", super::assembly),
            ("encode", super::encode),
            ("numpy", super::numpy),
            ("zip", super::zip),
            ("checkpoint", super::checkpoint),
        ] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut run = |bytes: &[u8]| property(bytes);
            let corpus = each_file(&root.join("corpus").join(name), &mut run);
            let fixtures = each_file(&root.join("../tests/fixtures"), &mut run);
            assert!(fixtures > 0, "no fixtures");
            println!("{name}: {corpus} corpus files, {fixtures} fixtures");
        }
    }
}
