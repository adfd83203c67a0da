#!/usr/bin/env python3
"""How long `qwenda serve` takes to be ready, and the memory it holds beside the mapped files.

    python3 benches/start.py MODEL.gguf [--binary target/release/qwenda] [--rounds 5] [--first]

Prints the time from the start of the process to its line `listening on`, of each round, and then, after
a chat of 2,000 tokens, eight requests at once and an answer held to JSON, the anonymous memory of the process: as it is, and
without the keys and values, which are a budget of their own. See benches/README.md.
"""

import argparse
import json
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

PAGE_TOKENS = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


def metadata(path):
    """The numbers and texts among a GGUF file's metadata."""
    with open(path, "rb") as file:
        number = lambda code: struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]
        text = lambda: file.read(number("Q")).decode(errors="replace")

        def value(kind):
            if kind == STRING:
                return text()
            if kind == ARRAY:
                kind, count = number("I"), number("Q")
                if kind in SIZES:
                    file.seek(count * SIZES[kind], os.SEEK_CUR)
                else:
                    for _ in range(count):
                        value(kind)
                return None
            raw = file.read(SIZES[kind])
            return struct.unpack("<f", raw)[0] if kind == 6 else int.from_bytes(raw, "little")

        assert file.read(4) == b"GGUF", f"{path} is no GGUF file"
        number("I"), number("Q")
        found = {}
        for _ in range(number("Q")):
            key = text()
            found[key] = value(number("I"))
        return found


def page_bytes(path):
    """Halves of keys and values of one page in all layers."""
    facts = metadata(path)
    get = lambda key, default=None: facts.get(f"{facts['general.architecture']}.{key}", default)
    heads = get("attention.head_count")
    head_dim = get("attention.key_length", get("embedding_length") // heads)
    return get("block_count") * 2 * get("attention.head_count_kv", heads) * head_dim * PAGE_TOKENS * 2


class Service:
    def __init__(self, args, home):
        command = [args.binary, "serve", "--lang", "en", "--no-auth", "--listen", "127.0.0.1:0", "--model", args.model]
        environment = os.environ | {"QWENDA_HOME": home}
        began = time.monotonic()
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                self.ready, self.url = time.monotonic() - began, found[1]
                return
        sys.exit(f"`{' '.join(command)}` ended with {self.process.wait()}")

    def ask(self, path, body=None):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read().decode()

    def chat(self, model, text, tokens, **more):
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0} | more
        return json.loads(self.ask("/v1/chat/completions", body))["usage"]

    def memory(self):
        """Anonymous and resident bytes."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line[:24] and line.endswith("kB\n"))
        return [int(fields[name].split()[0]) * 1024 for name in ("Anonymous", "Rss")]

    def pages(self):
        """Pages of keys and values that sequences hold or that are kept."""
        found = re.findall(r"^qwenda_engine_pages_(?:held|kept)\{.*\} (\d+)", self.ask("/metrics"), re.MULTILINE)
        return sum(map(int, found))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--binary", default="target/release/qwenda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", action="store_true", help="before everything else on the machine (root)")
    args = parser.parse_args()
    if args.first:
        os.setsid()
        with open("/proc/self/autogroup", "w") as file:
            file.write("-20")
        os.nice(-20)
    with tempfile.TemporaryDirectory() as home:
        Service(args, home).stop()  # makes the pack and warms the file cache
        times = []
        for _ in range(args.rounds):
            service = Service(args, home)
            times.append(service.ready)
            service.stop()
        print("ready after", ", ".join(f"{t:.3f}" for t in times), f"s: median {statistics.median(times):.3f} s")
        memory(args, home)


def memory(args, home):
    service = Service(args, home)
    try:
        line = lambda what: print(f"{what}: {mib(service.memory()[0])} anonymous, {mib(service.memory()[1])} resident")
        line("at rest")
        name = json.loads(service.ask("/v1/models"))["data"][0]["id"]
        long = " ".join(f"Item {i} costs {i * 7 % 100}." for i in range(200))
        usage = service.chat(name, long + " Which item is the cheapest?", 64)
        line(f"after a chat of {usage['total_tokens']} tokens")
        with ThreadPoolExecutor(8) as eight:
            texts = [f"Write a sentence about the number {i}." for i in range(8)]
            list(eight.map(lambda text: service.chat(name, text, 64), texts))
        line("after eight requests at once")
        # The first answer that is held to a form brings the vocabulary in the grammars' own order.
        service.chat(name, "Name three fruits in JSON.", 64, response_format={"type": "json_object"})
        line("after an answer held to JSON")
        pages = service.pages()
        keys = pages * page_bytes(args.model)
        print(f"of which keys and values of {pages} pages: {mib(keys)}; the rest: {mib(service.memory()[0] - keys)}")
    finally:
        service.stop()


def mib(count):
    return f"{count / (1 << 20):.1f} MiB"


main()
