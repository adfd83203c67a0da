"""Asks llama-server and `qwenda serve` the same in turns, prints medians and ratios, keeps the raw results.

Called by http.sh, which builds both. Both serve one model with the same threads and eight places, and are asked
through `/v1/chat/completions` and `/v1/completions` as streams at temperature 0. The server of the side that is
not asked is not running. Needs nothing but the standard library.

*shared*     callers that share instructions of 150 tokens ask at once, for 64 tokens each
*long*       four callers stream; a prompt of 4,096 tokens arrives
*repeat*     a document of 2,048 tokens is asked about twice
*neighbour*  another process keeps one of the cores busy, and then does not
"""

import argparse
import concurrent.futures
import contextlib
import functools
import http.client
import json
import math
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from sides import add_record, found, in_turns, ratio, show

KINDS = "shared", "long", "repeat", "neighbour"
SLOTS = 8
TOKENS = 64
SYSTEM_TOKENS, DOCUMENT_TOKENS, LONG_TOKENS = 150, 2048, 4096
STREAMING, STREAMED_TOKENS = 4, 160
# Of a caller that streams, before the long prompt arrives.
TOKENS_BEFORE = 16
READY_S = 300
WORDS = """The keeper of the lamp wrote down the weather every hour, and the ships that passed, and the birds. Nobody
had asked for the birds. In the spring a letter came that asked why a page of every week was spent on them, and the
keeper answered that a bird is a sort of weather, and that a lamp which nobody looks at is a lamp all the same. After
that the page was left alone. Rain fell on eleven days of the month; the oil was measured on the first and on the last
of them, and both figures were sent to the town by the boat that brought the bread.""".split()


def main():
    args = arguments()
    models = [pathlib.Path(m) for m in args.models] or found()[:1]
    if not models:
        sys.exit("no model: name a GGUF file, or `qwenda pull qwen2.5-coder-0.5b-instruct` first")
    add_record("http", args, [compare(args, model) for model in models])


