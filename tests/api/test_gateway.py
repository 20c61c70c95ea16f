"""A gateway gives the responses of a single server, and speech continues when a worker is killed or drained."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

import httpx
import pytest
from nats import Nats
from serving import Server, run, until

TEXT = "The first sentence is rather long, so that there is time. " * 6
SPEECH = {"text": TEXT, "seed": 5, "nfe_step": 7}
# The requests whose responses are compared: method, path, body.
REQUESTS = [
    ("POST", "/api/tts", {"text": "Hello there.", "seed": 5, "format": "wav"}),
    ("POST", "/api/tts", {"text": ""}),
    ("POST", "/api/tts", {"text": "Hello.", "voice_id": "nobody"}),
    ("POST", "/api/tts", {"text": "Hello.", "speed": 9}),
    ("POST", "/api/tts", {"text": "...", "seed": 5}),
    ("POST", "/v1/audio/speech", {"model": "tts-1", "input": "Hello.", "voice": "alloy", "seed": 5}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/audio/voices", None),
    ("GET", "/no/such/place", None),
]


def cluster(role: str, name: str, url: str, more: Sequence[str] = ()) -> Server:
    given = ["--set", f"cluster.role={role}", "--set", f"cluster.url={url}", "--set", f"cluster.name={name}"]
    return Server(*more, *given)


@pytest.fixture(scope="module")
def nats() -> Iterator[Nats]:
    with Nats() as server:
        yield server


def workers(gateway: Server) -> int:
    text = httpx.get(f"{gateway.url}/metrics").text
    return int(text.partition('cluster_workers{state="ready"} ')[2].partition("\n")[0])


def shape(answer: httpx.Response) -> object:
    """The parts of a response that do not depend on the time."""
    if answer.headers["Content-Type"] != "application/json":
        return answer.content
    body = answer.json()
    for model in body.get("data", []) if isinstance(body, dict) and isinstance(body.get("data"), list) else []:
        model.pop("created", None)
    for moment in ("timings", "rtf", "request_id"):
        if isinstance(body, dict):
            body.pop(moment, None)
    return body


def test_a_gateway_answers_as_a_server_on_its_own(nats: Nats, c_server: Server) -> None:
    with cluster("worker", "one", nats.url) as worker, cluster("gateway", "gate", nats.url) as gateway:
        with gateway.client() as there, c_server.client() as here:
            for method, path, body in REQUESTS:
                own, its = (client.request(method, path, json=body) for client in (here, there))
                assert (own.status_code, shape(own)) == (its.status_code, shape(its)), path
                for field in ("X-Seed", "X-Sample-Rate", "Content-Type"):
                    assert own.headers.get(field) == its.headers.get(field)
            health = there.get("/api/health").json()
            assert health["status"] == "ready" and health["backend"] == "cluster"
        with worker.client() as client:
            assert client.get("/readyz").status_code == 200
            refused = client.post("/api/tts", json=SPEECH)
            assert refused.status_code == 404 and "worker of a cluster" in refused.json()["error"]["message"]
            assert "ishowtts_cluster_taken_total" in client.get("/metrics").text


def test_a_killed_worker_leaves_no_trace_in_the_speech(nats: Nats) -> None:
    first = cluster("worker", "first", nats.url)
    with cluster("gateway", "gate", nats.url) as gateway, gateway.client() as client:
        whole = client.post("/api/tts/stream", json=SPEECH, headers={"Accept": "audio/pcm"}).content
        assert len(whole) > 100_000
        with cluster("worker", "second", nats.url):
            until(lambda: workers(gateway) == 2)
            with client.stream("POST", "/api/tts/stream", json=SPEECH, headers={"Accept": "audio/pcm"}) as answer:
                parts = answer.iter_bytes()
                heard = next(parts)
                first.kill()
                heard += b"".join(parts)
            assert heard == whole
            until(lambda: workers(gateway) == 1)


def test_words_are_told_by_gateways_as_well(nats: Nats) -> None:
    def words_of(events: str) -> list[dict[str, float]]:
        blocks = [block.split("\ndata: ") for block in events.strip().split("\n\n")]
        return [json.loads(data) for name, data in blocks if name == "event: word"]

    first = cluster("worker", "first", nats.url)
    with cluster("gateway", "gate", nats.url) as gateway, gateway.client() as client:
        asked = {"headers": {"Accept": "text/event-stream"}, "json": SPEECH}
        whole = words_of(client.post("/api/tts/stream", **asked).text)
        said = [TEXT[int(word["offset"]) :][: int(word["length"])] for word in whole]
        assert said == TEXT.replace(",", "").replace(".", "").split()
        with cluster("worker", "second", nats.url):
            until(lambda: workers(gateway) == 2)
            with client.stream("POST", "/api/tts/stream", **asked) as answer:
                parts = answer.iter_text()
                heard = next(parts)
                first.kill()
                heard += "".join(parts)
            found = words_of(heard)
            assert [(word["offset"], word["length"]) for word in found] == [
                (word["offset"], word["length"]) for word in whole
            ]
            assert all(abs(one["start"] - other["start"]) < 0.002 for one, other in zip(found, whole, strict=True))


def ask(gateway: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ishowtts", "cluster", *arguments, "--gateway", gateway.url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_worker_and_a_gateway_are_shown_and_taken_out_without_a_cut(nats: Nats) -> None:
    first, gateway = cluster("worker", "first", nats.url), cluster("gateway", "gate", nats.url)
    with gateway.client() as client:
        shown = json.loads(ask(gateway, "status", "--json").stdout)
        assert [one["name"] for one in shown["workers"]] == ["first"] and shown["connected"]
        assert [one["name"] for one in shown["gateways"]] == ["gate"]
        assert shown["chats"] == [{"name": "main", "leader": None}]
        assert "first" in ask(gateway, "status").stdout
        refused = ask(gateway, "drain", "nobody")
        assert refused.returncode == 2 and "There is no worker or gateway 'nobody'." in refused.stderr
        whole = client.post("/api/tts/stream", json=SPEECH, headers={"Accept": "audio/pcm"}).content
        with cluster("worker", "second", nats.url):
            until(lambda: workers(gateway) == 2)
            with client.stream("POST", "/api/tts/stream", json=SPEECH, headers={"Accept": "audio/pcm"}) as answer:
                parts = answer.iter_bytes()
                heard = next(parts)
                assert ask(gateway, "drain", "first").returncode == 0
                heard += b"".join(parts)
            assert heard == whole
            assert first.process.wait(60) == 0
            assert client.post("/api/tts", json={"text": "Still here."}).status_code == 200
            with cluster("gateway", "other", nats.url) as other:
                until(lambda: "gate " in ask(other, "status").stdout)
                with client.stream("POST", "/api/tts/stream", json=SPEECH, headers={"Accept": "audio/pcm"}) as answer:
                    parts = answer.iter_bytes()
                    heard = next(parts)
                    assert ask(other, "drain", "gate").returncode == 0
                    heard += b"".join(parts)
                assert heard == whole, "a gateway finishes too"
                assert gateway.process.wait(60) == 0
                until(lambda: "gate " not in ask(other, "status").stdout)


def test_a_worker_without_an_address_does_not_start() -> None:
    ended = run(["--port", "0", "--set", "cluster.role=worker"])
    assert ended.returncode == 2
    assert "url is missing: a worker needs the address of NATS" in ended.stderr
