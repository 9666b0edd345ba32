"""Makes the files that are timed, unless they are there.

Usage: files.py FOLDER --depickle PATH [--torch PYTHON] [--quick]

With a Python that has torch, torch.save writes them; without, state dicts are laid out as it does, in
Python's standard library alone, and models are left out. What a state dict holds is
written as safetensors, too (by depickle, checked bit by bit), so that safetensors reads the same
tensors. Nothing here is random: a file's name says what is in it.
"""

import argparse
import json
import pathlib
import pickle
import struct
import subprocess
import zipfile


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def pair(first, second):
    return number(first) + number(second) + b"\x86"


def state_pickle(tensors, rows, columns, transposed=False):
    """The data.pkl of float32 matrices: protocol 2, as PyTorch writes it but for the memo."""
    size, stride = pair(rows, columns), pair(columns, 1)
    if transposed:
        size, stride = pair(columns, rows), pair(1, columns)
    out = [b"\x80\x02}("]
    for index in range(tensors):
        out += [
            text(f"layers.{index}.weight"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            text("storage"),
            b"ctorch\nFloatStorage\n",
            text(str(index)),
            text("cpu"),
            number(rows * columns),
            b"tQK\x00",
            size,
            stride,
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join([*out, b"u."])


def state_dict(path, tensors, rows, columns, transposed=False):
    """A state dict of float32 as torch.save lays it out: stored members, data aligned to 64."""
    data = bytearray(struct.pack(f"<{columns}f", *(i % 1009 for i in range(columns))) * rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def member(name, data):
            info = zipfile.ZipInfo(f"archive/{name}")
            start = archive.fp.tell() + 30 + len(info.filename) + 4
            info.extra = b"FB" + struct.pack("<H", -start % 64) + b"Z" * (-start % 64)
            archive.writestr(info, data)

        member("data.pkl", state_pickle(tensors, rows, columns, transposed))
        member("byteorder", b"little")
        for index in range(tensors):
            # No two tensors hold the same.
            data[:4] = struct.pack("<f", index)
            member(f"data/{index}", bytes(data))
        member("version", b"3\n")


STATES = {
    "2GiB_512": dict(tensors=512, rows=1024, columns=1024),
    "256MiB_64": dict(tensors=64, rows=1024, columns=1024),
    "transposed_64": dict(tensors=64, rows=1024, columns=1024, transposed=True),
    "5000": dict(tensors=5_000, rows=4, columns=4),
    "50000": dict(tensors=50_000, rows=4, columns=4),
}

TORCH = """
import json, pathlib, sys, zipfile, torch
from torch import nn
folder, states = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
torch.manual_seed(0)

def save(value, name):
    if not (folder / name).exists():
        torch.save(value(), folder / "part")
        (folder / "part").rename(folder / name)

def state(tensors, rows, columns, transposed=False):
    made = (torch.arange(rows * columns, dtype=torch.float32).remainder(1009).view(rows, columns) + i for i in range(tensors))
    return {f"layers.{i}.weight": one.t() if transposed else one for i, one in enumerate(made)}

def resnet50():
    import torchvision
    return torchvision.models.resnet50().state_dict()

def modules():
    layers = lambda: (nn.ReLU() if i % 2 else nn.Linear(16, 16) for i in range(9))
    return nn.Sequential(*(nn.Sequential(*layers()) for _ in range(100)))

for name, shape in states.items():
    save(lambda: state(**shape), name + ".pth")
save(modules, "modules_1001.pth")
try:
    save(resnet50, "resnet50.pth")
except ImportError:
    print("no torchvision: no resnet50")
with zipfile.ZipFile(folder / "5000.pth") as archive:
    name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    (folder / "state_dict.pkl").write_bytes(archive.read(name))
"""


def dicts(count=500_000):
    """Records, as a JSON-like data set has them."""
    kinds = ["train", "validation", "test"]
    return [{"id": i, "split": kinds[i % 3], "label": i % 10, "score": i / 7.0} for i in range(count)]


def ints(count=5_000_000):
    return [i % 256 for i in range(count)]


def floats(count=1_000_000):
    return {f"parameter.{i}": i / 3.0 for i in range(count)}


class Command:
    """A pickle that would run a harmless command; nothing here ever loads it."""

    def __reduce__(self):
        import os

        return os.system, ("true",)


def plain_pickles(folder):
    for shape in (dicts, ints, floats):
        path = folder / f"{shape.__name__}.pkl"
        if not path.exists():
            path.write_bytes(pickle.dumps(shape(), protocol=4))
    if not (folder / "state_dict.pkl").exists():
        (folder / "state_dict.pkl").write_bytes(state_pickle(5_000, 4, 4))
    (folder / "settings.pkl").write_bytes(pickle.dumps({"lr": 0.1, "names": ["cat", "dog"]}, 4))
    (folder / "command.pkl").write_bytes(pickle.dumps(Command(), 4))


def many(folder, count):
    """A folder of small checkpoints."""
    if folder.exists() and len(list(folder.iterdir())) == count:
        return
    folder.mkdir(exist_ok=True)
    state_dict(folder / "0.pth", tensors=2, rows=4, columns=4)
    data = (folder / "0.pth").read_bytes()
    for index in range(1, count):
        (folder / f"{index}.pth").write_bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--torch")
    parser.add_argument("--quick", action="store_true", help="leave out what is large")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    large = ("2GiB_512", "50000") if args.quick else ()
    states = {name: shape for name, shape in STATES.items() if name not in large}
    if args.torch:
        subprocess.run([args.torch, "-c", TORCH, args.folder, json.dumps(states)], check=True)
    for name, shape in states.items():
        path = args.folder / f"{name}.pth"
        if not path.exists():
            state_dict(path.with_suffix(".part"), **shape)
            path.with_suffix(".part").rename(path)
    for path in args.folder.glob("*.pth"):
        twin = path.with_suffix(".safetensors")
        if not twin.exists() and not path.name.startswith("modules"):
            command = [args.depickle, "convert", path, "-o", twin, "--verify"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    plain_pickles(args.folder)
    many(args.folder / "small_1000", 1_000)
    if not args.quick:
        many(args.folder / "small_10000", 10_000)


if __name__ == "__main__":
    main()
