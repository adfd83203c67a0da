"""What every file of Python cases shares: the service's address, the `case` mark, and the run itself.

A case is a function named as a fact. It fails by raising; the first line of the reason is printed.
"""

import asyncio
import inspect
import os
import signal
import sys
import traceback

URL = os.environ["QWENDA_CLIENTS_URL"]
KEY = os.environ["QWENDA_CLIENTS_KEY"]
CHAT = os.environ["QWENDA_CLIENTS_CHAT"]
EMBED = os.environ["QWENDA_CLIENTS_EMBED"]
#: A name that the native dialect takes on the multimodal address.
MEDIA = "qwen3.6-plus"
RERANK = os.environ["QWENDA_CLIENTS_RERANK"]
#: Base URLs as users write them: the address of programs for OpenAI, the cloud's for the same, and the native one.
COMPAT = f"{URL}/v1"
CLOUD = f"{URL}/compatible-mode/v1"
NATIVE = f"{URL}/api/v1"
#: No key looks like this one.
WRONG_KEY = "sk-0000000000000000000000000000dead"

CASE_SECONDS_MAX = 300

_cases = []


def case(function):
    """Marks a function, plain or async, as a case."""
    _cases.append(function)
    return function


def same(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def raises(kind, call, **want):
    """Runs `call`, which must raise `kind`, and looks at attributes of the exception."""
    try:
        got = call()
    except kind as error:
        for name, value in want.items():
            same(getattr(error, name), value, f"{kind.__name__}.{name}")
        return error
    raise AssertionError(f"no {kind.__name__}, but the answer {got!r:.300}")


def unit(vector, dimensions=None):
    """An embedding: so many numbers, of length one."""
    if dimensions is not None:
        same(len(vector), dimensions, "dimensions")
    length = sum(x * x for x in vector) ** 0.5
    assert abs(length - 1) < 1e-3, f"length of the vector: {length}"


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def _reason(error):
    lines = str(error).strip().splitlines()
    text = " ".join(line.strip() for line in lines)[:600]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "cases" in f.filename]
    where = [f for f in frames if not f.filename.endswith("harness.py")]
    place = f" [{os.path.basename(where[-1].filename)}:{where[-1].lineno} {where[-1].line}]" if where else ""
    return f"{type(error).__name__}: {text}{place}"


def _overdue(_signal, _frame):
    raise TimeoutError(f"not done after {CASE_SECONDS_MAX} s")


def run_all():
    """Runs what was marked, or what is named on the command line, and says one line for each."""
    wanted = sys.argv[1:]
    signal.signal(signal.SIGALRM, _overdue)
    ran = 0
    for function in _cases:
        if wanted and not any(word in function.__name__ for word in wanted):
            continue
        ran += 1
        signal.alarm(CASE_SECONDS_MAX)
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
            print(f"PASS {function.__name__}", flush=True)
        except (Exception, SystemExit) as error:
            print(f"FAIL {function.__name__}: {_reason(error)}", flush=True)
            if os.environ.get("QWENDA_CLIENTS_TRACE"):
                traceback.print_exc()
        finally:
            signal.alarm(0)
    print(f"DONE {ran}", flush=True)
