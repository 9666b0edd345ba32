"""Writes tests/fixtures/pickles/values.zip: streams by CPython's pickle, and what its C unpickler
makes of them as JSON in the tagged form (tagged.py).

Usage: python tests/python/pickles.py

Each record of the one member is the length (u32, little-endian) and the bytes of a stream, then
the length and the text of its JSON. CPython 3.11; a run gives the same values again, though sets
may come in another order.
"""

import argparse
import array
import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import operator
import pathlib
import pickle
import random
import re
import struct
import types
import uuid
import zipfile

import tagged

OUT = pathlib.Path(__file__).parents[1] / "fixtures/pickles/values.zip"


class Plain:
    def __init__(self, **state):
        self.__dict__.update(state)


class Slots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = 1
        self.b = [self]


class Both(Slots):
    def __init__(self):
        super().__init__()
        self.c = "dict"


class State:
    def __getstate__(self):
        return ("any", ["state"])

    def __setstate__(self, state):
        pass


class FalseState(State):
    def __getstate__(self):
        return ()


class NewArgs(str):
    def __getnewargs__(self):
        return ("text", 1)


class NewArgsEx:
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (1, "two"), {"key": [1], "other": None}


class Six:
    """All parts of what __reduce__ may return."""

    def __reduce__(self):
        return Six, (1,), {"state": 1}, iter([1, 2]), iter([("k", "v"), ("k", "w")])


class ReduceToName:
    def __reduce__(self):
        return "SINGLETON"


class Kinds(enum.Enum):
    A = 1
    B = "b"


class Bits(enum.IntFlag):
    X = 1
    Y = 2


class Ints(int):
    pass


class Lists(list):
    pass


class Dicts(dict):
    pass


class Sets(set):
    pass


class Registered:
    pass


@dataclasses.dataclass
class Data:
    a: int
    b: list


class Outer:
    class Inner:
        def method(self):
            return self


Pair = collections.namedtuple("Pair", "left right")
SINGLETON = ReduceToName()
CODES = {1: "Registered", 300: "Plain", 70000: "Slots"}


def shared():
    a = [1]
    b = [a, a]
    return [b, b]


def loop():
    out = []
    out.append(out)
    return out


def loop_dict():
    out = {}
    out["self"] = out
    return out


def loop_tuple():
    inner = []
    out = (inner, 1)
    inner.append(out)
    return out


def loop_frozenset():
    obj = Plain()
    obj.members = frozenset([obj])
    return obj


def loop_object():
    out = Plain()
    out.self = out
    return out


def deep(levels):
    out = []
    for _ in range(levels):
        out = [out]
    return out


def integers():
    edges = [0, 8, 15, 16, 31, 32, 53, 63, 64, 100, 2039, 2040, 4000]
    return [sign * (2**bits + add) for bits in edges for add in (-1, 0, 1) for sign in (1, -1)]


def floats():
    return [
        *(0.0, -0.0, 0.1, 1.0, -1.5, 1e15, 1e16, 1e17, 123456789012345680.0, 0.0001, 0.00001),
        *(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1 / 3, 1e22, 1e23, 9.5e-7),
        *(float("inf"), float("-inf"), float("nan")),
    ]


def texts():
    return [
        *("", "a", "caf\xe9", "\u20ac", "\U0001f600", "\ud800", "a\udfffb", "\0", "\x7f\x80\xff"),
        *("\\", "\\u0041", "\\\\", "line\nline\r\t", '"quoted"', "'", "$dollar", "x" * 255),
        *("x" * 256, "\xe9" * 128, "\u2028", "\x1a", "\\\n\0\r\x1a"),
    ]


