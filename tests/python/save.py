"""Has depickle read every fixture and save it again, in both layouts, and real PyTorch load both
and compare them with the fixture, object by object.

    python tests/python/save.py --resave PATH [--train PATH]

PATH is `examples/resave`, and `examples/train` for what Rust builds. Compared are types, values,
and of tensors dtype, sizes, strides, bytes, flags and which share memory (`data_ptr`). What
`torch.load` reads with `weights_only=True` before must load so afterwards; classes that are not
there are stood in for. Ends with a line `N passed, N failed`; exits 1 if any failed.
"""

import argparse
import ctypes
import pickle
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy
import torch
import torchvision  # noqa: F401
from torch import nn

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
STUBS = {}


def stub(module, name):
    """A class that keeps whatever it is given."""
    def new(cls, *args, **kwargs):
        made = object.__new__(cls)
        made.__dict__["_given"] = (args, kwargs)
        return made

    def set_state(self, state):
        self.__dict__["_state"] = state

    return STUBS.setdefault((module, name), type(name, (), {
        "__module__": module, "__new__": new, "__init__": lambda *_, **__: None, "__setstate__": set_state,
    }))


class Stubbing(pickle.Unpickler):
    """Reads whole models without their classes."""

    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return stub(module, name)


Pickles = types.SimpleNamespace(Unpickler=Stubbing, load=lambda file, **how: Stubbing(file, **how).load(), __name__="stubs")


def load(path, weights_only):
    if weights_only:
        return torch.load(path, weights_only=True)
    return torch.load(path, weights_only=False, pickle_module=Pickles)


class Difference(Exception):
    """Where two objects part."""


class Comparison:
    """Walks two objects side by side."""

    def __init__(self):
        self.pairs, self.memory, self.kept = {}, {}, []

    def same(self, what, a, b, at):
        if a != b:
            raise Difference(f"{at}: {what} {a!r} became {b!r}")

    def compare(self, a, b, at="root"):
        todo = [(a, b, at)]
        while todo:
            todo.extend(self.one(*todo.pop()) or ())

    def one(self, a, b, at):
        self.same("type", type(a), type(b), at)
        if isinstance(a, (type(None), bool, int, str, bytes, complex, torch.dtype, torch.layout, torch.device)):
            return self.same("value", a, b, at)
        if isinstance(a, float):
            return self.same("value", numpy.float64(a).tobytes(), numpy.float64(b).tobytes(), at)
        if isinstance(a, (type, types.FunctionType, types.BuiltinFunctionType)):
            return None if a is b else self.same("object", a, b, at)
        # One object on the left is one on the right; tuples and texts have no identity to speak of.
        if not isinstance(a, tuple):
            if id(a) in self.pairs:
                return self.same("identity", self.pairs[id(a)], id(b), at)
            self.pairs[id(a)] = id(b)
            self.kept += [a, b]
        if isinstance(a, torch.Tensor):
            return self.tensor(a, b, at)
        if isinstance(a, (torch.UntypedStorage, torch.TypedStorage)):
            return self.storage(a, b, at)
        if isinstance(a, numpy.ndarray):
            return self.same("array", (a.dtype, a.shape, a.tobytes()), (b.dtype, b.shape, b.tobytes()), at)
        more = list(self.attributes(a, b, at))
        if isinstance(a, dict):
            self.same("keys", len(a), len(b), at)
            for (key, value), (other, its) in zip(a.items(), b.items()):
                more += [(key, other, f"{at} key"), (value, its, f"{at}[{key!r}]")]
        elif isinstance(a, (list, tuple)):
            self.same("length", len(a), len(b), at)
            more += [(x, y, f"{at}[{i}]") for i, (x, y) in enumerate(zip(a, b))]
        elif isinstance(a, (set, frozenset)):
            self.same("members", sorted(map(repr, a)), sorted(map(repr, b)), at)
        return more

    def attributes(self, a, b, at):
        mine, its = getattr(a, "__dict__", {}), getattr(b, "__dict__", {})
        self.same("attributes", list(mine), list(its), at)
        for name in mine:
            yield mine[name], its[name], f"{at}.{name}"

    def storage(self, a, b, at):
        pointers = a.data_ptr(), b.data_ptr()
        self.same("bytes", a.nbytes(), b.nbytes(), at)
        if pointers[0]:
            self.same("memory", self.memory.setdefault(pointers[0], pointers[1]), pointers[1], at)

    def tensor(self, a, b, at):
        if isinstance(a, nn.parameter.UninitializedTensorMixin):
            return None
        for what in ["dtype", "layout", "device", "requires_grad"]:
            self.same(what, getattr(a, what), getattr(b, what), at)
        self.same("flags", (a.is_conj(), a.is_neg()), (b.is_conj(), b.is_neg()), at)
        self.attributes_of_tensor(a, b, at)
        if a.is_nested:
            return [(x, y, f"{at}[{i}]") for i, (x, y) in enumerate(zip(a.unbind(), b.unbind()))]
        self.same("size", a.shape, b.shape, at)
        if a.layout is torch.sparse_coo:
            self.same("coalesced", a.is_coalesced(), b.is_coalesced(), at)
            return [(a._indices(), b._indices(), f"{at} indices"), (a._values(), b._values(), f"{at} values")]
        if a.layout in {torch.sparse_csr, torch.sparse_bsr}:
            parts = ["crow_indices", "col_indices", "values"]
        elif a.layout in {torch.sparse_csc, torch.sparse_bsc}:
            parts = ["ccol_indices", "row_indices", "values"]
        elif a.is_quantized:
            self.same("scheme", a.qscheme(), b.qscheme(), at)
            parts = ["int_repr"]
            if a.qscheme() in {torch.per_channel_affine, torch.per_channel_affine_float_qparams}:
                parts += ["q_per_channel_scales", "q_per_channel_zero_points"]
            else:
                self.same("scale", (a.q_scale(), a.q_zero_point()), (b.q_scale(), b.q_zero_point()), at)
        else:
            return self.strided(a, b, at)
        return [(getattr(a, part)(), getattr(b, part)(), f"{at} {part}") for part in parts]

    def attributes_of_tensor(self, a, b, at):
        mine, its = getattr(a, "__dict__", {}), getattr(b, "__dict__", {})
        self.same("attributes", list(mine), list(its), at)

    def strided(self, a, b, at):
        self.same("stride", a.stride(), b.stride(), at)
        if a.is_meta or type(a).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            return
        if a.numel() == 0:
            return
        self.same("memory", self.memory.setdefault(a.data_ptr(), b.data_ptr()), b.data_ptr(), at)
        self.same("bytes", raw_bytes(a), raw_bytes(b), at)
        try:
            equal = torch.equal(a.detach(), b.detach())
            nan = a.dtype.is_floating_point or a.dtype.is_complex
        except (RuntimeError, NotImplementedError):
            return
        if not equal and not nan:
            raise Difference(f"{at}: not torch.equal")


