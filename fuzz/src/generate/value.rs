//! Objects: plain data, calls of what honest and hostile files call, tensors, modules; shared
//! and cyclic as it comes.

use arbitrary::{Arbitrary, Result, Unstructured};
use depickle::Budget;
use depickle::pickle::{BuildError, Encoder, GraphBuilder, NodeId};
use depickle::torch::DType;

use super::tables::{GLOBALS, MODULE_STATE};

/// Objects that are made at most.
const MOST: usize = 120;

/// A storage that a made pickle mentions.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its key, a number.
    pub key: u64,
    /// Bytes that it is to have.
    pub nbytes: usize,
    dtype: DType,
    /// Elements that it is said to have.
    pub numel: u64,
}

/// A pickle of some object.
pub fn pickle(choose: &mut Unstructured) -> Result<Vec<u8>> {
    Ok(pickle_with_storages(choose)?.0)
}

/// A pickle of some object, and the storages that it mentions.
pub fn pickle_with_storages(choose: &mut Unstructured) -> Result<(Vec<u8>, Vec<Storage>)> {
    let protocol = choose.int_in_range(0..=5)?;
    let mut budget = Budget::default();
    let build = GraphBuilder::new(&mut budget);
    let mut maker = Maker { choose, build, made: Vec::new(), storages: Vec::new(), count: 0 };
    let root = maker.root().map_err(|why| match why {
        Why::Choices(why) => why,
        Why::Build => arbitrary::Error::IncorrectFormat,
    })?;
    let Maker { build, storages, .. } = maker;
    let graph = build.finish(root);
    let root = graph.root().ok_or(arbitrary::Error::IncorrectFormat)?;
    let written = Encoder::new(protocol).to_vec(root, &mut Budget::default());
    // Not every object can be said in every protocol.
    let written = written.or_else(|_| Encoder::new(5).to_vec(root, &mut Budget::default()));
    Ok((written.map_err(|_| arbitrary::Error::IncorrectFormat)?, storages))
}

enum Why {
    Choices(arbitrary::Error),
    Build,
}

impl From<arbitrary::Error> for Why {
    fn from(why: arbitrary::Error) -> Self {
        Self::Choices(why)
    }
}

impl From<BuildError> for Why {
    fn from(_: BuildError) -> Self {
        Self::Build
    }
}

type Made = std::result::Result<NodeId, Why>;

struct Maker<'run, 'choices> {
    choose: &'run mut Unstructured<'choices>,
    build: GraphBuilder<'run>,
    made: Vec<NodeId>,
    storages: Vec<Storage>,
    count: usize,
}

impl Maker<'_, '_> {
    fn root(&mut self) -> Made {
        match self.choose.int_in_range(0..=3)? {
            0 => self.any(5),
            1 => self.module(3),
            _ => self.state_dict(),
        }
    }

    fn state_dict(&mut self) -> Made {
        let count = self.choose.int_in_range(1..=6)?;
        let mut pairs = Vec::new();
        for index in 0..count {
            let key = self.build.text(&format!("layer.{index}.weight"))?;
            let value = if self.choose.ratio(3, 4)? { self.tensor()? } else { self.any(2)? };
            pairs.push((key, value));
        }
        if self.choose.ratio(1, 2)? {
            return Ok(self.build.dict(&pairs)?);
        }
        let ordered = self.call("collections", "OrderedDict", &[])?;
        self.build.insert(ordered, &pairs)?;
        Ok(ordered)
    }

    fn call(&mut self, module: &str, name: &str, args: &[NodeId]) -> Made {
        let global = self.build.global(module, name)?;
        let args = self.build.tuple(args)?;
        Ok(self.build.call(global, args)?)
    }

