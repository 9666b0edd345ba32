"""Converts with depickle, and loads what comes of it with the libraries it is for.

    python tests/python/convert.py --depickle PATH [--time FILE]

Every fixture that PyTorch can load without its authors' classes, and a few made here, as safetensors, shards, `.pth` and
`.npz`: bit for bit what PyTorch has. Where the official converter does its work too, the files are the same byte for byte.
Ends with a line `N passed, N failed`; exits 1 if any failed. `--time` instead times one file against `cp` and against the
official converter's code.
"""

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import _remove_duplicate_names, load_file, save_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SAFE = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool, torch.complex64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn,
        torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.float4_e2m1fn_x2}
ARRAYS = {torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
          torch.bool, torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64}


def bits(tensor):
    """The bytes of a tensor in row-major order, with the conjugation or negation carried out."""
    # `contiguous` leaves the stride of a dimension of one element as it is, and `view` minds it.
    tensor = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and bits(one) == bits(other)


def official(state, path):
    """What safetensors' `bin/convert.py` does, without reading the result back."""
    state = dict(state)
    metadata = {"format": "pt"}
    for kept, removed in _remove_duplicate_names(state).items():
        for name in removed:
            metadata.setdefault(name, kept)
            del state[name]
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, path, metadata=metadata)


