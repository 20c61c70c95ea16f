"""Every command of the documents is run, in the order in which a reader runs it, against a real server.

A block that cannot be run here says so behind its language ("not-run: needs root"); its calls of `ishowtts` are then
only parsed. `scripts/serve` starts the server on a free port, which replaces 27121 in the blocks after it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import tiny
from pages import ROOT, Block, blocks, files
from serving import Server, until
from writer import Writer

from ishowtts.cli import parser

REASONS = {
    "needs a Twitch account",
    "needs a microphone",
    "downloads the model",
    "installs from the network",
    "needs root",
    "takes hours",
    "takes minutes",
    "needs an NVIDIA GPU",
    "runs the whole suite",
}
REFERENCE = ROOT / "ishowtts" / "voices" / "demo"
WITH_COMMANDS = [path for path in files() if any(block.language in ("sh", "python", "toml") for block in blocks(path))]
SECONDS = 240


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like a checkout, with the files that a reader has made: a clip, its transcript, a network."""
    for entry in ROOT.iterdir():
        if entry.name not in {".git", "build"}:
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "me.wav").symlink_to(REFERENCE / "reference.flac")
    (tmp_path / "me.txt").write_text((REFERENCE / "reference.txt").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "story.txt").write_text("A short story. It ends here.\n", encoding="utf-8")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.wav").symlink_to(REFERENCE / "reference.flac")
    (tmp_path / "clips" / "one.txt").symlink_to(REFERENCE / "reference.txt")
    tiny.make(tmp_path / "my-model")
    programs = tmp_path / "programs"
    programs.mkdir()
    player = programs / "aplay"  # reads the sound, as a sound card would
    player.write_text("#!/bin/sh\nexec cat > played.raw\n")
    player.chmod(0o755)
    return tmp_path


def statements(body: str) -> Iterator[str]:
    """The commands of a block: lines, with those that end in a backslash joined."""
    for line in re.sub(r"\\\n\s*", " ", body).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def read_by_parser(block: Block) -> None:
    """Parse the commands of a block that cannot be run here, with the parser of the command line."""
    for line in statements(block.body):
        words = shlex.split(line, comments=True)
        if words and words[0].endswith("ishowtts") and words[1] in {"speak", "serve", "voices", "config", "api"}:
            parser().parse_args(words[1:])


def speaks(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


class Reader:
    """A reader who runs the commands of a document."""

    def __init__(self, checkout: Path, stack: ExitStack, port: int) -> None:
        self.checkout = checkout
        self.stack = stack
        self.port = port
        self.model = stack.enter_context(Writer("The light is on. Who lit it?"))
        self.served: Server | None = None

    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{self.checkout / 'programs'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "ISHOWTTS_CACHE_DIR": str(self.checkout / "cache"),
            "LLM_URL": self.model.url,
        }
        return os.environ | own

    def local(self, text: str) -> str:
        return text.replace("27121", str(self.port))

    def serve(self, line: str) -> None:
        if self.served:
            self.served.end()
        words = shlex.split(line, comments=True)[1:]
        words = [str(self.checkout / word) if (self.checkout / word).is_file() else word for word in words]
        words = [re.sub(r"=(\S+)$", lambda found: f"={self.path(found[1])}", word) for word in words]
        served = self.served = Server(*words, wait=False)
        try:
            until(lambda: speaks(served))
        except AssertionError:
            raise AssertionError(f"{line}\n{''.join(served.log)}") from None
        self.stack.callback(lambda: self.served and self.served.process.poll() is None and self.served.end())
        self.port = self.served.port

    def path(self, name: str) -> str:
        return str(self.checkout / name) if (self.checkout / name).is_file() else name

    def shell(self, block: Block) -> None:
        for line in statements(block.body):
            if line.startswith("scripts/serve"):
                self.serve(line)
                continue
            command = ["bash", "-euo", "pipefail", "-c", self.local(line)]
            done = subprocess.run(
                command,
                cwd=self.checkout,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"line {block.line}: {line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            assert '{"error"' not in done.stdout, f"line {block.line}: {line}\n{done.stdout[:500]}"

    def python(self, block: Block) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.local(block.body)],
            cwd=self.checkout, env=self.environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"line {block.line}:\n{done.stderr[-3000:]}"

    def follow(self, block: Block) -> None:
        if block.note.startswith("not-run: "):
            assert block.note.removeprefix("not-run: ") in REASONS, f"line {block.line}: {block.note}"
            read_by_parser(block)
        elif block.file:
            (self.checkout / block.file).write_text(self.local(block.body), encoding="utf-8")
            if block.language == "toml":
                check = [sys.executable, "-m", "ishowtts", "config", "check", block.file]
                done = subprocess.run(
                    check, cwd=self.checkout, env=self.environment(), capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"line {block.line}: {done.stderr}"
        elif block.language == "sh":
            self.shell(block)
        elif block.language == "python":
            self.python(block)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_works(path: Path, checkout: Path, c_server: Server) -> None:
    with ExitStack() as stack:
        reader = Reader(checkout, stack, c_server.port)
        for block in blocks(path):
            reader.follow(block)


def test_the_language_model_is_heard(checkout: Path, c_server: Server) -> None:
    """The tutorial's program with a language model that writes in small pieces: both sentences reach the sound card."""
    path = ROOT / "docs" / "tutorial" / "language-model.md"
    program = next(block for block in blocks(path) if block.file == "talk.py")
    with ExitStack() as stack:
        reader = Reader(checkout, stack, c_server.port)
        reader.follow(program)
        command = [sys.executable, "talk.py", "Tell", "me"]
        done = subprocess.run(
            command,
            cwd=checkout,
            env=reader.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "The light is on. Who lit it?\n"
    assert 1 < (checkout / "played.raw").stat().st_size / 2 / 24000 < 10
