#!/usr/bin/env bash
# Fuzzes for long: every target for MINUTES, again and again, each round's table appended to
# fuzz/long.md. Seeds come from the fixtures first.
#
#     fuzz/long.sh MINUTES [ROUNDS]
set -uo pipefail
cd "$(dirname "$0")"
minutes=${1:?MINUTES [ROUNDS]}
cargo run --quiet --no-default-features --example fill || exit 1
for _ in $(seq "${2:-1}"); do
    nice -n 19 ./run.sh $((minutes * 60)) | tee -a long.md
done
