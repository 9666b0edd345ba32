"""Times depickle beside its peers, on the same files in the same run.

Usage: compare.py FOLDER --depickle PATH --peers PATH --out FILE.json
                  [--torch PYTHON] [--scanners PYTHON] [--rounds N] [--quick]

FOLDER holds what files.py made. Each measurement is a process of its own; peers take turns, round after
round, and medians count. Writes all of it as JSON; report.py makes the tables. A peer that cannot
read a file, or takes too long, is in there with what it said.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from timing import CLOCKS, in_turn

HERE = pathlib.Path(__file__).parent

RUST = [
    "depickle",
    "depickle, streamed",
    "depickle, mapped",
    "read(2) alone",
    "pytorch-reader",
    "candle-core",
    "burn-store",
    "pt-loader",
    "repugnant-pickle",
    "safetensors, mapped",
]
TORCH = ["torch.load", "torch.load, mmap"]
STATES = ["2GiB_512", "256MiB_64", "resnet50", "transposed_64", "5000", "50000"]
PICKLES = ["dicts", "ints", "floats", "state_dict"]

CONVERT = """
import sys, torch
from safetensors.torch import save_file
state = torch.load(sys.argv[1], weights_only=True)
save_file({name: tensor.contiguous() for name, tensor in state.items()}, sys.argv[2], {"format": "pt"})
"""
FICKLING = """
import pathlib, sys
from fickling.analysis import check_safety
from fickling.fickle import Pickled
for path in pathlib.Path(sys.argv[1]).iterdir():
    check_safety(Pickled.load(path.read_bytes()))
