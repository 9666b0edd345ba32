#!/usr/bin/env bash
# Times depickle beside its peers and against size, on the same files in the same run, and writes what
# came of it: tables into README.md and docs/performance.md, plots to docs/scaling-*.svg.
#
#     benches/run.sh [--quick] [--busy]
#
# TORCH_PYTHON and SCANNERS_PYTHON name Pythons that have torch (tests/fixtures/requirements.txt) and the
# scanners (benches/peers/scanners.txt); unless given, virtual environments are made and filled.
# BENCH_DIR (target/bench) takes some 7 GB. About 20 minutes on two quiet cores once all is built.
# With --quick, minutes: smaller files, fewer rounds, and nothing of the checkout is changed. With --busy,
# processor time counts, not the clock's: for a machine that does other things beside.
set -euo pipefail
cd "$(dirname "$0")/.."
quick=() busy=()
rounds=(--rounds "${ROUNDS:-5}")
for argument in "$@"; do
    case "$argument" in
        --quick) quick=(--quick) rounds=(--rounds 2) ;;
        --busy) busy=(--clock cpu --patience 20) ;;
        *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
folder=${BENCH_DIR:-$PWD/target/bench}
mkdir -p "$folder"

# A Python with what a list names: the one given, or an environment made for it.
python_with() { # GIVEN NAME REQUIREMENTS
    if [ -n "$1" ]; then
        echo "$1"
        return
    fi
    local made=$folder/$2
    if [ ! -e "$made/done" ]; then
        { python3 -m venv "$made" && "$made/bin/pip" install --quiet -r "$3" && touch "$made/done"; } >&2 || return 0
    fi
    echo "$made/bin/python"
}
torch=$(python_with "${TORCH_PYTHON:-}" torch tests/fixtures/requirements.txt)
scanners=$(python_with "${SCANNERS_PYTHON:-}" scanners benches/peers/scanners.txt)
pythons=()
if [ -n "$torch" ]; then pythons=(--torch "$torch"); else echo "without PyTorch: it is left out" >&2; fi

cargo build --release --quiet --bin depickle
(cd benches/peers && cargo build --release --quiet --locked)
depickle=${CARGO_TARGET_DIR:-$PWD/target}/release/depickle
peers=${CARGO_TARGET_DIR:-$PWD/benches/peers/target}/release/depickle-peers
tools=(--depickle "$depickle" --peers "$peers")

python3 benches/peers/files.py "$folder" --depickle "$depickle" "${pythons[@]}" "${quick[@]}"
echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)" >&2
python3 benches/peers/compare.py "$folder" --out "$folder/results.json" "${tools[@]}" "${pythons[@]}" \
    ${scanners:+--scanners "$scanners"} "${rounds[@]}" "${quick[@]}" "${busy[@]}"
to=docs
[ ${#quick[@]} = 0 ] || to=$folder
python3 benches/scaling.py "$folder" --to "$to" "${tools[@]}" "${pythons[@]}" "${quick[@]}" "${busy[@]}"
if [ ${#quick[@]} = 0 ]; then
    python3 benches/peers/report.py "$folder/results.json" --readme README.md --docs docs/performance.md
else
    python3 benches/peers/report.py "$folder/results.json"
fi
echo "load after: $(cut -d ' ' -f 1-3 /proc/loadavg)" >&2
