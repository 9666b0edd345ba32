//! Sizes, offsets and counts that need more than 32 bits.

use std::fs;
use std::io::{self, Read, Write};

use depickle::torch::{Checkpoint, DType, Data, Draft, Options};
use depickle::{Budget, Source};
use serde_json::Value;

use crate::common::fixture;

/// What was written, but for long runs of zeros, which are only counted.
#[derive(Default)]
struct Sparse {
    len: u64,
    kept: Vec<(u64, Vec<u8>)>,
}

impl Write for &mut Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() < 1 << 16 || bytes.iter().any(|&byte| byte != 0) {
            self.kept.push((self.len, bytes.to_vec()));
        }
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        if at + into.len() as u64 > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.fill(0);
        for (start, bytes) in &self.kept {
            let from = at.max(*start);
            let to = (at + into.len() as u64).min(start + bytes.len() as u64);
            if from < to {
                let piece = &bytes[(from - start) as usize..(to - start) as usize];
                into[(from - at) as usize..(to - at) as usize].copy_from_slice(piece);
            }
        }
        Ok(())
    }
}

#[test]
fn over_4_gib_the_file_is_what_pytorch_writes() {
    let len = (1_u64 << 32) + 10;
    let numbers = [0_i64, 1, 2];
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let zeros = Data::reader(len, io::repeat(0).take(len));
    let items = [
        draft.tensor_of(DType::UInt8, &[len], zeros).unwrap(),
        draft.tensor(&[3], &numbers).unwrap(),
        draft.tensor::<f32>(&[0], &[]).unwrap(),
    ];
    let root = draft.list(&items).unwrap();
    let mut sparse = Sparse::default();
    let plan = draft.finish(root).unwrap();
    let announced = plan.nbytes();
    assert_eq!(plan.write(&mut sparse).unwrap(), announced);
    assert_eq!(sparse.len, announced);

    let golden: Value =
        serde_json::from_slice(&fs::read(fixture("save/large.json")).unwrap()).unwrap();
    assert_eq!(golden["nbytes"], sparse.len);
    for piece in golden["pieces"].as_array().unwrap() {
        let (at, hex) = (piece[0].as_u64().unwrap(), piece[1].as_str().unwrap());
        let mut ours = vec![0; hex.len() / 2];
        sparse.read_at(at, &mut ours).unwrap();
        let ours: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ours, hex, "at {at}");
    }

    let read = Options::default().read(sparse).unwrap();
    let list = read.tensors().unwrap();
    assert_eq!(list.entries()[0].tensor().unwrap().numel(), len);
    assert_eq!(list.entries()[1].on(&read).unwrap().to_vec::<i64>().unwrap(), numbers);
    assert!(read.findings().is_empty());
}

#[test]
fn more_members_than_16_bits_count() {
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let items: Vec<_> = (0..70_000_u32)
        .map(|number| draft.tensor_of(DType::UInt8, &[4], number.to_le_bytes().to_vec()).unwrap())
        .collect();
    let root = draft.list(&items).unwrap();
    let plan = draft.finish(root).unwrap();
    let (announced, mut file) = (plan.nbytes(), Vec::new());
    assert_eq!(plan.write(&mut file).unwrap(), announced);
    let read = Checkpoint::from_bytes(file).unwrap();
    let list = read.tensors().unwrap();
    assert_eq!(list.len(), 70_000);
    let last = list.entries()[69_999].on(&read).unwrap();
    assert_eq!(last.to_vec::<u8>().unwrap(), 69_999_u32.to_le_bytes());
}
