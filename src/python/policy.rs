//! The ready policies, made from the whitelist and the list of forbidden globals.

use std::sync::LazyLock;

use super::forbidden::{self, Reach};
use super::handing;
use super::names::{self, spellings, words};
use super::whitelist::{self, Row};
use crate::pickle::{Global, Pattern, Policy, Position, Positions, Rule};

/// What `torch.load(weights_only=True)` accepts by default, nothing else.
#[must_use]
pub fn weights_only() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let rules = whitelisted(whitelist::WEIGHTS_ONLY.iter());
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
        let listed = listed().rules().iter().cloned();
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
        let listed = listed().rules().iter().cloned();
        let listed = listed.map(|rule| Rule { positions: rule.positions.and(HELD), ..rule });
        handing(Policy::new("models", refusals().chain(listed), HELD))
    });
    &POLICY
}

/// The whitelist and nothing else: what stands in no row stands nowhere.
#[must_use]
pub fn listed() -> &'static Policy {
    static LISTED: LazyLock<Policy> =
        LazyLock::new(|| Policy::new("whitelist", whitelisted(whitelist::rows()), Positions::NONE));
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

/// A rule for each name of the rows under each of its spellings.
fn whitelisted<'rows>(rows: impl Iterator<Item = &'rows Row>) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(1 << 10);
    for &Row { module, names, positions, .. } in rows {
        patterns(module, names, |pattern| rules.push(Rule { pattern, positions }));
    }
    rules
}

/// Held, but not called.
const APART: Positions = Positions::only(Position::Value).and(Positions::only(Position::Instance));

/// What a forbidden global reaches, and why; none if the tables have nothing against it.
#[must_use]
pub fn reach(global: Global) -> Option<(Reach, &'static str)> {
    static INDEX: LazyLock<Policy> =
        LazyLock::new(|| Policy::new("forbidden", refusals(), Positions::ALL));
    forbidden().get(INDEX.rule_number(global)?).map(|(reach, why, _)| (*reach, *why))
}

type Reasoned = (Reach, &'static str, Rule);

fn refusals() -> impl Iterator<Item = Rule> {
    forbidden().iter().map(|(_, _, rule)| rule.clone())
}

/// All that is forbidden, and why.
fn forbidden() -> &'static [Reasoned] {
    static ALL: LazyLock<Vec<Reasoned>> = LazyLock::new(reasoned);
    &ALL
}

fn reasoned() -> Vec<Reasoned> {
    let refused = |pattern| Rule { pattern, positions: Positions::NONE };
    let each =
        |table: &'static [(Reach, &'static str)], why, pattern: fn(&'static str) -> Pattern| {
            table.iter().flat_map(move |(reach, text)| {
                words(text).map(move |word| (*reach, why, refused(pattern(word))))
            })
        };
    let inner = each(forbidden::INNER, "that module by another way", Pattern::inner);
    let named =
        each(forbidden::NAMED, "a module or handle that another module holds", Pattern::named);
    let through = "leads through a module or handle that another holds";
    let through = each(forbidden::THROUGH, through, Pattern::through);
    let mut all = Vec::with_capacity(1 << 11);
    all.extend(inner.chain(named).chain(through));
    for row in forbidden::ROWS {
        let mut refuse = |pattern| all.push((row.reach, row.why, refused(pattern)));
        for module in words(row.modules) {
            match row.names {
                forbidden::ALL => {
                    let older = names::older_names_within(module);
                    older.chain([module]).for_each(|module| refuse(Pattern::module(module)));
                }
                forbidden::OWN => refuse(Pattern::only(module)),
                names => patterns(module, names, |pattern| {
                    of_paths(&pattern).into_iter().flatten().for_each(&mut refuse);
                    refuse(pattern);
                }),
            }
        }
    }
    for (modules, names) in forbidden::APART {
        for module in words(modules) {
            patterns(module, names, |pattern| {
                let rule = Rule { pattern, positions: APART };
                all.push((Reach::File, "loads an array from a file beside", rule));
            });
        }
    }
    all
}

/// What is said of `pathlib.Path`'s methods, said of the classes that files name.
fn of_paths(pattern: &Pattern) -> Option<[Pattern; 2]> {
    let Pattern::Name { module, name } = pattern else { return None };
    let method = name.strip_prefix("Path.").filter(|_| module.starts_with("pathlib"))?;
    let of = |class| Pattern::name(module.clone(), format!("{class}.{method}"));
    Some([of("PosixPath"), of("WindowsPath")])
}

/// A pattern for each name under each of its spellings.
fn patterns(module: &'static str, names: &'static str, mut each: impl FnMut(Pattern)) {
    if names == "*" {
        return each(Pattern::classes(module));
    }
    spellings(module, names, |module, name| each(Pattern::name(module, name)));
}

/// Tells a policy what globals do with what they are called with.
fn handing(mut policy: Policy) -> Policy {
    for row in handing::ROWS {
        spellings(row.module, row.names, |module, name| policy.tell(module, name, row.ways));
    }
    policy
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
