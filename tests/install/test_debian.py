"""Debian's packages in short: what their lists name is installed, unpacked by dpkg, and serves from where it lies then.

`scripts/test-packages` does it in full: built by debhelper, checked by lintian, in a bare system.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Server

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging" / "debian"
MADE_BY_RULES = ("usr/bin/ishowtts", "usr/share/", "usr/lib/ishowtts", "etc/")
"""Files that `packaging/debian/rules` adds to what `make install` makes."""
pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages of the installed tree, by the lists of packaging/debian."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("packages")
    libraries = "/usr/lib/" + run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    python = f"PYTHON={sys.executable}"
    run("make", "-s", "install", python, f"DESTDIR={tree}", "PREFIX=/usr", f"LIBDIR={libraries}")
    architecture = run("dpkg", "--print-architecture").strip()
    made, taken = {}, set[Path]()
    for name in re.findall(r"^Package: (\S+)", (DEBIAN / "control.in").read_text(), re.MULTILINE):
        folder = out / name
        for pattern in (DEBIAN / f"{name}.install").read_text().split():
            found = list(tree.glob(pattern))
            assert found or pattern.startswith(MADE_BY_RULES), f"{name}: there is no {pattern}"
            for path in found:
                target = folder / path.relative_to(tree)
                target.parent.mkdir(parents=True, exist_ok=True)
                run("cp", "-a", path, target)
                taken |= {path, *path.rglob("*")}
        (folder / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: 0\nArchitecture: {architecture}\nMaintainer: a <a@example.org>\n"
        (folder / "DEBIAN" / "control").write_text(control + "Description: a test\n")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", folder, out / f"{name}.deb")
        made[name] = out / f"{name}.deb"
    left = [path for path in tree.rglob("*") if not path.is_dir() and path not in taken]
    assert not left, "no package has them"
    return made


def test_packages_unpack_serve_and_leave_nothing(packages: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "system"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    dpkg = ("dpkg", f"--root={root}", "--force-not-root,bad-path", "--log=/dev/null")
    run(*dpkg, "--install", *packages.values())
    server = root / "usr/bin/ishowtts-server"
    (library,) = root.glob("usr/lib/*/libishow.so.0")
    environment = {"ISHOWTTS_SERVER": str(server), "LD_LIBRARY_PATH": str(library.parent), "ISHOWTTS_PATH": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISHOWTTS_SERVER", str(server))
        with Server(env=environment | {"ISHOWTTS_PYTHON": sys.executable}) as running:
            maps = Path(f"/proc/{running.process.pid}/maps").read_text()
            assert str(library.resolve()) in maps and str(root / "usr/lib/ishow/ishowtts") in maps
            client = running.client()
            spoken = client.post("/api/tts", json={"text": "Hi."}, headers={"Accept": "audio/wav"})
            assert spoken.status_code == 200 and spoken.content[:4] == b"RIFF"
            assert "<html" in client.get("/").text
    run(*dpkg, "--purge", *packages)
    assert not [path for path in (root / "usr").rglob("*") if not path.is_dir() and "__pycache__" not in path.parts]


def test_maintainer_scripts_are_shell(tmp_path: Path) -> None:
    scripts = sorted(DEBIAN.glob("*.post*"))
    assert [script.suffix for script in scripts] == [".postinst", ".postrm"]
    for script in scripts:
        run("sh", "-n", script)
        assert "#DEBHELPER#" in script.read_text()


def test_every_unit_page_and_example_that_packages_name_is_there() -> None:
    for listing in [*DEBIAN.glob("*.examples"), *DEBIAN.glob("*.manpages")]:
        for pattern in listing.read_text().split():
            assert list(ROOT.glob(pattern)), f"{listing.name}: there is no {pattern}"
    for name in re.findall(r"packaging/systemd/\S+\.service", (DEBIAN / "rules").read_text()):
        assert (ROOT / name).is_file(), name
