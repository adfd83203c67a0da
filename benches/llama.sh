#!/usr/bin/env bash
# Our engine beside llama.cpp: same file, same threads, in turns. See benches/README.md.
#
#   benches/llama.sh [MODEL.gguf ...] [--rounds N] [--threads N] [--prefill N] [--decode N]
#                    [--depth N] [--sequences 1,2,4,8,16] [--isa NAME] [--avx2] [--first]
#
# --avx2 holds both sides to AVX2.
set -euo pipefail
cd "$(dirname "$0")/.."

avx2=()
for word in "$@"; do
    [ "$word" = --avx2 ] && avx2=(--avx2)
done
bin=$(benches/build-llama.sh "${avx2[@]}" llama-bench llama-batched-bench)
cargo build --quiet --release --package qwenda-engine --example bench
ours="${CARGO_TARGET_DIR:-target}/release/examples/bench"
exec python3 benches/llama.py --llama "$bin" --ours "$ours" --cache .bench/cache "$@"
