//! Classes that look for old state dicts, and change them, before they load.
//!
//! Source: the overrides of `_load_from_state_dict` in PyTorch 2.15 `torch/nn/modules/batchnorm.py`
//! and `instancenorm.py`, and in torchvision 0.29 `ops/misc.py`, `ops/feature_pyramid_network.py`,
//! `models/vision_transformer.py`, `models/detection/{rpn,mask_rcnn,retinanet}.py`.

use std::collections::HashMap;

use super::Conflict;
use super::expected::{Expected, Node, Slot, join};
use super::weights::{Keys, Weights};
use crate::base::{Budget, Exceeded};
use crate::pickle::Object;
use crate::torch::module::Module;

/// What a class does to the state dict.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// Before version 2, keeps its count of batches if the state dict has none.
    Counts,
    /// Without a version, refuses running statistics, which it does not keep.
    KeepsNoStats(String),
    /// Drops counts of batches, which it does not keep.
    Frozen,
    /// Before version 2, other names, below the module.
    Renames(Vec<(String, String)>),
}

impl Rule {
    /// The rule of a module's class.
    pub(super) fn of(module: Module, budget: &mut Budget) -> Result<Option<Self>, Exceeded> {
        // All that derive from `_NormBase` have the attribute.
        if let Some(tracks) = module.attribute("track_running_stats").map(Object::as_bool) {
            let class = module.class();
            return Ok(match tracks {
                Some(true) => Some(Self::Counts),
                _ if class.module().ends_with("nn.modules.instancenorm") => {
                    Some(Self::KeepsNoStats(class.name().to_owned()))
                }
                _ => None,
            });
        }
        let class = module.class();
        if !class.module().starts_with("torchvision.") {
            return Ok(None);
        }
        let blocks = |module: Module, budget: &mut Budget| -> Result<usize, Exceeded> {
            Ok(module.children(budget)?.len())
        };
        let pairs = match class.name() {
            "FrozenBatchNorm2d" => return Ok(Some(Self::Frozen)),
            "FeaturePyramidNetwork" => {
                let children = module.children(budget)?.into_iter();
                let mut inner = children.filter(|(name, _)| name == "inner_blocks");
                let inner = inner.find_map(|(_, child)| Module::view(child));
                let count = inner.map_or(Ok(0), |inner| blocks(inner, budget))?;
                let names = ["inner_blocks", "layer_blocks"].into_iter();
                names
                    .flat_map(|name| {
                        (0..count).map(move |i| (format!("{name}.{i}"), format!("{name}.{i}.0")))
                    })
                    .collect()
            }
            "MLPBlock" => vec![pair("linear_1", "0"), pair("linear_2", "3")],
            "RPNHead" => vec![pair("conv", "conv.0.0")],
            "MaskRCNNHeads" => {
                let blocks = (0..blocks(module, budget)?)
                    .map(|i| (format!("mask_fcn{}", i.saturating_add(1)), format!("{i}.0")));
                blocks.collect()
            }
            "RetinaNetClassificationHead" | "RetinaNetRegressionHead" => (0..4_usize)
                .map(|i| (format!("conv.{}", i.saturating_mul(2)), format!("conv.{i}.0")))
                .collect(),
            _ => return Ok(None),
        };
        budget.memory((pairs.len() as u64).saturating_mul(128))?;
        Ok(Some(Self::Renames(pairs)))
    }

    pub(super) const fn counts(&self) -> bool {
        matches!(self, Self::Counts)
    }
}

fn pair(old: &str, new: &str) -> (String, String) {
    (old.to_owned(), new.to_owned())
}

/// Changes the keys as the classes do, in their order; gives the conflicts they find, by module.
pub(super) fn apply<'fit>(
    expected: &'fit Expected,
    weights: &Weights<'_>,
    keys: &mut Keys,
) -> HashMap<usize, Conflict<'fit>> {
    let mut conflicts = HashMap::new();
    for node in expected.in_order() {
        let Some((path, rule)) = &node.rule else { continue };
        match rule {
            Rule::Renames(pairs) if !weights.is_since(path, 2) => {
                for (old, new) in pairs {
                    for part in ["weight", "bias"] {
                        let old = join(path, &format!("{old}.{part}"));
                        keys.rename(&old, join(path, &format!("{new}.{part}")));
                    }
                }
            }
            Rule::Frozen => {
                keys.remove(&join(path, "num_batches_tracked"));
            }
            // Any version is one.
            Rule::KeepsNoStats(class) if !weights.is_since(path, i64::MIN) => {
                let names = ["running_mean", "running_var"].map(|name| join(path, name));
                let names: Vec<String> =
                    names.into_iter().filter(|name| keys.remove(name).is_some()).collect();
                if !names.is_empty() {
                    conflicts.insert(node.index, Conflict::RunningStats { names, class });
                }
            }
            _ => {}
        }
    }
    conflicts
}

/// Whether a place keeps its value where the weights have none.
pub(super) fn keeps(node: &Node, slot: &Slot, weights: &Weights<'_>) -> bool {
    let (path, name) = slot.name().rsplit_once('.').unwrap_or(("", slot.name()));
    if name != "num_batches_tracked" || weights.is_since(path, 2) {
        return false;
    }
    // Of modules declared by their names alone, those with both statistics count.
    node.rule.as_ref().is_some_and(|(_, rule)| rule.counts())
        || ["running_mean", "running_var"].iter().all(|name| node.has(&join(path, name)))
}
