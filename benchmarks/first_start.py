"""First start: `scripts/serve` in a bare Debian or Ubuntu to its first sentence, then the second start, and sizes.

Makes a bare system in a folder (scripts/bare-system, with apt and sudo alone), copies what git has of this checkout
into it, and starts scripts/serve there as a user with sudo. `cpu_s`: seconds of processors that the first start used,
which do not depend on what else runs; `load`: processes that wanted a processor, the mean of the last minute;
`system_mb`: packages of the system; `apt_mb`: lists and caches of apt, of which the system had none; `tools_mb`: what
only the build needs, at its largest. Fails where the first start leaves some of that.

    benchmarks/first_start.py [--systems bookworm,trixie,noble] [--runs 1]

Needs root and mmdebstrap. The folders are deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import write_csv

ROOT = Path(__file__).resolve().parents[1]
SYSTEM = str(ROOT / "scripts" / "bare-system")
CHECKOUT = "home/a/ishowtts"
USER = ("setpriv", "--reuid=a", "--regid=a", "--init-groups", "env", "HOME=/home/a")
SERVE = '"$0/scripts/serve" --port "$@" & exec >&-; read line; kill $!; wait $!'
"""Serves until standard input is closed; standard output ends with the server."""


def inside(root: Path, *command: str) -> None:
    """Run as root in the system."""
    done = subprocess.run([SYSTEM, "run", str(root), *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")


def make(root: Path, suite: str, place: str = CHECKOUT) -> None:
    """Make a bare system with a user `a` who may use sudo, and this checkout in the user's home."""
    subprocess.run([SYSTEM, "make", suite, str(root), "sudo"], check=True)
    inside(root, "useradd", "--create-home", "--shell", "/bin/bash", "a")
    (root / "etc" / "sudoers.d" / "a").write_text("a ALL=(ALL) NOPASSWD: ALL\n", encoding="utf-8")
    (root / place).mkdir()
    archive = subprocess.Popen(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(root / place)], stdin=archive.stdout, check=True)
    inside(root, "chown", "-R", "a:a", "/home/a")
    shutil.rmtree(root / "var/lib/apt/lists")  # a new system has no lists of packages


def start(root: Path, *arguments: str, place: str = CHECKOUT, user: tuple[str, ...] = USER) -> float:
    """Seconds from starting scripts/serve to its first sentence; what it says goes to standard error."""
    began = time.monotonic()
    command = (SYSTEM, "run", str(root), *user, "sh", "-c", SERVE, f"/{place}", *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith("iShowTTS listens on "):
            server.stdin.close()
            raise SystemExit("scripts/serve did not start")
        body = json.dumps({"text": "Hello there."}).encode()
        headers = {"Content-Type": "application/json", "Accept": "audio/wav"}
        request = urllib.request.Request(f"http://127.0.0.1:{arguments[0]}/api/tts", body, headers)
        with urllib.request.urlopen(request) as answer:
            wav = answer.read()
        assert wav[:4] == b"RIFF" and len(wav) > 20_000
        taken = time.monotonic() - began
        server.stdin.close()
    if server.returncode:
        raise SystemExit(f"the server ended with status {server.returncode}")
    return taken


def megabytes(*paths: Path) -> int:
    """What files take on the disk, without other file systems that are mounted there."""
    done = subprocess.run(["du", "-cxsm", *map(str, paths)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-2])


@contextmanager
def largest(folder: Path) -> Iterator[list[int]]:
    """Watch a folder that comes and goes; the list has one element, the most megabytes that were in it."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            done = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True)
            most[0] = max(most[0], int((done.stdout.split() or ["0"])[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def cpu() -> float:
    """Seconds of processors that ended child processes used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(suite: str, port: int) -> dict[str, object]:
    """One row: both starts in a new system."""
    with tempfile.TemporaryDirectory(prefix="ishowtts-first.", dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        make(root, suite)
        checkout, apt = root / CHECKOUT, (root / "var/lib/apt", root / "var/cache/apt")

        def system() -> int:
            return megabytes(root) - megabytes(root / "home") - megabytes(*apt)

        bare, bare_system, used = megabytes(root), system(), cpu()
        with largest(checkout / "build/tools") as tools:
            first = start(root, str(port))
        used = cpu() - used
        left = [path for path in (root / "usr/bin/gcc", checkout / "build/tools") if path.exists()]
        if left:
            raise SystemExit(f"what the build alone needs is left: {left}")
        return {
            "system": Path(suite).stem,
            "first_s": round(first, 1),
            "second_s": round(start(root, str(port)), 2),
            "cpu_s": round(used, 1),
            "load": round(os.getloadavg()[0], 1),
            "added_mb": megabytes(root) - bare,
            "system_mb": system() - bare_system,
            "apt_mb": megabytes(*apt),
            "environment_mb": megabytes(checkout / ".venv"),
            "checkout_mb": megabytes(checkout) - megabytes(checkout / ".venv"),
            "tools_mb": tools[0],
        }


def main() -> None:
    """Measure, print, write benchmarks/results/first_start.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--systems", default="bookworm,trixie,noble", help="releases, or archives of bare systems with sudo"
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--port", type=int, default=27199)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for run_number in range(args.runs):
        for suite in args.systems.split(","):
            rows.append({**measure(suite, args.port), "run": run_number})
            print(*(f"{name} {value}" for name, value in rows[-1].items()), sep="  ", file=sys.stderr)
    write_csv("first_start", rows, by="system")


if __name__ == "__main__":
    main()
