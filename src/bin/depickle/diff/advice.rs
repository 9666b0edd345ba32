//! What the user could do so that more keys match.

use std::collections::{HashMap, HashSet};

use depickle::torch::ObjectKind;
use serde_json::{Value, json};

use super::side::Side;
use super::{Fact, Found, Row};

/// A change of names by which more keys match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fitting {
    /// Cut off the names of the right.
    pub right: String,
    /// Cut off the names of the left.
    pub left: String,
    /// Keys that match then.
    pub matched: usize,
}

/// Prefixes of each side that are tried.
const TRIED: usize = 32;

impl Fitting {
    /// The best there is: no change if none is better.
    pub(super) fn best(left: &HashSet<String>, right: &HashSet<String>) -> Self {
        let matched = right.iter().filter(|name| left.contains(*name)).count();
        let mut best = Self { matched, ..Self::default() };
        for prefix in prefixes(right) {
            let matched = without(right, &prefix).filter(|name| left.contains(*name)).count();
            if matched > best.matched {
                best = Self { right: prefix, matched, ..Self::default() };
            }
        }
        for prefix in prefixes(left) {
            let matched = without(left, &prefix).filter(|name| right.contains(*name)).count();
            if matched > best.matched {
                best = Self { left: prefix, matched, ..Self::default() };
            }
        }
        best
    }
}

fn without<'a>(names: &'a HashSet<String>, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    names.iter().filter_map(move |name| name.strip_prefix(prefix))
}

/// One to three components that many names begin with, those of most names first.
fn prefixes(names: &HashSet<String>) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names {
        for (dot, _) in name.match_indices('.').take(3) {
            let count = counts.entry(name.get(..=dot).unwrap_or_default()).or_default();
            *count = count.saturating_add(1);
        }
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(prefix, count)| (std::cmp::Reverse(count), prefix.len(), prefix));
    counts.into_iter().take(TRIED).map(|(prefix, _)| prefix.to_owned()).collect()
}

/// Something to try, and how many keys match then.
pub(super) struct Advice {
    pub flags: String,
    pub matched: usize,
    pub of: usize,
}

impl Advice {
    pub(super) fn text(&self) -> String {
        let Self { flags, matched, of } = self;
        if matched == of {
            format!("all {of} keys match with {flags}")
        } else {
            format!("{matched} of {of} keys match with {flags}")
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "flags": self.flags, "matched": self.matched, "of": self.of })
    }
}

/// What would make more keys match, if there are missing and unexpected ones.
pub(super) fn advice(left: &Side, found: &Found) -> Vec<Advice> {
    let named = |facts: &[Fact]| -> HashSet<String> {
        let has = |row: &&Row| row.facts.iter().any(|fact| facts.contains(fact));
        found.rows.iter().filter(has).map(|row| row.name.clone()).collect()
    };
    let missing = named(&[Fact::Missing, Fact::Kept]);
    let unexpected = named(&[Fact::Unexpected]);
    if missing.is_empty() || unexpected.is_empty() {
        return Vec::new();
    }
    let best = Fitting::best(&missing, &unexpected);
    let of = found.keys[0];
    let matched = found.keys[2].saturating_add(best.matched);
    let flags = match (best.left.as_str(), best.right.as_str()) {
        ("", "") => return Vec::new(),
        ("", prefix) => format!("--strip-prefix {}", quoted(prefix)),
        // A model that wraps another, as DataParallel does.
        (prefix, _) if left.kind == ObjectKind::Module && best.matched == of => {
            let inner = prefix.trim_end_matches('.');
            let key = left.key.as_ref().map_or(inner.to_owned(), |key| format!("{key}.{inner}"));
            format!("--left-key {}", quoted(&key))
        }
        (prefix, _) if found.fits => format!("--rename {}", quoted(&format!("^={prefix}"))),
        (prefix, _) => format!("--strip-prefix {}", quoted(prefix)),
    };
    vec![Advice { flags, matched, of }]
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-/=".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> HashSet<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_prefix_that_matches_most_is_found() {
        let model = names("a.weight a.bias b.0.weight");
        let best = Fitting::best(
            &model,
            &names("module.a.weight module.a.bias module.b.0.weight x.a.bias"),
        );
        assert_eq!(best, Fitting { right: "module.".to_owned(), left: String::new(), matched: 3 });
        let deep = names("model.net.a.weight model.net.a.bias model.head.weight");
        assert_eq!(Fitting::best(&model, &deep).right, "model.net.");
        assert_eq!(Fitting::best(&deep, &model).left, "model.net.");
        assert_eq!(Fitting::best(&model, &model), Fitting { matched: 3, ..Fitting::default() });
        assert_eq!(Fitting::best(&model, &names("q.r s.t")).matched, 0);
    }

    #[test]
    fn flags_are_quoted_for_shells() {
        assert_eq!(quoted("module."), "module.");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }
}
