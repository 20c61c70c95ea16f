"""The configuration over HTTP: shown without secrets, and replaced while requests run."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, until
from test_cloning import FAST, FLAC, SOURCE, TEXT, create, speak, tiny_model  # noqa: F401
from test_refusals import fault

BASE = """
default_voice = "anna"
[server]
api_key = "sesame street"
request_seconds = 100
[model]
name = "{model}"
[sampling]
nfe = 3
[[voices]]
id = "anna"
audio = "anna.flac"
language = "en"
text = "{text}"
"""


class Rig:
    """A server whose configuration file is edited while it runs."""

    def __init__(self, kind: str, folder: Path, model: Path, *options: str) -> None:
        self.path = folder / "ishowtts.toml"
        (folder / "anna.flac").write_bytes(FLAC)
        (folder / "fast.wav").write_bytes(FAST)
        self.base = BASE.format(model=model, text=TEXT)
        self.path.write_text(self.base)
        self.server = Server("--config", str(self.path), *options, kind=kind)
        self.http = httpx.Client(
            base_url=self.server.url, timeout=120, headers={"Authorization": "Bearer sesame street"}
        )

    def write(self, *changes: tuple[str, str], more: str = "") -> None:
        text = self.base
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.path.parent / "new").write_text(text + more)
        (self.path.parent / "new").replace(self.path)

    def reload(self) -> dict[str, list[str]]:
        answer = self.http.post("/api/config/reload")
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"changed", "restart_needed"}
        return answer.json()

    def shown(self) -> dict[str, Any]:
        return self.http.get("/api/config").json()

    def steps(self) -> int:
        """Number of steps of a request without settings."""

        def total() -> float:
            return float(re.search(r"^ishowtts_steps_total (\S+)$", self.http.get("/metrics").text, re.M)[1])  # type: ignore[index]

        before = total()
        assert self.http.post("/api/tts", json={"text": "Yes."}).status_code == 200
        return int(total() - before)


@pytest.fixture(scope="module")
def _rig(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, kind: str) -> Iterator[Rig]:  # noqa: F811
    rig = Rig(kind, tmp_path_factory.mktemp("config"), tiny_model, "--set", "engine.retries=1")
    yield rig
    assert rig.server.stop() == 0, "".join(rig.server.log)
    assert not [line for line in rig.server.log if "sesame" in line or "handles are still alive" in line]


@pytest.fixture
def rig(_rig: Rig) -> Iterator[Rig]:
    yield _rig
    _rig.write()
    until(lambda: _rig.http.post("/api/config/reload").status_code == 200)
    assert _rig.shown()["restart_needed"] == []


def test_what_is_in_force_is_shown_with_its_origin_and_without_secrets(rig: Rig) -> None:
    answer = rig.http.get("/api/config")
    assert answer.status_code == 200 and "sesame" not in answer.text
    shown = answer.json()
    assert set(shown) == {"file", "settings", "sources", "restart_needed"} and shown["restart_needed"] == []
    assert shown["settings"]["server"]["api_key"] == "********" and shown["settings"]["sampling"]["nfe"] == 3
    assert shown["settings"]["voices"][0]["id"] == "anna" and shown["settings"]["engine"]["queue_capacity"] == 64
    assert shown["file"] == str(rig.path)
    sources = shown["sources"]
    assert sources["sampling.nfe"] == f"{rig.path}:9" and sources["engine.retries"] == "option engine.retries"
    assert (
        sources["server.state_dir"] == "environment variable ISHOWTTS__SERVER__STATE_DIR"
        and "engine.max_rows" not in sources
    )
    assert httpx.get(rig.server.url + "/api/config").status_code == 401


def test_an_unchanged_file_changes_nothing(rig: Rig) -> None:
    assert rig.reload() == {"changed": [], "restart_needed": []}


def test_sampling_is_replaced(rig: Rig) -> None:
    assert rig.steps() == 3
    rig.write(("nfe = 3", 'nfe = 5\nspeed = 1.5\nsolver = "midpoint"'))
    before = len(rig.server.log)
    answered = json.dumps(rig.reload()["changed"])  # unless the watcher of the file was first, which logs the same
    until(
        lambda: all(
            name in answered + "".join(rig.server.log[before:])
            for name in ("sampling.nfe", "sampling.speed", "sampling.solver")
        )
    )
    assert rig.steps() == 10 and rig.shown()["settings"]["sampling"]["speed"] == 1.5


def test_what_needs_a_restart_is_named_and_stays(rig: Rig) -> None:
    rig.write(("[server]", '[server]\nport = 1\nhost = "::1"'), more="[engine]\nmax_rows = 2\nqueue_capacity = 9\n")
    rig.http.post("/api/config/reload")
    shown = rig.shown()
    assert sorted(shown["restart_needed"]) == ["engine.max_rows", "server.host"], "the port is an option"
    assert shown["settings"]["server"]["host"] == "127.0.0.1" and shown["settings"]["engine"]["max_rows"] == 4
    assert shown["settings"]["engine"]["queue_capacity"] == 9


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nfe = 3", "nfe = 99", "sampling.nfe must be a whole number from 0 to 64, not 99"),
        ("nfe = 3", "speed = 2\nnef = 3", "nef"),
        ("[sampling]", "[sampling", ":8:"),
        ('audio = "anna.flac"', 'audio = "none.flac"', "none.flac"),
        ('id = "anna"', 'id = "a/b"', "id must be made of"),
        ('default_voice = "anna"', 'default_voice = "nobody"', "nobody"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(rig: Rig, old: str, new: str, says: str) -> None:
    before = rig.shown()
    rig.write((old, new), ("request_seconds = 100", "request_seconds = 50"))
    answer = rig.http.post("/api/config/reload")
    assert (
        answer.status_code == 409 and fault(answer)["code"] == "invalid_config" and says in fault(answer)["message"]
    ), answer.text
    assert rig.shown() == before and rig.steps() == 3


def test_a_clip_that_is_no_speech_file_changes_nothing(rig: Rig) -> None:
    before = rig.shown(), speak(rig.http, "anna")
    (rig.path.parent / "bad.wav").write_bytes(b"RIFF no wave")
    rig.write(
        ("nfe = 3", "nfe = 4"),
        more='[[voices]]\nid = "bad"\naudio = "bad.wav"\ntext = "x"\n[engine]\nqueue_capacity = 1\n',
    )
    answer = rig.http.post("/api/config/reload")
    assert answer.status_code == 409 and "Voice bad" in answer.text
    assert (rig.shown(), speak(rig.http, "anna")) == before
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(rig.http.post("/api/tts", json={"text": "One."}).status_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4, "the queue is as long as before"


def test_voices_come_change_and_go(rig: Rig) -> None:
    anna = speak(rig.http, "anna")
    assert create(rig.http, "kept").status_code == 201
    rig.write(
        ('default_voice = "anna"', 'default_voice = "other"'),
        more=f'[[voices]]\nid = "other"\naudio = "fast.wav"\ntext = "{TEXT}"\n',
    )
    rig.http.post("/api/config/reload")
    assert [voice["id"] for voice in rig.http.get("/api/voices").json()] == ["anna", "kept", "other"]
    health = rig.http.get("/api/health").json()
    assert health["default_voice"] == "other"
    assert rig.http.post("/api/tts", json={"text": "Yes."}).json()["voice_id"] == "other"
    assert speak(rig.http, "other") != anna and speak(rig.http, "anna") == anna
    before = len(rig.server.log)
    (rig.path.parent / "anna.flac").write_bytes(FAST)  # the same name, another clip
    answered = rig.reload()["changed"]  # unless the watcher of the file was first, which logs the same
    until(lambda: "voices.anna" in answered or any("voices.anna" in line for line in rig.server.log[before:]))
    assert speak(rig.http, "anna") != anna
    (rig.path.parent / "anna.flac").write_bytes(FLAC)
    rig.write()
    rig.http.post("/api/config/reload")
    assert [voice["id"] for voice in rig.http.get("/api/voices").json()] == ["anna", "kept"]
    assert speak(rig.http, "anna") == anna and rig.http.delete("/api/voices/kept").status_code == 204


def test_keys_hosts_and_origins_are_replaced(rig: Rig) -> None:
    friend = {"Origin": "https://friend.example", "Authorization": "Bearer open sesame"}
    rig.write(
        (
            'api_key = "sesame street"',
            'api_key = "open sesame"\ncors_origins = ["https://friend.example"]\n'
            'allowed_hosts = ["tts.example"]\nbody_bytes_max = 2000',
        )
    )
    rig.http.post("/api/config/reload")
    until(lambda: rig.http.get("/api/voices").status_code == 401)
    answer = httpx.get(rig.server.url + "/api/voices", headers=friend | {"Host": "tts.example"})
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://friend.example"
    long = httpx.post(
        rig.server.url + "/api/tts", json={"text": "x" * 2000}, headers={"Authorization": "Bearer open sesame"}
    )
    assert long.status_code == 413
    rig.write()
    until(lambda: rig.http.get("/api/voices").status_code == 200)


def test_a_change_of_the_file_is_noticed(rig: Rig) -> None:
    rig.write(("nfe = 3", "nfe = 6"))
    until(lambda: rig.shown()["settings"]["sampling"]["nfe"] == 6)
    rig.path.write_text(rig.base.replace("nfe = 3", "nfe = 7"))  # overwritten in place
    until(lambda: rig.shown()["settings"]["sampling"]["nfe"] == 7)
    rig.write(("nfe = 3", "nfe = 700"))
    until(lambda: any("not 700" in line and "nothing was changed" in line for line in rig.server.log))
    assert rig.shown()["settings"]["sampling"]["nfe"] == 7
    rig.path.unlink()
    rig.write(("nfe = 3", "nfe = 8"))
    until(lambda: rig.shown()["settings"]["sampling"]["nfe"] == 8)


def test_speech_in_flight_is_not_dropped(rig: Rig) -> None:
    """Reloads of every kind while many requests run: each response is complete and correct, none is refused."""
    body = {
        "text": "A sentence that is spoken while settings change. " * 3,
        "seed": 1,
        "nfe_step": 4,
        "speed": 1,
        "voice_id": "anna",
    }
    alone = rig.http.post("/api/tts", json=body, headers={"Accept": "audio/wav"}).content
    failures: list[str] = []
    over = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=rig.server.url, timeout=120, headers=dict(rig.http.headers)) as client:
            while not over.is_set():
                answer = client.post("/api/tts", json=body, headers={"Accept": "audio/wav"})
                if answer.status_code != 200 or answer.content != alone:
                    failures.append(f"{answer.status_code} {len(answer.content)}")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(12):
        rig.write(
            ("nfe = 3", f"nfe = {4 + number}"),
            more=f'[[voices]]\nid = "v{number}"\naudio = "fast.wav"\ntext = "{TEXT}"\n',
        )
        rig.http.post("/api/config/reload")
        rig.server.process.send_signal(signal.SIGHUP)
    over.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert rig.shown()["settings"]["sampling"]["nfe"] == 15


def chat_message(name: str, text: str, **fields: str) -> dict[str, str]:
    return {"id": name, "platform": "test", "channel": "room", "username": f"Viewer {name}", "content": text} | fields


def test_chat_takes_other_rules_while_it_runs(rig: Rig) -> None:
    """All kinds of settings at once, without losing a message; changes that need reconnections are named."""

    def say(name: str, text: str, **fields: str) -> httpx.Response:
        return rig.http.post("/api/danmaku/enqueue", json=chat_message(name, text, **fields))

    def waiting() -> dict[str, dict[str, Any]]:
        return {one["id"]: one for one in rig.http.get("/api/danmaku/queue").json()["waiting"]}

    assert rig.http.post("/api/danmaku/pause").json()["paused"] is True
    try:
        for n in range(4):
            assert say(f"m{n}", f"Message number {n}.").status_code == 202
        rules = """[chat]
