"""Looks for streams that depickle and CPython's C unpickler read differently.

Usage: python tests/python/differ.py PATH-TO-EXAMPLE-tagged_json [--seed N] [--rounds N]
       python tests/python/differ.py --serve

Streams are made of operations at random, and of what CPython wrote by changing it. Differences
that docs/pickle-differences.md has a row for are counted, any other is printed and fails.

With --serve it judges for somebody else (the fuzz target `cpython`): a stream and what the example
would say of it come in, each behind its length, and a line goes out for both: the row, or what
differs.
"""

import argparse
import collections
import io
import json
import random
import resource
import struct
import subprocess
import sys
import warnings
import zipfile

import pickletools
import tagged
from pickles import OUT

OPS = pickletools.opcodes
NAMES = {op.code.encode("latin1")[0]: op.name for op in OPS}

# What CPython says, or we say, where a row of the table applies.
THEIRS_ONLY = {
    "made-arguments": (
        "kwargs argument must be a dict, not Made",
        "argument list must be a tuple",
        "expected an arg tuple, got Made",
        "expected an arg tuple, got Persistent",
        "args argument must be a tuple, not Made",
        "args argument must be a tuple, not Persistent",
    ),
    "made-classes": ("must be a type, not Made", "must be a type, not Persistent"),
    "keyword-names": ("keywords must be strings",),
    "extension-codes": ("unregistered extension code",),
    "memo-index": ("MemoryError",),
    "buffer-keys": ("cannot hash writable memoryview",),
}
OURS_ONLY = {
    "list-setitem": ("a dict wanted, list found",),
    "bytearray-append": ("a list wanted, bytearray found", "a list wanted, other object found"),
    "readonly-bytearray": ("a buffer wanted, bytearray found",),
    "python2-names": ("two texts wanted, str found",),
}

LINES = [
    *("0", "1", "00", "01", "-1", "1L", "0x1f", "010", "1_0", "1.5", "inf", "nan", "1e400", "0b1"),
    *("'a'", '"b"', "'\\x41'", "'\\", "a", "abc", "\\u0041", "\\ud800", "\\", "", " 1", "1 "),
    *("1\0", "\xe9", "m", "C", "12345678901234567890", "1\r", "+1", "_", "1e5", "'\\777'", "'\\08'"),
]
TEXTS = [
    *(b"", b"a", b"b", b"m", b"C", b"\xc3\xa9", b"\xff", b"\xed\xa0\x80", b"\0", b"\1", b"\xff\xff"),
]
FLOATS = [0.0, -0.0, 1.0, 1.5, 2.0**63, 1e300, float("nan")]


def operand(pick, op):
    if op.arg is None:
        return b""
    n = op.arg.n
    if n == pickletools.UP_TO_NEWLINE:
        lines = 2 if op.arg.name == "stringnl_noescape_pair" else 1
        if op.name in ("GET", "PUT") and pick.random() < 0.8:
            return b"%d\n" % pick.randrange(4)
        return b"".join(pick.choice(LINES).encode("latin1") + b"\n" for _ in range(lines))
    if op.name in ("BINPUT", "BINGET", "LONG_BINPUT", "LONG_BINGET"):
        return pick.choice((0, 0, 1, 1, 2, 3, 200)).to_bytes(n, "little")
    if op.name == "PROTO":
        return bytes([pick.choice((0, 2, 3, 4, 5, 5, 6))])
    if op.name == "FRAME":
        return struct.pack("<Q", pick.choice((0, 1, 2, 5, 1000)))
    if n > 0:
        if op.arg.name == "float8" and pick.random() < 0.7:
            return struct.pack(">d", pick.choice(FLOATS))
        if pick.random() < 0.3:
            return pick.randbytes(n)
        return pick.choice((0, 1, 1, 2, 255)).to_bytes(n, "little")
    data = pick.choice((*TEXTS, pick.randbytes(9)))
    form = {-2: "<B", -3: "<i", -4: "<I", -5: "<Q"}[n]
    wrong = pick.choice((1, -1, 100)) if pick.random() < 0.02 else 0
    if len(data) + wrong < 0 and n != -3:
        wrong = 0
    return struct.pack(form, len(data) + wrong) + data


