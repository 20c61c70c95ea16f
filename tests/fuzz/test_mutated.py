"""Texts, markup and configurations that are mutated: each is read or refused with a message, and in linear time.

$FUZZ_SECONDS: how long each goes on (default 1); `scripts/fuzz` gives its own.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.errors import IshowError
from ishowtts.text import markup
from ishowtts.text.frontend import Frontend

CORPUS = Path(__file__).parent / "corpus"
SECONDS = float(os.environ.get("FUZZ_SECONDS", "1"))
MOST, A_BYTE = 0.25, 200e-6
"""Seconds that an input may take, and for each of its bytes, on a machine that has other work."""
MARKED = (
    "Wait [pause 500ms] here. [speed 1.5]Now faster.[speed 1] [voice:anna]I am Anna.",
    "[pause 0.5s][pause][speed x][voice:][word](/h eh1 l ow0/) [tomato](/təˈmeɪtoʊ/)",
    "[[pause 1s] [speed 0.25] ] [a](/ [b](//) \\[pause 1s]",
)
PIECES = (
    "[",
    "]",
    "(/",
    "/)",
    "[pause ",
    "ms]",
    "\\",
    "'",
    "\u0301",
    "\u202e",
    "\x00",
    "9" * 40,
    "-",
    "é",
    "中",
    "😀",
    "=",
    '"',
)


def mutated(seeds: list[str], chance: random.Random) -> str:
    """One of the seeds with cuts, copies, pieces and other characters in it."""
    text = chance.choice(seeds)
    for _ in range(chance.randint(1, 8)):
        at, to = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:to] + text[at:to] * chance.randint(1, 8) + text[to:]
        elif kind == 2:
            text = text[:at] + chance.choice(PIECES) * chance.choice([1, 1, 2, 50]) + text[at:]
        elif kind == 3:
            text = (
                text[:at] + chr(chance.choice([chance.randrange(32, 127), chance.randrange(0x3000)])) + text[at + 1 :]
            )
        else:
            other = chance.choice(seeds)
            text = text[:at] + other[: chance.randint(0, len(other))] + text[to:]
    return text.encode("utf-8", "replace").decode()[:4000]


def keep_trying(seeds: list[str], work: Callable[[str], object]) -> None:
    chance, end, tried = random.Random(7), time.monotonic() + SECONDS, 0
    while time.monotonic() < end or tried < 20:
        text = mutated(seeds, chance)
        took = 0.0
        for _ in range(3):  # the first one may fill caches
            before = time.thread_time()
            try:
                work(text)
            except IshowError as error:
                assert str(error)
            took = time.thread_time() - before
            if took < MOST + A_BYTE * len(text):
                break
        else:
            raise AssertionError(f"{took:.2f} s for {text!r}")
        tried += 1


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_texts(language: str) -> None:
    front = Frontend("demo")
    seeds = [path.read_bytes().decode("utf-8", "replace") for path in sorted((CORPUS / "phones").iterdir())]

    def read(text: str) -> None:
        said, unspoken, _, _ = front.speakable(text, language, markup=True)
        assert said.strip() and unspoken >= 0
        said.encode()

    keep_trying([*seeds, *MARKED], read)


def test_markup() -> None:
    def cut(text: str) -> None:
        parts = markup.cut(text)
        assert sum(len(part.text) for part in parts) <= len(text)
        markup.pronounced(text, "en", letters=False)

    keep_trying(list(MARKED), cut)


def test_configurations(tmp_path: Path) -> None:
    path = tmp_path / "ishowtts.toml"
    seeds = [
        (Path(__file__).parents[2] / "configs" / "ishowtts.toml").read_text(encoding="utf-8")[:3000],
        '[server]\nport = 1\napi_key = "a"\nallowed_hosts = ["a"]\n[sampling]\nspeed = 1.5\n',
        '[chat]\nrate = 5\nbanned_words = ["a"]\n[[chat.sources]]\nplatform = "twitch"\nchannel = "x"\n',
        '[pronounce]\nword = "wurd"\n[engine]\nqueue_capacity = 10\n[model]\nname = "demo"\nthreads = 1\n',
    ]

    def load(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        config.load(path).to_json()

    keep_trying(seeds, load)
