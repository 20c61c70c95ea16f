"""Tokens of mixed lines, one by one, against the official conversion; number words against packages that make them."""

from __future__ import annotations

import importlib
import random
import re

import pytest

from ishowtts.text import numerals, pinyin
from ishowtts.text.tokens import Vocabulary

PIECES = {
    "english": ["Hello there", "that's what I said", "a test of F5-TTS", "WOW", "don't you think so", "see you at 9pm",
                "I", "café"],
    "chinese": ["你好世界", "我们一起去重庆吧", "银行行长不行", "一个人", "真的很好吃", "了解",
                "不是不可以", "他得意地笑了",
                "的", "數碼寶貝"],
    "numbers": ["3.14", "1,234", "2024年", "50%", "￥99", "12:30", "№7", "1/2", "x²"],
    "symbols": ["😀", "👍🏽", "🇩🇪", "…", "——", "★", "ñandú", "Straße", "Привет", "こんにちは", "カタカナ", "안녕", "〇",
                "㐀", "\u3000"],
}  # fmt: skip
MARKS = [" ", ", ", "; ", "；", "，", "。", "! ", "？", " “", "” ", "‘", "’", ": ", "'", '"', "(", ") ", "", "-"]


def lines(count: int = 200) -> list[str]:
    draw = random.Random(2024)
    everything = [piece for kind in PIECES.values() for piece in kind]
    assert len(everything) == len(set(everything))
    made = [p + q for p, q in zip(everything, reversed(everything), strict=True)]
    while len(made) < count:
        parts = draw.choices(list(PIECES.values()), weights=(4, 4, 2, 2), k=draw.randint(2, 7))
        made.append("".join(draw.choice(part) + draw.choice(MARKS) for part in parts))
    return made[:count]


@pytest.fixture(scope="module")
def official_utils(official):
    return importlib.import_module("f5_tts.model.utils")


def test_tokens_of_200_mixed_lines_are_the_official_ones(official_utils) -> None:
    compared = tokens = 0
    for line in lines():
        (theirs,) = official_utils.convert_char_to_pinyin([line])
        ours, origin = pinyin.symbols(line)
        assert ours == theirs, line
        assert origin == sorted(origin) and len(origin) == len(ours) and max(origin) < len(line), line
        compared, tokens = compared + 1, tokens + len(ours)
    print(f"\n{compared} lines, {tokens} tokens, all equal")
    assert compared == 200


def test_ids_are_the_official_ones(official_utils, tmp_path) -> None:
    every = sorted({symbol for line in lines() for symbol in pinyin.symbols(line)[0]} - {" "})
    symbols = [symbol for i, symbol in enumerate(every) if i % 5]  # the others are unknown
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([" ", *symbols]) + "\n", encoding="utf-8")
    table, size = official_utils.get_tokenizer(str(path), "custom")
    assert size == len(symbols) + 1
    vocabulary = Vocabulary([" ", *symbols])
    unknown = 0
    for line in lines():
        ours = pinyin.symbols(line)[0]
        theirs = official_utils.list_str_to_idx([ours], table)[0].tolist()
        assert vocabulary.ids(ours) == theirs, line
        unknown += sum(symbol not in table for symbol in ours)
    assert unknown, "no line had an unknown symbol: nothing was tested about them"


def test_the_share_of_the_reference_is_where_its_tokens_end() -> None:
    for reference in ("Hello there.  ", "你好，世界。", "真的 ok.  "):
        alone = pinyin.symbols(reference)[0]
        for text in ("abc and so on", "我们", "x我"):
            symbols, origin = pinyin.symbols(reference + text)
            n_ref = sum(where < len(reference) for where in origin)
            assert symbols[:n_ref] == alone


NUMBERS = sorted({*range(0, 130), *(10**k + d for k in range(2, 13) for d in (-1, 0, 1, 5, 12, 305))})


def test_english_numbers_are_those_of_num2words() -> None:
    num2words = pytest.importorskip("num2words").num2words
    for n in NUMBERS:
        said = re.sub(r",| and\b", "", num2words(n))
        assert numerals.english(str(n)) == said, n
        if n:
            assert numerals.english_ordinal(str(n)) == re.sub(r",| and\b", "", num2words(n, to="ordinal")), n
    assert numerals.english("12.05") == num2words("12.05")


def test_chinese_numbers_are_those_of_cn2an() -> None:
    an2cn = pytest.importorskip("cn2an").an2cn
    for n in NUMBERS:
        said = an2cn(str(n), "low")
        said = said[1:] if said.startswith("一十") else said
        assert numerals.chinese(str(n)).replace("两", "二") == said, n
    assert numerals.chinese("12.05") == an2cn("12.05", "low").removeprefix("一")
