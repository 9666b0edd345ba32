#!/usr/bin/env bash
# Times depickle beside its peers and against size, on the same files in the same run, and writes
# what came of it: a table of ratios to benches/peers.md, plots to docs/scaling-*.svg.
#
#     benches/run.sh [PYTHON]
#
# PYTHON has torch (as in tests/fixtures/requirements.txt); without it, torch.load is left out.
# Takes some ten minutes on two quiet cores, and 2 GB below BENCH_DIR (target/bench).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
folder=${BENCH_DIR:-$PWD/target/bench}
mkdir -p "$folder"
cargo build --release --quiet
(cd benches/peers && cargo build --release --quiet)
tool=$PWD/target/release/depickle
"$python" benches/peers/files.py "$folder" --depickle "$tool"
benches/peers/target/release/depickle-peers --python "$python" --rounds "${ROUNDS:-5}" \
    "$folder"/*.pth "$folder"/*.pkl | tee benches/peers.md
"$python" benches/scaling.py --depickle "$tool" --folder "$folder/scaling" --to docs
