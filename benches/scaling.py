"""Time and memory against size: bytes of a file, tensors in it, bytes of a pickle.

Usage: scaling.py FOLDER --peers PATH --to DOCS [--torch PYTHON] [--rounds N] [--quick]

Writes DOCS/scaling-{file,tensors,pickle}.svg and prints the numbers. Each point is the median of some
processes, taken in turn with its peers'; memory is the peak of a process, as the system saw it, with all
that its libraries hold.
"""

import argparse
import pathlib
import pickle
import sys

HERE = pathlib.Path(__file__).parent / "peers"
sys.path.insert(0, str(HERE))
import compare
import files
import plot
import timing

# Lines: name, whose they are, reader, work.
FILE = [
    ("depickle: list", "own", "depickle", "list"),
    ("depickle: read, streamed", "own", "depickle, streamed", "read"),
    ("depickle: read, mapped", "own", "depickle, mapped", "read"),
    ("torch.load: read", "peer", "torch.load", "read"),
    ("torch.load, mmap: read", "peer", "torch.load, mmap", "read"),
    ("safetensors: read, mapped", "peer", "safetensors, mapped", "read"),
]
TENSORS = [
    ("depickle: list", "own", "depickle", "list"),
    ("depickle: read, mapped", "own", "depickle, mapped", "read"),
    ("pytorch-reader: list", "peer", "pytorch-reader", "list"),
    ("torch.load: list", "peer", "torch.load", "list"),
    ("safetensors: list", "peer", "safetensors, mapped", "list"),
]
PICKLE = [
    ("depickle: load", "own", "depickle", "load"),
    ("depickle: dump", "own", "depickle", "dump"),
    ("serde-pickle: load", "peer", "serde-pickle", "load"),
    ("CPython: load", "peer", "pickle", "load"),
    ("CPython: dump", "peer", "pickle", "dump"),
]


class Scaling:
    def __init__(self, args):
        self.args = args

    def command(self, reader, work, path):
        if reader.startswith("torch"):
            return self.args.torch and [self.args.torch, HERE / "torch_read.py", reader, work, path]
        if reader == "pickle":
            return [sys.executable, HERE / "python_pickle.py", reader, work, path]
        return [self.args.peers, reader, work, path]

    def point(self, lines, series, x, path):
        """Measures every line at one size."""
        commands = {name: self.command(reader, work, path) for name, _, reader, work in lines}
        commands = {name: command for name, command in commands.items() if command}
        found = timing.in_turn(commands, self.args.rounds, 60 * self.args.patience, clock=self.args.clock)
        for name, kind, _, _ in lines:
            row = found.get(name, {})
            if "ms" in row:
                point = (x, row["ms"] / 1e3, row["peak_kib"] * 1024)
                series.setdefault(name, (kind, []))[1].append(point)
                print(f"{name:28} {x:>14,} {row['ms']:10.2f} ms {row['peak_kib'] / 1024:8.1f} MiB", flush=True)
            elif name in commands:
                print(f"{name:28} {x:>14,} {row['why']}", flush=True)

    def states(self, lines, shapes, size):
        series = {}
        for shape in shapes:
            path = self.args.folder / "scaling.pth"
            twin = path.with_suffix(".safetensors")
            files.state_dict(path, **shape)
            command = [self.args.depickle, "convert", path, "-o", twin, "--force"]
            files.subprocess.run(command, check=True, stdout=files.subprocess.DEVNULL, stderr=files.subprocess.DEVNULL)
            self.point(lines, series, size(shape, path), path)
            path.unlink()
            twin.unlink()
        return series

    def pickles(self, counts):
        series = {}
        for count in counts:
            path = self.args.folder / "scaling.pkl"
            path.write_bytes(pickle.dumps(files.dicts(count), protocol=4))
            self.point(PICKLE, series, path.stat().st_size, path)
            path.unlink()
        return series


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--clock", choices=timing.CLOCKS, default="wall")
    parser.add_argument("--patience", type=float, default=1, help="times as long before giving up")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    args.to.mkdir(parents=True, exist_ok=True)
    scaling, most = Scaling(args), 4 if args.quick else 6
    note = f"Medians of {args.rounds} rounds, page cache warm. {compare.machine()}.{timing.WORDS[args.clock]}"
    # From 1 MiB to 1 GiB.
    shapes = [dict(tensors=64, rows=64 << power, columns=64 << power) for power in range(most)]
    series = scaling.states(FILE, shapes, lambda _, path: path.stat().st_size)
    title = "A file of 64 tensors that grows: listing reads none of their bytes"
    plot.plot(args.to / "scaling-file.svg", title, ("size of the file", "B"), series, note)
    shapes = [dict(tensors=100 << 2 * power, rows=4, columns=4) for power in range(most)]
    series = scaling.states(TENSORS, shapes, lambda shape, _: shape["tensors"])
    title = "A file of ever more tensors, 64 bytes each"
    plot.plot(args.to / "scaling-tensors.svg", title, ("tensors in the file", ""), series, note)
    series = scaling.pickles([500 << 2 * power for power in range(most)])
    title = "A plain pickle that grows: a list of dicts"
    plot.plot(args.to / "scaling-pickle.svg", title, ("size of the pickle", "B"), series, note)


if __name__ == "__main__":
    main()
