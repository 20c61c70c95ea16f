"""What an earlier version stored is there after an upgrade.

`state/VERSION.sql` is the database that a version left, and `before-mutes.sql` one from before the first change of its
tables. Before they change again, this program writes that of the released version:

    python tests/api/test_upgrade.py >tests/api/state/VERSION.sql
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import tiny
from serving import Server, until
from test_cloning import create, listed, override, speak
from test_danmaku import NO_LIMITS, counts, say
from test_lexicon_http import put

STORED = sorted((Path(__file__).parent / "state").glob("*.sql"))
CLIP = Path(__file__).parents[1] / "recording.flac"
TEXT = CLIP.with_suffix(".txt").read_text(encoding="utf-8").strip()
SETTINGS = (*NO_LIMITS, "--set", "chat.expire_seconds=0")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.configure(tiny.make(tmp_path_factory.mktemp("models") / "tiny"), CLIP, TEXT)


def fill(http: httpx.Client) -> None:
    """A voice, another clip of a configured one, a pronunciation, a viewer who is muted, two messages that wait."""
    assert create(http, "bob", CLIP.read_bytes(), text=TEXT, language="en").status_code == 201
    assert override(http, "anna", CLIP.read_bytes(), text=TEXT).status_code == 200
    assert put(http, "GIF", "jif", language="en").json()["language"] == "en"
    assert http.post("/api/danmaku/pause").status_code == 200
    assert http.post("/api/danmaku/mute", json={"platform": "test", "user": "Eve"}).status_code == 200
    say(http, "Good evening.", username="Anna", id="m1")
    say(http, "好久不见。", username="明", id="m2")


def place(state: Path) -> tuple[str, ...]:
    return ("--set", f"server.state_dir={state}")


def stored(configured: Path) -> str:
    """The database that this version leaves, as SQL."""
    with tempfile.TemporaryDirectory() as state:
        with Server("--config", str(configured), *SETTINGS, *place(Path(state))) as server, server.client(120) as http:
            fill(http)
        with closing(sqlite3.connect(Path(state) / "ishowtts.db")) as database:
            return "".join(f"{line}\n" for line in database.iterdump())


def restore(sql: str, state: Path) -> None:
    """The state folder that a version left."""
    (state / "voices").mkdir(parents=True)
    with closing(sqlite3.connect(state / "ishowtts.db")) as database:
        database.executescript(sql)
    for name in set(re.findall(r"[0-9a-f]{32}\.flac", sql)):
        shutil.copy(CLIP, state / "voices" / name)


def test_this_versions_database_is_among_them() -> None:
    from ishowtts import __version__

    assert f"{__version__}.sql" in [path.name for path in STORED]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_all_of_it_is_there(path: Path, kind: str, configured: Path, tmp_path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    restore(sql, tmp_path / "state")
    arguments = ("--config", str(configured), *SETTINGS, *place(tmp_path / "state"))
    with Server(*arguments, kind=kind) as server, server.client(120) as http:
        assert not [line for line in server.log if "broken" in line or "damaged" in line]
        voices = listed(http)
        assert set(voices) == {"anna", "bob"} and voices["anna"]["has_override"] and voices["bob"]["language"] == "en"
        for voice in voices:
            assert http.get(f"/api/voices/{voice}/reference/audio").content == CLIP.read_bytes()
            assert http.get(f"/api/voices/{voice}/reference").json()["active_reference_text"] == TEXT
            assert speak(http, voice)
        (entry,) = http.get("/api/lexicon").json()
        assert (entry["word"], entry["said"], entry["language"]) == ("GIF", "jif", "en")
        muted = http.get("/api/danmaku/queue").json()["muted"]
        assert muted == [{"platform": "test", "user": "eve"}] * ("chat_muted" in sql)
        assert counts(http)["recovered"] == 2
        until(lambda: counts(http)["spoken"] == 2, 120)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as models:
        sys.stdout.write(stored(tiny.configure(tiny.make(Path(models) / "tiny"), CLIP, TEXT)))
