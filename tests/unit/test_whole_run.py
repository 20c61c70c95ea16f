"""scripts/test: sanitizers and fuzzers run beside the other tests, and a failure of either is one of the run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from serving import until

ROOT = Path(__file__).resolve().parents[2]
PASS = {"test": "true", "lint": "true", "asan": "true", "tsan": "true", "fuzz": "true", "pytest": "true"}


def run(folder: Path, *arguments: str, **parts: str) -> subprocess.CompletedProcess[str]:
    """A checkout in which each part of the tests is a shell command that notes its name in `ran`."""
    commands = PASS | parts
    (folder / "scripts").mkdir()
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("test", "progress"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    for place, body in (("scripts/setup", "true"), (".venv/bin/python", f'echo "$@" >>ran\n{commands.pop("pytest")}')):
        (folder / place).write_text(f"#!/bin/bash\n{body}\n")
        (folder / place).chmod(0o755)
    rules = [f".PHONY: {name}\n{name}:\n\t@echo {name} >>ran; {command}\n" for name, command in commands.items()]
    (folder / "Makefile").write_text("SHELL = /bin/bash\n" + "".join(rules))
    return subprocess.run([folder / "scripts" / "test", *arguments], capture_output=True, text=True, timeout=60)


def ran(folder: Path) -> set[str]:
    return set((folder / "ran").read_text().splitlines())


def ended(pid: str) -> bool:
    try:
        return ") Z " in (Path("/proc") / pid / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_everything_passes(tmp_path: Path) -> None:
    done = run(tmp_path, tsan="echo a long report")
    assert done.returncode == 0 and "a long report" not in done.stderr, done.stderr
    assert ran(tmp_path) == {"test", "lint", "asan", "tsan", "fuzz", "-m pytest"}


@pytest.mark.parametrize("part", ["asan", "tsan", "fuzz"])
def test_what_runs_beside_fails(tmp_path: Path, part: str) -> None:
    done = run(tmp_path, **{part: "sleep 0.5; echo found a race; false"})
    assert done.returncode == 1 and "-m pytest" in ran(tmp_path)
    assert "sanitizers or fuzzers failed" in done.stderr and "found a race\n" in done.stderr


def test_pytest_fails(tmp_path: Path) -> None:
    done = run(tmp_path, pytest="exit 5", fuzz="sleep 0.5; echo >fuzzed")
    assert done.returncode == 5 and (tmp_path / "fuzzed").exists(), "fuzzers go on to their end"


def test_a_failed_c_test_ends_the_run_and_what_runs_beside(tmp_path: Path) -> None:
    done = run(tmp_path, test="until [[ -e pid ]]; do sleep 0.01; done; false", asan="echo $$$$ >pid; exec sleep 50")
    assert done.returncode == 2 and "-m pytest" not in ran(tmp_path)
    pid = (tmp_path / "pid").read_text().strip()
    until(lambda: ended(pid))


def test_arguments_go_to_pytest_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "tests/unit", "-x")
    assert done.returncode == 0 and ran(tmp_path) == {"-m pytest tests/unit -x"}
