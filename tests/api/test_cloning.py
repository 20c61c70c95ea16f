"""Voices made from uploads over HTTP, with a cloning model of random weights, whose speech is noise.

Its clips need their words, as those of published models; test_clips_alone.py has the embedded one.
"""

from __future__ import annotations

import io
import re
import shutil
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tiny
from serving import Server
from test_refusals import fault

from ishowtts import _audio
from ishowtts.voices import model_voices

SOURCE = model_voices("demo")[0]
assert SOURCE.audio is not None
FLAC = SOURCE.audio.read_bytes()
TEXT = SOURCE.text
SPOKEN, RATE = _audio.decode(FLAC)
CLIP = np.array(SPOKEN, np.float32)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return made.getvalue()


FAST = wav(np.array(_audio.resample(CLIP, int(RATE * 1.2), RATE), np.float32))  # the same words in a higher voice


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.letters(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def configuration(tiny_model: Path) -> Path:
    shutil.copy(SOURCE.audio, tiny_model.parent / "anna.flac")  # type: ignore[arg-type]
    return tiny.configure(tiny_model, "anna.flac", TEXT)


@pytest.fixture(scope="module")
def cloning(configuration: Path, kind: str) -> Iterator[Server]:
    with Server("--config", str(configuration), kind=kind) as running:
        yield running


@pytest.fixture
def api(cloning: Server) -> Iterator[httpx.Client]:
    """A client; voices and overrides that a test made are removed after it."""
    with cloning.client(120) as client:
        yield client
        for voice in client.get("/api/voices").json():
            client.delete(f"/api/voices/{voice['id']}/reference")
            if voice["id"] != "anna":
                assert client.delete(f"/api/voices/{voice['id']}").status_code == 204
    with cloning.client(30) as another:
        assert another.get("/readyz").status_code == 200


def create(api: httpx.Client, id: str = "bob", audio: bytes = FAST, **fields: str) -> httpx.Response:
    return api.post("/api/voices", data={"id": id, "text": TEXT} | fields, files={"audio": ("clip", audio)})


def override(api: httpx.Client, id: str = "anna", audio: bytes | None = None, **fields: str) -> httpx.Response:
    parts: dict[str, Any] = {name: (None, value) for name, value in fields.items()}
    if audio is not None:
        parts["audio"] = ("clip.wav", audio)
    return api.post(f"/api/voices/{id}/reference", files=parts)


def speak(api: httpx.Client, voice: str | None, **more: Any) -> bytes:
    body = {"text": "One two three.", "seed": 3} | ({"voice_id": voice} if voice else {}) | more
    answer = api.post("/api/tts", json=body, headers={"Accept": "audio/wav"})
    assert answer.status_code == 200, answer.text
    return answer.content


def listed(api: httpx.Client) -> dict[str, dict[str, Any]]:
    return {voice["id"]: voice for voice in api.get("/api/voices").json()}


def test_guidance_without_the_reference(api: httpx.Client) -> None:
    whole = speak(api, "anna")
    assert speak(api, "anna", short_guidance=False) == speak(api, "anna", short_guidance=None) == whole
    assert speak(api, "anna", embedded_guidance=False) == whole  # a network that is not guidance-conditioned
    assert speak(api, "anna", short_guidance=True) not in (whole, speak(api, "anna", cfg_strength=0))


def test_a_new_voice_speaks_and_goes(api: httpx.Client) -> None:
    answer = create(api, language="en")
    assert answer.status_code == 201 and answer.headers["location"] == "/api/voices/bob/reference"
    voice = answer.json()
    assert voice == listed(api)["bob"]
    assert (
        voice["reference_text"] == TEXT
        and voice["language"] == "en"
        and not voice["configured"]
        and voice["has_override"] is False
    )
    assert set(voice) == {
        "id",
        "engine",
        "engine_label",
        "language",
        "reference_text",
        "configured",
        "has_override",
        "sample_url",
    }
    health = api.get("/api/health").json()
    assert "bob" in health["voices"] and health["cloning"] and health["clip_needs_text"]
    assert api.get(voice["sample_url"]).content == FAST
    assert speak(api, "bob") != speak(api, "anna"), "it is cloned from its own clip"
    assert api.delete("/api/voices/bob").status_code == 204
    assert "bob" not in listed(api)
    assert api.post("/api/tts", json={"text": "Hello.", "voice_id": "bob"}).status_code == 404
    assert api.delete("/api/voices/bob").status_code == 404
    assert api.get("/api/voices/bob/reference").status_code == 404


def test_an_override_is_heard_and_taken_back(api: httpx.Client) -> None:
    before = speak(api, "anna")
    plain = api.get("/api/voices/anna/reference").json()
    assert plain == {
        "voice_id": "anna", "engine": "f5", "engine_label": plain["engine_label"], "language": "en",
        "active_reference_text": TEXT, "baseline_reference_text": TEXT,
        "baseline_audio_available": True, "override_audio_available": False,
    }  # fmt: skip
    done = override(api, audio=FAST, text=TEXT.upper())
    assert done.status_code == 200
    now = done.json()
    assert now == api.get("/api/voices/anna/reference").json()
    assert (
        now["override_audio_available"]
        and now["override_reference_text"] == now["active_reference_text"] == TEXT.upper()
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now["override_updated_at"])
    assert listed(api)["anna"]["has_override"] is True
    after = speak(api, "anna")
    assert after != before, "no cached reference of the old clip is used"
    assert api.delete("/api/voices/anna/reference").status_code == 204
    assert api.get("/api/voices/anna/reference").json() == plain
    assert speak(api, "anna") == before
    assert api.delete("/api/voices/anna/reference").status_code == 204, "nothing to take back is fine"


def test_text_and_clip_are_overridden_apart(api: httpx.Client) -> None:
    assert (
        override(api, text="  With these arguments\n he convinced  himself, that he should go on alone!  ").status_code
        == 200
    )
    now = api.get("/api/voices/anna/reference").json()
    assert now["override_reference_text"] == "With these arguments he convinced himself, that he should go on alone!"
    assert not now["override_audio_available"]
    assert override(api, audio=FAST).status_code == 200
    both = api.get("/api/voices/anna/reference").json()
    assert both["override_audio_available"] and both["override_reference_text"] == now["override_reference_text"]
    assert api.get("/api/voices/anna/reference/audio?source=baseline").content == FLAC


def test_the_old_override_stays_when_the_new_one_is_refused(api: httpx.Client) -> None:
    assert override(api, audio=FAST).status_code == 200
    before = api.get("/api/voices/anna/reference").json(), speak(api, "anna")
    noise = wav(0.3 * np.random.default_rng(1).standard_normal(3 * RATE).clip(-3, 3) / 3)
    assert override(api, audio=noise).status_code == 400
    assert override(api, text="No.").status_code == 400
    assert (api.get("/api/voices/anna/reference").json(), speak(api, "anna")) == before
    assert api.get("/api/voices/anna/reference/audio").content == FAST


def bad_clips() -> dict[str, tuple[bytes, str]]:
    draw = np.random.default_rng(2)
    return {
        "not audio": (b"hello " * 100, "WAV, FLAC"),
        "empty": (b"", "WAV, FLAC"),
        "cut": (FLAC[: len(FLAC) // 3], "audio"),
        "short": (wav(CLIP[: RATE // 2]), "at least 1 s"),
        "long": (wav(np.tile(CLIP, 12)), "30 s"),
        "silent": (wav(np.zeros(3 * RATE)), "silent"),
        "quiet": (wav(CLIP * 0.01), "too quiet"),
        "overdriven": (wav(CLIP * 30), "overdriven"),
        "noise": (wav(0.1 * draw.standard_normal(3 * RATE)), "No speech"),
        "tone": (wav(0.3 * np.sin(np.arange(3 * RATE) * 0.05)), "No speech"),
    }


@pytest.mark.parametrize("name", sorted(bad_clips()))
def test_clips_are_decoded_and_checked(api: httpx.Client, name: str) -> None:
    clip, says = bad_clips()[name]
    for answer in (create(api, audio=clip), override(api, audio=clip, text=TEXT)):
        assert answer.status_code == 400, answer.text
        error = fault(answer)
        assert error["field"] == "audio" and says in error["message"], error
    assert list(listed(api)) == ["anna"]


def test_clips_of_up_to_ten_megabytes(api: httpx.Client) -> None:
    answer = create(api, audio=FLAC + b"\0" * (10 * 1024 * 1024 - len(FLAC) + 1))
    assert answer.status_code == 413 and fault(answer)["field"] == "audio" and "10485760" in answer.text
    assert create(api, audio=b"\0" * (11 * 1024 * 1024)).status_code == 413


@pytest.mark.parametrize(
    ("fields", "field", "status"),
    [
        ({"id": ""}, "id", 400),
        ({"id": "a b"}, "id", 400),
        ({"id": "x" * 65}, "id", 400),
        ({"id": "é"}, "id", 400),
        ({"id": "anna"}, "id", 409),
        ({"text": ""}, "text", 400),
        ({"text": " \n "}, "text", 400),
        ({"text": "x" * 5001}, "text", 400),
        ({"text": "x" * 30000}, "text", 400),
        ({"text": "Two."}, "text", 400),
        ({"text": "far too many words " * 30}, "text", 400),
        ({"language": "english please"}, "language", 400),
        ({"language": "e"}, "language", 400),
        ({"language": "x" * 40}, "language", 400),
        ({"volume": "1"}, "volume", 400),
    ],
)
def test_fields_of_a_new_voice(api: httpx.Client, fields: dict[str, str], field: str, status: int) -> None:
    answer = api.post("/api/voices", data={"id": "bob", "text": TEXT} | fields, files={"audio": ("clip", FAST)})
    assert answer.status_code == status and fault(answer)["field"] == field, answer.text
    assert list(listed(api)) == ["anna"]


@pytest.mark.parametrize("missing", ["id", "text", "audio"])
def test_required_fields(api: httpx.Client, missing: str) -> None:
    parts = {"id": (None, "bob"), "text": (None, TEXT), "audio": ("c", FAST)}
    del parts[missing]
    answer = api.post("/api/voices", files=parts)
    assert answer.status_code == 400 and fault(answer)["code"] == "missing_field" and fault(answer)["field"] == missing
    assert fault(override(api, other="x"))["code"] == "unknown_field"


@pytest.mark.parametrize(
    "id", ["..", ".", "../../etc/passwd", "..%2f..%2fetc", "/etc/passwd", ".hidden", "a/b", "a\\b", "a\0b", "%00"]
)
def test_ids_cannot_name_paths(api: httpx.Client, id: str) -> None:
    answer = create(api, id=id)
    assert answer.status_code == 400 and fault(answer)["field"] == "id", answer.text


@pytest.mark.parametrize("path", ["/api/voices/%s/reference", "/api/voices/%s/reference/audio", "/api/voices/%s"])
@pytest.mark.parametrize(
    "id", ["..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "anna%2f..", "%2fetc%2fpasswd", "anna%00", "x" * 300]
)
def test_addresses_cannot_name_paths(cloning: Server, path: str, id: str) -> None:
    method = "GET" if "reference" in path else "DELETE"
    answer = cloning.raw(f"{method} {path % id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")) and b"root:" not in answer


def form(*parts: tuple[str, bytes], boundary: bytes = b"xyz", end: bytes = b"--xyz--\r\n") -> bytes:
    made = b"".join(
        b"--" + boundary + b"\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
        for head, body in parts
    )
    return made + end


MULTI = "multipart/form-data; boundary=xyz"
ID, WORDS, SOUND = ('name="id"', b"bob"), ('name="text"', TEXT.encode()), ('name="audio"; filename="a.wav"', FAST)


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("multipart/form-data", form(ID, WORDS, SOUND)),
        (MULTI, b""),
        (MULTI, b"\r\n" * 100),
        (MULTI, form(ID, WORDS, SOUND, end=b"")),
        (MULTI, form(ID, WORDS, SOUND)[:-20]),
        (MULTI, form(ID, WORDS, SOUND, boundary=b"other")),
        (MULTI, form(ID, ID, WORDS, SOUND)),
        (MULTI, form(ID, WORDS, WORDS, SOUND)),
        (MULTI, form(ID, WORDS, SOUND, SOUND)),
        (MULTI, form(ID, ('name="text"', b"\xff\xfe With these arguments"), SOUND)),
        (MULTI, form(ID, ('name="text"', b"With these\0 arguments"), SOUND)),
        (MULTI, form(ID, WORDS, ('name="audio"\r\nContent-Transfer-Encoding: base64', FAST))),
        (MULTI, form(('filename="a"', b"x"))),
        (MULTI, b"--xyz" * 20000),
    ],
)
def test_incomplete_and_repeated_forms(api: httpx.Client, type_: str, body: bytes) -> None:
    answer = api.post("/api/voices", content=body, headers={"Content-Type": type_})
    assert answer.status_code == 400, answer.text
    fault(answer)
    assert list(listed(api)) == ["anna"]


def test_forms_come_in_pieces_and_any_order(api: httpx.Client) -> None:
    body = form(SOUND, WORDS, ID)
    pieces = (body[at : at + 777] for at in range(0, len(body), 777))
    assert (
        api.post(
            "/api/voices", content=pieces, headers={"Content-Type": 'multipart/form-data; boundary="xyz"'}
        ).status_code
        == 201
    )
    assert api.get("/api/voices/bob/reference/audio").content == FAST


def test_other_types_of_body(api: httpx.Client) -> None:
    for path in ("/api/voices", "/api/voices/anna/reference"):
        answer = api.post(path, json={"id": "bob"})
        assert answer.status_code == 415 and fault(answer)["field"] == "Content-Type"


def test_configured_voices_stay(api: httpx.Client) -> None:
    answer = api.delete("/api/voices/anna")
    assert answer.status_code == 409 and fault(answer)["code"] == "configured_voice"
    assert "anna" in listed(api)


def test_unknown_voices(api: httpx.Client) -> None:
    for answer in (
        api.get("/api/voices/nobody/reference"),
        api.get("/api/voices/nobody/reference/audio"),
        api.delete("/api/voices/nobody/reference"),
        api.delete("/api/voices/nobody"),
        override(api, id="nobody", audio=FAST, text=TEXT),
    ):
        assert answer.status_code == 404 and fault(answer)["field"] == "voice_id"


def test_the_clip_as_a_file(api: httpx.Client) -> None:
    url = "/api/voices/anna/reference/audio"
    whole = api.get(url)
    assert whole.status_code == 200 and whole.content == FLAC
    assert whole.headers["content-type"] == "audio/flac" and whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]
    assert re.fullmatch(r'"[^"]+"', etag)
    same = api.get(url, headers={"If-None-Match": etag})
    assert same.status_code == 304 and not same.content and same.headers["etag"] == etag
    assert api.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    head = api.head(url)
    assert head.status_code == 200 and head.headers["content-length"] == str(len(FLAC)) and not head.content
    assert override(api, audio=FAST).status_code == 200
    assert api.get(url).content == FAST and api.get(url).headers["etag"] != etag
    assert api.get(url + "?source=override").content == FAST
    assert api.get(url + "?source=baseline").content == FLAC
    wrong = api.get(url + "?source=other")
    assert wrong.status_code == 400 and fault(wrong)["field"] == "source"
    api.delete("/api/voices/anna/reference")
    gone = api.get(url + "?source=override")
    assert gone.status_code == 404 and fault(gone)["field"] == "source"


N = len(FLAC)


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, N - 1),
        ("bytes=-7", N - 7, N - 1),
        (f"bytes=5-{N + 99}", 5, N - 1),
        (f"bytes=-{N * 2}", 0, N - 1),
    ],
)
def test_ranges(api: httpx.Client, given: str, first: int, last: int) -> None:
    url = "/api/voices/anna/reference/audio"
    part = api.get(url, headers={"Range": given})
    assert part.status_code == 206 and part.content == FLAC[first : last + 1]
    assert part.headers["content-range"] == f"bytes {first}-{last}/{N}" and part.headers["content-length"] == str(
        last - first + 1
    )
    etag = part.headers["etag"]
    assert api.get(url, headers={"Range": given, "If-Range": etag}).status_code == 206
    assert api.get(url, headers={"Range": given, "If-Range": '"old"'}).content == FLAC


