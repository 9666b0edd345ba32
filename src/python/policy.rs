//! The ready policies, made from the whitelist and the list of forbidden globals.

use std::sync::LazyLock;

use super::forbidden::{self, Reach};
use super::handing;
use super::names;
use super::whitelist::{self, Row};
use crate::pickle::{Global, Pattern, Policy, Position, Positions, Rule};

/// What `torch.load(weights_only=True)` accepts by default, nothing else.
#[must_use]
pub fn weights_only() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let rules = whitelist::WEIGHTS_ONLY.iter().flat_map(whitelisted);
        handing(Policy::new("weights-only", rules, Positions::NONE))
    });
    &POLICY
}

/// Calls only of what the whitelist lets be called; any class may have instances, held as
/// data. Forbidden globals are refused wherever they stand.
#[must_use]
pub fn strict() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let held = Positions::only(Position::Value).and(Positions::only(Position::Instance));
        let listed = whitelist::rows().flat_map(whitelisted);
        handing(Policy::new("strict", refusals().chain(listed), held))
    });
    &POLICY
}

/// The default: any call is held as data and never interpreted, but forbidden globals are
/// refused wherever they stand, and so are calls of what a call returned, unless the whitelist
/// knows what that can be.
#[must_use]
pub fn models() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let listed = whitelist::rows().flat_map(|row| {
            let positions = row.positions.and(HELD);
            rules(row.module, row.names, positions)
        });
        handing(Policy::new("models", refusals().chain(listed), HELD))
    });
    &POLICY
}

/// The whitelist and nothing else: what stands in no row stands nowhere.
#[must_use]
pub fn listed() -> &'static Policy {
    static LISTED: LazyLock<Policy> = LazyLock::new(|| {
        Policy::new("whitelist", whitelist::rows().flat_map(whitelisted), Positions::NONE)
    });
    &LISTED
}

/// Whether the whitelist has a row for `global`, under any of its spellings.
#[must_use]
pub fn is_whitelisted(global: Global) -> bool {
    listed().admits(global) != Positions::NONE
}

/// Anywhere but as the target of BUILD or behind another call.
const HELD: Positions = Positions::only(Position::Value)
    .and(Positions::only(Position::Instance))
    .and(Positions::only(Position::Call));

fn whitelisted(row: &Row) -> Vec<Rule> {
    rules(row.module, row.names, row.positions)
}

/// What a forbidden global reaches, and why; none if the tables have nothing against it.
#[must_use]
pub fn reach(global: Global) -> Option<(Reach, &'static str)> {
    static INDEX: LazyLock<(Policy, Vec<(Reach, &'static str)>)> = LazyLock::new(|| {
        let all = forbidden();
        let reasons = all.iter().map(|(reach, why, _)| (*reach, *why)).collect();
        let rules = all.into_iter().map(|(_, _, rule)| rule);
        (Policy::new("forbidden", rules, Positions::ALL), reasons)
    });
    let (policy, reasons) = &*INDEX;
    reasons.get(policy.rule_number(global)?).copied()
}

type Reasoned = (Reach, &'static str, Rule);

fn refusals() -> impl Iterator<Item = Rule> {
    forbidden().into_iter().map(|(_, _, rule)| rule)
}

fn forbidden() -> Vec<Reasoned> {
    let refused = |pattern| Rule { pattern, positions: Positions::NONE };
    let rows = forbidden::ROWS.iter().flat_map(|row| {
        let rules = row.modules.split(' ').flat_map(move |module| match row.names {
            forbidden::ALL => names::older_names_within(module)
                .chain([module])
                .map(|module| refused(Pattern::module(module)))
                .collect::<Vec<_>>(),
            forbidden::OWN => vec![refused(Pattern::only(module))],
            names => rules(module, names, Positions::NONE)
                .into_iter()
                .flat_map(|rule| of_paths(&rule).into_iter().flatten().chain([rule]))
                .collect(),
        });
        rules.map(move |rule| (row.reach, row.why, rule))
    });
    let words = |table: &'static [(Reach, &'static str)], why, pattern: fn(&str) -> Pattern| {
        table.iter().flat_map(move |(reach, words)| {
            words.split(' ').map(move |word| (*reach, why, refused(pattern(word))))
        })
    };
    let inner = words(forbidden::INNER, "that module by another way", Pattern::inner);
    let named =
        words(forbidden::NAMED, "a module or handle that another module holds", Pattern::named);
    let through = "leads through a module or handle that another holds";
    let through = words(forbidden::THROUGH, through, Pattern::through);
    let apart = forbidden::APART.iter().flat_map(|(modules, names)| {
        let held = Positions::only(Position::Value).and(Positions::only(Position::Instance));
        modules.split(' ').flat_map(move |module| rules(module, names, held))
    });
    let apart = apart.map(|rule| (Reach::File, "loads an array from a file beside", rule));
    inner.chain(named).chain(through).chain(rows).chain(apart).collect()
}