MAKERS = [op for op in OPS if not op.stack_before and op.stack_after]
TAKERS = [op for op in OPS if op.stack_before]
OTHERS = [op for op in OPS if not op.stack_before and not op.stack_after]
SMALL = [
    op
    for op in OPS
    if op.name.startswith(("EMPTY_", "NEWTRUE", "BINGET", "GLOBAL", "NONE", "MARK"))
    or op.name in ("BININT1", "SHORT_BINUNICODE")
]


def made(pick):
    """Operations at random, of which most find what they need."""
    out = []
    for _ in range(pick.randrange(1, 25)):
        op = pick.choice(pick.choices((MAKERS, TAKERS, OTHERS, SMALL), (3, 5, 1, 5))[0])
        if op.name == "STOP" and pick.random() < 0.9:
            continue
        out.append(op.code.encode("latin1") + operand(pick, op))
    return b"".join(out) + b"."


# Pieces that leave one object each, so that longer streams are read to their end.
WHOLE = [
    *(b"N", b"K\1", b"K\2", b"\x88", b"G\x3f\xf0\0\0\0\0\0\0", b"G\x7f\xf8\0\0\0\0\0\1"),
    *(b"]", b"}", b")", b"\x8f", b"Va\n", b"U\1a", b"U\1\xe9", b"C\1a", b"V\xe9\n", b"cm\nC\n"),
    *(b"cm\nf\n", b"cm\nC\n)\x81", b"cm\nf\n)R", b"(im\nC\n", b"(cm\nC\no", b"(\x91", b"Pk\n"),
    *(b"NQ", b"\x96\1\0\0\0\0\0\0\0a", b"\x97", b"\x97\x98", b"J\xff\xff\xff\x7f"),
    *(b"\x8a\x09\0\0\0\0\0\0\0\0\1", b"G\x43\xf0\0\0\0\0\0\0"),
    b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0",
    b"ccopyreg\n_reconstructor\n(cm\nC\ncbuiltins\nobject\nNtR",
]

# Code, objects it takes, objects it leaves; those with a mark bring what they take.
MOVES = [
    *((b"a", 2, 1), (b"b", 2, 1), (b"R", 2, 1), (b"\x81", 2, 1), (b"s", 3, 1), (b"s", 3, 1)),
    *((b"\x85", 1, 1), (b"\x86", 2, 1), (b"\x87", 3, 1), (b"0", 1, 0), (b"2", 1, 2), (b"Q", 1, 1)),
    *((b"\x92", 3, 1), (b"\x93", 2, 1), (b"\x98", 1, 1), (b"u", 1, 1), (b"e", 1, 1)),
    *((b"\x90", 1, 1), (b"l", 0, 1), (b"t", 0, 1), (b"d", 0, 1), (b"\x91", 0, 1), (b"o", 0, 1)),
]


def piece(pick, memo, again):
    """An object: one of the memo with this probability, or a new one."""
    if memo and pick.random() < again:
        return b"h%c" % pick.randrange(memo)
    return pick.choice(WHOLE)


def sound(pick):
    """A stream that mostly keeps the rules: objects of all kinds put into each other."""
    out, depth, memo = [], 0, 0
    for _ in range(pick.randrange(1, 40)):
        if depth < 2 or pick.random() < 0.4:
            out.append(piece(pick, memo, 0.25))
            if pick.random() < 0.5:
                out.append(b"\x94")
                memo += 1
            depth += 1
            continue
        code, takes, leaves = pick.choice(MOVES)
        if takes > depth:
            continue
        if code in b"ltd\x91ue\x90o":
            many = pick.randrange(4) * (2 if code in b"du" else 1)
            out += [b"(", *(piece(pick, memo, 0.4) for _ in range(many)), code]
        else:
            out.append(code)
        depth += leaves - takes
        if pick.random() < 0.3:
            out.append(b"\x94")
            memo += 1
    while depth > 1:
        out.append(pick.choice((b"\x86", b"\x86", b"\x87" if depth > 2 else b"\x86")))
        depth -= 2 if out[-1] == b"\x87" else 1
    return b"".join(out) + b"."


