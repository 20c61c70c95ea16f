"""Live chat on the real server: what it adds to first audio, and a storm of messages for some minutes.

latency: the window runs from sending the request to the arrival of the first audio, once through POST
/api/danmaku/enqueue and the event stream with an idle queue, once through POST /api/tts/stream with the same sentence,
in turn; the difference is what filter, journal, queue and feed cost. One step of the solver keeps the model's own time,
and with it the noise, small.

storm: `--rate` messages a second with raids, floods, deletions and lost listeners, for `--minutes`. Every message that
was accepted must have been heard, merged, deleted, dropped with a reason, or still wait; the order within a priority
must be kept; a paid message must not wait for more than twice the running clip.

    python benchmarks/chat.py [--pairs 30] [--minutes 2] [--rate 50]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import write_csv

import ishowtts

SERVER = Path(ishowtts.__file__).parent / "bin" / "ishowtts-server"
WORDS = "that was a great play the stream looks good today how do you feel about this game never give up hello again"


class Running:
    """A server on a free port with a state directory of its own."""

    def __init__(self, *options: str) -> None:
        self.state = tempfile.TemporaryDirectory()
        settings = [f"server.state_dir={self.state.name}", "model.threads=1", "chat.gap_seconds=0", *options]
        command = [str(SERVER), "--port", "0", *(part for value in settings for part in ("--set", value))]
        place = {**os.environ, "ISHOWTTS_PYTHON": sys.executable}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=place
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the server ended")
        self.port = int(line.rsplit(":", 1)[1])

    def client(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)
        self.state.cleanup()


def ask(client: http.client.HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON."""
    data = None if body is None else json.dumps(body)
    client.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
    answer = client.getresponse()
    content = answer.read()
    return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else content.decode()


