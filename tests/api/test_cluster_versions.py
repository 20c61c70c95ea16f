"""This build beside the one before it, whose messages are recorded here: they knew nothing of what machines share."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from nats import Client, Nats
from serving import until
from test_gateway import cluster, workers

WORKERS = "ishow.v1.workers"
OLD = "0123456789abcdef"
REQUEST = {
    "text": "Hello there.", "essential": None, "voice": None, "early": 0, "has_seed": 1, "priority": 0, "deadline": 0.0,
    "ahead": 0.0, "seed": 5, "nfe": 2,
}  # fmt: skip


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + data


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    (n,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + n]), message[4 + n :]


@pytest.fixture
def nats() -> Iterator[Nats]:
    with Nats() as server:
        yield server


def beat_of(client: Client) -> dict[str, Any]:
    """The next beat of a worker."""
    while (head := unpack(client.receive())[0])["type"] != "beat":
        pass
    return head


class OldWorker:
    """Says that it has the model of `beat`, and answers every request with a second of the same sample."""

    def __init__(self, nats: Nats, beat: dict[str, Any]) -> None:
        new = {"protocol", "oldest", "loaded"}
        self.beat = {key: value for key, value in beat.items() if key not in new} | {"id": OLD, "name": "old"}
        self.rate = beat["model"]["sample_rate"]
        self.asked: list[dict[str, Any]] = []
        self.client, self.teller = Client(nats), Client(nats)
        self.client.subscribe(f"ishow.v1.to.{OLD}")
        self.over = threading.Event()
        for work in (self._tell, self._speak):
            threading.Thread(target=self._until_over, args=(work,), daemon=True).start()

    def _until_over(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(AssertionError, OSError):  # NATS has ended
            work()

    def _tell(self) -> None:
        while not self.over.wait(0.4):
            self.teller.publish(WORKERS, pack(self.beat))

    def _speak(self) -> None:
        while not self.over.is_set():
            head, _ = unpack(self.client.receive())
            if head["type"] != "speak":
                continue
            self.asked.append(head)
            about = {"worker": OLD, "utterance": head["utterance"], "attempt": head["attempt"]}
            timings = {"queue": 0, "text": 0, "model": 0, "chunks": 1, "retries": 0, "unspoken": 0, "first": ""}
            piece = about | {"type": "piece", "seq": 1, "part": 1, "plan": 1, "tail": 0, "timings": timings}
            end = about | {"type": "end", "seq": 2, "timings": timings}
            to = f"ishow.v1.to.{head['gateway']}"
            self.client.publish(to, pack(piece | {"progress": 1.0}, struct.pack("<f", 0.25) * self.rate))
            self.client.publish(to, pack(end | {"error": {"status": 0, "field": "", "message": ""}}))


def test_an_older_worker_is_asked(nats: Nats) -> None:
    with Client(nats) as listener:
        listener.subscribe(WORKERS)
        with cluster("worker", "new", nats.url):
            beat = beat_of(listener)
            assert beat["protocol"] == 2
    old = OldWorker(nats, beat)
    with cluster("gateway", "gate", nats.url) as gateway, gateway.client() as client:
        until(lambda: workers(gateway) == 1)
        answer = client.post("/api/tts/stream", json={"text": "Hello there."}, headers={"Accept": "audio/pcm"})
        assert answer.status_code == 200, answer.text
        assert set(struct.iter_unpack("<h", answer.content)) == {(round(0.25 * 32767),)}
        assert len(answer.content) == 2 * old.rate and len(old.asked) == 1
        unanswered = client.post("/api/reading", json={"text": "a GIF"})
        assert unanswered.status_code >= 400 and "no worker" in unanswered.json()["error"]["message"]
        with cluster("worker", "new", nats.url):
            until(lambda: workers(gateway) == 2)
            assert client.post("/api/reading", json={"text": "a GIF"}).status_code == 200
    old.over.set()


@pytest.mark.parametrize(
    ("numbers", "cure"),
    [({"protocol": 0}, "update the worker"), ({"protocol": 99, "oldest": 98}, "update this gateway")],
)
def test_a_build_that_is_too_old_is_refused(nats: Nats, numbers: dict[str, int], cure: str) -> None:
    with Client(nats) as listener:
        listener.subscribe(WORKERS)
        with cluster("worker", "new", nats.url), cluster("gateway", "gate", nats.url) as gateway:
            strange = OldWorker(nats, beat_of(listener))
            strange.beat |= numbers
            with gateway.client() as client:
                until(lambda: "other protocol" in client.get("/api/cluster").text)
                shown = {one["name"]: one["state"] for one in client.get("/api/cluster").json()["workers"]}
                assert shown == {"new": "ready", "old": "other protocol"}
                for seed in range(3):
                    assert client.post("/api/tts", json={"text": "Hello.", "seed": seed}).status_code == 200
                assert 'ishowtts_cluster_workers{state="other protocol"} 1' in client.get("/metrics").text
            assert not strange.asked
            assert any("is not used: it has version" in line and cure in line for line in gateway.log)
            strange.over.set()


def test_an_older_gateway_is_served(nats: Nats) -> None:
    with Client(nats) as client, Client(nats) as own, cluster("worker", "new", nats.url):
        client.subscribe(WORKERS)
        own.subscribe(f"ishow.v1.to.{OLD}")
        worker = beat_of(client)["id"]
        head = {"type": "speak", "gateway": OLD, "utterance": 1, "attempt": 1}
        client.publish(f"ishow.v1.to.{worker}", pack(head | {"request": REQUEST, "work": 1.0, "part": 0, "plan": 0}))
        samples = 0
        while True:
            said, data = unpack(own.receive())
            if said["type"] == "piece":
                samples += len(data) // 4 - said.get("tail", 0)
            if said["type"] == "end":
                break
        assert said["error"]["status"] == 0, said
        assert samples > 10_000
        client.publish(f"ishow.v1.to.{worker}", pack(head | {"type": "ack", "seq": said["seq"], "held": False}))


def test_restarting_all_in_turn_fails_no_request(nats: Nats) -> None:
    """A worker and a gateway are ended by SIGTERM, each after its successor has come."""
    parts = {"w1": cluster("worker", "w1", nats.url), "g1": cluster("gateway", "g1", nats.url)}
    over, failed, done = threading.Event(), [], []

    def load(seed: int) -> None:
        while not over.is_set():
            for gateway in [part for name, part in list(parts.items()) if name.startswith("g")]:
                try:
                    with gateway.client() as client:
                        answer = client.post("/api/tts", json={"text": "Hello there. How are you?", "seed": seed})
                except (httpx.ConnectError, httpx.RemoteProtocolError) as refused:
                    if isinstance(refused, httpx.RemoteProtocolError):
                        failed.append(str(refused))
                    continue  # it has closed its port: the next one is asked
                if answer.status_code == 503 and answer.json()["error"]["code"] == "draining":
                    continue
                (done if answer.status_code == 200 else failed).append(answer.text)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for role, old, new in (("worker", "w1", "w2"), ("gateway", "g1", "g2")):
        before = len(done)
        until(lambda before=before: len(done) > before + 3)
        parts[new] = cluster(role, new, nats.url)
        if role == "worker":
            until(lambda: workers(parts["g1"]) == 2)
        parts.pop(old).end()
    before = len(done)
    until(lambda: len(done) > before + 3)
    over.set()
    for thread in threads:
        thread.join()
    for part in parts.values():
        part.end()
    assert not failed
