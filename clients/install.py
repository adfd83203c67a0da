"""Puts each client into an environment of its own, once for each set of pins."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
UV = "uv==0.13.9"
INSTALL_SECONDS_MAX = 420

#: Installs take turns: they share a cache, and two at once are no faster.
turn = threading.Lock()


class InstallError(Exception):
    pass


def cache():
    """Where environments live: outside of what git sees, and kept between runs."""
    named = os.environ.get("QWENDA_CLIENTS_DIR")
    return Path(named).resolve() if named else HERE.parent / "target" / "clients"


def python(name):
    """The interpreter of the environment that `pins/NAME.txt` describes."""
    pins = HERE / "pins" / f"{name}.txt"
    folder = cache() / "python" / name
    inside = folder / "bin" / "python"
    stamp = _digest([pins], sys.version)
    if not _is_fresh(folder, stamp):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", folder])
        uv = _uv()
        if uv is None or not _tries([uv, "pip", "install", "--python", inside, "-r", pins], _uv_environment()):
            # pip knows this machine's mirrors and proxies better than uv does; it is only slower.
            _run([inside, "-m", "ensurepip", "--default-pip"])
            _run([inside, "-m", "pip", "install", "--quiet", "-r", pins])
        (folder / "stamp").write_text(stamp)
    return inside


def node(name):
    """The folder with the `node_modules` that `node/NAME/package-lock.json` describes."""
    pins = HERE / "node" / name
    files = [pins / "package.json", pins / "package-lock.json", pins / ".npmrc"]
    folder = cache() / "node" / name
    stamp = _digest(files, "")
    if not _is_fresh(folder, stamp):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        # Not `npm ci`, which stumbles over optional packages of other platforms that were never published.
        _run(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=folder)
        (folder / "stamp").write_text(stamp)
    return folder


def _is_fresh(folder, stamp):
    file = folder / "stamp"
    return file.is_file() and file.read_text() == stamp


def _digest(files, more):
    digest = hashlib.sha256(more.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _uv():
    """Our own uv, or None where it cannot be had."""
    found = cache() / "uv" / "bin" / "uv"
    if not found.exists():
        shutil.rmtree(cache() / "uv", ignore_errors=True)
        try:
            _run([sys.executable, "-m", "venv", cache() / "uv"])
            _run([cache() / "uv" / "bin" / "python", "-m", "pip", "install", "--quiet", UV])
        except InstallError:
            return None
    return found if found.exists() else None


def _uv_environment():
    more = {"UV_CACHE_DIR": str(cache() / "uv-cache"), "UV_NO_PROGRESS": "1", "UV_SYSTEM_CERTS": "1"}
    mirror = os.environ.get("PIP_INDEX_URL")
    return {**more, "UV_DEFAULT_INDEX": mirror} if mirror else more


def _tries(command, environment):
    try:
        _run(command, environment=environment)
    except InstallError as error:
        print(f"clients: pip takes over: {error}", file=sys.stderr)
        return False
    return True


def _run(command, cwd=None, environment=None):
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
        )
    except FileNotFoundError as error:
        raise InstallError(f"`{words[0]}` is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"`{' '.join(words)}` was not done after {INSTALL_SECONDS_MAX} s") from error
    if done.returncode:
        raise InstallError(f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stdout[:1500]}")
