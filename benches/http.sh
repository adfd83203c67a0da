#!/usr/bin/env bash
# Our service beside llama-server: same file, same threads, in turns. See benches/README.md.
#
#   benches/http.sh [MODEL.gguf] [--rounds N] [--threads N] [--callers N] [--only shared,long,repeat,neighbour]
#                   [--avx2] [--first]
set -euo pipefail
cd "$(dirname "$0")/.."

avx2=() first=()
for word in "$@"; do
    [ "$word" = --avx2 ] && avx2=(--avx2)
    # Servers, client and neighbour together, in one scheduling group before everything else.
    [ "$word" = --first ] && first=(setsid -w bash -c 'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"' bench)
done
bin=$(benches/build-llama.sh "${avx2[@]}" llama-server)
cargo build --quiet --release --package qwenda-cli
exec "${first[@]}" python3 benches/http_sides.py --llama "$bin/llama-server" --ours "${CARGO_TARGET_DIR:-target}/release/qwenda" "$@"
