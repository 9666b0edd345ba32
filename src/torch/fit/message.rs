//! What `load_state_dict` raises, word for word.

use std::fmt;

use super::{Conflict, Fit};
use crate::torch::Layout;

/// That weights do not fit. `Display` is the text of the `RuntimeError` that PyTorch raises.
///
/// The text holds keys of the file as they are; escape control characters before a terminal
/// shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    class: Box<str>,
    messages: Vec<String>,
}

pub(super) fn check(fit: &Fit<'_>, strict: bool) -> Result<(), Misfit> {
    let mut messages = Vec::new();
    if strict && !fit.missing.is_empty() {
        let keys = quoted(fit.missing.iter().copied(), ", ");
        messages.push(format!("Missing key(s) in state_dict: {keys}. "));
    }
    if strict && !fit.unexpected.is_empty() {
        let keys = quoted(fit.unexpected.iter().map(String::as_str), ", ");
        messages.push(format!("Unexpected key(s) in state_dict: {keys}. "));
    }
    messages.extend(fit.conflicts.iter().map(ToString::to_string));
    if messages.is_empty() {
        return Ok(());
    }
    Err(Misfit { class: fit.class.into(), messages })
}

fn quoted<'a>(keys: impl Iterator<Item = &'a str>, between: &str) -> String {
    keys.map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(between)
}

impl Misfit {
    /// Its parts: missing keys, unexpected keys, then what cannot be copied.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error(s) in loading state_dict for {}:", self.class)?;
        self.messages.iter().try_for_each(|message| write!(f, "\n\t{message}"))
    }
}

impl std::error::Error for Misfit {}

/// `torch.Size`, as it prints.
struct Size<'a>(&'a [u64]);

impl fmt::Display for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(u64::to_string).collect();
        write!(f, "torch.Size([{}])", sizes.join(", "))
    }
}

impl fmt::Display for Conflict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { name, checkpoint, model } => write!(
                f,
                "size mismatch for {name}: copying a param with shape {} from checkpoint, the \
                 shape in current model is {}.",
                Size(checkpoint),
                Size(model)
            ),
            Self::NotATensor { name, found } => write!(
                f,
                "While copying the parameter named \"{name}\", expected torch.Tensor or \
                 Tensor-like object from checkpoint but received {found}"
            ),
            Self::Layout { name, shape, layout } => write!(
                f,
                "While copying the parameter named \"{name}\", whose dimensions in the model are \
                 {size} and whose dimensions in the checkpoint are {size}, an exception occurred \
                 : ({},).",
                exception(*layout),
                size = Size(shape)
            ),
            Self::Unreadable { name, why } => {
                write!(f, "While copying the parameter named \"{name}\": {why}")
            }
            Self::RunningStats { names, class } => write!(
                f,
                "Unexpected running stats buffer(s) {} for {class} with track_running_stats=False. \
                 If state_dict is a checkpoint saved before 0.4.0, this may be expected because \
                 {class} does not track running stats by default since 0.4.0. Please remove these \
                 keys from state_dict. If the running stats are actually needed, instead set \
                 track_running_stats=True in {class} to enable them. See the documentation of \
                 {class} for details.",
                quoted(names.iter().map(String::as_str), " and ")
            ),
        }
    }
}

/// What copying from such a tensor to a plain one says; of most layouts in words of our own, as
/// PyTorch's name the kernels of one device.
const fn exception(layout: Layout) -> &'static str {
    match layout {
        Layout::Meta => "'Cannot copy out of meta tensor; no data!'",
        Layout::Nested => "'a nested tensor cannot be copied to a plain one'",
        Layout::Wrapper => "'a tensor of a wrapper class cannot be copied to a plain one'",
        _ => "'a sparse tensor cannot be copied to a dense one'",
    }
}
