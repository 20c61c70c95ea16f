"""The harness as a program: the level of its log, and what it says at its end."""

import os
from pathlib import Path

import pytest

from ishowtts._service import Store, Watcher
from ishowtts.api import server


@pytest.mark.parametrize(("level", "heard"), [("warn", True), ("error", False), ("debug", True)])
def test_the_level_is_that_of_the_core_as_well(level: str, heard: bool, capfd: pytest.CaptureFixture[str]) -> None:
    notify = os.eventfd(0)
    server._set_log_level(level)
    try:
        Watcher("/nowhere/at/all.toml", notify)  # warns that nothing can be watched there
        assert ("changes of /nowhere/at/all.toml are not noticed" in capfd.readouterr().err) is heard
    finally:
        server._set_log_level("info")
        os.close(notify)


def test_every_core_has_its_level_set() -> None:
    for core in server._CORES:
        with pytest.raises(ValueError, match="debug, info, warn or error, not loud"):
            core.set_log_level("loud")


def test_what_is_still_open_at_the_end_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = sum(core.live_handles() for core in server._CORES)
    kept = Store(str(tmp_path))
    server._tell_of_handles()
    assert f"{before + 1} handles are still alive at the end" in caplog.text
    del kept
    caplog.clear()
    server._tell_of_handles()
    assert ("handles are still alive" in caplog.text) is bool(before)
