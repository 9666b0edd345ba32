//! Names as Python 3 and numpy 2 spell them: what older spellings mean, and how to write names
//! that older readers know. Graphs keep names as their stream wrote them.
//!
//! Source: CPython 3.11 `Lib/_compat_pickle.py`, which its unpickler and pickler apply below
//! protocol 3 (`fix_imports`); numpy 2 `numpy/core/__init__.py`, which forwards to `numpy._core`.
//! `tests/python/names.py` compares the tables with CPython's.

use std::borrow::Cow;

use crate::pickle::{Encoder, Global};

/// The global that `name` of `module` means today: Python 2's names as Python 3's, and
/// numpy 1's as numpy 2's. What is not known keeps its name.
///
/// CPython does this for pickles below protocol 3 only. Above it the older names mean nothing
/// to it, so that nothing else can be meant.
///
/// ```
/// use depickle::python::names::canonical;
///
/// assert_eq!(canonical("__builtin__", "unicode"), ("builtins".into(), "str"));
/// assert_eq!(canonical("exceptions", "KeyError"), ("builtins".into(), "KeyError"));
/// assert_eq!(canonical("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray".into(), "scalar"));
/// assert_eq!(canonical("my.models", "Net"), ("my.models".into(), "Net"));
/// ```
#[must_use]
pub fn canonical<'name>(module: &'name str, name: &'name str) -> (Cow<'name, str>, &'name str) {
    if let Some((module, name)) = to_python3(module, name) {
        return (module.into(), name);
    }
    let numpy1 = module.strip_prefix("numpy.core").filter(|rest| is_submodule(rest));
    match numpy1 {
        Some(rest) => (format!("numpy._core{rest}").into(), name),
        None => (module.into(), name),
    }
}

/// An encoder whose pickles CPython reads as it reads its own: below protocol 3 names are
/// written as Python 2 spelled them, from there on as Python 3 does, however the stream did
/// that the graph was read from.
///
/// ```
/// use depickle::pickle::{Policy, run};
/// use depickle::python::names;
/// use depickle::{Budget, FileOffset};
///
/// let stream = b"\x80\x02c__builtin__\nxrange\n.";
/// let mut budget = Budget::default();
/// let graph = run(stream[..].into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
/// let root = graph.root().unwrap();
/// assert_eq!(names::encoder(3).to_vec(root, &mut budget)?, b"\x80\x03cbuiltins\nrange\n.");
/// assert_eq!(names::encoder(2).to_vec(root, &mut budget)?, stream);
/// # Ok::<(), depickle::pickle::EncodeError>(())
/// ```
#[must_use]
pub const fn encoder(protocol: u8) -> Encoder {
    Encoder::new(protocol).rename(if protocol < 3 { python2 } else { python3 })
}

/// Python 2's name of a global of Python 3, as CPython writes it below protocol 3; none if it
/// is no other. An [`Encoder::rename`].
#[must_use]
pub fn python2(global: Global<'_>) -> Renamed {
    let (module, name) = spelled(global)?;
    // What is in Python 2's words already is read in Python 3's first.
    let today = to_python3(module, name).unwrap_or((module, name));
    renamed(global, to_python2(today.0, today.1).unwrap_or(today))
}

/// Python 3's name of a global of Python 2, as CPython reads it below protocol 3; none if it
/// is no other. An [`Encoder::rename`].
#[must_use]
pub fn python3(global: Global<'_>) -> Renamed {
    let (module, name) = spelled(global)?;
    renamed(global, to_python3(module, name)?)
}

fn spelled(global: Global<'_>) -> Option<(&str, &str)> {
    Some((std::str::from_utf8(global.module).ok()?, std::str::from_utf8(global.name).ok()?))
}

fn renamed(global: Global<'_>, (module, name): (&str, &str)) -> Renamed {
    let (module, name) = (module.as_bytes(), name.as_bytes());
    (module != global.module || name != global.name).then(|| (module.into(), name.into()))
}

