//! Subclasses of PyTorch's own layers, known by what the base's `__init__` leaves behind.
//!
//! A pickle names a class, not its bases. But `nn.Conv2d.__init__` sets a dozen attributes,
//! private ones among them; a module that holds them all has run it, and prints as its base
//! does unless it says otherwise. Classes that others write alike, or that leave one or two
//! attributes only (`ReLU`, `Dropout`), are not recognised.

use std::collections::HashSet;

use super::super::{Module, Tensors};
use super::Rule;
use super::nn::{
    AVG_POOL, CONV, EMBEDDING, EMBEDDING_BAG, GROUP_NORM, LAYER_NORM, LINEAR, MAX_POOL, NORM, RNN,
    UPSAMPLE,
};
use crate::base::{Budget, Exceeded};
use crate::pickle::Object;

/// What a base leaves behind: attributes, parameters, buffers; and its rule.
struct Trace {
    attributes: &'static [&'static str],
    parameters: &'static [&'static str],
    buffers: &'static [&'static str],
    /// Attributes whose numbers, in a row, are the sizes of `weight` (if it is one).
    sizes: &'static [&'static str],
    rule: Rule,
}

const WEIGHTS: &[&str] = &["weight", "bias"];

/// Most telling first.
static TRACES: &[Trace] = &[
    Trace {
        attributes: &[
            "_reversed_padding_repeated_twice",
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
        ],
        parameters: WEIGHTS,
        buffers: &[],
        sizes: &[],
        rule: CONV,
    },
    Trace {
        attributes: &[
            "_flat_weights_names",
            "_all_weights",
            "mode",
            "input_size",
            "hidden_size",
            "num_layers",
            "bias",
            "batch_first",
            "dropout",
            "bidirectional",
        ],
        parameters: &[],
        buffers: &[],
        sizes: &[],
        rule: RNN,
    },
    Trace {
        attributes: &["num_features", "eps", "momentum", "affine", "track_running_stats"],
        parameters: WEIGHTS,
        buffers: &["running_mean", "running_var", "num_batches_tracked"],
        sizes: &["num_features"],
        rule: NORM,
    },
    Trace {
        attributes: &[
            "num_embeddings",
            "embedding_dim",
            "padding_idx",
            "max_norm",
            "norm_type",
            "scale_grad_by_freq",
            "sparse",
            "mode",
            "include_last_offset",
        ],
        parameters: &["weight"],
        buffers: &[],
        sizes: &["num_embeddings", "embedding_dim"],
        rule: EMBEDDING_BAG,
    },
    Trace {
        attributes: &[
            "num_embeddings",
            "embedding_dim",
            "padding_idx",
            "max_norm",
            "norm_type",
            "scale_grad_by_freq",
            "sparse",
        ],
        parameters: &["weight"],
        buffers: &[],
        sizes: &["num_embeddings", "embedding_dim"],
        rule: EMBEDDING,
    },
    Trace {
        attributes: &[
            "kernel_size",
            "stride",
            "padding",
            "dilation",
            "return_indices",
            "ceil_mode",
        ],
        parameters: &[],
        buffers: &[],
        sizes: &[],
        rule: MAX_POOL,
    },
    Trace {
        attributes: &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"],
        parameters: &[],
        buffers: &[],
        sizes: &[],
        rule: AVG_POOL,
    },
    Trace {
        attributes: &[
            "name",
            "size",
            "scale_factor",
            "mode",
            "align_corners",
            "recompute_scale_factor",
        ],
        parameters: &[],
        buffers: &[],
        sizes: &[],
        rule: UPSAMPLE,
    },
    Trace {
        attributes: &["normalized_shape", "eps", "elementwise_affine"],
        parameters: WEIGHTS,
        buffers: &[],
        sizes: &["normalized_shape"],
        rule: LAYER_NORM,
    },
    Trace {
        attributes: &["num_groups", "num_channels", "eps", "affine"],
        parameters: WEIGHTS,
        buffers: &[],
        sizes: &["num_channels"],
        rule: GROUP_NORM,
    },
    Trace {
        attributes: &["in_features", "out_features"],
        parameters: WEIGHTS,
        buffers: &[],
        sizes: &["out_features", "in_features"],
        rule: LINEAR,
    },
];

/// The rule of the base whose `__init__` a module of an unknown class has evidently run.
pub(super) fn rule<'graph>(
    module: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<Option<&'static Rule>, Exceeded> {
    let names = |named: Vec<super::super::Named<'graph>>| {
        named.into_iter().map(|(name, _)| name).collect::<HashSet<_>>()
    };
    let attributes = names(module.attributes(budget)?);
    let all = |wanted: &[&str], held: &HashSet<_>| wanted.iter().all(|name| held.contains(*name));
    let mut fits = TRACES.iter().filter(|trace| all(trace.attributes, &attributes)).peekable();
    if fits.peek().is_none() {
        return Ok(None);
    }
    budget.visits(module.getattr_cost().saturating_mul(3))?;
    let parameters = names(module.parameters(budget)?);
    let buffers = names(module.buffers(budget)?);
    let found = fits.find(|trace| {
        all(trace.parameters, &parameters)
            && all(trace.buffers, &buffers)
            && weight_fits(module, trace.sizes, tensors)
    });
    Ok(found.map(|trace| &trace.rule))
}

/// Whether `weight`, if it is an initialised tensor, has the sizes that attributes say.
fn weight_fits<'graph>(
    module: Module<'graph>,
    sizes: &[&str],
    tensors: &dyn Tensors<'graph>,
) -> bool {
    const DIMENSIONS: usize = 64;
    if sizes.is_empty() {
        return true;
    }
    let weight = module.getattr("weight").and_then(|weight| tensors.describe(weight));
    let Some(shape) = weight.and_then(|weight| weight.shape) else { return true };
    let held = sizes.iter().filter_map(|name| module.attribute(name));
    let numbers =
        held.flat_map(|object| match object.as_tuple().filter(|items| items.len() <= DIMENSIONS) {
            Some(items) => items.iter().map(Object::as_int).collect(),
            None => vec![object.as_int()],
        });
    let wanted: Option<Vec<u64>> =
        numbers.map(|number| number.and_then(|number| u64::try_from(number).ok())).collect();
    wanted.is_some_and(|wanted| wanted == shape)
}
