"""Serving and the command line work without torch and extras; a command that needs one names it in its error."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import light
import pytest
from serving import Server

from ishowtts import _runtime, extras

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return light.make(tmp_path_factory.mktemp("light") / "an environment")


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        surroundings = light.environment(python, tmp_path)
        return subprocess.run([str(python), *arguments], capture_output=True, text=True, cwd=tmp_path, env=surroundings)

    return run


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert any(file.readframes(file.getnframes()))
        return file.getnframes() / file.getframerate()


def test_the_environment_is_light(run: Run) -> None:
    assert {name.lower() for name in light.distributions()}.isdisjoint({"torch", "scipy", "pandas", "fastapi"})
    for name in ("torch", "pandas", "fastapi"):
        assert f"No module named '{name}'" in run("-c", f"import {name}").stderr


def test_the_library_speaks(run: Run, tmp_path: Path) -> None:
    program = """
import sys
from ishowtts import Engine
with Engine.load("demo") as engine:
    print(engine.info["backend"], round(engine.speak("Hello there.", seed=1).seconds, 2))
assert "torch" not in sys.modules
"""
    done = run("-c", program)
    assert done.returncode == 0, done.stderr
    backend, length = done.stdout.split()
    assert backend == "native" and 0.3 < float(length) < 3


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("hazel", "Nine viewers, and 3 more."),
        ("lan", "今天的 boss 太难了！"),
        ("kerstin", "Guten Abend."),
    ],
)
def test_the_command_line_speaks(run: Run, tmp_path: Path, voice: str, text: str) -> None:
    done = run("-m", "ishowtts", "speak", text, "-o", "x.wav", "--voice", voice)
    assert done.returncode == 0, done.stderr
    assert "backend native" in done.stderr and 0.3 < seconds(tmp_path / "x.wav") < 6


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-dynamic"])
def test_every_precision_speaks(run: Run, tmp_path: Path, precision: str) -> None:
    done = run("-m", "ishowtts", "speak", "Hi.", "-o", "x.wav", "--precision", precision)
    assert done.returncode == 0 and f"native {precision}" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "command", ["voices", "config check", "config show", "config schema", "daily extended --runs 2", "quantize"]
)
def test_commands_need_no_extra(run: Run, command: str) -> None:
    done = run("-m", "ishowtts", *command.split())
    assert done.returncode == 0 and done.stdout and not done.stderr, done.stderr


def test_doctor_accepts_a_light_environment(run: Run) -> None:
    done = run("-m", "ishowtts", "daily", "doctor")
    assert done.returncode == 0 and "model demo speaks: native" in done.stdout, done.stdout
    assert "note  the extra torch is not installed" in done.stdout and "→ scripts/setup torch" in done.stdout


def test_chinese_is_read(run: Run) -> None:
    done = run("-c", "from ishowtts.text import pinyin; print(*pinyin.symbols('你好')[0])")
    assert done.stdout.split() == ["ni2", "hao3"], done.stderr


def test_the_server_speaks(python: Path, tmp_path: Path) -> None:
    with Server(env=light.environment(python, tmp_path)) as server:
        answer = server.client().post("/api/tts", json={"text": "Hello there."}, headers={"Accept": "audio/wav"})
        assert answer.status_code == 200 and answer.content[:4] == b"RIFF" and len(answer.content) > 10_000
        assert server.client().get("/api/health").json()["backend"].startswith("native")


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        ("speak Hi. -o x.wav --backend eager", "The backend eager needs the package torch: scripts/setup torch"),
        ("speak Hi. -o x.wav --backend compile", "The backend compile needs the package torch: scripts/setup torch"),
        ("speak Hi. -o x.wav --backend package", "The backend package needs the package torch: scripts/setup torch"),
        ("speak Hi. -o x.wav --backend cuda", "The backend cuda needs the package torch: scripts/setup torch"),
        ("quantize --calibrate", "The backend eager needs the package torch: scripts/setup torch"),
        ("train duration --work w --data d", "this command needs the package torch: scripts/setup train"),
        ("daily profile", "A profile needs the package torch: scripts/setup torch"),
        ("daily samples", "a report needs the package matplotlib: scripts/setup quality"),
        ("quality --mos utmos=x.pt --measure mos", "naturalness by UTMOS needs the package torch: scripts/setup torch"),
        ("api", "this command needs the package fastapi: scripts/setup api"),
        ("traces", "this command needs the package opentelemetry: scripts/setup traces"),
        (
            "speak Hi. -o x.wav --model F5TTS_v1_Base",
            "SWivid/F5-TTS is on the hub, which needs the package huggingface_hub: scripts/setup hub",
        ),
    ],
)
def test_what_needs_an_extra_asks_for_it_in_one_sentence(run: Run, tmp_path: Path, command: str, needs: str) -> None:
    (tmp_path / "d").mkdir()
    done = run("-m", "ishowtts", *command.split())
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and needs in done.stderr, done.stderr


def test_a_pickled_checkpoint_asks_for_torch(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "F5TTS_Small"
    (folder / "vocos").mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"")
    (folder / "vocab.txt").write_text(" \na\nb\n")
    (folder / "vocos" / "config.yaml").write_text("dim: 512\nintermediate_dim: 1536\nnum_layers: 8\n")
    (folder / "vocos" / "pytorch_model.bin").write_bytes(b"")
    done = run("-m", "ishowtts", "speak", "Hi.", "-o", "x.wav", "--model", str(folder))
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip() == (
        "ishowtts speak: model.pt has to be converted once, which needs the package torch: scripts/setup torch"
    )


def test_a_slow_processor_without_torch_still_has_the_native_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts._native.is_fast", lambda: False)
    assert _runtime.native_model("demo", "fp32", False) is None, "with torch a compiled package is faster there"
    monkeypatch.setattr(_runtime, "has_torch", lambda: False)
    assert _runtime.native_model("demo", "fp32", False) is not None


def test_outside_a_checkout_pip_installs_an_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert extras.installs("torch") == "scripts/setup torch"
    monkeypatch.setattr(extras, "_SETUP", tmp_path / "setup")
    assert extras.installs("torch") == "pip install 'ishowtts[torch]'"
