//! Module trees: found, printed, counted, named.

use bytes::Bytes;
use depickle::pickle::Object;
use depickle::torch::module::{self, Module, Style, find_modules};
use depickle::torch::{Checkpoint, Role, Scope};

use crate::checkpoints::options;
use crate::{graph_of, small};

/// Whatever holds modules is walked and printed, and its walks agree. The bytes are a file, or
/// the pickle of one.
pub fn modules(bytes: &[u8]) {
    if let Ok(checkpoint) = options().read(Bytes::copy_from_slice(bytes)) {
        let _ = find_modules(checkpoint.root(), &mut small());
        let objects = checkpoint.graph().objects().filter(|&object| Module::view(object).is_some());
        for object in objects.take(16) {
            of_a_file(&checkpoint, object);
        }
        return;
    }
    let outcome = graph_of(bytes);
    // All objects may be modules, and each may hold all others.
    let mut budget = small();
    for object in outcome.graph.objects() {
        let Some(module) = Module::view(object) else { continue };
        let _ = module::print(module, Style::default(), &module::FromGraph, &mut budget);
        let _ = module::state_dict(module, &mut budget);
        let _ = (module.training(), module.code(), module.class().to_string());
    }
}

fn of_a_file(checkpoint: &Checkpoint, object: Object) {
    let model = checkpoint.module_in(object).expect("it was seen to be a module");
    if let Ok(text) = model.print(Style::default()) {
        assert!(!text.is_empty());
        assert_eq!(Some(text), model.print(Style::default()).ok(), "the same every time");
    }
    let _ = model.kinds();
    if let (Ok(tallies), Ok(names)) = (model.tallies(), model.named_modules()) {
        for (_, module) in &names {
            assert!(tallies.contains_key(&module.id()), "each module is counted");
        }
    }
    if let (Ok(counts), Ok(parameters)) = (model.counts(), model.named_parameters()) {
        let numel = |object| checkpoint.view(object)?.ok().map(|tensor| tensor.numel());
        let known: Option<Vec<u64>> = parameters.iter().map(|(_, object)| numel(*object)).collect();
        if let Some(known) = known {
            let sum = known.into_iter().fold(0, u64::saturating_add);
            assert!(counts.parameters <= sum, "tied ones count once");
        }
    }
    let _ = model.named_buffers();
    let list = checkpoint.tensors_in(object, Scope::StateDict);
    if let (Ok(state), Ok(list)) = (model.state_dict(), list) {
        // Numbers, attributes and texts are in it too; tensors are in both, in this order.
        let mut listed = list.iter().map(|entry| entry.name());
        for entry in &state.entries {
            let tensor = matches!(entry.role, Role::Parameter | Role::Buffer);
            if tensor && checkpoint.view(entry.object).is_some() {
                assert!(listed.any(|name| name == entry.name), "{} is not listed", entry.name);
            }
        }
    }
}
