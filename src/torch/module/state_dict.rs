//! `model.state_dict()`: the names PyTorch would list, in its order.

use std::collections::HashMap;
use std::fmt;

use super::walk::{Event, Repeats, join, walk};
use super::{Class, Module};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::mapping;

/// What a module's `state_dict()` holds.
#[derive(Clone, Debug, Default)]
pub struct StateDict<'graph> {
    /// Its items, in order. A tensor or module with several names stands under each.
    pub entries: Vec<Entry<'graph>>,
    /// Buffers it leaves out because they are not persistent, under the names they would
    /// have.
    pub non_persistent: Vec<Entry<'graph>>,
    /// What may be missing or different, since only code could tell.
    pub notes: Vec<Note<'graph>>,
}

/// One item of a state dict.
#[derive(Clone, Debug)]
pub struct Entry<'graph> {
    /// Its key.
    pub name: String,
    /// What was pickled for it.
    pub object: Object<'graph>,
    /// What it is to its module.
    pub role: Role,
}

/// What an item of a state dict is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A parameter.
    Parameter,
    /// A buffer.
    Buffer,
    /// A Python number that the class's own `_save_to_state_dict` makes a tensor of no
    /// dimensions of: float32 of a `float`, int64 of an `int`.
    Number,
    /// An attribute that the class's own `_save_to_state_dict` adds as it is: a dtype, a
    /// quantized weight (perhaps `None`), packed parameters.
    Attribute,
    /// This text, which the class holds; the object is the module.
    Constant(&'static str),
    /// No tensor but a storage, all of it: outside of modules only.
    Storage,
}

impl Role {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parameter => "parameter",
            Self::Buffer => "buffer",
            Self::Number => "number",
            Self::Attribute => "attribute",
            Self::Constant(_) => "constant",
            Self::Storage => "storage",
        }
    }
}

/// What a state dict may lack or have otherwise, and where.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note<'graph> {
    /// A module is its own ancestor. PyTorch would recurse without end.
    Cycle {
        /// Path of the second occurrence.
        path: String,
    },
    /// A child is not recognised as a module: its class pickles itself in its own way.
    Opaque {
        /// Path of the child.
        path: String,
        /// The child.
        object: Object<'graph>,
    },
    /// A hook was to be called on the dict, and may have changed it.
    Hook {
        /// Path of the module.
        path: String,
        /// The hook.
        hook: Object<'graph>,
    },
    /// Tensors of a TorchScript module that require no gradient are listed as buffers; only its
    /// code says which of them are.
    Script {
        /// Path of the module.
        path: String,
    },
    /// A class known to add `_extra_state`, which its code makes.
    ExtraState {
        /// Path of the module.
        path: String,
    },
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle { path } => write!(f, "{path}: a module that contains itself"),
            Self::Opaque { path, object } => {
                write!(f, "{path}: not recognised as a module ({})", described(*object))
            }
            Self::Hook { path, hook } => {
                write!(f, "{path}: a state-dict hook that cannot be run ({})", described(*hook))
            }
            Self::Script { path } => {
                write!(f, "{path}: only TorchScript code says which of its tensors are buffers")
            }
            Self::ExtraState { path } => {
                write!(f, "{path}: `_extra_state` comes from code that cannot be run")
            }
        }
    }
}

fn described(object: Object) -> String {
    match object.value() {
        Value::Recipe(recipe) => Class::of(recipe).to_string(),
        Value::Global(global) => global.to_string(),
        _ => object.kind().to_owned(),
    }
}

/// What `module.state_dict()` would hold.
///
/// Source: `Module.state_dict`, `Module._save_to_state_dict`, and the overrides of the latter
/// in `torch/ao/nn`.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the walk (a step for each path) and the names.
pub fn state_dict<'graph>(
    root: Module<'graph>,
    budget: &mut Budget,
) -> Result<StateDict<'graph>, Exceeded> {
    let mut out = StateDict::default();
    // Names of the modules below which nothing is saved.
    let mut silent: Vec<Module> = Vec::new();
    walk(root, Repeats::Enter, budget, |path, event, budget| {
        if silent
            .last()
            .is_some_and(|last| matches!(event, Event::Leave(module) if module == *last))
        {
            silent.pop();
            return Ok(());
        }
        if !silent.is_empty() {
            return Ok(());
        }
        match event {
            Event::Enter(module) if saves_nothing(&module.class()) => {
                budget.push(&mut silent, module)
            }
            Event::Enter(module) => out.enter(path, module, budget),
            Event::Leave(module) => out.leave(path, module, budget),
            Event::Again => out.note(Note::Cycle { path: path.to_owned() }, path, budget),
            Event::Opaque(object) => {
                out.note(Note::Opaque { path: path.to_owned(), object }, path, budget)
            }
        }
    })?;
    out.settle(budget)?;
    Ok(out)
}

