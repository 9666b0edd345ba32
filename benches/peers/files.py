"""Makes the files that are timed, unless they are there: state dicts, and plain pickles.

Usage: files.py FOLDER --depickle PATH

A state dict is written as torch.save does, in Python's standard library alone, and turned into
safetensors by depickle, so that safetensors reads the same tensors.
"""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import pickles
import scaling

STATES = {
    "256MB_64": dict(tensors=64, rows=1024, columns=1024),
    "5000_tensors": dict(tensors=5_000, rows=4, columns=4),
    "50000_tensors": dict(tensors=50_000, rows=4, columns=4),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--depickle", required=True)
    args = parser.parse_args()
    for name, shape in STATES.items():
        path = args.folder / f"{name}.pth"
        if not path.exists():
            scaling.state_dict(path, **shape)
        twin = path.with_suffix(".safetensors")
        if not twin.exists():
            subprocess.run([args.depickle, "convert", path, "-o", twin], stdout=subprocess.DEVNULL)
    if not (args.folder / "dicts.pkl").exists():
        pickles.make(args.folder)


if __name__ == "__main__":
    main()
