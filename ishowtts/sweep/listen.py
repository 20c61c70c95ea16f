"""A blind listening test in the browser: two clips of a sentence in random order, without names.

The server listens on the loopback address alone. The page knows a pair by a token, not by its settings. A vote is a
line of votes.jsonl in the folder of the sweep, written to the disk before it is answered.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import SystemRandom
from typing import Any
from urllib.parse import urlsplit

from ishowtts.errors import ConfigError
from ishowtts.extras import require
from ishowtts.quality import page

VOTES = "votes.jsonl"
CHOICES = ("a", "b", "same")
BODY_MAX = 4096
PAGE = """
<p>Which one sounds better? The order is random. <span id="count"></span></p>
<p><b id="text"></b></p>
<p><label>A <audio id="a" controls></audio></label> <label>B <audio id="b" controls></audio></label></p>
<p><button id="vote-a">A is better</button> <button id="vote-b">B is better</button>
<button id="vote-same">no difference</button></p>
<p id="error" class="bad" role="alert"></p>
"""
SCRIPT = """
const at = (id) => document.getElementById(id);
let pair = null;
async function next() {
  const answer = await fetch("pair");
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  pair = await answer.json();
  at("text").textContent = pair.text;
  at("count").textContent = pair.votes + " votes so far.";
  at("a").src = "audio/" + pair.token + "/a";
  at("b").src = "audio/" + pair.token + "/b";
  document.body.dataset.token = pair.token;
}
async function vote(choice) {
  at("error").textContent = "";
  try {
    const answer = await fetch("vote", {method: "POST", headers: {"Content-Type": "application/json"},
                                        body: JSON.stringify({token: pair.token, choice})});
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    await next();
  } catch (error) { at("error").textContent = error.message; }
}
for (const choice of ["a", "b", "same"]) at("vote-" + choice).onclick = () => vote(choice);
next().catch((error) => { at("error").textContent = error.message; });
"""


class Poll:
    """The pairs and votes of a listening test over the folder of a sweep.

    `baseline`: name of the setting with which others are compared. ConfigError: there is no sweep in the folder, or
    nothing to compare. Its methods may be called from several threads.
    """

    def __init__(self, out: Path, baseline: str) -> None:
        table = out / "sweep.csv"
        if not table.is_file():
            raise ConfigError(f"there is no sweep in {out}: {table} is missing", status="ENOTFOUND", field="out")
        frame = require("pandas", "a comparison").read_csv(table, keep_default_na=False, dtype={"sentence": str})
        self.out, self.baseline = out, baseline
        self._clips = {(row["setting"], row["sentence"], row["seed"]): row for row in frame.to_dict("records")}
        self._others = [key for key in self._clips if key[0] != baseline and (baseline, *key[1:]) in self._clips]
        if not self._others:
            raise ConfigError(f"there is nothing to compare with {baseline} in {out}", field="baseline")
        self._shown: dict[str, dict[str, tuple[str, str, int]]] = {}
        self._lock = threading.Lock()
        self._random = SystemRandom()

    def pair(self) -> dict[str, Any]:
        """A new pair, with the setting that has the fewest votes, as data for JSON: token, text, number of votes."""
        counts = tally(self.out)
        fewest = min(sum(counts.get(key[0], {}).values()) for key in self._others)
        key = self._random.choice([key for key in self._others if sum(counts.get(key[0], {}).values()) == fewest])
        sides = [key, (self.baseline, *key[1:])]
        self._random.shuffle(sides)
        token = secrets.token_urlsafe(12)
        with self._lock:
            self._shown[token] = {"a": sides[0], "b": sides[1]}
        return {
            "token": token,
            "text": self._clips[key]["text"],
            "votes": sum(sum(c.values()) for c in counts.values()),
        }

    def audio(self, token: str, side: str) -> bytes | None:
        """The FLAC file of side "a" or "b" of a pair; None: there is no such pair."""
        with self._lock:
            key = self._shown.get(token, {}).get(side)
        return None if key is None else (self.out / self._clips[key]["file"]).read_bytes()

    def vote(self, token: object, choice: object) -> str | None:
        """Store a vote on an open pair; why it was refused, None where it was stored."""
        if choice not in CHOICES:
            return f"choice must be one of {', '.join(CHOICES)}"
        with self._lock:
            sides = self._shown.pop(token, None) if isinstance(token, str) else None
            if sides is None:
                return "this pair is not open: it was voted on already, or never shown"
            chosen = "same" if choice == "same" else sides[str(choice)][0]
            other = next(key for key in sides.values() if key[0] != self.baseline)
            line = {
                "setting": other[0], "baseline": self.baseline, "sentence": other[1], "seed": other[2],
                "a": sides["a"][0], "b": sides["b"][0], "chosen": chosen, "time": round(time.time(), 3),
            }  # fmt: skip
            with (self.out / VOTES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return None


def tally(out: Path) -> dict[str, dict[str, int]]:
    """The numbers of votes for each setting: "better" or "worse" than the baseline, or "same"."""
    counts: dict[str, dict[str, int]] = {}
    path = out / VOTES
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        vote = json.loads(line)
        what = "same" if vote["chosen"] == "same" else "better" if vote["chosen"] == vote["setting"] else "worse"
        counts.setdefault(vote["setting"], {"better": 0, "worse": 0, "same": 0})[what] += 1
    return counts


def sign_test(counts: Mapping[str, int]) -> float:
    """The p-value of a two-sided sign test of the counts of `tally`; votes for "same" are left out."""
    n, k = counts["better"] + counts["worse"], min(counts["better"], counts["worse"])
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n) if n else 1.0


def results(out: Path) -> str:
    """The votes as a table for a terminal."""
    lines = [f"{'setting':40} {'better':>7} {'worse':>7} {'same':>7} {'p':>8}"]
    for name, counts in tally(out).items():
        lines.append(f"{name:40} {counts['better']:7} {counts['worse']:7} {counts['same']:7} {sign_test(counts):8.4f}")
    return "\n".join(lines) if len(lines) > 1 else "no votes yet"


def server(poll: Poll, port: int = 0) -> ThreadingHTTPServer:
    """An HTTP server of the test on 127.0.0.1; port 0 takes any free one, which is in `server_address`."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "ishowtts"

        def _local(self) -> bool:
            """Whether Host and Origin are of this machine; others are refused, against DNS rebinding."""
            host = self.headers.get("Host") or ""
            own = host.rpartition(":")[0] in ("127.0.0.1", "localhost")
            if own and self.headers.get("Origin", f"http://{host}") == f"http://{host}":
                return True
            self._fail(403, "this page is for this machine alone")
            return False

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def _json(self, status: int, value: object) -> None:
            self._answer(status, "application/json", json.dumps(value).encode())

        def _fail(self, status: int, message: str) -> None:
            self._json(status, {"error": {"code": status, "message": message}})

        def do_GET(self) -> None:
            if not self._local():
                return
            parts = urlsplit(self.path).path.strip("/").split("/")
            if parts == [""]:
                self._answer(200, "text/html; charset=utf-8", page.document("Blind comparison", PAGE, SCRIPT).encode())
            elif parts == ["pair"]:
                self._json(200, poll.pair())
            elif parts == ["favicon.ico"]:
                self._answer(204, "image/x-icon", b"")
            elif len(parts) == 3 and parts[0] == "audio" and (data := poll.audio(parts[1], parts[2])) is not None:
                self._answer(200, "audio/flac", data)
            else:
                self._fail(404, f"there is no {self.path}")

        def do_POST(self) -> None:
            if not self._local():
                return
            size = self.headers.get("Content-Length", "")
            if urlsplit(self.path).path != "/vote":
                return self._fail(404, f"there is no {self.path}")
            if not size.isdecimal() or int(size) > BODY_MAX:
                return self._fail(413, f"a vote has a Content-Length of at most {BODY_MAX} bytes")
            try:
                given = json.loads(self.rfile.read(int(size)))
            except ValueError:
                return self._fail(400, "a vote is JSON")
            if not isinstance(given, dict):
                return self._fail(400, "a vote is a JSON object with token and choice")
            wrong = poll.vote(given.get("token"), given.get("choice"))
            return self._fail(400, wrong) if wrong else self._json(200, {"kept": True})

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