"""


class Run:
    def __init__(self, args):
        self.args, self.results = args, []

    def compare(self, group, work, file, contestants, timeout=None, cwd=None, rounds=None):
        limit = (timeout or (20 if self.args.quick else 60)) * self.args.patience
        rounds = rounds or self.args.rounds
        for reader, found in in_turn(contestants, rounds, limit, cwd, self.args.clock).items():
            self.results.append(dict(group=group, work=work, file=file, reader=reader, **found))
            said = found.get("why") or f"{found['ms']:10.3f} ms {found['peak_kib'] / 1024:8.1f} MiB"
            print(f"{group:12} {work:8} {file:16} {reader:22} {said}", flush=True)

    def path(self, name):
        """A file, if it was made."""
        path = self.args.folder / name
        return path if path.exists() else None

    def rust(self, reader, work, path):
        return [self.args.peers, reader, work, path]

    def torch(self, reader, work, path):
        return [self.args.torch, HERE / "torch_read.py", reader, work, path]

    def checkpoints(self):
        for name in STATES:
            path = self.path(f"{name}.pth")
            # The smaller stands in where the larger was not made.
            if not path or (name == "256MiB_64" and self.path("2GiB_512.pth")):
                continue
            for work in ("list", "read"):
                readers = [reader for reader in RUST if work == "read" or reader != "read(2) alone"]
                contestants = {reader: self.rust(reader, work, path) for reader in readers}
                if self.args.torch:
                    contestants |= {reader: self.torch(reader, work, path) for reader in TORCH}
                self.compare("checkpoints", work, name, contestants)

    def models(self):
        if path := self.path("modules_1001.pth"):
            contestants = {"depickle": self.rust("depickle", "tree", path)}
            contestants["torch.load"] = self.torch("torch.load", "tree", path)
            self.compare("models", "tree", "modules_1001", contestants)

    def pickles(self):
        for name in PICKLES:
            path = self.args.folder / f"{name}.pkl"
            for work in ("load", "dump"):
                contestants = {
                    reader: self.rust(reader, work, path)
                    for reader in ("depickle", "serde-pickle", "candle-core")
                }
                for reader in ("pickle", "pickle, gc off"):
                    python = [sys.executable, HERE / "python_pickle.py"]
                    contestants[reader] = [*python, reader, work, path]
                self.compare("pickles", work, name, contestants)

    def command(self, *command):
        return [self.args.peers, "--run", *command]

    def commands(self):
        """depickle's command line beside what does the same, processes as users start them."""
        tool, out = self.args.depickle, self.args.folder / "out"
        made = f"{out}.safetensors"
        large = self.path("2GiB_512.pth") or self.path("256MiB_64.pth")
        for path in filter(None, [large, self.path("resnet50.pth")]):
            # Each makes a new file: who replaces one waits for the disk, which `cp` does not.
            contestants = {
                "depickle": self.command("--to", made, tool, "convert", path, "-o", made),
                "cp": self.command("--to", out, "cp", path, out),
            }
            if self.args.torch:
                script = self.command("--to", made, self.args.torch, "-c", CONVERT, path, made)
                contestants["torch.load, save_file"] = script
                contestants["the same, without its start"] = self.torch("torch.load", "convert", path)
            # Fresh pages have one of two prices where a virtual machine gives its own back.
            self.compare("commands", "convert", path.stem, contestants, rounds=2 * self.args.rounds + 1)
        contestants = {
            "depickle": self.rust("depickle", "save", large),
            "dd conv=fsync": self.command("dd", f"if={large}", f"of={out}", "bs=1M", "conv=fsync"),
        }
        if self.args.torch:
            contestants["torch.save, fsync"] = self.torch("torch.load", "save", large)
        self.compare("commands", "save", large.stem, contestants)
        for path in filter(None, [large, self.path("50000.pth")]):
            self.compare("commands", "ls", path.stem, {"depickle": self.command(tool, "ls", path)})
        for path in self.args.folder.glob("out*"):
            path.unlink()

    def scanners(self):
        """Verdicts, a process each: on one file, and on a folder."""
        tool, python = self.args.depickle, self.args.scanners
        names = ["command.pkl", "settings.pkl", "5000.pth", "2GiB_512.pth", "256MiB_64.pth", "small_1000", "small_10000"]
        # fickling writes a report into the folder it is started in.
        with tempfile.TemporaryDirectory() as cwd:
            for path in filter(None, map(self.path, names)):
                contestants = {"depickle": self.command(tool, "scan", path)}
                if python and path.name != "small_10000" and path.stem != "256MiB_64":
                    run = lambda *parts: self.command(python, *parts)
                    contestants["picklescan"] = run("-m", "picklescan.cli", "--path", path)
                    contestants["modelscan"] = run("-m", "modelscan.cli", "scan", "-p", path)
                    if path.suffix:
                        contestants["fickling"] = run("-m", "fickling", "--check-safety", path)
                self.compare("scanners", "scan", path.name, contestants, 120, cwd)


def versions(args):
    """Of everything that was timed."""
    said = [subprocess.run([args.peers, "--versions"], capture_output=True, text=True).stdout.strip()]
    said.append(f"CPython {platform.python_version()}")
    ask = "import importlib.metadata as m, sys\nfor n in sys.argv[1:]: print(n, m.version(n))"
    for python, names in (
        (args.torch, ["torch", "numpy"]),
        (args.scanners, ["picklescan", "fickling", "modelscan"]),
    ):
        if python:
            out = subprocess.run([python, "-c", ask, *names], capture_output=True, text=True).stdout
            said += out.split("\n")[:-1]
    return ", ".join(said)


def machine():
    """Its kind, and nothing that tells whose it is."""
    cpu = platform.processor() or "unknown"
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().split("-")[0]
    return f"{os.cpu_count()} cores, {cpu}, {memory:.0f} GiB, Linux {kernel}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--torch")
    parser.add_argument("--scanners")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--patience", type=float, default=1, help="times as long before giving up")
    parser.add_argument("--only", nargs="*", help="groups, where not all are wanted")
    args = parser.parse_args()
    run = Run(args)
    start = {"load": os.getloadavg()[0]}
    for group in args.only or ["checkpoints", "models", "pickles", "scanners", "commands"]:
        getattr(run, group)()
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(args),
        "rounds": args.rounds,
        "clock": args.clock,
        "load": start["load"],
        "results": run.results,
    }
    args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