@pytest.mark.parametrize(
    "given",
    [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "lines=1-2",
        "bytes=0-1,4-5",
        "bytes=1-2x",
        "bytes=99999999999999999999-",
    ],
)
def test_ranges_that_are_not_understood_give_the_whole(api: httpx.Client, given: str) -> None:
    answer = api.get("/api/voices/anna/reference/audio", headers={"Range": given})
    assert answer.status_code == 200 and answer.content == FLAC


@pytest.mark.parametrize("given", [f"bytes={N}-", f"bytes={N + 5}-{N + 9}", "bytes=-0"])
def test_ranges_past_the_end(api: httpx.Client, given: str) -> None:
    answer = api.get("/api/voices/anna/reference/audio", headers={"Range": given})
    assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{N}"
    fault(answer)


def test_a_request_in_flight_keeps_the_voice_it_began_with(api: httpx.Client) -> None:
    """A long stream is spoken to its end although its voice is deleted meanwhile."""
    body = {
        "text": "This sentence is spoken while its voice is taken away. " * 12,
        "seed": 5,
        "voice_id": "bob",
        "nfe_step": 8,
    }
    assert create(api).status_code == 201
    undisturbed = api.post("/api/tts/stream", json=body)
    assert undisturbed.status_code == 200
    with api.stream("POST", "/api/tts/stream", json=body) as stream:
        pieces = stream.iter_raw()
        first = next(pieces)
        with httpx.Client(base_url=api.base_url, timeout=60) as other:
            assert override(other, id="bob", audio=FLAC).status_code == 200
            assert other.delete("/api/voices/bob").status_code == 204
            assert other.post("/api/tts", json=body).status_code == 404
        rest = b"".join(pieces)
    assert first + rest == undisturbed.content