def spelled(pick):
    """One operation whose operand is a line, of the characters that matter to it."""
    code, alphabet = pick.choice(SPELLINGS)
    line = "".join(pick.choices(alphabet, k=pick.choice((0, 1, 2, 3, 4, 5, 8, 12))))
    line = line.encode("latin1")
    if code == b"S" and pick.random() < 0.8:
        quote = pick.choice((b"'", b'"'))
        line = quote + line + quote
    if code in b"gp":
        return b"NNq\0q\1q\7q\x0a0" + code + line + b"\n."
    return code + line + b"\n."


SPELLINGS = [
    (b"I", "0012789xXobBf_+- \t\x0b\r\0L.e"),
    (b"L", "0012789xXobBf_+- \x0b\r\0LLl"),
    (b"F", "00129..eE+-_ \0infatyINF"),
    (b"F", "0123456789.e-+"),
    (b"S", "ab\\\\\\nrtx0178uNf'\"\r\0\xe9"),
    (b"V", "\\\\\\uU00011dDfF8xN{}\r\0\xe9\xff"),
    (b"P", "ab \0\r\xe9'"),
    (b"g", "0017_+- xL\0\r"),
    (b"p", "0017_+- xL\0\r"),
    (b"c", "ab.\0\r \xc3\xa9\xed\xa0\x80"),
]


