"""One measurement of PyTorch, printed as depickle-peers prints its own.

Usage: torch_read.py READER WORK PATH

READER is "torch.load" or "torch.load, mmap"; WORK is list, read, tree, save or convert.
"""

import json
import os
import resource
import statistics
import sys
import time
import zlib  # noqa: F401: loaded by zipfile; here so that its loading is not timed

import numpy
import torch

ENOUGH, LONG = 0.2, 3.0
MASK = (1 << 64) - 1


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def careful(name, tensor, work):
    """What `seen.rs` computes the first time: names, sizes, and words by their place."""
    sizes = b"".join(size.to_bytes(8, "little") for size in tensor.shape)
    words = 0
    if work == "read":
        data = tensor.contiguous().flatten().view(torch.uint8).numpy()
        whole = data[: len(data) // 8 * 8].view(numpy.uint64)
        places = numpy.arange(len(whole), dtype=numpy.uint64) * numpy.uint64(2) + numpy.uint64(1)
        words = int((whole * places).sum(dtype=numpy.uint64))
        words += int.from_bytes(data[len(whole) * 8 :].tobytes(), "little") * (2 * len(whole) + 1)
    return (words + 1) * (fnv(name.encode() + sizes) | 1)


def touch(tensor):
    flat = tensor.flatten()
    if flat.nbytes % 8:
        return int(flat.view(torch.uint8).sum())
    return int(flat.view(torch.int64).sum())


def reading(path, work, mmap):
    def run(first):
        state = torch.load(path, weights_only=True, mmap=mmap)
        if first:
            total = 1 + sum(careful(name, tensor, work) for name, tensor in state.items())
            return f"{total & MASK:016x}"
        for name, tensor in state.items():
            touch(tensor) if work == "read" else (name, tuple(tensor.shape))

    return run


def printing(path):
    def run(first):
        text = str(torch.load(path, weights_only=False))
        return f"{len(text.encode()):016x}"

    return run


def saving(path):
    """On disk before it is done, as depickle's."""
    state, out = torch.load(path, weights_only=True), path + ".saved"

    def run(first):
        torch.save(state, out)
        with open(out, "rb") as file:
            os.fsync(file.fileno())
        os.unlink(out)
        return f"{0:016x}"

    return run


def converting(path):
    """The official way, without the start of the interpreter and its imports."""
    from safetensors.torch import save_file

    out = path + ".converted"

    def run(first):
        state = torch.load(path, weights_only=True)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, out, {"format": "pt"})
        os.unlink(out)
        return f"{0:016x}"

    return run


def timed(run):
    """Medians, in milliseconds, on the clock and of the processor."""

    def once(*first):
        start, busy = time.perf_counter(), time.process_time()
        answer = run(*first)
        return time.perf_counter() - start, time.process_time() - busy, answer

    warm = once(True)
    times = []
    while warm[0] < LONG and sum(seconds for seconds, _, _ in times) < ENOUGH:
        times.append(once(False))
    clock, busy, _ = zip(*(times or [warm]))
    record = {"ms": statistics.median(clock) * 1e3, "cpu_ms": statistics.median(busy) * 1e3}
    return record | {"answer": warm[2]}


def main():
    reader, work, path = sys.argv[1:]
    torch.set_num_threads(1)
    if work in ("list", "read"):
        run = reading(path, work, reader.endswith("mmap"))
    else:
        run = {"tree": printing, "save": saving, "convert": converting}[work](path)
    record = timed(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(record | {"peak_kib": peak}))


if __name__ == "__main__":
    main()
