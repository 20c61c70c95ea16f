"""The commands of `ishowtts daily`, on the embedded voice."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import TONE, letters

from ishowtts import _audio, cli
from ishowtts._engine import DEFAULTS
from ishowtts.daily import doctor, timing

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("quick", "extended", "benchmark", "warm-up", "samples", "regression", "profile", "doctor")


def daily(*arguments: str) -> int:
    return cli.main(["daily", *arguments])


def test_every_command_has_a_script() -> None:
    for name in COMMANDS:
        script = ROOT / "scripts" / name
        assert os.access(script, os.X_OK) and f"daily {name} " in script.read_text()
    shown = subprocess.run(
        [sys.executable, "-m", "ishowtts", "daily", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(name in shown for name in COMMANDS)


def test_spread() -> None:
    values = [1.0, 2.0, 4.0, 5.0]
    spread = timing.spread(values)
    assert spread[:4] == (3.0, 3.0, 1.0, 5.0)
    assert spread.std == pytest.approx(statistics.stdev(values)) and spread.cv == pytest.approx(
        statistics.stdev(values) / 3
    )
    assert timing.spread_table({"RTF": spread}).splitlines()[1].split() == [
        "RTF",
        "3.0000",
        "3.0000",
        "1.0000",
        "5.0000",
        "1.8257",
        "60.86",
    ]


def test_extended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert daily("extended", "--runs", "3", "--text", "Yes.", "--json", str(tmp_path / "x.json")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "3 runs of 'Yes.'" in lines[0] and [line.split()[0] for line in lines[2:]] == ["seconds", "RTF", "first"]
    figures = json.loads((tmp_path / "x.json").read_text())
    assert figures["RTF"]["min"] <= figures["RTF"]["median"] <= figures["RTF"]["max"]
    assert daily("extended", "--runs", "1") == 2 and "runs must be 2 or more, not 1" in capsys.readouterr().err


def test_benchmark_knows_every_precision(capsys: pytest.CaptureFixture[str]) -> None:
    from ishowtts.model.native import PRECISIONS

    assert daily("benchmark", "--rounds", "1") == 0
    shown = capsys.readouterr().out
    for precision in PRECISIONS:
        assert len(re.findall(rf"^\w[\w ]+ {precision} +\d", shown, re.M)) == len(timing.TEXTS)


def test_regression_stores_and_then_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ishowtts.quality import sources

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sources, "texts", lambda path=None: {"one": "Welcome back.", "two": "Thank you."})
    assert daily("regression") == 0
    (stored,) = (tmp_path / "ishowtts" / "baselines").iterdir()
    assert "stored 2 clips" in capsys.readouterr().err and set(json.loads(stored.read_text())["clips"]) == {
        "one",
        "two",
    }
    data = json.loads(stored.read_text())
    data["clips"]["one"]["seconds"] *= 2
    stored.write_text(json.dumps(data))
    assert daily("regression") == 1
    assert "length: one has another length" in capsys.readouterr().err


def test_a_model_with_a_voice_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that clones speaks in every command with the voice that --config gives it."""
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    model = letters(tmp_path / "tiny")
    (tmp_path / "me.wav").write_bytes(_audio.encode(TONE, 24000, "wav"))
    config = tmp_path / "mine.toml"
    config.write_text(
        f'[model]\nname = "{model}"\nbackend = "native"\n'
        '[[voices]]\nid = "me"\naudio = "me.wav"\ntext = "A steady tone."\n'
    )
    (tmp_path / "texts.txt").write_text("one|Yes, we can.\n")
    mine = ("--config", str(config), "--threads", "1")
    assert daily("extended", *mine, "--runs", "2", "--text", "Yes.") == 0
    assert daily("warm-up", *mine) == 0
    assert daily("doctor", *mine) in (0, 1)
    shown = capsys.readouterr().out
    assert "model tiny, backend native" in shown and f"good  model {model} speaks" in shown
    said = ["quality", *mine, "--texts", str(tmp_path / "texts.txt"), "--measure", "artifacts", "--json", "-"]
    assert cli.main(said) == 0
    assert json.loads(capsys.readouterr().out)["clips"]
    assert daily("extended", "--model", str(model), "--runs", "2", "--text", "Yes.") == 2
    assert "this model needs one" in capsys.readouterr().err


def test_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status = daily("profile", "-o", str(tmp_path), "--text", "Yes.")
    shown = capsys.readouterr()
    parts = {line.split()[0]: float(line.split()[1]) for line in shown.out.splitlines()[1:5]}
    assert parts["text"] + parts["model"] + parts["rest"] == pytest.approx(parts["total"], abs=0.05)
    assert "aten::" in shown.out
    names = {event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert "aten::addmm" in names or "aten::linear" in names, "the engine's own thread is in the trace"
    if status == 0:
        assert "<svg" in (tmp_path / "flame.svg").read_text()
    else:  # where tracing is not allowed, or without py-spy, the error is one sentence
        assert status in (1, 2) and shown.err.count("ishowtts daily: ") == 1 and "py-spy" in shown.err


def test_doctor_on_a_good_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((DEFAULTS["host"], 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert daily("doctor", "--port", str(port)) == 0
    shown = capsys.readouterr().out
    assert "good  model demo speaks" in shown and f"note  port {port} is taken" in shown and "bad" not in shown
    assert "→ stop what listens there" in shown


def test_doctor_says_how_to_fix_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    assert daily("doctor", "--model", "/nowhere") == 1
    shown = capsys.readouterr().out
    assert (
        "bad   model /nowhere: " in shown and "0.0 GiB of disk free" in shown and "no program that plays audio" in shown
    )
    findings = [*doctor.machine(), *doctor.audio()]
    assert all(finding.cure for finding in findings if finding.level == "bad")


@pytest.mark.parametrize(
    ("script", "level", "words"),
    [
        ("/bin/cat > /dev/null", "good", "aplay plays audio"),
        (
            "echo audio open error: No such device >&2; exit 1",
            "note",
            "no sound: aplay: audio open error: No such device",
        ),
    ],
)
def test_doctor_plays_silence_to_test_the_sound(
    script: str, level: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aplay").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "aplay").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    [finding] = doctor.audio()
    assert (finding.level, finding.what) == (level, words) and bool(finding.cure) == (level == "note")


def test_samples_and_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from ishowtts.quality import sources

    monkeypatch.setattr(sources, "texts", lambda path=None: {"one": "Welcome back."})
    assert daily("samples", "-o", str(tmp_path / "s.html")) == 0
    assert (tmp_path / "s.html").read_text().count("<audio") == 1
    capsys.readouterr()
    assert daily("quick") == 0
    assert "Welcome back." in capsys.readouterr().out
