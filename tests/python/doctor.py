"""What `depickle doctor` and `depickle globals` say, tried with real PyTorch.

Usage: python doctor.py --depickle PATH

For every fixture that PyTorch can load: the lines of Python that `doctor` prints are run, each in a
process of its own, and must load it; what doctor calls healthy must load, and what PyTorch refuses
must not be called healthy. For files with classes of their author: the lines that `globals
--python` prints must make the file load under weights_only=True, which it does not without them.
Archives that are packed again in odd ways, cut or overwritten are judged by both. Ends with a line
`N passed, N failed`; exits 1 if any failed.

PyTorch 2.15, CPython 3.11.
"""

import argparse
import collections
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import zipfile

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"

# Classes that the lines need in `__main__` are made up: a module's children and state are what
# the file holds.
PRELUDE = """
import sys, types, warnings
warnings.simplefilter("ignore")
import torch, torch.nn as nn
class MLP(nn.Module): pass
class Scale(nn.Module): pass
class Tied(nn.Module): pass
class Zoo(nn.Module): pass
class Config:
    class Inner: pass
import importlib.util
spec = importlib.util.spec_from_file_location("tensor_fixtures", TENSORS)
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
Pair, Labelled = made.Pair, made.Labelled
Pair.__module__ = Labelled.__module__ = "__main__"
class Color(__import__("enum").Enum):
    RED = 1
    BLUE = 2
"""


def doctor(depickle, *paths):
    out = subprocess.run([depickle, "doctor", "--jsonl", *map(str, paths)], capture_output=True, text=True)
    assert out.returncode in (0, 1), (paths, out.stderr)
    return [json.loads(line) for line in out.stdout.splitlines()]


