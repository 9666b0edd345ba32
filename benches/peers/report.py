"""Makes the tables of what compare.py measured, and puts them into the README.

Usage: report.py RESULTS.json [--readme README.md] [--docs docs/performance.md]

Prints Markdown: one table a kind of work, a row a reader and a column a file, in ratios to depickle's own
time; then peak memory, and the speeds that were asked for with what was measured. With --readme and
--docs, what stands there between the markers `<!-- measured -->` and `<!-- /measured -->` is replaced:
by the ratios, or by all of it.
"""

import argparse
import json
import pathlib
import re

from timing import WORDS

FILES = {
    "2GiB_512": "2 GiB",
    "256MiB_64": "256 MiB",
    "transposed_64": "256 MiB transposed",
    "resnet50": "resnet50",
    "5000": "5,000 tensors",
    "50000": "50,000 tensors",
    "dicts": "500,000 dicts",
    "ints": "5 M small ints",
    "floats": "1 M strings → floats",
    "state_dict": "`data.pkl` of 5,000 tensors",
    "command.pkl": "`os.system` pickle",
    "settings.pkl": "settings pickle",
    "5000.pth": "5,000 tensors",
    "2GiB_512.pth": "2 GiB",
    "256MiB_64.pth": "256 MiB",
    "small_1000": "folder of 1,000 `.pth`",
    "small_10000": "folder of 10,000 `.pth`",
}

# What can answer for what when only smaller files were made (run.sh --quick).
LARGE = {"2GiB_512": "256MiB_64", "2GiB_512.pth": "256MiB_64.pth"}


def milliseconds(ms):
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2f} ms"


def times(ratio):
    if ratio >= 100:
        return f"{float(f'{ratio:.2g}'):,.0f}×"
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


def size(kib):
    return f"{kib / 1024:,.0f}" if kib >= 10_240 else f"{kib / 1024:.1f}"


