"""Pronunciations over HTTP: effective at once, kept over restarts, errors with their field; and how a text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server

from ishowtts import cli


def put(http: httpx.Client, word: str, said: str, **more: Any) -> httpx.Response:
    return http.post("/api/lexicon", json={"word": word, "said": said} | more)


def phones(http: httpx.Client, text: str, voice: str | None = None) -> str:
    answer = http.post("/api/reading", json={"text": text, "voice_id": voice})
    assert answer.status_code == 200, answer.text
    return " ".join(answer.json()["symbols"])


def test_words_are_read_as_told_at_once_and_after_a_restart(kind: str, tmp_path: Path, capsys: Any) -> None:
    state = ("--set", f"server.state_dir={tmp_path / 'state'}")
    with Server(*state, kind=kind) as first, first.client() as http:
        assert http.get("/api/lexicon").json() == []
        before = phones(http, "a GIF")
        made = put(http, " GIF ", "/dʒɪf/").json()
        assert made == {"id": made["id"], "word": "GIF", "said": "/dʒɪf/", "language": None}
        assert phones(http, "a gif") == "pau ax0 jh ih1 f ." != before
        assert put(http, "gif", "giff").json()["id"] == made["id"], "another reading of the same word"
        assert "g ih1 f" in phones(http, "a GIF")
        put(http, "gg", "gut gespielt", language="de")
        assert "de_sch" in phones(http, "gg", "kerstin") and "sh" not in phones(http, "gg", "hazel")
        first_audio = http.post("/api/tts", json={"text": "GIF", "seed": 1, "nfe_step": 1}).json()["audio_base64"]
    with Server(*state, kind=kind) as second, second.client() as http:
        assert [(entry["word"], entry["language"]) for entry in http.get("/api/lexicon").json()] == [
            ("gg", "de"),
            ("gif", None),
        ]
        again = http.post("/api/tts", json={"text": "giff", "seed": 1, "nfe_step": 1}).json()["audio_base64"]
        assert again == first_audio, "speech is made by it"
        assert cli.main(["text", "a GIF", "--config", _config(tmp_path)]) == 0
        assert "g ih1 f" in capsys.readouterr().out, "the command knows it too"
        assert http.delete(f"/api/lexicon/{made['id']}").status_code == 204
        assert http.delete(f"/api/lexicon/{made['id']}").status_code == 404
        assert phones(http, "a GIF") == before


def _config(folder: Path) -> str:
    file = folder / "ishowtts.toml"
    file.write_text(f'[server]\nstate_dir = "{folder / "state"}"\n', encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"word": "GIF"}, "missing_field", "said"),
        ({"word": "", "said": "x"}, "out_of_range", "word"),
        ({"word": "GIF", "said": 7}, "invalid_type", "said"),
        ({"word": "GIF", "said": "x", "ipa": "y"}, "unknown_field", "ipa"),
        ({"word": "GIF", "said": "/dʒ7f/"}, "invalid_request", "said"),
        ({"word": "GIF", "said": "!!"}, "invalid_request", "said"),
        ({"word": "GIF", "said": "{jh ih1 f}"}, "invalid_request", "language"),
        ({"word": "!", "said": "x"}, "invalid_request", "word"),
        ({"word": "Québec", "said": "{k ey0 b eh1 k}", "language": "fr"}, "invalid_request", "language"),
        ([], "invalid_type", None),
    ],
)
def test_what_cannot_be_read_is_refused(http: httpx.Client, body: Any, code: str, field: str | None) -> None:
    before = http.get("/api/lexicon").json()
    answer = http.post("/api/lexicon", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error.get("field")) == (code, field)
    assert http.get("/api/lexicon").json() == before


def test_a_reading_shows_every_step(http: httpx.Client) -> None:
    steps = http.post("/api/reading", json={"text": "Paid $5 мир :)", "voice_id": "hazel"}).json()
    assert steps["text"] == "Paid five dollars" and steps["words"][1] == {
        "text": "five",
        "start": 5,
        "end": 7,
        "kind": "money",
    }
    assert [(part["text"], part["why"]) for part in steps["dropped"]] == [("мир", "script"), (":)", "emoticon")]
    assert http.post("/api/reading", json={"text": "...", "voice_id": None}).json()["symbols"] == []
    missing = http.post("/api/reading", json={"text": "x", "voice_id": "nobody"})
    assert missing.status_code == 404 and missing.json()["error"]["field"] == "voice_id"
    assert http.post("/api/reading", json={"text": ""}).status_code == 400
