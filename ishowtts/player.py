"""Speech through the loudspeaker, by one of the programs that play raw samples or files."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._audio import encode

PIPED = {
    "paplay": "--raw --format=s16le --channels=1 --rate={rate}",
    "aplay": "-q -t raw -f S16_LE -c 1 -r {rate}",
    "ffplay": "-nodisp -autoexit -loglevel error -f s16le -ar {rate} -i pipe:0",
}
"""Programs that play 16-bit samples from their standard input while they come, with their arguments."""
FILES = ("pw-play", "afplay")
"""Programs that play a whole file."""
BLOCK = 4800
"""Samples that are handed over at once."""

Samples = NDArray[np.float32]


class NoSound(Exception):
    """Nothing plays here; says why."""


def players() -> list[str]:
    """The programs that are installed, the best first."""
    return [name for name in (*PIPED, *FILES) if shutil.which(name)]


def play(pieces: Iterable[Samples], rate: int, played: list[Samples]) -> None:
    """Play pieces while they come, and wait for the last to be heard; each joins `played` before it is heard.

    A program that fails gives way to the next one, which begins again. NoSound when none is left; the remaining pieces are in
    `played` then, too.
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
    """Why the program failed, "" when it did not."""
    command = [name, *PIPED[name].format(rate=rate).split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:
        assert program.stdin is not None and program.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended: its status says why
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
    """All of them as one."""
    return np.concatenate([np.zeros(0, np.float32), *pieces])
