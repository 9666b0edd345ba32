//! Source text that loading executes: whether it names what no generated code names.
//!
//! This judges no program. It tells text that is certainly no graph's from text that may be one.

/// Words that code written by torch.fx does not hold.
const WORDS: &[&str] = &[
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
    "__import__",
    "__builtins__",
    "__globals__",
    "__subclasses__",
    "__class__",
    "__bases__",
    "__mro__",
    "__base__",
    "__dict__",
    "__code__",
    "__loader__",
    "__spec__",
    "__getattribute__",
    "system",
    "popen",
    "load_library",
    "hub",
];

/// A word of the text that reaches out of it, if there is one.
pub(super) fn reaches(text: &str) -> Option<&str> {
    let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    code.flat_map(|line| line.split(move |char| !is_word(char))).find(|word| WORDS.contains(word))
}

/// Whether bytes read as Python source, by the words that begin its statements.
pub(super) fn is_python(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("py"))
}
