"""Words that are drawn out: how they are read, which phone takes longer, and that they are heard longer."""

from __future__ import annotations

import pytest

from ishowtts import Engine
from ishowtts.text import Frontend, phones
from ishowtts.text.reading import read


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    return Frontend("demo")


@pytest.mark.parametrize(
    ("language", "written", "said", "longer"),
    [
        ("en", "yesssss", "yesssss", "s 300"),
        ("en", "YESSSS", "yessss", "s 250"),
        ("en", "Sooooo", "Sooooo", "ow1 300"),
        ("en", "hmmm", "hmmm", "m 150"),
        ("en", "grrrr", "grrrr", "er1 200"),
        ("en", "whattttttttttt", "whattttt", "ah1 300"),
        ("en", "gooood", "gooood", "uh1 200"),
        ("en", "heyyy", "heyyy", "ey1 200"),
        ("en", "bzzzz", "buzz", ""),
        ("de", "jaaaa", "jaaaa", "de_ah1 250"),
        ("de", "neeein", "neeein", "de_ei1 200"),
        ("de", "wasss", "wasss", "de_s 200"),
    ],
)
def test_a_repeated_letter_makes_its_phone_longer(
    frontend: Frontend, language: str, written: str, said: str, longer: str
) -> None:
    reading = read(f"ok {written} ok", language)
    assert reading.words[1].text == said and read(reading.text, language).text == reading.text
    if language not in frontend.languages:
        pytest.skip("the embedded model does not speak the language")
    symbols = frontend.symbols(reading.text, language)
    lengths = frontend.tokenize(None, reading.text, language)[3]
    told = [f"{name} {of}" for name, of in zip(symbols, lengths[-len(symbols) :], strict=False) if of != 100]
    assert told == ([longer] if longer else [])
    assert bool(lengths) == bool(longer), "a text without such words has no lengths"


@pytest.mark.parametrize(
    ("written", "said", "longer"),
    [
        ("好～", "好～", ["zh_ao3 150"]),
        ("真的吗~~~~~~？好", "真的吗～～～～？好", ["zh_a5 300"]),
        ("玩儿~", "玩儿～", ["zh_r5 150"]),
        ("好~，sooo好", "好～，sooo好", ["zh_ao3 150", "ow1 200"]),
        ("3~5个", "三到五个", []),
        ("～", "", []),
    ],
)
def test_a_wave_makes_the_syllable_before_it_longer(written: str, said: str, longer: list[str]) -> None:
    text = read(written, "zh").text
    assert text == said and read(text, "zh").text == text
    if text:
        spoken = phones.spoken(text, "zh")
        lengths = phones.lengths(text, "zh", spoken)
        told = [f"{name} {of}" for (name, _), of in zip(spoken, lengths, strict=False) if of != 100]
        assert sorted(told) == sorted(longer)
        assert spoken == phones.spoken(text.replace("～", "").replace("sooo", "so"), "zh")


def test_a_chunk_may_begin_with_a_wave() -> None:
    assert set(phones.lengths("～好", "zh", phones.spoken("～好", "zh"))) == {100}


def test_letters_that_are_spelled_and_numerals_are_not_drawn_out() -> None:
    assert read("xxx", "en").text == "XXX" and read("Rocky III", "en").text == "Rocky three"


def test_a_drawn_out_word_is_heard_longer() -> None:
    with Engine.load("demo", threads=1) as engine:
        short, long = (engine.speak(text, nfe=2, seed=1).seconds for text in ("Oh no", "Oh nooooo"))
    assert long > short + 0.15