class Results:
    def __init__(self, record):
        self.record, self.notes = record, []
        keys = ("group", "work", "file", "reader")
        self.rows = {tuple(row[key] for key in keys): row for row in record["results"]}

    def get(self, group, work, file, reader="depickle"):
        """A measurement; none where it failed or was not made."""
        row = self.rows.get((group, work, file, reader))
        if row is None and file in LARGE:
            return self.get(group, work, LARGE[file], reader)
        return row if row and "ms" in row else None

    def columns(self, group, works):
        """Works and files that were measured, in the order they were measured in."""
        seen = dict.fromkeys((work, file) for g, work, file, _ in self.rows if g == group and work in works)
        return list(seen)

    def readers(self, group, works):
        seen = dict.fromkeys(r for g, work, _, r in self.rows if g == group and work in works)
        # What is no reader stands last.
        return sorted(seen, key=lambda reader: reader == "read(2) alone")

    def cell(self, key, column, of):
        group, reader = key
        row = self.rows.get((group, *column, reader))
        own = self.rows.get((group, *column, "depickle"))
        if row is None or own is None or "ms" not in own:
            return ""
        if "why" in row:
            return self.note(reader, row["why"], column)
        if self.strays(group, row, own):
            return "other data"
        if of == "memory":
            return size(row["peak_kib"])
        return milliseconds(row["ms"]) if reader == "depickle" else times(row["ms"] / own["ms"])

    def strays(self, group, row, own):
        """Whether a reader saw other names, shapes or bytes than depickle."""
        counts = group == "checkpoints" and row["reader"] != "read(2) alone"
        return counts and row.get("answer") != own.get("answer")

    def note(self, reader, why, column):
        if why.startswith("over "):
            return why
        if why in ("reads no data", "writes no pickles"):
            return "–"
        # Paths are those of this run.
        why = re.sub(r"\S*/(\S+)", r"\1", why).replace("|", "\\|")
        note = f"{reader}: {why}"
        if note not in self.notes:
            self.notes.append(note)
        return f"no [{self.notes.index(note) + 1}]"

    def table(self, group, works, of="time"):
        columns = self.columns(group, works)
        lines = [
            "| | " + " | ".join(f"{work}: {FILES.get(file, file)}" for work, file in columns) + " |",
            "|---|" + "---:|" * len(columns),
        ]
        for reader in self.readers(group, works):
            cells = [self.cell((group, reader), column, of) for column in columns]
            if any(cell not in ("", "–") for cell in cells):
                lines.append(f"| {reader} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def goals(results):
    """Each speed that was asked for: in words, as measured, and whether it holds."""
    get = results.get
    rows = []

    def add(text, measured, holds):
        rows.append(f"| {text} | {measured} | {'yes' if holds else '**no**'} |")

    def at_most(text, row, ms, mib):
        if row:
            measured = f"{milliseconds(row['ms'])}, {size(row['peak_kib'])} MiB"
            add(text, measured, row["ms"] <= ms and row["peak_kib"] <= mib * 1024)

    def ratio(text, row, other, least, rate=False):
        """How many times as long the other takes."""
        if row and other:
            times_as_long = other["ms"] / row["ms"]
            add(text, times(times_as_long), times_as_long >= least)

    at_most("list 2 GiB: ≤ 10 ms, ≤ 20 MiB (`ls`, a process)", get("commands", "ls", "2GiB_512"), 10, 20)
    at_most("list 50,000 tensors: ≤ 150 ms, ≤ 100 MiB", get("checkpoints", "list", "50000"), 150, 100)
    at_most("open and print a model of 1,000 modules: ≤ 10 ms", get("models", "tree", "modules_1001"), 10, 1e9)
    streamed = get("checkpoints", "read", "2GiB_512", "depickle, streamed")
    alone = get("checkpoints", "read", "2GiB_512", "read(2) alone")
    ratio("read 2 GiB: ≥ 0.9× the rate of read(2) alone", streamed, alone, 0.9)
    if row := get("checkpoints", "read", "transposed_64"):
        rate = 0.268435456 / row["ms"] * 1000
        add("read transposed: ≥ 1 GB/s", f"{rate:.2f} GB/s", rate >= 1)
    for file in ("2GiB_512", "resnet50", "5000", "50000"):
        for work in ("list", "read"):
            text = f"{work} {FILES[file]}: faster than pytorch-reader"
            peer = get("checkpoints", work, file, "pytorch-reader")
            ratio(text, get("checkpoints", work, file), peer, 1)
    for file in ("dicts", "ints", "floats", "state_dict"):
        for work, peer, least in (("load", "pickle", 5), ("load", "serde-pickle", 3), ("dump", "pickle", 3)):
            text = f"{work} {FILES[file]}: ≥ {least}× {peer}"
            ratio(text, get("pickles", work, file), get("pickles", work, file, peer), least)
    convert = get("commands", "convert", "2GiB_512")
    if convert and (cp := get("commands", "convert", "2GiB_512", "cp")):
        as_long = convert["ms"] / cp["ms"]
        add("convert 2 GiB: ≤ 1.2× the time of `cp`", times(as_long), as_long <= 1.2)
    small, script = (get("commands", "convert", "resnet50", r) for r in ("depickle", "torch.load, save_file"))
    ratio("convert resnet50: ≥ 3× the official script", small, script, 3)
    dd = get("commands", "save", "2GiB_512", "dd conv=fsync")
    ratio("save 2 GiB: ≥ 0.8× the rate of `dd`", get("commands", "save", "2GiB_512"), dd, 0.8)
    at_most("scan 2 GiB: ≤ 15 ms", get("scanners", "scan", "2GiB_512.pth"), 15, 1e9)
    if row := get("scanners", "scan", "small_10000"):
        rate = 10_000 / row["ms"] * 1000
        add("scan a folder: ≥ 5,000 files/s", f"{rate:,.0f} files/s", rate >= 5_000)
    for file in ("settings.pkl", "small_1000"):
        for peer in ("picklescan", "fickling", "modelscan"):
            text = f"scan {FILES[file]}: ≥ 100× {peer}"
            ratio(text, get("scanners", "scan", file), get("scanners", "scan", file, peer), 100)
    return "\n".join(["| speed asked for | measured | holds |", "|---|---:|---|", *rows])


def ratios(record):
    """What is quoted: ratios, and why a cell has none."""
    results = Results(record)
    parts = [
        f"Measured on {record['date']}: {record['machine']}. {record['versions']}. Medians of "
        f"{record['rounds']} rounds, peers in turn on the same files, each measurement a process of its own, "
        f"page cache warm.{WORDS[record['clock']]} First depickle's time, then the others' as multiples of it.",
        "**Checkpoints**, opened and listed by name and shape (*list*), every byte read (*read*):",
        results.table("checkpoints", ["list", "read"]),
        "**Whole models**, opened and printed: " + models(results),
        "**Plain pickles**, read into a graph, and written from it:",
        results.table("pickles", ["load", "dump"]),
        "**Verdicts**, by commands as users start them:",
        results.table("scanners", ["scan"]),
        "**Converting** to safetensors, by commands; **saving** until the disk has it:",
        results.table("commands", ["convert", "save"]),
    ]
    if results.notes:
        # A line each, so that the numbers are those in the tables.
        parts.append("  \n".join(f"[{number}] {note}" for number, note in enumerate(results.notes, 1)))
    return "\n\n".join(parts) + "\n"


def memory(record):
    results = Results(record)
    parts = [
        "**Peak memory**, MiB, of a process that did it (what is mapped counts where it was touched):",
        results.table("checkpoints", ["list", "read"], "memory"),
        results.table("pickles", ["load", "dump"], "memory"),
        results.table("commands", ["convert", "save"], "memory"),
    ]
    return "\n\n".join(re.sub(r"no \[\d+\]", "no", part) for part in parts) + "\n"


def everything(record):
    asked = goals(Results(record))
    return f"{ratios(record)}\n{memory(record)}\n**Speeds that were asked for**:\n\n{asked}\n"


PLOTS = {
    "scaling-file.svg": "Time and memory over the size of a file",
    "scaling-tensors.svg": "Time and memory over the number of tensors",
    "scaling-pickle.svg": "Time and memory over the size of a pickle",
}


def plots(folder):
    """Those that scaling.py made."""
    made = [f"![{words}]({name})" for name, words in PLOTS.items() if (folder / name).exists()]
    return "\n\n".join(["\n**Against size**:", *made]) + "\n" if made else ""


def models(results):
    own, torch = (results.get("models", "tree", "modules_1001", r) for r in ("depickle", "torch.load"))
    if not own:
        return "not measured."
    text = f"1,001 modules in {milliseconds(own['ms'])}"
    if torch:
        same = "the same text" if torch["answer"] == own["answer"] else "another text"
        text += f"; `torch.load` and `print`: {times(torch['ms'] / own['ms'])}, {same}"
    return text + "."


def replace(page, text):
    before, start, rest = page.read_text().partition("<!-- measured -->\n")
    _, end, after = rest.partition("<!-- /measured -->")
    if not start or not end:
        raise SystemExit(f"{page} has no <!-- measured --> … <!-- /measured -->")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--readme", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path)
    args = parser.parse_args()
    record = json.loads(args.results.read_text())
    print(everything(record), end="")
    for page, text in ((args.readme, ratios), (args.docs, everything)):
        if page:
            replace(page, text(record) + (plots(page.parent) if text is everything else ""))


if __name__ == "__main__":
    main()