    /// Anything, of so many levels.
    fn any(&mut self, depth: u32) -> Made {
        self.count += 1;
        if !self.made.is_empty() && self.choose.ratio(1, 6)? {
            return Ok(*self.choose.choose(&self.made)?);
        }
        let simple = depth == 0 || self.count > MOST;
        let made = match self.choose.int_in_range(0..=if simple { 6 } else { 16 })? {
            0 => self.build.none(),
            1 => {
                let value = bool::arbitrary(self.choose)?;
                self.build.bool(value)
            }
            2 => self.int()?,
            3 => self.build.float(f64::arbitrary(self.choose)?)?,
            4 => self.text()?,
            5 => {
                let len = self.choose.int_in_range(0..=16)?;
                let bytes = self.choose.bytes(usize::min(len, self.choose.len()))?;
                self.build.bytes(bytes)?
            }
            6 => self.global()?,
            7 => self.container(depth)?,
            8 => self.dict(depth)?,
            9 => self.list_of_itself(depth)?,
            10 | 11 => self.tensor()?,
            12 => self.module(depth)?,
            13 => self.array()?,
            14 => self.standard(depth)?,
            _ => self.recipe(depth)?,
        };
        self.made.push(made);
        Ok(made)
    }

    fn int(&mut self) -> Made {
        if self.choose.ratio(1, 4)? {
            let bytes = <[u8; 12]>::arbitrary(self.choose)?;
            return Ok(self.build.big_int(&bytes)?);
        }
        let value = match self.choose.int_in_range(0..=2)? {
            0 => i64::arbitrary(self.choose)?,
            1 => self.choose.int_in_range(-1..=8)?,
            _ => *self.choose.choose(&[0, -1, i64::MAX, i64::MIN, 1 << 53, 1 << 32, 255, 256])?,
        };
        Ok(self.build.int(value)?)
    }

    fn text(&mut self) -> Made {
        let odd =
            ["", "a.b", "$id", "weight", "é", "\0", "\n", "cpu", "storage", "0", "a/b", "\u{1f}"];
        let text = match self.choose.int_in_range(0..=2)? {
            0 => (*self.choose.choose(&odd)?).to_owned(),
            1 => (*self.choose.choose(MODULE_STATE)?).to_owned(),
            _ => String::arbitrary(self.choose)?.chars().take(40).collect(),
        };
        Ok(self.build.text(&text)?)
    }

    fn global(&mut self) -> Made {
        let (module, name) = *self.choose.choose(&GLOBALS)?;
        Ok(self.build.global(module, name)?)
    }

    fn items(&mut self, depth: u32) -> std::result::Result<Vec<NodeId>, Why> {
        let count = self.choose.int_in_range(0..=4)?;
        (0..count).map(|_| self.any(depth.saturating_sub(1))).collect()
    }

    fn container(&mut self, depth: u32) -> Made {
        let items = self.items(depth)?;
        Ok(match self.choose.int_in_range(0..=3)? {
            0 => self.build.list(&items)?,
            // What cannot be hashed is no member: then it is a tuple.
            1 => self.build.set(&items).or_else(|_| self.build.tuple(&items))?,
            2 => self.build.frozen_set(&items).or_else(|_| self.build.tuple(&items))?,
            _ => self.build.tuple(&items)?,
        })
    }

    fn dict(&mut self, depth: u32) -> Made {
        let dict = self.build.dict(&[])?;
        for _ in 0..self.choose.int_in_range(0..=4)? {
            let key = if self.choose.ratio(3, 4)? { self.text()? } else { self.any(1)? };
            let value = self.any(depth.saturating_sub(1))?;
            let _ = self.build.insert(dict, &[(key, value)]);
        }
        Ok(dict)
    }

    fn list_of_itself(&mut self, depth: u32) -> Made {
        let list = self.build.list(&[])?;
        self.made.push(list);
        let mut items = self.items(depth)?;
        items.push(list);
        self.build.append(list, &items)?;
        Ok(list)
    }

