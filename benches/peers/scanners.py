"""Times depickle's scan beside picklescan, fickling and modelscan, on the same files.

Each file is scanned by each tool in a process of its own, page cache warm; medians of five runs.
Ratios count. The peers run as their users run them, interpreter start included; `--in-process`
times their library calls instead, which leaves the start out.

    pip install picklescan==0.0.31 fickling==0.1.4 modelscan==0.8.6
    python benches/peers/scanners.py --depickle target/release/depickle FILE...
"""

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import time

PEERS = {
    "picklescan": lambda path: [sys.executable, "-m", "picklescan.cli", "--path", path],
    "fickling": lambda path: [sys.executable, "-m", "fickling", "--check-safety", path],
    "modelscan": lambda path: [sys.executable, "-m", "modelscan.cli", "scan", "-p", path],
}


def in_process():
    from fickling.analysis import check_safety
    from fickling.fickle import Pickled
    from modelscan.modelscan import ModelScan
    from picklescan.scanner import scan_file_path

    def fickling(path):
        with open(path, "rb") as file:
            check_safety(Pickled.load(file))

    return {
        "picklescan": scan_file_path,
        "fickling": fickling,
        "modelscan": lambda path: ModelScan().scan(path),
    }


def median(run, repeat=5):
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def quietly(command):
    return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depickle", default="target/release/depickle")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    calls = in_process() if args.in_process else None
    for path in args.files:
        own = median(quietly([args.depickle, "scan", path]))
        print(f"{path}: depickle {own * 1e3:.2f} ms")
        for name, command in PEERS.items():
            try:
                if calls:
                    with contextlib.redirect_stdout(io.StringIO()):
                        other = median(lambda: calls[name](path))
                else:
                    other = median(quietly(command(path)))
            except Exception as why:  # noqa: BLE001: a peer that fails is a result
                print(f"  {name:10} failed: {type(why).__name__}: {why}")
                continue
            print(f"  {name:10} {other * 1e3:9.2f} ms  {other / own:8.1f} times")


if __name__ == "__main__":
    main()
