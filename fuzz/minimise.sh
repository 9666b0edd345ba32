#!/usr/bin/env bash
# Makes the seeds of what fuzzing found: the smallest set of inputs that covers what the corpus
# covers, without the large ones. Seeds are committed; the corpus is not.
#
#     fuzz/minimise.sh [TARGET…]
set -euo pipefail
cd "$(dirname "$0")"
. ./instrumented.sh
cargo fuzz build > /dev/null 2>&1
triple=$(rustc -vV | sed -n 's/^host: //p')
read -ra targets <<< "${*:-$(cargo fuzz list | tr '\n' ' ')}"
for target in "${targets[@]}"; do
    new=$(mktemp -d)
    mkdir -p "seeds/$target" "corpus/$target"
    # -merge takes small inputs first; MOST bounds each of them.
    "target/$triple/release/$target" -merge=1 -max_len="${MOST:-2048}" "$new" "seeds/$target" \
        "corpus/$target" > /dev/null 2>&1
    # Those with a name of their own stand for a finding, and stay.
    find "seeds/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    # So many of them, of all sizes: each goes through every test run.
    count=$(find "$new" -type f | wc -l)
    step=$(((count + ${SEEDS:-120} - 1) / ${SEEDS:-120}))
    find "$new" -type f -printf '%s %p\n' | sort -n | awk -v step="$step" 'NR % step == 0 { print $2 }' \
        | xargs -r cp -t "seeds/$target"
    rm -rf "$new"
    echo "$target: $(find "seeds/$target" -type f | wc -l) seeds, $(du -bs "seeds/$target" | cut -f1) bytes"
done