/// As CPython's `find_class` renames.
fn to_python3<'name>(module: &str, name: &'name str) -> Option<(&'static str, &'name str)> {
    let names = NAMES.iter().chain(NAMES_READ);
    if let Some((_, new)) = names.clone().find(|(old, _)| *old == (module, name)) {
        return Some(*new);
    }
    if module == "exceptions" && is_word(EXCEPTIONS, name) {
        return Some(("builtins", name));
    }
    let (_, new) = MODULES.iter().chain(MODULES_READ).find(|(old, _)| *old == module)?;
    Some((new, name))
}

/// As CPython's `save_global` renames.
fn to_python2<'name>(module: &str, name: &'name str) -> Option<(&'static str, &'name str)> {
    let names = NAMES.iter().chain(NAMES_WRITTEN);
    if let Some((old, _)) = names.clone().find(|(_, new)| *new == (module, name)) {
        return Some(*old);
    }
    if module == "builtins" {
        for (known, old) in [(OS_ERRORS, "OSError"), (IMPORT_ERRORS, "ImportError")] {
            if is_word(known, name) {
                return Some(("exceptions", old));
            }
        }
        if is_word(EXCEPTIONS, name) {
            return Some(("exceptions", name));
        }
    }
    let (old, _) = MODULES.iter().chain(MODULES_WRITTEN).find(|(_, new)| *new == module)?;
    Some((old, name))
}

fn is_word(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word == name)
}

