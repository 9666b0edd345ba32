"""Makes the pickles that are timed, and times CPython's own pickle on them.

Usage: pickles.py make FOLDER
       pickles.py NAME load|dump PATH    (milliseconds and peak KiB, as the Rust readers print them)
       pickles.py serve load|dump PATH   (a number of rounds a line in, their seconds out)
"""

import gc
import io
import pathlib
import pickle
import resource
import sys
import time
import zipfile


def dicts():
    """Half a million records, as a JSON-like data set has them."""
    kinds = ["train", "validation", "test"]
    return [{"id": i, "split": kinds[i % 3], "label": i % 10, "score": i / 7.0} for i in range(500_000)]


def ints():
    return [i % 256 for i in range(5_000_000)]


def floats():
    return {f"parameter.{i}": i / 3.0 for i in range(1_000_000)}


def state_dict():
    """The data.pkl of a state dict of 5,000 tensors; none without torch."""
    try:
        import torch
    except ImportError:
        return None
    state = {f"layers.{i}.weight": torch.zeros(4, 4) for i in range(5_000)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return zipfile.ZipFile(buffer).read("archive/data.pkl")


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for shape in (dicts, ints, floats):
        (folder / f"{shape.__name__}.pkl").write_bytes(pickle.dumps(shape(), protocol=4))
    if state := state_dict():
        (folder / "state_dict.pkl").write_bytes(state)


class Inert(pickle.Unpickler):
    """Storages and calls left undone, so that only pickle itself is timed."""

    def persistent_load(self, pid):
        return pid

    def find_class(self, module, name):
        return Recorded


class Recorded:
    """What a call would have made; an OrderedDict is filled as well."""

    def __init__(self, *args):
        self.args = args

    def __setitem__(self, key, value):
        self.__dict__.setdefault("items", {})[key] = value



def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def serve(run):
    for line in sys.stdin:
        rounds = range(int(line))
        start = time.perf_counter()
        for _ in rounds:
            run()
        print(time.perf_counter() - start, flush=True)


def main():
    name, work, path = sys.argv[1:]
    data = pathlib.Path(path).read_bytes()
    if path.endswith("state_dict.pkl"):
        load = lambda: Inert(io.BytesIO(data)).load()
    else:
        load = lambda: pickle.loads(data)
    if name.endswith("gc off"):
        gc.disable()
    run = load
    if work == "dump":
        value = load()
        run = lambda: pickle.dumps(value, protocol=4)
    if name == "serve":
        return serve(run)
    run()
    print(timed(run), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        main()
