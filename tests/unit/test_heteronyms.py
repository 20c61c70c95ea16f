"""English heteronyms: words with one spelling and two pronunciations."""

from __future__ import annotations

import pytest

from ishowtts.text.english import phones
from ishowtts.text.heteronyms import respell

LINES = {
    "I read it yesterday": "red",
    "I will read it": "reed",
    "he has read the book": "red",
    "please read my message": "reed",
    "have you read this": "red",
    "did you read my message before": "reed",
    "we are live now": "lyve",
    "are you live": "lyve",
    "go live": "lyve",
    "the live stream": "lyve",
    "I live here": "liv",
    "where do you live": "liv",
    "they live in Berlin": "liv",
    "lead the way": "leed",
    "he took the lead": "leed",
    "made of lead": "led",
    "lead poisoning": "led",
    "the wind blows": "winned",
    "wind it up": "wined",
    "a tear fell": "teer",
    "tears in my eyes": "teers",
    "tear it apart": "tair",
    "don't tear up": "tair",
    "close the door": "klohze",
    "that was so close": "kloce",
    "close enough": "kloce",
    "don't close the game": "klohze",
    "use it": "yooz",
    "no use": "yoose",
    "the object is red": "obbject",
    "I refuse to go": "rifuze",
    "please refuse it": "rifuze",
    "I use Linux": "yooz",
    "excuse me": "ekscuze",
    "no excuse": "ekskyoose",
    "record it": "rikord",
    "a new record": "reckerd",
    "take cover and bow down": "bow",
    "take a bow": "bow",
    "she lives here": "livs",
    "three lives left": "lives",
    "desert him": "dizurt",
    "in the desert": "desert",
    "Polish food": "poelish",
    "polish it": "polish",
    "dove into it": "doav",
    "a white dove": "dove",
    "invite me": "invyte",
    "they rebel": "ribel",
    "bow and arrow": "boe",
    "bass guitar": "base",
    "minute details": "mynoot",
    "wait a minute": "minit",
}


SOUNDS = {
    "bow down": "b aw1",
    "take a bow": "b aw1",
    "a bow": "b ow1",
    "he bows to us": "b aw1 z",
    "he lives here": "l ih1 v z",
    "nine lives": "l ay1 v z",
    "desert him": "d ih0 z er1 t",
    "Polish food": "p ow1 l ih0 sh",
    "my resume": "r eh1 z uw1 m ey1",
    "dove into": "d ow1 v",
    "rewind it": "r iy1 w ay1 n d",
    "invite me": "ih0 n v ay1 t",
}


@pytest.mark.parametrize(("line", "said"), SOUNDS.items())
def test_respelled_words_sound_as_they_should(line: str, said: str) -> None:
    assert f" {said} " in " ".join(name for name, _ in phones(line))


@pytest.mark.parametrize(("line", "said"), LINES.items())
def test_neighbouring_words_decide(line: str, said: str) -> None:
    assert said in respell(line).split()


@pytest.mark.parametrize(
    ("line", "sound"),
    [("so close", "klow1s"), ("close it", "klow1z"), ("go live", "lay1v"), ("they live", "lih1v"),
     ("he took the lead", "liy1d"),
     ("have you read it", "reh1d"), ("tear it", "teh1r"), ("a tear", "tih1r"), ("wind it up", "way1nd"),
     ("the use", "yuw1s")],
)  # fmt: skip
def test_flite_says_the_respelling_so(line: str, sound: str) -> None:
    assert sound in "".join(name for name, word in phones(line) if word >= 0)


def test_other_words_stay() -> None:
    for line in ("The quick brown fox.", "", "LIVE", "alive and reading", "leading"):
        assert respell(line) == line
