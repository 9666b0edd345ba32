//! Globals that no honest model holds and that reach code, files, processes, the network,
//! imports or memory. A list like this is never complete, which is why clean means
//! whitelisted; it tells what is certainly wrong.
//!
//! Every row was written from what the modules do, as their source and public advisories about
//! scanners show. Older spellings (Python 2, numpy 1) need no rows: the policies add them.

use std::fmt;

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

impl Reach {
    /// What it is, in words that follow "can".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Code => "run code",
            Self::Process => "start or stop processes",
            Self::File => "read or write files",
            Self::Network => "use the network",
            Self::Import => "load modules or libraries",
            Self::Memory => "reach memory",
            Self::Pickle => "load another pickle with everything that one calls",
            Self::Interpreter => "change or inspect the interpreter",
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

/// Some forbidden globals.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What they reach.
    pub reach: Reach,
    /// Their module; several apart by spaces where all of each is meant.
    pub modules: &'static str,
    /// Their names; [`ALL`] for all of the modules and of their submodules, [`OWN`] for all of
    /// the modules themselves: no package has these names, but authors' own folders may.
    pub names: &'static str,
    /// Why.
    pub why: &'static str,
}

/// Everything in a module and its submodules.
pub const ALL: &str = "*";
/// Everything in a module, nothing in submodules.
pub const OWN: &str = ".";

const fn row(reach: Reach, modules: &'static str, names: &'static str, why: &'static str) -> Row {
    Row { reach, modules, names, why }
}

