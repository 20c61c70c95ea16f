"""The embedded model with clips over HTTP: a clip alone makes a voice, beside those that the model knows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from serving import Server
from test_cloning import CLIP, FAST, FLAC, TEXT, listed, override, speak, wav

from ishowtts import Engine
from ishowtts.voices import model_voices

DEMO = Path(str(model_voices("demo")[0].audio)).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with `prompt`: its weights speak behind a clip."""
    folder = tmp_path_factory.mktemp("models") / "own"
    folder.mkdir()
    for path in DEMO.iterdir():
        (folder / path.name).symlink_to(path)
    config = json.loads((DEMO / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").unlink()
    (folder / "model.json").write_text(json.dumps(config | {"prompt": True}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def running(model: Path, kind: str) -> Iterator[Server]:
    with Server("--set", f"model.name={model}", kind=kind) as server:
        yield server


@pytest.fixture
def api(running: Server) -> Iterator[httpx.Client]:
    with running.client(120) as client:
        yield client
        for voice in client.get("/api/voices").json():
            client.delete(f"/api/voices/{voice['id']}/reference")
            client.delete(f"/api/voices/{voice['id']}")


def create(api: httpx.Client, id: str = "me", audio: bytes = FAST, **fields: str) -> httpx.Response:
    return api.post("/api/voices", data={"id": id} | fields, files={"audio": ("clip", audio)})


def samples(speech: bytes) -> np.ndarray:
    return np.asarray(soundfile.read(io.BytesIO(speech))[0])


def test_a_clip_alone_makes_a_voice(api: httpx.Client) -> None:
    health = api.get("/api/health").json()
    assert health["cloning"] is True and health["clip_needs_text"] is False
    hazel = speak(api, "hazel")
    answer = create(api)
    assert answer.status_code == 201, answer.text
    voice = answer.json()
    assert "reference_text" not in voice and "language" not in voice and not voice["configured"]
    assert api.get(voice["sample_url"]).content == FAST
    mine = samples(speak(api, "me"))
    assert 0.4 < len(mine) / 24000 < 3 and np.abs(mine).max() > 0.02
    assert len(samples(speak(api, "me", text="我们明天去北京。"))) > 24000, "the language of each text is guessed"
    assert create(api, "you", FLAC, text="Other words than those of the clip.", language="de").status_code == 201
    you = listed(api)["you"]
    assert you["reference_text"].startswith("Other") and you["language"] == "de"
    assert speak(api, "you") != speak(api, "me")
    assert speak(api, "hazel") == hazel, "the model's own voices are as before"


def test_a_long_clip_is_cut(api: httpx.Client) -> None:
    one = samples(speak(api, "hazel"))
    long = np.tile(CLIP, 9)[: 29 * 24000]
    assert create(api, "long", wav(long)).status_code == 201
    assert create(api, "short", wav(long[: 8 * 24000])).status_code == 201
    assert 0.5 < len(samples(speak(api, "long"))) / len(one) < 2
    for bad in (wav(CLIP[:12000]), wav(np.zeros(48000)), wav(np.tile(CLIP, 12)[: 31 * 24000])):
        refused = create(api, "bad", bad)
        assert refused.status_code == 400 and refused.json()["error"]["field"] == "audio"
    refused = api.post("/api/voices", files={"id": (None, "none")})
    assert refused.status_code == 400 and refused.json()["error"]["field"] == "audio"


def test_a_voice_of_the_model_follows_a_clip_until_it_is_restored(api: httpx.Client) -> None:
    before, text = speak(api, "owen"), api.get("/api/voices/owen/reference").json()["active_reference_text"]
    refused = override(api, "owen", text="Words alone.")
    assert refused.status_code == 400 and refused.json()["error"]["field"] == "audio"
    replaced = override(api, "owen", FAST)
    assert replaced.status_code == 200 and "active_reference_text" not in replaced.json()
    assert replaced.json()["baseline_reference_text"] == text
    assert speak(api, "owen") != before
    assert api.delete("/api/voices/owen/reference").status_code == 204
    assert speak(api, "owen") == before
    assert api.get("/api/voices/owen/reference").json()["active_reference_text"] == text


def test_voices_of_clips_survive_a_restart_and_a_reload(model: Path, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.flac").write_bytes(FLAC)
    settings = tmp_path / "ishowtts.toml"
    named = "".join(f'[[voices]]\nid = "{name}"\naudio = "mine.flac"\n' for name in ("mine", "hazel"))
    settings.write_text(f'[model]\nname = "{model}"\n{named}')
    arguments = ("--config", str(settings), "--set", f"server.state_dir={tmp_path / 'state'}")
    said: list[Any] = []
    for _ in range(2):
        with Server(*arguments, kind=kind) as server, server.client(120) as http:
            if not said:
                assert create(http).status_code == 201
            assert override(http, "mine", wav(CLIP[::-1] * 0.8)).status_code == 200
            said.append([speak(http, name) for name in ("me", "mine", "hazel")])
            assert http.delete("/api/voices/mine/reference").status_code == 204
            assert speak(http, "mine") == said[-1][2], "a configured clip is spoken from, whatever the voice's name"
            settings.write_text(settings.read_text().replace('"hazel"\naudio = "mine.flac"', '"hazel"\ntext = "x"'))
            changed = http.post("/api/config/reload").json()["changed"]
            assert changed == ["voices.hazel"]
            assert speak(http, "hazel") != said[-1][2], "without a clip it is the model's own"
            settings.write_text(settings.read_text().replace('"hazel"\ntext = "x"', '"hazel"\naudio = "mine.flac"'))
    assert said[0] == said[1]


def test_clips_leave_the_own_voices_alone(model: Path) -> None:
    """The same samples as from the model in the package; a voice without a name and a clip speaks as well."""
    with (
        Engine.load("demo", threads=1, precision="fp32") as plain,
        Engine.load(model, threads=1, precision="fp32") as own,
    ):
        for engine in (plain, own):
            engine.add_voice("nobody", None, "Nobody's words.")
        own.add_voice("me", CLIP, sample_rate=24000)
        for name in ("hazel", "mei", "nobody"):
            speech = own.speak(TEXT, name, seed=1)
            np.testing.assert_array_equal(speech.samples, plain.speak(TEXT, name, seed=1).samples)
        assert not np.array_equal(own.speak(TEXT, "me", seed=1).samples, own.speak(TEXT, "nobody", seed=1).samples)
