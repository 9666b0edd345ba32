"""Asks CPython's C unpickler about every case of tests/corpus.

Usage: python tests/python/corpus.py

A case must succeed where CPython does, with the same value, and fail where it fails, unless it
says `; differs ROW`; then it must not. `; resolve` asks for the builtins themselves instead of
stand-ins. CPython 3.11.
"""

import io
import pathlib
import pickle
import re
import resource
import struct
import sys
import warnings

import pickletools
import tagged

CODES = {op.name: op for op in pickletools.opcodes}
SIZES = {"uint1": "<B", "uint2": "<H", "uint4": "<I", "uint8": "<Q", "int4": "<i"}
ESCAPES = {"n": 10, "r": 13, "t": 9, '"': 34, "\\": 92}


def quoted(text):
    def byte(match):
        escape = match[1]
        return bytes([int(escape[1:], 16) if escape[0] == "x" else ESCAPES[escape]])

    return re.sub(rb"\\(x..|.)", lambda m: byte([m[0], m[1].decode()]), text.encode())


def tokens(line):
    for match in re.finditer(r'\s*(?:;.*|"((?:[^"\\]|\\.)*)"|([^\s;"]+))', line):
        if match[1] is not None:
            yield quoted(match[1])
        elif match[2] is not None:
            yield match[2]


def raw(token):
    return token.encode() if isinstance(token, str) else token


def integer(word):
    return int(word, 16 if word.startswith("0x") else 10)


def counted(op, token):
    if isinstance(token, str):
        token = pickle.encode_long(integer(token))
    form = {-2: "<B", -3: "<i", -4: "<I", -5: "<Q"}[op.arg.n]
    return struct.pack(form, len(token)) + token


def assemble(text):
    out = []
    for line in text.split("\n"):
        name, *operands = [*tokens(line)] or [None]
        if name is None:
            continue
        if name == ".bytes":
            out.append(operands[0])
            continue
        op = CODES[name]
        out.append(op.code.encode("latin1"))
        if op.arg is None:
            continue
        if op.arg.name in SIZES:
            out.append(struct.pack(SIZES[op.arg.name], integer(operands[0])))
        elif op.arg.name == "float8":
            word = operands[0]
            bits = word.startswith("0x")
            out.append(struct.pack(">Q", int(word, 16)) if bits else struct.pack(">d", float(word)))
        elif op.arg.n == pickletools.UP_TO_NEWLINE:
            out.extend(raw(operand) + b"\n" for operand in operands)
        else:
            out.append(counted(op, operands[0]))
    return b"".join(out)


def ask(data, resolve):
    """What each pickle of the stream gives, in the words of the cases."""
    # A reader that holds all of it, as pickle.loads does: frames then mean nothing.
    file, out = io.BufferedReader(io.BytesIO(data), len(data) + 1), []
    while file.tell() < len(data) or not out:
        try:
            out.append("= " + tagged.to_json(tagged.Unpickler(file, resolve).load()))
        except Exception as why:
            out.append("! %s: %s" % (type(why).__name__, why))
            break
    return out


def same(ours, theirs):
    """Sets have no order in CPython; errors have words of their own."""
    order = lambda text: "".join(sorted(text)) if "set" in text else text
    strip = lambda line: "!" if line.startswith("!") else order(line)
    return [strip(line) for line in ours] == [strip(line) for line in theirs]


def main():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # CPython's memo takes what it can.
    warnings.simplefilter("ignore")  # Escapes that CPython will refuse one day.
    wrong = seen = 0
    for path in sorted(pathlib.Path(__file__).parents[1].glob("corpus/**/*.pkla")):
        for case in path.read_text().split("\n;; ")[1:]:
            name, _, text = case.partition("\n")
            lines = text.split("\n")
            if any(line.startswith(("; forbid ", "; extension ")) for line in lines):
                continue
            seen += 1
            ours = [line[2:] for line in lines if line.startswith(("; = ", "; ! "))]
            differs = [line for line in lines if line.startswith("; differs ")]
            theirs = ask(assemble(text), "; resolve" in lines)
            if same(ours, theirs) == bool(differs):
                wrong += 1
                print(f"{path.name}: {name}: {differs}\n  ours   {ours}\n  theirs {theirs}")
    print(f"{seen} cases, {wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
