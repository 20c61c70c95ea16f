"""ishowtts._phones and the vocabulary that a voice is trained with."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import groupby

import pytest

from ishowtts._phones import phones
from ishowtts.text.phones import spoken
from ishowtts.train.align import sphinx_phone
from ishowtts.train.vocabulary import VOCABULARY


def names(text: str) -> list[str]:
    return [name for name, _ in phones(text)]


def test_a_sentence_with_words_and_marks() -> None:
    assert phones("Hi, you?") == [
        ("pau", -1), ("hh", 0), ("ay1", 0), ("pau", -1), ("y", 1), ("uw1", 1), ("?", -1),
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "de", "zh"])
@pytest.mark.parametrize("text", ["gut，gut！gut？", "gut , gut ! gut ?", "gut、gut。gut？"])
def test_marks_of_any_keyboard_pause(text: str, language: str) -> None:
    words = [word for _, word in spoken(text, language)]
    assert [word for word, _ in groupby(word for word in words)] == [-1, 0, -1, 1, -1, 2, -1]


def test_numbers_read_like_their_words() -> None:
    assert names("1,204") == names("one thousand two hundred and four") or names("1,204") == names(
        "one thousand two hundred four"
    )


@pytest.mark.parametrize("text", ["", "   ", "…", "你好", "😀"])
def test_nothing_readable_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="nothing that can be read"):
        phones(text)


def test_wrong_type_and_long_text() -> None:
    with pytest.raises(TypeError):
        phones(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too long"):
        phones("word " * 3000)


def lines() -> Iterator[str]:
    yield "The quick brown fox jumps over the lazy dog; azure joy, though, ought to hear good boys!"
    yield "Dr. Jones paid $3.50 on 12/31/1999 at 10:30 pm for 2nd-hand XML, e.g. v1.2.3?"
    yield "".join(map(chr, range(32, 1000)))


def test_every_symbol_is_in_the_vocabulary() -> None:
    for line in lines():
        assert set(names(line)) <= set(VOCABULARY)
    assert len(set(VOCABULARY)) == len(VOCABULARY)


def test_every_phone_has_one_of_the_aligner() -> None:
    vowels = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
    known = set(f"{vowels} B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
    assert {
        sphinx_phone(p) for p in VOCABULARY if p[0].isalpha() and p != "pau" and not p.startswith(("de_", "zh_"))
    } == known


def test_threads_agree() -> None:
    wanted, wrong = names("Several threads read this."), []

    def read() -> None:
        for _ in range(50):
            if names("Several threads read this.") != wanted:
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_module_can_be_loaded_again() -> None:
    import importlib

    old = sys.modules.pop("ishowtts._phones")
    try:
        again = importlib.import_module("ishowtts._phones")
        assert again is not old
        assert again.phones("again") == phones("again")
    finally:
        sys.modules["ishowtts._phones"] = old
