//! Whole models: `nn.Module`s recognised by their state, whatever class they are of.
//!
//! A module here is a view on a recorded object: nothing is copied, nothing runs. Walks over
//! paths (one module under several names) spend [`Limits::visits`](crate::Limits::visits)
//! and keep their own stack, so neither depth nor sharing of the file's making hurts.
//!
//! Source: `torch/nn/modules/module.py` of PyTorch 2.15.

mod class;
mod find;
mod print;
mod rules;
mod state_dict;
mod tally;
mod template;
mod tensor_text;
mod tensors;
mod walk;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

pub use class::Class;
pub use find::find_modules;
pub use print::{Remark, Style, headline, print, print_with};
pub use state_dict::{Entry, Note, Role, StateDict, state_dict};
pub use tally::{Tally, tallies};
pub use tensor_text::Values;
pub use tensors::{FromGraph, TensorSummary, Tensors};
pub use walk::{Counts, Kinds, counts, kinds, named_buffers, named_modules, named_parameters};

use crate::base::{Budget, Exceeded, Limits};
use crate::pickle::{EffectKind, Items, NodeId, Object, Value};
use crate::python::mapping;
use crate::python::repr::repr;

/// A name in a module's dict and what stands under it.
pub type Named<'graph> = (Cow<'graph, str>, Object<'graph>);

/// A view on one `nn.Module`. Cheap to copy; compares by identity.
///
/// ```
/// use depickle::pickle::{Policy, run};
/// use depickle::torch::module::Module;
/// use depickle::{Budget, FileOffset};
///
/// let stream = b"\x80\x02ctorch.nn.modules.activation\nReLU\n)\x81}(Vinplace\n\x88\
///     V_parameters\n}V_buffers\n}V_modules\n}ub.";
/// let stream = stream.to_vec().into();
/// let graph = run(stream, FileOffset(0), &Policy::inspect(), &mut Budget::default()).graph;
/// let module = graph.root().and_then(Module::view).unwrap();
/// assert_eq!(module.to_string(), "ReLU(inplace=True)");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Module<'graph> {
    object: Object<'graph>,
    form: Form<'graph>,
}

