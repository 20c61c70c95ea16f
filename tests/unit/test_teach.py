"""A data set that a teacher reads: durations of our phones, plans, and resuming."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ishowtts.text import mandarin, phones
from ishowtts.train import data as datasets
from ishowtts.train import kokoro
from ishowtts.train.align import HOP, SAMPLE_RATE
from ishowtts.train.teach import MIX, Plan, Spoken, shares, teach, whole_frames


class Tones:
    """A teacher whose every symbol is a tone of a tenth of a second."""

    def __init__(self, count: Path) -> None:
        self.count = count

    def styles(self, language: str) -> Sequence[str]:
        return ["low", "middle", "high"]

    def read(self, symbols: Sequence[tuple[str, int]], language: str, style: str) -> Spoken | None:
        with self.count.open("a") as file:
            file.write(f"{style}\n")
        if "zebra" in style:
            return None
        seconds = [0.1] * len(symbols)
        time = np.arange(round(sum(seconds) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = np.full(len(time) // 300, 200.0, np.float32)
        return Spoken(np.sin(2 * np.pi * 200 * time).astype(np.float32) * 0.3, seconds, pitch, 300)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "en.txt").write_text("Hello there.\nHow are you?\n😀\nGood game.\n", encoding="utf-8")
    (tmp_path / "zh.txt").write_text("你好。\n今天的 boss 太难了。\n", encoding="utf-8")
    path = tmp_path / "plan.toml"
    path.write_text('[texts]\nen = "en.txt"\nzh = "zh.txt"\n[styles]\nen = ["anna=low", "*"]\nzh = ["mei=high"]\n')
    return path


def test_frames_are_whole_and_every_symbol_has_one() -> None:
    assert whole_frames([0.1, 0.001, 0.001, 0.1], 4848) == [8, 1, 1, 9]
    assert sum(whole_frames([0.05] * 7, 8400) or []) == 8400 // HOP + 1
    assert whole_frames([0.001] * 9, 216) is None, "nine symbols in one frame"


def test_a_plan_takes_turns(plan: Path) -> None:
    read = Plan.read(plan)
    assert [(language, number) for language, number, _ in read.lines()][:4] == [
        ("en", 0),
        ("zh", 0),
        ("en", 1),
        ("zh", 1),
    ]
    teacher = Tones(plan)
    assert read.style(teacher, "en", 0) == ("anna", "low")
    speaker, style = read.style(teacher, "en", 1)
    mixed = shares(style)
    assert speaker == "" and len(mixed) == 2 and {name for name, _ in mixed} <= set(teacher.styles("en"))
    assert sum(share for _, share in mixed) == pytest.approx(1)
    assert read.style(teacher, "en", 1) == (speaker, style), "the same line has the same speaker again"
    assert MIX not in style


def test_a_plan_needs_styles_for_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[texts]\nen = "en.txt"\n[styles]\nzh = ["a"]\n')
    with pytest.raises(ValueError, match="same languages"):
        Plan.read(path)
    path.write_text('[texts]\nxx = "en.txt"\n[styles]\nxx = ["a"]\n')
    with pytest.raises(ValueError, match="'xx'"):
        Plan.read(path)


def test_a_teacher_makes_a_data_set_and_goes_on_where_it_was(plan: Path, tmp_path: Path) -> None:
    work, read = tmp_path / "work", tmp_path / "read.txt"
    make = functools.partial(Tones, read)
    assert teach(make, Plan.read(plan), work, 1.0, 2) == 9, "without the emoji; two lines thrice"
    clips = [json.loads(line) for line in (work / "align.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [clip["speaker"] for clip in clips] == ["anna", *[""] * 6, "mei", "mei"]
    fast, slow, plain = clips[1:4]
    assert plain["text"] == fast["text"] == slow["text"] and plain["phones"] == fast["phones"]
    assert sum(fast["frames"]) < 0.96 * sum(plain["frames"]) and sum(slow["frames"]) > 1.04 * sum(plain["frames"])
    hello = clips[0]
    assert hello["phones"] == [name for name, _ in phones.spoken("Hello there.", "en")]
    assert hello["frames"][0] == 8 and set(hello["frames"][1:-1]) <= {9, 10}, (
        "a tenth of a second each, short silences at the ends"
    )
    assert any(symbol.startswith("zh_") for symbol in clips[-1]["phones"]) and "b" in clips[-1]["phones"], (
        "both alphabets"
    )
    before = read.read_text().splitlines()
    assert teach(make, Plan.read(plan), work, 1.0, 1) == 9
    assert read.read_text().splitlines() == before, "nothing is read twice"
    data = datasets.load(work)
    assert data.symbols[-2:] == ["@anna", "@mei"]


def test_kokoros_alphabet_counts_back_to_our_phones() -> None:
    for text, language in (("Oh no, not the water temple again!", "en"), ("这个boss太难了吗？玩儿呢。", "zh")):
        symbols = phones.spoken(text, language)
        made = list(kokoro.pieces(symbols))
        of = [k for _, k in made]
        assert of == sorted(of) and set(of) == set(range(1, len(symbols))), (
            "every symbol but the first pause is written"
        )
    assert kokoro.written("er1") == "ˈɜɹ" and kokoro.written("ax0") == "ə" and kokoro.written("zh_iang4") == "ja↘ŋ"
    for symbol in mandarin.SYMBOLS:
        assert kokoro.written(symbol)
