//! Which class an object is of, as far as the pickle tells.

use std::borrow::Cow;
use std::fmt;

use crate::pickle::{Global, Object, Recipe, Value};

/// A class by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class<'graph> {
    module: Cow<'graph, str>,
    qualname: Cow<'graph, str>,
}

impl<'graph> Class<'graph> {
    pub(super) const UNKNOWN: Self =
        Self { module: Cow::Borrowed(""), qualname: Cow::Borrowed("?") };

    pub(super) const fn new(module: &'graph str, qualname: &'graph str) -> Self {
        Self { module: Cow::Borrowed(module), qualname: Cow::Borrowed(qualname) }
    }

    /// The module that defines it, as pickled; empty if unknown.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Its `__qualname__`: dotted if it is nested in another; `?` if unknown.
    #[must_use]
    pub fn qualname(&self) -> &str {
        &self.qualname
    }

    /// Its `__name__`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.qualname.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it is this one.
    #[must_use]
    pub fn is(&self, module: &str, qualname: &str) -> bool {
        self.module == module && self.qualname == qualname
    }

    /// The class of what a recipe makes, through the helpers that older protocols go by.
    pub(crate) fn of(recipe: Recipe<'graph>) -> Self {
        let callable = recipe.callable();
        let Some(global) = callable.as_global() else {
            return Self::behind(partial_class(callable).unwrap_or(callable));
        };
        let through = match global.module {
            b"copyreg" | b"copy_reg" => {
                matches!(global.name, b"_reconstructor" | b"__newobj__" | b"__newobj_ex__")
            }
            _ => false,
        };
        match recipe.args().items().and_then(|args| args.get(0)) {
            Some(class) if through => Self::behind(class),
            _ => Self::behind(callable),
        }
    }

    /// The class that an object stands for: by name; as an attribute of another
    /// (`getattr(Outer, "Inner")`, what protocol 2 writes for nested classes); or wrapped
    /// with its source text, as legacy files do.
    fn behind(mut object: Object<'graph>) -> Self {
        const NESTED: usize = 16;
        const LONGEST: usize = 1 << 10;
        let mut inner: Vec<&'graph str> = Vec::new();
        for _ in 0..NESTED {
            match object.value() {
                Value::Global(global) => return Self::nested(global, &inner),
                Value::Persistent(id) => {
                    if let Some(class) = id.as_str().and_then(Self::in_text) {
                        return class;
                    }
                    let items = id.as_tuple();
                    // Files from before 0.1.10 say `(class, file, source text)`.
                    let first = items.filter(|items| items.len() == 3).and_then(|it| it.get(0));
                    if let Some(class) = first.filter(|first| first.as_global().is_some()) {
                        object = class;
                        continue;
                    }
                    match items.and_then(|items| items.get(0)?.as_str().zip(items.get(1))) {
                        Some(("module", class)) => object = class,
                        _ => return Self::UNKNOWN,
                    }
                }
                Value::Recipe(recipe) => {
                    let Some((outer, name)) = attribute_of(recipe) else { return Self::UNKNOWN };
                    if name.len() > LONGEST {
                        return Self::UNKNOWN;
                    }
                    inner.push(name);
                    object = outer;
                }
                _ => return Self::UNKNOWN,
            }
        }
        Self::UNKNOWN
    }

    /// The class in `('module', <class 'a.b.C'>, …)`: protocol 0 writes a persistent id as
    /// its `str`.
    fn in_text(id: &'graph str) -> Option<Self> {
        let path = id.strip_prefix("('module', <class '")?.split_once('\'')?.0;
        let (module, qualname) = path.rsplit_once('.')?;
        Some(Self::new(module, qualname))
    }

    fn nested(global: Global<'graph>, inner: &[&str]) -> Self {
        let mut qualname = String::from_utf8_lossy(global.name);
        for name in inner.iter().rev() {
            qualname = Cow::Owned(format!("{qualname}.{name}"));
        }
        Self { module: String::from_utf8_lossy(global.module), qualname }
    }