/// Where a module's `__dict__` lies in what was pickled.
#[derive(Clone, Copy, Debug)]
enum Form<'graph> {
    /// In the state that BUILD set.
    Built,
    /// In the call's arguments: `torch.fx` gives a dict and source text.
    Body(Object<'graph>),
    /// `torch.compile` gives the module it wraps.
    Wrapped(Object<'graph>),
    /// In the state of a TorchScript object: tensors, children and all else side by side.
    Script,
    /// The class's own `__getstate__` gave a tuple of these attributes.
    Tuple(Items<'graph>, &'static [&'static str]),
}

impl<'graph> Module<'graph> {
    /// The module that `object` is; `None` if its state is no module's: one that holds
    /// `_parameters`, `_buffers` and `_modules`, or a form in which PyTorch's own classes
    /// are known to pickle themselves.
    ///
    /// Takes time in proportion to the entries of the object's `__dict__`.
    #[must_use]
    pub fn view(object: Object<'graph>) -> Option<Self> {
        let recipe = object.as_recipe()?;
        let built = Self { object, form: Form::Built };
        let is_module = |module: &Self| module.special().into_iter().all(|part| part.is_some());
        if is_module(&built) {
            return Some(built);
        }
        let args = recipe.args().items();
        if recipe.callable().as_global().is_some_and(class::reduces_graph_module) {
            let mut bodies = args.into_iter().flat_map(Items::iter);
            let body = bodies.find(|arg| arg.as_dict().is_some())?;
            return Some(Self { object, form: Form::Body(body) }).filter(is_module);
        }
        let state = recipe.state().map(Object::value);
        let class = Class::of(recipe);
        if class.is("torch._dynamo.eval_frame", "OptimizedModule") {
            let wrapped = args?.get(0)?;
            return Some(Self { object, form: Form::Wrapped(wrapped) });
        }
        match state {
            Some(Value::Dict(_)) if class.keeps_no_dicts() => Some(built),
            Some(Value::Dict(dict)) if class.is_script() => {
                let training = dict.get("training").and_then(Object::as_bool);
                if training.is_none() && dict.get(Self::SCRIPT_PARAMETERS).is_none() {
                    return None;
                }
                Some(Self { object, form: Form::Script })
            }
            Some(Value::Tuple(items)) => {
                let names = class.tuple_state(items.len())?;
                Some(Self { object, form: Form::Tuple(items, names) })
            }
            _ => None,
        }
    }

    /// [`view`](Self::view), paid for.
    fn within(object: Object<'graph>, budget: &mut Budget) -> Result<Option<Self>, Exceeded> {
        budget.visits(effort(object))?;
        Ok(Self::view(object))
    }

    /// The object it is a view on.
    #[must_use]
    pub const fn object(self) -> Object<'graph> {
        self.object
    }

    /// Its identity in the graph.
    #[must_use]
    pub const fn id(self) -> NodeId {
        self.object.id()
    }

    /// Its class. A [`torch.fx`](Self::code) module's is made when it is loaded.
    #[must_use]
    pub fn class(self) -> Class<'graph> {
        match (self.form, self.object.as_recipe()) {
            (Form::Body(_), _) => {
                let name = self.attribute("_graphmodule_cls_name").and_then(Object::as_str);
                Class::new("torch.fx.graph_module", name.unwrap_or("GraphModule"))
            }
            (_, Some(recipe)) => Class::of(recipe),
            (_, None) => Class::UNKNOWN,
        }
    }

    /// Whether it was saved in training mode; `None` if the state does not say.
    #[must_use]
    pub fn training(self) -> Option<bool> {
        self.attribute("training")?.as_bool()
    }

    /// The source text of a `torch.fx` module's `forward`.
    #[must_use]
    pub fn code(self) -> Option<&'graph str> {
        let Form::Body(_) = self.form else { return None };
        self.attribute("_code").or_else(|| self.attribute("code"))?.as_str()
    }

    /// Parameters by name, in order; `None` objects included.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover a step for each.
    pub fn parameters(self, budget: &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded> {
        match self.form {
            Form::Script => match self.attribute(Self::SCRIPT_PARAMETERS) {
                Some(names) => self.script_slots(names, budget),
                None => self.slots(budget, |slot| script_tensor(slot) == Some(true)),
            },
            _ => self.named("_parameters", budget),
        }
    }

    /// Buffers by name, in order; `None` objects included.
    ///
    /// # Errors
    /// As [`parameters`](Self::parameters).
    pub fn buffers(self, budget: &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded> {
        match self.form {
            Form::Script => match self.attribute(Self::SCRIPT_BUFFERS) {
                Some(names) => self.script_slots(names, budget),
                None => self.slots(budget, |slot| script_tensor(slot) == Some(false)),
            },
            _ => self.named("_buffers", budget),
        }
    }

    /// What stands in its place for children, by name, in order: modules, `None`, or objects
    /// that are not recognised as modules.
    ///
    /// # Errors
    /// As [`parameters`](Self::parameters).
    pub fn children(self, budget: &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded> {
        match self.form {
            Form::Wrapped(wrapped) => Ok(vec![(Cow::Borrowed("_orig_mod"), wrapped)]),
            Form::Script => self.slots(budget, |slot| Self::view(slot).is_some()),
            _ => self.named("_modules", budget),
        }
    }

    /// Names of buffers that `state_dict()` leaves out. Empty before PyTorch 1.5.
    ///
    /// # Errors
    /// As [`parameters`](Self::parameters).
    pub fn non_persistent(
        self,
        budget: &mut Budget,
    ) -> Result<HashSet<Cow<'graph, str>>, Exceeded> {
        budget.visits(self.cost())?;
        let Some(set) = self.attribute("_non_persistent_buffers_set") else {
            return Ok(HashSet::new());
        };
        let mut names = HashSet::new();
        for name in members(set) {
            budget.visits(1)?;
            budget.memory(64)?;
            names.insert(name_of(name));
        }
        Ok(names)
    }

    /// The last value that the instance's `__dict__` was given under `name`.
    ///
    /// Takes time in proportion to the entries of the dict.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<Object<'graph>> {
        match self.form {
            Form::Built | Form::Script => {
                let found = self.states().filter_map(|state| lookup(state, name));
                found.last()
            }
            Form::Body(body) => lookup(body, name),
            Form::Wrapped(_) => None,
            Form::Tuple(items, names) => items.get(names.iter().position(|known| *known == name)?),
        }
    }

    /// What `getattr(module, name)` finds without running code: in `__dict__`, parameters,
    /// buffers, children. A name registered as `None` gives `None` the object.
    #[must_use]
    pub fn getattr(self, name: &str) -> Option<Object<'graph>> {
        let within = |part| lookup(self.attribute(part)?, name);
        self.attribute(name)
            .or_else(|| within("_parameters"))
            .or_else(|| within("_buffers"))
            .or_else(|| within("_modules"))
    }

    /// All of `__dict__` but what [`nn.Module` itself keeps](Self::INTERNAL): the author's
    /// attributes, in order.
    ///
    /// # Errors
    /// As [`parameters`](Self::parameters).
    pub fn attributes(self, budget: &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded> {
        let mut all = Vec::new();
        match self.form {
            Form::Built | Form::Script => {
                for state in self.states() {
                    all.extend(mapping::pairs(state, budget)?.unwrap_or_default());
                }
            }
            Form::Body(body) => all = mapping::pairs(body, budget)?.unwrap_or_default(),
            Form::Wrapped(_) => {}
            Form::Tuple(items, names) => {
                let names = names.iter().map(|&name| Cow::Borrowed(name));
                return Ok(names.zip(items.iter()).collect());
            }
        }
        let pairs = mapping::distinct(all.into_iter(), budget)?;
        let named = pairs.into_iter().map(|(key, value)| (name_of(key), value));
        Ok(named.filter(|(name, _)| !Self::INTERNAL.contains(&&**name)).collect())
    }

    /// Where the names of a TorchScript module's parameters stand, as its class has them: archives'
    /// code is read for them.
    pub(crate) const SCRIPT_PARAMETERS: &'static str = "__parameters__";
    /// As [`SCRIPT_PARAMETERS`](Self::SCRIPT_PARAMETERS), for buffers.
    pub(crate) const SCRIPT_BUFFERS: &'static str = "__buffers__";

    /// Entries of `__dict__` that are `nn.Module`'s own.
    pub const INTERNAL: &'static [&'static str] = &[
        "training",
        "_parameters",
        "_buffers",
        "_non_persistent_buffers_set",
        "_modules",
        "_backend",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_is_full_backward_hook",
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
        Self::SCRIPT_PARAMETERS,
        Self::SCRIPT_BUFFERS,
    ];

    /// Steps that looking something up in its `__dict__` costs.
    fn cost(self) -> u64 {
        let body = match self.form {
            Form::Body(body) => size(body),
            _ => 0,
        };
        effort(self.object).saturating_add(body)
    }

    /// Steps that [`getattr`](Self::getattr) costs.
    fn getattr_cost(self) -> u64 {
        let dicts = self.special().into_iter().flatten().map(size);
        dicts.fold(self.cost().saturating_mul(4), u64::saturating_add)
    }

    /// The three dicts by which a module is known.
    fn special(self) -> [Option<Object<'graph>>; 3] {
        ["_parameters", "_buffers", "_modules"].map(|name| self.attribute(name))
    }

    /// What BUILD updated `__dict__` and slots with, in order.
    fn states(self) -> impl Iterator<Item = Object<'graph>> {
        states(self.object).filter(|part| is_mapping(*part))
    }

    /// Whether it is a TorchScript module, of which only its code says which tensors are
    /// buffers: those taken for buffers here may be plain attributes.
    #[must_use]
    pub fn is_script(self) -> bool {
        matches!(self.form, Form::Script)
    }

    /// Whether its TorchScript code was read, so that nothing about its tensors is guessed.
    pub(super) fn has_code(self) -> bool {
        self.is_script() && self.attribute(Self::SCRIPT_BUFFERS).is_some()
    }

    /// The attributes of a TorchScript object of these names, in order.
    fn script_slots(
        self,
        names: Object<'graph>,
        budget: &mut Budget,
    ) -> Result<Vec<Named<'graph>>, Exceeded> {
        let mut wanted = HashSet::new();
        for name in members(names) {
            budget.visits(1)?;
            wanted.insert(name_of(name));
        }
        let mut all = self.attributes(budget)?;
        all.retain(|(name, slot)| wanted.contains(name) && Self::view(*slot).is_none());
        Ok(all)
    }

    /// The attributes of a TorchScript object that `wanted` picks, in order.
    fn slots(
        self,
        budget: &mut Budget,
        wanted: fn(Object<'graph>) -> bool,
    ) -> Result<Vec<Named<'graph>>, Exceeded> {
        let mut all = self.attributes(budget)?;
        for (_, slot) in &all {
            budget.visits(effort(*slot))?;
        }
        all.retain(|(_, slot)| wanted(*slot));
        Ok(all)
    }

    fn named(self, part: &str, budget: &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded> {
        budget.visits(self.cost())?;
        let Some(dict) = self.attribute(part) else { return Ok(Vec::new()) };
        let pairs = mapping::pairs(dict, budget)?.unwrap_or_default();
        let mut named = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let name = name_of(key);
            budget.visits(name.len() as u64 / 64)?;
            named.push((name, value));
        }
        Ok(named)
    }
}