    fn recipe(&mut self, depth: u32) -> Made {
        let callable = if self.choose.ratio(7, 8)? { self.global()? } else { self.any(1)? };
        let items = self.items(depth)?;
        let args = self.build.tuple(&items)?;
        let made = if self.choose.ratio(1, 2)? {
            self.build.call(callable, args)?
        } else {
            self.build.instance(callable, args).or_else(|_| self.build.call(callable, args))?
        };
        if self.choose.ratio(1, 3)? {
            let state = self.any(depth.saturating_sub(1))?;
            let _ = self.build.set_state(made, state);
        }
        Ok(made)
    }

    /// Calls that views know, with arguments of about the right kind.
    fn standard(&mut self, depth: u32) -> Made {
        let bytes = <[u8; 10]>::arbitrary(self.choose)?;
        let state = self.build.bytes(&bytes)?;
        let (one, text) = (self.int()?, self.text()?);
        let below = depth.saturating_sub(1);
        match self.choose.int_in_range(0..=7)? {
            0 => self.call("datetime", "datetime", &[state]),
            1 => self.call("datetime", "timedelta", &[one, one, one]),
            2 => self.call("decimal", "Decimal", &[text]),
            3 => self.call("pathlib", "PosixPath", &[text, text]),
            4 => {
                let dict = self.dict(below)?;
                self.call("collections", "Counter", &[dict])
            }
            5 => {
                let name = self.build.text("latin1")?;
                self.call("_codecs", "encode", &[text, name])
            }
            6 => self.call("builtins", "range", &[one, one, one]),
            _ => self.call("torch", "device", &[text, one]),
        }
    }

    /// An array of numpy, mostly with as many bytes as it says.
    fn array(&mut self) -> Made {
        let (code, width) = *self.choose.choose(&[
            ("f4", 4),
            ("i8", 8),
            ("u1", 1),
            ("f8", 8),
            ("S3", 3),
            ("M8", 8),
            ("b1", 1),
            ("O8", 8),
        ])?;
        let (rows, columns) = (self.choose.int_in_range(0..=3)?, self.choose.int_in_range(0..=4)?);
        let (zero, one) = (self.build.int(0)?, self.build.int(1)?);
        let (no, yes) = (self.build.bool(false), self.build.bool(true));
        let code = self.build.text(code)?;
        let dtype = self.call("numpy", "dtype", &[code, no, yes])?;
        let order = self.build.text(self.choose.choose(&["<", ">", "|"])?)?;
        let (three, none, less) = (self.build.int(3)?, self.build.none(), self.build.int(-1)?);
        let state = self.build.tuple(&[three, order, none, none, none, less, less, zero])?;
        self.build.set_state(dtype, state)?;
        let ndarray = self.build.global("numpy", "ndarray")?;
        let (empty, letter) = (self.build.tuple(&[zero])?, self.build.bytes(b"b")?);
        let array =
            self.call("numpy._core.multiarray", "_reconstruct", &[ndarray, empty, letter])?;
        let (r, c) = (self.build.int(rows)?, self.build.int(columns)?);
        let shape = self.build.tuple(&[r, c])?;
        let right = usize::try_from(rows * columns).unwrap_or(0) * width;
        let len = if self.choose.ratio(15, 16)? { right } else { right + 1 };
        let data = self.build.bytes(&vec![1; len])?;
        let fortran = self.build.bool(self.choose.ratio(1, 3)?);
        let state = self.build.tuple(&[one, shape, dtype, fortran, data])?;
        self.build.set_state(array, state)?;
        Ok(array)
    }

