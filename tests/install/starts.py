"""Ten ways of starting in a bare system: scripts/test-starts [--system bookworm].

Makes one bare system (scripts/bare-system, with apt and sudo alone) with this checkout, and goes through the ways one
after another. Each must speak; where nobody could make it speak, one sentence must say what to do. The first two are
interrupted starts: by Ctrl-C and by the end of all processes, while packages of the system are unpacked and set up, and
while those of Python are fetched. Prints a table, writes benchmarks/results/starts.csv, and fails where a way does.
Needs root and mmdebstrap. The folder is deleted at the end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
import first_start  # noqa: E402
from first_start import SYSTEM, USER, inside  # noqa: E402
from long_run import command_line, record  # noqa: E402

PLACE = "home/a/a checkout"
STATE = "home/a/.local/state"
PORT = "27199"
SECONDS = 600
UNPACKING, SETTING_UP = ("build/setup.log", r"^Unpacking "), ("build/setup.log", r"^Setting up ")
FETCHING = (".venv/.unfinished", "")
"""A moment of a first start: a file of the checkout, and what is found in it."""
Ways = dict[str, Callable[[], str]]


def as_user(*user: str) -> tuple[str, ...]:
    """A prefix for the user or number, without HOME."""
    return ("setpriv", *(f"--{kind}={user[0]}" for kind in ("reuid", "regid")), "--clear-groups")


class Starts:
    """The ways, in one bare system; each method returns what to add to its row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = PLACE

    @property
    def checkout(self) -> Path:
        """The checkout, as this system sees it."""
        return self.root / self.place

    def speaks(self, user: tuple[str, ...] = USER, place: str | None = None, *more: str) -> str:
        """Start and speak a sentence; returns how long that took."""
        return f"{first_start.start(self.root, PORT, *more, place=place or self.place, user=user):.1f} s"

    def says(self, sentence: str, *user: str) -> str:
        """Start, which fails with one line on standard error; returns it."""
        command = (SYSTEM, "run", str(self.root), *user, f"/{self.place}/scripts/serve", "--port", PORT)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode and re.search(sentence, done.stderr), done
        (line,) = done.stderr.splitlines()
        return line

    @staticmethod
    def found(file: Path, pattern: str, since: int) -> bool:
        """Whether a file that was written since then, a time in ns, has the pattern."""
        if not file.exists() or file.stat().st_mtime_ns < since:
            return False
        return re.search(pattern, file.read_text(errors="replace"), re.MULTILINE) is not None

    def stopped(self, how: signal.Signals, moment: tuple[str, str]) -> None:
        """Start, and end everything that runs when the moment has come."""
        name, pattern = moment
        file, before = self.checkout / name, time.time_ns()
        command = (SYSTEM, "run", str(self.root), *USER, f"/{self.place}/scripts/serve", "--port", PORT)
        began = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            while not self.found(file, pattern, before):
                assert began.poll() is None and time.time_ns() < before + SECONDS * 10**9, name
                time.sleep(0.02)
        except BaseException:
            began.kill()
            raise
        os.killpg(began.pid, how)
        _, said = began.communicate(timeout=SECONDS)
        print(said, file=sys.stderr)
        if how == signal.SIGINT:
            assert began.returncode == 130, began.returncode
            assert said.endswith("setup: interrupted; the same command goes on from here\n"), said

    def ctrl_c(self) -> str:
        """While packages are unpacked; `killed` has another, later."""
        self.stopped(signal.SIGINT, UNPACKING)
        return "status 130, says that the same command goes on"

    def killed(self) -> str:
        """Each start goes on where the one before ended: first in the middle of dpkg's work."""
        self.stopped(signal.SIGKILL, SETTING_UP)
        self.stopped(signal.SIGINT, FETCHING)
        self.stopped(signal.SIGKILL, FETCHING)
        return f"goes on, speaks after {self.speaks()}"

    def files(self) -> dict[str, tuple[int, ...]]:
        """All files of the system but what a server keeps: kind, owner, size, time of the last change."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            if folder == str(self.root):
                folders[:] = [name for name in folders if name not in ("proc", "dev", "sys")]
            if folder.startswith(str(self.root / STATE)):
                continue
            for path in [Path(folder, name) for name in (*folders, *names)]:
                at = path.lstat()
                found[str(path)] = (at.st_mode, at.st_uid, at.st_size, at.st_mtime_ns)
        return found

    def unchanged(self) -> str:
        """Nothing in the whole system is another after a second start."""
        self.speaks()
        before = self.files()
        took = self.speaks()
        after = self.files()
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert not changed, changed
        return f"{took}, no file of the system is changed or made"

    def no_locale(self) -> str:
        """Neither a variable, nor a locale that is installed."""
        return f"{self.speaks()}, with one that is not installed {self.speaks((*USER, 'LC_ALL=zh_CN.UTF-8'))}"

    def no_home(self) -> str:
        """A user with a home folder needs no variable; a number without one is told what to set."""
        took = self.speaks(("env", "-u", "HOME", *as_user("a")))
        said = self.says("set HOME, or server.state_dir", "env", "-u", "HOME", *as_user("54321"))
        given = self.speaks(("env", "-u", "HOME", *as_user("54321")), None, "--set", "server.state_dir=/tmp/state")
        return f"{took}; a user without a home folder: {given} with server.state_dir, else: {said}"

    def unready(self, *user: str) -> str:
        """What a start says that has something to do and cannot write."""
        done = self.checkout / ".venv/.setup-run"
        done.rename(self.root / "kept")
        try:
            return self.says("cannot write to this checkout: let its owner run scripts/setup, or copy it", *user)
        finally:
            (self.root / "kept").rename(done)

    def another_user(self) -> str:
        """One who may read the checkout."""
        inside(self.root, "useradd", "--create-home", "b")
        self.checkout.parent.chmod(0o755)
        user = (*as_user("b"), "env", "HOME=/home/b")
        return f"{self.speaks(user)}; before it is set up: {self.unready(*user)}"

    def read_only(self) -> str:
        """A file system that refuses writing, for its owner too."""
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        user = ("sh", "-c", mount, f"/{self.place}", *USER)
        return f"{self.speaks(user)}; before it is set up: {self.unready(*user)}"

    def renamed(self) -> str:
        """It gets an environment of its own, once."""
        self.place = "home/a/renamed"
        (self.root / PLACE).rename(self.checkout)
        return f"{self.speaks()}, then {self.speaks()}"

    def copied(self) -> str:
        """The copy gets an environment of its own, and the first one is used as before."""
        copy = f"{PLACE}, copied"
        inside(self.root, "cp", "-a", f"/{self.place}", f"/{copy}")
        return f"{self.speaks(USER, copy)}, then {self.speaks(USER, copy)}; the first one {self.speaks()}"

    def ways(self) -> Ways:
        """In the order in which they are tried: from the first start on."""
        return {
            "interrupted by Ctrl-C": self.ctrl_c,
            "killed": self.killed,
            "a space in the path": self.speaks,
            "a start that changes nothing": self.unchanged,
            "no locale": self.no_locale,
            "no HOME": self.no_home,
            "another user": self.another_user,
            "a read-only checkout": self.read_only,
            "a renamed checkout": self.renamed,
            "a copied checkout": self.copied,
        }


def main() -> None:
    """Try all, print, record."""
    parser = command_line(__doc__)
    parser.add_argument("--system", default="bookworm", help="a release, or an archive of a bare system with sudo")
    system = parser.parse_args().system
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell is started with it ignored
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="ishowtts-starts.", dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        first_start.make(root, system, PLACE)
        for way, start in Starts(root).ways().items():
            print(f"== {way}", file=sys.stderr)
            try:
                good, found = 1, start()
            except (AssertionError, SystemExit, OSError, ValueError, subprocess.SubprocessError) as error:
                good, found = 0, f"{type(error).__name__}: {error}"
            print(f"{way}: {found}", file=sys.stderr)
            rows.append({"way": way, "system": Path(system).stem, "good": good, "found": found})
    record("starts", rows, by="way")
    good_ways = sum(int(str(row["good"])) for row in rows)
    print(f"{good_ways} of {len(rows)}")
    sys.exit(good_ways < len(rows))


if __name__ == "__main__":
    main()
