//! Properties that hold for any bytes. Each is a fuzz target, and a test over the fixtures.

use depickle::container::Zip;
use depickle::pickle::{
    Annotated, Encoder, Object, Op, Ops, Policy, assemble, difference, disassemble, run,
};
use depickle::python::numpy::{Element, FromElement, Numpy, NumpyArray, Views};
use depickle::torch::{Checkpoint, Error, Options, Scope};
use depickle::{Budget, FileOffset, Limits};

/// Memory that a stream may take (bytes): for each of its own, and whatever its size. The budget
/// counts entries of maps generously; what is held is at most 100 (`docs/limits.md`).
const BYTES_PER_BYTE: u64 = 150;
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

/// What views as numpy's is as large as it says, and going through it ends.
pub fn numpy(bytes: &[u8]) {
    let mut budget = Budget::new(Limits::default());
    let outcome = run(bytes.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
    let mut views = Views::new(small());
    // Many arrays may have the same data, so all together are stopped somewhere.
    let mut left = 1 << 22;
    for object in outcome.graph.objects() {
        // Whatever is asked for, of whatever it is.
        let _ = (views.dtype(object), views.array(object), views.scalar(object));
        match views.any(object) {
            Some(Ok(Numpy::Array(array))) => whole(&array, &mut left),
            Some(Ok(Numpy::Masked(masked))) => {
                assert_eq!(masked.data().shape(), masked.mask().shape());
                whole(masked.data(), &mut left);
                whole(masked.mask(), &mut left);
            }
            Some(Ok(Numpy::Scalar(scalar))) => {
                if let Some(bytes) = scalar.bytes() {
                    assert_eq!(bytes.len() as u64, scalar.dtype().itemsize());
                }
                parts(scalar.value(), &mut left);
            }
            Some(Ok(Numpy::DType(dtype))) => {
                let ends = |field: &depickle::python::numpy::Field| {
                    field.offset() + field.dtype().itemsize() <= dtype.itemsize()
                };
                assert!(dtype.fields().iter().all(ends));
                assert!(!dtype.to_string().is_empty());
            }
            Some(Err(why)) => assert!(!why.to_string().is_empty()),
            _ => {}
        }
    }
}

fn whole(array: &NumpyArray, left: &mut u64) {
    let product = array.shape().iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
    let product = if array.shape().contains(&0) { 0 } else { product.expect("no overflow") };
    assert_eq!(product, array.len() as u64);
    let bytes = array.bytes().map(|bytes| bytes.len() as u64);
    if product <= 4096 {
        // Converting all is converting one by one.
        let each: Option<Vec<u64>> =
            array.iter().map(|element| f64::from_element(element).map(f64::to_bits)).collect();
        if let Ok(all) = array.to_vec::<f64>() {
            assert_eq!(Some(all.into_iter().map(f64::to_bits).collect()), each);
        }
        if let Some(slice) = array.as_slice::<i64>() {
            assert_eq!(Ok(slice), array.to_vec::<i64>().as_deref().map_err(|_| ()));
        }
    }
    if let Some(bytes) = bytes {
        assert_eq!(bytes, product * array.dtype().itemsize());
    }
    if bytes.unwrap_or(product).max(product) > *left {
        return;
    }
    *left -= bytes.unwrap_or(product).max(product);
    assert_eq!(array.row_major_bytes().map(|rows| rows.len() as u64), bytes);
    if let Ok(turned) = array.little_endian_bytes() {
        assert_eq!(Some(turned.len() as u64), bytes);
    }
    array.iter().for_each(|element| parts(element, left));
}

/// Goes through what is inside an element, while something is left to do.
fn parts(element: Element, left: &mut u64) {
    let mut todo = vec![element];
    while let Some(element) = todo.pop() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        match element {
            Element::Record(record) => todo.extend(record.fields().map(|(_, value)| value)),
            Element::SubArray(array) => {
                let most = usize::try_from(*left).expect("few");
                todo.extend(array.iter().take(most));
            }
            Element::Text(text) => assert!(text.code_points().last() != Some(0)),
            Element::DateTime(moment) => assert!(moment.iso().is_none_or(|iso| !iso.is_empty())),
            _ => {}
        }
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
            ("zip", super::zip),
            ("checkpoint", super::checkpoint),
            ("numpy", super::numpy),
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
