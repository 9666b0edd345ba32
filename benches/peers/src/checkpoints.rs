//! Readers of `.pth` files.

use std::error::Error;
use std::path::Path;

use depickle::torch::Checkpoint;

use crate::{Reader, Work, second, sum};

/// What was found: tensors, or the sum of all words.
type Count = Result<u64, Box<dyn Error>>;

fn depickle_positioned(path: &Path, work: Work) -> Count {
    let checkpoint = Checkpoint::open(path)?;
    let list = checkpoint.tensors()?;
    if work == Work::List {
        return Ok(list.len() as u64);
    }
    let mut total = 0_u64;
    for entry in list {
        total = total.wrapping_add(sum(&entry.on(&checkpoint)?.to_bytes()?));
    }
    Ok(total)
}

fn depickle_mapped(path: &Path, work: Work) -> Count {
    let checkpoint = Checkpoint::open_mapped(path)?;
    let list = checkpoint.tensors()?;
    if work == Work::List {
        return Ok(list.len() as u64);
    }
    let mut total = 0_u64;
    for entry in list {
        total = total.wrapping_add(sum(entry.on(&checkpoint)?.as_bytes().ok_or("not lent")?));
    }
    Ok(total)
}

fn pytorch_reader(path: &Path, work: Work) -> Count {
    let reader = pytorch_reader::PytorchReader::new(path)?;
    if work == Work::List {
        return Ok(reader.len() as u64);
    }
    let mut total = 0_u64;
    for tensor in reader.tensors().values() {
        total = total.wrapping_add(sum(&tensor.read()?));
    }
    Ok(total)
}

fn candle(path: &Path, work: Work) -> Count {
    let tensors = candle_core::pickle::PthTensors::new(path, None)?;
    if work == Work::List {
        return Ok(tensors.tensor_infos().len() as u64);
    }
    let mut total = 0_u64;
    for name in tensors.tensor_infos().keys() {
        let tensor = tensors.get(name)?.ok_or("a listed tensor is missing")?;
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        let words = values.iter().map(|value| u64::from(value.to_bits()));
        total = total.wrapping_add(words.fold(0, u64::wrapping_add));
    }
    Ok(total)
}

pub(crate) const READERS: &[Reader] = &[
    Reader { name: "depickle, positioned", run: Some(|path, work| second(|| depickle_positioned(path, work))) },
    Reader { name: "depickle, mapped", run: Some(|path, work| second(|| depickle_mapped(path, work))) },
    Reader { name: "pytorch-reader", run: Some(|path, work| second(|| pytorch_reader(path, work))) },
    Reader { name: "candle-core", run: Some(|path, work| second(|| candle(path, work))) },
    Reader { name: "torch.load", run: None },
    Reader { name: "torch.load, mmap", run: None },
];
