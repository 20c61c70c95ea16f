"""How a word is said where the user writes it down: respelled, in the International Phonetic Alphabet, or in phones.

    >>> shown(written("/dʒɪf/", "en"))
    '{jh ih1 f}'

Sounds travel through a reading as characters of a private-use plane, one for a phone or a syllable of pinyin, so that
the rules pass them on, a chunk can be cut anywhere between words, and the front end of a model finds them again.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from . import german, mandarin, tables

_FIRST, _SYLLABLES, _LAST = 0x100000, 0x101000, 0x10FFFD
_CONSONANTS = tuple("b ch d dh f g hh jh k l m n ng p r s sh t th v w y z zh".split())  # noqa: SIM905
_VOWELS = frozenset("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())  # noqa: SIM905
_GERMAN_VOWELS = frozenset(name[3:-1] for name in german.NEAREST if name[-1] in "01")
_MARKS = frozenset(german.PREFIX + name for name in ("pau", ".", "?", "!"))
_ALPHABET = (
    *_CONSONANTS,
    *(vowel + stress for vowel in sorted(_VOWELS) for stress in "01"),
    *(name for name in german.NEAREST if name not in _MARKS),
    mandarin.ERHUA,
)
_CODES = {name: chr(_FIRST + i) for i, name in enumerate(_ALPHABET)}
_NAMES = {code: name for name, code in _CODES.items()}
_FINALS = tuple(
    dict.fromkeys(name[len(mandarin.PREFIX) : -1] for name in mandarin.SYMBOLS if name[-1] in mandarin.TONES)
)
_INITIALS = ("", *(name[len(mandarin.PREFIX) :] for name in mandarin.SYMBOLS if name[-1] not in mandarin.TONES))
_UNSTRESSED = frozenset(("ax",))
_STRESSES = "ˈˌ"
_SILENT = frozenset("ˑ.‿-'()ʰʲˠʷˤ|‖ \u200d")

CODES = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]+")
"""A run of characters that stand for sounds."""
_MANDARIN = re.compile(f"[{chr(_SYLLABLES)}-{chr(_LAST)}]")
_FOREIGN = {code: "\ufffd" for code in (*range(_FIRST, _FIRST + len(_ALPHABET)), *range(_SYLLABLES, _LAST + 1))}

LANGUAGES = ("en", "de", "zh")


def without(text: str) -> str:
    """`text` without characters that stand for sounds: each becomes a mark without a sound, for nobody writes them."""
    return text if not text or max(text) < chr(_FIRST) else text.translate(_FOREIGN)


def is_said(said: str) -> bool:
    """Whether an entry gives sounds, not a respelling."""
    return len(said) > 2 and said[0] + said[-1] in ("//", "{}")


@lru_cache(4096)
def written(said: str, language: str, letters: bool = False) -> str:
    """What stands in a line for an entry's `said`, in a line of `language`; ValueError says what cannot be read.

    `letters`: for a model that reads letters, which gets those that English or German would write for the sounds.
    """
    if not is_said(said):
        return said
    inside = said[1:-1]
    codes = _phones(inside, language) if said[0] == "{" else _ipa(inside, "de" if language == "de" else "en")
    return CODES.sub(_spelled, codes) if letters else codes


def symbols(codes: str) -> list[str]:
    """The phones of a run of characters that stand for sounds."""
    return [name for code in codes for name in (_syllable(code) if ord(code) >= _SYLLABLES else (_NAMES[code],))]


def pinyin(code: str) -> str:
    """The syllable of pinyin that one character stands for, "" for another."""
    if not code >= chr(_SYLLABLES):
        return ""
    initial, final, tone, coloured = _parts(code)
    spelled = initial + {"ii": "i", "iii": "i"}.get(final, final)
    if initial in ("j", "q", "x"):
        spelled = spelled.replace("v", "u")
    if not initial:
        spelled = _bare()[final]
    return spelled + ("r" if coloured else "") + tone


def is_mandarin(text: str) -> bool:
    """Whether a syllable of pinyin stands in `text`."""
    return _MANDARIN.search(text) is not None


def shown(text: str) -> str:
    """`text` for people: phones in braces."""
    return CODES.sub(lambda run: "{" + " ".join(map(_name, run.group())) + "}", text)


def audible(text: str) -> bool:
    """Whether anything in a text that was read has a sound."""
    return any(map(str.isalnum, text)) or CODES.search(text) is not None


def possessive(codes: str) -> str:
    """The sound of an English "'s" behind a word."""
    last = symbols(codes)[-1]
    if last in ("s", "z", "sh", "zh", "ch", "jh"):
        return _CODES["ih0"] + _CODES["z"]
    return _CODES["s" if last in ("p", "t", "k", "f", "th") else "z"]


# ---- from what is written --------------------------------------------------------------------------------------------


def _phones(inside: str, language: str) -> str:
    """Codes of names between braces."""
    names = inside.split()
    if not names:
        raise ValueError("there are no phones between the braces")
    if language == "zh":
        return "".join(map(_mandarin, names))
    known = "English" if language != "de" else "German"
    vowels = _GERMAN_VOWELS if language == "de" else _VOWELS
    prefix = german.PREFIX if language == "de" else ""
    plain = [name.removeprefix(prefix).lower() for name in names]
    bare = [name for name in plain if name in vowels]
    if bare and not any(name[:-1] in vowels for name in plain):
        return _coded(_stressed(plain, [], vowels), prefix)
    for given, name in zip(names, plain, strict=True):
        if prefix + name not in _CODES and name not in vowels:
            raise ValueError(f"{given!r} is no {known} phone; they are {' '.join(_list(language))}")
    return _coded([name + "0" if name in vowels else name for name in plain], prefix)


def _coded(names: list[str], prefix: str) -> str:
    for name in names:
        if prefix + name not in _CODES:
            known = " ".join(_list("de" if prefix else "en"))
            raise ValueError(f"{name!r} is no {'German' if prefix else 'English'} phone; they are {known}")
    return "".join(_CODES[prefix + name] for name in names)


def _list(language: str) -> list[str]:
    """Names of a language's phones, vowels without their stress."""
    if language == "de":
        names = (name[len(german.PREFIX) :] for name in german.NEAREST if name not in _MARKS)
        return list(dict.fromkeys(name.rstrip("01") for name in names))
    return [*_CONSONANTS, *sorted(_VOWELS)]


