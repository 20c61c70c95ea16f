"""Playing speech by one of the usual programs: PulseAudio's, ALSA's, FFmpeg's, PipeWire's or macOS's."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._audio import encode

if TYPE_CHECKING:
    from .streams import Samples

PIPED = {
    "paplay": "--raw --format=s16le --channels=1 --rate={rate}",
    "aplay": "-q -t raw -f S16_LE -c 1 -r {rate}",
    "ffplay": "-nodisp -autoexit -loglevel error -f s16le -ar {rate} -i pipe:0",
}
"""Programs that play 16-bit samples from standard input as they arrive, with their arguments."""
FILES = ("pw-play", "afplay")
"""Programs that play a whole file."""
BLOCK = 4800
"""Samples in one write to such a program."""


class NoSound(Exception):
    """No program could play the speech; the message says why each failed."""


def players() -> list[str]:
    """Names of the programs that are installed, in the order in which `play` tries them."""
    return [name for name in (*PIPED, *FILES) if shutil.which(name)]


def play(pieces: Iterable[Samples], rate: int, played: list[Samples]) -> None:
    """Play pieces of mono samples in [-1, 1] as they arrive and wait for the end; each is appended to `played` first.

    `rate`: samples a second. Where a program fails the next one plays everything from the beginning. NoSound: all of
    them failed; `played` then holds all pieces.
    """
    rest = iter(pieces)
    wrong: list[str] = []
    for name in players():
        failure = _pipe(name, rest, rate, played) if name in PIPED else _file(name, rest, rate, played)
        if not failure:
            return
        wrong.append(f"{name}: {failure}")
    played.extend(rest)
    raise NoSound("; ".join(wrong) or f"none of {', '.join((*PIPED, *FILES))} is installed")


def _pipe(name: str, pieces: Iterable[Samples], rate: int, played: list[Samples]) -> str:
    """Play through standard input; why the program failed, "" where it did not."""
    command = [name, *PIPED[name].format(rate=rate).split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:
        assert program.stdin is not None and program.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # the program has ended; its exit status says why
                for piece in list(played):
                    _write(program, piece)
                for piece in pieces:
                    played.append(piece)
                    _write(program, piece)
            with contextlib.suppress(BrokenPipeError):
                program.stdin.close()
            said = program.stderr.read().decode("utf-8", "replace")
            return _outcome(program.wait(), said)
        except BaseException:
            program.kill()
            raise


def _write(program: subprocess.Popen[bytes], piece: Samples) -> None:
    assert program.stdin is not None
    data = (np.clip(piece, -1, 1) * 32767).round().astype("<i2")
    for at in range(0, len(data), BLOCK):
        program.stdin.write(data[at : at + BLOCK].tobytes())
    program.stdin.flush()


def _file(name: str, pieces: Iterable[Samples], rate: int, played: list[Samples]) -> str:
    played.extend(pieces)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        path.write_bytes(encode(joined(played), rate, "wav"))
        done = subprocess.run([name, str(path)], stdin=subprocess.DEVNULL, capture_output=True)
    return _outcome(done.returncode, done.stderr.decode("utf-8", "replace"))


def _outcome(status: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "" if status == 0 else lines[-1] if lines else f"it ended with status {status}"


def joined(pieces: Sequence[Samples]) -> Samples:
    """All pieces as one array, empty for none."""
    return np.concatenate([np.zeros(0, np.float32), *pieces])
