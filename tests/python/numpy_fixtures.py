"""Writes tests/fixtures/numpy/VERSION.zip: arrays, scalars and dtypes as numpy pickles them, with
what numpy says of each.

Usage: python tests/python/numpy_fixtures.py, once with numpy 1.26.4 and once with 2.4.6 (CPython
3.11). In the archive stand records, one after the other: a length (4 bytes, little-endian) and
JSON, the same and the pickle, then as many out-of-band buffers as the JSON says.
"""

import hashlib
import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np

warnings.simplefilter("ignore")
FOLDER = os.path.join(os.path.dirname(__file__), "..", "fixtures", "numpy")

NUMBERS = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()
OTHERS = ["S5", "U3", "V6", "M8[ns]", "M8[25s]", "M8[D]", "m8[us]", "m8[Y]", "M8", "m8", "S0", "U0"]
STRUCTS = {
    "plain": [("a", "<i2"), ("b", ">f4"), ("c", "S3")],
    "big": [("a", ">i2"), ("b", ">c16"), ("t", ">U2"), ("d", ">M8[ms]")],
    "nested": [("p", [("x", ">f8"), ("y", "<u2")]), ("q", "?")],
    "subarray": [("m", ">i4", (2, 3)), ("n", [("k", ">u2", (2,)), ("l", "S1")], (2,)), ("w", ">U2", 2)],
    "titles": [(("A title", "a"), "<i4"), (("Other", "b"), "|u1")],
    "empty": [],
}


def structs():
    for name, fields in STRUCTS.items():
        yield name, np.dtype(fields)
    yield "aligned", np.dtype([("a", "i1"), ("b", "f8"), ("c", ">i2")], align=True)
    yield "offsets", np.dtype({"names": ["z", "a"], "formats": [">i4", "u1"], "offsets": [8, 1], "itemsize": 16})
    yield "overlap", np.dtype({"names": ["all", "low"], "formats": ["<u4", "<u2"], "offsets": [0, 0]})
    yield "accent", np.dtype([("n\u00e4me", "<i4")])
    yield "metadata", np.dtype([("a", "<i4")], metadata={"why": "because"})


