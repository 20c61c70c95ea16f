"""The regression gate: each inserted defect raises its alarm, unchanged speech raises none."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentences import DEMO, SENTENCES, changed

from ishowtts import Engine, IshowError, cli
from ishowtts.quality import baseline
from ishowtts.quality.clips import Clip
from ishowtts.quality.measure import Row, Scorer

TEXTS = {f"s{i}": text for i, text in enumerate(SENTENCES[:5])}
Spoken = tuple[list[Row], list[Clip]]


def speak(engine: Any, **options: Any) -> Spoken:
    scorer = Scorer(["artifacts", "loudness"])
    sampling = {"nfe": 7} | options  # with fewer steps the two grids are the same
    made = [(scorer(clip) | more, clip) for clip, more in baseline.spoken(engine, TEXTS, **sampling)]
    return [row for row, _ in made], [clip for _, clip in made]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.load("demo", precision="fp32", threads=1, compile="off") as engine:
        yield engine


@pytest.fixture(scope="module")
def healthy(engine: Engine) -> Spoken:
    return speak(engine)


@pytest.fixture(scope="module")
def stored(healthy: Spoken, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    path = tmp_path_factory.mktemp("baseline") / "baseline.json"
    baseline.store(path, *healthy)
    assert path.stat().st_size < 20000 * len(TEXTS)
    return baseline.load(path)


def alarms(stored: dict[str, dict[str, Any]], now: Spoken) -> dict[str, str]:
    return {alarm.kind: alarm.sentence for alarm in baseline.compare(stored, *now)}


def replaced(healthy: Spoken, change: Callable[[Clip, int], np.ndarray]) -> Spoken:
    scorer = Scorer(["artifacts", "loudness"])
    clips = [changed(clip, change(clip, i), clip.name) for i, clip in enumerate(healthy[1])]
    return [scorer(clip) | {"speed": row["speed"]} for clip, row in zip(clips, healthy[0], strict=True)], clips


def test_the_same_speech_again_is_no_alarm(engine: Engine, stored: dict[str, dict[str, Any]]) -> None:
    assert set(alarms(stored, speak(engine))) <= {
        "speed"
    }  # this depends on the machine as well; benchmarks/gate.py counts false alarms


def test_a_broken_vocoder(stored: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(DEMO, tmp_path / "broken")
    weights = load_file(tmp_path / "broken" / "vocos.safetensors")
    rng = np.random.default_rng(0)
    for name, value in weights.items():
        if "head" in name and value.ndim == 2:
            weights[name] = (value + 0.3 * value.std() * rng.standard_normal(value.shape)).astype(value.dtype)
    save_file(weights, tmp_path / "broken" / "vocos.safetensors")
    with Engine.load(tmp_path / "broken", precision="fp32", threads=1, compile="off") as engine:
        assert "sounds different" in alarms(stored, speak(engine))["sound"]


def test_another_time_grid(engine: Engine, stored: dict[str, dict[str, Any]]) -> None:
    assert "everything sounds different" in alarms(stored, speak(engine, grid="uniform"))["sound"]


def test_noise(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    rng = np.random.default_rng(0)
    noisy = replaced(healthy, lambda clip, i: clip.samples + 0.003 * rng.standard_normal(len(clip.samples)))
    assert "sound" in alarms(stored, noisy)


def test_a_known_fault_is_no_alarm_again(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    rows = [row | {"wrong": "click, early end" if i == 1 else ""} for i, row in enumerate(healthy[0])]
    known = {name: clip | {"faults": ["click"] if name == "s1" else []} for name, clip in stored.items()}
    found = [alarm for alarm in baseline.compare(known, rows, healthy[1]) if alarm.kind == "artifact"]
    assert [alarm.sentence for alarm in found] == ["s1 has a new fault: early end"]
    known["s1"]["faults"].append("early end")
    known["s2"]["faults"].append("early end")  # a fault that is gone is no alarm
    assert "artifact" not in {alarm.kind for alarm in baseline.compare(known, rows, healthy[1])}


def test_error_rates_of_another_listener_are_not_compared(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    known = {name: clip | {"listener": "pocketsphinx", "wer": 0.1} for name, clip in stored.items()}
    for listener, expected in (("pocketsphinx", True), ("whisper 0123", False)):
        rows = [row | {"listener": listener, "wer": 0.5} for row in healthy[0]]
        assert ("quality" in {alarm.kind for alarm in baseline.compare(known, rows, healthy[1])}) == expected


def test_one_dropped_chunk(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    def drop(clip: Clip, i: int) -> np.ndarray:
        third = len(clip.samples) // 3
        return np.delete(clip.samples, slice(third, 2 * third)) if i == 2 else clip.samples

    found = alarms(stored, replaced(healthy, drop))
    assert found["length"].startswith("s2 ")
    silenced = alarms(
        stored,
        replaced(
            healthy,
            lambda clip, i: (
                np.where(np.arange(len(clip.samples)) // 8000 == 2, 0, clip.samples) if i == 2 else clip.samples
            ),
        ),
    )
    assert silenced["artifact"].startswith("s2 ") or silenced["sound"].startswith("s2 ")


@pytest.mark.parametrize("gain", [0.8, 1.15])
def test_a_wrong_level(healthy: Spoken, stored: dict[str, dict[str, Any]], gain: float) -> None:
    """Changes most clips; those that would be clipped are kept, since clipping is another fault."""

    def scaled(clip: Clip, i: int) -> np.ndarray:
        return clip.samples * (gain if gain * np.abs(clip.samples).max() < 0.99 else 1)

    assert list(alarms(stored, replaced(healthy, scaled))) == ["level"]


@pytest.mark.parametrize(("factor", "expected"), [(1.2, ["speed"]), (1.05, [])])
def test_slower_by_a_fifth(
    healthy: Spoken, stored: dict[str, dict[str, Any]], factor: float, expected: list[str]
) -> None:
    rows = [row | {"speed": row["speed"] * factor} for row in healthy[0]]
    found = alarms(stored, (rows, healthy[1]))
    assert list(found) == expected and (not found or "20% longer, limit 12%" in found["speed"])


def test_slowness_is_measured(engine: Engine, stored: dict[str, dict[str, Any]]) -> None:
    class Slow:
        """Takes three times the processor time, which is more than a busy machine adds."""

        def speak(self, text: str, **options: Any) -> Any:
            before = time.process_time()
            speech = engine.speak(text, **options)
            until = time.process_time() + 2 * (time.process_time() - before)
            while time.process_time() < until:
                pass
            return speech

    assert list(alarms(stored, speak(Slow()))) == ["speed"]


def test_losses_need_an_interval_above_zero(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    names = list(stored)
    for losses, expected in (((0.2,) * 5, ["quality"]), ((0.1,) * 5, []), ((-1.0, 2.5, -1.2, 2.6, -1.0), [])):
        before = {name: stored[name] | {"mos": 4.0} for name in names}
        rows = [row | {"mos": 4.0 - loss} for row, loss in zip(healthy[0], losses, strict=True)]
        assert list(alarms(before, (rows, healthy[1]))) == expected


def test_a_lost_clip(healthy: Spoken, stored: dict[str, dict[str, Any]]) -> None:
    assert alarms(stored, (healthy[0][1:], healthy[1][1:])) == {"missing": "s0 is missing"}


def test_from_the_command_line(healthy: Spoken, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    clips, file = tmp_path / "clips", tmp_path / "baseline.json"
    clips.mkdir()
    for clip in healthy[1]:
        soundfile.write(clips / f"{clip.name}.wav", clip.samples, clip.rate)
    command = ["quality", str(clips), "--measure", "artifacts,loudness", "--baseline", str(file)]
    assert cli.main(command) == 2 and "--store makes it" in capsys.readouterr().err
    assert cli.main([*command, "--store"]) == 0 and "stored 5 clips" in capsys.readouterr().err
    assert cli.main(command) == 0 and "nothing is worse" in capsys.readouterr().err
    samples = healthy[1][1].samples
    third = len(samples) // 3
    loudest = third + int(np.abs(samples[third : 2 * third]).argmax())  # a word that is cut off
    soundfile.write(clips / "s1.wav", samples[:loudest], healthy[1][1].rate)
    assert cli.main(command) == 1
    told = capsys.readouterr().err
    assert "length: s1" in told and "artifact: s1 has a new fault: early end" in told and "s2" not in told
    file.write_text("{}")
    assert cli.main(command) == 2 and "is no baseline" in capsys.readouterr().err


def test_a_baseline_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"format": 99, "clips": {}}')
    with pytest.raises(IshowError, match="has format 99, this version reads 1"):
        baseline.load(tmp_path / "b.json")
