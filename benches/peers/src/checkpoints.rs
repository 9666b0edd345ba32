//! Readers of `.pth` files.

use std::error::Error;
use std::io::Read;
use std::path::Path;

use depickle::Budget;
use depickle::base::Existing;
use depickle::torch::{Checkpoint, Draft};

use crate::seen::Seen;
use crate::{Answer, Reader, Work, timed};

type Done = Result<(), Box<dyn Error>>;

/// Sizes, of whatever type, as one type.
fn sizes<T: Copy + TryInto<u64>>(shape: &[T]) -> impl Iterator<Item = u64> {
    shape.iter().map(|size| (*size).try_into().unwrap_or(u64::MAX))
}

/// Every tensor of a checkpoint, and its bytes as `read` has them.
fn each(
    checkpoint: &Checkpoint,
    work: Work,
    seen: &mut Seen,
    read: impl Fn(depickle::torch::TensorRef<'_>, &mut Seen) -> Done,
) -> Done {
    for entry in checkpoint.tensors()? {
        let tensor = entry.on(checkpoint)?;
        seen.tensor(tensor.name(), sizes(tensor.shape()));
        if work == Work::Read {
            read(tensor, seen)?;
        }
    }
    Ok(())
}

fn depickle_owned(path: &Path, work: Work, seen: &mut Seen) -> Done {
    each(&Checkpoint::open(path)?, work, seen, |tensor, seen| {
        seen.bytes(&tensor.to_bytes()?);
        Ok(())
    })
}

fn depickle_streamed(path: &Path, work: Work, seen: &mut Seen) -> Done {
    each(&Checkpoint::open(path)?, work, seen, |tensor, seen| {
        tensor.for_each_chunk(|chunk| {
            seen.bytes(chunk);
            Ok(())
        })
    })
}

fn depickle_mapped(path: &Path, work: Work, seen: &mut Seen) -> Done {
    each(&Checkpoint::open_mapped(path)?, work, seen, |tensor, seen| {
        seen.bytes(&tensor.to_bytes()?);
        Ok(())
    })
}

/// No reader: the system's part of it. What `cat` does, and each word touched.
fn read_only(path: &Path, work: Work, seen: &mut Seen) -> Done {
    if work != Work::Read {
        return Err("reads only".into());
    }
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => seen.bytes(&buffer[..read]),
        }
    }
}

fn pytorch_reader(path: &Path, work: Work, seen: &mut Seen) -> Done {
    let reader = pytorch_reader::PytorchReader::new(path)?;
    for (name, tensor) in reader.tensors() {
        seen.tensor(name, sizes(tensor.shape()));
        if work == Work::Read {
            seen.bytes(&tensor.read()?);
        }
    }
    Ok(())
}

fn candle(path: &Path, work: Work, seen: &mut Seen) -> Done {
    use candle_core::{CpuStorage, Storage};
    let tensors = candle_core::pickle::PthTensors::new(path, None)?;
    for (name, info) in tensors.tensor_infos() {
        seen.tensor(name, sizes(info.layout.dims()));
        if work == Work::List {
            continue;
        }
        let tensor = tensors.get(name)?.ok_or("a listed tensor is missing")?.contiguous()?;
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { return Err("not in memory".into()) };
        let (from, to) = layout.contiguous_offsets().ok_or("not contiguous")?;
        seen.bytes(match storage {
            CpuStorage::F32(values) => bytemuck::cast_slice(&values[from..to]),
            CpuStorage::I64(values) => bytemuck::cast_slice(&values[from..to]),
            _ => return Err("another dtype than the files have".into()),
        });
    }
    Ok(())
}

#[cfg(feature = "burn-store")]
fn burn_store(path: &Path, work: Work, seen: &mut Seen) -> Done {
    use burn_store::ModuleStore;
    let mut store = burn_store::PytorchStore::from_file(path);
    for (name, tensor) in store.get_all_tensors()? {
        seen.tensor(name, sizes(tensor.shape()));
        if work == Work::Read {
            seen.bytes(tensor.to_data()?.as_bytes());
        }
    }
    Ok(())
}

