//! The ready policies, made from the whitelist and the list of forbidden globals.

use std::sync::LazyLock;

use super::forbidden;
use super::names;
use super::whitelist::{self, Row};
use crate::pickle::{Global, Pattern, Policy, Position, Positions, Rule};

/// What `torch.load(weights_only=True)` accepts by default, nothing else.
#[must_use]
pub fn weights_only() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let rules = whitelist::WEIGHTS_ONLY.iter().flat_map(whitelisted);
        Policy::new("weights-only", rules, Positions::NONE)
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
        Policy::new("strict", forbidden().into_iter().chain(listed), held)
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
        Policy::new("models", forbidden().into_iter().chain(listed), HELD)
    });
    &POLICY
}

/// Whether the whitelist has a row for `global`, under any of its spellings.
#[must_use]
pub fn is_whitelisted(global: Global) -> bool {
    static LISTED: LazyLock<Policy> = LazyLock::new(|| {
        Policy::new("whitelist", whitelist::rows().flat_map(whitelisted), Positions::NONE)
    });
    LISTED.admits(global) != Positions::NONE
}

/// Anywhere but as the target of BUILD or behind another call.
const HELD: Positions = Positions::only(Position::Value)
    .and(Positions::only(Position::Instance))
    .and(Positions::only(Position::Call));

fn whitelisted(row: &Row) -> Vec<Rule> {
    rules(row.module, row.names, row.positions)
}

fn forbidden() -> Vec<Rule> {
    let refused = |pattern| Rule { pattern, positions: Positions::NONE };
    let words = |(_, words): &(forbidden::Reach, &'static str)| words.split(' ');
    let modules = forbidden::MODULES
        .iter()
        .flat_map(words)
        .flat_map(|module| names::older_names_within(module).chain([module]));
    let modules = modules.map(|module| refused(Pattern::module(module)));
    let through = forbidden::THROUGH.iter().flat_map(words);
    let through = through.map(|attribute| refused(Pattern::through(attribute)));
    let single = forbidden::NAMES.iter();
    let single = single.flat_map(|(_, module, names)| rules(module, names, Positions::NONE));
    modules.chain(through).chain(single).collect()
}

/// A rule for each name under each of its spellings.
fn rules(module: &str, names: &str, positions: Positions) -> Vec<Rule> {
    if names == "*" {
        return vec![Rule { pattern: Pattern::module(module), positions }];
    }
    let spellings = names.split(' ').flat_map(|name| {
        let own = [(module.to_owned(), name.to_owned())];
        own.into_iter().chain(names::older(module, name))
    });
    let rule = |(module, name): (String, String)| Rule {
        pattern: Pattern::name(&module, &name),
        positions,
    };
    spellings.map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn nothing_is_both_whitelisted_and_forbidden() {
        let refused = Policy::new("forbidden", forbidden(), Positions::ALL);
        for row in whitelist::rows() {
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
