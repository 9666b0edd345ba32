"""Saves many architectures with real PyTorch and compares what it says of each with depickle.

    python sweep.py --depickle BINARY --describe EXAMPLE [--only GLOB…]

EXAMPLE is target/release/examples/whole_model. Of every model it compares `str(model)` with
`tree`; names, order, dtypes, shapes and SHA-256 of the state dict with `ls`; its members that
are no tensors, `named_modules`, `named_parameters`, `named_buffers`, counts and bytes with the
library; small ones in the layout before 1.6 as well. Weights are random. Models of more than 40
million parameters hold views of one small storage, and their checksums are not compared.

Differences listed in REVIEWED are counted apart; any other makes it exit with 1. Ends with a line
`N passed, N failed`.
"""

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "fixtures")]
warnings.filterwarnings("ignore")

import make  # noqa: E402
import modules  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
import unusual  # noqa: E402
from torch import nn  # noqa: E402

# Case: why depickle cannot say what PyTorch says.
REVIEWED = {
    name: "sparse packed parameters are a tuple that code of PyTorch's makes; what is saved is listed"
    for name in ("q_049_snq_Linear", "q_050_snq_dynamic_Linear")
}

# Models of torchvision above which parameters are views of one storage.
LARGE = 40_000_000


def vision(name):
    """A model of this name; its weights are whatever was in memory, made plain numbers."""
    arguments = {"weights": None}
    if any(part in name for part in ("fpn", "fcn", "deeplab", "ssd", "lraspp", "fcos")):
        arguments["weights_backbone"] = None
    if "googlenet" in name or "inception" in name:
        arguments["init_weights"] = False
    if name.startswith("quantized"):
        arguments["quantize"] = False
    model = torchvision.models.get_model(name, **arguments)
    large = sum(p.numel() for p in model.parameters()) > LARGE
    generator = torch.Generator().manual_seed(0)
    one = torch.rand(1)
    for parameter in model.parameters():
        with torch.no_grad():
            if large:
                parameter.data = one.expand(parameter.shape)
            else:
                parameter.copy_(torch.rand(parameter.shape, generator=generator))
    return model


def without_initialisation():
    """Models are built ten times as fast, and no number matters here."""
    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)


def all_cases():
    """`(group, name, make)`."""
    for group, fill in [("nn", modules.nn_cases), ("containers", modules.container_cases),
                        ("quantized", modules.quantized_cases), ("vision", modules.vision_cases)]:
        fill()
        for name, model in modules.CASES[group]:
            # vision_cases lists the models too, to be built on the meta device.
            if isinstance(model, nn.Module):
                yield group if group != "vision" else "vision ops", name, lambda model=model: model
    layers = lambda: [(name, model) for name, model in modules.CASES["nn"] if isinstance(model, nn.Module)]
    for name, build in unusual.cases(layers):
        yield "unusual", name, build
    without_initialisation()
    for name in torchvision.models.list_models():
        yield "torchvision", name, lambda name=name: vision(name)


def tensor_fact(value):
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return ["float32", None, "cpu"]
    return [str(value.dtype).removeprefix("torch."), list(value.shape), str(value.device)]


def member(value):
    """What the example says of a member of a state dict."""
    if isinstance(value, torch.Tensor):
        return tensor_fact(value)
    if isinstance(value, torch.ScriptObject):
        # Packed parameters: their state is what is saved of them.
        state, name = value.__getstate__()
        value = state if name.endswith("LinearPackedParamsBase") else None
    if isinstance(value, tuple):
        return [tensor_fact(part) if isinstance(part, torch.Tensor) else None for part in value]
    return None


def facts(model):
    """What PyTorch says of a model, but for its tensors' data."""
    whole = [p for p in model.parameters() if not isinstance(p, nn.parameter.UninitializedTensorMixin)]
    buffers = [b for b in model.buffers() if not isinstance(b, nn.parameter.UninitializedTensorMixin)]
    return {
        "str": str(model),
        "modules": [name for name, _ in model.named_modules()],
        "parameters": [name for name, _ in model.named_parameters()],
        "buffers": [name for name, _ in model.named_buffers()],
        "counts": [sum(p.numel() for p in whole), sum(p.numel() for p in whole if p.requires_grad)],
        "bytes": sum(t.numel() * t.element_size() for t in whole + buffers),
        "state_dict": [[name, member(value)] for name, value in model.state_dict().items()],
    }


def plain(tensor):
    """Whether its data is something that `ls` has a checksum of."""
    return not (isinstance(tensor, nn.parameter.UninitializedTensorMixin) or tensor.is_quantized or tensor.is_sparse or tensor.is_meta)


