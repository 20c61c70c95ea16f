"""The table of fuzzers adds up what several runs tried."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import run


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import common

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    return tmp_path / "fuzz.csv"


def row(name: str, inputs: int, **more: object) -> dict[str, object]:
    same = {"runs": 1, "seconds": 10, "processor_s": 4.5, "slowest_s": 0, "loop_most_ms": "", "loop_ms": ""}
    return {"fuzzer": name, "inputs": inputs} | same | {"covered": 1, "edges": 10, "of": "a.c"} | more


def test_runs_of_a_commit_add_up_and_other_commits_keep_their_row(results: Path) -> None:
    run.save(row("server", 100, slowest_s=3, loop_most_ms="2.5", loop_ms="30"), "aaaa")
    run.save(row("server", 50, slowest_s=1, loop_most_ms="1.5", loop_ms="20", covered=4), "aaaa")
    run.save(row("server", 7), "bbbb")
    run.save(row("json", 9), "aaaa")
    (first,) = run.recorded("fuzz", run="server aaaa")
    kept = ("runs", "inputs", "seconds", "processor_s", "slowest_s", "loop_most_ms", "loop_ms", "covered")
    assert [first[key] for key in kept] == ["2", "150", "20", "9", "3", "2.5", "50", "4"]
    assert len(run.recorded("fuzz")) == 3
    assert [run.tried(name)[0] for name in ("server", "json", "audio")] == [157, 9, 0]
    assert run.tried("server")[1] * 3600 == pytest.approx(13.5)
    assert "| server | 157 | 0.00 | 12 | 10 % of 10 |" in run.table()


def test_a_run_on_another_machine_has_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    import common

    run.save(row("json", 9), "aaaa")
    monkeypatch.setattr(common, "processor", lambda: "another")
    run.save(row("json", 5), "aaaa")
    assert sorted(one["inputs"] for one in run.recorded("fuzz")) == ["5", "9"]
    assert run.tried("json")[0] == 14


def test_a_fuzzer_runs_until_its_inputs_or_its_hours_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "fuzz", lambda name, seconds, most: row(name, min(most, 40)))
    ahead = time.monotonic() + 60
    run.fuzz_until(ahead, "json", "aaaa", inputs=100, hours=1)
    assert run.tried("json")[0] == 100
    run.fuzz_until(ahead, "form", "aaaa", inputs=100, hours=9 / 3600)
    assert run.tried("form")[0] == 80
    run.fuzz_until(time.monotonic() - 1, "audio", "aaaa", inputs=100, hours=1)
    assert run.tried("audio")[0] == 0


def test_the_dictionary_holds_the_words_of_the_files() -> None:
    words = run.dictionary(run.READS["bilibili"])
    assert '"SEND_GIFT_V2"' in words and r'"\x22batch_combo_id\x22"' in words
    assert not [word for word in words if " " in word or not word.isascii()]
