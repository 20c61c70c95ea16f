"""Error rates and their intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

import ishowtts
from ishowtts.quality.intelligibility import edits, error_rates, plain, transcribe


def test_edits() -> None:
    assert edits("kitten", "sitting") == 3
    assert edits("", "abc") == edits("abc", "") == 3
    assert edits(["a", "b"], ["a", "b"]) == 0


def test_plain_words() -> None:
    assert plain("It’s a well-known fact: 3 cats!") == "it's a well known fact cats"


def test_rates_weigh_sentences_by_length() -> None:
    rates = error_rates(["one two three four", "five"], ["one two three four", "nine"])
    value, low, high = rates["wer"]
    assert value == pytest.approx(1 / 5)
    assert low == 0 and high == 1
    assert rates["cer"][0] == pytest.approx(2 / 22)


def test_a_recording_is_understood() -> None:
    voice = Path(ishowtts.__file__).parent / "voices" / "demo"
    samples, rate = soundfile.read(voice / "reference.flac", dtype="float32")
    text = (voice / "reference.txt").read_text()
    assert error_rates([text], [transcribe(samples, rate)])["wer"][0] <= 0.5
    assert error_rates([text], [transcribe(samples[::-1].copy(), rate)])["wer"][0] > 0.5