/// What is said of `pathlib.Path`'s methods, said of the classes that files name.
fn of_paths(rule: &Rule) -> Option<[Rule; 2]> {
    let Pattern::Name { module, name } = &rule.pattern else { return None };
    let method = name.strip_prefix(b"Path.").filter(|_| module.starts_with(b"pathlib"))?;
    Some([&b"PosixPath."[..], b"WindowsPath."].map(|class| Rule {
        pattern: Pattern::Name { module: module.clone(), name: [class, method].concat().into() },
        positions: rule.positions,
    }))
}

/// A rule for each name under each of its spellings.
fn rules(module: &str, names: &str, positions: Positions) -> Vec<Rule> {
    if names == "*" {
        return vec![Rule { pattern: Pattern::classes(module), positions }];
    }
    let rule = |(module, name): (String, String)| Rule {
        pattern: Pattern::name(&module, &name),
        positions,
    };
    names.split(' ').flat_map(|name| spellings(module, name)).map(rule).collect()
}

/// A global by its own name and those it had before.
fn spellings(module: &str, name: &str) -> impl Iterator<Item = (String, String)> {
    let own = [(module.to_owned(), name.to_owned())];
    own.into_iter().chain(names::older(module, name))
}

/// Tells a policy what globals do with what they are called with.
fn handing(policy: Policy) -> Policy {
    let rows = handing::ROWS.iter();
    let each = rows.flat_map(|row| row.names.split(' ').map(move |name| (row, name)));
    each.fold(policy, |policy, (row, name)| {
        spellings(row.module, name)
            .fold(policy, |policy, (module, name)| policy.with_handing(&module, &name, row.ways))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn nothing_is_both_whitelisted_and_forbidden() {
        let refused = Policy::new("forbidden", refusals(), Positions::ALL);
        // These modules hold little else that is harmless.
        let apart = ["io", "_io", "joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle"];
        for row in whitelist::rows().filter(|row| !apart.contains(&row.module)) {
            for name in row.names.split(' ') {
                let judged = refused.judge(row.module, name);
                assert_eq!(judged, Positions::ALL, "{}.{name} is forbidden", row.module);
            }
        }
    }

    #[test]
    fn every_name_stands_in_one_row() {
        let mut rows = HashMap::new();
        for row in whitelist::rows() {
            for name in row.names.split(' ') {
                let before = rows.insert((row.module, name), row.meaning);
                assert_eq!(before, None, "{}.{name}", row.module);
            }
        }
        assert!(rows.len() > 150);
    }

    #[test]
    fn forbidden_globals_are_refused_under_any_spelling() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("nt", "system"),
            ("os.path", "join"),
            ("commands", "getoutput"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("__builtin__", "eval"),
            ("itertools", "imap"),
            ("cPickle", "loads"),
            ("urllib2", "urlopen"),
            ("torch.serialization", "os.system"),
            ("torch", "load"),
            ("numpy.core.multiarray", "fromfile"),
            ("collections", "OrderedDict.__init__.__globals__.get"),
        ] {
            for policy in [weights_only(), strict(), models()] {
                let judged = policy.judge(module, name);
                assert_eq!(judged, Positions::NONE, "{module}.{name} under {}", policy.name());
            }
        }
    }

    #[test]
    fn position_counts() {
        use Position::{Call, Computed, Instance, Target, Value};
        let has = |policy: &Policy, module, name, at| policy.judge(module, name).has(at);
        assert!(has(strict(), "torch._utils", "_rebuild_tensor_v2", Call));
        assert!(!has(strict(), "torch", "FloatStorage", Call));
        assert!(has(strict(), "torch", "FloatStorage", Value));
        assert!(has(strict(), "my.models", "Net", Instance));
        assert!(!has(strict(), "my.models", "Net", Call));
        assert!(has(models(), "my.models", "Color", Call));
        assert!(!has(models(), "my.models", "factory", Computed));
        assert!(has(models(), "__builtin__", "getattr", Computed));
        assert!(has(strict(), "numpy.core.multiarray", "_reconstruct", Call));
        assert!(has(strict(), "copy_reg", "_reconstructor", Call));
        assert_eq!(weights_only().judge("my.models", "Net"), Positions::NONE);
        assert!(!has(models(), "torch.nn.modules.linear", "Linear", Target));
    }
}