    fn storage(&mut self) -> std::result::Result<(NodeId, Storage), Why> {
        let storage = if !self.storages.is_empty() && self.choose.ratio(1, 4)? {
            self.choose.choose(&self.storages)?.clone()
        } else {
            let classes: Vec<DType> = DType::ALL
                .iter()
                .copied()
                .filter(|dtype| dtype.storage_class().is_some())
                .collect();
            let dtype = *self.choose.choose(&classes)?;
            let numel: u64 = self.choose.int_in_range(0..=40)?;
            let nbytes = usize::try_from(numel * dtype.width()).unwrap_or(0);
            let key = self.storages.len() as u64;
            let storage = Storage { key, nbytes, dtype, numel };
            self.storages.push(storage.clone());
            storage
        };
        let class =
            self.build.global("torch", storage.dtype.storage_class().unwrap_or("FloatStorage"))?;
        let parts = [self.build.text("storage")?, class];
        let key = self.build.text(&storage.key.to_string())?;
        let device = self.build.text("cpu")?;
        // Now and then the count is a lie.
        let numel = if self.choose.ratio(15, 16)? { storage.numel } else { storage.numel + 1 };
        let numel = self.build.int(i64::try_from(numel).unwrap_or(0))?;
        let mut id = vec![parts[0], parts[1], key, device, numel];
        if self.choose.ratio(1, 16)? {
            id.push(self.build.none());
        }
        let id = self.build.tuple(&id)?;
        Ok((self.build.persistent(id)?, storage))
    }

    fn counts(&mut self, counts: &[u64]) -> Made {
        let ids: std::result::Result<Vec<_>, _> = counts
            .iter()
            .map(|&count| self.build.int(i64::try_from(count).unwrap_or(-1)))
            .collect();
        Ok(self.build.tuple(&ids?)?)
    }

    /// A tensor by one of the calls that make them, over a storage in which it mostly lies.
    fn tensor(&mut self) -> Made {
        let (id, storage) = self.storage()?;
        let (shape, stride, offset) = self.geometry(storage.numel)?;
        let (shape_id, stride_id) = (self.counts(&shape)?, self.counts(&stride)?);
        let offset_id = self.build.int(i64::try_from(offset).unwrap_or(0))?;
        let hooks = self.call("collections", "OrderedDict", &[])?;
        let grad = self.build.bool(self.choose.ratio(1, 2)?);
        let plain = [id, offset_id, shape_id, stride_id, grad, hooks];
        let utils = "torch._utils";
        let made = match self.choose.int_in_range(0..=9)? {
            0 => {
                let quantized =
                    *self.choose.choose(&["per_tensor_affine", "per_tensor_symmetric"])?;
                let scheme = self.build.global("torch", quantized)?;
                let (scale, zero) = (self.build.float(0.5)?, self.build.int(3)?);
                let quantizer = self.build.tuple(&[scheme, scale, zero])?;
                let args = [id, offset_id, shape_id, stride_id, quantizer, grad, hooks];
                self.call(utils, "_rebuild_qtensor", &args)?
            }
            1 => {
                let name = *self.choose.choose(&[
                    "uint16",
                    "float8_e4m3fn",
                    "uint32",
                    "bits8",
                    "float32",
                ])?;
                let dtype = self.build.global("torch", name)?;
                let args = [&plain[..], &[dtype]].concat();
                self.call(utils, "_rebuild_tensor_v3", &args)?
            }
            2 => {
                let (indices, values) = (
                    self.call(utils, "_rebuild_tensor_v2", &plain)?,
                    self.call(utils, "_rebuild_tensor_v2", &plain)?,
                );
                let layout = self.build.global("torch", "sparse_coo")?;
                let parts = self.build.tuple(&[indices, values, shape_id])?;
                self.call(utils, "_rebuild_sparse_tensor", &[layout, parts])?
            }
            3 => {
                let dtype = self.build.global("torch", "float32")?;
                self.call(
                    utils,
                    "_rebuild_meta_tensor_no_storage",
                    &[dtype, shape_id, stride_id, grad],
                )?
            }
            _ => self.call(utils, "_rebuild_tensor_v2", &plain)?,
        };
        if self.choose.ratio(1, 4)? {
            return self.call(utils, "_rebuild_parameter", &[made, grad, hooks]);
        }
        Ok(made)
    }

