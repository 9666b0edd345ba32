//! What becomes of random checkpoints: converted they lead back to the same tensors, and cut they
//! are never clean.

use std::path::Path;

use depickle::base::Existing;
use depickle::convert::{Convert, Format, Shared};
use depickle::scan::{Scanner, Verdict};
use depickle::torch::{Checkpoint, DType, Form};
use proptest::prelude::*;

use crate::random::{Model, file, model, state_dict};

/// Name, dtype, sizes and elements of all tensors.
fn tensors(checkpoint: &Checkpoint) -> Vec<(String, DType, Vec<u64>, Vec<u8>)> {
    let list = checkpoint.tensors().unwrap();
    let mut all: Vec<_> = list
        .entries()
        .iter()
        .map(|entry| {
            let tensor = entry.on(checkpoint).unwrap();
            let bytes = tensor.to_bytes().unwrap().into_owned();
            (entry.name().to_owned(), tensor.dtype(), tensor.shape().to_vec(), bytes)
        })
        .collect();
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    all
}

/// Converted, each tensor with data of its own.
fn converted(checkpoint: &Checkpoint, format: Format, path: &Path) -> Checkpoint {
    let plan = Convert::to(format).shared(Shared::Copy).plan(checkpoint).unwrap();
    let written = plan.write(path, Existing::Refuse, &|_| {}).unwrap();
    written.verify(&|_| {}).unwrap();
    written.commit().unwrap();
    Checkpoint::open(path).unwrap()
}

/// What safetensors can hold.
fn common_dtypes() -> Vec<DType> {
    use DType::*;
    vec![
        Float32, Float64, Float16, BFloat16, Int64, Int32, Int16, Int8, UInt8, UInt16, UInt32,
        UInt64, Bool,
    ]
}

fn leads_back(model: &Model) {
    let original = Checkpoint::from_bytes(file(model, Form::Zip)).unwrap();
    let want = tensors(&original);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let there = converted(&original, Format::Safetensors, &path("a.safetensors"));
    assert_eq!(tensors(&there), want);
    let back = converted(&there, Format::Pth, &path("b.pth"));
    assert_eq!(tensors(&back), want);
    // From here on nothing changes any more.
    converted(&back, Format::Safetensors, &path("c.safetensors"));
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    assert!(bytes("a.safetensors") == bytes("c.safetensors"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn conversions_lead_back(model in state_dict(common_dtypes())) {
        leads_back(&model);
    }

    #[test]
    fn a_part_of_a_file_is_never_clean(
        model in model(common_dtypes()),
        form in prop::sample::select(vec![Form::Zip, Form::Legacy]),
        cut in any::<prop::sample::Index>(),
    ) {
        let model = if form == Form::Legacy { model.typed() } else { model };
        let bytes = file(&model, form);
        let scanner = Scanner::new();
        prop_assert_eq!(scanner.scan_bytes(bytes.clone()).verdict, Verdict::Clean);
        let part = bytes[..cut.index(bytes.len())].to_vec();
        let verdict = scanner.scan_bytes(part).verdict;
        prop_assert!(verdict != Verdict::Clean, "{} of {} bytes", cut.index(bytes.len()), bytes.len());
    }
}
