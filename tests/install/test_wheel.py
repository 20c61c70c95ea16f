"""Wheels in short: what a build for another processor takes from where, and what is said when it cannot be made.

`scripts/package wheel --arch aarch64` and `scripts/test-packages wheel --arch aarch64` do it in full: compiled,
repaired by auditwheel, installed into that processor's Python on an emulator, spoken and served.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [str(part) for part in command]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=os.environ | environment)


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "words",
    ["", "egg", "wheel --arch", "wheel --arch m68k", "sdist --arch aarch64", "deb now", "wheel --arch aarch64 now"],
)
def test_what_cannot_be_packed_is_refused(words: str) -> None:
    done = run("scripts/package", *words.split())
    assert done.returncode == 2 and done.stderr == "usage: scripts/package sdist|wheel [--arch aarch64]|deb\n"


@pytest.mark.parametrize("words", ["", "egg", "wheel --arch", "wheel --arch m68k", "deb --arch aarch64"])
def test_what_cannot_be_tested_is_refused(words: str) -> None:
    done = run("scripts/test-packages", *words.split())
    assert done.returncode == 2 and done.stderr.startswith("usage: scripts/test-packages deb|wheel|container")


@pytest.mark.skipif(os.uname().machine == "aarch64", reason="this processor needs no other compiler")
def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    """Before anything is packed or fetched."""
    for name in ("bash", "dirname", "env", "mkdir", "uname"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    before = sorted((ROOT / "dist").glob("*"))
    done = run("scripts/package", "wheel", "--arch", "aarch64", PATH=str(tmp_path))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "cross: there is no compiler for AArch64: apt-get install gcc-aarch64-linux-gnu\n"
    assert sorted((ROOT / "dist").glob("*")) == before


def test_headers_and_libraries_are_the_other_systems() -> None:
    """Paths for the linker lie in it; those where the library looks when it runs do not."""

    def flags(kind: str, **environment: str) -> list[str]:
        done = run(sys.executable, "scripts/build_flags.py", kind, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert flags("cflags", ISHOWTTS_SYSROOT="/other") == [f"-I/other{sysconfig.get_path('include')}"]
    here, there = flags("embed"), flags("embed", ISHOWTTS_SYSROOT="/other")
    assert [part.replace("-L/other/", "-L/") for part in there] == here
    assert [part for part in there if part.startswith("-L")] and all(
        part.startswith("-L/other/") for part in there if part.startswith("-L")
    )
    assert flags("library", ISHOWTTS_SYSROOT="/other") == []  # there is no shared interpreter in it


@pytest.mark.parametrize(
    ("target", "flag"),
    [("aarch64-linux-gnu", "-mbranch-protection=standard"), ("x86_64-linux-gnu", "-fcf-protection=full")],
)
def test_branches_are_protected_as_the_compilers_processor_can(tmp_path: Path, target: str, flag: str) -> None:
    compiler = program(tmp_path / "cc", f'[ "$1" != -dumpmachine ] || echo {target}')
    done = run("make", "-n", "-B", "build/release/csrc/base/log.o", f"CC={compiler}", f"PYTHON={sys.executable}")
    assert done.returncode == 0, done.stderr
    protections = {part for part in done.stdout.split() if part.startswith(("-mbranch-", "-fcf-"))}
    assert protections == {flag}
