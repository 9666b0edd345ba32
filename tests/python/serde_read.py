"""Has CPython's unpicklers, in C and in Python, read what depickle wrote of Rust values.

Usage: python tests/python/serde_read.py PATH-TO-EXAMPLE-serde_values
"""

import math
import pathlib
import pickle
import subprocess
import sys
import tempfile


def expected(tuples):
    edges = [1 << bits for bits in (0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 126)]
    unit = ("Unit",) if tuples else "Unit"

    def variant(name, value):
        return (name, value) if tuples else {name: value}

    return {
        "units": (None, None, (True, False)),
        "integers": [n for e in edges for n in (e - 1, e, -e, -e - 1)]
        + [-(1 << 127), (1 << 127) - 1],
        "largest": (1 << 128) - 1,
        "floats": [0.0, -0.0, 0.1, -1.5e300, 5e-324, math.inf, -math.inf],
        "texts": ["", "a", "é€😀", "\\u0041 \n \r \0 \x1a '\"", "\x85\u2028"],
        "long_text": "€" * 50_000,
        "chars": ["a", "\U0010ffff"],
        "bytes": [b"", bytes(range(256))],
        "tuples": (None, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "lists": [[], [7], list(range(1000)), list(range(2001))],
        "points": [{"x": n, "y": -n} for n in range(3)],
        "numbered": {-1: "minus", 1 << 40: "large"},
        "keyed": {(1, ()): None, (1, (2, 3)): None},
        "large": {n: n * n for n in range(1001)},
        "variants": [
            unit,
            variant("Newtype", 5),
            variant("Tuple", [1, True]),
            variant("Struct", {"a": None}),
            unit,
        ],
    }


def main():
    bad = seen = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        for path in sorted(pathlib.Path(folder).glob("*.pkl")):
            stream = path.read_bytes()
            for loads in (pickle.loads, pickle._loads):
                value = loads(stream)
                wanted = expected(path.name.startswith("TUPLES"))
                seen += 1
                # repr tells True from 1 and 0.0 from -0.0.
                if repr(value) != repr(wanted):
                    bad += 1
                    wrong = [key for key in wanted if repr(wanted[key]) != repr(value.get(key))]
                    print(path.name, loads.__module__, "differ in", wrong)
            names = [next(iter(point)) for point in value["points"]]
            if len({id(name) for name in names}) != 1:
                bad += 1
                print(path.name, "names of fields are not shared")
    print(seen, "read,", bad, "differ")
    return bad != 0 or seen != 24


if __name__ == "__main__":
    sys.exit(main())