def filled(dtype, shape):
    """An array of bytes that are any but the same everywhere; the same in every run."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    seed = hashlib.sha256(dtype.str.encode()).digest()
    need = count * dtype.itemsize
    raw = (seed * (need // 32 + 1))[:need]
    if dtype.kind in "?b":
        raw = bytes(byte & 1 for byte in raw)
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(raw, "u1").copy().view(dtype).reshape(shape) if need else np.zeros(shape, dtype)
    if dtype.kind == "U":
        letters = ["a", "\u00e9\u20ac", "\U0001f600xy", "", "zz"]
        array = np.array([letters[i % 5] for i in range(count)], dtype).reshape(shape)
    if dtype.kind in "Mm" and count:
        # Times 25, numpy's own arithmetic would wrap.
        counts = array.view(dtype.str[0] + "i8")
        counts[...] = counts >> 8
        if count > 1:
            array.flat[1] = "NaT"
    return array


def text_free(dtype):
    """Whether random bytes are elements: texts must be Unicode."""
    if dtype.subdtype:
        return text_free(dtype.subdtype[0])
    if dtype.names is not None:
        return all(text_free(dtype[name]) for name in dtype.names)
    return dtype.kind not in "UO"


def record_array(dtype, shape):
    if text_free(dtype):
        return filled(dtype, shape)
    array = np.zeros(shape, dtype)
    for i, name in enumerate(dtype.names):
        if text_free(dtype[name]):
            part = array[name]
            part[...] = filled(part.dtype, part.shape)
        else:
            array[name] = ["e\u00e9", "x", ""][i % 3]
    return array


def raw(array):
    return array.view("V%d" % array.dtype.itemsize) if array.dtype.itemsize else array


def fortran(array):
    """In column-major order, what lies between fields too, which numpy would not copy."""
    return np.asfortranarray(raw(array)).view(array.dtype)


def cases():
    for code in NUMBERS + OTHERS:
        for order in "<>":
            dtype = np.dtype(code).newbyteorder(order)
            if order == ">" and dtype == np.dtype(code):
                continue
            yield filled(dtype, (3, 4))
            yield np.asfortranarray(filled(dtype, (3, 4)))
            yield filled(dtype, ())
            yield filled(dtype, (0,))
            # A scalar of a big-endian time has its bytes turned around already, in numpy itself.
            if order == "<" or dtype.kind not in "Mm":
                yield filled(dtype, (6,))[4]
            yield dtype
    for code in ("f8", ">i2", "U3", "M8[s]"):
        array = filled(code, (2, 3, 4))
        yield array[:, ::2, ::-1]
        yield array.transpose(1, 0, 2)
        yield array.transpose(2, 0, 1)
        yield np.asfortranarray(array)
        yield np.broadcast_to(array, (2, 2, 3, 4))
        yield filled(code, (0, 5)).T
        yield np.asfortranarray(filled(code, (1, 5)))
        yield filled(code, (2,) * 9)
        yield filled(code, (1,) * 32)
    for _, dtype in structs():
        yield dtype
        array = record_array(dtype, (2, 3))
        yield array
        yield fortran(array)
        yield record_array(dtype, ())
        yield array[1, 2]
        if dtype.names:
            yield np.rec.array(raw(array).copy().view(dtype))
            yield np.rec.array(raw(array).copy().view(dtype))[0, 1]
            yield array[list(dtype.names)[:1]]
    yield np.dtype(("<i4", (2, 3)))
    yield np.dtype(("S2", 4))
    values = [1, None, "t\u00e9xt", 2.5, b"\xff", (1, 2)]
    objects = np.empty((2, 3), object)
    objects.flat[:] = values
    objects[1, 2] = (1, 2)
    yield objects
    yield np.asfortranarray(objects)
    yield objects.T
    yield np.array(None, object)
    yield np.zeros((0, 3), object)
    yield np.dtype(object)
    mixed = np.zeros((2, 2), [("n", ">i4"), ("o", object)])
    mixed["o"] = [["a", None], [1, b"x"]]
    mixed["n"] = [[1, 2], [3, 4]]
    yield mixed
    yield np.asfortranarray(mixed)
    for array in (filled("f4", (3, 4)), filled(">i2", (3, 4)), record_array(np.dtype(STRUCTS["nested"]), (2, 2))):
        mask = filled("?", array.shape)
        yield np.ma.array(array, mask=mask if array.dtype.names is None else False)
        yield np.ma.array(fortran(array), mask=np.asfortranarray(mask) if array.dtype.names is None else True)
    yield np.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=-9)
    yield np.ma.array(["a", None], object, mask=[1, 0])
    yield np.matrix([[1, 2], [3, 4]])
    yield np.float64(0.1)
    yield np.bool_(True)
    yield np.str_("\u00e9\U0001f600")
    yield np.bytes_(b"ab\x00c")
    yield np.datetime64("2020-02-29T23:59:58.125")
    yield np.datetime64("NaT")
    yield np.timedelta64(-5, "h")
    yield np.longdouble(1) / 3
    yield np.array([1, 2, 3], np.longdouble)
    yield np.array([1 + 2j], np.clongdouble)
    if hasattr(np.dtypes, "StringDType"):
        yield np.array(["short", "a text of more than fifteen bytes", ""], np.dtypes.StringDType())
        yield np.array([["\u00e9", None]], np.dtypes.StringDType(na_object=None, coerce=False))


def rows(array):
    """Bytes in row-major order, numbers little-endian, what lies between fields as it was."""
    dtype = array.dtype
    if dtype.itemsize == 0 or array.size == 0:
        return b""
    # As raw bytes: of structures, numpy copies the fields only.
    raw = np.frombuffer(array.view("V%d" % dtype.itemsize).tobytes("C"), "u1").copy()
    turned = raw.copy()
    def turn(dtype, at):
        if dtype.subdtype:
            base, shape = dtype.subdtype
            for i in range(int(np.prod(shape))):
                turn(base, at + i * base.itemsize)
        elif dtype.names is not None:
            for name in dtype.names:
                turn(dtype.fields[name][0], at + dtype.fields[name][1])
        elif dtype.byteorder == ">":
            unit = {"U": 4, "c": dtype.itemsize // 2}.get(dtype.kind, dtype.itemsize)
            for start in range(at, at + dtype.itemsize, unit or 1):
                turned[start:start + unit] = raw[start:start + unit][::-1]
    for i in range(array.size):
        turn(dtype, i * dtype.itemsize)
    return turned.tobytes()


def of_dtype(dtype):
    said = {"str": dtype.str, "itemsize": dtype.itemsize, "objects": bool(dtype.hasobject)}
    if dtype.kind == "T":
        said["str"], said["coerce"] = "StringDType()", dtype.coerce
        said["na"] = hasattr(dtype, "na_object")
    if dtype.isalignedstruct:
        said["aligned"] = True
    if dtype.subdtype:
        said["base"] = of_dtype(dtype.subdtype[0])
        said["shape"] = list(dtype.subdtype[1])
    if dtype.names is not None:
        said["fields"] = []
        for name in dtype.names:
            field = dtype.fields[name]
            title = field[2] if len(field) > 2 else None
            said["fields"].append([name, field[1], title, of_dtype(field[0])])
    return said


def of_value(value):
    """A scalar or element that is no structure."""
    if value is None or isinstance(value, (bool, int, str)) and not isinstance(value, np.generic):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, tuple):
        return {"tuple": [of_value(item) for item in value]}
    if isinstance(value, np.generic):
        return of_value(value.item())
    return repr(value)


def plain(array):
    """Elements as values, where JSON and numpy mean the same by them."""
    kind = array.dtype.kind
    if kind == "O" or array.dtype.hasobject or kind == "T":
        return [of_value(item) for item in array.ravel("C").tolist()]
    if kind in "biuSU":
        return [of_value(item) for item in array.ravel("C").tolist()]
    if kind == "M" and np.datetime_data(array.dtype)[0] != "generic":
        return [str(item) for item in array.ravel("C")]
    if kind in "Mm":
        return [int(item) for item in array.ravel("C").view(array.dtype.str[0] + "i8")]
    if kind == "f" and array.dtype.itemsize <= 8:
        return [struct.pack(">d", float(item)).hex() for item in array.ravel("C")]
    return None


def says(value):
    if isinstance(value, np.dtype):
        return {"kind": "dtype", "dtype": of_dtype(value)}
    array = np.asarray(value)
    if isinstance(value, (np.generic, np.record)):
        array = np.empty((), value.dtype)
        array[()] = value
        if isinstance(value, np.void):
            array = np.frombuffer(value.tobytes(), value.dtype).reshape(()) if value.dtype.itemsize else array
        if isinstance(value, np.longdouble):
            array = np.frombuffer(value.tobytes(), value.dtype).reshape(())
    if isinstance(value, np.generic) and value.dtype.itemsize == 0:
        array = np.zeros((), [])  # Of texts, numpy makes one of a character.
    said = {"dtype": of_dtype(value.dtype), "shape": list(array.shape)}
    if not array.dtype.hasobject and array.dtype.kind != "T":
        said["sha256"] = hashlib.sha256(rows(array)).hexdigest()
    values = plain(array)
    if values is not None:
        said["values"] = values
    if isinstance(value, np.generic):
        said["kind"] = "scalar"
    elif isinstance(value, np.ma.MaskedArray):
        said["kind"] = "masked"
        said["mask"] = np.ma.getmaskarray(value).tobytes("C").hex()
        said["mask_dtype"] = of_dtype(np.ma.getmaskarray(value).dtype)
    else:
        said["kind"] = "array"
        said["class"] = type(value).__name__
        flags = value.flags
        said["order"] = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    return said


def main():
    out = io.BytesIO()

    def part(data):
        out.write(struct.pack("<I", len(data)) + data)

    seen = set()
    for value in cases():
        for protocol in range(6):
            for outside in (False, True) if protocol == 5 else (False,):
                buffers = []
                given = {"buffer_callback": buffers.append} if outside else {}
                try:
                    stream = pickle.dumps(value, protocol, **given)
                except (ValueError, BufferError):
                    continue
                if outside and not buffers:
                    continue
                buffers = [bytes(buffer.raw()) for buffer in buffers]
                back = pickle.loads(stream, buffers=buffers)
                key = (stream, *buffers)
                if key in seen:
                    continue
                seen.add(key)
                said, before = says(back), says(value)
                # numpy turns big-endian data around as it loads it; the file says what it was.
                if value.dtype.names is None if hasattr(value, "dtype") else True:
                    assert said.get("sha256") == before.get("sha256"), value
                said["dtype"] = before["dtype"]
                said["protocol"] = protocol
                said["buffers"] = len(buffers)
                part(json.dumps(said, sort_keys=True).encode())
                part(stream)
                for buffer in buffers:
                    part(buffer)
    path = os.path.join(FOLDER, "numpy-%s.zip" % np.__version__)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("records", (1980, 1, 1, 0, 0, 0)), out.getvalue(), zipfile.ZIP_DEFLATED)
    print(len(seen), "pickles,", os.path.getsize(path), "bytes")


main()
