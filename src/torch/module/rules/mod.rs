//! How known classes print: a table, one row a class.
//!
//! A row names a defining module, classes in it, and their rule. Adding a library's layers
//! means adding rows. Rows are exact but for a `*` at the end of a module or the beginning of
//! a class name. A library's class derived from a known one has a row of its own; for other
//! classes see [`inherited`].

mod graphs;
mod inherited;
mod nn;
mod odd;
mod quantized;
mod third_party;
mod vision;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::template::Scope;
use super::{Class, Module, Tensors};
use crate::base::{Budget, Exceeded};

/// How a class prints.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) body: Body,
    /// What `_get_name()` returns, `*` being the class's name; empty if the name itself.
    pub(super) name: &'static str,
    /// Classes of children that are not shown.
    pub(super) hidden: &'static [&'static str],
    /// Equal neighbours among its children are shown once, as `ModuleList` does.
    pub(super) folds: bool,
}

/// What a rule says.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// A template of what `extra_repr()` returns.
    Extra(&'static str),
    /// A template of what `__repr__()` returns; children are not shown.
    Whole(&'static str),
    /// Appends what `extra_repr()` returns.
    ExtraBy(Odd),
    /// Appends what `__repr__()` returns.
    WholeBy(Odd),
}

/// A rule that is no formula.
pub(super) type Odd = fn(&Scope, &mut String, &mut Budget) -> Result<(), Exceeded>;

/// Rows of a table: module, classes, rule.
type Rows = &'static [(&'static str, &'static str, Rule)];

const fn rule(body: Body) -> Rule {
    Rule { body, name: "", hidden: &[], folds: false }
}

const fn extra(template: &'static str) -> Rule {
    rule(Body::Extra(template))
}

const fn whole(template: &'static str) -> Rule {
    rule(Body::Whole(template))
}

impl Rule {
    /// A class without `extra_repr`.
    pub(super) const PLAIN: Self = extra("");

    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    const fn hiding(self, hidden: &'static [&'static str]) -> Self {
        Self { hidden, ..self }
    }

    /// What a class of this rule is called.
    pub(super) fn shown_name(&self, class: &Class) -> String {
        match self.name {
            "" => class.name().to_owned(),
            name => name.replace('*', class.name()),
        }
    }
}

/// The rule for a module of this class: its own, that of the base it evidently has, or
/// [`Rule::PLAIN`].
pub(super) fn of<'graph>(
    module: Module<'graph>,
    class: &Class,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<&'static Rule, Exceeded> {
    static PLAIN: Rule = Rule::PLAIN;
    static SCRIPT: Rule = extra("original_name={class}").named("RecursiveScriptModule");
    if module.is_script() {
        return Ok(&SCRIPT);
    }
    if let Some(rule) = named(class) {
        return Ok(rule);
    }
    // All of PyTorch's own that print anything have rows.
    if class.module().starts_with("torch.") {
        return Ok(&PLAIN);
    }
    Ok(inherited::rule(module, tensors, budget)?.unwrap_or(&PLAIN))
}

/// The rule that a row names for a class.
fn named(class: &Class) -> Option<&'static Rule> {
    let module = class.canonical_module();
    let exact = TABLE.exact.get(&(&*module, class.name()));
    exact.copied().or_else(|| TABLE.wide(&module, class.name()))
}

struct Table {
    exact: HashMap<(&'static str, &'static str), &'static Rule>,
    wide: Vec<(&'static str, &'static str, &'static Rule)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { exact: HashMap::new(), wide: Vec::new() };
    let all = [nn::ROWS, quantized::ROWS, vision::ROWS, third_party::ROWS, graphs::ROWS];
    for (module, classes, rule) in all.into_iter().flatten() {
        for class in classes.split(' ').filter(|class| !class.is_empty()) {
            if module.ends_with('*') || class.starts_with('*') {
                table.wide.push((module, class, rule));
            } else {
                table.exact.insert((module, class), rule);
            }
        }
    }
    table
});

impl Table {
    fn wide(&self, module: &str, class: &str) -> Option<&'static Rule> {
        let fits = |(in_module, name, _): &&(&str, &str, &Rule)| {
            let module_fits = match in_module.strip_suffix('*') {
                Some(start) => module.starts_with(start),
                None => module == *in_module,
            };
            module_fits
                && match name.strip_prefix('*') {
                    Some(end) => class.ends_with(end),
                    None => class == *name,
                }
        };
        self.wide.iter().find(fits).map(|(_, _, rule)| *rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_class_has_two_rows() {
        let mut seen = std::collections::HashSet::new();
        let all = [nn::ROWS, quantized::ROWS, vision::ROWS, third_party::ROWS, graphs::ROWS];
        for (module, classes, _) in all.into_iter().flatten() {
            for class in classes.split(' ').filter(|class| !class.is_empty()) {
                assert!(seen.insert((module, class)), "{module}.{class}");
            }
        }
        assert!(seen.len() > 300);
    }

    #[test]
    fn old_module_paths_mean_the_same() {
        let same =
            |old: Class, new: Class| std::ptr::eq(named(&old).unwrap(), named(&new).unwrap());
        let old = Class::new("torch.nn.quantized.modules.linear", "Linear");
        let new = Class::new("torch.ao.nn.quantized.modules.linear", "Linear");
        assert!(same(old, new));
        let old = Class::new("timm.models.layers.drop", "DropPath");
        assert!(same(old, Class::new("timm.layers.drop", "DropPath")));
    }
}
