"""Voices and pronunciations that come to one gateway are those of all gateways and workers."""

from __future__ import annotations

from pathlib import Path

import httpx
from nats import Nats
from serving import Server, until
from test_cloning import CLIP, FLAC, TEXT, configuration, tiny_model, wav
from test_gateway import cluster, workers
from test_lexicon_http import phones, put

__all__ = ("configuration", "tiny_model")
SPEECH = {"text": "Hello there.", "seed": 5, "nfe_step": 2}


def spoken(client: httpx.Client, **more: object) -> bytes:
    answer = client.post("/api/tts/stream", json=SPEECH | more, headers={"Accept": "audio/pcm"})
    assert answer.status_code == 200, answer.text
    return answer.content


def upload(client: httpx.Client, id: str, audio: bytes) -> httpx.Response:
    return client.post("/api/voices", data={"id": id, "text": TEXT, "language": "en"}, files={"audio": ("a", audio)})


def test_a_voice_of_one_gateway_is_spoken_by_all(configuration: Path, tmp_path: Path) -> None:
    own = ("--config", str(configuration))
    with Nats() as nats, Server(*own) as alone, alone.client() as reference:
        assert upload(reference, "bob", FLAC).status_code == 201
        expected = spoken(reference, voice_id="bob")

        def part(role: str, name: str) -> Server:
            state = () if role == "worker" else ("--set", f"server.state_dir={tmp_path / name}")
            return cluster(role, name, nats.url, more=(*(own if role == "worker" else ()), *state))

        with part("worker", "one"), part("gateway", "east") as east, part("gateway", "west") as west:
            with east.client() as here, west.client() as there:
                made = upload(here, "bob", FLAC)
                assert made.status_code == 201, made.text
                assert spoken(here, voice_id="bob") == expected, "the worker loads it when it is asked for"
                until(lambda: there.post("/api/tts", json=SPEECH | {"voice_id": "bob"}).status_code == 200)
                assert spoken(there, voice_id="bob") == expected
                taken = upload(there, "bob", FLAC)
                assert taken.status_code == 400 and "created at the gateway east" in taken.json()["error"]["message"]
                configured = upload(here, "anna", FLAC)
                assert configured.status_code in (400, 409), configured.text
                with part("worker", "two"):
                    until(lambda: workers(west) == 2)
                    for seed in range(4):
                        assert spoken(there, voice_id="bob", seed=5 + seed)
                    faster = here.post(
                        "/api/voices/bob/reference", data={"text": TEXT}, files={"audio": ("a", wav(CLIP * 0.5))}
                    )
                    assert faster.status_code == 200, faster.text
                    assert here.delete("/api/voices/bob/reference").status_code == 204
                    assert spoken(here, voice_id="bob") == expected
            nats.kill()
            nats.start()
            with west.client() as there:
                until(lambda: there.post("/api/tts", json=SPEECH | {"voice_id": "bob"}).status_code == 200)
                assert spoken(there, voice_id="bob") == expected, "it outlives NATS"
        with part("worker", "three"), part("gateway", "east") as east, east.client() as here:
            assert spoken(here, voice_id="bob") == expected, "and everybody else"
            assert here.delete("/api/voices/bob").status_code == 204
            assert here.post("/api/tts", json=SPEECH | {"voice_id": "bob"}).status_code == 404


def test_a_word_is_read_alike_everywhere() -> None:
    with (
        Nats() as nats,
        cluster("worker", "one", nats.url),
        cluster("gateway", "east", nats.url) as east,
        cluster("gateway", "west", nats.url) as west,
        east.client() as here,
        west.client() as there,
    ):
        before = phones(here, "a GIF")
        silent = spoken(there, text="GIF")
        made = put(here, "GIF", "/dʒɪf/")
        assert made.status_code == 200, made.text
        assert phones(here, "a GIF") == "pau ax0 jh ih1 f ." != before
        until(lambda: phones(there, "a GIF") != before)
        assert spoken(there, text="GIF") != silent
        refused = put(here, "GIF", "/no such sound/")
        assert refused.status_code == 400 and refused.json()["error"]["field"] == "said"
        assert here.delete(f"/api/lexicon/{made.json()['id']}").status_code == 204
        assert phones(here, "a GIF") == before and spoken(here, text="GIF") == silent


def test_without_jetstream_a_voice_is_refused(configuration: Path, tmp_path: Path) -> None:
    with Nats(jetstream=False) as nats:
        worker = cluster("worker", "one", nats.url, more=("--config", str(configuration)))
        with worker, cluster("gateway", "east", nats.url) as east, east.client() as here:
            assert spoken(here)
            refused = upload(here, "bob", FLAC)
            assert refused.status_code >= 400 and "NATS runs without JetStream" in refused.json()["error"]["message"]