impl<'graph> StateDict<'graph> {
    fn enter(
        &mut self,
        path: &str,
        module: Module<'graph>,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        for (name, object) in module.parameters(budget)? {
            self.add(path, &name, object, Role::Parameter, budget)?;
        }
        let buffers = module.buffers(budget)?;
        let has_buffers = !buffers.is_empty();
        if has_buffers {
            let left_out = module.non_persistent(budget)?;
            for (name, object) in buffers {
                if !left_out.contains(&name) {
                    self.add(path, &name, object, Role::Buffer, budget)?;
                } else if !object.is_none() {
                    let entry =
                        Entry { name: join(path, &name, budget)?, object, role: Role::Buffer };
                    budget.push(&mut self.non_persistent, entry)?;
                }
            }
        }
        let class = module.class();
        if module.is_script() && !module.has_code() && has_buffers {
            self.note(Note::Script { path: path.to_owned() }, path, budget)?;
        }
        for &(name, role) in saved_by(&class) {
            budget.visits(module.cost())?;
            let object = match role {
                Role::Constant(_) => Some(module.object()),
                _ => module.attribute(name),
            };
            let Some(object) = object else { continue };
            let name = join(path, name, budget)?;
            budget.push(&mut self.entries, Entry { name, object: unpacked(object), role })?;
        }
        if class.module().starts_with("transformer_engine.") {
            self.note(Note::ExtraState { path: path.to_owned() }, path, budget)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &str,
        name: &str,
        object: Object<'graph>,
        role: Role,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        if object.is_none() {
            return Ok(());
        }
        let name = join(path, name, budget)?;
        budget.push(&mut self.entries, Entry { name, object, role })
    }

    fn leave(
        &mut self,
        path: &str,
        module: Module<'graph>,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        if module.class().is(CHECKPOINTED.0, CHECKPOINTED.1) {
            return self.strip(path, budget);
        }
        for dict in ["_state_dict_pre_hooks", "_state_dict_hooks"] {
            budget.visits(module.cost())?;
            let Some(hooks) = module.attribute(dict) else { continue };
            for (_, hook) in mapping::pairs(hooks, budget)?.unwrap_or_default() {
                if is_packed_weight_hook(hook) {
                    self.packed_weights(path, module, budget)?;
                } else if !is_harmless_hook(hook) {
                    self.note(Note::Hook { path: path.to_owned(), hook }, path, budget)?;
                }
            }
        }
        Ok(())
    }

    /// What the hook of `CheckpointWrapper` does: the wrapper leaves no trace in names.
    fn strip(&mut self, path: &str, budget: &mut Budget) -> Result<(), Exceeded> {
        let dot = if path.is_empty() { "" } else { "." };
        let old = format!("{path}{dot}_checkpoint_wrapped_module.");
        for entry in self.entries.iter_mut().rev() {
            budget.visits(1)?;
            let Some(rest) = entry.name.strip_prefix(&old) else { break };
            entry.name = [path, dot, rest].concat();
        }
        Ok(())
    }

    /// What the hook of converted `torch.fx` models does: attributes that hold packed
    /// weights, by name.
    fn packed_weights(
        &mut self,
        path: &str,
        module: Module<'graph>,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        let mut packed = module.attributes(budget)?;
        packed.retain(|(name, object)| {
            let class = object.as_recipe().map(Class::of);
            name.contains("_packed_weight")
                && class.is_some_and(|class| class.is("torch", "ScriptObject"))
        });
        packed.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, object) in packed {
            self.add(path, &name, object, Role::Attribute, budget)?;
        }
        Ok(())
    }

    fn note(
        &mut self,
        note: Note<'graph>,
        path: &str,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        budget.memory(path.len() as u64)?;
        budget.push(&mut self.notes, note)
    }

    /// One entry a name: as in Python's dict, the last value in the first place. Two can only
    /// meet in files that no PyTorch wrote, or if a name holds a dot.
    fn settle(&mut self, budget: &mut Budget) -> Result<(), Exceeded> {
        budget.memory((self.entries.len() as u64).saturating_mul(48))?;
        let mut last: HashMap<&str, usize> = HashMap::with_capacity(self.entries.len());
        for (place, entry) in self.entries.iter().enumerate() {
            last.insert(&entry.name, place);
        }
        if last.len() == self.entries.len() {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(last.len());
        for entry in &self.entries {
            let source = last.remove(&*entry.name).and_then(|place| self.entries.get(place));
            kept.extend(source.cloned());
        }
        self.entries = kept;
        Ok(())
    }
}

