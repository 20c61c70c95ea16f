"""The user's pronunciations, from the configuration to the text that is spoken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import _runtime, config
from ishowtts.errors import ConfigError, TextError
from ishowtts.text import Frontend, lexicon, pinyin, pronounce
from ishowtts.text.lexicon import Entry, Lexicon

OWN = Lexicon([
    Entry("GIF", "jiff"), Entry("New York", "noo york"), Entry("New", "noo"), Entry("gg", "gut gespielt", "de"),
    Entry("长沙", "长 沙"),
])  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_in_use() -> Iterator[None]:
    yield
    lexicon.use([])
    lexicon.tell([])


@pytest.mark.parametrize(
    ("written", "language", "said"),
    [
        ("a gif!", "en", "a jiff!"), ("GIFs and gift", "en", "GIFs and gift"),
        ("in new york now", "en", "in noo york now"),
        ("new yorker", "en", "noo yorker"), ("gg", "en", "gg"), ("gg!", "de-AT", "gut gespielt!"),
        ("我在长沙市", "zh", "我在长 沙市"), ("", "en", ""),
    ],
)  # fmt: skip
def test_whole_words_of_the_language_are_replaced(written: str, language: str, said: str) -> None:
    assert OWN.apply(written, language).text == said


def test_places_are_those_of_the_original() -> None:
    applied = OWN.apply("see New York, a gif", "en")
    assert applied.text == "see noo york, a jiff"
    assert [applied.span(*found) for found in ((0, 3), (4, 7), (8, 12), (14, 15), (16, 20))] == [
        (0, 3), (4, 12), (4, 12), (14, 15), (16, 19),
    ]  # fmt: skip


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("gifnewyork GIF长沙İß"))))
def test_any_text_keeps_its_other_characters(text: str) -> None:
    applied = OWN.apply(text, "en")
    at, rest = 0, []
    for change in applied.changes:
        rest.append((text[at : change.start], change))
        at = change.end
    made = "".join(kept + applied.text[change.begin : change.stop] for kept, change in rest) + text[at:]
    assert made == applied.text
    for start in range(len(applied.text)):
        low, high = applied.span(start, start + 1)
        assert 0 <= low <= high <= len(text)


def test_the_front_end_reads_by_it() -> None:
    frontend = Frontend("demo")
    lexicon.use([Entry("kthx", "okay thanks")])
    reading = frontend.read("well kthx bye", "en")
    assert reading.text == "well okay thanks bye"
    assert [(word.text, word.start, word.end) for word in reading.words] == [
        ("well", 0, 4), ("okay", 5, 9), ("thanks", 5, 9), ("bye", 10, 13),
    ]  # fmt: skip


def test_the_configuration_is_in_use_when_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "ishowtts.toml"
    path.write_text('[[pronounce]]\nword = "GIF"\nsaid = "jiff"\n', encoding="utf-8")
    _runtime.config(str(path), [])
    assert lexicon.current().entries == (Entry("GIF", "jiff"),)
    path.write_text('[[pronounce]]\nword = " "\nsaid = "jiff"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="pronounce"):
        _runtime.config(str(path), [])
    assert lexicon.current().entries == (Entry("GIF", "jiff"),), "a bad file changes nothing"
    path.write_text('[[pronounce]]\nword = "GIF"\nsaid = "/x7/"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="'7' is no sound"):
        _runtime.config(str(path), [])
    assert config.load(overrides=['pronounce=[{word="a", said="b"}]']).pronunciations() == [Entry("a", "b")]


@pytest.fixture(scope="module")
def demo() -> Frontend:
    return Frontend("demo")


@pytest.mark.parametrize(
    ("said", "language", "symbols"),
    [
        ("/dʒɪf/", "en", "jh ih1 f"),
        ("/ˈnuː ˈjɔːk/", "en", "n uw1 y ao1 k"),
        ("/kəˈmpjuːtɚ/", "en", "k ax0 m p y uw1 t er0"),
        ("/t͡ʃæt/", "en", "ch ae1 t"),
        ("/ˈbʌtn̩/", "en", "b ah1 t ax0 n"),
        ("{jh ih1 f}", "en", "jh ih1 f"),
        ("{JH ih f}", "en", "jh ih1 f"),
        ("/ˈkœln/", "de", "de_k de_ö1 de_l de_n"),
        ("/ˈapfl̩/", "de", "de_q de_a1 de_p de_f de_@ de_l"),
        ("{g ih1 g}", "de", "de_g de_ih1 de_g"),
        ("{chong2 qing4}", "zh", "zh_ch zh_ong2 zh_q zh_ing4"),
        ("{wanr2 yuan2 lv4}", "zh", "zh_uan2 zh_r5 zh_van2 zh_l zh_v4"),
    ],
)
def test_sounds_are_written_in_ipa_or_in_phones(said: str, language: str, symbols: str) -> None:
    assert pronounce.symbols(pronounce.written(said, language)) == symbols.split()


@pytest.mark.parametrize(
    ("entry", "field", "why"),
    [
        (Entry("GIF", "/dʒ7f/"), "said", "'7' is no sound"),
        (Entry("GIF", "{jh ih1 ff}", "en"), "said", "'ff' is no English phone; they are b ch"),
        (Entry("gg", "{g ih1 th}", "de"), "said", "'th' is no German phone"),
        (Entry("重庆", "{chong2 qing4x}", "zh"), "said", "not a pinyin syllable"),
        (Entry("GIF", "{jh ih1 f}"), "language", "give en, de or zh"),
        (Entry("!?", "jiff"), "word", "a letter or a digit"),
        (Entry("GIF", "/ /"), "said", "no sound between the strokes"),
    ],
)
def test_what_cannot_be_read_is_said(entry: Entry, field: str, why: str) -> None:
    with pytest.raises(TextError, match=why) as refused:
        lexicon.check(entry)
    assert refused.value.field == field


def test_every_syllable_of_pinyin_comes_back() -> None:
    for (
        syllable
    ) in "yi1 wu2 yu3 yue4 yuan1 yun2 ying3 weng4 er2 a5 shi4 zi4 ju2 xiong1 lv4 nve4 guang3 huar1 r5".split():  # noqa: SIM905
        code = pronounce.written("{" + syllable + "}", "zh")
        assert len(code) == 1 and pronounce.shown(code) == "{" + syllable + "}"


def test_sounds_stand_in_the_line(demo: Frontend) -> None:
    lexicon.tell([Entry("GIF", "/dʒɪf/"), Entry("apples", "{ae1 p ax0 l}", "en")])
    reading = demo.read("The apples: a GIF's here", "en")
    assert [(word.start, word.end) for word in reading.words] == [(0, 3), (4, 10), (12, 13), (14, 19), (20, 24)]
    said = " ".join(demo.symbols(reading.text, "en"))
    assert "dh iy0 ae1 p ax0 l . pau ax0" in said and "ax0 jh ih1 f s hh" in said
    assert demo.symbols(demo.normalize("ein GIF", "de"), "de")[-5:] == ["de_d", "de_zh", "de_i1", "de_f", "de_."]
    assert demo.normalize("GIF", "en"), "a line may hold nothing else"
    assert "\U00100003" not in demo.normalize("\U00100003 hello", "en"), "nobody writes them"


def test_models_that_read_letters_get_letters(tmp_path: Path) -> None:
    assert Lexicon([Entry("GIF", "/dʒɪf/")]).apply("a GIF", "en", letters=True).text == "a jif"
    said = pronounce.written("{chong2 qing4}", "zh", True)
    assert pinyin.symbols("去" + said)[0] == [" ", "qu4", " ", "chong2", " ", "qing4"]


def test_what_is_told_counts_before_the_configuration() -> None:
    lexicon.use([Entry("gif", "giff"), Entry("png", "ping")])
    lexicon.tell([Entry("GIF", "jiff")])
    assert lexicon.current().apply("gif png", "en").text == "jiff ping"
    lexicon.tell([])
    assert lexicon.current().apply("gif png", "en").text == "giff ping"


def test_a_state_folder_without_words_has_none(tmp_path: Path) -> None:
    assert lexicon.stored(tmp_path) == [] == lexicon.stored(tmp_path / "none")
