"""Makes tests/fixtures/numpy/VERSION.zip: arrays and scalars as numpy pickles them, with what it says.

    python numpy_fixtures.py      (with numpy 1.26.4, then with numpy 2.4.6)

One member, `cases`: streams and JSON in turn, each behind its length (u32, little-endian).
"""

import hashlib
import json
import pathlib
import pickle
import struct
import warnings
import zipfile

import numpy as np

warnings.simplefilter("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "numpy"

SIMPLE = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", "g",
          "S5", "U3", "V4", "M8[ns]", "M8[D]", "M8[25s]", "m8[us]", "m8", "O"]
STRUCTS = [
    np.dtype([("a", "<i4"), ("b", ">f8"), ("c", "S3")]),
    np.dtype([("a", "u1"), ("b", "f8")], align=True),
    np.dtype([("outer", [("inner", ">u2"), ("grid", "<f4", (2, 3))]), ("last", "U2")]),
    np.dtype({"names": ["x", "y"], "formats": ["i4", "i2"], "offsets": [0, 2], "itemsize": 8}),
]


def fill(dtype, shape):
    count = int(np.prod(shape))
    if dtype.kind == "O":
        values = np.empty(count, dtype)
        values[:] = [(i, f"text {i}") for i in range(count)]
        return values.reshape(shape)
    if dtype.kind in "SU":
        return np.array([chr(65 + i) * (i % 4) for i in range(count)], dtype).reshape(shape)
    if dtype.kind in "Mm":
        values = np.arange(count).astype("i8")
        values = values.astype(dtype)
        values[1:2] = "NaT"
        return values.reshape(shape)
    if dtype.kind in "?biufc":
        with np.errstate(all="ignore"):
            values = ((np.arange(count) * 37 - 11) / 3).astype(dtype.newbyteorder("="))
            if dtype.kind in "fc" and count > 3:
                values[2:4] = [np.nan, -np.inf]
            return values.astype(dtype).reshape(shape)
    data = bytes((i * 7 + 1) % 100 for i in range(count * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape).copy()


def contiguous(array):
    """Row-major bytes, every number little-endian."""
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.dtype.kind == "V":
        return swapped(array)
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def swapped(array):
    data = bytearray(array.tobytes())
    for start in range(0, len(data), max(array.dtype.itemsize, 1)):
        to_little(array.dtype, data, start)
    return bytes(data)


def to_little(dtype, data, start):
    if dtype.subdtype:
        base, shape = dtype.subdtype
        for i in range(int(np.prod(shape))):
            to_little(base, data, start + i * base.itemsize)
    elif dtype.names:
        for name in dtype.names:
            to_little(dtype.fields[name][0], data, start + dtype.fields[name][1])
    elif dtype.byteorder == ">":
        width = {"U": 4, "c": dtype.itemsize // 2}.get(dtype.kind, dtype.itemsize)
        for at in range(start, start + dtype.itemsize, width):
            data[at : at + width] = data[at : at + width][::-1]


def value(item):
    """A single element as JSON."""
    if isinstance(item, (np.datetime64, np.timedelta64)):
        return None if np.isnat(item) else int(item.astype("i8"))
    if isinstance(item, (np.complexfloating, complex)):
        return [repr(float(item.real)), repr(float(item.imag))]
    if isinstance(item, (np.longdouble, np.void)):
        return None
    if isinstance(item, (np.floating, float)):
        return repr(float(item))
    if isinstance(item, (np.bool_, bool)):
        return bool(item)
    if isinstance(item, (np.integer, int)):
        return int(item)
    if isinstance(item, (np.bytes_, bytes)):
        return item.decode("ascii")
    if isinstance(item, tuple):
        return list(item)
    return str(item)


def told(what, array):
    plain = array.dtype.kind not in "VO" and array.dtype.char not in "gG"
    said = {
        "what": what,
        "dtype": array.dtype.str,
        "names": list(array.dtype.names or []),
        "itemsize": array.dtype.itemsize,
        "shape": list(array.shape),
    }
    if array.dtype.hasobject:
        said["values"] = [value(item) for item in np.asarray(array).ravel().tolist()]
    else:
        said["sha256"] = hashlib.sha256(contiguous(array)).hexdigest()
        if plain:
            said["values"] = [value(item) for item in np.asarray(array).ravel()]
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        said["masked"] = np.ascontiguousarray(mask.ravel(order="A" if mask.dtype == bool else "C")).tobytes().hex()
        said["sha256"] = hashlib.sha256(contiguous(array.data)).hexdigest()
        said.pop("values", None)
    return said


def cases():
    for text in SIMPLE:
        for order in "<>" if np.dtype(text).itemsize > 1 and np.dtype(text).kind not in "SVO" else "<":
            dtype = np.dtype(text).newbyteorder(order)
            for shape in [(), (0,), (3, 4), (2, 0, 3)]:
                yield "array", fill(dtype, shape)
            yield "array", np.asfortranarray(fill(dtype, (3, 4)))
            yield "array", np.asfortranarray(fill(dtype, (2, 3, 2)))
            yield "array", fill(dtype, (6, 4))[::2, 1:3]
        if np.dtype(text).kind != "O":
            yield "scalar", fill(np.dtype(text), (4,))[1]
            yield "scalar", fill(np.dtype(text), (4,))[2]
    for dtype in STRUCTS:
        for shape in [(), (5,), (2, 3)]:
            yield "array", fill(dtype, shape)
        # What lies between fields is not copied, and so not the same in two copies.
        if sum(dtype.fields[name][0].itemsize for name in dtype.names) == dtype.itemsize:
            yield "array", np.asfortranarray(fill(dtype, (2, 3)))
        yield "scalar", fill(dtype, (3,))[1]
    yield "array", np.matrix([[1, 2], [3, 4]])
    yield "array", np.rec.array([(1, 2.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
    yield "masked", np.ma.masked_array(np.arange(6.0).reshape(2, 3), mask=[[0, 1, 0], [1, 0, 0]])
    yield "masked", np.ma.masked_array(np.arange(3, dtype=">i2"), mask=False)


def main():
    records, count = bytearray(), 0
    for what, array in cases():
        said = told(what, np.asarray(array) if what == "scalar" else array)
        last = None
        for protocol in range(6):
            stream = pickle.dumps(array, protocol)
            if stream == last:
                continue
            last = stream
            for part in (stream, json.dumps({**said, "protocol": protocol}).encode()):
                records += struct.pack("<I", len(part)) + part
            count += 1
    OUT.mkdir(exist_ok=True)
    with zipfile.ZipFile(OUT / f"numpy-{np.__version__}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        member = zipfile.ZipInfo("cases", (1980, 1, 1, 0, 0, 0))
        archive.writestr(member, bytes(records), zipfile.ZIP_DEFLATED, 9)
    print(np.__version__, count, "streams")


if __name__ == "__main__":
    main()
