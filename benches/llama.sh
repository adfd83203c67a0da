#!/usr/bin/env bash
# Our engine beside llama.cpp: same file, same threads, in turns. See benches/README.md.
#
#   benches/llama.sh [MODEL.gguf ...] [--rounds N] [--threads N] [--prefill N] [--decode N]
#                    [--depth N] [--isa NAME] [--first]
#
# LLAMA_BENCH names a llama-bench to use; without it llama.cpp is built in .bench/.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.3.36  # of llama-cpp-python, whose source distribution holds llama.cpp whole
bench=.bench
if [ -z "${LLAMA_BENCH:-}" ]; then
    LLAMA_BENCH=$bench/llama-$version/bin/llama-bench
    if [ ! -x "$LLAMA_BENCH" ]; then
        echo "building llama.cpp in $bench (once; a quarter of an hour on two cores)" >&2
        mkdir -p "$bench"
        [ -x "$bench/venv/bin/pip" ] || python3 -m venv "$bench/venv"
        "$bench/venv/bin/pip" install --quiet cmake ninja scikit-build-core
        "$bench/venv/bin/pip" download --quiet --dest "$bench" --no-deps --no-build-isolation \
            --no-binary :all: "llama-cpp-python==$version"
        tar xzf "$bench/llama_cpp_python-$version.tar.gz" -C "$bench"
        "$bench/venv/bin/cmake" -S "$bench/llama_cpp_python-$version/vendor/llama.cpp" \
            -B "$bench/llama-$version" -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/$bench/venv/bin/ninja" \
            -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
            -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF >"$bench/cmake.log"
        "$bench/venv/bin/ninja" -C "$bench/llama-$version" llama-bench >"$bench/ninja.log"
    fi
fi

cargo build --quiet --release --package qwenda-engine --example bench
ours="${CARGO_TARGET_DIR:-target}/release/examples/bench"
exec python3 benches/llama.py --llama "$LLAMA_BENCH" --ours "$ours" --cache "$bench/cache" "$@"
