"""Server start: from exec to the first /healthz, to ready, and to the first spoken sentence, with a cached package.

python benchmarks/startup.py [--runs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
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


def main() -> None:
    """Measure, print, write benchmarks/results/startup.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--port", type=int, default=27199)
    args = parser.parse_args()
    with ishowtts.Engine.load("demo", compile="wait") as engine:
        print("backend:", engine.info["backend"], engine.info["precision"])
    base = f"http://127.0.0.1:{args.port}"
    rows: list[dict[str, object]] = []
    for run in range(args.runs):
        start = time.perf_counter()
        process = subprocess.Popen(
            [SERVER, "--port", str(args.port)],
            env={**os.environ, "ISHOWTTS_PYTHON": sys.executable},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            alive, ready = until(base + "/healthz", process, start), until(base + "/readyz", process, start)
            body = json.dumps({"text": "Hello, this is the first sentence."}).encode()
            request = urllib.request.Request(base + "/api/tts", body, {"Content-Type": "application/json", "Accept": "audio/wav"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
            spoken = time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(30)
        rows.append({"run": run, "healthz_s": round(alive, 3), "ready_s": round(ready, 3), "first_sentence_s": round(spoken, 3)})
    for key in ("healthz_s", "ready_s", "first_sentence_s"):
        values = [float(str(row[key])) for row in rows]
        print(f"{key:17} median {statistics.median(values):.3f}  min {min(values):.3f}  max {max(values):.3f}")
    write_csv("startup", rows)


if __name__ == "__main__":
    main()