    /// Sizes, strides and offset of a view of so many elements.
    fn geometry(&mut self, numel: u64) -> Result<(Vec<u64>, Vec<u64>, u64)> {
        if self.choose.ratio(1, 16)? {
            let wild = |choose: &mut Unstructured| -> Result<Vec<u64>> {
                let rank = choose.int_in_range(0..=4)?;
                (0..rank)
                    .map(|_| {
                        if choose.ratio(1, 2)? {
                            u64::arbitrary(choose)
                        } else {
                            choose.int_in_range(0..=3)
                        }
                    })
                    .collect()
            };
            return Ok((wild(self.choose)?, wild(self.choose)?, self.choose.int_in_range(0..=50)?));
        }
        let offset = if numel > 1 && self.choose.ratio(1, 4)? {
            self.choose.int_in_range(0..=numel / 2)?
        } else {
            0
        };
        let left = numel - offset;
        let rows = self.choose.int_in_range(1..=left.clamp(1, 6))?;
        let columns = left / rows;
        Ok(match self.choose.int_in_range(0..=4)? {
            0 => (vec![left], vec![1], offset),
            1 => (vec![columns, rows], vec![1, columns.max(1)], offset),
            2 => (vec![rows, 7], vec![columns.max(1), 0], offset),
            3 => (vec![], vec![], offset),
            _ => (vec![rows, columns], vec![columns.max(1), 1], offset),
        })
    }

    /// A module with parameters, buffers and children.
    fn module(&mut self, depth: u32) -> Made {
        let classes = [
            ("torch.nn.modules.linear", "Linear"),
            ("torch.nn.modules.container", "Sequential"),
            ("torch.nn.modules.conv", "Conv2d"),
            ("torch.nn.modules.batchnorm", "BatchNorm2d"),
            ("torch.nn.modules.activation", "ReLU"),
            ("torch.nn.modules.rnn", "LSTM"),
            ("torch.nn.modules.dropout", "Dropout"),
            ("__main__", "Net"),
        ];
        let (module, name) = *self.choose.choose(&classes)?;
        let class = self.build.global(module, name)?;
        let empty = self.build.tuple(&[])?;
        let made = self.build.instance(class, empty)?;
        self.made.push(made);
        let mut pairs = Vec::new();
        let training = self.build.bool(self.choose.ratio(1, 2)?);
        pairs.push((self.build.text("training")?, training));
        for name in ["_parameters", "_buffers", "_modules"] {
            let members = self.members(name, depth)?;
            pairs.push((self.build.text(name)?, members));
        }
        for _ in 0..self.choose.int_in_range(0..=4)? {
            let name = *self.choose.choose(MODULE_STATE)?;
            let value = self.any(1)?;
            pairs.push((self.build.text(name)?, value));
        }
        let state = self.build.dict(&pairs)?;
        self.build.set_state(made, state)?;
        Ok(made)
    }

    fn members(&mut self, kind: &str, depth: u32) -> Made {
        let mut pairs = Vec::new();
        for index in 0..self.choose.int_in_range(0..=2)? {
            let name = match kind {
                "_modules" => index.to_string(),
                _ => (*self.choose.choose(&["weight", "bias", "running_mean"])?).to_owned(),
            };
            let value = match kind {
                _ if self.choose.ratio(1, 12)? => self.any(1)?,
                "_modules" if depth > 0 && self.count < MOST => {
                    self.count += 4;
                    self.module(depth - 1)?
                }
                "_modules" => self.build.none(),
                _ => self.tensor()?,
            };
            pairs.push((self.build.text(&name)?, value));
        }
        if self.choose.ratio(1, 2)? {
            return Ok(self.build.dict(&pairs)?);
        }
        let ordered = self.call("collections", "OrderedDict", &[])?;
        self.build.insert(ordered, &pairs)?;
        Ok(ordered)
    }
}
