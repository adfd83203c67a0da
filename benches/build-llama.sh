#!/usr/bin/env bash
# Builds llama.cpp's programs once and prints the folder they are in.
#
#   benches/build-llama.sh [--avx2] PROGRAM...
#
# --avx2: for AVX2 and no more, so that both sides can be held to it; otherwise for this CPU.
# LLAMA_BIN names a folder of programs that exist already.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.3.36  # of llama-cpp-python, whose source distribution holds llama.cpp whole
bench=.bench
build=llama-$version
cpu=(-DGGML_NATIVE=ON)
if [ "${1:-}" = --avx2 ]; then
    shift
    build=llama-avx2
    cpu=(-DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON)
fi
bin=${LLAMA_BIN:-$bench/$build/bin}

missing=()
for program in "$@"; do
    [ -x "$bin/$program" ] || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    [ -z "${LLAMA_BIN:-}" ] || { echo "LLAMA_BIN=$bin has no ${missing[*]}" >&2; exit 1; }
    echo "building ${missing[*]} of llama.cpp in $bench (once; a quarter of an hour on two cores)" >&2
    mkdir -p "$bench"
    [ -x "$bench/venv/bin/pip" ] || python3 -m venv "$bench/venv"
    "$bench/venv/bin/pip" install --quiet cmake ninja scikit-build-core >&2
    source=$bench/llama_cpp_python-$version
    if [ ! -d "$source" ]; then
        "$bench/venv/bin/pip" download --quiet --dest "$bench" --no-deps --no-build-isolation \
            --no-binary :all: "llama-cpp-python==$version" >&2
        tar xzf "$source.tar.gz" -C "$bench"
        # GCC 12 takes `_tile_loadconfig` to read 8 bytes and drops what is written behind them, so that
        # llama.cpp crashes where there is AMX. This keeps it from doing so, and changes nothing else.
        sed -i 's/^    _tile_loadconfig(&tc);/    __asm__ volatile("" :: "r"(\&tc) : "memory"); _tile_loadconfig(\&tc);/' \
            "$source/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp"
    fi
    if [ ! -f "$bench/$build/build.ninja" ]; then
        "$bench/venv/bin/cmake" -S "$source/vendor/llama.cpp" -B "$bench/$build" -G Ninja \
            -DCMAKE_MAKE_PROGRAM="$PWD/$bench/venv/bin/ninja" -DCMAKE_BUILD_TYPE=Release "${cpu[@]}" \
            -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF >"$bench/$build.cmake.log"
    fi
    "$bench/venv/bin/ninja" -C "$bench/$build" "${missing[@]}" >"$bench/$build.ninja.log"
fi
echo "$bin"