def raw_bytes(tensor):
    """Its elements in row-major order."""
    plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg().contiguous()
    return ctypes.string_at(plain.data_ptr(), plain.nbytes) if plain.numel() else b""


def resave(program, path, out, *flags):
    done = subprocess.run([program, *flags, "--force", str(path), str(out)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())


def loads(path, weights_only):
    """What PyTorch loads; none if it does not."""
    try:
        return load(path, weights_only), True
    except Exception:
        return None, False


def fixtures():
    for folder in ["", "save", "tensors", "containers"]:
        for path in sorted((FIXTURES / folder).iterdir()):
            if path.suffix in {".pth", ".pkl"}:
                yield path


def check(program, path, form, folder):
    """What is wrong with a fixture that was saved again; none if PyTorch cannot load the fixture."""
    out = Path(folder) / path.name
    loaded = {weights_only: loads(path, weights_only) for weights_only in [True, False]}
    if not any(fine for _, fine in loaded.values()):
        return None
    try:
        resave(program, path, out, *form)
    except RuntimeError as why:
        refused = "layout of today" in str(why) and form
        return [] if refused else [str(why)]
    found = []
    for weights_only, (before, fine) in loaded.items():
        if not fine:
            continue
        try:
            Comparison().compare(before, load(out, weights_only))
        except Exception as why:
            found.append(f"weights_only={weights_only}: {type(why).__name__}: {str(why)[:500]}")
    return found


def compact(program, path, folder):
    """State dicts, each tensor in a storage of its own."""
    out = Path(folder) / path.name
    before = torch.load(path, weights_only=True)
    resave(program, path, out, "--compact")
    after = torch.load(out, weights_only=True)
    if list(before) != list(after):
        return ["other names"]
    for name, tensor in after.items():
        if not torch.equal(tensor, before[name]) or tensor.untyped_storage().nbytes() != tensor.nbytes:
            return [f"{name} is another tensor"]
    return []


def state_dict(program, path, folder):
    """What whole models are saved as without their classes is their state dict."""
    out = Path(folder) / path.name
    before = torch.load(path, weights_only=False).state_dict()
    resave(program, path, out, "--state-dict")
    after = torch.load(out, weights_only=True)
    if list(before) != list(after):
        return ["other names"]
    return [f"{name} differs" for name, tensor in after.items()
            if not torch.equal(tensor, before[name]) or tensor.dtype != before[name].dtype or tensor.requires_grad]


def train(program, folder):
    """What Rust builds is a checkpoint that modules and optimizers take."""
    path = Path(folder) / "train.pth"
    subprocess.run([program, path], check=True, stdout=subprocess.DEVNULL)
    state = torch.load(path, weights_only=True)
    model = nn.Sequential()
    model.add_module("linear", nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5)
    model.load_state_dict(state["model_state_dict"])
    optimizer.load_state_dict(state["optimizer_state_dict"])
    facts = [state["epoch"] == 40, isinstance(state["loss"], float), abs(model(torch.ones(1)).item() - 4) < 1,
             state["model_state_dict"]._metadata == {"": {"version": 1}, "linear": {"version": 1}}]
    return [] if all(facts) else [f"not what was saved: {facts}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resave", required=True)
    parser.add_argument("--train")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = []

    def tell(name, found):
        results.append(not found)
        print("FAIL" if found else "ok  ", name, flush=True)
        for line in found:
            print("    " + line)

    with tempfile.TemporaryDirectory() as folder:
        for path in fixtures():
            for form in [(), ("--legacy",)]:
                found = check(options.resave, path, form, folder)
                if found is not None:
                    tell(f"{path.relative_to(FIXTURES)} {' '.join(form)}", found)
        for name in ["mlp_state_dict.pth", "legacy_mlp_state_dict.pth"]:
            tell(f"{name} --compact", compact(options.resave, FIXTURES / name, folder))
        for name in ["resnet18_tiny.pth", "transformer_encoder.pth"]:
            tell(f"{name} --state-dict", state_dict(options.resave, FIXTURES / name, folder))
        if options.train:
            tell("train", train(options.train, folder))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) and len(results) > 60 else 1


if __name__ == "__main__":
    sys.path.insert(0, str(FIXTURES))
    sys.path.insert(0, str(FIXTURES / "tensors"))
    sys.exit(main())
