"""A fresh `qwenda serve` with a key of its own, for the time of one run."""

import subprocess
import tempfile
import threading
from pathlib import Path

START_SECONDS_MAX = 120
MODEL = "qwen2.5-coder-0.5b-instruct"


class Service:
    def __init__(self, qwenda, log):
        self.folder = tempfile.TemporaryDirectory(prefix="qwenda-clients-")
        data = Path(self.folder.name) / "data"
        made = subprocess.run(
            [qwenda, "keys", "create", "--data-dir", data, "--name", "clients"],
            check=True, capture_output=True, text=True,
        )
        self.key = made.stdout.strip()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.url = None
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            [qwenda, "serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--model", MODEL, "--stand-in"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )
        threading.Thread(target=self._keep_log, daemon=True).start()
        if not self._ready.wait(START_SECONDS_MAX) or self.url is None:
            self.process.kill()
            raise RuntimeError(f"`qwenda serve` did not begin to listen:\n{log.read_text()[-3000:]}")

    def _keep_log(self):
        with open(self.log, "w", encoding="utf-8") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if line.startswith("listening on "):
                    self.url = line.removeprefix("listening on ").strip()
                    self._ready.set()
        self._ready.set()

    def died(self):
        """Why the service is not there any more, or None."""
        code = self.process.poll()
        return None if code is None else f"`qwenda serve` ended with {code}:\n{self.log.read_text()[-2000:]}"

    def stop(self):
        """Ends the service as an operator does; one that does not end by itself is a failure."""
        self.process.terminate()
        try:
            code = self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        self.folder.cleanup()
        return code