    /// The module path under which PyTorch defines today what it once defined elsewhere.
    pub(super) fn canonical_module(&self) -> Cow<'_, str> {
        const MOVED: &[(&str, &str)] = &[
            ("torch.nn.quantized.", "torch.ao.nn.quantized."),
            ("torch.nn.quantizable.", "torch.ao.nn.quantizable."),
            ("torch.nn.intrinsic.", "torch.ao.nn.intrinsic."),
            ("torch.nn._intrinsic.", "torch.ao.nn.intrinsic."),
            ("torch.nn.qat.", "torch.ao.nn.qat."),
            ("torch.nn.sparse.quantized.", "torch.ao.nn.sparse.quantized."),
            ("torch.quantization.", "torch.ao.quantization."),
            ("timm.models.layers.", "timm.layers."),
        ];
        let moved = MOVED.iter().find_map(|(old, new)| {
            Some(Cow::Owned(format!("{new}{}", self.module.strip_prefix(old)?)))
        });
        moved.unwrap_or(Cow::Borrowed(&self.module))
    }

    /// Whether it is a TorchScript type.
    pub(super) fn is_script(&self) -> bool {
        self.module.starts_with("__torch__") && !self.module.starts_with("__torch__.torch.classes")
    }

    /// Whether its `__getstate__` returns a few attributes only; such modules hold neither
    /// tensors nor children.
    pub(super) fn keeps_no_dicts(&self) -> bool {
        self.module == "einops.layers.torch" && matches!(self.name(), "Rearrange" | "Reduce")
    }

    /// The names of the attributes in a tuple state, for classes that have one.
    pub(super) fn tuple_state(&self, len: usize) -> Option<&'static [&'static str]> {
        /// `torch/ao/nn/quantized/modules/conv.py`, `_ConvNd.__getstate__`.
        const CONV: &[&str] = &[
            "in_channels",
            "out_channels",
            "kernel_size",
            "stride",
            "padding",
            "dilation",
            "transposed",
            "output_padding",
            "groups",
            "padding_mode",
            "weight",
            "bias",
            "scale",
            "zero_point",
            "training",
        ];
        /// `torch/ao/nn/sparse/quantized/linear.py`, `LinearPackedParams.__setstate__`.
        const PACKED: &[&str] = &["_packed_params", "training", "dtype"];
        let module = self.canonical_module();
        let quantized = module.starts_with("torch.ao.nn.quantized.")
            || module.starts_with("torch.ao.nn.intrinsic.quantized.");
        match len {
            15 if quantized && self.name().starts_with("Conv") => Some(CONV),
            3 if module == "torch.ao.nn.sparse.quantized.linear" => Some(PACKED),
            _ => None,
        }
    }
}

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.module {
            "" => f.write_str(&self.qualname),
            module => write!(f, "{module}.{}", self.qualname),
        }
    }
}

/// Whether calling this makes a `torch.fx` module.
pub(super) fn reduces_graph_module(global: Global) -> bool {
    global.module.starts_with(b"torch.fx.")
        && matches!(
            global.name,
            b"reduce_graph_module"
                | b"reduce_package_graph_module"
                | b"reduce_deploy_graph_module"
                | b"_deserialize_graph_module"
        )
}

/// `getattr(outer, "name")`.
fn attribute_of(recipe: Recipe<'_>) -> Option<(Object<'_>, &str)> {
    let getattr = recipe.callable().as_global()?;
    let known = getattr.is("builtins", "getattr") || getattr.is("__builtin__", "getattr");
    let [outer, name] = recipe.args().items()?.array()?;
    known.then_some((outer, name.as_str()?))
}

/// The class in `functools.partial(cls.__new__, cls, …)`: how protocols below 4 spell
/// NEWOBJ_EX.
fn partial_class(callable: Object<'_>) -> Option<Object<'_>> {
    let recipe = callable.as_recipe()?;
    let partial = recipe.callable().as_global()?;
    let [new, class] = [0, 1].map(|index| recipe.args().items()?.get(index));
    let (_, name) = attribute_of(new?.as_recipe()?)?;
    (partial.is("functools", "partial") && name == "__new__").then_some(class?)
}