def containers():
    return [
        *((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], [1, 2], [[]], ((),), {}, {1: 2}),
        *({"a": 1, "b": 2}, {"$a": 1}, {1: 1, "1": 2}, {(1, 2): 3, None: 4, True: 5, 2.5: 6}),
        *(set(), {1}, {1, 2, 3}, frozenset(), frozenset([1]), {frozenset([1]): 1}, [set(), set()]),
        *({b"k": "v"}, {"": ""}, {"\ud800": 1}, {float("nan"): 1}, {frozenset(): ()}),
        *(b"", b"a", bytes(range(256)), b"x" * 255, b"x" * 256, bytearray(), bytearray(b"abc")),
        *(bytearray(range(256)), list(range(1000)), list(range(1001)), list(range(2001))),
        *({n: str(n) for n in range(1001)}, set(range(1001)), [[n] for n in range(300)]),
        *(shared(), loop(), loop_dict(), loop_tuple(), loop_frozenset(), loop_object(), deep(90)),
        *([(n,) for n in range(260)] * 2, ["x" * 70000, "y", b"z" * 70000], ["x" * 30000] * 4),
    ]


def library():
    moment = datetime.datetime(2024, 2, 29, 23, 59, 58, 999999)
    zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30), "here")
    counted = collections.defaultdict(list, {"a": [1]})
    return [
        *(collections.OrderedDict([("b", 1), ("a", 2)]), collections.OrderedDict(), counted),
        *(collections.Counter("abca"), collections.deque([1, 2], 5), collections.deque()),
        *(collections.ChainMap({"a": 1}, {"b": 2}), collections.UserDict({"a": 1}), Pair(1, [2])),
        *(collections.UserList([1]), collections.UserString("a"), types.SimpleNamespace(a=1, b=[2])),
        *(moment, moment.replace(tzinfo=zone), moment.date(), moment.time(), moment.replace(fold=1)),
        *(datetime.timedelta(1, 2, 3), datetime.timezone.utc, zone, decimal.Decimal("1.50")),
        *(fractions.Fraction(-3, 4), uuid.UUID(int=5), pathlib.PurePosixPath("/a/b")),
        *(pathlib.PureWindowsPath("c:\\a"), range(1, 10, 2), slice(1, None, 2), complex(1, -0.0)),
        *(complex("nan"), 3j, Ellipsis, NotImplemented, type(None), type(...), int, len, dict),
        *(print, Plain, Outer.Inner, Outer.Inner().method, [].append, "abc".upper, dict.fromkeys),
        *(functools.partial(int, base=2), itertools.count(3), operator.itemgetter(1, 2)),
        *(operator.attrgetter("a.b"), operator.methodcaller("m", 1, k=2), list[int], dict[str, int]),
        *(re.compile("a+b", re.I), iter([1, 2]), iter((1,)), enumerate([5]), zip([1], [2])),
        *(reversed([1]), ValueError("no", 1), KeyError(), OSError(2, "gone", "file")),
        *(UnicodeDecodeError("utf8", b"x", 0, 1, "bad"), StopIteration(5), Kinds.A, Kinds.B),
        *(Bits.X | Bits.Y, Data(1, [2]), Ints(7), Lists([1, [2]]), Dicts(a=1), Sets([1])),
        *(Plain(), Plain(a=1, b=[2]), Slots(), Both(), State(), FalseState(), NewArgs("x")),
        *(NewArgsEx(), Six(), SINGLETON, array.array("d", [1.5]), argparse.Namespace(lr=0.1)),
        *([Plain(a=1)] * 3, {"p": Plain(), "q": Plain}, random.Random(1).getstate()[1][:20]),
        *(types.MappingProxyType, object(), bytearray, frozenset, set, bytes, complex, type),
    ]


def streams_of(value):
    for protocol in range(6):
        try:
            yield pickle.dumps(value, protocol)
        except (TypeError, ValueError, pickle.PicklingError):
            pass  # Not every value has a form in old protocols.


