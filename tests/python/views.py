"""Writes tests/fixtures/views/*.json: objects of the standard library, pickled by CPython in every
protocol, with what CPython says of each: its repr and its parts.

Usage: python3.11 tests/python/views.py [OTHER-PYTHON ...]

The first interpreter (3.11.7) writes every case, and says what each stream is. Each other one
(run: 2.7.18, 3.6.15, 3.8.18, 3.9.18, 3.10.13, 3.12.1, 3.13.0) adds the streams that no earlier one
wrote, and speaks only for those that 3.11 cannot load. Addresses are cut out of reprs.
"""

from __future__ import print_function

import array
import argparse
import base64
import collections
import datetime
import decimal
import fractions
import functools
import itertools
import json
import logging
import operator
import os
import pickle
import random
import re
import subprocess
import sys
import types
import uuid

if sys.version_info[0] == 2:
    import UserDict
else:
    import enum
    import ipaddress
    import pathlib
    import typing

    class Color(enum.Enum):
        RED = 1
        GREEN = "g"

    class Perm(enum.IntFlag):
        R = 4
        W = 2

    class KeywordOnly:
        def __new__(cls, a, **kwargs):
            self = object.__new__(cls)
            self.a, self.kwargs = a, kwargs
            return self

        def __getnewargs_ex__(self):
            return (self.a,), self.kwargs


Point = collections.namedtuple("Point", "x y")


class Bag(list):
    pass


class Outer(object):
    class Inner(object):
        pass

    def method(self):
        pass


def advanced(iterator, steps):
    for _ in range(steps):
        next(iterator)
    return iterator


def with_attributes(it, **attributes):
    it.__dict__.update(attributes)
    return it


def seeded(gauss):
    it = random.Random(7)
    if gauss:
        it.gauss(0, 1)
    return it


