//! Lines of Python, written so that nothing in a file can add to them.

use crate::pickle::Global;

/// A text as Python reads it: JSON's strings are Python's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Words that are no names in Python.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Whether a text is names joined by dots, as Python's grammar has them. ASCII only: Python
/// normalizes others.
pub(super) fn is_dotted(text: &str) -> bool {
    text.split('.').all(|name| {
        let mut chars = name.chars();
        chars.next().is_some_and(|char| char.is_ascii_alphabetic() || char == '_')
            && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
            && !KEYWORDS.contains(&name)
    })
}

/// A global whose names can stand in Python.
pub(super) fn spelled(global: Global<'_>) -> Option<(&str, &str)> {
    let module = std::str::from_utf8(global.module).ok()?;
    let name = std::str::from_utf8(global.name).ok()?;
    (is_dotted(module) && is_dotted(name)).then_some((module, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        for good in ["a", "a.b", "_C.Generator", "Outer.Inner2"] {
            assert!(is_dotted(good), "{good}");
        }
        for bad in ["", ".", "a.", "a b", "a\nimport os", "1a", "a.class", "a;b", "é", "a[0]"] {
            assert!(!is_dotted(bad), "{bad}");
        }
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\n""#);
    }
}
