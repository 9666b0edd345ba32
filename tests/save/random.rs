//! Random checkpoints: build, write, read is identity, in both layouts.

use std::collections::BTreeMap;

use depickle::Budget;
use depickle::pickle::{NodeId, Object, Value as Seen, difference};
use depickle::torch::{Checkpoint, DType, Draft, Error, Form, SavedStorage, TensorSpec};
use proptest::prelude::*;

use crate::{resaved, saved};

#[derive(Clone, Debug)]
pub(crate) enum Plain {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Plain>),
    Tuple(Vec<Plain>),
    Dict(BTreeMap<String, Plain>),
    /// One of the tensors, by number.
    Tensor(usize),
    Parameter(usize, bool),
}

/// A view: which storage, sizes, steps, first element, gradient.
type View = (usize, Vec<(u64, u64)>, u64, bool);

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Dtype and elements.
    storages: Vec<(DType, u64)>,
    views: Vec<View>,
    root: Plain,
}

fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        Just(Plain::None),
        any::<bool>().prop_map(Plain::Bool),
        any::<i64>().prop_map(Plain::Int),
        any::<f64>().prop_filter("NaN has many forms", |x| !x.is_nan()).prop_map(Plain::Float),
        ".{2,6}".prop_map(Plain::Text),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Plain::Bytes),
        (0_usize..6).prop_map(Plain::Tensor),
        (0_usize..6, any::<bool>()).prop_map(|(at, grad)| Plain::Parameter(at, grad)),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Plain::List),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Plain::Tuple),
            prop::collection::btree_map("[a-z]{2,5}", inner, 0..6).prop_map(Plain::Dict),
        ]
    })
}

pub(crate) fn model(dtypes: Vec<DType>) -> impl Strategy<Value = Model> {
    let storage = (prop::sample::select(dtypes), 0_u64..40);
    let dimensions = prop::collection::vec((0_u64..4, 0_u64..5), 0..4);
    let view = (0_usize..4, dimensions, 0_u64..6, any::<bool>());
    let (storages, views) =
        (prop::collection::vec(storage, 1..4), prop::collection::vec(view, 1..6));
    (storages, views, plain()).prop_map(|(storages, views, root)| Model { storages, views, root })
}

/// Names of all views, and nothing else.
#[cfg(feature = "doctor")]
pub(crate) fn state_dict(dtypes: Vec<DType>) -> impl Strategy<Value = Model> {
    model(dtypes).prop_map(|mut model| {
        let names = (0..model.views.len()).map(|at| (format!("layer.{at}"), Plain::Tensor(at)));
        model.root = Plain::Dict(names.collect());
        model
    })
}

#[cfg(feature = "doctor")]
impl Model {
    /// With dtypes that the layout before 1.6 knows.
    pub(crate) fn typed(mut self) -> Self {
        for (dtype, _) in &mut self.storages {
            if dtype.storage_class().is_none() {
                *dtype = DType::Float32;
            }
        }
        self
    }
}

struct Builder<'model> {
    model: &'model Model,
    storages: Vec<SavedStorage>,
    made: BTreeMap<usize, NodeId>,
}

/// Elements of a storage, told apart from those of others.
fn bytes(number: usize, model: &Model) -> Vec<u8> {
    let (dtype, numel) = model.storages[number];
    let len = (numel * dtype.width()) as usize;
    // Booleans are 0 or 1.
    let modulus = if dtype == DType::Bool { 2 } else { 251 };
    (0..len).map(|at| ((at * 7 + number * 31) % modulus) as u8).collect()
}

/// The view as it is made: what reaches out of its storage is cut down to one element or none.
fn spec(model: &Model, number: usize) -> (usize, TensorSpec, Vec<u64>, Vec<u64>, u64) {
    let (storage, dimensions, offset, grad) = &model.views[number % model.views.len()];
    let storage = storage % model.storages.len();
    let (dtype, numel) = model.storages[storage];
    let (mut shape, mut stride): (Vec<u64>, Vec<u64>) = dimensions.iter().copied().unzip();
    let reach = |shape: &[u64], stride: &[u64]| {
        offset + shape.iter().zip(stride).map(|(n, s)| n.saturating_sub(1) * s).sum::<u64>() + 1
    };
    let mut offset_now = *offset;
    if !shape.contains(&0) && reach(&shape, &stride) > numel {
        (shape, stride, offset_now) = (vec![numel.min(1)], vec![1], 0);
    }
    let float = matches!(dtype, DType::Float32 | DType::Float64 | DType::BFloat16);
    let spec = TensorSpec::new(dtype, &shape).stride(&stride).offset(offset_now);
    (storage, spec.requires_grad(*grad && float), shape, stride, offset_now)
}

