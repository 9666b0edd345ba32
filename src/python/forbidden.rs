//! Globals that no honest model holds and that reach code, files, processes, the network,
//! imports or memory. A list like this is never complete, which is why clean means
//! whitelisted; it tells what is certainly wrong.

/// What a forbidden global could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// Run code given as text, bytes or a function.
    Code,
    /// Start or signal processes.
    Process,
    /// Read, write, move or delete files.
    File,
    /// Send or receive.
    Network,
    /// Load modules or libraries.
    Import,
    /// Read or write memory as such.
    Memory,
    /// Read another pickle, this time with everything it calls.
    Pickle,
    /// Change the interpreter itself: tables, hooks, signals.
    Interpreter,
}

/// Modules of which every global is forbidden, with all their submodules.
#[rustfmt::skip]
pub const MODULES: &[(Reach, &str)] = &[
    (Reach::Process, "os posix nt subprocess _posixsubprocess pty popen2 multiprocessing concurrent.futures asyncio signal _signal pexpect psutil sched torch.multiprocessing torch.distributed.elastic torch.distributed.run torch.distributed.launcher"),
    (Reach::Code, "code codeop runpy timeit profile cProfile pdb bdb trace doctest unittest idlelib lib2to3 IPython jupyter_client ast dis _testcapi _testinternalcapi test pytest numba.core.dispatcher jinja2 mako antigravity this pydoc rlcompleter tkinter turtle turtledemo cffi pyximport Cython"),
    (Reach::Import, "importlib _frozen_importlib _frozen_importlib_external _imp imp zipimport pkgutil modulefinder pkg_resources pip setuptools distutils ensurepip venv site sysconfig torch.utils.cpp_extension torch._inductor.codecache torch.hub torch.package.package_importer"),
    (Reach::File, "shutil tempfile fileinput glob linecache filecmp _io io _pyio mmap tarfile zipfile gzip bz2 lzma dbm sqlite3 _sqlite3 winreg nturl2path msvcrt fcntl pwd netrc mailbox mimetypes"),
    (Reach::Network, "socket _socket ssl _ssl socketserver urllib urllib3 http requests httpx aiohttp ftplib smtplib smtpd poplib imaplib nntplib telnetlib xmlrpc webbrowser cgi cgitb wsgiref select selectors paramiko fabric boto3 botocore torch.distributed.rpc"),
    (Reach::Memory, "ctypes _ctypes gc faulthandler tracemalloc _xxsubinterpreters"),
    (Reach::Pickle, "pickle _pickle dill cloudpickle joblib marshal shelve pickletools jsonpickle torch.package pandas.io.pickle"),
    (Reach::Interpreter, "sys atexit threading _thread logging.config logging.handlers platform getpass"),
];

/// Single globals.
#[rustfmt::skip]
pub const NAMES: &[(Reach, &str, &str)] = &[
    (Reach::Code, "builtins", "eval exec compile execfile __build_class__ breakpoint input help apply map filter"),
    (Reach::Import, "builtins", "__import__ reload"),
    (Reach::File, "builtins", "open file"),
    (Reach::Interpreter, "builtins", "globals locals vars setattr delattr exit quit memoryview license credits copyright"),
    (Reach::Code, "types", "FunctionType LambdaType CodeType MethodType BuiltinFunctionType ModuleType GeneratorType"),
    (Reach::Code, "itertools", "starmap takewhile dropwhile accumulate filterfalse"),
    (Reach::Code, "operator", "call"),
    (Reach::Code, "_operator", "call"),
    (Reach::Import, "torch.ops", "load_library"),
    (Reach::Import, "torch._ops", "_Ops.load_library"),
    (Reach::Import, "torch.classes", "load_library"),
    (Reach::Interpreter, "copyreg", "add_extension remove_extension pickle constructor dispatch_table"),
    (Reach::File, "logging", "FileHandler basicConfig"),
    (Reach::Pickle, "torch", "load"),
    (Reach::Pickle, "torch.serialization", "load _load _legacy_load torch_load"),
    (Reach::Pickle, "torch.jit", "load"),
    (Reach::Pickle, "torch.jit._serialization", "load"),
    (Reach::Code, "torch", "compile"),
    (Reach::Code, "torch.jit", "script trace CompilationUnit"),
    (Reach::Code, "torch.fx.graph_module", "_exec_with_source _forward_from_src _method_from_src"),
    (Reach::Code, "torch._dynamo.guards", "GuardBuilder"),
    (Reach::Code, "torch.utils._config_module", "load_config ConfigModule.load_config"),
    (Reach::Code, "torch.utils.data.datapipes.utils.decoder", "basichandlers"),
    (Reach::Code, "torch.utils.bottleneck.__main__", "run_cprofile run_autograd_prof run_prof"),
    (Reach::File, "torch", "save from_file"),
    (Reach::File, "torch.serialization", "save"),
    (Reach::Pickle, "numpy", "load"),
    (Reach::Pickle, "numpy.lib.npyio", "load"),
    (Reach::Pickle, "numpy.lib._npyio_impl", "load"),
    (Reach::File, "numpy", "fromfile loadtxt genfromtxt memmap save savez savez_compressed savetxt fromregex"),
    (Reach::File, "numpy.lib.npyio", "loadtxt genfromtxt save savez savez_compressed savetxt fromregex"),
    (Reach::File, "numpy.lib._npyio_impl", "loadtxt genfromtxt save savez savez_compressed savetxt fromregex"),
    (Reach::File, "numpy._core.multiarray", "fromfile"),
    (Reach::File, "numpy._core.records", "fromfile"),
    (Reach::Code, "numpy.testing._private.utils", "runstring rundocs"),
    (Reach::Code, "numpy.f2py.crackfortran", "param_eval getlincoef myeval _eval_length"),
    (Reach::Code, "numpy", "apply_along_axis apply_over_axes frompyfunc"),
    (Reach::Import, "numpy", "f2py"),
    (Reach::Pickle, "pandas", "read_pickle"),
    (Reach::Code, "pandas", "eval"),
    (Reach::Code, "pandas.core.computation.eval", "eval"),
    (Reach::Code, "sympy", "sympify"),
    (Reach::File, "pathlib", "Path.unlink Path.write_bytes Path.write_text Path.open Path.read_bytes Path.read_text PosixPath.unlink PosixPath.write_bytes PosixPath.write_text"),
    (Reach::Code, "transformers.utils.import_utils", "_LazyModule"),
];

/// Attributes that no honest dotted name leads through: modules that happen to be imported
/// somewhere, and the interpreter's own handles.
#[rustfmt::skip]
pub const THROUGH: &[(Reach, &str)] = &[
    (Reach::Process, "os posix nt subprocess pty multiprocessing"),
    (Reach::Interpreter, "sys builtins __builtins__ __globals__ __subclasses__ __bases__ __base__ __mro__ mro __code__ __closure__ __func__ __self__ __dict__ __getattribute__ __setattr__ __class__ __reduce__ __reduce_ex__ f_globals f_locals gi_frame tb_frame"),
    (Reach::Import, "importlib __loader__ __spec__ __import__ import_module pkgutil"),
    (Reach::Pickle, "pickle _pickle cPickle dill cloudpickle joblib marshal"),
    (Reach::File, "shutil io tempfile"),
    (Reach::Network, "socket urllib requests http"),
    (Reach::Memory, "ctypes"),
    (Reach::Code, "code codeop runpy timeit eval exec"),
];
