//! State dicts in other formats.

use bytes::Bytes;
use depickle::base::Existing;
use depickle::convert::{Convert, Format};
use depickle::torch::{Checkpoint, Layout};

use crate::checkpoints::options;
use crate::scratch;

/// What is written reads back as the same tensors, and opens.
pub fn convert(bytes: &[u8]) {
    let Ok(checkpoint) = options().read(Bytes::copy_from_slice(bytes)) else { return };
    for format in [Format::Safetensors, Format::Pth, Format::Npz] {
        let path = scratch(&format!("out.{}", format.name()));
        written(&checkpoint, format, &path);
        let _ = std::fs::remove_file(&path);
    }
}

fn written(checkpoint: &Checkpoint, format: Format, path: &std::path::Path) {
    let Ok(plan) = Convert::to(format).plan(checkpoint) else { return };
    if plan.nbytes() > 1 << 22 || plan.files() != 1 {
        return;
    }
    let Ok(written) = plan.write(path, Existing::Replace, &|_| {}) else { return };
    written.verify(&|_| {}).expect("what was written is what was meant");
    written.commit().expect("a writable folder");
    if matches!(format, Format::Npz) {
        return;
    }
    let again = Checkpoint::open(path).expect("we wrote it");
    for item in plan.items() {
        let tensor = again.tensor(item.name()).expect("it was written");
        assert_eq!((tensor.shape(), tensor.dtype()), (item.shape(), item.dtype()));
        if tensor.layout() != Layout::Meta {
            assert_eq!(tensor.to_bytes().expect("it is there").len() as u64, item.nbytes());
        }
    }
}
