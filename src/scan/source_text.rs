//! Source text that loading executes: whether it names what no generated code names.
//!
//! This judges no program. It tells text that is certainly no graph's from text that may be one.

/// Modules that code written by torch.fx does not import.
const MODULES: &[&str] = &[
    "os",
    "sys",
    "subprocess",
    "posix",
    "nt",
    "pty",
    "shutil",
    "socket",
    "ctypes",
    "importlib",
    "builtins",
    "pickle",
    "marshal",
    "multiprocessing",
    "threading",
    "urllib",
    "requests",
    "http",
    "tempfile",
    "runpy",
    "signal",
    "codecs",
    "base64",
    "zlib",
    "code",
    "io",
    "pathlib",
    "asyncio",
    "hub",
    "load_library",
];

/// Functions that it does not call.
const FUNCTIONS: &[&str] = &[
    "eval",
    "exec",
    "compile",
    "open",
    "input",
    "globals",
    "locals",
    "vars",
    "setattr",
    "delattr",
    "breakpoint",
    "system",
    "popen",
];

/// Names that it does not hold at all.
const NAMES: &[&str] = &[
    "__import__",
    "__builtins__",
    "__globals__",
    "__subclasses__",
    "__bases__",
    "__mro__",
    "__base__",
    "__dict__",
    "__code__",
    "__loader__",
    "__spec__",
    "__getattribute__",
];

/// A word of the text that reaches out of it, if there is one.
pub(super) fn reaches(text: &str) -> Option<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split(';')).find_map(in_statement)
}

fn in_statement(statement: &str) -> Option<&str> {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let words = || statement.split(move |char| !is_word(char)).filter(|word| !word.is_empty());
    let imports = matches!(words().next(), Some("import" | "from"));
    if imports && let Some(module) = words().find(|word| MODULES.contains(word)) {
        return Some(module);
    }
    if let Some(name) = words().find(|word| NAMES.contains(word)) {
        return Some(name);
    }
    // A function's name, neither behind a dot nor part of another word, then a parenthesis.
    FUNCTIONS.iter().find_map(|function| {
        let mut places = statement.match_indices(function);
        places.find_map(|(at, found)| {
            let before = statement.get(..at)?.chars().next_back();
            let after = statement.get(at.saturating_add(found.len())..)?.trim_start();
            let alone = before.is_none_or(|char| !is_word(char) && char != '.');
            (alone && after.starts_with('(')).then_some(found)
        })
    })
}

/// Whether a member is named as Python source is.
pub(super) fn is_python(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("py"))
}

#[cfg(test)]
mod tests {
    use super::reaches;

    #[test]
    fn graphs_are_told_from_what_reaches_out() {
        let graph = "import torch\nfrom math import inf\n\ndef forward(self, input, signal):\n    \
            x = self.open.compile(input); input = None # os.system('x')\n    return x";
        assert_eq!(reaches(graph), None);
        for (text, word) in [
            ("import torch, os", "os"),
            ("x = 1; from subprocess import run", "subprocess"),
            ("  eval ('1')", "eval"),
            ("torch.relu.__globals__", "__globals__"),
        ] {
            assert_eq!(reaches(text), Some(word), "{text}");
        }
    }
}
