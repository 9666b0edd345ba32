"""Time and memory against size: bytes of a file, tensors in it, bytes of a pickle.

Usage: scaling.py --depickle PATH --folder FOLDER --to DOCS [--rounds N]

Writes DOCS/scaling-{file,tensors,pickle}.svg and prints the numbers. Each point is the best of N
runs of the command-line tool, a process each; memory is its peak, as the system saw it. Both axes
are logarithmic: what grows in proportion is a straight line at 45 degrees, what stays is flat.
"""

import argparse
import math
import os
import pathlib
import pickle
import struct
import subprocess
import time
import zipfile


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def state_dict(path, tensors, rows, columns):
    """A state dict of float32 as torch.save lays it out: stored members, data aligned to 64."""
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
            number(rows) + number(columns) + b"\x86",
            number(columns) + b"K\x01\x86",
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
    out.append(b"u.")
    data = struct.pack(f"<{columns}f", *(i % 1009 for i in range(columns))) * rows
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def member(name, data):
            info = zipfile.ZipInfo(f"archive/{name}")
            start = archive.fp.tell() + 30 + len(info.filename) + 4
            info.extra = b"FB" + struct.pack("<H", -start % 64) + b"Z" * (-start % 64)
            archive.writestr(info, data)

        member("data.pkl", b"".join(out))
        member("byteorder", b"little")
        for index in range(tensors):
            member(f"data/{index}", data)
        member("version", b"3\n")


def measure(command, rounds):
    """The best of some runs: seconds, and peak memory in bytes."""
    best, peak = math.inf, math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{command}: exit code {child.returncode}")
        best = min(best, time.perf_counter() - start)
        peak = min(peak, usage.ru_maxrss * 1024)
    return best, peak


COLORS = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df"]


def ticks(low, high):
    return [10**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def short(value, unit):
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")):
        if value >= factor * 0.999:
            return f"{value / factor:.3g} {prefix}{unit}".strip()
    return f"{value:.3g} {unit}"


def panel(left, title, unit, across, series):
    """One set of axes, logarithmic both."""
    width, height, top = 300, 220, 40
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    xticks, yticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))

    def place(value, marks, size):
        low, high = math.log10(marks[0]), math.log10(marks[-1])
        return size * (math.log10(value) - low) / max(high - low, 1e-9)

    x = lambda value: left + place(value, xticks, width)
    y = lambda value: top + height - place(value, yticks, height)
    out = [f'<text x="{left}" y="{top - 14}" font-weight="bold">{title}</text>']
    for tick in xticks:
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{top + height}" stroke="#ccc"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{top + height + 16}" text-anchor="middle">{short(tick, across)}</text>')
    for tick in yticks:
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ccc"/>')
        out.append(f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick, unit)}</text>')
    for index, (name, points) in enumerate(series):
        color = COLORS[index % len(COLORS)]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{color}"/>' for a, b in points]
        out.append(f'<text x="{left + 8}" y="{top + 16 + 15 * index}" fill="{color}">{name}</text>')
    return out


def plot(path, title, across, found):
    """Two panels: time, and peak memory."""
    times = [(name, [(x, t) for x, t, _ in points]) for name, points in found.items()]
    peaks = [(name, [(x, m) for x, _, m in points]) for name, points in found.items()]
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" width="820" height="300" font-family="sans-serif" font-size="11">']
    svg.append(f'<rect width="820" height="300" fill="#fff"/><title>{title}</title>')
    svg += panel(80, f"{title}: time", "s", across, times)
    svg += panel(490, f"{title}: peak memory", "B", across, peaks)
    path.write_text("\n".join([*svg, "</svg>", ""]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="sizes with which to see that it works")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    least = 3 if args.small else 0
    plots = {"file": {}, "tensors": {}, "pickle": {}}

    def point(plot, name, x, command):
        seconds, peak = measure([args.depickle, *command], args.rounds)
        plots[plot].setdefault(name, []).append((x, seconds, peak))
        print(f"{plot:8} {name:12} {x:>12,} {seconds * 1e3:10.2f} ms {peak / 2**20:8.1f} MiB", flush=True)

    for power in range(0, 9 - 2 * least):
        path = args.folder / f"file{power}.pth"
        state_dict(path, 64, 16 << power // 2 + power % 2, 16 << power // 2)
        nbytes = path.stat().st_size
        point("file", "ls", nbytes, ["ls", path])
        point("file", "ls --sha256", nbytes, ["ls", "--sha256", path])
        point("file", "verify", nbytes, ["verify", path])
        path.unlink()
    for power in range(0, 10 - 2 * least):
        count = 100 << power
        path = args.folder / f"tensors{power}.pth"
        state_dict(path, count, 2, 2)
        point("tensors", "ls", count, ["ls", path])
        point("tensors", "tree", count, ["tree", path])
        path.unlink()
    for power in range(0, 9 - 2 * least):
        count = 2_000 << power
        path = args.folder / f"pickle{power}.pkl"
        path.write_bytes(pickle.dumps([{"id": i, "score": i / 7.0, "text": str(i)} for i in range(count)], 4))
        nbytes = path.stat().st_size
        point("pickle", "show", nbytes, ["show", path])
        point("pickle", "show --json", nbytes, ["show", "--json", path])
        path.unlink()
    for name, title, across in (
        ("file", "Bytes of a file of 64 tensors", "B"),
        ("tensors", "Tensors in a file", ""),
        ("pickle", "Bytes of a pickle", "B"),
    ):
        plot(args.to / f"scaling-{name}.svg", title, across, plots[name])


if __name__ == "__main__":
    main()
