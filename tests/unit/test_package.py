"""The wheel holds what a user needs, and the Makefile lists all sources."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = out.glob("*.whl")
    assert "none-any" not in wheel.name, "a wheel with machine code must name its platform"
    with zipfile.ZipFile(wheel) as archive:
        server = archive.getinfo("ishowtts/bin/ishowtts-server")
        assert server.external_attr >> 16 & 0o111, "the server must stay executable"
        assert "ishowtts/lib/libishow.so.0" in archive.namelist()
        return set(archive.namelist())


def test_every_extension_module_is_in_the_wheel(wheel_names: set[str]) -> None:
    sources = list((ROOT / "csrc" / "pyext").glob("_*.c"))
    assert len(sources) > 5
    for source in sources:
        assert any(re.fullmatch(rf"ishowtts/{source.stem}\..*\.so", name) for name in wheel_names), source.stem


def test_voice_and_pages_are_in_the_wheel(wheel_names: set[str]) -> None:
    for name in (
        "ishowtts/voices/demo/model.json",
        "ishowtts/voices/demo/dit.safetensors",
        "ishowtts/voices/demo/vocos.safetensors",
        "ishowtts/voices/demo/voice.toml",
        "ishowtts/web/index.html",
        "ishowtts/py.typed",
    ):
        assert name in wheel_names, name


def test_modules_include_only_modules_of_lower_layers() -> None:
    order = [
        "base",
        "audio",
        "cache",
        "flow",
        "text",
        "kernels",
        "model",
        "engine",
        "net",
        "chat",
        "platforms",
        "store",
        "service",
        "cluster",
        "bridge",
        "server",
        "pyext",
    ]
    sources = list((ROOT / "csrc").glob("*/*.[ch]"))
    assert {source.parent.name for source in sources} == set(order)
    for source in sources:
        module = source.parent.name
        for included in re.findall(r'#include "(\w+)/', source.read_text(encoding="utf-8")):
            assert order.index(included) <= order.index(module), f"{source.name} of {module}/ includes {included}/"
        if module not in ("bridge", "pyext"):
            assert "Python.h" not in source.read_text(encoding="utf-8"), source


def test_c_files_do_not_use_one_another_in_circles() -> None:
    folder = ROOT / "build" / "release" / "csrc"
    objects = [
        path for path in folder.glob("*/*.o") if (ROOT / path.relative_to(folder.parent)).with_suffix(".c").exists()
    ]
    listed = subprocess.run(["nm", "-A", *objects], capture_output=True, text=True, check=True).stdout
    defined: dict[str, str] = {}
    used: dict[str, set[str]] = {}
    for line in listed.splitlines():
        path, _, symbol = line.partition(":")
        *_, kind, name = symbol.split()
        file = str(Path(path).relative_to(folder))
        if kind in "TDRBCV":
            defined[name] = file
        elif kind == "U":
            used.setdefault(file, set()).add(name)
    assert {"engine/utterance.o", "server/http.o"} <= used.keys() and defined["ishow_now"] == "base/util.o"
    graph = {file: {defined[name] for name in names & defined.keys()} - {file} for file, names in used.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(reversed(error.args[1]))) from None


def test_the_source_distribution_is_complete(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "egg_info",
        "--egg-base",
        str(tmp_path),
        "sdist",
        "--dist-dir",
        str(tmp_path),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    left_out = {name for name in tracked if name not in names and not name.startswith(("benchmarks/results/", "."))}
    assert left_out == set()
