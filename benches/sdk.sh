#!/usr/bin/env bash
# Our SDK beside openai-python, openai-node and async-openai, on one stub, in turns. See benches/README.md.
#
#   benches/sdk.sh [--rounds N] [--calls N] [--streams N] [--held N] [--first]
set -euo pipefail
cd "$(dirname "$0")/.."

first=()
for word in "$@"; do
    # Callers and stub together, in one scheduling group before everything else.
    [ "$word" = --first ] && first=(setsid -w bash -c 'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"' bench)
done
cargo build --quiet --release --package qwenda --example overhead
CARGO_TARGET_DIR="$PWD/.bench/async-openai" cargo build --quiet --release --manifest-path benches/sdk/async-openai/Cargo.toml
# Each side holds a thousand connections.
ulimit -n 8192
exec "${first[@]}" python3 benches/sdk_sides.py "$@"
