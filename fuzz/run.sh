#!/usr/bin/env bash
# Runs fuzz targets for so many seconds each, two at a time, and prints a table of what they did.
#
#     fuzz/run.sh SECONDS [TARGET…]
#
# Without targets, all of them. JOBS says how many run at once (2). A finding lies in
# fuzz/artifacts/TARGET/ and makes this fail, after the others have had their time. What was
# learnt stays in fuzz/corpus/ (not committed; `fuzz/minimise.sh` makes seeds of it). FUZZ_BUILD
# holds more arguments of `cargo fuzz build`.
set -uo pipefail
cd "$(dirname "$0")"
seconds=${1:?SECONDS [TARGET…]}
shift
. ./instrumented.sh
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# All targets are built once, together.
read -ra building <<< "${FUZZ_BUILD:-}"
cargo fuzz build "${building[@]}" > "$logs/build" 2>&1 || { cat "$logs/build"; exit 1; }
read -ra targets <<< "${*:-$(cargo fuzz list | tr '\n' ' ')}"
triple=$(rustc -vV | sed -n 's/^host: //p')

one() {
    local target=$1
    # Of a few KiB nothing is made that is longer than a GiB: a finding, before the disk is full.
    ulimit -f 1048576
    mkdir -p "corpus/$target" "artifacts/$target"
    local dictionary=dictionaries/pickle.dict
    case $target in
        zip | tar | checkpoint | modules | scan | convert | faults | cli) dictionary=dictionaries/archive.dict ;;
        made_*) dictionary= ;; # choices, of which no word means anything
    esac
    "target/$triple/release/$target" "corpus/$target" "seeds/$target" \
        ${dictionary:+-dict=$dictionary} -artifact_prefix="artifacts/$target/" -max_len=65536 -timeout=60 \
        -max_total_time="$seconds" -rss_limit_mb=3072 -print_final_stats=1 \
        > "$logs/$target" 2>&1
    echo $? > "$logs/$target.code"
}

for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    one "$target" &
done
wait

date -u '+%Y-%m-%d %H:%M UTC'
echo '| target | executions | a second | edges covered | corpus | new | peak MiB | found |'
echo '|---|---:|---:|---:|---:|---:|---:|---|'
failed=0
for target in "${targets[@]}"; do
    log=$logs/$target
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    corpus=$(grep -o 'corp: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    found=
    if [ "$(cat "$log.code")" != 0 ]; then
        failed=1
        found=$(grep -m 1 -oE 'panicked at .*|ERROR: .*' "$log" | tr '|' '/')
        { echo "--- $target"; tail -n 40 "$log"; } >&2
    fi
    echo "| $target | $(stat number_of_executed_units) | $(stat average_exec_per_sec) | $edges | $corpus | $(stat new_units_added) | $(stat peak_rss_mb) | $found |"
done
exit $failed
