"""Has CPython's C unpickler read what depickle wrote.

Usage: python tests/python/encode.py PATH-TO-EXAMPLE-rewrite [--rounds N]

Streams that CPython wrote, and random ones, are written again in every protocol; what CPython
makes of both, calls left undone, must be the same.
"""

import argparse
import json
import random
import re
import struct
import subprocess
import sys
import warnings
import zipfile

import differ
import pickletools
from pickles import OUT

# Calls take the place of these where a protocol has no operation for them.
SINCE = {"NEWOBJ": 2, "NEWOBJ_EX": 4, "EXT1": 6, "EXT2": 6, "EXT4": 6}


def rewritten(example, streams, *arguments):
    data = b"".join(struct.pack("<I", len(s)) + s for s in streams)
    out = subprocess.run([example, *arguments], input=data, capture_output=True, check=True).stdout
    at = 0
    for _ in streams:
        (length,) = struct.unpack_from("<I", out, at)
        yield out[at + 4 : at + 4 + length]
        at += 4 + length


def least(stream):
    """The protocol from which on every operation of a stream has its like."""
    needed = 0
    for op, arg, _ in pickletools.genops(stream):
        needed = max(needed, SINCE.get(op.name, 0))
        if op.name in ("GLOBAL", "INST", "STACK_GLOBAL", "FROZENSET", "ADDITEMS"):
            # Dotted names, and sets in sets, are calls of their own below 4.
            dotted = op.name == "STACK_GLOBAL" or "." in str(arg).split(" ")[-1]
            if dotted or op.name in ("FROZENSET", "ADDITEMS"):
                needed = max(needed, 4)
    return needed


def ordered(text):
    """Sets have no order; OBJ and INST call, or instantiate, as the class turns out. Buffers
    are numbered as they are asked for, which may be another order."""
    text = re.sub(r'"\$buffer":\d+', '"$buffer":0', text)
    return json.dumps(differ.sort_sets(json.loads(text)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("example")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    values, streams, at = zipfile.ZipFile(OUT).read("values"), [], 0
    while at < len(values):
        (length,) = struct.unpack_from("<I", values, at)
        streams.append(values[at + 4 : at + 4 + length])
        at += 4 + length
        at += 4 + struct.unpack_from("<I", values, at)[0]
    pick = random.Random(7)
    for _ in range(args.rounds):
        streams += [make(pick) for _ in range(2000) for make in (differ.sound, differ.keyed)]
    said = [differ.theirs(stream) for stream in streams]
    bad = compared = 0
    for protocol in range(6):
        for extra in ([], ["--memoize-all"]):
            again = rewritten(args.example, streams, str(protocol), *extra)
            for stream, before, new in zip(streams, said, again):
                if before[0] != "=" or not new:
                    continue
                try:
                    if least(stream) > protocol:
                        continue
                except ValueError:
                    continue
                after = differ.theirs(new)
                compared += 1
                body = [text.split(" ", 2)[-1] for text in (before, after)]
                if body[0] != body[1] and (after[0] == "!" or ordered(body[0]) != ordered(body[1])):
                    bad += 1
                    if bad <= 20:
                        print(protocol, extra, stream, new, *body, sep="\n  ")
    print(compared, "compared,", bad, "differ")
    return bad != 0 or compared < 20_000


if __name__ == "__main__":
    sys.exit(main())
