"""Runs CPython's own tests of its unpickler and asks depickle about every stream in them.

Usage: python tests/python/pickletester.py PATH-TO-EXAMPLE-tagged_json

What CPython's C unpickler refuses must be refused here, and what it loads must be read, but for
the rows of docs/pickle-differences.md named below. Every stream that is refused must also be a
case of tests/corpus, so that `cargo test` holds it without Python. CPython 3.11 with its test
package (some distributions leave it out: nothing is checked then).
"""

import pickle
import pathlib
import sys
import unittest
import warnings

import corpus
import differ

try:
    from test import pickletester
except ImportError:
    pickletester = None

SEEN = {}  # By stream: whether CPython refuses it.


class Recording:
    """Loads as the tests ask, and writes down what came of it."""

    def loads(self, data, **keywords):
        # Other encodings are the caller's words, not the stream's.
        count = bytes(data) not in SEEN and "encoding" not in keywords and "buffers" not in keywords
        try:
            value = pickle.loads(data, **keywords)
        except Exception as why:
            if count:
                SEEN[bytes(data)] = why
            raise
        if count:
            SEEN[bytes(data)] = None
        return value


# What CPython says where it refuses what depickle cannot or does not look at: the row
# `globals-by-name` of docs/pickle-differences.md, and buffers that the program has to give.
EXCUSES = ["must be a type", "out-of-band data but no"]
STREAMS = {b"cbuiltins\nlen\n)\x81.", b"cbuiltins\nlen\n)}\x92."}


def excused(stream, why):
    names = isinstance(why, (AttributeError, ImportError)) or stream in STREAMS
    return names or any(words in str(why) for words in EXCUSES)


def record():
    class Unpickle(Recording, pickletester.AbstractUnpickleTests, unittest.TestCase):
        unpickler = pickle.Unpickler
        bad_stack_errors = (pickle.UnpicklingError,)
        truncated_errors = (pickle.UnpicklingError, EOFError)

    class Written(Recording, pickletester.AbstractPickleTests, pickletester.AbstractPickleModuleTests, unittest.TestCase):
        pickler, unpickler = pickle.Pickler, pickle.Unpickler
        Pickler, Unpickler = pickle.Pickler, pickle.Unpickler
        optimized = True

        def dumps(self, value, protocol=None, **keywords):
            return pickle.dumps(value, protocol, **keywords)

        dump, load = staticmethod(pickle.dump), staticmethod(pickle.load)

    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in (Unpickle, Written)
    )
    result = unittest.TestResult()
    suite.run(result)
    return result


def held():
    """Every stream of tests/corpus."""
    for path in pathlib.Path(__file__).parents[1].glob("corpus/**/*.pkla"):
        for case in path.read_text().split("\n;; ")[1:]:
            yield corpus.assemble(case.partition("\n")[2])


def main():
    if pickletester is None:
        print("no test package here: nothing was compared")
        return 0
    warnings.simplefilter("ignore")
    result = record()
    streams = [stream for stream in SEEN if len(stream) < 1 << 20]
    ours = differ.ours(sys.argv[1], streams)
    cases, wrong, refused = set(held()), 0, 0
    for stream, line in zip(streams, ours):
        why = SEEN[stream]
        refused += why is not None
        if (why is not None) != line.startswith("!") and not excused(stream, why):
            wrong += 1
            print(f"{stream[:100]!r}\n  CPython  {why!r}\n  depickle {line[:200]}")
        elif why is not None and stream not in cases and not excused(stream, why):
            wrong += 1
            print(f"no case of tests/corpus: {stream[:100]!r} ({why!r})")
    print(f"{len(streams)} streams of {result.testsRun} tests, {refused} refused, {wrong} wrong")
    return wrong != 0 or refused < 150


if __name__ == "__main__":
    sys.exit(main())
