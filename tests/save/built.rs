//! What is built from Rust values is, byte for byte, what PyTorch saves of the same values.
//! `tests/fixtures/save/make.py` has PyTorch save them.

use depickle::Budget;
use depickle::pickle::NodeId;
use depickle::torch::{Checkpoint, DType, Draft, Error, Form, TensorSpec};
use half::{bf16, f16};

use crate::common::fixture;
use crate::saved;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(fixture("save").join(name)).unwrap()
}

/// Byte by byte; says where two files part.
#[track_caller]
fn same(ours: &[u8], theirs: &[u8]) {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    if let Some(at) = at {
        let window = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())])
                .escape_debug()
                .to_string()
        };
        panic!("byte {at}: ours\n{}\ntheirs\n{}", window(ours), window(theirs));
    }
    assert_eq!(ours.len(), theirs.len());
}

struct Data {
    floats: Vec<Vec<f32>>,
    batches: [i64; 1],
    step: [f32; 1],
    halves: [f32; 6],
    quarters: [f32; 6],
}

fn data() -> Data {
    let row = |len: usize, number: usize| (0..len).map(|i| (i + number) as f32).collect();
    let floats = [6, 2, 2, 2, 2, 2].iter().enumerate().map(|(number, &len)| row(len, number));
    Data {
        floats: floats.collect(),
        batches: [6],
        step: [5.0],
        halves: [0.5; 6],
        quarters: [0.25; 6],
    }
}

/// `training()` of `make.py`.
fn training<'run>(draft: &mut Draft<'run>, data: &'run Data) -> Result<NodeId, Error> {
    let shapes: [&[u64]; 6] = [&[2, 3], &[2], &[2], &[2], &[2], &[2]];
    let names = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"];
    let mut entries = Vec::new();
    for ((name, shape), floats) in names.iter().zip(shapes).zip(&data.floats) {
        entries.push((*name, draft.tensor(shape, floats)?));
    }
    entries.push(("1.num_batches_tracked", draft.tensor(&[], &data.batches)?));
    let model = draft.state_dict(entries)?;
    draft.set_versions(model, [("", 1), ("0", 1), ("1", 2)])?;

    let keys = [draft.value("step")?, draft.value("exp_avg")?, draft.value("exp_avg_sq")?];
    let mut state = Vec::new();
    for (number, shape) in [&[2_u64, 3][..], &[2][..]].into_iter().enumerate() {
        let len = shape.iter().product::<u64>() as usize;
        let values = [
            draft.tensor(&[], &data.step)?,
            draft.tensor(shape, &data.halves[..len])?,
            draft.tensor(shape, &data.quarters[..len])?,
        ];
        let pairs: Vec<_> = keys.into_iter().zip(values).collect();
        state.push((draft.value(&number)?, draft.dict(&pairs)?));
    }
    let state = draft.dict(&state)?;
    let group = [
        ("lr", draft.value(&1e-3)?),
        ("betas", draft.value(&(0.9, 0.999))?),
        ("amsgrad", draft.value(&false)?),
        ("maximize", draft.none()),
        ("params", draft.value(&[0, 1])?),
    ];
    let group = draft.mapping(&group)?;
    let groups = draft.list(&[group])?;
    let optimizer = draft.mapping(&[("state", state), ("param_groups", groups)])?;
    let root = [
        ("epoch", draft.value(&300)?),
        ("model_state_dict", model),
        ("optimizer_state_dict", optimizer),
        ("loss", draft.value(&0.125)?),
        ("history", draft.value(&[1.5, 0.5, 0.125])?),
        ("name", draft.value("run-7 ✓")?),
        ("steps", draft.value(&(1_i64 << 40))?),
    ];
    draft.mapping(&root)
}

#[test]
fn a_training_loops_checkpoint_is_what_pytorch_writes() {
    let (data, mut budget) = (data(), Budget::default());
    let file = saved(Form::Zip, "training", &mut budget, |draft| training(draft, &data)).unwrap();
    same(&file, &golden("training.pth"));
}

#[test]
fn so_it_is_in_the_layout_of_before_1_6() {
    let (data, mut budget) = (data(), Budget::default());
    let file = saved(Form::Legacy, "", &mut budget, |draft| training(draft, &data)).unwrap();
    same(&file, &golden("training_legacy.pth"));
}

