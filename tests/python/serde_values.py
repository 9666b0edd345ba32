"""Writes tests/fixtures/serde/PYTHON-PROTOCOL.pkl: one dict of many values by CPython's pickle,
which tests/serde.rs reads into Rust structs.

Usage: python tests/python/serde_values.py

Made by CPython 3.11.7, 3.13 and 2.7.18 (which has no dataclasses and so on); a run gives the same
bytes again.
"""

import argparse
import collections
import os
import pickle
import sys

NEW = sys.version_info >= (3, 11)


class Old:
    """Of the old style in Python 2."""

    def __init__(self):
        self.name = "old"
        self.size = 1


class Slots(object):
    __slots__ = ("name", "size")


class Both(Slots):
    pass


class Named(collections.namedtuple("Named", "name size")):
    pass


class Tags(list):
    pass


class Table(dict):
    pass


class Kept(object):
    """Its state is what it says."""

    def __init__(self, *kept):
        self.kept = kept

    def __getstate__(self):
        return self.kept

    def __setstate__(self, state):
        self.kept = state


if NEW:
    import dataclasses
    import enum
    import types

    # Python 2 could not parse them as classes.
    Data = dataclasses.make_dataclass(
        "Data", ["name", ("size", int, 7), ("inner", object, None)]
    )
    Frozen = dataclasses.make_dataclass("Frozen", ["name", "size"], frozen=True, slots=True)
    Data.__module__ = Frozen.__module__ = __name__

    class Color(enum.Enum):
        RED = "red"
        BLUE = 2


def values():
    slots = Slots()
    slots.name, slots.size = "slots", 2
    both = Both()
    both.name, both.size, both.more = "both", 3, [True]
    old_dict = collections.OrderedDict([("z", 1), ("a", 2)])
    counts = collections.defaultdict(int)
    counts["x"] += 2
    table = Table()
    table["k"] = 1.5
    shared = ["shared"]
    all_values = [
        ("none", None),
        ("truth", [True, False]),
        ("small", [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31 - 1]),
        ("large", [2**31, 2**63 - 1, -(2**63)]),
        ("larger", [2**63, 2**64 - 1]),
        ("huge", [2**127 - 1, -(2**127)]),
        ("hugest", 2**128 - 1),
        ("floats", [0.0, -0.0, 1.5, 1e300, float("inf"), -float("inf")]),
        ("nan", float("nan")),
        ("complex", 1.5 - 2j),
        ("text", u"Zo\xeb \u20ac \U0001f600 \\ \n \r \x00"),
        ("char", u"\xeb"),
        ("bytearray", bytearray(b"\x00\xff")),
        ("tuples", ((), (1,), (1, u"b"), (1, u"b", None), (1, 2, 3, 4))),
        ("nested", [[1], [[2]], []][0:1]),
        ("many", list(range(1001))),
        ("shared", [shared, shared]),
        ("set", set([3])),
        ("frozenset", frozenset([u"one"])),
        ("mixed_keys", {1: u"int", u"1": u"str"}),
        ("pair_keys", {(1, 2): u"a"}),
        ("ordered", old_dict),
        ("counts", counts),
        ("counter", collections.Counter(u"aab")),
        ("deque", collections.deque([1, 2])),
        ("namespace", argparse.Namespace(lr=0.5, layers=[u"a"], resume=None)),
        ("old", Old()),
        ("slots", slots),
        ("both", both),
        ("named", Named(u"named", 4)),
        ("tags", Tags([u"p", u"q"])),
        ("table", table),
        ("kept", Kept(1, u"b")),
        ("unit", u"Unit"),
        ("variant", {u"Newtype": 5}),
        ("old_variant", (u"Newtype", 6)),
    ]
    if NEW:
        all_values += [
            ("bytes", b"\x00\xff\n"),
            ("empty_bytes", b""),
            ("data", Data("outer", inner=Data("inner", 8))),
            ("frozen", Frozen("frozen", 9)),
            ("simple", types.SimpleNamespace(name="simple", size=10)),
            ("color", Color.RED),
        ]
    return collections.OrderedDict(all_values)


def main():
    folder = os.path.join(os.path.dirname(__file__), "..", "fixtures", "serde")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        name = "python%d.%d-%d.pkl" % (sys.version_info[0], sys.version_info[1], protocol)
        kept = {}
        for key, value in values().items():
            try:
                pickle.dumps(value, protocol)
            except (TypeError, pickle.PicklingError):
                continue  # slots below protocol 2
            kept[key] = value
        with open(os.path.join(folder, name), "wb") as file:
            file.write(pickle.dumps(kept, protocol))


if __name__ == "__main__":
    main()
