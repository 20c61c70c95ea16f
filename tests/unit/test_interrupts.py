"""Ctrl-C in the middle of long work: exit status 130, and no traceback.

`speak`, `scripts/setup` and the servers are interrupted in their own tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SECOND_SPEECH = "interrupt_in(engine.Engine, 'speak', 2)"
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell is started with it ignored
sys.path[:0] = {paths!r}

def interrupt_in(owner, name, call):
    real = getattr(owner, name)
    calls = []
    def counted(*arguments, **options):
        calls.append(None)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **options)
    setattr(owner, name, counted)

from ishowtts import cli, engine
{prepare}
sys.exit(cli.main({arguments!r}))
"""


def interrupted(folder: Path, prepare: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    paths = [str(TESTS.parent), str(TESTS), str(TESTS / "train")]
    code = PROGRAM.format(paths=paths, prepare=prepare, arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, input=text, capture_output=True, text=True)
    assert done.returncode == 130 and "Traceback" not in done.stderr, (done.returncode, done.stderr)
    return done


def test_timing_and_measures(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one|Hello there.\ntwo|Good evening.\n")
    interrupted(tmp_path, SECOND_SPEECH, "daily", "extended", "--runs", "3", "--text", "Hi.", "--threads", "1")
    interrupted(tmp_path, SECOND_SPEECH, "quality", "--texts", "texts", "--measure", "artifacts", "--nfe", "1")


def test_a_sweep_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one|Hello there.\ntwo|Good evening.\n")
    arguments = ["sweep", "--texts", "texts", "-o", "out", "--nfe", "1,2", "--measure", "artifacts"]
    interrupted(tmp_path, "interrupt_in(engine.Engine, 'speak', 4)", *arguments)
    kept = set((tmp_path / "out" / "clips").iterdir())
    assert kept, "what was spoken is used by the next run"
    scoring = "from concurrent.futures import ProcessPoolExecutor; interrupt_in(ProcessPoolExecutor, 'submit', 2)"
    interrupted(tmp_path, scoring, *arguments)
    assert kept < set((tmp_path / "out" / "clips").iterdir())


def test_calibration(tmp_path: Path) -> None:
    interrupted(tmp_path, SECOND_SPEECH, "quantize", "--calibrate")


def test_training_writes_a_checkpoint(tmp_path: Path) -> None:
    prepare = """
from pathlib import Path
import training
training.make_work(Path("."))
from ishowtts.train import loop
interrupt_in(loop.tqdm, "update", 2)
"""
    interrupted(tmp_path, prepare, "train", "duration", "--work", ".", "--minutes", "1")
    assert (tmp_path / "duration" / "checkpoint.pt").is_file()


def test_traces(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra traces is not installed")
    prepare = "from ishowtts import traces; interrupt_in(traces.Exporter, 'take', 2)"
    interrupted(tmp_path, prepare, "traces", "--endpoint", "http://127.0.0.1:9", text="{}\n{}\n{}\n")
