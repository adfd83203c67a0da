"""schemathesis, from its command line: the served OpenAPI document against what the service does.

It makes requests of the document, right and wrong ones, and checks each answer. Where a model has to
answer only so many right ones are sent, with answers of a token or two; wrong ones cost nothing.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
from harness import KEY, URL, case, run_all, same

harness.CASE_SECONDS_MAX = 710
RUN_SECONDS_MAX = 700
#: `unsupported_method` wants a 405 where the contract has a 400.
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "ignored_auth",
]
#: Other addresses of the same handlers.
TWICE = "^/(compatible-mode/v1|compatible-api/v1|v1/rerank$)"
#: Where a model answers.
ANSWERED = "^/(v1/(chat/completions|completions|embeddings|reranks)$|api/v1/services)"


def find_nothing(operations, *words):
    """Asks so many operations; whatever it finds is the failure."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis", "run", f"{URL}/openapi.json", "--no-color",
                "--checks", ",".join(CHECKS), "--header", f"Authorization: Bearer {KEY}", "--seed", "1",
                "--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none",
                "--request-timeout", "60", "--warnings", "off", *words,
            ],
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                "PYTHONPATH": str(Path(__file__).parent),
            },
            cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS_MAX,
        )
    if os.environ.get("QWENDA_CLIENTS_TRACE"):
        print(done.stdout)
    found = done.stdout.partition("FAILURES ==")[2] or done.stdout[-600:] + done.stderr[-600:]
    same(done.returncode, 0, f"exit code, with {found}")
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested and int(tested.group(1)) >= operations, done.stdout[-800:]
    generated = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert generated and int(generated.group(2)) >= operations, done.stdout[-800:]


@case
def wrong_requests_are_refused_and_every_answer_is_as_described():
    find_nothing(18, "--phases", "coverage", "--mode", "negative", "--exclude-path-regex", TWICE)


@case
def requests_that_need_no_model_are_answered_as_described():
    words = ["--exclude-path-regex", f"{TWICE}|{ANSWERED}"]
    find_nothing(10, "--phases", "examples,coverage,fuzzing", "--max-examples", "15", *words)


@case
def the_examples_are_answered_at_every_address():
    find_nothing(10, "--phases", "examples")


@case
def right_requests_are_answered_as_described():
    words = ["--phases", "fuzzing", "--mode", "positive", "--max-examples", "5"]
    find_nothing(8, *words, "--include-path-regex", ANSWERED)


run_all()
