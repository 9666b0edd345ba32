//! Checkpoints: opened, listed, read in every way there is.

use bytes::Bytes;
use depickle::Limits;
use depickle::pickle::Policy;
use depickle::torch::{Checkpoint, Element, Error, Options, Scope, Tensor, TensorRef};

use crate::{Unlent, small};

/// A checkpoint that opens lists its tensors, and each is read whole or says why not.
pub fn checkpoint(bytes: &[u8]) {
    every_tensor(&Bytes::copy_from_slice(bytes));
}

/// How files are opened here: nothing is refused but what costs too much.
pub(crate) fn options() -> Options {
    Options::default().policy(Policy::inspect()).limits(small().limits().clone())
}

pub(crate) fn every_tensor(bytes: &Bytes) {
    let lent = options().read(bytes.clone());
    let read = options().read(Unlent(bytes.clone()));
    let (lent, read) = match (lent, read) {
        (Ok(lent), Ok(read)) => (lent, read),
        // What is lent takes none of the budget.
        (_, Err(why)) if over(&why) => return,
        (lent, read) => {
            let said =
                |opened: Result<Checkpoint, Error>| opened.map_err(|why| why.to_string()).err();
            assert_eq!(said(lent), said(read));
            return;
        }
    };
    let Ok(verified) = lent.verify() else { return };
    let list = lent.tensors_in(lent.root(), Scope::All);
    let other = read.tensors_in(read.root(), Scope::All);
    let (Ok(list), Ok(other)) = (list, other) else { return };
    assert_eq!(list.len(), other.len());
    for problem in &verified.problems {
        assert!(!problem.to_string().is_empty());
    }
    // Many names may lead to a few tensors.
    for (entry, other) in list.iter().zip(&other).take(256) {
        assert_eq!(entry.name(), other.name());
        match (entry.on(&lent), other.on(&read)) {
            (Ok(tensor), Ok(other)) => {
                one(&lent, tensor);
                let (a, b) = (tensor.to_bytes(), other.to_bytes());
                assert_eq!(a.map_err(|why| why.to_string()), b.map_err(|why| why.to_string()));
            }
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
            (a, b) => panic!("{a:?}, {b:?}"),
        }
    }
    limits_are_kept(bytes, &lent);
}

fn over(why: &Error) -> bool {
    why.category() == depickle::Category::OverLimit
}

/// With less memory it opens just the same, or says what it lacks.
fn limits_are_kept(bytes: &Bytes, whole: &Checkpoint) {
    for most in [0, 1 << 8, 1 << 10, 1 << 12, 1 << 14] {
        let limits = Limits::default().with_memory(most).with_visits(most);
        let options = Options::default().policy(Policy::inspect()).limits(limits);
        match options.read(bytes.clone()) {
            // Pickles inside of it that are too much to read are problems of their own.
            Ok(opened) => assert!(opened.graph().len() <= whole.graph().len()),
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
}

/// Every way of reading one tensor says the same.
fn one(checkpoint: &Checkpoint, tensor: TensorRef) {
    for part in checkpoint.parts(&tensor) {
        if let Ok(part) = &part.tensor {
            bytes_agree(tensor.part(part));
        }
    }
    if let Ok(nested) = tensor.nested() {
        nested.iter().take(16).for_each(|part| bytes_agree(tensor.part(part)));
    }
    let _ = (tensor.validate(), tensor.to_dense(), tensor.dequantize(), tensor.unpack());
    if let Ok(cast) = tensor.cast::<f64>() {
        assert!(cast.len() as u64 >= tensor.numel() || tensor.storage().is_none());
    }
    bytes_agree(tensor);
    elements_agree::<u8>(tensor);
    elements_agree::<f32>(tensor);
    elements_agree::<i64>(tensor);
}

fn bytes_agree(tensor: TensorRef) {
    let Ok(whole) = tensor.to_bytes() else { return };
    assert_eq!(whole.len() as u64, tensor.nbytes());
    let mut pieces = Vec::new();
    let read = tensor.for_each_chunk(|chunk| {
        pieces.extend_from_slice(chunk);
        Ok::<(), Error>(())
    });
    assert!(read.is_ok());
    assert_eq!(pieces, &*whole);
    let mut into = vec![0xa5; whole.len()];
    assert!(tensor.read_into(&mut into).is_ok());
    assert_eq!(into, &*whole);
    if let Some(lent) = tensor.as_bytes() {
        assert_eq!(lent, &*whole);
    }
    rows_agree(tensor, &whole);
}

/// Slices of the first axis, one after the other, are the whole.
fn rows_agree(tensor: TensorRef, whole: &[u8]) {
    let Some(&rows) = tensor.shape().first().filter(|&&rows| (2..64).contains(&rows)) else {
        return;
    };
    let half = rows / 2;
    let halves = [0..half, half..rows].map(|range| tensor.slice(0, range));
    let [Ok(first), Ok(second)] = halves else { return };
    let read = |part: &Tensor| tensor.part(part).to_bytes().map(std::borrow::Cow::into_owned);
    if let (Ok(mut first), Ok(second)) = (read(&first), read(&second)) {
        first.extend(second);
        assert_eq!(first, whole);
    }
}

fn elements_agree<T: Element + bits::Bits>(tensor: TensorRef) {
    let Ok(all) = tensor.to_vec::<T>() else { return };
    let Ok(each) = tensor.elements::<T>() else { return };
    let each: Vec<u64> = each.map(|element| element.expect("it was read").bits()).collect();
    assert_eq!(each, all.iter().map(|element| element.bits()).collect::<Vec<_>>());
    if let Some(lent) = tensor.as_slice::<T>() {
        assert_eq!(each, lent.iter().map(|element| element.bits()).collect::<Vec<_>>());
    }
}

/// Elements by their bits, since NaN differs from itself.
mod bits {
    pub(super) trait Bits: Copy {
        fn bits(self) -> u64;
    }

    impl Bits for u8 {
        fn bits(self) -> u64 {
            self.into()
        }
    }

    impl Bits for f32 {
        fn bits(self) -> u64 {
            self.to_bits().into()
        }
    }

    impl Bits for i64 {
        fn bits(self) -> u64 {
            self.cast_unsigned()
        }
    }
}
