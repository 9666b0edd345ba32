//! Names as Python 3 and numpy 2 spell them: what older spellings mean.
//!
//! Source: CPython 3.11 `Lib/_compat_pickle.py`, which its unpickler applies below protocol 3
//! to what Python 2 wrote; numpy 2 `numpy/core/__init__.py`, which forwards to `numpy._core`.

/// Modules of Python 2 and where they went. Several old ones may have become one.
pub(crate) const MODULES: &[(&str, &str)] = &[
    ("__builtin__", "builtins"),
    ("copy_reg", "copyreg"),
    ("cPickle", "pickle"),
    ("commands", "subprocess"),
    ("_winreg", "winreg"),
    ("thread", "_thread"),
    ("dummy_thread", "_dummy_thread"),
    ("Queue", "queue"),
    ("StringIO", "io"),
    ("cStringIO", "io"),
    ("SocketServer", "socketserver"),
    ("ConfigParser", "configparser"),
    ("repr", "reprlib"),
    ("UserDict", "collections"),
    ("UserList", "collections"),
    ("UserString", "collections"),
    ("_abcoll", "collections.abc"),
    ("xmlrpclib", "xmlrpc.client"),
    ("SimpleXMLRPCServer", "xmlrpc.server"),
    ("DocXMLRPCServer", "xmlrpc.server"),
    ("httplib", "http.client"),
    ("Cookie", "http.cookies"),
    ("cookielib", "http.cookiejar"),
    ("BaseHTTPServer", "http.server"),
    ("SimpleHTTPServer", "http.server"),
    ("CGIHTTPServer", "http.server"),
    ("HTMLParser", "html.parser"),
    ("htmlentitydefs", "html.entities"),
    ("urllib2", "urllib.request"),
    ("urlparse", "urllib.parse"),
    ("robotparser", "urllib.robotparser"),
    ("Tkinter", "tkinter"),
    ("tkFileDialog", "tkinter.filedialog"),
    ("test.test_support", "test.support"),
    ("whichdb", "dbm"),
    ("anydbm", "dbm"),
    ("dbhash", "dbm.bsd"),
    ("dumbdbm", "dbm.dumb"),
    ("gdbm", "dbm.gnu"),
];

/// Module and name.
type Spelling = (&'static str, &'static str);

/// Names of Python 2 and what they became.
pub(crate) const NAMES: &[(Spelling, Spelling)] = &[
    (("__builtin__", "xrange"), ("builtins", "range")),
    (("__builtin__", "reduce"), ("functools", "reduce")),
    (("__builtin__", "intern"), ("sys", "intern")),
    (("__builtin__", "unichr"), ("builtins", "chr")),
    (("__builtin__", "unicode"), ("builtins", "str")),
    (("__builtin__", "basestring"), ("builtins", "str")),
    (("__builtin__", "long"), ("builtins", "int")),
    (("itertools", "izip"), ("builtins", "zip")),
    (("itertools", "imap"), ("builtins", "map")),
    (("itertools", "ifilter"), ("builtins", "filter")),
    (("itertools", "ifilterfalse"), ("itertools", "filterfalse")),
    (("itertools", "izip_longest"), ("itertools", "zip_longest")),
    (("UserDict", "IterableUserDict"), ("collections", "UserDict")),
    (("UserDict", "UserDict"), ("collections", "UserDict")),
    (("_socket", "fromfd"), ("socket", "fromfd")),
    (("multiprocessing.forking", "Popen"), ("multiprocessing.popen_fork", "Popen")),
    (("urllib", "urlopen"), ("urllib.request", "urlopen")),
    (("urllib", "urlretrieve"), ("urllib.request", "urlretrieve")),
    (("urllib", "quote"), ("urllib.parse", "quote")),
    (("urllib", "unquote"), ("urllib.parse", "unquote")),
    (("exceptions", "StandardError"), ("builtins", "Exception")),
];

/// Exceptions that Python 2 kept in the module `exceptions`.
#[rustfmt::skip]
pub(crate) const EXCEPTIONS: &str = "ArithmeticError AssertionError AttributeError BaseException BufferError BytesWarning DeprecationWarning EOFError EnvironmentError Exception FloatingPointError FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError KeyError KeyboardInterrupt LookupError MemoryError NameError NotImplementedError OSError OverflowError PendingDeprecationWarning ReferenceError RuntimeError RuntimeWarning StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError";

/// Every older spelling of the global `name` of `module`, itself not among them.
pub(crate) fn older(module: &str, name: &str) -> impl Iterator<Item = (String, String)> {
    let renamed = NAMES.iter().filter(move |(_, new)| *new == (module, name));
    let renamed = renamed.map(|((module, name), _)| ((*module).to_owned(), (*name).to_owned()));
    let moved = older_modules(module).map({
        let name = name.to_owned();
        move |module| (module, name.clone())
    });
    let exception = module == "builtins" && EXCEPTIONS.split(' ').any(|known| known == name);
    let exception = exception.then(|| ("exceptions".to_owned(), name.to_owned()));
    renamed.chain(moved).chain(exception).collect::<Vec<_>>().into_iter()
}

/// Every module of Python 2 that became `module` or one of its submodules.
pub(crate) fn older_names_within(module: &str) -> impl Iterator<Item = &'static str> {
    let within = move |new: &str| {
        new.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    MODULES.iter().filter(move |(_, new)| within(new)).map(|(old, _)| *old)
}

/// Every older spelling of a module.
fn older_modules(module: &str) -> impl Iterator<Item = String> {
    let python2 = MODULES.iter().filter(move |(_, new)| *new == module);
    let numpy1 = module.strip_prefix("numpy._core").map(|rest| format!("numpy.core{rest}"));
    python2.map(|(old, _)| (*old).to_owned()).chain(numpy1)
}

/// Whether this is the module of built-in names, by either spelling.
pub(crate) fn is_builtins(module: &[u8]) -> bool {
    matches!(module, b"builtins" | b"__builtin__")
}
