"""The FastAPI server as a program: its log level, header fields that the core parses, warnings at its end."""

import gc
import os
from pathlib import Path

import pytest

from ishowtts import _engine
from ishowtts._service import Store, Watcher, accept_audio, accept_quality
from ishowtts.api import server


@pytest.mark.parametrize(("level", "heard"), [("warn", True), ("error", False), ("debug", True)])
def test_the_level_is_that_of_the_core_as_well(level: str, heard: bool, capfd: pytest.CaptureFixture[str]) -> None:
    notify = os.eventfd(0)
    server._set_log(level, "text")
    try:
        Watcher("/nowhere/at/all.toml", notify)  # warns that this folder cannot be watched
        assert ("changes of /nowhere/at/all.toml are not noticed" in capfd.readouterr().err) is heard
    finally:
        server._set_log("info", "text")
        os.close(notify)


def test_a_level_that_is_unknown() -> None:
    with pytest.raises(ValueError, match="debug, info, warn or error, not loud"):
        _engine.log_to_stderr("loud")


def test_handles_left_open_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()  # frees what earlier tests of this process left in reference cycles
    before = _engine.live_handles()
    kept = Store(str(tmp_path))
    server._tell_of_handles(before)
    assert "1 handles are still alive at the end" in caplog.text
    del kept
    caplog.clear()
    server._tell_of_handles(before)
    assert "handles are still alive" not in caplog.text


@pytest.mark.parametrize(
    ("accept", "audio", "events"),
    [
        (None, (0, "wav"), 0),
        ("", (0, "wav"), 0),
        ("audio/mpeg;q=0.5, text/event-stream", (0.5, "mp3"), 1),
        ("text/*;q=0.25, audio/flac;q=0, audio/opus;Q=0.125", (0.125, "opus"), 0.25),
        ("é/ü, audio/wav;q=high", (0, "wav"), 0),
    ],
)
def test_accept_is_read_by_the_core(accept: str | None, audio: tuple[float, str], events: float) -> None:
    assert accept_audio(accept) == audio
    assert accept_quality(accept, "text", "event-stream") == events


def test_accept_takes_text_alone() -> None:
    with pytest.raises(TypeError):
        accept_audio(b"audio/wav")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="null"):
        accept_quality("audio/wav\0", "audio", "wav")
