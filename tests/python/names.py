"""Compares depickle's table of names with CPython's, and has CPython load what is renamed.

Usage: python tests/python/names.py PATH-TO-EXAMPLE-rewrite

Every name of `_compat_pickle`, and some of none, is written below protocol 3 and above; each
must come out as CPython's pickler spells it and its unpickler reads it. Then objects of the
standard library (and numpy's, where it is installed) go from each protocol to each other and
must load as the same. CPython 3.11.
"""

import _compat_pickle as compat
import collections
import decimal
import functools
import http.cookies
import io
import itertools
import operator
import pickle
import pickletools
import sys
import types
import warnings

from encode import rewritten

OTHERS = [("my.models", "Net"), ("builtins", "Nothing"), ("exceptions", "Nothing"), ("collections", "OrderedDict"),
          ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"), ("copy_reg", "x"), ("copyreg", "x")]


def read(module, name):
    """As `find_class` renames."""
    if (module, name) in compat.NAME_MAPPING:
        return compat.NAME_MAPPING[module, name]
    return compat.IMPORT_MAPPING.get(module, module), name


def written(module, name):
    """As `save_global` renames."""
    if (module, name) in compat.REVERSE_NAME_MAPPING:
        return compat.REVERSE_NAME_MAPPING[module, name]
    return compat.REVERSE_IMPORT_MAPPING.get(module, module), name


def named(stream):
    """The global that a stream is."""
    ops = [(op.name, arg) for op, arg, _ in pickletools.genops(stream)]
    texts = [arg for name, arg in ops if name.endswith("UNICODE")]
    return tuple(texts) or next(tuple(arg.split(" ")) for name, arg in ops if name == "GLOBAL")


def check(example, protocol, start, names, spell):
    streams = [start + f"c{module}\n{name}\n.".encode() for module, name in names]
    wrong = 0
    for pair, stream in zip(names, rewritten(example, streams, str(protocol), "--rename")):
        if named(stream) != spell(*pair):
            wrong += 1
            print(protocol, pair, "is written", named(stream), "and should be", spell(*pair))
    return wrong


def python2(module, name):
    # What is in Python 2's words already is what Python 3 writes for what it reads there.
    return written(*read(module, name))


class Old:
    """Pickled by copyreg's helper below protocol 2."""

    def __init__(self):
        self.value = [1, self]

    def __eq__(self, other):
        return other.value[0] == 1 and other.value[1] is other


def objects():
    cookie = http.cookies.SimpleCookie({"a": "b"})
    yield from [range(3), {1, 2}, frozenset([3]), b"\xff", bytearray(b"x"), 1j, decimal.Decimal("1.5"), cookie]
    yield from [collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1], 3),
                collections.UserDict(a=1), collections.UserList([1]), collections.UserString("x")]
    yield from [functools.reduce, sys.intern, chr, str, int, zip, map, itertools.filterfalse, io.StringIO, operator.add]
    yield from [functools.partial(int, base=2), types.SimpleNamespace(a=1), Old(), Old]
    yield from [getattr(__builtins__, name) for name in compat.PYTHON2_EXCEPTIONS]
    yield from [KeyError("k"), OSError(2, "x"), UnicodeDecodeError("utf8", b"x", 0, 1, "why")]
    try:
        import numpy
    except ImportError:
        return
    yield from [numpy.arange(6).reshape(2, 3), numpy.float32(1.5), numpy.dtype("i4,f8"), numpy.array(["a", "bc"])]


def same(a, b):
    if type(a) is not type(b):
        return False
    if type(a).__module__ == "numpy" and hasattr(a, "tolist"):
        return a.dtype == b.dtype and a.tolist() == b.tolist()
    if isinstance(a, (BaseException, functools.partial)):
        return repr(a) == repr(b)
    if isinstance(a, io.StringIO):
        return a.getvalue() == b.getvalue()
    return a == b


def main():
    warnings.simplefilter("ignore")
    example, wrong, compared = sys.argv[1], 0, 0
    tables = [*compat.NAME_MAPPING, *compat.REVERSE_NAME_MAPPING, *OTHERS]
    tables += [(module, "Some") for module in [*compat.IMPORT_MAPPING, *compat.REVERSE_IMPORT_MAPPING]]
    for protocol in range(6):
        # What a stream is read as does not depend on its protocol here.
        spell = python2 if protocol < 3 else read
        wrong += check(example, protocol, b"", tables, spell)
        compared += len(tables)
    for before in range(6):
        values = list(objects())
        streams = [pickle.dumps(value, before) for value in values]
        for after in range(6):
            for value, stream in zip(values, rewritten(example, streams, str(after), "--rename")):
                compared += 1
                try:
                    good = same(value, pickle.loads(stream))
                except Exception as why:
                    good = print(why)
                if not good:
                    wrong += 1
                    print(f"{value!r} from protocol {before} to {after}: {stream!r}")
    print(compared, "compared,", wrong, "differ")
    return wrong != 0 or compared < 3_000


if __name__ == "__main__":
    sys.exit(main())