/// The table.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Python's own.
    row(Reach::Process, "os posix nt posixpath ntpath macpath genericpath os2emxpath", ALL, "os.system and its like; the path modules hold os itself"),
    row(Reach::Process, "subprocess _posixsubprocess popen2 pty pipes multiprocessing _multiprocessing concurrent.futures asyncio", ALL, "starts programs or workers"),
    row(Reach::Process, "signal _signal sched", OWN, "sends signals, calls functions later"),
    row(Reach::Process, "uuid", "getnode _get_command_stdout _popen _ifconfig_getter _ip_getter _arp_getter _lanscan_getter _netstat_getter _find_mac _find_mac_near_keyword _find_mac_under_heading _unix_getnode _windll_getnode", "asks programs for the machine's address"),
    row(Reach::Process, "_osx_support _aix_support _bootsubprocess _pyrepl mailcap", ALL, "runs shell commands"),
    row(Reach::Process, "pydoc", ALL, "pipepager and tempfilepager run shell commands; locate imports"),
    row(Reach::Process, "platform", OWN, "popen, and programs asked about the system"),
    row(Reach::Process, "resource syslog termios tty crypt spwd pwd grp nis", OWN, "the system's own tables"),
    row(Reach::Code, "builtins", "eval exec compile execfile __build_class__ breakpoint input raw_input help apply map filter", "evaluates text, or calls what it is given"),
    row(Reach::Import, "builtins", "__import__ reload __loader__ __spec__", "imports any module"),
    row(Reach::File, "builtins", "open file", "opens files"),
    row(Reach::Interpreter, "builtins", "globals locals vars setattr delattr exit quit memoryview license credits copyright super", "reaches or changes what others hold"),
    row(Reach::Code, "types", "FunctionType LambdaType CodeType MethodType BuiltinFunctionType BuiltinMethodType ModuleType GeneratorType CoroutineType FrameType TracebackType DynamicClassAttribute new_class prepare_class coroutine", "makes functions, modules or classes"),
    row(Reach::Code, "new compiler codeop runpy timeit cProfile _lsprof pdb bdb trace doctest lib2to3 idlelib rlcompleter symtable this antigravity turtledemo", ALL, "runs code given as text"),
    row(Reach::Code, "code", "InteractiveInterpreter InteractiveConsole interact compile_command InteractiveInterpreter.runcode InteractiveInterpreter.runsource InteractiveConsole.push", "runs code given as text"),
    row(Reach::Code, "profile", "run runctx Profile Profile.run Profile.runctx Profile.runcall _Utils _Utils.run", "runs code given as text"),
    row(Reach::Code, "cProfile", "run runctx Profile", "runs code given as text"),
    row(Reach::Code, "test.support test.libregrtest test.regrtest test.test_support", ALL, "run_code and assert_python run programs"),
    row(Reach::Code, "unittest _testcapi _testinternalcapi _testsinglephase _testmultiphase _testbuffer _ctypes_test pytest nose", ALL, "runs code, or reaches into the interpreter"),
    row(Reach::Code, "ast dis", OWN, "parses or shows code"),
    row(Reach::Code, "tkinter _tkinter turtle curses _curses", ALL, "evaluates Tcl, or takes the terminal"),
    row(Reach::Code, "itertools", "starmap takewhile dropwhile accumulate filterfalse", "calls a function for each item"),
    row(Reach::Code, "operator _operator", "call methodcaller.__call__ attrgetter.__call__ itemgetter.__call__", "calls what it is given"),
    row(Reach::Interpreter, "operator _operator", "setitem delitem __setitem__ __delitem__ iadd iconcat ior iand ixor isub imul __iadd__ __iconcat__ __ior__ __call__", "writes into what others hold"),
    row(Reach::Interpreter, "functools", "update_wrapper wraps", "sets attributes of a function"),
    row(Reach::Code, "weakref", "finalize", "calls a function at exit"),
    row(Reach::Code, "contextlib", "ExitStack AsyncExitStack ExitStack.callback ContextDecorator contextmanager", "calls functions it was given"),
    row(Reach::Code, "contextvars _contextvars", "Context Context.run", "calls what it is given"),
    row(Reach::Code, "typing", "get_type_hints _eval_type ForwardRef._evaluate evaluate_forward_ref", "evaluates text as a type"),
    row(Reach::Code, "annotationlib", OWN, "evaluates text as a type"),
    row(Reach::Code, "dataclasses", "make_dataclass _create_fn _process_class", "makes code of names"),
    row(Reach::Code, "gettext", "c2py translation install", "evaluates text, reads files"),
    row(Reach::Code, "string", "Formatter.vformat Formatter.format Formatter.get_field", "takes attributes by text"),
    row(Reach::Interpreter, "inspect", "currentframe stack trace getouterframes getinnerframes getmembers getmodule", "reaches frames and modules"),
    row(Reach::Import, "importlib _frozen_importlib _frozen_importlib_external _imp imp zipimport pkgutil modulefinder pkg_resources pip setuptools distutils ensurepip venv sysconfig _sysconfig zipapp compileall py_compile pyclbr ihooks imputil", ALL, "imports, builds or installs modules"),
    row(Reach::Import, "site _sitebuiltins", OWN, "adds folders that modules are imported from"),
    row(Reach::File, "shutil tempfile fileinput glob linecache filecmp _io io _pyio mmap tarfile zipfile gzip bz2 lzma compression dbm sqlite3 _sqlite3 winreg nturl2path msvcrt fcntl netrc mailbox mimetypes", ALL, "reads or writes files or the registry"),
    row(Reach::File, "codecs", "open EncodedFile StreamReaderWriter register register_error", "opens files, adds codecs"),
    row(Reach::File, "tokenize", "open", "opens files"),
    row(Reach::File, "logging", "FileHandler basicConfig StreamHandler setLoggerClass setLogRecordFactory shutdown", "writes files"),
    row(Reach::Network, "socket _socket ssl _ssl socketserver urllib urllib3 urllib2 urlparse http httplib httplib2 requests httpx aiohttp pycurl ftplib smtplib smtpd poplib imaplib nntplib telnetlib xmlrpc webbrowser cgi cgitb wsgiref selectors asyncore asynchat paramiko fabric boto3 botocore websocket websockets zmq", ALL, "connects to other machines, or starts what does"),
    row(Reach::Network, "select", OWN, "waits for connections"),
    row(Reach::File, "xml.sax xml.dom", ALL, "reads what documents name"),
    row(Reach::File, "xml.etree.ElementTree xml.etree.cElementTree", "parse iterparse XMLParser ElementTree.parse ElementTree.write", "reads or writes files"),
    row(Reach::Memory, "ctypes _ctypes gc faulthandler tracemalloc", ALL, "reads or writes memory"),
    row(Reach::Code, "_xxsubinterpreters _interpreters _interpchannels _interpqueues _posixshmem interpreters", ALL, "runs code in another interpreter"),
    row(Reach::Pickle, "pickle _pickle pickletools shelve jsonpickle marshal hickle", ALL, "loads another pickle, or code"),
    row(Reach::Pickle, "dill cloudpickle", ALL, "makes functions out of code held in the file"),
    row(Reach::Pickle, "joblib sklearn.externals.joblib", ALL, "loads another pickle, starts workers"),
    row(Reach::Interpreter, "sys atexit threading _thread _threading_local logging.config logging.handlers getpass readline cmd", ALL, "changes the interpreter, or calls functions later"),
    row(Reach::Interpreter, "copyreg", "add_extension remove_extension clear_extension_cache pickle constructor dispatch_table _extension_registry _inverted_registry _extension_cache", "changes what later pickles mean"),
    row(Reach::File, "pathlib pathlib._local", "Path.open Path.read_bytes Path.read_text Path.write_bytes Path.write_text Path.unlink Path.rename Path.replace Path.rmdir Path.mkdir Path.touch Path.chmod Path.lchmod Path.symlink_to Path.hardlink_to Path.link_to Path.copy Path.copy_into Path.move Path.move_into Path.iterdir Path.glob Path.rglob Path.walk", "reads or writes files"),
    // PyTorch.
    row(Reach::Process, "torch.multiprocessing torch.distributed.elastic torch.distributed.run torch.distributed.launch torch.distributed.launcher torch.distributed.argparse_util torch.utils.collect_env torch.utils.bottleneck torch.utils.benchmark torch.utils.hipify torch.utils.throughput_benchmark", ALL, "starts programs or runs code"),
    row(Reach::Import, "torch.utils.cpp_extension torch._inductor torch.hub torch.utils.model_zoo torch.package torch.utils._import_utils torch._appdirs torch._sources torch.utils._cpp_extension_versioner torch.utils.backend_registration", ALL, "downloads, builds or imports code"),
    row(Reach::Import, "torch.ops", "load_library", "loads a library"),
    row(Reach::Import, "torch._ops", "_Ops.load_library", "loads a library"),
    row(Reach::Import, "torch.classes", "load_library", "loads a library"),
    row(Reach::Import, "torch", "_load_global_deps _preload_cuda_deps _import_device_backends _preload_pypi_nvidia", "loads libraries"),
    row(Reach::Pickle, "torch", "load", "loads another file, with everything its pickle calls"),
    row(Reach::Pickle, "torch.serialization", "load _load _legacy_load torch_load _open_file _open_file_like _open_zipfile_reader _open_zipfile_reader_file _open_zipfile_reader_buffer _open_buffer_reader", "loads another file"),
    row(Reach::File, "torch", "save from_file", "writes or maps files"),
    row(Reach::File, "torch.serialization", "save _save _legacy_save _open_zipfile_writer _open_zipfile_writer_file skip_data mkdtemp", "writes files"),
    row(Reach::File, "torch.storage", "UntypedStorage.from_file TypedStorage.from_file UntypedStorage._new_shared_filename_cpu UntypedStorage._new_using_filename_cpu _StorageBase.from_file", "maps files or shared memory"),
    row(Reach::File, "torch._C", "PyTorchFileReader PyTorchFileWriter import_ir_module import_ir_module_from_buffer _import_ir_module_from_package _load_for_lite_interpreter _load_jit_module_from_file ScriptModule.save ScriptModule._save_for_mobile", "reads or writes files"),
    row(Reach::Code, "torch", "compile", "compiles functions"),
    row(Reach::Code, "torch.jit", "load save script trace trace_module CompilationUnit export_opnames jit_module_from_flatbuffer save_jit_module_to_flatbuffer", "compiles or loads code"),
    row(Reach::Code, "torch.jit._serialization torch.jit.annotations torch.jit.frontend torch.jit.unsupported_tensor_ops torch.jit._monkeytype_config torch.jit._check torch.jit._recursive torch.jit.mobile torch.jit.supported_ops torch.jit.generate_bytecode", ALL, "evaluates text, or loads code"),
    row(Reach::Code, "torch.fx.graph_module", "_exec_with_source _forward_from_src _method_from_src _EvalCacheLoader _deserialize_graph_module", "executes text"),
    row(Reach::Code, "torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression ShapeEnv.evaluate_guards_for_args ShapeEnv.deserialize_symexpr ShapeEnv.produce_guards_expression", "evaluates text"),
    row(Reach::Code, "torch._dynamo.guards torch._dynamo.debug_utils torch._dynamo.test_case torch._dynamo.bytecode_transformation torch._dynamo.replay_record torch._dynamo.testing torch._dynamo.package torch.testing torch._export.serde torch._functorch.pyfunctorch", ALL, "evaluates text, or runs tests"),
    row(Reach::Code, "torch.utils._config_module", "load_config ConfigModule.load_config install_config_module ConfigModule get_tristate_env", "loads a pickle of settings, executes text"),
    row(Reach::Code, "torch.utils.data.datapipes.utils.decoder", ALL, "basichandlers loads pickles"),
    row(Reach::File, "torch.utils.data.datapipes.iter torch.utils.data.datapipes.utils torch.utils.show_pickle torch.utils.model_dump torch.utils.tensorboard torch.utils._freeze torch.utils.viz torch.utils.mobile_optimizer", ALL, "reads or writes files, calls functions for items"),
    row(Reach::Code, "torch.utils.data._utils", ALL, "runs workers"),
    row(Reach::Network, "torch.distributed.rpc torch.distributed.nn.jit torch.distributed.nn.api torch.distributed._remote_device", ALL, "calls functions on other machines, makes code of text"),
    row(Reach::Pickle, "torch.distributed.distributed_c10d", "_tensor_to_object _object_to_tensor broadcast_object_list all_gather_object recv_object_list scatter_object_list init_process_group", "loads pickles that others send"),
    row(Reach::Pickle, "torch.export torch._export", "load save", "loads another file"),
    row(Reach::File, "torch.onnx", "export save_as_external_data export_to_pretty_string", "writes files"),
    row(Reach::File, "torch.cuda.memory torch.cuda", "_dump_snapshot _record_memory_history", "writes files"),
    row(Reach::File, "torch.cuda._memory_viz torch.profiler torch.autograd.profiler_legacy", ALL, "reads or writes files, runs programs"),
    row(Reach::Pickle, "torchvision.datasets torchtext torchaudio.datasets torchvision.io", ALL, "downloads, reads files and pickles"),
    // numpy and its neighbours.
    row(Reach::Pickle, "numpy", "load", "loads a file, pickles in it included"),
    row(Reach::Pickle, "numpy.lib.npyio numpy.lib._npyio_impl numpy.lib.format numpy.lib._format_impl numpy.lib._datasource numpy.DataSource", ALL, "reads or writes files, pickles in them included"),
    row(Reach::File, "numpy", "fromfile loadtxt genfromtxt recfromcsv recfromtxt memmap save savez savez_compressed savetxt fromregex DataSource ndarray.tofile ndarray.dump ndarray.ctypes lookfor source", "reads or writes files"),
    row(Reach::File, "numpy._core.multiarray numpy._core.records numpy._core.memmap numpy.rec numpy._core._multiarray_umath", "fromfile memmap", "reads files"),
    row(Reach::File, "numpy._core._methods", "_dump _dumps", "writes files"),
    row(Reach::Code, "numpy.testing numpy.f2py numpy.distutils numpy._pytesttester numpy.conftest numpy.setup", ALL, "evaluates text, builds and imports code"),
    row(Reach::Code, "numpy", "apply_along_axis apply_over_axes frompyfunc piecewise safe_eval test f2py testing distutils ctypeslib deprecate", "calls functions, or leads to what does"),
    row(Reach::Code, "numpy.lib.utils numpy.lib._utils_impl", "safe_eval lookfor source info get_include", "evaluates text, reads files"),
    row(Reach::Code, "numpy.lib.shape_base numpy.lib._shape_base_impl numpy.lib.function_base numpy.lib._function_base_impl", "apply_along_axis apply_over_axes piecewise", "calls functions"),
    row(Reach::Memory, "numpy.ctypeslib numpy._core._internal", "_ctypes load_library as_array dummy_ctype c_void_p", "reaches memory or libraries"),
    row(Reach::Pickle, "pandas", "read_pickle to_pickle", "loads another pickle"),
    row(Reach::File, "pandas", "read_csv read_table read_fwf read_excel read_html read_json read_sql read_sql_query read_sql_table read_hdf read_feather read_parquet read_orc read_sas read_spss read_stata read_xml read_clipboard ExcelFile ExcelWriter HDFStore DataFrame.to_csv DataFrame.to_pickle Series.to_pickle DataFrame.to_json", "reads or writes files and addresses"),
    row(Reach::Code, "pandas", "eval DataFrame.eval DataFrame.query DataFrame.apply DataFrame.pipe Series.apply Series.map", "evaluates text, or calls functions"),
    row(Reach::Code, "pandas.core.computation pandas.io pandas._testing pandas.testing pandas.util._print_versions pandas.compat.pickle_compat", ALL, "evaluates text, reads files and pickles"),
    row(Reach::File, "scipy.io scipy.weave scipy.datasets scipy._lib._testutils", ALL, "reads or writes files, builds code"),
    row(Reach::Pickle, "sklearn.datasets sklearn.utils._testing sklearn.utils._joblib sklearn._build_utils", ALL, "reads files and pickles, runs programs"),
    row(Reach::Code, "sympy", "sympify S parse_expr lambdify preview eval", "evaluates text"),
    row(Reach::Code, "sympy.core.sympify sympy.parsing sympy.utilities.lambdify sympy.utilities.autowrap sympy.utilities.codegen sympy.utilities.runtests sympy.utilities._compilation sympy.printing.preview sympy.external.importtools sympy.testing sympy.plotting", ALL, "evaluates text, builds code"),
    row(Reach::Code, "numexpr numba.core.dispatcher numba.core.serialize numba.pycc llvmlite cffi pyximport Cython pythran pybind11 theano.gof.cmodule", ALL, "evaluates or builds code"),
    row(Reach::Code, "IPython ipykernel jupyter_client jinja2 mako werkzeug.debug invoke sh plumbum pexpect ptyprocess psutil execnet py4j rpy2 gevent eventlet twisted fire", ALL, "runs code, commands or templates"),
    row(Reach::Code, "yaml ruamel.yaml", ALL, "makes objects of text"),
    row(Reach::File, "fsspec s3fs gcsfs smart_open huggingface_hub gdown wget datasets.load datasets.download", ALL, "reads or writes files and addresses"),
    row(Reach::Pickle, "networkx", "read_gpickle", "loads another pickle"),
    row(Reach::Pickle, "nltk.data nltk.downloader gensim.utils spacy.util mlflow pyspark.serializers pyspark.cloudpickle ray.cloudpickle", ALL, "loads other pickles"),
    row(Reach::Code, "transformers.utils.import_utils transformers.dynamic_module_utils transformers.file_utils transformers.testing_utils", ALL, "imports modules by name, downloads code"),
    row(Reach::Code, "accelerate.utils.launch accelerate.commands accelerate.launchers", ALL, "starts programs"),
    // TensorFlow and Keras.
    row(Reach::Pickle, "tensorflow", "load_library load_op_library py_function numpy_function saved_model.load keras.models.load_model io.read_file io.write_file", "loads code or files"),
    row(Reach::Code, "tensorflow.saved_model tensorflow.python.saved_model tensorflow.python.framework.load_library tensorflow.python.platform tensorflow.python.tools tensorflow.io tensorflow.python.lib.io tensorflow.compat.v1.gfile", ALL, "loads code, reads and writes files"),
    row(Reach::Code, "keras.saving keras.src.saving keras.models keras.src.models.model keras.engine.saving tensorflow.keras.models tensorflow.python.keras.saving keras.utils.data_utils", "load_model load_weights model_from_json model_from_yaml model_from_config deserialize_keras_object get_file func_load", "loads models, which may hold code"),
    row(Reach::Code, "keras.layers keras.src.layers keras.layers.core keras.src.layers.core.lambda_layer tensorflow.keras.layers", "Lambda", "runs code that it holds"),
    row(Reach::Code, "keras.utils keras.src.utils keras.utils.generic_utils keras.src.utils.python_utils tensorflow.keras.utils", "get_file func_load func_dump deserialize_keras_object default", "downloads, or makes functions of code"),
    // Scanners: to touch one from a pickle can only mean to turn it off.
    row(Reach::Interpreter, "fickling picklescan modelscan modelaudit guarddog", ALL, "turns off what would look at it"),
];