# Kind of view, then an expression for the object.
CASES = """
set           set([1, 2])
set           set()
frozenset     frozenset([2, 3])
frozenset     frozenset()
bytes         b'\\x00abc\\xff'
bytes         b''
bytearray     bytearray(b'\\x00abc\\xff')
bytearray     bytearray()
complex       complex(1.5, -2.0)
complex       complex(0.0, float('inf'))
range         range(0, 10, 2)
range         range(5)
range         range(10, -2**70, -3)
range         xrange(1, 20, 3)
slice         slice(None, 3, None)
slice         slice(1, [2], 'x')
NoneType      type(None)
NoneType      type(Ellipsis)
NoneType      type(NotImplemented)
Ellipsis      Ellipsis
Ellipsis      NotImplemented
object        object()
attribute     [1, 2].append
attribute     Outer.Inner
attribute     Outer.method
attribute     dict.fromkeys
attribute     {'a': 1}.get
iterator      iter([1, 2, 3])
iterator      advanced(iter([1, 2, 3]), 2)
iterator      advanced(iter((1, 2, 3)), 1)
iterator      advanced(iter('abc'), 1)
iterator      advanced(iter(b'abc'), 1)
iterator      advanced(iter(range(10)), 4)
iterator      iter(())
iterator      advanced(iter({'a': 1, 'b': 2}), 1)
iterator      advanced(iter([1]), 1)
iterator      reversed([1, 2, 3])
iterator      advanced(reversed([1, 2, 3]), 1)
iterator      enumerate(['a', 'b'], 5)
iterator      itertools.cycle([1, 2])
iterator      advanced(itertools.cycle([1, 2, 3]), 2)
iterator      itertools.chain([1], (2, 3))
iterator      advanced(itertools.chain([1, 4], (2, 3)), 1)
iterator      itertools.chain()
count         itertools.count()
count         itertools.count(5, 2)
count         itertools.count(2.5)
count         advanced(itertools.count(2**70), 2)
repeat        itertools.repeat('x')
repeat        itertools.repeat([1], 3)
mapping       collections.OrderedDict()
mapping       collections.OrderedDict([('b', 1), ('a', 2)])
mapping       with_attributes(collections.OrderedDict([(1, 2)]), _metadata=[3])
mapping       collections.defaultdict(list, {'a': [1]})
mapping       collections.defaultdict()
mapping       collections.defaultdict(functools.partial(int, 3))
mapping       collections.Counter('abracadabra')
mapping       collections.Counter()
deque         collections.deque([1, 2], 3)
deque         collections.deque([1, 2, 3, 4], 2)
deque         collections.deque(['a'])
deque         collections.deque()
deque         collections.deque([1], 0)
chainmap      collections.ChainMap({'a': 1}, {'b': 2})
userdict      collections.UserDict({'a': 1})
userdict      collections.UserList([1, 2])
userdict      collections.UserString('abc')
userdict      UserDict.UserDict({'a': 1})
instance      Point(1, 'b')
instance      Bag([1, 2])
instance      Outer()
instance      KeywordOnly(1, k=2)
partial       functools.partial(int, '10', base=2)
partial       functools.partial(print)
partial       functools.partial(functools.partial(max, 1), 2)
partial       with_attributes(functools.partial(int, 1), note='n')
caller        operator.itemgetter(1)
caller        operator.itemgetter('a', 2)
caller        operator.attrgetter('a.b', 'c')
caller        operator.methodcaller('split', ',')
caller        operator.methodcaller('split', sep=',')
generic       list[int]
generic       dict[str, list[int]]
generic       typing.List[int]
generic       typing.Dict[str, float]
namespace     types.SimpleNamespace(a=1, b='x')
namespace     types.SimpleNamespace()
namespace     argparse.Namespace(lr=0.1, name='run')
fraction      fractions.Fraction(3, 4)
fraction      fractions.Fraction(-7)
fraction      fractions.Fraction(2**80, 3**60)
decimal       decimal.Decimal('1.50')
decimal       decimal.Decimal('-1E+10')
decimal       decimal.Decimal('NaN')
decimal       decimal.Decimal('-Infinity')
decimal       decimal.Decimal('sNaN123')
decimal       decimal.Decimal('0E-28')
datetime      datetime.datetime(2024, 1, 2, 3, 4)
datetime      datetime.datetime(2024, 12, 31, 23, 59, 59, 999999)
datetime      datetime.datetime(1, 1, 1)
datetime      datetime.datetime(2024, 10, 27, 2, 30, fold=1)
datetime      datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
datetime      datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-3), 'X'))
datetime      datetime.datetime(2024, 1, 2, fold=1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris'))
date          datetime.date(2024, 2, 29)
time          datetime.time(3, 4)
time          datetime.time(3, 4, 5, 6, fold=1)
time          datetime.time(0, 0, 0, 7)
time          datetime.time(3, tzinfo=datetime.timezone.utc)
timedelta     datetime.timedelta(1, 2, 3)
timedelta     datetime.timedelta(-1, 5)
timedelta     datetime.timedelta()
timedelta     datetime.timedelta(999999999, 86399, 999999)
timezone      datetime.timezone.utc
timezone      datetime.timezone(datetime.timedelta(hours=2))
timezone      datetime.timezone(datetime.timedelta(0), 'Z')
timezone      datetime.timezone(-datetime.timedelta(hours=23, minutes=59))
zone          zoneinfo.ZoneInfo('Europe/Paris')
uuid          uuid.UUID('12345678-1234-5678-1234-567812345678')
uuid          uuid.UUID(int=0)
uuid          uuid.UUID(int=2**128 - 1)
uuid          uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)
member        uuid.SafeUUID.unsafe
path          pathlib.PurePosixPath('/a/b.txt')
path          pathlib.PurePosixPath('a', '..', 'b')
path          pathlib.PurePosixPath()
path          pathlib.PurePosixPath('/')
path          pathlib.PurePosixPath('//host/x')
path          pathlib.PosixPath('/tmp/x')
path          pathlib.PureWindowsPath('C:/a/b')
path          pathlib.PureWindowsPath('C:a')
path          pathlib.PureWindowsPath('//server/share/x')
path          pathlib.PureWindowsPath('a', 'b')
path          pathlib.PureWindowsPath('/a')
random        seeded(False)
random        seeded(True)
pattern       re.compile('a+b')
pattern       re.compile('a', re.I | re.M)
pattern       re.compile(b'a', re.I | re.S)
pattern       re.compile('x' * 250, re.X)
logger        logging.getLogger('a.b')
logger        logging.getLogger()
instance      Color.RED
instance      Color.GREEN
instance      Perm.R
instance      Perm.R | Perm.W
array         array.array('i', [1, -2, 3])
array         array.array('d', [1.5, float('nan')])
array         array.array('d')
array         array.array('B', [0, 255])
array         array.array('f', [0.5])
array         array.array('q', [-2**63, 2**63 - 1])
array         array.array('L', [2**64 - 1])
array         array.array('u', u'ab\\u20ac')
ip            ipaddress.ip_address('1.2.3.4')
ip            ipaddress.ip_address('2001:db8::1')
ip            ipaddress.ip_network('10.0.0.0/8')
ip            ipaddress.ip_network('2001:db8::/32')
ip            ipaddress.ip_interface('10.0.0.1/8')
exception     ValueError('bad', 3)
exception     KeyError('k')
exception     with_attributes(RuntimeError('x'), note='n')
exception     OSError('No such file')
exception     StopIteration()
exception     UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')
"""


