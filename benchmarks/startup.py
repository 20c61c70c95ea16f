"""Start: from starting a process to its first speech.

`server`: to the first /healthz, to ready, and to the answer to a sentence of two seconds. `python`: to the first piece
of the same sentence by ishowtts.Engine. `official`: to two seconds by the official package with a network of the same
size and random weights (start_official.py; needs the packages of requirements/parity.txt). They take turns.

    python benchmarks/startup.py [--runs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from common import write_csv

import ishowtts

SERVER = Path(ishowtts.__file__).parent / "bin" / "ishowtts-server"


def until(url: str, process: subprocess.Popen[str], start: float) -> float:
    """Seconds from `start` until `url` answers 200."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return time.perf_counter() - start
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.005)
    raise SystemExit("the server ended")


SENTENCE = "Hello, this is the first sentence."
ENGINE = f"""
import ishowtts
with ishowtts.Engine.load("demo") as engine:
    next(engine.stream({SENTENCE!r}))
    print("spoken", flush=True)
"""


def server(port: int) -> dict[str, float]:
    """One start of the server."""
    base = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [SERVER, "--port", str(port)],
        env={**os.environ, "ISHOWTTS_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        alive, ready = until(base + "/healthz", process, start), until(base + "/readyz", process, start)
        body = json.dumps({"text": SENTENCE}).encode()
        request = urllib.request.Request(
            base + "/api/tts", body, {"Content-Type": "application/json", "Accept": "audio/wav"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        return {"healthz_s": alive, "ready_s": ready, "spoken_s": time.perf_counter() - start}
    finally:
        process.terminate()
        process.wait(30)


def program(*arguments: str) -> dict[str, float]:
    """One start of a Python program that says when it has spoken."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    spoken = process.stdout.readline().startswith("spoken")
    taken = time.perf_counter() - start
    if process.wait(60) or not spoken:
        raise SystemExit(f"this failed: {' '.join(arguments)}")
    return {"spoken_s": taken}


def main() -> None:
    """Measure, print, write benchmarks/results/startup.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--port", type=int, default=27199)
    args = parser.parse_args()
    official = str(Path(__file__).with_name("start_official.py"))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, official, folder, "--make"], check=True, stderr=subprocess.DEVNULL)
        kinds = {
            "server": lambda: server(args.port),
            "python": lambda: program("-c", ENGINE),
            "official": lambda: program(official, folder),
        }
        for run in range(-1, args.runs):  # the first one fills the caches of files
            for kind, start in kinds.items():
                figures = start()
                if run >= 0:
                    rows.append(
                        {"kind": kind, "run": run, **{name: round(value, 3) for name, value in figures.items()}}
                    )
    for kind in kinds:
        for key in ("healthz_s", "ready_s", "spoken_s"):
            values = [float(str(row[key])) for row in rows if row["kind"] == kind and key in row]
            if values:
                print(
                    f"{kind:9} {key:10} median {statistics.median(values):.3f}  "
                    f"min {min(values):.3f}  max {max(values):.3f}"
                )
    write_csv("startup", rows)


if __name__ == "__main__":
    main()