fn pt_loader(path: &Path, work: Work, seen: &mut Seen) -> Done {
    use pt_loader::{PtCheckpoint, TensorArray, TensorManifest};
    let options = pt_loader::LoadOptions { max_tensor_count: usize::MAX, ..Default::default() };
    let checkpoint = PtCheckpoint::load(path, options)?;
    if work == Work::List {
        let TensorManifest::List(tensors) = &checkpoint.metadata().tensors else {
            return Err("several state dicts".into());
        };
        for tensor in tensors {
            seen.tensor(&tensor.name, sizes(&tensor.shape));
        }
        return Ok(());
    }
    for (name, tensor) in checkpoint.state_dict()? {
        match tensor {
            TensorArray::F32(values) => {
                seen.tensor(&name, sizes(values.shape()));
                seen.bytes(bytemuck::cast_slice(values.as_slice().ok_or("not in order")?));
            }
            TensorArray::I64(values) => {
                seen.tensor(&name, sizes(values.shape()));
                seen.bytes(bytemuck::cast_slice(values.as_slice().ok_or("not in order")?));
            }
            _ => return Err("another dtype than the files have".into()),
        }
    }
    Ok(())
}

/// It lists, and leaves reading to the caller.
fn repugnant_pickle(path: &Path, work: Work, seen: &mut Seen) -> Done {
    if work == Work::Read {
        return Err("reads no data".into());
    }
    let tensors = repugnant_pickle::RepugnantTorchTensors::new_from_file(path);
    for tensor in tensors.map_err(|why| why.to_string())?.0 {
        seen.tensor(&tensor.name, sizes(&tensor.shape));
    }
    Ok(())
}

/// The same tensors in its own format, beside the file: what reading costs without a pickle.
fn safetensors(path: &Path, work: Work, seen: &mut Seen) -> Done {
    let file = std::fs::File::open(path.with_extension("safetensors"))?;
    // SAFETY: nobody writes these files while they are timed.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let tensors = safetensors::SafeTensors::deserialize(&map)?;
    for (name, view) in tensors.iter() {
        seen.tensor(name, sizes(view.shape()));
        if work == Work::Read {
            seen.bytes(view.data());
        }
    }
    Ok(())
}

/// Opening a whole model and printing it; the answer is the length of the text.
fn print(path: &Path) -> Answer {
    timed(|_| {
        let checkpoint = Checkpoint::open(path)?;
        Ok(checkpoint.module()?.to_string().len() as u64)
    })
}

/// Reads a checkpoint and writes it beside, checksums computed.
fn save(path: &Path) -> Answer {
    let out = path.with_extension("saved");
    let checkpoint = Checkpoint::open(path)?;
    let answer = timed(|_| {
        let mut budget = Budget::default();
        let draft = Draft::of(&checkpoint, &mut budget)?;
        let root = draft.root();
        draft.finish(root)?.save(&out, Existing::Replace)?;
        Ok(0)
    });
    std::fs::remove_file(out)?;
    answer
}

fn measure(path: &Path, work: Work, read: fn(&Path, Work, &mut Seen) -> Done) -> Answer {
    if !matches!(work, Work::List | Work::Read) {
        return Err("lists and reads".into());
    }
    timed(|first| {
        let mut seen = Seen::new(first);
        read(path, work, &mut seen)?;
        Ok(seen.answer())
    })
}

pub(crate) const READERS: &[Reader] = &[
    Reader {
        name: "depickle",
        run: |path, work| match work {
            Work::Tree => print(path),
            Work::Save => save(path),
            _ => measure(path, work, depickle_owned),
        },
    },
    Reader { name: "depickle, streamed", run: |path, work| measure(path, work, depickle_streamed) },
    Reader { name: "depickle, mapped", run: |path, work| measure(path, work, depickle_mapped) },
    Reader { name: "read(2) alone", run: |path, work| measure(path, work, read_only) },
    Reader { name: "pytorch-reader", run: |path, work| measure(path, work, pytorch_reader) },
    Reader { name: "candle-core", run: |path, work| measure(path, work, candle) },
    #[cfg(feature = "burn-store")]
    Reader { name: "burn-store", run: |path, work| measure(path, work, burn_store) },
    Reader { name: "pt-loader", run: |path, work| measure(path, work, pt_loader) },
    Reader { name: "repugnant-pickle", run: |path, work| measure(path, work, repugnant_pickle) },
    Reader { name: "safetensors, mapped", run: |path, work| measure(path, work, safetensors) },
];
