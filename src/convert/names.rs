//! What tensors are called in the output: prefixes cut off, names chosen, patterns replaced.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::error::Error;
use crate::pickle::glob_matches;

/// Which tensors are taken, and how their names change.
///
/// Prefixes are cut off first, as often as they stand there; then patterns are replaced, one after
/// the other; then globs choose among the new names.
///
/// ```
/// use depickle::convert::{Names, Rename};
///
/// let names = Names::default()
///     .strip_prefix("module.")
///     .exclude("*.num_batches_tracked")
///     .rename(Rename::new(r"^layer(\d)=block.\1")?);
/// assert_eq!(names.apply("module.layer2.weight").as_deref(), Some("block.2.weight"));
/// assert_eq!(names.apply("module.bn.num_batches_tracked"), None);
/// # Ok::<(), depickle::convert::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Names {
    strip: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    rename: Vec<Rename>,
}

impl Names {
    /// Cuts a prefix off, as often as it stands there.
    #[must_use]
    pub fn strip_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.strip.push(prefix.into());
        self
    }

    /// Takes only names that match one of these: `*` stands for anything, `?` for one character.
    #[must_use]
    pub fn include(mut self, glob: impl Into<String>) -> Self {
        self.include.push(glob.into());
        self
    }

    /// Takes no names that match.
    #[must_use]
    pub fn exclude(mut self, glob: impl Into<String>) -> Self {
        self.exclude.push(glob.into());
        self
    }

    /// Replaces a pattern.
    #[must_use]
    pub fn rename(mut self, rename: Rename) -> Self {
        self.rename.push(rename);
        self
    }

    /// The prefixes that are cut off.
    #[must_use]
    pub fn prefixes(&self) -> &[String] {
        &self.strip
    }

    /// Whether all tensors are taken under the names they have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let globs = self.include.is_empty() && self.exclude.is_empty();
        globs && self.strip.is_empty() && self.rename.is_empty()
    }

    /// What a tensor is to be called; none if it is not taken.
    #[must_use]
    pub fn apply<'name>(&self, name: &'name str) -> Option<Cow<'name, str>> {
        let short = Cow::Borrowed(self.strip(name));
        let renamed = self.rename.iter().fold(short, |name, rename| rename.apply(name));
        let matches = |glob: &String| glob_matches(glob.as_bytes(), renamed.as_bytes());
        let included = self.include.is_empty() || self.include.iter().any(matches);
        (included && !self.exclude.iter().any(matches)).then_some(renamed)
    }

    fn strip<'name>(&self, name: &'name str) -> &'name str {
        let mut short = name;
        let cut = |name: &'name str| {
            let mut prefixes = self.strip.iter().filter(|prefix| !prefix.is_empty());
            prefixes.find_map(|prefix| name.strip_prefix(prefix.as_str()))
        };
        while let Some(shorter) = cut(short) {
            short = shorter;
        }
        short
    }
}

/// A pattern and what takes its place.
#[derive(Clone, Debug)]
pub struct Rename {
    text: String,
    pattern: Regex,
    replacement: String,
}

impl Rename {
    /// From `REGEX=REPLACEMENT`: the first `=` parts them, and `\=` is one that does not.
    ///
    /// The replacement names groups as `$1`, `${1}`, `${name}` or as Python does, `\1` and
    /// `\g<name>`; `$$` is a dollar.
    ///
    /// # Errors
    /// What is wrong with the pattern, or that the replacement names a group that it lacks.
    pub fn new(rule: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::usage(format!("--rename {rule}: {why}"));
        let (pattern, replacement) =
            split(rule).ok_or_else(|| bad("REGEX=REPLACEMENT is wanted".to_owned()))?;
        if pattern.is_empty() {
            let why = "an empty REGEX matches between all characters; ^ is the front";
            return Err(bad(why.to_owned()));
        }
        let pattern = Regex::new(&pattern).map_err(|why| bad(why.to_string()))?;
        let replacement = template(replacement, &pattern).map_err(bad)?;
        Ok(Self { text: rule.to_owned(), pattern, replacement })
    }

    /// The rule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A name with every match replaced.
    #[must_use]
    pub fn apply<'name>(&self, name: Cow<'name, str>) -> Cow<'name, str> {
        let replace = |captures: &Captures| {
            let mut out = String::new();
            captures.expand(&self.replacement, &mut out);
            out
        };
        match self.pattern.replace_all(&name, replace) {
            Cow::Borrowed(_) => name,
            Cow::Owned(new) => Cow::Owned(new),
        }
    }
}

