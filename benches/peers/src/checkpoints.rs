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

fn burn_store(path: &Path, work: Work) -> Count {
    use burn_store::ModuleStore;
    let mut store = burn_store::PytorchStore::from_file(path);
    let tensors = store.get_all_tensors()?;
    if work == Work::List {
        return Ok(tensors.len() as u64);
    }
    let mut total = 0_u64;
    for tensor in tensors.values() {
        total = total.wrapping_add(sum(tensor.to_data()?.as_bytes()));
    }
    Ok(total)
}

fn pt_loader(path: &Path, work: Work) -> Count {
    let options = pt_loader::LoadOptions { max_tensor_count: usize::MAX, ..Default::default() };
    let checkpoint = pt_loader::PtCheckpoint::load(path, options)?;
    if work == Work::List {
        return Ok(checkpoint.tensor_count() as u64);
    }
    let mut total = 0_u64;
    for tensor in checkpoint.state_dict()?.values() {
        let pt_loader::TensorArray::F32(values) = tensor else { return Err("not float32".into()) };
        let words = values.iter().map(|value| u64::from(value.to_bits()));
        total = total.wrapping_add(words.fold(0, u64::wrapping_add));
    }
    Ok(total)
}

/// It lists, and leaves reading to the caller.
fn repugnant_pickle(path: &Path, work: Work) -> Count {
    if work == Work::Read {
        return Err("reads no data".into());
    }
    let tensors = repugnant_pickle::RepugnantTorchTensors::new_from_file(path);
    Ok(tensors.map_err(|why| why.to_string())?.0.len() as u64)
}

/// The same tensors in its own format, beside the file: what reading costs without a pickle.
fn safetensors(path: &Path, work: Work) -> Count {
    let file = std::fs::File::open(path.with_extension("safetensors"))?;
    // SAFETY: nobody writes these files while they are timed.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let tensors = safetensors::SafeTensors::deserialize(&map)?;
    if work == Work::List {
        return Ok(tensors.len() as u64);
    }
    let sums = tensors.tensors().into_iter().map(|(_, view)| sum(view.data()));
    Ok(sums.fold(0, u64::wrapping_add))
}

pub(crate) const READERS: &[Reader] = &[
    Reader { name: "depickle, positioned", run: Some(|path, work| second(|| depickle_positioned(path, work))) },
    Reader { name: "depickle, mapped", run: Some(|path, work| second(|| depickle_mapped(path, work))) },
    Reader { name: "pytorch-reader", run: Some(|path, work| second(|| pytorch_reader(path, work))) },
    Reader { name: "candle-core", run: Some(|path, work| second(|| candle(path, work))) },
    Reader { name: "burn-store", run: Some(|path, work| second(|| burn_store(path, work))) },
    Reader { name: "pt-loader", run: Some(|path, work| second(|| pt_loader(path, work))) },
    Reader { name: "repugnant-pickle", run: Some(|path, work| second(|| repugnant_pickle(path, work))) },
    Reader { name: "safetensors, mapped", run: Some(|path, work| second(|| safetensors(path, work))) },
    Reader { name: "torch.load", run: None },
    Reader { name: "torch.load, mmap", run: None },
];
