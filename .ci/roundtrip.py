"""Saves models with real PyTorch and compares what it says of them with what depickle says.

    python .ci/roundtrip.py --depickle PATH [--quick]

The fixtures' cases, and (unless --quick) models of every torchvision family. Ends with a line
`N passed, N failed`; exits 1 if any failed.
"""

import argparse
import difflib
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fixtures"))

import make  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from torch import nn  # noqa: E402

MODELS = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 swin_t
swin_v2_t vgg11_bn vit_b_16 wide_resnet50_2 deeplabv3_mobilenet_v3_large fcn_resnet50 lraspp_mobilenet_v3_large
fasterrcnn_mobilenet_v3_large_fpn fcos_resnet50_fpn keypointrcnn_resnet50_fpn maskrcnn_resnet50_fpn retinanet_resnet50_fpn
ssd300_vgg16 ssdlite320_mobilenet_v3_large raft_small mc3_18 mvit_v1_b r3d_18 s3d swin3d_t
""".split()

FIELDS = ["name", "dtype", "shape", "stride", "storage_offset", "layout", "device", "requires_grad", "role", "nbytes", "sha256"]


def torchvision_model(name):
    """A model of this name with random weights."""
    arguments = {"weights": None}
    if name.partition("_")[0] in {"fcos", "fasterrcnn", "keypointrcnn", "maskrcnn", "retinanet", "ssd300", "ssdlite320",
                                  "deeplabv3", "fcn", "lraspp"}:
        arguments["weights_backbone"] = None
    if name in {"googlenet", "inception_v3"}:
        arguments["init_weights"] = False
    return torchvision.models.get_model(name, **arguments)


def run(program, *arguments):
    """Standard output of depickle; what it says on standard error counts as a difference."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def differences(program, path, want):
    """Lines that tell the two accounts of one file apart."""
    listed = json.loads(run(program, "ls", "--json", "--sha256", "--no-progress", str(path)))
    lines = {
        "PyTorch": [json.dumps({field: tensor[field] for field in FIELDS}) for tensor in want["tensors"]],
        "depickle": [json.dumps({field: tensor[field] for field in FIELDS}) for tensor in listed["tensors"]],
    }
    facts = {key: (want[key], listed[key]) for key in ["kind", "root_class"]}
    yield from (f"{key}: {theirs!r} is {ours!r} to depickle" for key, (theirs, ours) in facts.items() if theirs != ours)
    yield from (f"unreadable: {tensor}" for tensor in listed["unreadable"])
    yield from difflib.unified_diff(lines["PyTorch"], lines["depickle"], "PyTorch", "depickle", lineterm="", n=0)
    if want["repr"] is not None:
        tree = run(program, "tree", str(path)).splitlines()
        yield from difflib.unified_diff(want["repr"].splitlines(), tree, "str(model)", "tree", lineterm="", n=1)


def compare(program, path):
    """Whether depickle says of a file what PyTorch says."""
    try:
        found = list(differences(program, path, make.record(path)))
    except Exception as why:
        found = [f"{type(why).__name__}: {why}"]
    print("ok  " if not found else "FAIL", path.stem, flush=True)
    for line in found[:40]:
        print("    " + line)
    return not found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depickle", required=True, help="the binary")
    parser.add_argument("--quick", action="store_true", help="only the fixtures' cases")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in make.CASES:
            results.append(compare(options.depickle, make.make(case, Path(folder))))
            # PyTorch writes 8-bit floats in the older layout but cannot load them.
            if case != "dtypes":
                results.append(compare(options.depickle, make.make(case, Path(folder), legacy=True)))
        for name in [] if options.quick else MODELS:
            path = Path(folder) / f"{name}.pth"
            torch.save(torchvision_model(name), path)
            results.append(compare(options.depickle, path))
            path.unlink()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    # What the fixtures' classes are pickled as.
    for value in vars(make).values():
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == make.__name__:
            value.__module__ = "__main__"
            setattr(sys.modules["__main__"], value.__name__, value)
    sys.exit(main())