/// Pattern and replacement, parted at the first `=` without a backslash.
fn split(rule: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    for (at, char) in rule.char_indices() {
        match char {
            '=' if !escaped => {
                let (pattern, rest) = rule.split_at(at);
                return Some((pattern.replace("\\=", "="), rest.get(1..).unwrap_or_default()));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// A replacement in which every group stands in braces and is one that the pattern has: `$1_x`
/// would otherwise be a group `1_x`, which is none and leaves nothing.
fn template(text: &str, pattern: &Regex) -> Result<String, String> {
    let known = |name: &str| match name.parse::<usize>() {
        Ok(index) => index < pattern.captures_len(),
        Err(_) => pattern.capture_names().flatten().any(|known| known == name),
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let after = from.get(1..).unwrap_or_default();
        let python = from.starts_with('\\');
        let taken = |name: &str| after.get(name.len()..).unwrap_or_default();
        let (group, left) = if let Some(left) = after.strip_prefix('$').filter(|_| !python) {
            out.push_str("$$");
            rest = left;
            continue;
        } else if let Some(left) = after.strip_prefix('\\').filter(|_| python) {
            out.push('\\');
            rest = left;
            continue;
        } else if let Some(inner) = after.strip_prefix(if python { "g<" } else { "{" }) {
            let close = if python { '>' } else { '}' };
            inner.split_once(close).ok_or_else(|| format!("`{close}` is missing"))?
        } else {
            let digits = |char: char| !char.is_ascii_digit();
            let word = |char: char| !(char.is_ascii_alphanumeric() || char == '_');
            let name = after.split(digits).next().filter(|name| !name.is_empty());
            let name = name.or_else(|| after.split(word).next().filter(|_| !python));
            let name = name.unwrap_or_default();
            (name, taken(name))
        };
        if !known(group) {
            return Err(format!("the pattern has no group {group:?}"));
        }
        out.extend(["${", group, "}"]);
        rest = left;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(rule: &str, name: &str) -> String {
        let names = Names::default().rename(Rename::new(rule).unwrap());
        names.apply(name).unwrap().into_owned()
    }

    #[test]
    fn groups_are_what_they_look_like() {
        for rule in [r"layer(\d+)\.=block$1_", r"layer(\d+)\.=block\1_", r"layer(\d+)\.=block${1}_"]
        {
            assert_eq!(renamed(rule, "layer12.weight"), "block12_weight", "{rule}");
        }
        assert_eq!(renamed(r"(?<n>\d)=\g<n>$n", "a1"), "a11");
        assert_eq!(renamed("a=$$", "banana"), "b$n$n$");
        assert_eq!(renamed(r"x\=y=z", "x=y"), "z");
        assert_eq!(renamed("a=b=c", "a"), "b=c");
        assert_eq!(renamed("^model[.]=", "model.a.model.b"), "a.model.b");
        assert_eq!(renamed(r"layer(\d)_(\w)=l$1.$2x$1y", "layer3_b"), "l3.bx3y");
        assert_eq!(renamed(r"a\=b=c=d", "a=b"), "c=d");
        assert_eq!(renamed("(?<n>a)=${n}$$1", "a"), "a$1");
        assert_eq!(renamed("gamma$=weight", "norm.gamma"), "norm.weight");
        assert_eq!(renamed("^encoder\\.=", "encoder.encoder.x"), "encoder.x");
    }

    #[test]
    fn groups_that_are_none_are_refused() {
        for (rule, want) in [
            ("a=$1", "no group \"1\""),
            ("(a)=$2", "no group \"2\""),
            ("(a)=$name", "no group \"name\""),
            ("(a)=${1", "`}` is missing"),
            ("(a)=\\g<1", "`>` is missing"),
            ("(a", "REGEX=REPLACEMENT"),
            ("(a=b", "unclosed group"),
            ("a=\\w", "no group"),
            ("", "REGEX=REPLACEMENT"),
            ("=b", "an empty REGEX"),
            (r"a\=b", "REGEX=REPLACEMENT"),
        ] {
            let why = Rename::new(rule).unwrap_err().to_string();
            assert!(why.contains(want), "{rule}: {why}");
        }
    }

    #[test]
    fn prefixes_come_off_as_often_as_they_stand_there() {
        let names = Names::default().strip_prefix("module.").strip_prefix("_orig_mod.");
        assert_eq!(names.apply("module._orig_mod.module.a").as_deref(), Some("a"));
        assert_eq!(names.apply("amodule.a").as_deref(), Some("amodule.a"));
        let names = Names::default().strip_prefix("");
        assert_eq!(names.apply("a").as_deref(), Some("a"));
    }
}