def said(value):
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def said_all(values):
    return [said(value) for value in values]


def pairs(mapping):
    return [[said(key), said(value)] for key, value in mapping.items()]


def parts(kind, it):
    """What an object consists of; None where Python has no way to tell."""
    if kind in ("set", "frozenset"):
        return said_all(it)
    if kind in ("bytes", "bytearray"):
        return base64.b64encode(bytes(it)).decode()
    if kind == "complex":
        return [said(it.real), said(it.imag)]
    if kind in ("range", "slice"):
        return said_all([it.start, it.stop, it.step])
    if kind == "attribute":
        owner = getattr(it, "__self__", None)
        return [said(Outer if owner is None else owner), it.__name__]
    if kind == "count":
        _, args = it.__reduce__()
        return said_all((args + (1,))[:2])
    if kind == "repeat":
        _, args = it.__reduce__()
        return said_all(args)
    if kind == "mapping":
        factory = getattr(it, "default_factory", None)
        return [said(factory), pairs(it), pairs(getattr(it, "__dict__", {}))]
    if kind == "deque":
        return [said_all(it), it.maxlen]
    if kind == "chainmap":
        return said_all(it.maps)
    if kind == "userdict":
        return said(it.data)
    if kind == "partial":
        return [said(it.func), said_all(it.args), pairs(it.keywords), pairs(it.__dict__)]
    if kind == "generic":
        return said_all(it.__args__)
    if kind == "namespace":
        return [[name, said(value)] for name, value in vars(it).items()]
    if kind == "fraction":
        return [str(it.numerator), str(it.denominator)]
    if kind == "decimal":
        return str(it)
    if kind in ("datetime", "date", "time"):
        names = "year month day hour minute second microsecond fold".split()
        numbers = [getattr(it, name) for name in names if hasattr(it, name)]
        zone = getattr(it, "tzinfo", None)
        return [numbers, zone and said(zone)]
    if kind == "timedelta":
        return [it.days, it.seconds, it.microseconds]
    if kind == "timezone":
        offset = it.utcoffset(None)
        args = it.__getinitargs__()
        return [offset.days, offset.seconds, offset.microseconds, args[1] if args[1:] else None]
    if kind == "zone":
        return it.key
    if kind == "uuid":
        safe = getattr(it, "is_safe", None)
        return [str(it.int), safe and safe.value]
    if kind == "path":
        return [type(it).__name__, it.as_posix()]
    if kind == "random":
        version, words, gauss = it.getstate()
        return [version, sum(words), said(gauss)]
    if kind == "pattern":
        # Loading adds re.UNICODE to patterns of text.
        return [said(it.pattern), it.flags & ~re.UNICODE]
    if kind == "logger":
        return it.name
    if kind == "array":
        return [it.typecode, said_all(it)]
    if kind == "ip":
        return str(it)
    if kind == "exception":
        return [type(it).__name__, said_all(it.args)]
    if kind == "caller":
        _, args = it.__reduce__()[:2]
        return said_all(args)
    if kind == "iterator":
        # As many as tell the rest of one without end.
        return said_all(itertools.islice(it, 7))
    return None