banned_words = ["pineapple"]
blocklist = ["test:troll"]
cooldown_seconds = 3600
characters_max = 20
template = "{text} says {user}"
voices = ["other"]
role_voices = { vip = "anna" }
languages = ["en"]
queue_max = 5
[[chat.sources]]
platform = "twitch"
channel = "somebody"
"""
        rig.write(more=f'[[voices]]\nid = "other"\naudio = "fast.wav"\ntext = "{TEXT}"\n' + rules)
        rig.http.post("/api/config/reload")
        shown = rig.shown()
        assert shown["restart_needed"] == ["chat.sources"] and shown["settings"]["chat"]["sources"] == []
        assert (
            shown["settings"]["chat"]["banned_words"] == ["pineapple"] and shown["settings"]["chat"]["queue_max"] == 5
        )
        assert list(waiting()) == ["m0", "m1", "m2", "m3"]
        assert say("a", "Pineapple on pizza.").json()["reason"] == "banned_word"
        assert say("b", "Hello there.", username="troll").json()["reason"] == "blocklist"
        assert say("c", "Hello, how are all of you tonight?", username="Cem").status_code == 202
        assert say("d", "Once more.", username="Cem").json()["reason"] == "cooldown"
        assert say("e", "おはようございます", username="Eri").json()["reason"] == "language"
        assert waiting()["c"]["voice"] == "other" and len(waiting()["c"]["text"]) <= 20
        vip = chat_message("v", "Hi all.") | {"metadata": {"roles": ["vip"]}}
        assert rig.http.post("/api/danmaku/enqueue", json=vip).status_code == 202
        assert waiting()["v"]["voice"] == "anna" and list(waiting()) == ["m1", "m2", "m3", "c", "v"], (
            "five, as the queue has it now"
        )
        rig.write(more="[chat]\ngap_seconds = 99\n")
        answer = rig.http.post("/api/config/reload")
        assert answer.status_code == 409 and "chat.gap_seconds" in answer.text
        assert say("f", "Pineapple.", username="Fay").json()["reason"] == "banned_word", "a bad file changes nothing"
    finally:
        rig.http.post("/api/danmaku/clear")
        rig.http.post("/api/danmaku/resume")


def test_a_hangup_reads_again(tmp_path: Path, tiny_model: Path, kind: str) -> None:  # noqa: F811
    """Also settings outside of the file: a token's file, a voice's text beside its clip."""
    os.environ["ISHOWTTS__SAMPLING__SPEED"] = "1.25"
    try:
        rig = Rig(kind, tmp_path, tiny_model)
    finally:
        del os.environ["ISHOWTTS__SAMPLING__SPEED"]
    try:
        assert rig.shown()["settings"]["sampling"]["speed"] == 1.25
        assert rig.shown()["sources"]["sampling.speed"] == "environment variable ISHOWTTS__SAMPLING__SPEED"
        (tmp_path / "anna.flac").write_bytes(FAST)
        before = len(rig.server.log)
        rig.server.process.send_signal(signal.SIGHUP)
        until(lambda: any("voices.anna" in line for line in rig.server.log[before:]))
        assert rig.server.process.poll() is None
        assert rig.server.stop() == 0
    finally:
        rig.server.kill()


def test_a_public_server_does_not_lose_its_key(tmp_path: Path, tiny_model: Path, kind: str) -> None:  # noqa: F811
    rig = Rig(kind, tmp_path, tiny_model)
    rig.server.kill()
    rig.base = rig.base.replace("[server]", '[server]\nhost = "0.0.0.0"')
    rig.path.write_text(rig.base)
    rig.server = Server("--config", str(rig.path), wait=False, kind=kind)
    rig.http.base_url = httpx.URL(f"http://127.0.0.1:{rig.server.port}")
    try:
        until(lambda: rig.http.get("/readyz").status_code == 200)
        rig.write(('host = "0.0.0.0"', 'host = "127.0.0.1"'), ('api_key = "sesame street"', ""))
        rig.http.post("/api/config/reload")
        assert sorted(rig.shown()["restart_needed"]) == ["server.api_key", "server.host"]
        assert httpx.get(str(rig.http.base_url) + "/api/voices").status_code == 401
        assert rig.server.stop() == 0
    finally:
        rig.server.kill()


def test_without_a_file(server: Server) -> None:
    assert httpx.post(server.url + "/api/config/reload").json() == {"changed": [], "restart_needed": []}
    shown = httpx.get(server.url + "/api/config").json()
    assert shown["file"] is None and json.dumps(shown["settings"])