def parts(path):
    """The header as JSON, which has its metadata in any order, and the data."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), length, data[8 + length:]


def state_dicts(value):
    """The state dicts of a checkpoint, by the path that depickle calls them."""
    if isinstance(value, dict) and value:
        if all(isinstance(key, str) and torch.is_tensor(item) for key, item in value.items()):
            yield "", value
            return
        for key, item in value.items():
            if isinstance(key, str):
                for path, found in state_dicts(item):
                    yield f"{key}.{path}".rstrip("."), found


class Checks:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.passed = self.failed = 0

    def run(self, *arguments):
        done = subprocess.run([self.program, "convert", "--force", "--verify", *map(str, arguments)],
                              capture_output=True, text=True)
        return done.returncode, done.stderr

    def report(self, what, problem):
        if problem:
            self.failed += 1
            print("FAIL", what, problem, flush=True)
        else:
            self.passed += 1

    def check(self, what, path, key, state):
        for to in ["safetensors", "shards", "pth", "npz", "back"]:
            problem = getattr(self, to)(path, key, state)
            if problem != "skip":
                self.report(f"{what} {to}", problem)

    def safetensors(self, path, key, state):
        out = self.folder / "out.safetensors"
        fits = all(tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
                   and tensor.dtype in SAFE for tensor in state.values())
        code, told = self.run(path, out, "--key", key, "--shared", "copy")
        if not fits:
            return None if code == 2 else f"exit {code} for what safetensors cannot hold"
        if code:
            return told
        found = load_file(out)
        if found.keys() != state.keys():
            return f"names {sorted(found.keys() ^ state.keys())}"
        wrong = [name for name in state if not same(found[name], state[name])]
        if wrong:
            return f"tensors {wrong}"
        return self.like_official(path, key, state, out)

    def like_official(self, path, key, state, out):
        theirs = self.folder / "official.safetensors"
        try:
            official(state, theirs)
        except (RuntimeError, KeyError):
            return None
        code, told = self.run(path, out, "--key", key)
        if code:
            return told
        if any(tensor.is_conj() or tensor.is_neg() for tensor in state.values()):
            return None  # Theirs are not carried out.
        ours, wanted = parts(out), parts(theirs)
        if ours != wanted or list(ours[0]) != list(wanted[0]):
            return f"not as the official converter: {ours[0]} {wanted[0]}"
        if len(wanted[0]["__metadata__"]) == 1 and out.read_bytes() != theirs.read_bytes():
            return "not byte for byte as the official converter"
        return None

    def shards(self, path, key, state):
        out = self.folder / "shards" / "model.safetensors"
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        if not all(tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta and tensor.dtype in SAFE
                   for tensor in state.values()):
            return "skip"
        code, told = self.run(path, out, "--key", key, "--shared", "copy", "--max-shard-size", "256")
        if code:
            return told
        index = out.with_name("model.safetensors.index.json")
        if not index.exists():
            return None if same_all(load_file(out), state) else "tensors"
        index = json.loads(index.read_text())
        found = {}
        for name, file in index["weight_map"].items():
            with safe_open(out.parent / file, framework="pt") as opened:
                found[name] = opened.get_tensor(name)
        total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        if index["metadata"]["total_size"] != total:
            return f"total_size {index['metadata']['total_size']}, not {total}"
        return None if same_all(found, state) else "tensors"

    def pth(self, path, key, state):
        out = self.folder / "out.pth"
        code, told = self.run(path, out, "--key", key)
        if code:
            return told
        found = torch.load(out, weights_only=True)
        if type(found) is not OrderedDict or list(found) != list(state):
            return f"{type(found)} of {list(found)}"
        if any(not same_any(found[name], state[name]) for name in state):
            return "tensors"
        if getattr(state, "_metadata", None) != getattr(found, "_metadata", None):
            return "_metadata"
        pointers = lambda tensors: [tensor.untyped_storage().data_ptr() for tensor in tensors.values()
                                    if tensor.layout == torch.strided and not tensor.is_meta and tensor.numel()]
        groups = lambda tensors: [pointers(tensors).index(pointer) for pointer in pointers(tensors)]
        return None if groups(found) == groups(state) else "other tensors share memory"

    def npz(self, path, key, state):
        out = self.folder / "out.npz"
        if not all(tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
                   and tensor.dtype in ARRAYS for tensor in state.values()):
            return "skip"
        code, told = self.run(path, out, "--key", key)
        if code:
            return told
        found = np.load(out, allow_pickle=False)
        if sorted(found.files) != sorted(state):
            return f"names {sorted(found.files)}"
        wrong = [name for name, tensor in state.items()
                 if not same(torch.from_numpy(found[name].reshape(found[name].shape)), tensor)]
        return f"arrays {wrong}" if wrong else None

    def back(self, path, key, state):
        between, out = self.folder / "out.safetensors", self.folder / "back.pth"
        if self.run(path, between, "--key", key, "--shared", "copy")[0]:
            return "skip"
        code, told = self.run(between, out)
        if code:
            return told
        return None if same_all(torch.load(out, weights_only=True), state) else "tensors"


def same_all(found, state):
    return found.keys() == state.keys() and all(same(found[name], state[name]) for name in state)


def same_any(one, other):
    """Of any layout."""
    if one.layout != other.layout or one.shape != other.shape or one.dtype != other.dtype:
        return False
    if other.is_meta:
        return one.is_meta
    if other.is_quantized:
        return torch.equal(one.int_repr(), other.int_repr()) and torch.equal(one.dequantize(), other.dequantize())
    if other.is_nested:
        return all(same(a, b) for a, b in zip(one.unbind(), other.unbind(), strict=True))
    if other.layout == torch.sparse_coo:
        return torch.equal(one._indices(), other._indices()) and same(one._values(), other._values())
    if other.layout != torch.strided:
        return same(one.values(), other.values())
    return same(one, other)


def casts(checks):
    """Rounding is PyTorch's."""
    torch.manual_seed(0)
    state = {"f64": torch.randn(1000, dtype=torch.float64) * 1e5, "f32": torch.randn(1000) * 1e5,
             "f16": torch.randn(1000).half(), "bf16": torch.randn(1000).bfloat16(), "i": torch.arange(5),
             "strided": torch.randn(40, 30).t(), "f8": torch.randn(64).to(torch.float8_e4m3fn)}
    path = checks.folder / "to_cast.pth"
    torch.save(state, path)
    for name, dtype in [("f64", torch.float64), ("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
        wanted = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in state.items()}
        for to, load in [("safetensors", load_file), ("pth", lambda file: torch.load(file, weights_only=True))]:
            out = checks.folder / f"casts.{to}"
            code, told = checks.run(path, out, "--dtype", name)
            checks.report(f"cast to {name} in {to}", told if code else None if same_all(load(out), wanted) else "tensors")


def timed(program, path):
    """Median seconds of five runs each: `cp`, depickle, the official converter's code, in turn."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; from convert import official
loaded = torch.load({str(path)!r}, map_location="cpu", weights_only=True)
official(loaded.get("state_dict", loaded), {str(folder / "official.safetensors")!r})
"""
    commands = {
        "cp": ["cp", path, folder / "copy"],
        "depickle": [program, "convert", "--force", "--no-progress", path, folder / "ours.safetensors"],
        "depickle --no-checksums": [program, "convert", "--force", "--no-progress", "--no-checksums", path,
                                    folder / "plain.safetensors"],
        "safetensors' convert.py": [sys.executable, "-c", script],
    }
    times = {name: [] for name in commands}
    try:
        for _ in range(5):
            for name, command in commands.items():
                for old in folder.iterdir():
                    old.unlink()
                start = time.perf_counter()
                subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
                times[name].append(time.perf_counter() - start)
    finally:
        shutil.rmtree(folder)
    base = sorted(times["cp"])[2]
    for name, all_ in times.items():
        print(f"{name:26} {sorted(all_)[2]:8.3f} s  {sorted(all_)[2] / base:6.2f} × cp")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--depickle", required=True)
    arguments.add_argument("--time", type=Path)
    arguments = arguments.parse_args()
    if arguments.time:
        return timed(arguments.depickle, arguments.time)
    folder = Path(tempfile.mkdtemp())
    checks = Checks(arguments.depickle, folder)
    for path in sorted(FIXTURES.rglob("*.pth")):
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:
            continue
        for key, state in state_dicts(loaded):
            checks.check(f"{path.relative_to(FIXTURES)} {key}", path, key, state)
    casts(checks)
    shutil.rmtree(folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(checks.failed > 0 or not checks.passed)


if __name__ == "__main__":
    main()
