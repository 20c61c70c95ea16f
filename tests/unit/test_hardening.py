"""Every binary that is shipped is hardened: its addresses, its tables, its stack and its calls of the C library."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

RELEASE = Path(__file__).resolve().parents[2] / "build" / "release"
SERVER, LIBRARY = RELEASE / "ishowtts-server", RELEASE / "lib" / "libishow.so.0"
MODULES = sorted((RELEASE / "ext").glob("*.so"))
BINARIES = [SERVER, LIBRARY, *MODULES]
OBJECTS = {SERVER: "csrc/server", LIBRARY: "csrc/base"} | {module: "csrc/pyext" for module in MODULES}


def said(*arguments: str | Path) -> str:
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True).stdout


def test_all_binaries_are_looked_at() -> None:
    sources = Path(__file__).resolve().parents[2] / "csrc" / "pyext"
    assert {module.name.split(".")[0] for module in MODULES} == {source.stem for source in sources.glob("_*.c")}


@pytest.mark.parametrize("binary", BINARIES, ids=lambda path: path.name.split(".")[0])
def test_layout(binary: Path) -> None:
    """Loaded anywhere (PIE), tables of functions read-only before main (full RELRO), nothing writable is executable."""
    dynamic, segments = said("-d", binary), said("-l", binary)
    assert "Elf file type is DYN" in segments
    assert (" PIE" in dynamic) == (binary == SERVER)
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in segments and "TEXTREL" not in dynamic
    flags = {line.split()[0]: "".join(line.split()[6:-1]) for line in segments.splitlines() if " 0x" in line}
    assert flags["GNU_STACK"] == "RW"
    assert not any("W" in flag and "E" in flag for flag in flags.values())
    assert "RPATH" not in dynamic


@pytest.mark.parametrize("binary", BINARIES, ids=lambda path: path.name.split(".")[0])
def test_compiled_with_checks(binary: Path) -> None:
    """By the flags of every object, which its debug information keeps."""
    producers = {line for line in said("--debug-dump=info", binary).splitlines() if "DW_AT_producer" in line}
    assert producers
    branches = {"x86_64": "-fcf-protection=full", "aarch64": "-mbranch-protection=standard"}.get(platform.machine(), "")
    for producer in producers:
        assert "GNU C" in producer
        for flag in ("-fstack-protector-strong", "-fstack-clash-protection", "-fPIC", branches):
            assert flag in producer, producer


@pytest.mark.parametrize("binary", [SERVER, LIBRARY], ids=lambda path: path.name.split(".")[0])
def test_checks_are_called(binary: Path) -> None:
    symbols = said("--dyn-syms", binary)
    assert "__stack_chk_fail" in symbols
    assert {"__snprintf_chk", "__vsnprintf_chk"} <= set(symbols.replace("@", " ").split())


@pytest.mark.skipif(platform.machine() != "x86_64", reason="objects have this mark on x86-64")
@pytest.mark.parametrize("folder", sorted(set(OBJECTS.values())))
def test_branches_are_marked(folder: str) -> None:
    """CET. Whether a whole binary has the mark depends on the start files of the C library."""
    for built in (RELEASE / folder).glob("*.o"):
        assert "IBT, SHSTK" in said("-n", built), built
