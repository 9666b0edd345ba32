"""Writes tests/fixtures/numpy_old/values.zip: what numpy 1.16 pickled on Python 2, and of newer ones what
numpy_fixtures.py has not: `longdouble`, masked arrays of all forms, random generators, classes.

Usage: PYTHON numpy_old.py write PART      with numpy 1.16.6 (CPython 2.7.18), 1.26.4 and 2.4.6 (3.11)
       python3 numpy_old.py pack PART...   joins the parts into the fixture

Each record of the one member is the length (u32, little-endian) and the text of a JSON object,
then as many streams as its "streams" says, each with its length before it. The values are the
same each time; the padding of `longdouble` is what numpy left there.
"""

from __future__ import print_function

import collections
import hashlib
import json
import os
import struct
import sys
import zipfile

try:
    import cPickle as pickle
except ImportError:
    import pickle

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/numpy_old/values.zip")
PYTHON2 = sys.version_info[0] == 2


def text(value):
    """A str of Python 3, whatever holds it."""
    return value.decode("latin1") if isinstance(value, bytes) else value


def hexed(value):
    return text(b"".join(b"%02x" % byte for byte in bytearray(value)))


def points(value):
    """Code points of a text."""
    raw = value.encode("utf-32-le") if PYTHON2 else value.encode("utf-32-le", "surrogatepass")
    return list(struct.unpack("<%dI" % (len(raw) // 4), raw))


def value_of(element, dtype):
    """One element as JSON: what numpy says it is."""
    if dtype.subdtype:
        base, _ = dtype.subdtype
        flat = np.asarray(element, dtype=base).reshape(-1)
        return [value_of(flat[i], base) for i in range(len(flat))]
    if dtype.names is not None:
        if isinstance(element, tuple):  # Of a structure with objects, as pickled.
            return [value_of(part, dtype.fields[name][0]) for part, name in zip(element, dtype.names)]
        return [value_of(element[name], dtype.fields[name][0]) for name in dtype.names]
    kind = dtype.kind
    if kind == "b":
        return bool(element)
    if kind in "iu":
        return str(int(element))
    if kind == "f":
        exact = np.isnan(element) or type(element)(float(element)) == element
        return repr(float(element)) if exact else None
    if kind == "c":
        return [value_of(part, np.dtype(type(part))) for part in (element.real, element.imag)]
    if kind == "S":
        return hexed(bytes(element))
    if kind == "U":
        return points(element)
    if kind in "Mm":
        raw = int(np.asarray(element).astype(dtype.newbyteorder("=")).view("i8"))
        generic = np.datetime_data(dtype)[0] == "generic" and raw != -(2**63)
        return [str(raw), str(element) if kind == "M" and not generic else None]
    if kind == "V":
        return hexed(element.tobytes())
    if element is None or isinstance(element, (bool, int, float)):
        return repr(element)
    return "str:" + text(element)


def straighten(raw, out, dtype, start):
    """Copies the elements of a row of bytes each, every number little-endian, without padding."""
    if dtype.names is not None:
        for name in dtype.names:
            field = dtype.fields[name]
            straighten(raw, out, field[0], start + field[1])
    elif dtype.subdtype:
        base, shape = dtype.subdtype
        for i in range(int(np.prod(shape))):
            straighten(raw, out, base, start + i * base.itemsize)
    else:
        width = {"U": 4, "c": dtype.itemsize // 2}.get(dtype.kind, dtype.itemsize)
        step = -1 if dtype.byteorder == ">" else 1
        for at in range(start, start + dtype.itemsize, width or 1):
            out[:, at : at + width] = raw[:, at : at + width][:, ::step]


def little(array):
    """Row-major bytes, every number little-endian, what is between fields zero."""
    stored = np.ascontiguousarray(array).reshape(array.shape).tobytes()
    if array.dtype.itemsize == 0 or array.size == 0:
        return b""
    raw = np.frombuffer(stored, "u1").reshape(-1, array.dtype.itemsize)
    out = np.zeros_like(raw)
    straighten(raw, out, array.dtype, 0)
    if array.dtype.names is None and not array.dtype.subdtype and array.dtype.kind != "f":
        assert out.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    return out.tobytes()


def dtype_facts(dtype):
    legacy = getattr(type(dtype), "_legacy", True)
    facts = {
        "code": text(dtype.str) if legacy else None,
        "itemsize": dtype.itemsize,
        "aligned": bool(dtype.isalignedstruct),
    }
    if dtype.names is not None:
        facts["offsets"] = [dtype.fields[name][1] for name in dtype.names]
    return facts


def array_facts(array):
    dtype = array.dtype
    facts = {"dtype": dtype_facts(dtype), "shape": list(array.shape)}
    flat = [array[index] for index in np.ndindex(*array.shape)] if array.shape else [array[()]]
    if getattr(type(dtype), "_legacy", True):
        facts["values"] = [value_of(element, dtype) for element in flat]
    else:
        facts["values"] = [None if x is None else "str:" + x for x in flat]
    if not dtype.hasobject:
        facts["sha256"] = hashlib.sha256(little(array)).hexdigest()
    return facts


def numbers(dtype, count):
    """Some values for a dtype: extremes, then small ones."""
    kind = dtype.kind
    if kind == "b":
        return [i % 3 == 0 for i in range(count)]
    if kind in "iu":
        info = np.iinfo(dtype)
        return ([info.min, info.max, 1] + list(range(2, count)))[:count]
    if kind == "f":
        return ([0.1, -0.0, float("inf"), float("nan"), 1.5, 3e-5] + [i * 0.25 for i in range(count)])[:count]
    if kind == "c":
        return ([0.1 - 2j, complex(0, 1), complex(float("nan"), -0.0)] + [i * (1 + 0.5j) for i in range(count)])[:count]
    if kind == "S":
        return ([b"", b"a", b"a\0b", b"\xff\xfe"] + [b"x"] * count)[:count]
    if kind == "U":
        return ([u"", u"a", u"\xe9\0x", u"\u20ac", u"\U0001f600"] + [u"x"] * count)[:count]
    if kind in "Mm":
        return ([-(2**63), 0, 1, -1, 18321] + list(range(count)))[:count]
    return None


def filled(dtype, shape):
    count = int(np.prod(shape)) if shape else 1
    if dtype.kind in "Mm":
        flat = np.array(numbers(dtype, count), "i8").astype(dtype.newbyteorder("=").str)
        return flat.astype(dtype).reshape(shape)
    if dtype.names is not None or dtype.subdtype or dtype.kind == "V":
        out = np.zeros(shape, dtype)
        flat = out.reshape(-1)
        for i in range(len(flat)):
            fill(flat, i, dtype)
        return out
    if dtype.kind == "O":
        out = np.empty(count, dtype)
        out[:] = ([None, u"text", 7, 2.5, True] + list(range(count)))[:count]
        return out.reshape(shape)
    out = np.zeros(count, dtype)
    out[:] = numbers(dtype, count)
    return out.reshape(shape)


def fill(flat, i, dtype):
    if dtype.names is None:
        flat[i] = np.void(b"\1\2\0\4\5"[: dtype.itemsize])
        return
    for j, name in enumerate(dtype.names):
        field = dtype.fields[name][0]
        if field.names is not None:
            fill(flat[name], i, field)
        elif field.subdtype:
            base, shape = field.subdtype
            flat[name][i] = filled(base, shape)
        elif field.kind == "V":
            fill(flat[name], i, field)
        else:
            flat[name][i] = filled(field, (i + j + 1,))[i + j]


SIMPLE = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16 f16 c32 S5 U3 V5".split()
TIMES = ["M8[%s]" % unit for unit in "Y M W D h m s ms us ns ps fs as 25s".split()]
TIMES += ["m8[ns]", "m8[7D]", "M8", "m8"]


def dtypes():
    for code in SIMPLE + TIMES if PYTHON2 else ["f16", "c32"]:
        yield np.dtype("<" + code)
        swapped = np.dtype(">" + code)
        if swapped.byteorder == ">":
            yield swapped
    if PYTHON2:
        yield np.dtype("O")


def structures():
    inner = np.dtype([("x", "<f4"), ("y", ">i2")])
    yield np.dtype([("a", "<i4"), ("b", "<f8")])
    yield np.dtype([("a", ">i4"), ("b", ">U3", (2,)), ("c", "S2")])
    yield np.dtype([("a", "u1"), ("b", ">f8"), ("c", "<i2")], align=True)
    yield np.dtype([("in", inner), ("many", inner, (2, 2)), ("last", ">M8[s]")])
    yield np.dtype({"names": ["late", "early"], "formats": ["<i2", ">c8"], "offsets": [9, 0], "itemsize": 16})
    yield np.dtype({"names": ["x"], "formats": ["i2"], "offsets": [3], "titles": ["Title"], "itemsize": 10})
    yield np.dtype([(("Title", "x"), "<i2"), ("y", "V3")])
    yield np.dtype([("a", "O"), ("b", "<i4")])
    yield np.dtype([("f", "<f2"), ("l", "?"), ("d", "m8[ms]")])


def forms(dtype):
    """Arrays of a dtype: shapes, orders, steps."""
    square = filled(dtype, (3, 4))
    yield square
    yield np.asfortranarray(square)
    yield square[::2, ::-1]
    yield filled(dtype, ())
    yield filled(dtype, (0,))
    yield filled(dtype, (2, 0, 3))
    cube = filled(dtype, (2, 3, 2))
    yield cube.transpose(1, 0, 2)
    yield np.asfortranarray(cube)


def protocols(every):
    if PYTHON2:
        return [0, 1, 2]
    return range(6) if every else [2, 4, 5]


Record = collections.namedtuple("Record", "facts streams")


def record(kind, value, facts, every=True):
    streams = [pickle.dumps(value, protocol) for protocol in protocols(every)]
    facts = dict(facts, kind=kind, numpy=np.__version__)
    return Record(facts, streams)


def arrays():
    for dtype in list(dtypes()) + (list(structures()) if PYTHON2 else []):
        for i, array in enumerate(forms(dtype)):
            yield record("array", array, array_facts(array), every=i == 0)


def subclasses():
    base = np.arange(6, dtype="<f8").reshape(2, 3)
    chars = np.char.array([u"a", u"bc"])
    records = np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "<i4"), ("b", "<f8")])
    for array, name in [(np.matrix(base), "matrix"), (chars, "chararray"), (records, "recarray")]:
        yield record("array", array, dict(array_facts(np.asarray(array)), dtype=dtype_facts(array.dtype), name=name))


def masked():
    import numpy.ma.mrecords as mrecords

    data = np.arange(6, dtype="<i4").reshape(2, 3)
    mask = np.array([[0, 1, 0], [1, 0, 0]], "?")
    pairs = np.zeros(3, [("a", ">i4"), ("b", "<f4", (2,))])
    pairs_mask = np.array([(True, [False, True]), (False, [False, False]), (True, [True, True])],
                          [("a", "?"), ("b", "?", (2,))])
    objects = np.array([1, None, u"x"], "O")
    for array in [
        np.ma.array(data, mask=mask), np.ma.array(data, mask=mask, fill_value=-7),
        np.ma.array(np.asfortranarray(data), mask=np.asfortranarray(mask)), np.ma.array(data),
        mrecords.fromrecords([(1, 2.0), (3, 4.0)], dtype=[("a", ">i4"), ("b", "<f8")]),
        np.ma.array(pairs, mask=pairs_mask), np.ma.array(objects, mask=[0, 1, 0]),
    ]:
        hidden = np.ma.getmaskarray(array)
        facts = dict(array_facts(np.asarray(array.data)), mask=array_facts(np.asarray(hidden)))
        yield record("masked", array, facts)


def scalars():
    for dtype in list(dtypes()) + (list(structures()) if PYTHON2 else []):
        if dtype.kind == "O":
            continue
        array = filled(dtype, (5,))
        for i in range(5 if dtype.names is None else 1):
            value = array[i]
            if not isinstance(value, np.generic):
                continue
            facts = {"dtype": dtype_facts(value.dtype), "values": [value_of(value, value.dtype)]}
            yield record("scalar", value, facts, every=i == 0)
    record_scalar = np.rec.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")])[0]
    facts = {"dtype": dtype_facts(record_scalar.dtype), "values": [["1", "2.0"]]}
    yield record("scalar", record_scalar, facts)


def more_dtypes():
    for dtype in list(dtypes()) + (list(structures()) if PYTHON2 else []):
        yield record("dtype", dtype, {"dtype": dtype_facts(dtype)})
    for dtype in [np.dtype(("<i4", (2, 3))), np.dtype("<i4", metadata={"a": 1}), np.dtype("V0"), np.dtype([]),
                  np.dtype((np.record, [("a", "<i4")])), np.dtype("S"), np.dtype("U"),
                  np.dtype([("a", "S0"), ("b", np.dtype("V3"), (2, 1)), ("c", "U0")])]:
        yield record("dtype", dtype, {"dtype": dtype_facts(dtype)}, every=False)
    for name in "bool_ int8 uint16 float32 complex128 bytes_ str_ void object_ datetime64".split():
        yield record("class", getattr(np, name), {"dtype": dtype_facts(np.dtype(getattr(np, name)))}, every=False)
    if not PYTHON2:
        for code in "? i1 u2 f4 f8 c16 S U V O M8 m8".split():
            dtype = np.dtype(code)
            yield record("class", type(dtype), {"dtype": dtype_facts(dtype)}, every=False)


def randoms():
    state = np.random.RandomState(5)
    yield record("random", state, {"class": "RandomState", "bits": "MT19937"}, every=False)
    if not PYTHON2:
        for name in "MT19937 PCG64 PCG64DXSM Philox SFC64".split():
            bits = getattr(np.random, name)(5)
            facts = {"class": "BitGenerator", "bits": name}
            yield record("random", bits, facts, every=False)
            facts = {"class": "Generator", "bits": name}
            yield record("random", np.random.Generator(bits), facts, every=False)
        yield record("random", np.random.SeedSequence(5), {"class": "SeedSequence", "bits": None}, every=False)


def write(path):
    count = 0
    with open(path, "wb") as out:
        for make in [arrays, subclasses, masked, scalars, more_dtypes, randoms]:
            for facts, streams in make():
                facts["streams"] = len(streams)
                for part in [json.dumps(facts, sort_keys=True).encode("ascii")] + streams:
                    out.write(struct.pack("<I", len(part)) + part)
                count += 1
    print(np.__version__, count, "records", os.path.getsize(path), "bytes")


def pack(parts):
    with zipfile.ZipFile(OUT, "w", zipfile.ZIP_DEFLATED) as archive:
        all_parts = b"".join(open(part, "rb").read() for part in parts)
        archive.writestr(zipfile.ZipInfo("values"), all_parts, zipfile.ZIP_DEFLATED, 9)
    print(os.path.getsize(OUT), "bytes packed")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        import numpy as np

        write(sys.argv[2])
    else:
        pack(sys.argv[2:])