def arguments():
    parser = argparse.ArgumentParser(prog="benches/http.sh")
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--only", default=",".join(KINDS), help=f"some of {','.join(KINDS)}")
    parser.add_argument("--avx2", action="store_true", help="hold both sides to AVX2")
    parser.add_argument("--first", action="store_true", help="before everything else on this machine (root only)")
    parser.add_argument("--llama", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ours", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(args, model):
    kinds = [kind for kind in args.only.split(",") if kind]
    if unknown := set(kinds) - set(KINDS):
        sys.exit(f"--only takes {','.join(KINDS)}, not {','.join(unknown)}")

    def measure(side, round):
        result = {}
        for kind in kinds:
            # A server of its own for each: nothing is in a cache from another.
            with service(args, side, model) as server:
                server.warm_up()
                result |= SCENES[kind](args, server, round)
        figures = "  ".join(f"{name} {value:.2f}" for name, value in result.items())
        print(f"{model.name} round {round + 1}: {side:9} {figures}", file=sys.stderr)
        return result

    raw = in_turns(args.rounds, measure)
    print(f"\n{model.name}, {args.threads} threads, {args.rounds} rounds, medians")
    medians = {}
    for what in raw["qwenda"][0]:
        medians[what] = ratio(raw, what)
        show(what, medians[what], unit(what), 2)
    settings = {"callers": args.callers, "kinds": kinds, "slots": SLOTS, "avx2": args.avx2}
    return {"model": model.name, "settings": settings, "medians": medians, "rounds": raw}


def unit(what):
    return "tok/s" if "tok/s" in what else "" if "share" in what else "s"


# The scenes: what happens, and what is measured of it. Seconds, unless the name says otherwise.

def shared(args, server, round):
    system = server.text(SYSTEM_TOKENS, f"Rules {round}.")
    asked = [server.chat_body(system, f"Question {n}: why do ships need lamps, and who pays for them?", TOKENS)
             for n in range(args.callers)]
    begun, answers = at_once(server, asked, TOKENS)
    first = [answer.first for answer in answers]
    span = max(answer.times[-1] for answer in answers) - begun
    return {"shared: output tok/s": TOKENS * args.callers / span, "shared: first token p50": quantile(first, 0.5),
            "shared: first token p95": quantile(first, 0.95),
            "shared: longest gap": max(answer.gap for answer in answers)}


def long(args, server, round):
    prompt = server.text(LONG_TOKENS, f"Log {round}.")
    streaming = [server.chat_body("You tell stories.", f"Tell story {n} about a lighthouse.", STREAMED_TOKENS)
                 for n in range(STREAMING)]
    started = threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(STREAMING) as pool:
        streams = [pool.submit(ask, server, body, STREAMED_TOKENS, (TOKENS_BEFORE, started)) for body in streaming]
        for _ in streams:
            started.acquire()
        arrived = time.monotonic()
        answer = ask(server, server.text_body(prompt, 4), 4)
        streams = [stream.result() for stream in streams]
    # Only gaps that end after the long prompt came and begin before its first token was there.
    until = arrived + answer.first
    gaps = [b - a for stream in streams for a, b in zip(stream.times, stream.times[1:]) if b > arrived and a < until]
    if not gaps:
        sys.exit("the callers had ended before the long prompt came")
    return {"long: longest gap of a stream": max(gaps), "long: first token of the prompt": answer.first}


def repeat(args, server, round):
    document = server.text(DOCUMENT_TOKENS, f"Report {round}.")
    first, again = (ask(server, server.text_body(f"{document}\n\nQuestion: {question}\nAnswer:", 8), 8)
                    for question in ("Who wrote it?", "What was measured?"))
    return {"repeat: first token, first time": first.first, "repeat: first token, second time": again.first,
            "repeat: second as share of first": again.first / first.first}


def neighbour(args, server, round):
    """Decoding speed of one caller beside a process that never waits, which has the same weight as the server."""
    def speed(name):
        answer = ask(server, server.text_body(server.text(64, name), TOKENS), TOKENS)
        return (TOKENS - 1) / (answer.times[-1] - answer.times[0])

    undisturbed = speed(f"Alone {round}.")
    # In the same scheduling group as the server, so that the system deals with both alike.
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        core = sorted(os.sched_getaffinity(0))[0]
        with contextlib.suppress(OSError):
            os.sched_setaffinity(busy.pid, {core})
        disturbed = speed(f"Beside {round}.")
    finally:
        busy.kill()
        busy.wait()
    return {"neighbour: tok/s without": undisturbed, "neighbour: tok/s with": disturbed,
            "neighbour: share that is left": disturbed / undisturbed}


SCENES = {"shared": shared, "long": long, "repeat": repeat, "neighbour": neighbour}


class Answer:
    """When the pieces of one answer came."""

    def __init__(self, asked):
        self.asked = asked
        self.times = []
        self.tokens = None

    @property
    def first(self):
        return self.times[0] - self.asked

    @property
    def gap(self):
        return max((b - a for a, b in zip(self.times, self.times[1:])), default=0.0)


def at_once(server, bodies, tokens):
    """Asks all at the same moment."""
    barrier = threading.Barrier(len(bodies) + 1)

    def one(body):
        barrier.wait()
        return ask(server, body, tokens)

    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
        calls = [pool.submit(one, body) for body in bodies]
        barrier.wait()
        begun = time.monotonic()
        return begun, [call.result() for call in calls]


def ask(server, body, tokens, started=None):
    """One streamed answer of exactly so many tokens; anything else ends the bench."""
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    answer = Answer(time.monotonic())
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        fail(f"{server.side}: HTTP {response.status}: {response.read()[:500]}")
    for line in response:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        event = json.loads(line[6:])
        if event.get("error"):
            fail(f"{server.side}: {event['error']}")
        if any(piece(choice) for choice in event.get("choices", [])):
            answer.times.append(time.monotonic())
            if started and len(answer.times) == started[0]:
                started[1].release()
        answer.tokens = (event.get("usage") or {}).get("completion_tokens", answer.tokens)
    connection.close()
    if answer.tokens != tokens or not answer.times:
        fail(f"{server.side}: {answer.tokens} tokens came in {len(answer.times)} pieces, not {tokens}")
    return answer


def piece(choice):
    return choice.get("text") or (choice.get("delta") or {}).get("content")


def fail(why):
    """Ends the bench from any thread."""
    print(why, file=sys.stderr)
    os._exit(1)


@functools.cache
def ids(qwenda, model, text):
    """The tokens of a text. Both sides read the same file, so they are those of both."""
    out = subprocess.run([qwenda, "tokens", "--model", model, "--ids", text], check=True, stdout=subprocess.PIPE, text=True)
    return [int(id) for id in out.stdout.split()]


@functools.cache
def text(qwenda, model, tokens, beginning):
    """Whole words that make so many tokens, or a few less; other beginnings share nothing."""
    def made(words):
        return " ".join([beginning, *(WORDS[n % len(WORDS)] for n in range(words))])

    each = len(ids(qwenda, model, made(len(WORDS)))) / len(WORDS)
    words = int(tokens / each)
    while (over := len(ids(qwenda, model, made(words))) - tokens) > 0:
        words -= max(1, int(over / each))
    return made(words)


class Server:
    def __init__(self, args, side, model, port):
        self.side, self.port = side, port
        self.qwenda, self.file, self.model = args.ours, model, None
        self.eos = [id for end in ("<|im_end|>", "<|endoftext|>") for id in ids(args.ours, model, end)]

    def warm_up(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/v1/models")
        self.model = json.load(connection.getresponse())["data"][0]["id"]
        connection.close()
        ask(self, self.text_body("Hello", 4), 4)

    def text(self, tokens, beginning):
        return text(self.qwenda, self.file, tokens, beginning)

    def chat_body(self, system, question, tokens):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return {"messages": messages, **self.common(tokens)}

    def text_body(self, prompt, tokens):
        return {"prompt": prompt, **self.common(tokens)}

    def common(self, tokens):
        # No answer ends early: its end tokens are made impossible.
        return {"model": self.model, "max_tokens": tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}, "logit_bias": {str(id): -100 for id in self.eos}}


@contextlib.contextmanager
def service(args, side, model):
    """A server of that side, ready to answer, for as long as it is needed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if side == "llama.cpp":
            # Its context is of all places together.
            command = [args.llama, "-m", model, "-t", args.threads, "--host", "127.0.0.1", "--port", port, "-np", SLOTS,
                       "-c", SLOTS * 8192, "--no-ui"]
        else:
            command = [args.ours, "serve", "--listen", f"127.0.0.1:{port}", "--no-auth", "--data-dir", folder,
                       "--model", model, "--threads", args.threads]
            if args.avx2:
                environment["QWENDA_ISA"] = "avx2"
        log = pathlib.Path(folder) / "log"
        with open(log, "wb") as out:
            process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out, env=environment)
        try:
            wait_ready(process, side, port, log)
            yield Server(args, side, model, port)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_ready(process, side, port, log):
    path, until = "/health" if side == "llama.cpp" else "/readyz", time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    sys.exit(f"the server is not there:\n{log.read_text(errors='replace')[-2000:]}")


def quantile(values, share):
    """Between neighbours in proportion."""
    values = sorted(values)
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


if __name__ == "__main__":
    main()
