"""A checkout that is set up starts anywhere and writes nothing; otherwise it says what to do; setup can resume."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import light
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SECONDS = 120
root_only = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="takes root and setpriv")


def others_may_run_python() -> bool:
    command = [*NOBODY, "env", sys.executable, "-c", ""]
    return not shutil.which("setpriv") or not subprocess.run(command, capture_output=True).returncode


for_others = pytest.mark.skipif(not others_may_run_python(), reason="other users may not run this Python")


def stamp(checkout: Path) -> None:
    """The files that scripts/setup leaves when the environment is ready."""
    files = [*sorted((checkout / "requirements").glob("*.txt")), checkout / "pyproject.toml"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files) + str(checkout).encode()).hexdigest()
    for name, text in (("run", f"{digest}  -\n"), ("venv", "")):
        (checkout / ".venv" / f".setup-{name}").write_text(text)


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A copy of this checkout with its build, in a folder with a space, readable by all users."""
    folder = Path(tempfile.mkdtemp(prefix="ishowtts "))
    folder.chmod(0o755)
    copy = folder / "a checkout"
    skipped = shutil.ignore_patterns(
        ".git", ".venv", "asan", "tsan", "fuzz", "arm64-*", "*_cache", "*.egg-info", "tests", "docs", "benchmarks"
    )
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skipped)
    light.make(copy / ".venv", "setuptools")
    packages = next((copy / ".venv" / "lib").glob("python*")) / "site-packages"
    (packages / "ishowtts.pth").write_text(f"{copy}\n")
    (packages / "pip.py").touch()  # only its presence is checked
    stamp(copy)
    built = setup(copy)
    assert built.returncode == 0, built.stderr
    yield copy
    shutil.rmtree(folder)


def setup(checkout: Path, *prefix: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, str(checkout / "scripts" / "setup")]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=SECONDS)


def serve(checkout: Path, *prefix: str, env: Mapping[str, str] | None = None) -> str:
    """Start, wait for the address, end; returns the output. `env` None: that of this process."""
    with tempfile.TemporaryDirectory() as state:
        Path(state).chmod(0o777)
        command = [
            *prefix,
            str(checkout / "scripts" / "serve"),
            "--port",
            "0",
            "--set",
            f"server.state_dir={state}/state",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd="/")
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=SECONDS)
        assert line.startswith("iShowTTS listens on ") and process.returncode == 0, said
        return said


def files(checkout: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in checkout.rglob("*")}


