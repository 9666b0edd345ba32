"""One measurement of torch.load: milliseconds and peak KiB, as the Rust readers print them."""

import resource
import sys
import time

import torch

name, work, path = sys.argv[1:]


def run():
    state = torch.load(path, weights_only=True, mmap=name.endswith("mmap"))
    if work == "read":
        return sum(tensor.flatten().view(torch.int32).sum().item() for tensor in state.values())
    return len(state)


torch.set_num_threads(1)
run()
start = time.perf_counter()
run()
elapsed = (time.perf_counter() - start) * 1e3
print(elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