class Listener:
    """Events with the time of their arrival; `lose` cuts the connection, and it comes back by Last-Event-ID."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.events: list[tuple[float, str, dict[str, Any]]] = []
        self.last = ""
        self.over = False
        self.client = server.client()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        while not self.over:
            try:
                self.client = self.server.client()
                self.client.request(
                    "GET", "/api/danmaku/stream", headers={"Last-Event-ID": self.last} if self.last else {}
                )
                self._read(self.client.getresponse())
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                time.sleep(0.02)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        name = ""
        for raw in answer:
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                pending = line[4:]
            elif line.startswith("event: "):
                name, arrived = line[7:], time.perf_counter()
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                data.pop("audio_base64", None)
                self.events.append((arrived, name, data))
            elif not line and name:
                self.last = pending if "pending" in locals() else self.last
                name = ""

    def lose(self) -> None:
        """Cut the connection."""
        if self.client.sock is not None:
            self.client.sock.shutdown(2)

    def first(self, name: str, message: str, seconds: float = 120) -> float:
        """When the first such event of a message arrived."""
        end = time.perf_counter() + seconds
        seen = 0
        while time.perf_counter() < end:
            for arrived, event, data in self.events[seen:]:
                if event == name and data.get("id") == message:
                    return arrived
            seen = max(0, len(self.events) - 1)
            time.sleep(0.0005)
        raise TimeoutError(f"{name} of {message} did not come")


def latency(pairs: int) -> list[dict[str, object]]:
    """Milliseconds to first audio by both ways."""
    server = Running(
        "chat.template={text}", "chat.repeat_seconds=0", "chat.flood_messages=0", "chat.rate=0", "sampling.nfe=1"
    )
    rows: list[dict[str, object]] = []
    try:
        listener, client = Listener(server), server.client()
        for n in range(pairs + 3):
            text = f"Line {n % 10}."
            start = time.perf_counter()
            body = {"id": f"m{n}", "platform": "bench", "channel": "room", "username": "Anna", "content": text}
            assert ask(client, "POST", "/api/danmaku/enqueue", body)[0] == 202
            chat = listener.first("audio", f"m{n}") - start
            listener.first("end", f"m{n}")
            start = time.perf_counter()
            client.request("POST", "/api/tts/stream", json.dumps({"text": text}), {"Content-Type": "application/json"})
            answer = client.getresponse()
            answer.read(45)
            direct = time.perf_counter() - start
            answer.read()
            if n >= 3:
                figures = {"chat_ms": chat, "direct_ms": direct, "added_ms": chat - direct}
                rows.append({"pair": n - 3} | {name: round(1e3 * value, 2) for name, value in figures.items()})
        listener.over = True
        listener.lose()
    finally:
        server.stop()
    return rows


class Storm:
    """Sends, deletes, loses listeners; then adds up."""

    def __init__(self, seconds: float, rate: float) -> None:
        self.seconds, self.rate = seconds, rate
        self.dice = random.Random(7)
        self.server = Running("chat.repeat_seconds=10")
        self.sent: dict[str, str] = {}
        self.accepted: dict[str, float] = {}
        self.refused: dict[str, int] = {}
        self.measurable: dict[str, tuple[float, float]] = {}
        self.memory: list[float] = []

    def message(self, number: int, since: float) -> dict[str, Any]:
        """What one viewer writes."""
        raid, flood = since % 40 > 30, since % 20 > 17
        who = "flooder" if flood and number % 3 == 0 else f"user{self.dice.randrange(20000 if raid else 2000)}"
        words = " ".join(self.dice.choices(WORDS.split(), k=self.dice.randint(2, 12)))
        text = "the raid is here" if raid and number % 3 else words
        chance = self.dice.random()
        priority = (
            "Paid" if chance < 0.002 else "Gift" if chance < 0.0022 else "Moderator" if chance < 0.006 else "Normal"
        )
        said = {"username": who, "content": text, "priority": priority}
        return {"id": f"s{number}", "platform": "storm", "channel": "room"} | said

    def playing(self, listener: Listener) -> float:
        """Seconds of the clip that plays, 0: none."""
        for _, name, data in reversed(listener.events):
            if name in ("start", "end"):
                return float(data["duration"]) if name == "start" else 0.0
        return 0.0

    def send(self, listener: Listener) -> None:
        """Everything that happens in the storm."""
        client, control = self.server.client(), self.server.client()
        begun = time.perf_counter()
        number = 0
        while (since := time.perf_counter() - begun) < self.seconds:
            due = int(self.rate * since) - number
            for _ in range(min(due, 20)):
                number += 1
                body = self.message(number, since)
                if body["priority"] == "Paid":
                    queue = ask(control, "GET", "/api/danmaku/status")[1]["queue"]
                    running = self.playing(listener)
                    if queue["Paid"] + queue["Gift"] == 0 and running:
                        self.measurable[body["id"]] = (time.perf_counter(), running)
                if body["priority"] == "Gift":  # it goes before those that still wait
                    begun_ids = {data["id"] for _, name, data in listener.events if name == "start"}
                    self.measurable = {one: at for one, at in self.measurable.items() if one in begun_ids}
                status, answer = ask(client, "POST", "/api/danmaku/enqueue", body)
                self.sent[body["id"]] = body["priority"]
                if status == 202:
                    self.accepted[body["id"]] = time.perf_counter()
                else:
                    self.refused[answer["reason"]] = self.refused.get(answer["reason"], 0) + 1
                if number % 25 == 0:
                    ask(control, "DELETE", f"/api/danmaku/messages/s{number - self.dice.randrange(40)}")
                if number % 700 == 0:
                    listener.lose()
                if number % 250 == 0:
                    text = ask(control, "GET", "/metrics")[1]
                    self.memory.append(float(text.split("\nishowtts_resident_bytes ")[1].split("\n")[0]))
            time.sleep(0.005)

    def run(self) -> list[dict[str, object]]:
        """Storm, then add up."""
        try:
            listener = Listener(self.server)
            self.send(listener)
            client = self.server.client()
            ask(client, "POST", "/api/danmaku/pause")
            ask(client, "POST", "/api/danmaku/skip")
            time.sleep(1)
            counts = ask(client, "GET", "/api/danmaku/status")[1]["counts"]
            ask(client, "POST", "/api/danmaku/clear")
            time.sleep(1)
            listener.over = True
            listener.lose()
            return self.report(listener, counts)
        finally:
            self.server.stop()

    def report(self, listener: Listener, counts: dict[str, Any]) -> list[dict[str, object]]:
        """The figures, from what the listener got and what the server counts."""
        ended: set[str] = set()
        newest: dict[str, int] = {}
        breaches, waits, starts = 0, [], 0
        seen: set[str] = set()
        for arrived, name, data in listener.events:
            if name in ("start", "end"):
                ended.update(data.get("merged", []))
            if name == "end":
                ended.add(data["id"])
            elif name == "deleted":
                ended.update(data["ids"])
            elif name == "message" and "merged_with" in data:
                ended.add(data["id"])  # shares what becomes of the other
            elif name == "start" and data["id"] not in seen:
                seen.add(data["id"])
                starts += 1
                if data["id"] in self.measurable:
                    at, running = self.measurable[data["id"]]
                    waits.append((arrived - at) / max(running, 1.0))
                if not data["merged"]:
                    number = int(data["id"][1:])
                    breaches += number < newest.get(data["priority"], 0)
                    newest[data["priority"]] = max(number, newest.get(data["priority"], 0))
        missed = sum(data.get("missed", 0) for _, name, data in listener.events if name == "state")
        unaccounted = [one for one in self.accepted if one not in ended]
        total = sum(counts[way] for way in ("spoken", "deleted", "skipped", "waiting")) + sum(
            counts["dropped"].values()
        )
        half = len(self.memory) // 2
        figures: dict[str, object] = {
            "sent": len(self.sent),
            "received": counts["received"],
            "sum_of_ends": total,
            "accepted": len(self.accepted),
            "unaccounted": len(unaccounted),
            "clips": starts,
            "spoken": counts["spoken"],
            "deleted": counts["deleted"],
            "merged": counts["merged"],
            "breaches_of_order": breaches,
            "paid_measured": len(waits),
            "worst_paid_in_running_clips": round(max(waits, default=0.0), 2),
            "missed_events": missed,
            "resident_mb_first_half": round(max(self.memory[:half], default=0) / 1e6, 1),
            "resident_mb_second_half": round(max(self.memory[half:], default=0) / 1e6, 1),
        }
        figures |= {f"refused_{reason}": n for reason, n in sorted(self.refused.items())}
        if unaccounted:
            print(f"not accounted for: {unaccounted[:10]}", file=sys.stderr)
        return [{"measure": name, "value": value} for name, value in figures.items()]


def main() -> None:
    """Measure, print, write benchmarks/results/chat_latency.csv and chat_storm_real.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--rate", type=float, default=50)
    arguments = parser.parse_args()
    if arguments.pairs:
        rows = latency(arguments.pairs)
        for key in ("chat_ms", "direct_ms", "added_ms"):
            values = [float(str(row[key])) for row in rows]
            print(f"{key:10} median {statistics.median(values):8.2f}  min {min(values):8.2f}  max {max(values):8.2f}")
        write_csv("chat_latency", rows)
    if arguments.minutes:
        figures = Storm(60 * arguments.minutes, arguments.rate).run()
        for figure in figures:
            print(f"{figure['measure']:32} {figure['value']}")
        write_csv("chat_storm_real", figures)
        found = {str(figure["measure"]): figure["value"] for figure in figures}
        if found["unaccounted"] or found["received"] != found["sum_of_ends"] or found["breaches_of_order"]:
            raise SystemExit("the storm lost or disordered messages")
        if float(str(found["worst_paid_in_running_clips"])) > 2:
            raise SystemExit("a paid message waited for more than twice the running clip")


if __name__ == "__main__":
    main()
