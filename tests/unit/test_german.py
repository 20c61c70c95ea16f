"""German spelling to phones, and what is written out before."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import german
from ishowtts.text.german import PREFIX, phones, word_phones
from ishowtts.text.numerals import german as cardinal
from ishowtts.text.numerals import german_ordinal, german_year
from ishowtts.text.reading import read
from ishowtts.train.align import sphinx_phone
from ishowtts.train.vocabulary import VOCABULARY

num2words = pytest.importorskip("num2words").num2words


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Straße", "sch t r ah1 s @"),  # st at the start, a long vowel before ß
        ("Wasser", "v a1 s @r"),
        ("ich", "q i1 ch"),
        ("auch", "q au1 x"),
        ("Bücher", "b ü1 ch @r"),
        ("sechs", "z e1 k s"),
        ("Tag", "t ah1 k"),  # final devoicing
        ("Tage", "t ah1 g @"),
        ("König", "k öh1 n i0 ch"),
        ("Quelle", "k v e1 l @"),
        ("gemacht", "g @ m a1 x t"),
        ("geben", "g eh1 b @ n"),
        ("verstehen", "f e0 rr sch t eh1 @ n"),
        ("Nation", "n ah0 t s j oh1 n"),
        ("studieren", "sch t uh0 d ih1 r @ n"),
        ("Familie", "f ah1 m ih0 l i0 @"),
        ("Häuser", "h eu1 z @r"),
        ("singen", "z i1 ng @ n"),
        ("Vogel", "f oh1 g @ l"),
        ("Vase", "v ah1 z @"),
        ("z", "t s e1 t"),
    ],
)  # fmt: skip
def test_words(word: str, said: str) -> None:
    assert " ".join(word_phones(word)) == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Stream", "sch t r ih1 m"), ("Livestream", "l ei1 f s t r ih0 m"), ("gestreamt", "g @ sch t r ih1 m t"),
        ("Game", "g eh1 m"),
        ("Games", "g eh1 m s"), ("cool", "k uh1 l"), ("coole", "k uh1 l @"), ("Boss", "b o1 s"), ("Chat", "t sch e1 t"),
        ("nice", "n ei1 s"),
        ("Chatverlauf", "t sch e1 t f e0 rr l au0 f"), ("Teams", "t ih1 m s"), ("liken", "l ei1 k @ n"),
        ("geliked", "g @ l ei1 k t"),
        ("chillen", "t sch i1 l @ n"), ("Orange", "q oh1 r a0 ng sch @"),
        # words that only look like abbreviations
        ("Achat", "q a1 x ah0 t"), ("genießen", "g @ n ih1 s @ n"), ("Runen", "r uh1 n @ n"), ("Mappe", "m a1 p @"),
        ("Bann", "b a1 n"),
        ("eventuell", "q eh0 f e0 n t uh0 e1 l"),
    ],
)  # fmt: skip
def test_loan_words(word: str, said: str) -> None:
    assert " ".join(word_phones(word)) == said


def test_a_sentence_has_pauses_and_a_closing_mark() -> None:
    said = phones("Ja, gut! Und du?")
    bare = [(name.removeprefix(PREFIX), word) for name, word in said]
    assert bare == [
        ("pau", -1), ("j", 0), ("ah1", 0), ("pau", -1), ("g", 1), ("uh1", 1), ("t", 1), ("!", -1),
        ("pau", -1), ("q", 2), ("u1", 2), ("n", 2), ("t", 2), ("d", 3), ("uh1", 3), ("?", -1),
    ]  # fmt: skip
    assert phones("ohne Ende")[-1] == (PREFIX + ".", -1)


def test_abbreviations_in_capitals_are_spelled() -> None:
    assert phones("Die USA.") == phones("Die uh ess a.")
    assert read("UND WIE GEHT ES", "de").text == "und wie geht es", "a line of capitals is only loud"


def test_nothing_german_is_an_error() -> None:
    for text in ("", "...", "日本"):
        with pytest.raises(ValueError, match="nothing"):
            phones(text)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("abcdefghijklmnopqrstuvwxyzäöüßÄÖÜ .,!?-'"))))
def test_any_text_becomes_symbols_of_the_vocabulary(text: str) -> None:
    try:
        said = phones(text)
    except ValueError:
        assert not re.search("[a-zäöüß]", text, re.IGNORECASE | re.ASCII)
        return
    assert {name for name, _ in said} <= set(german.NEAREST) <= set(VOCABULARY)
    words = [word for _, word in said if word >= 0]
    assert sorted(set(words)) == list(range(max(words) + 1))
    assert words == sorted(words)
    assert said[0] == (PREFIX + "pau", -1) and said[-1][0] in {PREFIX + mark for mark in ".?!"}


def test_the_aligner_knows_every_phone() -> None:
    spoken = [name for name in german.NEAREST if name[len(PREFIX)].isalpha() or "@" in name]
    marks = {PREFIX + "pau", german.GLOTTAL}
    assert all(re.fullmatch("[A-Z]{1,2}", sphinx_phone(name)) for name in spoken if name not in marks)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3 Katzen", "drei Katzen"),
        ("Am 3. Mai 1989 um 14:30 Uhr", "Am dritten Mai neunzehnhundertneunundachtzig um vierzehn Uhr dreißig"),
        ("Das kostet 12,50 €, oder $5.", "Das kostet zwölf Euro fünfzig, oder fünf Dollar."),
        ("1.234,5 km bei -5 °C", "eintausendzweihundertvierunddreißig Komma fünf Kilometer bei minus fünf Grad"),
        ("z. B. 20% in 1 h", "zum Beispiel zwanzig Prozent in einer Stunde"),
        ("der 2. Sieger in der 1. Runde", "der zweite Sieger in der ersten Runde"),
        ("Es waren 20. Dann ging er.", "Es waren zwanzig. Dann ging er."),
        ("1 Stunde und 1 Apfel", "eine Stunde und ein Apfel"),
        ("5-10 Leute, 2x3", "fünf bis zehn Leute, zwei mal drei"),
        ("007", "null null sieben"),
        ("3 Mio. Euro", "drei Millionen Euro"),
    ],
)
def test_numbers_are_written_out(written: str, said: str) -> None:
    assert read(written, "de").text == said


def test_numbers_agree_with_num2words() -> None:
    for n in [*range(2000), 10**6, 1234567, 2 * 10**6, 10**9, 3 * 10**12 + 5, 21 * 10**15 + 1]:
        assert cardinal(str(n)).lower() == num2words(n, lang="de").lower()
    for n in range(1, 100):
        assert german_ordinal(str(n)) == num2words(n, lang="de", to="ordinal")
    for n in range(1100, 2030):
        assert german_year(n) == num2words(n, lang="de", to="year")