def run(lines, cwd):
    """Whether Python carries the lines out and ends with an `obj`; what it said if not. In a
    process of its own, forked, so that PyTorch is imported once."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        said = b""
        signal.alarm(120)
        try:
            os.chdir(cwd)
            code = f"TENSORS = {str(FIXTURES / 'tensors/make.py')!r}\n" + PRELUDE + "\n" + "\n".join(lines) + "\nassert obj is not None\n"
            exec(compile(code, "lines", "exec"), sys.modules["__main__"].__dict__)
        except BaseException as why:  # noqa: BLE001
            said = f"{type(why).__name__}: {str(why)[:300]}".encode()
        os.write(send, said or b"ok")
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said == "ok", said


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def holds(self, fine, what):
        self.passed, self.failed = self.passed + bool(fine), self.failed + (not fine)
        if not fine:
            print("FAILED", what, flush=True)


def fixtures():
    names = ["*.pth", "containers/*.p*", "containers/*.bin", "tensors/*.pth"]
    found = [path for name in names for path in sorted(FIXTURES.glob(name))]
    return [path for path in found if path.suffix != ".json"] + [
        FIXTURES / "containers/sharded", FIXTURES / "containers/dcp_one", FIXTURES / "containers/dcp_two",
    ]


def lines_load(depickle, results):
    paths = fixtures()
    tried = 0
    with tempfile.TemporaryDirectory() as folder:
        for path, report in zip(paths, doctor(depickle, *paths), strict=True):
            if not report["load"]:
                results.holds(not report["healthy"], f"{path.name}: healthy, and no line loads it")
                continue
            loads, said = run(report["load"], folder)
            tried += 1
            results.holds(loads == report["healthy"],
                          f"{path.name}: healthy is {report['healthy']}, loads is {loads}: {said}")
    print(f"{tried} fixtures loaded by the lines that doctor gives")


# Files with classes of their author


class Config:
    class Inner:
        pass

    def __init__(self):
        self.lr, self.inner = 0.5, Config.Inner()


def author_files(folder):
    import enum

    import numpy
    import torch

    global Color
    Color = enum.Enum("Color", {"RED": 1, "BLUE": 2}, module="__main__")
    files = {
        "config": {"w": torch.ones(2), "args": Config()},
        "namespace": {"w": torch.ones(2), "args": argparse.Namespace(lr=1)},
        "enum": {"w": torch.ones(2), "color": Color.BLUE},
        "numpy": {"w": torch.ones(2), "a": numpy.arange(3.0), "s": numpy.float64(2), "d": numpy.dtype("f4")},
        "path": {"w": torch.ones(2), "p": pathlib.PurePosixPath("/a/b")},
        "partial": {"w": torch.ones(2), "f": functools.partial(print, 1)},
        "module": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()),
        "optimizer": {"m": torch.nn.Linear(1, 1).state_dict(), "c": collections.Counter("ab")},
    }
    for name, value in files.items():
        torch.save(value, folder / f"{name}.pth")
    return [folder / f"{name}.pth" for name in files]


def globals_load(depickle, results):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path in author_files(folder):
            bare = f"import torch\nobj = torch.load({str(path)!r}, weights_only=True)".splitlines()
            needed, _ = run(bare, folder)
            printed = subprocess.run([depickle, "globals", "--python", str(path)], capture_output=True, text=True)
            if printed.returncode != 0:
                results.holds(False, f"globals --python {path.name}: {printed.stderr}")
                continue
            loads, said = run(printed.stdout.splitlines() + bare, folder)
            results.holds(loads, f"{path.name}: the lines of globals --python do not load it: {said}")
            results.holds(not (needed and "add_safe_globals" in printed.stdout),
                          f"{path.name}: loads without the lines that globals --python prints")
            [report] = doctor(depickle, path)
            loads, said = run(report["load"], folder)
            results.holds(loads, f"{path.name}: doctor's lines do not load it: {said}")
    print("files with classes of their author load with the lines of globals --python")


# Files that something happened to


def repack(path, out, rename=lambda name: name, more=(), compress=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", compress) as target:
        for name in source.namelist():
            target.writestr(rename(name), source.read(name))
        for name in more:
            target.writestr(name, b"x")


def accidents(depickle, results):
    whole = FIXTURES / "mlp_state_dict.pth"
    root = "mlp_state_dict"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        repack(whole, folder / "deflated.pth", compress=zipfile.ZIP_DEFLATED)
        repack(whole, folder / "macosx.pth", more=[f"__MACOSX/{root}/._data.pkl", f"{root}/.DS_Store"])
        repack(whole, folder / "store_inside.pth", more=[f"{root}/.DS_Store"])
        repack(whole, folder / "nested.pth", rename=lambda name: f"outer/{name}")
        repack(whole, folder / "rootless.pth", rename=lambda name: name.removeprefix(f"{root}/"))
        repack(whole, folder / "stranger.pth", more=["other/file"])
        data = whole.read_bytes()
        (folder / "trailing.pth").write_bytes(data + b"junk")
        (folder / "leading.pth").write_bytes(b"junk" + data)
        (folder / "cut.pth").write_bytes(data[:-700])
        (folder / "cut_in_data.pth").write_bytes(data[:1700])
        legacy = (FIXTURES / "legacy_mlp_state_dict.pth").read_bytes()
        (folder / "cut_legacy.pth").write_bytes(legacy[:-10])
        (folder / "trailing_legacy.pth").write_bytes(legacy + b"junk")
        paths = sorted(folder.iterdir())
        for path, report in zip(paths, doctor(depickle, *paths), strict=True):
            loads, said = run(["import torch", f"obj = torch.load({str(path)!r}, weights_only=True)"], folder)
            errors = [found["id"] for found in report["diagnosis"] if found["severity"] == "error"]
            # A warning may load; an error must not, and a healthy file must.
            results.holds(loads != bool(errors) and (loads or not report["healthy"]),
                          f"{path.name}: doctor says {errors}, PyTorch loads it: {loads} {said}")
    print(f"{len(paths)} accidents judged as PyTorch judges them")


def compressed(depickle, results):
    """What was compressed as a whole loads by the lines that doctor gives."""
    import bz2
    import gzip
    import lzma

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for fixture in ["mlp_state_dict.pth", "legacy_mlp_state_dict.pth", "checkpoint.pth"]:
            data = (FIXTURES / fixture).read_bytes()
            for module, extension in ((gzip, "gz"), (bz2, "bz2"), (lzma, "xz")):
                (folder / f"{fixture}.{extension}").write_bytes(module.compress(data))
        paths = sorted(folder.iterdir())
        for path, report in zip(paths, doctor(depickle, *paths), strict=True):
            loads, said = run(report["load"], folder)
            results.holds(report["load"] and loads, f"{path.name}: {report['load']}: {said}")
            results.holds(not report["healthy"], f"{path.name}: PyTorch does not unpack it")
    print(f"{len(paths)} compressed files loaded by the lines that doctor gives")


def salvaged(depickle, results):
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for fixture in ["mlp_state_dict.pth", "legacy_mlp_state_dict.pth"]:
            data = (FIXTURES / fixture).read_bytes()
            want = torch.load(FIXTURES / fixture)
            for part in (60, 75, 90, 97):
                cut = folder / "cut.pth"
                cut.write_bytes(data[: len(data) * part // 100])
                for out in ("out.pth", "out.safetensors"):
                    (folder / out).unlink(missing_ok=True)
                    done = subprocess.run(
                        [depickle, "doctor", "--json", str(cut), "--salvage", str(folder / out)],
                        capture_output=True, text=True,
                    )
                    said = json.loads(done.stdout)["salvage"]
                    if not said["written"]:
                        continue
                    if out.endswith("safetensors"):
                        try:
                            from safetensors.torch import load_file
                        except ImportError:
                            continue
                        got = load_file(folder / out)
                    else:
                        got = torch.load(folder / out, weights_only=True)
                    results.holds(set(got) == set(said["written"]),
                                  f"{fixture} at {part} %: {set(got)} is not what was said")
                    for key, value in got.items():
                        results.holds(torch.equal(value, want[key]), f"{fixture} at {part} %: {key} differs")
    print("what is salvaged of cut files is PyTorch's to the bit")


def main():
    import torch  # noqa: F401 - once, for all that is forked

    arguments = argparse.ArgumentParser()
    arguments.add_argument("--depickle", required=True)
    depickle = str(pathlib.Path(arguments.parse_args().depickle).resolve())
    results = Results()
    for check in (lines_load, accidents, globals_load, compressed, salvaged):
        check(depickle, results)
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(bool(results.failed or not results.passed))


if __name__ == "__main__":
    main()