class Sweep:
    def __init__(self, depickle, describe):
        self.depickle = depickle
        self.describe = subprocess.Popen([describe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.passed, self.failed, self.known, self.refused = Counter(), [], [], []
        self.tensors = self.hashed = 0

    def run(self, *arguments):
        return subprocess.run([self.depickle, *arguments], capture_output=True, text=True)

    def differences(self, path, model):
        """Lines that tell the two accounts of one file apart."""
        self.describe.stdin.write(f"{path}\n")
        self.describe.stdin.flush()
        ours, theirs = json.loads(self.describe.stdout.readline()), facts(model)
        if "error" in ours:
            yield "error: " + ours["error"]
            return
        for key, want in theirs.items():
            got = ours[key]
            if got == want:
                continue
            if isinstance(want, str):
                got, want = got.split("\n"), want.split("\n")
            if isinstance(want, list):
                at = next((at for at, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                got, want = (f"{len(side)} of them, [{at}] = {side[at] if at < len(side) else 'none'!r}" for side in (got, want))
            yield f"{key}: {got} | PyTorch: {want}"
        tree = self.run("tree", str(path))
        if tree.stdout != theirs["str"] + "\n" or tree.returncode:
            yield f"tree: exit {tree.returncode}, {tree.stderr.strip() or 'another text'}"
        yield from self.listed(path, model)

    def listed(self, path, model):
        """Differences of tensors and their data."""
        small = sum(p.numel() for p in model.parameters() if plain(p)) <= LARGE
        listed = self.run("ls", "--json", *(["--sha256"] if small else []), "--no-progress", str(path))
        found = json.loads(listed.stdout)
        if found["kind"] != "module":
            yield f"kind: {found['kind']}"
        ours = {tensor["name"]: tensor for tensor in found["tensors"]}
        unreadable = {tensor["name"]: tensor["error"] for tensor in found["unreadable"]}
        wanted = {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, torch.Tensor)}
        readable = [name for name in wanted if name in ours]
        if [name for name in ours if name in wanted] != readable:
            yield "ls: another order"
        for name, tensor in wanted.items():
            self.tensors += 1
            if name not in ours:
                # Made when asked, uninitialised, or quantized: listed with that reason.
                if name not in unreadable or (plain(tensor) and "makes of a number" not in unreadable[name]):
                    yield f"ls: {name}: {unreadable.get(name, 'not listed')}"
                continue
            if not plain(tensor):
                continue
            want = make.describe(name, tensor, None) if small else {
                "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "stride": list(tensor.stride())}
            self.hashed += small
            for key in ["dtype", "shape", "stride", "requires_grad", "nbytes", "sha256"] if small else ["dtype", "shape", "stride"]:
                # A number of which PyTorch makes a tensor when asked has no strides yet.
                if ours[name][key] != want[key] and not (key == "stride" and ours[name][key] is None and want[key] == []):
                    yield f"ls: {name}: {key} {ours[name][key]} | PyTorch: {want[key]}"

    def one(self, group, name, model, path, legacy, whole=None):
        """Saves and compares one model. `whole` is what it would be, did it lack nothing."""
        label = f"{name} (legacy)" if legacy else name
        try:
            if isinstance(model, torch.jit.ScriptModule):
                model.save(str(path))
            else:
                torch.save(model, path, _use_new_zipfile_serialization=not legacy)
        except Exception as why:
            self.refused.append(f"{label}: {type(why).__name__}: {str(why)[:120]}")
            return
        try:
            # A few load as something that cannot be used: then what was saved counts.
            loaded = torch.load(path, weights_only=False)
            facts(loaded)
        except Exception:
            loaded = whole or model
        try:
            found = list(self.differences(path, loaded))
        except Exception as why:
            found = [f"{type(why).__name__}: {why}"]
        if not found:
            self.passed[group] += 1
        elif name in REVIEWED:
            self.known.append(label)
        else:
            self.failed.append(label)
        for line in found[:6]:
            print(f"{'known' if name in REVIEWED else 'FAIL'} {label}: {line[:400]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--describe", required=True)
    parser.add_argument("--only", action="append", help="cases whose names match")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    sweep, started, architectures = Sweep(options.depickle, options.describe), time.monotonic(), set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        for group, name, build in all_cases():
            if options.only and not any(fnmatch.fnmatch(name, glob) for glob in options.only):
                continue
            try:
                model = build()
            except Exception as why:
                sweep.refused.append(f"{name}: cannot be made: {type(why).__name__}: {str(why)[:120]}")
                continue
            model, whole = model if isinstance(model, tuple) else (model, None)
            architectures.add(name)
            sweep.one(group, name, model, path, False, whole)
            small = sum(p.numel() for p in model.parameters() if plain(p)) < 5_000_000
            # PyTorch 2.15 crashes on sparse packed parameters in the older layout.
            if small and "snq" not in name and not isinstance(model, torch.jit.ScriptModule):
                sweep.one(group, name, model, path, True, whole)
    for group, count in sweep.passed.items():
        print(f"{group:12} {count:4} files as PyTorch says")
    print(f"{len(sweep.refused)} that PyTorch cannot save or make:")
    for line in sweep.refused:
        print("    " + line)
    print(f"{len(sweep.known)} with reviewed differences: {', '.join(sweep.known)}")
    print(f"{len(architectures)} architectures, {sweep.tensors} tensors, {sweep.hashed} by checksum, "
          f"in {time.monotonic() - started:.0f} s")
    print(f"{sum(sweep.passed.values())} passed, {len(sweep.failed)} failed")
    return 1 if sweep.failed or not sum(sweep.passed.values()) else 0


if __name__ == "__main__":
    # What users' classes are pickled as.
    for source in (modules, unusual):
        for value in list(vars(source).values()):
            if isinstance(value, type) and value.__module__ == source.__name__:
                value.__module__ = "__main__"
                setattr(sys.modules["__main__"], value.__name__, value)
    sys.exit(main())
