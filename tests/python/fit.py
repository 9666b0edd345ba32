"""Whether weights fit models: makes the fixtures of tests/fit.rs, and says whether PyTorch still
says of them what is written down.

    python fit.py make [FOLDER]     # models, weights, and what load_state_dict said
    python fit.py check [FOLDER]    # ends with `N passed, N failed`; exits 1 if this PyTorch says something else

`FOLDER` is tests/fixtures/fit. Made with PyTorch 2.15.0 and torchvision 0.29.2, on CPython 3.11.

cases.json is a list of {"model", "weights", "strict", "missing", "unexpected", "error"}: files
without `.pth`, what `load_state_dict` returned, and the text it raised, if it did. casts.json
holds what `copy_` made of elements of one dtype as those of another; forward.json inputs and
outputs of `mlp_model.pth`, made here from the same seeds as the fixture.
"""

import copy
import itertools
import json
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"


class Net(nn.Module):
    """Layers of which old files lack something, and places that are empty."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_parameter("absent", None)
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.register_buffer("steps", torch.tensor([3, 4]))
        self.conv = nn.Conv2d(2, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.act = nn.ReLU()
        self.free = nn.InstanceNorm2d(3)
        self.tracked = nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
        self.untracked = nn.BatchNorm1d(3, track_running_stats=False)
        self.nothing = nn.Identity()
        self._modules["nothing"] = None
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 2), nn.ReLU())])


class Lazy(nn.Module):
    """A lazy layer that has not seen its input yet."""

    def __init__(self):
        super().__init__()
        self.first = nn.LazyLinear(2)
        self.norm = nn.LazyBatchNorm1d()
        self.last = nn.Linear(2, 1)


def old(state):
    """Without versions, as a plain dict of the items has them."""
    return OrderedDict(state.items())


def without(state, *names):
    state = copy.copy(state)
    for name in names:
        del state[name]
    return state


def vision():
    """Parts of torchvision that look for the names of older versions."""
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
    from torchvision.models.detection.retinanet import RetinaNetClassificationHead
    from torchvision.models.detection.rpn import RPNHead
    from torchvision.models.vision_transformer import MLPBlock
    from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d

    model = nn.Module()
    model.frozen = FrozenBatchNorm2d(2)
    model.fpn = FeaturePyramidNetwork([2, 3], 2)
    model.mlp = MLPBlock(2, 3, 0.0)
    model.rpn = RPNHead(2, 3)
    model.mask = MaskRCNNHeads(2, (2, 2), 1)
    model.retina = RetinaNetClassificationHead(2, 1, 2)
    model.head = nn.Linear(2, 2)
    return model


OLD_NAMES = [
    ("fpn.inner_blocks.0.0.", "fpn.inner_blocks.0."), ("fpn.inner_blocks.1.0.", "fpn.inner_blocks.1."),
    ("fpn.layer_blocks.0.0.", "fpn.layer_blocks.0."), ("fpn.layer_blocks.1.0.", "fpn.layer_blocks.1."),
    ("mlp.0.", "mlp.linear_1."), ("mlp.3.", "mlp.linear_2."), ("rpn.conv.0.0.", "rpn.conv."),
    ("mask.0.0.", "mask.mask_fcn1."), ("mask.1.0.", "mask.mask_fcn2."),
    ("retina.conv.0.0.", "retina.conv.0."), ("retina.conv.1.0.", "retina.conv.2."),
    ("retina.conv.2.0.", "retina.conv.4."), ("retina.conv.3.0.", "retina.conv.6."),
]


def old_names(state):
    renamed = OrderedDict()
    for name, value in state.items():
        for new, before in OLD_NAMES:
            if name.startswith(new):
                name = before + name[len(new):]
                break
        renamed[name] = value
    renamed["frozen.num_batches_tracked"] = torch.tensor(0)
    return renamed


def files():
    """(models, weights): by name."""
    torch.manual_seed(0)
    net, lazy, parts = Net(), Lazy(), vision()
    state = net.state_dict()
    counts = [name for name in state if name.endswith("num_batches_tracked")]

    extra = copy.copy(state)
    for name in ["conv.extra", "zz", "bn.weight.deep", "absent", "mask", "nothing.lost", "act.weight", "conv",
                 "blocks.1.9.weight", "blocks.x", "bn._extra_state", "_extra_state", "bn.aa", "unknown.a.b"]:
        extra[name] = torch.zeros(1)

    sizes = copy.copy(state)
    sizes["conv.weight"] = torch.zeros(3, 2, 1)
    sizes["scale"] = torch.zeros(2)
    sizes["steps"] = torch.tensor(1)
    sizes["blocks.0.bias"] = torch.zeros(4)
    del sizes["blocks.0.weight"]
    sizes["bn.weird"] = torch.zeros(0, 3)

    other = copy.copy(state)
    other.update({"scale": 3, "conv.weight": None, "conv.bias": "text", "bn.bias": [1.0],
                  "blocks.0.bias": nn.Parameter(torch.ones(3)), "steps": {"a": 1}})

    number = copy.copy(state)
    number["scale"] = torch.tensor([5.0])
    number["steps"] = torch.tensor([1.5, -2.5], dtype=torch.float64)

    stats = old(state)
    stats["free.running_mean"] = torch.zeros(3)
    stats["free.running_var"] = torch.ones(3)
    told = copy.copy(state)
    told["free.running_mean"] = torch.zeros(3)

    meta = copy.copy(state)
    meta["conv.bias"] = torch.zeros(3, device="meta")

    first = copy.deepcopy(state)
    for facts in first._metadata.values():
        facts["version"] = 1

    eager = nn.Module()
    eager.first, eager.norm, eager.last = nn.Linear(5, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)

    wrapped = OrderedDict(("module." + name, value) for name, value in state.items())
    models = {"net": net, "lazy": lazy, "vision": parts}
    weights = {
        "same": state,
        "no_versions": without(old(state), *counts),
        "no_counts": without(state, *counts),
        "first_version": without(first, *counts),
        "extra": extra,
        "sizes": sizes,
        "other": other,
        "number": number,
        "stats": stats,
        "told_stats": told,
        "meta": meta,
        "wrapped": wrapped,
        "nested": {"epoch": 3, "model": state},
        "a_list": [1, 2],
        "eager": eager.state_dict(),
        "vision_same": parts.state_dict(),
        "vision_old": old_names(parts.state_dict()),
        "vision_new_told": without(parts.state_dict(), "rpn.conv.0.0.bias"),
    }
    told_old = old_names(parts.state_dict())
    told_old._metadata = parts.state_dict()._metadata
    weights["vision_old_told"] = told_old
    return models, weights


def said(model, state, strict):
    try:
        found = model.load_state_dict(state, strict=strict)
    except (RuntimeError, TypeError) as why:
        return {"missing": None, "unexpected": None, "error": str(why)}
    return {"missing": found.missing_keys, "unexpected": found.unexpected_keys, "error": None}


def cases(folder):
    found = []
    vision_cases = ["vision_same", "vision_old", "vision_new_told", "vision_old_told", "same"]
    pairs = {
        "net": ["same", "no_versions", "no_counts", "first_version", "extra", "sizes", "other", "number", "stats",
                "told_stats", "meta", "wrapped", "nested", "a_list"],
        "lazy": ["eager", "same"],
        "vision": vision_cases,
    }
    for model, names in pairs.items():
        for name in names:
            for strict in (True, False):
                loaded = torch.load(folder / f"{model}_model.pth", weights_only=False)
                state = torch.load(folder / f"{name}.pth", weights_only=False)
                found.append({"model": f"{model}_model", "weights": name, "strict": strict,
                              **said(loaded, state, strict)})
    return found


CASTS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
         "complex64", "complex128", "complex32", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"]


def numbers(dtype):
    """Some of each that every type can say something of."""
    dtype = getattr(torch, dtype)
    values = [0.0, 1.0, 2.5, 3.75, 100.0, 1.0000001, 65.4, 0.1]
    if dtype.is_complex:
        return torch.tensor([complex(value, -value) for value in values], dtype=torch.complex128).to(dtype)
    if dtype == torch.int64:
        return torch.tensor([0, 1, 2**53 + 1, 300, 2**62 + 3, 127, 16777217, 65535])
    return torch.tensor(values, dtype=torch.float64).to(dtype)


def plain(tensor):
    return bytes(tensor.contiguous().view(torch.uint8).numpy()).hex()


def casts():
    """Each dtype as each other, where PyTorch does it and nothing is lost silently."""
    found = []
    for source in CASTS:
        values = numbers(source)
        for target in CASTS:
            dtype = getattr(torch, target)
            if values.dtype.is_complex and not dtype.is_complex:
                continue  # the imaginary part would be dropped
            if target.startswith("float8") and source != target:
                continue
            into = torch.zeros(len(values), dtype=dtype)
            try:
                into.copy_(values)
            except (RuntimeError, NotImplementedError):
                continue
            found.append({"from": source, "to": target, "bytes": plain(into)})
    return found


def casts_file():
    return OrderedDict((name, numbers(name)) for name in CASTS)


def forward(folder):
    """The fixture's own model, run."""
    sys.path.insert(0, str(FIXTURES))
    import make

    main = sys.modules["__main__"]
    main.MLP, main.Scale = make.MLP, make.Scale
    model = torch.load(FIXTURES / "mlp_model.pth", weights_only=False).eval()
    torch.manual_seed(1)
    inputs = torch.randn(4, 6)
    with torch.no_grad():
        outputs = model.double()(inputs.double()).float()
    return {"input": inputs.tolist(), "output": outputs.tolist()}


def make_all(folder):
    folder.mkdir(exist_ok=True)
    models, weights = files()
    for name, model in models.items():
        torch.save(model, folder / f"{name}_model.pth")
    for name, state in weights.items():
        torch.save(state, folder / f"{name}.pth")
    torch.save(casts_file(), folder / "casts.pth")
    for name, found in [("cases", cases(folder)), ("casts", casts()), ("forward", forward(folder))]:
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def check(folder):
    passed = failed = 0
    for name, found in [("cases", cases(folder)), ("casts", casts()), ("forward", forward(folder))]:
        written = json.loads((folder / f"{name}.json").read_text())
        if isinstance(found, dict):
            found, written = sorted(found.items()), sorted(map(tuple, written.items()))
        for says, line in itertools.zip_longest(found, written):
            passed, failed = passed + (says == line), failed + (says != line)
            if says != line:
                print(f"{name}.json: {line} is {says} to PyTorch {torch.__version__}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    work, folder = sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else FIXTURES / "fit"
    {"make": make_all, "check": check}[work](folder)