/// What modules hold, all of whose other globals are forbidden, that honest files hold too: not
/// known to be harmless, since it reads another file, but no evidence of harm either.
///
/// Source: joblib 0.9 `joblib/numpy_pickle.py` (`NDArrayWrapper.read`).
pub const APART: &[(&str, &str)] = &[(
    "joblib.numpy_pickle joblib.numpy_pickle_compat sklearn.externals.joblib.numpy_pickle sklearn.externals.joblib.numpy_pickle_compat",
    "NDArrayWrapper ZNDArrayWrapper",
)];

/// Attributes that no honest dotted name leads through: modules that happen to be imported
/// somewhere, the interpreter's own handles, and methods that reach files.
#[rustfmt::skip]
pub const THROUGH: &[(Reach, &str)] = &[
    (Reach::Process, "os posix nt subprocess pty multiprocessing"),
    (Reach::Interpreter, "sys builtins __builtin__ __builtins__ __globals__ __subclasses__ __bases__ __base__ __mro__ mro __code__ __closure__ __func__ __self__ __dict__ __getattribute__ __setattr__ __delattr__ __class__ __reduce__ __reduce_ex__ __init_subclass__ __set_name__ __wrapped__ __defaults__ __kwdefaults__ __traceback__ __build_class__ f_globals f_locals f_builtins f_back gi_frame gi_code cr_frame cr_code ag_frame ag_code tb_frame tb_next co_code co_consts func_globals func_code func_closure im_func im_self im_class modules meta_path path_hooks"),
    (Reach::Import, "importlib __loader__ __spec__ __import__ import_module pkgutil load_module exec_module"),
    (Reach::Pickle, "pickle _pickle cPickle dill cloudpickle joblib marshal"),
    (Reach::File, "shutil io _io tempfile from_file tofile _new_shared_filename_cpu _new_using_filename_cpu write_text write_bytes"),
    (Reach::Network, "socket urllib requests http"),
    (Reach::Memory, "ctypes"),
    (Reach::Code, "code codeop runpy timeit eval exec"),
];