def by_pickler(value, protocol, **settings):
    """Written with settings other than those of dumps."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            persistent = settings.get("persistent")
            return persistent(obj) if persistent else None

    file = io.BytesIO()
    pickler = Pickler(file, protocol, buffer_callback=settings.get("buffers"))
    pickler.fast = settings.get("fast", False)
    pickler.dump(value)
    return file.getvalue()


def unusual():
    """Opcodes that dumps does not write by itself."""
    for protocol in range(6):
        yield by_pickler([[1], {"a": (1, 2)}, {1, 2}], protocol, fast=True)
        text = lambda obj: "id %s" % obj if type(obj) is int else None
        yield by_pickler([1, [2], 1], protocol, persistent=text)
    for protocol in range(1, 6):
        name = lambda obj: ("storage", [float, str(obj)]) if type(obj) is int else None
        yield by_pickler([1, [2], 1], protocol, persistent=name)
    for code, name in CODES.items():
        copyreg.add_extension(__name__, name, code)
    for protocol in range(2, 6):
        yield pickle.dumps([Registered(), Plain, Slots], protocol)
    for code, name in CODES.items():
        copyreg.remove_extension(__name__, name, code)
    read_only, writable = pickle.PickleBuffer(b"abc"), pickle.PickleBuffer(bytearray(b"def"))
    yield by_pickler([read_only, writable, read_only], 5, buffers=lambda buffer: None)
    yield by_pickler([read_only, writable], 5)


class Maker:
    """Values from a seed, with things standing in several places and in themselves."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = []

    def scalar(self):
        pick = self.random
        return pick.choice(
            [
                lambda: None,
                lambda: pick.random() < 0.5,
                lambda: pick.randrange(-300, 300),
                lambda: pick.choice((1, -1)) * pick.getrandbits(pick.choice((8, 31, 33, 63, 65, 200))),
                lambda: pick.choice((0.5, -0.0, 1e100, pick.gauss(0, 1), pick.gauss(0, 1) * 1e-30)),
                lambda: struct.unpack("<d", pick.getrandbits(64).to_bytes(8, "little"))[0],
                lambda: "".join(pick.choices("abc\xe9\u20ac\U0001f600\n\\'\"", k=pick.randrange(6))),
                lambda: pick.choice(("name", "weight", "bias")),
                lambda: pick.randbytes(pick.randrange(6)),
            ]
        )()

    def key(self):
        return self.scalar() if self.random.random() < 0.8 else (self.scalar(), self.scalar())

    def value(self, depth):
        pick = self.random
        if self.made and pick.random() < 0.15:
            return pick.choice(self.made)
        if depth == 0 or pick.random() < 0.3:
            return self.scalar()
        some = range(pick.randrange(4))
        kind = pick.choice(("list", "dict", "tuple", "set", "frozenset", "plain", "ordered"))
        if kind in ("tuple", "set", "frozenset"):
            if kind == "tuple":
                out = tuple(self.value(depth - 1) for _ in some)
            else:
                out = (set if kind == "set" else frozenset)(self.key() for _ in some)
            self.made.append(out)
            return out
        out = {"list": list, "dict": dict, "plain": Plain, "ordered": collections.OrderedDict}[kind]()
        self.made.append(out)
        for _ in some:
            if kind == "list":
                out.append(self.value(depth - 1))
            elif kind == "plain":
                setattr(out, pick.choice("abcd"), self.value(depth - 1))
            else:
                out[self.key()] = self.value(depth - 1)
        return out


def streams():
    for value in [None, True, False, *integers(), *floats(), *texts(), *containers(), *library()]:
        yield from streams_of(value)
    yield from unusual()
    for seed in range(3000):
        yield pickle.dumps(Maker(seed).value(4), seed % 6)


def main():
    out, count = io.BytesIO(), 0
    for stream in streams():
        try:
            json = tagged.to_json(tagged.Unpickler(io.BytesIO(stream)).load()).encode()
        except pickle.UnpicklingError as why:
            # A class had by getattr is none here, where nothing is called.
            assert "must be a type" in str(why), why
            continue
        for part in (stream, json):
            out.write(struct.pack("<I", len(part)) + part)
        count += 1
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(OUT, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("values"), out.getvalue(), zipfile.ZIP_DEFLATED, 9)
    print(count, "streams,", len(out.getvalue()), "bytes,", OUT.stat().st_size, "packed")


if __name__ == "__main__":
    main()
