"""Fixtures of the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from training import DIT, DURATION, VOCOS, make_work

from ishowtts.train import dit, duration, vocos


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dit, "architecture", lambda data: DIT)
    monkeypatch.setattr(vocos, "architecture", lambda: VOCOS)
    monkeypatch.setattr(duration, "architecture", lambda: DURATION)
