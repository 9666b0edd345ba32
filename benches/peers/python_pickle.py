"""One measurement of CPython's own pickle, printed as depickle-peers prints its own.

Usage: python_pickle.py READER load|dump PATH
       python_pickle.py serve load|dump PATH   (a number of rounds a line in, their seconds out)

READER is "pickle" or "pickle, gc off".
"""

import gc
import io
import json
import pathlib
import pickle
import resource
import statistics
import sys
import time

ENOUGH, LONG = 0.2, 3.0


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


def timed(run):
    """Medians, in milliseconds, on the clock and of the processor, letting go of the result included."""

    def once():
        start, busy = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - start, time.process_time() - busy

    warm = once()
    times = []
    while warm[0] < LONG and sum(seconds for seconds, _ in times) < ENOUGH:
        times.append(once())
    clock, busy = zip(*(times or [warm]))
    record = {"ms": statistics.median(clock) * 1e3, "cpu_ms": statistics.median(busy) * 1e3}
    return record | {"answer": f"{0:016x}"}


def serve(run):
    for line in sys.stdin:
        rounds = range(int(line))
        start = time.perf_counter()
        for _ in rounds:
            run()
        print(time.perf_counter() - start, flush=True)


def main():
    reader, work, path = sys.argv[1:]
    data = pathlib.Path(path).read_bytes()
    if path.endswith("state_dict.pkl"):
        load = lambda: Inert(io.BytesIO(data)).load()
    else:
        load = lambda: pickle.loads(data)
    if reader.endswith("gc off"):
        gc.disable()
    run = load
    if work == "dump":
        value = load()
        run = lambda: pickle.dumps(value, protocol=4)
    if reader == "serve":
        return serve(run)
    record = timed(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(record | {"peak_kib": peak}))


if __name__ == "__main__":
    main()