def key(pick, depth=2):
    """A key, of which many equal each other."""
    if depth and pick.random() < 0.3:
        parts = b"".join(key(pick, depth - 1) for _ in range(pick.randrange(3)))
        return b"(" + parts + pick.choice((b"t", b"\x91"))
    if pick.random() < 0.1:
        return pick.choice((b"Va\n", b"U\1a", b"C\1a", b"\x88", b"\x89", b"N", b"V\xe9\n"))
    if pick.random() < 0.1:
        return b"G\x7f\xf8\0\0\0\0\0" + pick.choice((b"\0", b"\1"))
    value = 2 ** pick.choice((0, 1, 31, 53, 62, 63, 64, 70, 200, 1023)) + pick.choice((0, 0, 0, 1, -1))
    value *= pick.choice((1, -1))
    if pick.random() < 0.5:
        return b"G" + struct.pack(">d", value + pick.choice((0, 0, 0, 0.5)))
    data = value.to_bytes(value.bit_length() // 8 + 1 + pick.randrange(2), "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def keyed(pick):
    """A dict or set of such keys."""
    keys = [key(pick) for _ in range(pick.randrange(2, 12))]
    if pick.random() < 0.3:
        return b"(" + b"".join(keys) + b"\x91."
    return b"(" + b"".join(k + b"K%c" % n for n, k in enumerate(keys)) + b"d."


def changed(pick, streams):
    """A stream of CPython's, with some bytes changed."""
    data = bytearray(pick.choice(streams))
    for _ in range(pick.choice((1, 1, 2, 5))):
        at = pick.randrange(len(data))
        how = pick.randrange(5)
        if how == 0:
            data[at] = pick.randrange(256)
        elif how == 1:
            data[at] = ord(pick.choice(OPS).code)
        elif how == 2:
            del data[at : at + pick.randrange(1, 5)]
        elif how == 3:
            data[at:at] = made(pick)[:-1]
        else:
            other = pick.choice(streams)
            begin = pick.randrange(len(other))
            data[at:at] = other[begin : begin + pick.randrange(1, 30)]
        if not data:
            break
    return bytes(data)


def theirs(stream):
    file = io.BufferedReader(io.BytesIO(stream), len(stream) + 1)
    try:
        value = tagged.Unpickler(file).load()
    except Exception as why:
        return "! %s: %s" % (type(why).__name__, why)
    return "= %d %s" % (file.tell(), tagged.to_json(value))


def ours(example, streams):
    data = b"".join(struct.pack("<I", len(stream)) + stream for stream in streams)
    out = subprocess.run([example], input=data, stdout=subprocess.PIPE, check=True).stdout
    # Only "\n" ends a line: texts may hold other separators.
    return out.decode().split("\n")[:-1]


def sort_sets(value):
    if isinstance(value, list):
        return [sort_sets(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {"$call" if key == "$object" else key: sort_sets(item) for key, item in value.items()}
    for key in ("$set", "$frozenset"):
        if isinstance(out.get(key), list):
            out[key] = sorted(out[key], key=json.dumps)
    return out


def row_of(us, them, stream):
    """The row of the table that explains a difference; None if none does."""
    if us[0] == them[0] == "!":
        return "same"
    if "'bytearray'" in them and b"\x97" in stream:
        return "buffer-keys"  # A read-only view has the hash of what it views.
    for said, line, rows in ((them[0], them, THEIRS_ONLY), (us[0], us, OURS_ONLY)):
        if said == "!":
            return next((row for row, texts in rows.items() if any(t in line for t in texts)), None)
    if us == them:
        return "same"
    # Sets have no order; OBJ and INST call, or instantiate, as the class turns out.
    (_, we_read, we), (_, they_read, they) = us.split(" ", 2), them.split(" ", 2)
    # As text: to Python 1, 1.0 and True are the same.
    we, they = (json.dumps(sort_sets(json.loads(text))) for text in (we, they))
    if we_read == they_read and we == they:
        return "same"
    return None


def bound_memory():
    """LONG_BINPUT makes CPython fill a memo of 16 bytes for each index up to its own (the row
    `memo-index`): with gigabytes to fill, a stream of 10 bytes takes seconds."""
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))


def serve():
    def part():
        size = sys.stdin.buffer.read(4)
        if len(size) < 4:
            sys.exit()
        return sys.stdin.buffer.read(struct.unpack("<I", size)[0])

    bound_memory()
    while True:
        stream, us = part(), part().decode()
        tagged.EFFECTS.clear()
        them = theirs(stream)
        row = row_of(us, them, stream)
        text = row or "differs %r\tours %r\ttheirs %r" % (stream, us[:300], them[:300])
        print(text, flush=True)


def main():
    if sys.argv[1:] == ["--serve"]:
        warnings.simplefilter("ignore")
        return serve()
    parser = argparse.ArgumentParser()
    parser.add_argument("example")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    bound_memory()
    values = zipfile.ZipFile(OUT).read("values")
    known, at = [], 0
    while at < len(values):
        (length,) = struct.unpack_from("<I", values, at)
        known.append(values[at + 4 : at + 4 + length])
        at += 4 + length
        at += 4 + struct.unpack_from("<I", values, at)[0]
    # What calls of builtins mean is tests/pickles.rs's; here no call is made.
    known = [s for s in known if len(s) < 400 and b"builtin" not in s and b"_codecs" not in s]
    rows, good, bad = collections.Counter(), 0, 0
    for round in range(args.rounds):
        pick = random.Random(args.seed * 1000 + round)
        streams = [make(pick) for _ in range(4000) for make in (made, sound)]
        streams += [changed(pick, known) for _ in range(8000)]
        streams += [make(pick) for _ in range(4000) for make in (spelled, keyed)]
        for stream, us in zip(streams, ours(args.example, streams)):
            them = theirs(stream)
            row = row_of(us, them, stream)
            rows[row] += 1
            good += them[0] == "="
            if row is None:
                bad += 1
                if bad <= 40:
                    print(stream, "\n  ours   ", us[:300], "\n  theirs ", them[:300])
    print(dict(rows), good, "read")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