impl Builder<'_> {
    fn tensor(&mut self, draft: &mut Draft, number: usize) -> Result<NodeId, Error> {
        let number = number % self.model.views.len();
        if let Some(id) = self.made.get(&number) {
            return Ok(*id);
        }
        let (storage, spec, ..) = spec(self.model, number);
        let id = draft.view(self.storages[storage], &spec)?;
        self.made.insert(number, id);
        Ok(id)
    }

    fn build(&mut self, draft: &mut Draft, plain: &Plain) -> Result<NodeId, Error> {
        Ok(match plain {
            Plain::None => draft.none(),
            Plain::Bool(value) => draft.value(value)?,
            Plain::Int(value) => draft.value(value)?,
            Plain::Float(value) => draft.value(value)?,
            Plain::Text(text) => draft.value(text)?,
            Plain::Bytes(bytes) => draft.bytes(bytes)?,
            Plain::List(items) | Plain::Tuple(items) => {
                let ids: Result<Vec<_>, _> =
                    items.iter().map(|item| self.build(draft, item)).collect();
                let ids = ids?;
                if matches!(plain, Plain::List(_)) {
                    draft.list(&ids)?
                } else {
                    draft.tuple(&ids)?
                }
            }
            Plain::Dict(pairs) => {
                let mut ids = Vec::new();
                for (key, value) in pairs {
                    ids.push((key, self.build(draft, value)?));
                }
                draft.mapping(&ids)?
            }
            Plain::Tensor(number) => self.tensor(draft, *number)?,
            Plain::Parameter(number, grad) => {
                let tensor = self.tensor(draft, *number)?;
                draft.parameter(tensor, *grad)?
            }
        })
    }

    /// Whether what was read is what was built.
    fn check(&self, read: &Checkpoint, object: Object, plain: &Plain) {
        match (plain, object.value()) {
            (Plain::None, Seen::None) => {}
            (Plain::Bool(a), Seen::Bool(b)) => assert_eq!(*a, b),
            (Plain::Int(a), Seen::Int(b)) => assert_eq!(*a, b),
            (Plain::Float(a), Seen::Float(b)) => assert_eq!(a.to_bits(), b.to_bits()),
            (Plain::Text(a), Seen::Text(b)) => assert_eq!(Some(&**a), b.as_str()),
            // Bytes are written by a call below protocol 3.
            (Plain::Bytes(_), Seen::Recipe(_)) => {}
            (Plain::List(a), Seen::List(_)) | (Plain::Tuple(a), Seen::Tuple(_)) => {
                assert_eq!(a.len(), object.items().unwrap().len());
                for (plain, object) in a.iter().zip(object.items().unwrap().iter()) {
                    self.check(read, object, plain);
                }
            }
            (Plain::Dict(a), Seen::Dict(b)) => {
                assert_eq!(a.len(), b.len());
                for ((key, plain), (seen, object)) in a.iter().zip(b.iter()) {
                    assert_eq!(Some(&**key), seen.as_str());
                    self.check(read, object, plain);
                }
            }
            (Plain::Tensor(number), _) => self.check_tensor(read, object, *number, None),
            (Plain::Parameter(number, grad), _) => {
                self.check_tensor(read, object, *number, Some(*grad));
            }
            (plain, seen) => panic!("{plain:?} became {seen:?}"),
        }
    }

    fn check_tensor(&self, read: &Checkpoint, object: Object, number: usize, grad: Option<bool>) {
        let (storage, _, shape, stride, offset) = spec(self.model, number);
        let tensor = read.view(object).unwrap().unwrap();
        assert_eq!((tensor.shape(), tensor.stride()), (&shape[..], &stride[..]));
        assert_eq!(
            (tensor.dtype(), tensor.storage_offset()),
            (self.model.storages[storage].0, offset)
        );
        assert_eq!(tensor.is_parameter(), grad.is_some());
        if let Some(grad) = grad {
            assert_eq!(tensor.requires_grad(), grad);
        }
        let width = tensor.dtype().width() as usize;
        let from = bytes(storage, self.model);
        let mut want = Vec::new();
        for mut index in 0..tensor.numel() {
            let mut at = offset;
            for (size, step) in shape.iter().zip(&stride).rev() {
                at += index % size * step;
                index /= size;
            }
            want.extend_from_slice(&from[at as usize * width..][..width]);
        }
        let got = read.named("tensor", &tensor).to_bytes().unwrap().into_owned();
        assert_eq!(got, want);
    }
}

pub(crate) fn file(model: &Model, form: Form) -> Vec<u8> {
    let mut budget = Budget::default();
    let file = saved(form, "archive", &mut budget, |draft| {
        let storages: Vec<SavedStorage> =
            (0..model.storages.len()).map(|number| draft.storage(bytes(number, model))).collect();
        let mut builder = Builder { model, storages, made: BTreeMap::new() };
        builder.build(draft, &model.root)
    });
    file.unwrap()
}

fn check(model: &Model, forms: &[Form]) {
    let zip = file(model, Form::Zip);
    for &form in forms {
        let bytes = file(model, form);
        let read = Checkpoint::from_bytes(bytes.clone()).unwrap();
        let builder = Builder { model, storages: Vec::new(), made: BTreeMap::new() };
        builder.check(&read, read.root(), &model.root);
        // Again, it is the same file; and the other layout leads back to this one.
        assert!(resaved(&read, form, "archive").unwrap() == bytes);
        let there = resaved(&read, Form::Zip, "archive").unwrap();
        assert!(there == zip, "{form:?} leads to another zip");
        let again = Checkpoint::from_bytes(there).unwrap();
        let one = Checkpoint::from_bytes(zip.clone()).unwrap();
        let found = difference(one.root(), again.root(), &mut Budget::default()).unwrap();
        assert!(found.is_none(), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn typed_storages_in_both_layouts(model in model(
        DType::ALL.iter().copied().filter(|it| it.storage_class().is_some() && !it.is_quantized()).collect()
    )) {
        check(&model, &[Form::Zip, Form::Legacy]);
    }

    #[test]
    fn every_dtype_in_the_layout_of_today(model in model(
        DType::ALL.iter().copied().filter(|it| !it.is_quantized()).collect()
    )) {
        check(&model, &[Form::Zip]);
    }
}