/// What [`print()`] shows within default limits, tensors' values left out; above them, only the
/// class and which limit was met.
impl fmt::Display for Module<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match print(*self, Style::default(), &FromGraph, &mut Budget::default()) {
            Ok(text) => f.write_str(&text),
            Err(why) => write!(f, "<{}: {why}>", self.class()),
        }
    }
}

impl PartialEq for Module<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.object == other.object
    }
}

impl Eq for Module<'_> {}

/// What BUILD gave an object, in order: each state, or both parts of a state with slots.
fn states(object: Object<'_>) -> impl Iterator<Item = Object<'_>> {
    let builds = object.effects().filter(|effect| effect.kind == EffectKind::State);
    builds.filter_map(|effect| effect.items.get(0)).flat_map(|state| {
        let both = state.as_tuple().and_then(Items::array::<2>);
        let parts = both.map_or([Some(state), None], |parts| parts.map(Some));
        parts.into_iter().flatten()
    })
}

/// Steps that it costs to look something up in an object's state: one for each effect and
/// each sixteen entries.
fn effort(object: Object) -> u64 {
    let effects = object.effects().count() as u64;
    states(object).map(size).fold(effects, u64::saturating_add).saturating_add(1)
}

/// The steps that looking something up in a mapping costs.
fn size(mapping: Object) -> u64 {
    let entries = match mapping.value() {
        Value::Dict(dict) => dict.len(),
        Value::Recipe(recipe) => {
            let given = recipe.args().items().and_then(|args| args.get(0)?.items());
            let held = mapping.effects().map(|effect| effect.items.len().saturating_add(16));
            held.fold(given.map_or(0, Items::len), usize::saturating_add)
        }
        _ => 0,
    };
    entries as u64 / 16
}

fn is_mapping(object: Object) -> bool {
    match object.value() {
        Value::Dict(_) => true,
        Value::Recipe(recipe) => recipe.set_items().next().is_some(),
        _ => false,
    }
}

/// The value last set under the text `key` of a dict or an object filled like one.
fn lookup<'graph>(mapping: Object<'graph>, key: &str) -> Option<Object<'graph>> {
    match mapping.value() {
        Value::Dict(dict) => dict.get(key),
        Value::Recipe(recipe) => {
            let set = recipe.set_items().filter(|(name, _)| name.is_text(key));
            set.last().map(|(_, value)| value).or_else(|| {
                // Python 2 wrote `OrderedDict([[key, value], …])`.
                let given = recipe.args().items()?.get(0)?.items()?;
                let mut pairs = given.iter().filter_map(|pair| pair.items()?.array::<2>());
                pairs.rfind(|[name, _]| name.is_text(key)).map(|[_, value]| value)
            })
        }
        _ => None,
    }
}