/// Names that mean a module or a handle of the interpreter in whatever module they are looked
/// up.
#[rustfmt::skip]
pub const NAMED: &[(Reach, &str)] = &[
    (Reach::Process, "os posix nt subprocess pty multiprocessing"),
    (Reach::Interpreter, "sys builtins __builtin__ __builtins__ __globals__ __dict__ __subclasses__ __bases__ __base__ __mro__ __class__ __code__ __getattribute__ __setattr__ __delattr__ __self__ __func__"),
    (Reach::Import, "importlib __loader__ __spec__ __import__ import_module pkgutil"),
    (Reach::Pickle, "pickle cPickle dill cloudpickle marshal"),
    (Reach::File, "shutil tempfile"),
    (Reach::Network, "socket urllib requests"),
    (Reach::Memory, "ctypes"),
    (Reach::Code, "runpy timeit codeop"),
];

/// Modules that are what they are called, inside of whatever package: `six.moves.builtins`.
#[rustfmt::skip]
pub const INNER: &[(Reach, &str)] = &[
    (Reach::Process, "os posix nt subprocess pty"),
    (Reach::Interpreter, "sys builtins __builtin__"),
    (Reach::Import, "importlib"),
    (Reach::Pickle, "cPickle marshal"),
    (Reach::Network, "socket urllib urllib2"),
    (Reach::Memory, "ctypes"),
];