def cases():
    for line in CASES.strip().splitlines():
        kind, expression = line.split(None, 1)
        yield kind, expression.replace("\\\\", "\\")


def skipped(kind):
    """Loggers were pickled with their handlers before 3.7, and bytes of Python 2 are texts."""
    return kind == "logger" and sys.version_info < (3, 7) or kind == "bytes" and bytes is str


def streams():
    """Of each case: its kind, expression, and stream by protocol."""
    scope = dict(globals())
    try:
        import zoneinfo

        scope["zoneinfo"] = zoneinfo
    except ImportError:
        pass
    found = []
    for kind, expression in cases():
        if skipped(kind):
            continue
        by_protocol = {}
        # The state of a random generator is long, and the same in all of them.
        some = [2] if kind == "random" else range(pickle.HIGHEST_PROTOCOL + 1)
        for protocol in some:
            try:
                dumped = pickle.dumps(eval(expression, scope), protocol)
            except Exception:
                continue
            by_protocol[str(protocol)] = base64.b64encode(dumped).decode()
        if by_protocol:
            found.append([kind, expression, by_protocol])
    return found


def told(kind, stream):
    """The repr and parts of what a stream loads as."""
    options = {} if sys.version_info[0] == 2 else {"encoding": "latin1"}
    it = pickle.loads(base64.b64decode(stream), **options)
    shown = said(it)
    return shown, parts(kind, it)


def told_streams(which):
    """A row for each stream, with what this interpreter says of it if it can."""
    out = []
    for kind, expression, by_protocol in which:
        for protocol, stream in sorted(by_protocol.items()):
            try:
                shown, of = told(kind, stream)
            except Exception:
                shown, of = None, None
            out.append([kind, expression, int(protocol), stream, shown, of])
    return out


def retold(rows):
    """The rows with what this interpreter says, if it can load them, and without those that
    neither it nor the one that wrote them can tell of."""
    out = []
    for kind, expression, protocol, stream, shown, of in rows:
        try:
            shown, of = told(kind, stream)
        except Exception as why:
            if shown is None or sys.version_info[0] == 2:
                print("not told:", expression, protocol, repr(why), file=sys.stderr)
                continue
        out.append([kind, expression, protocol, stream, shown, of])
    return out


def main():
    if sys.argv[1:] == ["--streams"]:
        mine = streams()
        json.dump(told_streams(mine), sys.stdout)
        return
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "views")
    seen = set()
    for python in [sys.executable] + sys.argv[1:]:
        command = [python, "-W", "ignore", os.path.abspath(__file__), "--streams"]
        found = json.loads(subprocess.check_output(command))
        name = subprocess.check_output(
            [python, "-c", "import platform; print(platform.python_version())"]
        )
        name = name.decode().strip()
        found = retold(found)
        found = [row for row in found if (row[1], row[3]) not in seen]
        seen.update((row[1], row[3]) for row in found)
        if not found:
            continue
        with open(os.path.join(out, "cpython-%s.json" % name), "w") as file:
            file.write('{"python":"%s","rows":[\n' % name)
            file.write(",\n".join(json.dumps(row, separators=(",", ":")) for row in found))
            file.write("\n]}\n")
        print(name, len(found), "streams")


if __name__ == "__main__":
    main()