def _mandarin(name: str) -> str:
    """The code of one syllable of pinyin."""
    said = mandarin.syllable(name)
    if said == [mandarin.ERHUA]:
        return _CODES[mandarin.ERHUA]
    coloured = said[-1] == mandarin.ERHUA
    plain = [part[len(mandarin.PREFIX) :] for part in (said[:-1] if coloured else said)]
    initial, (final, tone) = "" if len(plain) == 1 else plain[0], (plain[-1][:-1], plain[-1][-1])
    place = (_INITIALS.index(initial) * len(_FINALS) + _FINALS.index(final)) * 5 + mandarin.TONES.index(tone)
    return chr(_SYLLABLES + 2 * place + coloured)


def _ipa(inside: str, language: str) -> str:
    """Codes of a transcription in the International Phonetic Alphabet."""
    table = tables.load("phones").words(language)
    longest = max(map(len, table))
    text = _unmarked(inside)
    names: list[str] = []
    stresses: list[int] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in _STRESSES:
            stresses.append(len(names))
            at += 1
            continue
        size = next((n for n in range(min(longest, len(text) - at), 0, -1) if text[at : at + n] in table), 0)
        if not size and char not in _SILENT and char != "ː" and not char.isspace():
            raise ValueError(
                f"{char!r} is no sound of the International Phonetic Alphabet that {_SPEAKER[language]} has"
            )
        if size:
            names += table[text[at : at + size]].split()
        at += size or 1
    if not names:
        raise ValueError("there is no sound between the strokes")
    if language == "en":
        return _coded(_stressed(names, stresses, _VOWELS), "")
    stressed = _stressed(names, stresses, _GERMAN_VOWELS)
    return _coded((["q"] if stressed[0][-1] in "01" else []) + stressed, german.PREFIX)


