"""Error rates in every language, and their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import ishowtts
from ishowtts.quality.intelligibility import count, errors, rates, units
from ishowtts.quality.listeners import listener


def test_errors_are_the_least_edits() -> None:
    assert count("one kitten", "one sitting") == (1, 2, 3, 10)
    assert count("hello", "") == (1, 1, 5, 5)
    assert count("same words", "same words")[::2] == (0, 0)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "It’s a well-known fact: 3 cats!", "it's a well known fact three cats"),
        ("en", "You owe me $5, and 1,000 points.", "you owe me five dollars and one thousand points"),
        ("en", "Sixty F.P.S. at 20:15?", "sixty fps at twenty fifteen"),
        ("en", "two hundred and fifty", "two hundred fifty"),
        ("en", "Am I a fool?", "am i a fool"),
        ("de", "Größe 38: Übergrößenträger, ähnlich.", "größe achtunddreißig übergrößenträger ähnlich"),
        ("de", "Um 20:15 Uhr kamen 250 Gäste.", "um zwanzig uhr fünfzehn kamen zweihundertfünfzig gäste"),
        ("zh", "我有250个粉丝。", "wo you er bai wu shi ge fen si"),
        ("zh", "今天的 Boss 太难了，gg", "jin tian de boss tai nan le gg"),
        ("zh", "女儿，玩儿", "nv er wan"),
        ("fr", "L’été à Paris", "l'été à paris"),
        ("ja", "今日は寒い", "今 日 は 寒 い"),
        ("ru", "Привет, мир!", "привет мир"),
    ],
)
def test_words_are_those_that_are_spoken(language: str, text: str, words: str) -> None:
    assert units(text, language).words == words.split()


def test_mandarin_is_counted_in_syllables_and_in_characters() -> None:
    assert units("今天的 Boss 太难了。", "zh").characters == "今天的boss太难了"
    # Characters that sound alike are no word errors: 他 and 她, 在 and 再.
    assert count("他在家。", "她再家", "zh") == (0, 3, 2, 3)
    assert count("他在家。", "他在加", "zh") == (0, 3, 1, 3), "neither is another tone"
    assert count("他在家。", "他在街", "zh") == (1, 3, 1, 3)
    assert errors("你好", "", "zh") == (1, 1)


def test_what_is_written_otherwise_and_sounds_alike_is_no_error() -> None:
    for language, said, heard in (
        ("en", "We have two hundred fifty viewers.", "We have 250 viewers"),
        ("en", "That is five dollars.", "that is $5"),
        ("de", "Fünf Euro und zehn Prozent", "5 € und 10 %"),
        ("zh", "一共二百五十块", "一共250块。"),
    ):
        assert errors(said, heard, language) == (0, 0), (said, heard)
    assert errors("Größe", "Grobe", "de")[0] == 1


def test_the_language_is_guessed_from_the_script() -> None:
    assert units("你好 2").words == ["ni", "hao", "er"]
    assert units("hello 2").words == ["hello", "two"]
    assert units("你好", "zh-CN").words == units("你好").words


def test_rates_weigh_sentences_by_length() -> None:
    pairs = (("one two three four", "one two three four"), ("five", "nine"))
    found = rates(np.array([count(text, heard, "en") for text, heard in pairs], np.float64))
    value, low, high = found["wer"]
    assert value == pytest.approx(1 / 5)
    assert low == 0 and high == 1
    assert found["cer"][0] == pytest.approx(2 / 22)


def test_a_recording_is_understood() -> None:
    voice = Path(ishowtts.__file__).parent / "voices" / "demo"
    samples, rate = soundfile.read(voice / "reference.flac", dtype="float32")
    text = (voice / "reference.txt").read_text()
    listen = listener("pocketsphinx")
    assert errors(text, listen(samples, rate, "en"), "en")[0] <= 0.5
    assert errors(text, listen(samples[::-1].copy(), rate, "en"), "en")[0] > 0.5
