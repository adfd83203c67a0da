#!/usr/bin/env bash
# Perplexity of a text: our engine, our engine without rounding of activations, llama.cpp. See benches/README.md.
#
#   benches/perplexity.sh [MODEL.gguf] [--tokens N] [--exact-windows N] [--text FILE] [--window N]
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(benches/build-llama.sh llama-perplexity)
cargo build --quiet --release --package qwenda-engine --example perplexity
ours="${CARGO_TARGET_DIR:-target}/release/examples/perplexity"
exec python3 benches/perplexity.py --llama "$bin/llama-perplexity" --ours "$ours" --cache .bench/cache "$@"