_SPEAKER = {"en": "the English voice", "de": "the German voice"}


def _unmarked(inside: str) -> str:
    """A transcription with one character for a sound: joining marks go, a syllabic consonant gets its vowel."""
    out: list[str] = []
    for char in unicodedata.normalize("NFD", inside.lower().replace("ɐ̯", "ʶ")):
        if char == "\u0329" and out:
            out.insert(len(out) - 1, "ə")
        elif char == "\u0327" or not unicodedata.combining(char):
            out.append(char)
    plain = unicodedata.normalize("NFC", "".join(out))
    for whole, parts in (
        ("ʧ", "tʃ"),
        ("ʤ", "dʒ"),
        ("ʦ", "ts"),
        ("ɡ", "g"),
        (":", "ː"),
        ("ɚ", "ɚ"),
        ("ˊ", "ˈ"),
        ("′", "ˈ"),
        ("'", "ˈ"),
    ):
        plain = plain.replace(whole, parts)
    return plain


def _stressed(names: list[str], stresses: list[int], vowels: frozenset[str]) -> list[str]:
    """Names with the digit of stress behind vowels; `stresses`: a vowel from there on. None: the first full vowel."""
    places = [i for i, name in enumerate(names) if name in vowels]
    stressed = {next((i for i in places if i >= at), -1) for at in stresses}
    if not stresses and places:
        stressed = {next((i for i in places if names[i] not in _UNSTRESSED), -1)}
    return [name + str(int(i in stressed)) if i in places else name for i, name in enumerate(names)]


# ---- what a code is --------------------------------------------------------------------------------------------------


def _parts(code: str) -> tuple[str, str, str, bool]:
    place, coloured = divmod(ord(code) - _SYLLABLES, 2)
    place, tone = divmod(place, 5)
    initial, final = divmod(place, len(_FINALS))
    return _INITIALS[initial], _FINALS[final], mandarin.TONES[tone], bool(coloured)


def _syllable(code: str) -> tuple[str, ...]:
    initial, final, tone, coloured = _parts(code)
    first = (mandarin.PREFIX + initial,) if initial else ()
    return (*first, mandarin.PREFIX + final + tone, *((mandarin.ERHUA,) if coloured else ()))


@cache
def _bare() -> dict[str, str]:
    """Pinyin's spelling of finals without an initial; those that are spelled as they are stay."""
    found = {final: final for final in _FINALS}
    for final in _FINALS:
        for spelled in (first + rest for first in "yw" for rest in _rests()):
            try:
                if mandarin.syllable(spelled + "1") == [mandarin.PREFIX + final + "1"]:
                    found[final] = spelled
                    break
            except ValueError:
                continue
    return found


def _rests() -> tuple[str, ...]:
    return (
        "i",
        "a",
        "o",
        "e",
        "ai",
        "ao",
        "ou",
        "an",
        "in",
        "ang",
        "ing",
        "ong",
        "u",
        "ei",
        "en",
        "eng",
        "ue",
        "uan",
        "un",
    )


def _name(code: str) -> str:
    return pinyin(code) or _NAMES[code].removeprefix(german.PREFIX).removeprefix(mandarin.PREFIX)


def _spelled(run: re.Match[str]) -> str:
    """The letters of a run of sounds; syllables of pinyin stay, since the models that read letters read pinyin too."""
    table = tables.load("phones")
    english, german_letters = table.words("letters"), table.words("letters de")
    out = []
    for code in run.group():
        name = _NAMES.get(code, "")
        plain = name.removeprefix(german.PREFIX).rstrip("01")
        if not name:
            out.append(code)
        elif name.startswith(german.PREFIX):
            out.append(german_letters.get(plain, plain))
        else:
            out.append(english.get(plain, plain))
    return "".join(out)