def test_a_start_that_changes_nothing_writes_nothing(checkout: Path) -> None:
    serve(checkout)  # Python writes its bytecode
    before, begin = files(checkout), time.monotonic()
    said = serve(checkout)
    assert "setup:" not in said and time.monotonic() - begin < 20
    after = files(checkout)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def test_no_home_no_locale_no_variables(checkout: Path) -> None:
    serve(checkout, env={})
    serve(checkout, env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nowhere"})


@root_only
@for_others
def test_another_user_serves_from_a_checkout_that_is_ready(checkout: Path) -> None:
    serve(checkout, *NOBODY, env={"PATH": os.environ["PATH"]})


@root_only
def test_a_read_only_checkout_serves(checkout: Path) -> None:
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    inside = ("unshare", "--mount", "bash", "-c", mount, "bash", str(checkout))
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    serve(checkout, *inside)


@root_only
def test_what_is_not_ready_and_cannot_be_written_says_so(checkout: Path) -> None:
    (checkout / ".venv" / ".setup-run").rename(checkout / "kept")
    done = setup(checkout, *NOBODY)
    (checkout / "kept").rename(checkout / ".venv" / ".setup-run")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "cannot write to this checkout: let its owner run scripts/setup, or copy it" in done.stderr


@root_only
@for_others
def test_a_user_without_a_home_is_told_what_to_set(checkout: Path) -> None:
    unknown = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
    command = [*unknown, str(checkout / "scripts" / "serve"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env={}, timeout=SECONDS)
    assert done.stderr == "ishowtts-server: This user has no home folder: set HOME, or server.state_dir.\n"


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def without_a_compiler(tmp_path: Path, compiler: str) -> str:
    """A PATH with an apt-get that has two packages: this shell script as gcc, and headers that are the system's own.

    What it is asked to install stands in `asked`.
    """
    programs = tmp_path / "programs"
    machine = Path(subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True).stdout.strip())
    trees = {name: tmp_path / name for name in ("gcc", "zlib1g-dev")}
    program(trees["gcc"] / "usr/bin/gcc", compiler)
    (trees["zlib1g-dev"] / "usr/lib" / machine).mkdir(parents=True)
    (trees["zlib1g-dev"] / "usr/lib" / machine / "pkgconfig").symlink_to(Path("/usr/lib") / machine / "pkgconfig")
    (trees["zlib1g-dev"] / "usr/include").symlink_to("/usr/include")
    for name, tree in trees.items():
        (tree / "DEBIAN").mkdir()
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a\n"
        (tree / "DEBIAN" / "control").write_text(control)
        subprocess.run(["dpkg-deb", "--build", str(tree)], check=True, capture_output=True)
    program(programs / "dpkg-query", '/usr/bin/dpkg-query "$@" | grep -v "^gcc install"')
    simulated = "; ".join(f"echo 'Inst {name} (1 stable [all])'" for name in trees)
    apt = (
        f'case "$*" in *Dir::State*) {simulated};; *-qs*|*update) ;; '
        f'*download*) cp {tmp_path}/*.deb .;; *) echo "$*" >> {tmp_path / "asked"};; esac'
    )
    program(programs / "apt-get", apt)
    return f"{programs}:{os.environ['PATH']}"


@root_only
def test_a_compiler_that_is_not_installed_is_fetched_for_the_build_alone(checkout: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    path = without_a_compiler(tmp_path, f'echo "$1" >> {calls}; shift; exec /usr/bin/gcc "$@"')
    (checkout / "csrc" / "base" / "log.c").open("a").write("\n")
    done = setup(checkout, PATH=path)
    assert done.returncode == 0 and "setup: fetching a compiler, for the build alone" in done.stderr, done.stderr
    assert set(calls.read_text().split()) == {"--sysroot=build/tools"}
    assert not (tmp_path / "asked").exists() and not (checkout / "build" / "tools").exists()


@root_only
def test_an_interrupted_dpkg_that_answers_no_user_is_finished(checkout: Path, tmp_path: Path) -> None:
    path = without_a_compiler(tmp_path, 'shift; exec /usr/bin/gcc "$@"')
    program(tmp_path / "programs" / "dpkg", f'[ "$1" != --audit ] || exit 2; echo "$*" >> {tmp_path / "asked"}')
    (checkout / "csrc" / "base" / "log.c").open("a").write("\n")
    done = setup(checkout, PATH=path)
    assert done.returncode == 0 and "setup: finishing an interrupted installation" in done.stderr, done.stderr
    assert (tmp_path / "asked").read_text() == "--configure -a\n"


@root_only
def test_ctrl_c_ends_what_runs_beside(checkout: Path, tmp_path: Path) -> None:
    """Objects are compiled in a process group of their own, here without end."""
    lock = tmp_path / "lock"
    path = without_a_compiler(tmp_path, f"exec flock {lock} sleep 1000")
    (checkout / "csrc" / "base" / "log.c").open("a").write("\n")
    command = [str(checkout / "scripts" / "setup")]
    environment = os.environ | {"PATH": path}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment)
    held = ("flock", "--nonblock", str(lock), "true")
    while not lock.exists() or not subprocess.run(held).returncode:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None and "setup: interrupted" in process.stderr.read()
    assert process.wait(SECONDS) == 130
    assert subprocess.run(["flock", "--timeout", "10", str(lock), "true"]).returncode == 0, "the compiler has ended too"
    assert setup(checkout).returncode == 0


def of_setup(function: str) -> str:
    """A function of scripts/setup, as text."""
    lines = f"/^{function}()/,/^}}/p"
    command = ["sed", "-n", lines, str(ROOT / "scripts" / "setup")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@root_only
@pytest.mark.parametrize(("device", "builds"), [("nvme0", 2), ("nvidiactl", 1), ("nvhost-gpu", 1), ("nvgpu", 1)])
def test_torch_for_the_processor_alone_is_tried_first_without_an_nvidia_gpu(device: str, builds: int) -> None:
    script = f"mount -t tmpfs none /dev && touch /dev/null /dev/{device} && {of_setup('torch_builds')} torch_builds"
    mounts = ("unshare", "--mount", "bash", "-c")
    if subprocess.run([*mounts, "mount -t tmpfs none /dev"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    done = subprocess.run([*mounts, script], cwd=ROOT, capture_output=True, text=True, check=True)
    tried = done.stdout.split()
    assert len(tried) == builds and tried[-1].startswith("torch==") and "+" not in tried[-1]
    assert tried[:-1] == [f"{tried[-1]}+cpu"][: builds - 1]


def test_packages_that_a_killed_pip_left_in_part_are_forgotten(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    (packages,) = (tmp_path / ".venv" / "lib").glob("python*/site-packages")
    for name in ("whole", "lacking", "short"):
        (packages / f"{name}-1.dist-info").mkdir()
        (packages / f"{name}-1.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        (packages / f"{name}-1.dist-info" / "RECORD").write_text(f"{name}.py,sha256=0,9\n")
    (packages / "whole.py").write_text("pass #123")
    (packages / "short.py").write_text("pass")
    script = of_setup("forget_half_packages") + "forget_half_packages"
    subprocess.run(["bash", "-ec", script], cwd=tmp_path, check=True)
    assert [path.name for path in packages.glob("*.dist-info")] == ["whole-1.dist-info"]


def test_ctrl_c_while_the_environment_is_checked_keeps_it(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    kept = python.rename(python.with_name("kept"))
    program(python, "kill -INT 0")
    command = [str(checkout / "scripts" / "setup")]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=SECONDS)
    assert done.returncode == 130 and "setup: interrupted" in done.stderr, done.stderr
    assert kept.exists()
    kept.replace(python)
    assert setup(checkout).returncode == 0


def test_half_an_object_of_a_killed_compiler_is_made_again(checkout: Path) -> None:
    (checkout / "build" / ".unfinished").touch()
    half = checkout / "build" / "release" / "csrc" / "base" / "log.o"
    whole = half.stat().st_size
    time.sleep(0.02)
    half.write_bytes(b"")
    done = setup(checkout)
    assert done.returncode == 0 and half.stat().st_size > whole / 2, done.stderr
    assert not (checkout / "build" / ".unfinished").exists()


def test_a_renamed_checkout_makes_an_environment_of_its_own(checkout: Path, tmp_path: Path) -> None:
    renamed = checkout.with_name("renamed")
    checkout.rename(renamed)
    try:
        kept = shutil.copytree(renamed / ".venv", tmp_path / "kept", symlinks=True)
        done = setup(
            renamed, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "none"), ISHOWTTS_SETUP_PYTHON=sys.executable
        )
        assert "the environment in .venv is unfinished or of another folder; it is made again" in done.stderr
        assert str(renamed) in (renamed / ".venv" / "pyvenv.cfg").read_text()
        assert f"{renamed}/.venv".encode() in (renamed / "build" / "release" / "lib" / "libishow.so.0").read_bytes()
        assert "Python packages could not be installed: check the network" in done.stderr and done.returncode == 1
        shutil.rmtree(renamed / ".venv")
        shutil.copytree(kept, renamed / ".venv", symlinks=True)
    finally:
        renamed.rename(checkout)


def test_ctrl_c_ends_everything_and_is_130(checkout: Path) -> None:
    """Runs last, since it leaves the checkout incomplete.

    The start before it was interrupted before it compiled.
    """
    shutil.rmtree(checkout / "build")
    (checkout / "build").mkdir()
    (checkout / "build" / ".unfinished").touch()
    process = subprocess.Popen(
        [str(checkout / "scripts" / "setup")], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list((checkout / "build").rglob("*.o")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(SECONDS) == 130 and said.endswith("setup: interrupted; the same command goes on from here\n"), (
        said
    )
    made = len(list((checkout / "build").rglob("*.o")))
    time.sleep(1)
    assert len(list((checkout / "build").rglob("*.o"))) == made, "the compilers have ended as well"