/// Whether what follows a module's name leads to it or into it.
fn is_submodule(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// Globals of one module by their own names, which a table's cell holds, and by those they had
/// before.
pub(crate) fn spellings(
    module: &'static str,
    names: &'static str,
    mut each: impl FnMut(Cow<'static, str>, &'static str),
) {
    let older = Older::of(module);
    for name in words(names) {
        each(module.into(), name);
        older.spellings(name).for_each(|(module, name)| each(module, name));
    }
}

/// The words of a table's cell.
pub(crate) fn words(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split(' ')
}

/// The older spellings of what a module holds.
struct Older {
    /// What the module was called.
    modules: Vec<Cow<'static, str>>,
    /// What single names were, by today's.
    names: Vec<(&'static str, Spelling)>,
    /// Whether it holds what `exceptions` held.
    raised: bool,
}

impl Older {
    fn of(module: &str) -> Self {
        let python2 = MODULES.iter().chain(MODULES_READ).filter(|(_, new)| *new == module);
        let numpy1 = module.strip_prefix("numpy._core").filter(|rest| is_submodule(rest));
        let numpy1 = numpy1.map(|rest| Cow::Owned(format!("numpy.core{rest}")));
        let names = NAMES.iter().chain(NAMES_READ).filter(|(_, (new, _))| *new == module);
        Self {
            modules: python2.map(|(old, _)| Cow::Borrowed(*old)).chain(numpy1).collect(),
            names: names.map(|(old, (_, new))| (*new, *old)).collect(),
            raised: module == "builtins",
        }
    }

    fn spellings(
        &self,
        name: &'static str,
    ) -> impl Iterator<Item = (Cow<'static, str>, &'static str)> {
        let renamed = self.names.iter().filter(move |(new, _)| *new == name);
        let renamed = renamed.map(|(_, (module, name))| (Cow::Borrowed(*module), *name));
        let raised = (self.raised && is_word(EXCEPTIONS, name)).then_some("exceptions".into());
        let moved = raised.into_iter().chain(self.modules.iter().cloned());
        renamed.chain(moved.map(move |module| (module, name)))
    }
}

/// Every module of Python 2 that became `module` or one of its submodules.
pub(crate) fn older_names_within(module: &str) -> impl Iterator<Item = &'static str> {
    let within = move |new: &str| new.strip_prefix(module).is_some_and(is_submodule);
    MODULES.iter().chain(MODULES_READ).filter(move |(_, new)| within(new)).map(|(old, _)| *old)
}

/// Whether this is the module of built-in names, by either spelling.
pub(crate) fn is_builtins(module: &[u8]) -> bool {
    matches!(module, b"builtins" | b"__builtin__")
}

/// Module and name, if they are others than before.
type Renamed = Option<(Box<[u8]>, Box<[u8]>)>;

/// Module and name.
type Spelling = (&'static str, &'static str);

/// Modules of Python 2 and where they went: renamed both ways.
const MODULES: &[(&str, &str)] = &[
    ("__builtin__", "builtins"),
    ("copy_reg", "copyreg"),
    ("Queue", "queue"),
    ("SocketServer", "socketserver"),
    ("ConfigParser", "configparser"),
    ("repr", "reprlib"),
    ("tkFileDialog", "tkinter.filedialog"),
    ("tkSimpleDialog", "tkinter.simpledialog"),
    ("tkColorChooser", "tkinter.colorchooser"),
    ("tkCommonDialog", "tkinter.commondialog"),
    ("Dialog", "tkinter.dialog"),
    ("Tkdnd", "tkinter.dnd"),
    ("tkFont", "tkinter.font"),
    ("tkMessageBox", "tkinter.messagebox"),
    ("ScrolledText", "tkinter.scrolledtext"),
    ("Tkconstants", "tkinter.constants"),
    ("Tix", "tkinter.tix"),
    ("ttk", "tkinter.ttk"),
    ("Tkinter", "tkinter"),
    ("markupbase", "_markupbase"),
    ("_winreg", "winreg"),
    ("thread", "_thread"),
    ("dummy_thread", "_dummy_thread"),
    ("dbhash", "dbm.bsd"),
    ("dumbdbm", "dbm.dumb"),
    ("dbm", "dbm.ndbm"),
    ("gdbm", "dbm.gnu"),
    ("xmlrpclib", "xmlrpc.client"),
    ("SimpleXMLRPCServer", "xmlrpc.server"),
    ("httplib", "http.client"),
    ("htmlentitydefs", "html.entities"),
    ("HTMLParser", "html.parser"),
    ("Cookie", "http.cookies"),
    ("cookielib", "http.cookiejar"),
    ("BaseHTTPServer", "http.server"),
    ("test.test_support", "test.support"),
    ("commands", "subprocess"),
    ("urlparse", "urllib.parse"),
    ("robotparser", "urllib.robotparser"),
    ("urllib2", "urllib.request"),
    ("anydbm", "dbm"),
    ("_abcoll", "collections.abc"),
];

/// Modules of Python 2 that went where others went too: renamed on reading only.
const MODULES_READ: &[(&str, &str)] = &[
    ("cPickle", "pickle"),
    ("_elementtree", "xml.etree.ElementTree"),
    ("FileDialog", "tkinter.filedialog"),
    ("SimpleDialog", "tkinter.simpledialog"),
    ("DocXMLRPCServer", "xmlrpc.server"),
    ("SimpleHTTPServer", "http.server"),
    ("CGIHTTPServer", "http.server"),
    ("UserDict", "collections"),
    ("UserList", "collections"),
    ("UserString", "collections"),
    ("whichdb", "dbm"),
    ("StringIO", "io"),
    ("cStringIO", "io"),
];

/// Renamed on writing only.
const MODULES_WRITTEN: &[(&str, &str)] = &[
    ("bz2", "_bz2"),
    ("dbm", "_dbm"),
    ("functools", "_functools"),
    ("gdbm", "_gdbm"),
    ("pickle", "_pickle"),
];

/// Names of Python 2 and what they became, both ways.
const NAMES: &[(Spelling, Spelling)] = &[
    (("__builtin__", "xrange"), ("builtins", "range")),
    (("__builtin__", "reduce"), ("functools", "reduce")),
    (("__builtin__", "intern"), ("sys", "intern")),
    (("__builtin__", "unichr"), ("builtins", "chr")),
    (("__builtin__", "unicode"), ("builtins", "str")),
    (("__builtin__", "long"), ("builtins", "int")),
    (("itertools", "izip"), ("builtins", "zip")),
    (("itertools", "imap"), ("builtins", "map")),
    (("itertools", "ifilter"), ("builtins", "filter")),
    (("itertools", "ifilterfalse"), ("itertools", "filterfalse")),
    (("itertools", "izip_longest"), ("itertools", "zip_longest")),
    (("UserDict", "IterableUserDict"), ("collections", "UserDict")),
    (("UserList", "UserList"), ("collections", "UserList")),
    (("UserString", "UserString"), ("collections", "UserString")),
    (("whichdb", "whichdb"), ("dbm", "whichdb")),
    (("_socket", "fromfd"), ("socket", "fromfd")),
    (("_multiprocessing", "Connection"), ("multiprocessing.connection", "Connection")),
    (("multiprocessing.process", "Process"), ("multiprocessing.context", "Process")),
    (("multiprocessing.forking", "Popen"), ("multiprocessing.popen_fork", "Popen")),
    (("urllib", "ContentTooShortError"), ("urllib.error", "ContentTooShortError")),
    (("urllib", "getproxies"), ("urllib.request", "getproxies")),
    (("urllib", "pathname2url"), ("urllib.request", "pathname2url")),
    (("urllib", "quote_plus"), ("urllib.parse", "quote_plus")),
    (("urllib", "quote"), ("urllib.parse", "quote")),
    (("urllib", "unquote_plus"), ("urllib.parse", "unquote_plus")),
    (("urllib", "unquote"), ("urllib.parse", "unquote")),
    (("urllib", "url2pathname"), ("urllib.request", "url2pathname")),
    (("urllib", "urlcleanup"), ("urllib.request", "urlcleanup")),
    (("urllib", "urlencode"), ("urllib.parse", "urlencode")),
    (("urllib", "urlopen"), ("urllib.request", "urlopen")),
    (("urllib", "urlretrieve"), ("urllib.request", "urlretrieve")),
    (("urllib2", "HTTPError"), ("urllib.error", "HTTPError")),
    (("urllib2", "URLError"), ("urllib.error", "URLError")),
    (
        ("multiprocessing", "AuthenticationError"),
        ("multiprocessing.context", "AuthenticationError"),
    ),
    (("multiprocessing", "BufferTooShort"), ("multiprocessing.context", "BufferTooShort")),
    (("multiprocessing", "ProcessError"), ("multiprocessing.context", "ProcessError")),
    (("multiprocessing", "TimeoutError"), ("multiprocessing.context", "TimeoutError")),
];

/// On reading only.
const NAMES_READ: &[(Spelling, Spelling)] = &[
    (("__builtin__", "basestring"), ("builtins", "str")),
    (("UserDict", "UserDict"), ("collections", "UserDict")),
    (("socket", "_socketobject"), ("socket", "SocketType")),
    (("exceptions", "StandardError"), ("builtins", "Exception")),
];

/// On writing only.
const NAMES_WRITTEN: &[(Spelling, Spelling)] = &[
    (("__builtin__", "reduce"), ("_functools", "reduce")),
    (("FileDialog", "FileDialog"), ("tkinter.filedialog", "FileDialog")),
    (("FileDialog", "LoadFileDialog"), ("tkinter.filedialog", "LoadFileDialog")),
    (("FileDialog", "SaveFileDialog"), ("tkinter.filedialog", "SaveFileDialog")),
    (("SimpleDialog", "SimpleDialog"), ("tkinter.simpledialog", "SimpleDialog")),
    (("DocXMLRPCServer", "ServerHTMLDoc"), ("xmlrpc.server", "ServerHTMLDoc")),
    (("DocXMLRPCServer", "XMLRPCDocGenerator"), ("xmlrpc.server", "XMLRPCDocGenerator")),
    (("DocXMLRPCServer", "DocXMLRPCRequestHandler"), ("xmlrpc.server", "DocXMLRPCRequestHandler")),
    (("DocXMLRPCServer", "DocXMLRPCServer"), ("xmlrpc.server", "DocXMLRPCServer")),
    (
        ("DocXMLRPCServer", "DocCGIXMLRPCRequestHandler"),
        ("xmlrpc.server", "DocCGIXMLRPCRequestHandler"),
    ),
    (("SimpleHTTPServer", "SimpleHTTPRequestHandler"), ("http.server", "SimpleHTTPRequestHandler")),
    (("CGIHTTPServer", "CGIHTTPRequestHandler"), ("http.server", "CGIHTTPRequestHandler")),
    (("socket", "_socketobject"), ("_socket", "socket")),
];

/// Exceptions, which Python 2 kept in the module `exceptions`.
pub(crate) const EXCEPTIONS: &str = "\
    ArithmeticError AssertionError AttributeError BaseException BufferError BytesWarning \
    DeprecationWarning EOFError EnvironmentError Exception FloatingPointError FutureWarning \
    GeneratorExit IOError ImportError ImportWarning IndentationError IndexError KeyError \
    KeyboardInterrupt LookupError MemoryError NameError NotImplementedError OSError OverflowError \
    PendingDeprecationWarning ReferenceError RuntimeError RuntimeWarning StopIteration SyntaxError \
    SyntaxWarning SystemError SystemExit TabError TypeError UnboundLocalError UnicodeDecodeError \
    UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError \
    Warning ZeroDivisionError";

/// Exceptions of Python 3 that are an `OSError` to Python 2.
const OS_ERRORS: &str = "\
    BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError \
    ConnectionResetError FileExistsError FileNotFoundError InterruptedError IsADirectoryError \
    NotADirectoryError PermissionError ProcessLookupError TimeoutError";

/// Those that are an `ImportError`.
const IMPORT_ERRORS: &str = "ModuleNotFoundError";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_python_2_and_numpy_1_mean_todays() {
        for (old, new) in [
            (("__builtin__", "reduce"), ("functools", "reduce")),
            (("__builtin__", "getattr"), ("builtins", "getattr")),
            (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")),
            (("UserDict", "DictMixin"), ("collections", "DictMixin")),
            (("exceptions", "StandardError"), ("builtins", "Exception")),
            (("exceptions", "Other"), ("exceptions", "Other")),
            (("numpy.core", "x"), ("numpy._core", "x")),
            (("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer")),
            (("numpy.coreless", "x"), ("numpy.coreless", "x")),
            (("numpy._core.numeric", "x"), ("numpy._core.numeric", "x")),
        ] {
            let (module, name) = canonical(old.0, old.1);
            assert_eq!((&*module, name), new);
            let (again, name) = canonical(new.0, new.1);
            assert_eq!((&*again, name), new, "today's names are not renamed");
        }
    }

    #[test]
    fn every_older_spelling_means_the_name_it_is_listed_for() {
        let all = NAMES.iter().chain(NAMES_READ).map(|(_, new)| *new);
        let moved = MODULES.iter().chain(MODULES_READ).map(|(_, new)| (*new, "Some"));
        let raised = EXCEPTIONS.split(' ').map(|name| ("builtins", name));
        for (module, name) in all.chain(moved).chain(raised) {
            let older: Vec<_> = Older::of(module).spellings(name).collect();
            assert!(!older.is_empty(), "{module}.{name}");
            for (old_module, old_name) in older {
                let meant = canonical(&old_module, old_name);
                // Two names of one spelling: the table of names goes before that of modules.
                if !NAMES.iter().chain(NAMES_READ).any(|(old, _)| *old == (&*old_module, old_name))
                {
                    assert_eq!((&*meant.0, meant.1), (module, name), "{old_module}.{old_name}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_for_python_2_is_read_as_it_was() {
        for (module, name) in
            [("builtins", "range"), ("builtins", "KeyError"), ("my.models", "Net")]
        {
            let global = Global { module: module.as_bytes(), name: name.as_bytes() };
            let old = python2(global).unwrap_or((global.module.into(), global.name.into()));
            let old = Global { module: &old.0, name: &old.1 };
            let new = python3(old).unwrap_or((old.module.into(), old.name.into()));
            assert_eq!((&*new.0, &*new.1), (global.module, global.name));
            assert_eq!(python2(old), None, "it is in Python 2's words already");
        }
    }
}