def test_many_at_once(api: httpx.Client, cloning: Server) -> None:
    """Several clients create, use, replace and delete voices: each sees its own changes."""
    alone = {}
    for name, clip in (("fast", FAST), ("flac", FLAC)):
        assert create(api, name, clip).status_code == 201
        alone[name] = speak(api, name)
        api.delete(f"/api/voices/{name}")
    failures: list[str] = []

    def work(number: int) -> None:
        id, name = f"voice-{number}", ("fast", "flac")[number % 2]
        with cloning.client(120) as client:
            for _ in range(3):
                steps = [
                    create(client, id, {"fast": FAST, "flac": FLAC}[name]).status_code,
                    speak(client, id) == alone[name],
                    client.delete(f"/api/voices/{id}").status_code,
                ]
                if steps != [201, True, 204]:
                    failures.append(f"{id}: {steps}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(listed(api)) == ["anna"]


def test_an_id_is_used_once(api: httpx.Client, cloning: Server) -> None:
    codes: list[int] = []

    def work() -> None:
        with cloning.client(60) as client:
            codes.append(create(client, "twin").status_code)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [201, 409, 409, 409, 409]


def test_a_model_that_takes_no_clips_refuses_them(kind: str, tmp_path: Path) -> None:
    model = tiny.make(tmp_path / "fixed", speakers=("", "hazel"), prompt=False)
    configured = tiny.configure(model, str(SOURCE.audio), TEXT)
    with Server("--config", str(configured), kind=kind) as fixed, fixed.client(60) as http:
        for answer in (create(http), override(http, audio=FAST, text=TEXT)):
            assert answer.status_code == 409, answer.text
            error = fault(answer)
            assert error["code"] == "unsupported" and "checkpoint" in error["message"]
        health = http.get("/api/health").json()
        assert health["cloning"] is False and health["clip_needs_text"] is False
        assert http.get("/api/voices/anna/reference").json()["override_audio_available"] is False
        assert http.get("/api/voices/anna/reference/audio").content == FLAC
