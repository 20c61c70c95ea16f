"""scripts/test: some parts run beside the others, and a failure of each is one of the run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from serving import until

ROOT = Path(__file__).resolve().parents[2]
PASS = {"test": "true", "lint": "true", "asan": "true", "tsan": "true", "fuzz": "true"}
PYTHON = """#!/bin/bash
echo "$@" >>ran
case $* in
*"-n 1 tests/web") {browser} ;;
*) {pytest} ;;
esac
"""
EVERYTHING = {"test", "lint", "asan", "tsan", "fuzz", "-m pytest --ignore tests/web", "-m pytest -n 1 tests/web"}


def run(
    folder: Path, *arguments: str, pytest: str = "true", browser: str = "true", **parts: str
) -> subprocess.CompletedProcess[str]:
    """A checkout in which each part of the tests is a shell command that notes its name in `ran`."""
    (folder / "scripts").mkdir()
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("test", "progress"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    programs = {"scripts/setup": "#!/bin/sh\n", ".venv/bin/python": PYTHON.format(browser=browser, pytest=pytest)}
    for place, body in programs.items():
        (folder / place).write_text(body)
        (folder / place).chmod(0o755)
    rules = [f".PHONY: {name}\n{name}:\n\t@echo {name} >>ran; {command}\n" for name, command in (PASS | parts).items()]
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
    done = run(tmp_path, tsan="echo a long report; echo", browser="echo the page; echo 96 passed")
    assert done.returncode == 0 and "a long report" not in done.stderr and "the page" not in done.stderr, done.stderr
    assert "96 passed\n" in done.stderr and ran(tmp_path) == EVERYTHING


@pytest.mark.parametrize("part", ["asan", "tsan", "fuzz", "browser"])
def test_what_runs_beside_fails(tmp_path: Path, part: str) -> None:
    done = run(tmp_path, **{part: "sleep 0.5; echo found a race; echo at its end; exit 1"})
    name = "browser" if part == "browser" else "sanitizers"
    assert done.returncode == 1 and EVERYTHING - {"asan", "tsan", "fuzz"} <= ran(tmp_path)
    assert f"{name} failed" in done.stderr and "found a race\n" in done.stderr


def test_pytest_fails(tmp_path: Path) -> None:
    done = run(tmp_path, pytest="exit 5", fuzz="sleep 0.5; echo >fuzzed")
    assert done.returncode == 5 and (tmp_path / "fuzzed").exists(), "fuzzers go on to their end"


def test_a_failed_c_test_ends_the_run_and_what_runs_beside(tmp_path: Path) -> None:
    done = run(tmp_path, test="until [[ -e pid ]]; do sleep 0.01; done; false", asan="echo $$$$ >pid; exec sleep 50")
    assert done.returncode == 2 and "-m pytest --ignore tests/web" not in ran(tmp_path)
    pid = (tmp_path / "pid").read_text().strip()
    until(lambda: ended(pid))


def test_arguments_go_to_pytest_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "tests/unit", "-x")
    assert done.returncode == 0 and ran(tmp_path) == {"-m pytest tests/unit -x"}