/// Whether a tensor requires a gradient; `None` of what is no tensor.
fn script_tensor(object: Object) -> Option<bool> {
    FromGraph.describe(object).map(|tensor| tensor.requires_grad)
}

/// Members of a set, or of what makes one: `set([…])`.
fn members(set: Object<'_>) -> impl Iterator<Item = Object<'_>> {
    let given = set.as_recipe().and_then(|recipe| recipe.args().items()?.get(0)?.items());
    let items = set.items().or(given);
    items.into_iter().flat_map(Items::iter)
}

/// A key of a mapping as part of a dotted name: plain values as `str(key)`; of others, such as
/// the parameters that are an optimizer's keys, their place in the mapping: `<0>`.
pub(crate) fn key_name(key: Object<'_>, place: usize) -> Cow<'_, str> {
    /// Names longer than this are of nobody.
    const MOST: u64 = 1 << 10;
    let plain = match key.value() {
        Value::Text(_) | Value::Int(_) => return name_of(key),
        Value::None | Value::Bool(_) | Value::Float(_) | Value::BigInt(_) | Value::Tuple(_) => {
            let mut budget = Budget::new(Limits::default().with_memory(MOST).with_visits(64));
            let mut text = String::new();
            let object = |_: Object<'_>| -> Option<String> { None };
            repr(key, &object, &mut text, &mut budget).is_ok().then_some(text)
        }
        _ => None,
    };
    Cow::Owned(plain.unwrap_or_else(|| format!("<{place}>")))
}

/// A key as part of a dotted name: texts as they are (what is not UTF-8 replaced by U+FFFD),
/// numbers in decimal.
pub(crate) fn name_of(key: Object<'_>) -> Cow<'_, str> {
    match key.value() {
        Value::Text(text) => text.to_string_lossy(),
        Value::Int(value) => Cow::Owned(value.to_string()),
        _ => Cow::Owned(format!("<{}>", key.kind())),
    }
}