/// The wrapper whose hook takes its own name out of the keys.
const CHECKPOINTED: (&str, &str) =
    ("torch.distributed.algorithms._checkpoint.checkpoint_wrapper", "CheckpointWrapper");

/// `torch.ao.pruning.sparsifier.utils.FakeSparsity.state_dict` returns an empty dict.
fn saves_nothing(class: &Class) -> bool {
    class.is("torch.ao.pruning.sparsifier.utils", "FakeSparsity")
}

/// What a class's own `_save_to_state_dict` adds after parameters and buffers.
fn saved_by(class: &Class) -> &'static [(&'static str, Role)] {
    use Role::{Attribute, Number};
    const SCALED: &[(&str, Role)] = &[("scale", Number), ("zero_point", Number)];
    const PACKED: &[(&str, Role)] = &[("dtype", Attribute), ("_packed_params", Attribute)];
    const EMBEDDED: &[(&str, Role)] = &[("dtype", Attribute), ("_packed_weight", Attribute)];
    const CELL: &[(&str, Role)] =
        &[("_packed_weight_ih", Attribute), ("_packed_weight_hh", Attribute)];
    const CONV: &[(&str, Role)] =
        &[("weight", Attribute), ("bias", Attribute), ("scale", Number), ("zero_point", Number)];
    const REFERENCE: &[(&str, Role)] =
        &[("weight_qscheme", Attribute), ("weight_dtype", Attribute)];
    let module = class.canonical_module();
    let Some(place) = module.strip_prefix("torch.ao.nn.") else { return &[] };
    let name = class.name();
    let fused = place.starts_with("intrinsic.quantized.");
    match place {
        "quantized.modules.linear" | "sparse.quantized.linear" if name == "LinearPackedParams" => {
            PACKED
        }
        "quantized.modules.embedding_ops" if name == "EmbeddingPackedParams" => EMBEDDED,
        "quantized.modules.functional_modules" if name == "QFunctional" => SCALED,
        "quantized.dynamic.modules.rnn" if name == "PackedParameter" => &[("param", Attribute)],
        "quantized.dynamic.modules.rnn" if name.ends_with("Cell") => CELL,
        "sparse.quantized.dynamic.linear" => &[("op_type", Role::Constant("sparse_dynamic"))],
        "quantized.modules.linear"
        | "quantized.dynamic.modules.linear"
        | "sparse.quantized.linear" => SCALED,
        _ if fused && name.starts_with("Linear") => SCALED,
        "quantized.modules.conv" | "quantized.dynamic.modules.conv" => CONV,
        _ if fused && name.starts_with("Conv") => CONV,
        _ if place.starts_with("quantized.reference.modules.") => REFERENCE,
        _ => &[],
    }
}

/// What `_weight_bias()` gives back of packed parameters: the state they were pickled with.
fn unpacked(object: Object<'_>) -> Object<'_> {
    let packed = object.as_recipe().filter(|recipe| Class::of(*recipe).is("torch", "ScriptObject"));
    let state = packed.and_then(|recipe| recipe.state()?.as_tuple()?.array::<2>());
    match state {
        Some([state, name]) => match name.as_str() {
            Some(name) if name.ends_with(".LinearPackedParamsBase") => state,
            Some(name) if name.ends_with(".EmbeddingPackedParamsBase") => {
                // (version, [weight], …): the weight.
                let weights = state.as_tuple().and_then(|items| items.get(1)?.items());
                weights.and_then(|weights| weights.get(0)).unwrap_or(state)
            }
            _ => object,
        },
        None => object,
    }
}

/// `torch.ao.quantization.fx`'s `_save_packed_weight`.
fn is_packed_weight_hook(hook: Object) -> bool {
    hook.as_global().is_some_and(|global| {
        global.module.starts_with(b"torch.ao.quantization.fx.")
            && global.name == b"_save_packed_weight"
    })
}

/// Hooks that only write the dict's `_metadata`.
fn is_harmless_hook(hook: Object) -> bool {
    hook.as_recipe().is_some_and(|recipe| {
        Class::of(recipe).is("torch.nn.utils.spectral_norm", "SpectralNormStateDictHook")
    })
}