#[test]
fn views_flags_and_dtypes_are_what_pytorch_writes() {
    let base: Vec<f32> = (0..12_u8).map(f32::from).collect();
    let (seven, ones, zeros) = ([7_i64], [1_f32; 2], [0_f32; 2]);
    let half_ones = [f16::ONE; 2];
    let complex = [[1_f32, 2.0], [3.0, -4.0]];
    let other = [[1_f32, 2.0]];
    let mut budget = Budget::default();
    // Storages are bytes as files have them, little-endian on any machine.
    let bytes = |floats: &[f32]| floats.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
    let file = saved(Form::Zip, "built", &mut budget, |draft| {
        let storage = draft.storage(bytes(&base));
        let float = |shape: &[u64]| TensorSpec::new(DType::Float32, shape);
        let mut items = vec![
            draft.view(storage, &float(&[12]))?,
            draft.view(storage, &float(&[4]).offset(4))?,
            draft.view(storage, &float(&[4, 3]).stride(&[1, 4]))?,
            draft.view(storage, &float(&[5]).stride(&[0]))?,
            draft.tensor::<f32>(&[0, 3], &[])?,
            draft.tensor(&[], &seven)?,
        ];
        let ones_tensor = draft.tensor(&[2], &ones)?;
        items.push(draft.parameter(ones_tensor, true)?);
        let halves = draft.tensor(&[2], &half_ones)?;
        items.push(draft.parameter(halves, false)?);
        let zeros = draft.tensor(&[2], &zeros)?;
        items.push(draft.buffer(zeros, true)?);
        let one = draft.storage(bytes(&ones[..1]));
        items.push(draft.view(one, &float(&[1]).requires_grad(true))?);
        let many = many(draft)?;
        items.push(draft.mapping(&many)?);
        let complex64 = |shape: &[u64]| TensorSpec::new(DType::Complex64, shape);
        let conj = draft.storage(bytes(complex.as_flattened()));
        items.push(draft.view(conj, &complex64(&[2]).conj(true))?);
        let neg = draft.storage(bytes(other.as_flattened()));
        items.push(draft.view(neg, &float(&[1]).stride(&[2]).offset(1).neg(true))?);
        Ok(draft.list(&items)?)
    });
    // The imaginary half of a complex storage: PyTorch calls it a storage of floats.
    same(&file.unwrap(), &golden("built.pth"));
}

/// `[1, 0, 1]` in many types.
fn many(draft: &mut Draft) -> Result<Vec<(&'static str, NodeId)>, Error> {
    let order = "float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128 \
                 uint16 uint32 uint64 float8_e4m3fn float8_e5m2";
    let mut made = Vec::new();
    for name in order.split_whitespace() {
        let dtype = DType::from_name(name).unwrap();
        let one: Vec<u8> = match name {
            "float64" => 1_f64.to_le_bytes().into(),
            "float16" => f16::ONE.to_le_bytes().into(),
            "bfloat16" => bf16::ONE.to_le_bytes().into(),
            "complex64" => [1_f32.to_le_bytes(), [0; 4]].concat(),
            "complex128" => [1_f64.to_le_bytes(), [0; 8]].concat(),
            "float8_e4m3fn" => vec![0x38],
            "float8_e5m2" => vec![0x3c],
            _ => 1_u64.to_le_bytes()[..dtype.width() as usize].into(),
        };
        let zero = vec![0; one.len()];
        let bytes = [&one[..], &zero, &one].concat();
        made.push((dtype.name(), draft.tensor_of(dtype, &[3], bytes)?));
    }
    Ok(made)
}

#[test]
fn storages_are_numbered_and_the_whole_is_hashed_as_pytorch_does() {
    let numbers: Vec<[u8; 1]> = (0..40).map(|number| [number]).collect();
    let mut budget = Budget::default();
    let file = saved(Form::Zip, "many", &mut budget, |draft| {
        let mut pairs = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            pairs.push((index.to_string(), draft.tensor(&[1], number)?));
        }
        draft.mapping(&pairs)
    });
    same(&file.unwrap(), &golden("many.pth"));
}

#[test]
fn what_is_built_reads_back() {
    let elements: Vec<u8> = (-6_i16..6).flat_map(i16::to_le_bytes).collect();
    let mut budget = Budget::default();
    let file = saved(Form::Zip, "archive", &mut budget, |draft| {
        let storage = draft.storage(&elements[..]);
        let spec = TensorSpec::new(DType::Int16, &[4, 3]).stride(&[1, 4]);
        let turned = draft.view(storage, &spec)?;
        let part = draft.view(storage, &TensorSpec::new(DType::Int16, &[2]).offset(5))?;
        let packed = draft.tensor_of(DType::Float4E2M1FnX2, &[2], vec![0x12, 0x34])?;
        let raw = draft.storage_object(storage, None);
        assert!(raw.is_ok());
        let typed = draft.storage_object(storage, Some(DType::Int16))?;
        let pairs = [("turned", turned), ("part", part), ("packed", packed), ("storage", typed)];
        draft.mapping(&pairs)
    });
    let read = Checkpoint::from_bytes(file.unwrap()).unwrap();
    let turned = read.tensor("turned").unwrap();
    assert_eq!((turned.shape(), turned.stride()), (&[4, 3][..], &[1, 4][..]));
    assert_eq!(turned.to_vec::<i16>().unwrap(), [-6, -2, 2, -5, -1, 3, -4, 0, 4, -3, 1, 5]);
    assert_eq!(read.tensor("part").unwrap().to_vec::<i16>().unwrap(), [-1, 0]);
    assert_eq!(&*read.tensor("packed").unwrap().to_bytes().unwrap(), [0x12, 0x34]);
    assert_eq!(read.storages().all().len(), 2, "one for all views, and the packed");
    assert!(read.verify().unwrap().is_sound());
}
