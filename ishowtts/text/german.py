"""Phones of German words by the rules of German spelling.

German spelling is close to pronunciation, so there is no dictionary but a table of loan words: a letter and its
neighbours give the phone, the consonants after a vowel its length, and stress is on the first syllable of the stem or
on a foreign suffix. Compounds are read as one word. All symbols begin with "de_", so a model with several languages has
separate German sounds.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from . import loan_german

PREFIX = "de_"
_SHORT = ("a", "e", "i", "o", "u", "ö", "ü")
_LONG = ("ah", "äh", "eh", "ih", "oh", "uh", "öh", "üh")
_DIPHTHONGS = ("au", "ei", "eu")
_NEAREST = {
    "b": "b", "d": "d", "f": "f", "g": "g", "h": "hh", "j": "y", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ng",
    "p": "p", "r": "r", "rr": "ax0", "s": "s", "sch": "sh", "t": "t", "v": "v", "x": "hh", "ch": "sh", "z": "z",
    "zh": "zh", "@": "ax0", "@r": "ah0", "a": "ah", "e": "eh", "i": "ih", "o": "ao", "u": "uh", "ö": "uh", "ü": "ih",
    "ah": "aa", "äh": "eh", "eh": "ey", "ih": "iy", "oh": "ow", "uh": "uw", "öh": "er", "üh": "iy", "au": "aw",
    "ei": "ay", "eu": "oy", "q": "pau", "pau": "pau", ".": ".", "?": "?", "!": "!",
}  # fmt: skip
_VOWELS = (*_SHORT, *_LONG, *_DIPHTHONGS)
NEAREST = {
    PREFIX + name + stress: english + stress
    for name, english in _NEAREST.items()
    for stress in (("0", "1") if name in _VOWELS else ("",))
}
"""All German symbols, each with the English phone that sounds most like it."""
GLOTTAL = PREFIX + "q"
"""The symbol of a glottal stop."""

_FOLD = str.maketrans(
    {"æ": "ä", "ø": "ö", "œ": "ö", "å": "o", "ë": "e", "ï": "i", "ł": "l", "đ": "d", "ç": "s", "ñ": "nj"}
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[.!?…]+|[,;:()–—/]|\s-+\s")
_STEM_PREFIX = re.compile(
    r"(?:un)?(be(?=[^aeiouäöü]|a[^u]|ob|ein)|ge(?=[^aeiouäöü]|ä|ö|arb)|ver(?!s(?:e|ion)|b(?:s|en?)?$)|zer|ent(?!e)|emp"
    r"|er(?=[bfghklmvwzs][aeiouäöülrhw]|inn|öff))(?!([bdfgklmnprst])\2)"
)
_FOREIGN_STRESS = re.compile(
    r"(?:(ie)r(?:en|t|te|ten|ter|tes|tem|end|ende|enden|ung|ungen)|i(o)n(?:en|s|är)?|t(ä)t(?:en)?|(i)s(?:mus|men)"
    r"|er(ei)(?:en)?|([ea])nt(?:en|in)?|([eo])ll(?:e|en|er|es)?|(a)l(?:e|en|er|es)?|(ö)s(?:e|en|er|es)?"
    r"|(i)v(?:e|en|er|es)?)$"
)
_SHORT_WORDS = re.compile(
    r"a[bmn]|bi[ns]|das|des|es|hat|hin|i[mn]|man|mit|ob|u[mn]|von|vom|was|weg|zum|drin|plus|bus|job|chef"
)
_LONG_STEMS = re.compile(r".?(?:erst|erd|pferd|mond|obst|nächst|städt)")
_SHORT_ENDINGS = re.compile(r"(?:in|um|us|is|as|os|es|et|it|op|im|am|ig|isch)$")
_SCHWA_ENDS = re.compile(r"(?:|[nmslt]|st|ns|ln|ls|lt|nd|nde[nrsm]?|[rtnl]?e[nrsm]?|rung(?:en)?)$")
_LETTERS = {
    "a": "a", "b": "beh", "c": "zeh", "d": "deh", "e": "eh", "f": "eff", "g": "geh", "h": "hah", "i": "ih",
    "j": "jott", "k": "kah", "l": "ell", "m": "emm", "n": "enn", "o": "oh", "p": "peh", "q": "kuh", "r": "err",
    "s": "ess", "t": "teh", "u": "uh", "v": "fau", "w": "weh", "x": "iks", "y": "üpsilon", "z": "zett", "ä": "äh",
    "ö": "öh", "ü": "üh", "ß": "esszett",
}  # fmt: skip
_VOWEL = "aeiouyäöü"


def _plain(word: str) -> str:
    """The word in lower case without foreign marks and apostrophes: only a-z, ä, ö, ü and ß."""
    out = []
    for char in word.lower().translate(_FOLD):
        if char not in "äöüß":
            char = unicodedata.normalize("NFKD", char)[0]
        if char in "äöüß" or "a" <= char <= "z":
            out.append(char)
    return "".join(out)


def _vowel_groups(word: str) -> list[re.Match[str]]:
    """The vowel letters of each syllable, in order."""
    return list(re.finditer(r"aa|ee|oo|ie|ei|ai|ey|ay|au|eu|äu|[aeiouäöü]|(?<![aeiouäöü])y|y(?![aeiouäöü])", word))


def _stressed(word: str, groups: list[re.Match[str]], stem: int) -> int:
    """The index of the stressed vowel group; `stem`: where the stem begins."""
    foreign = _FOREIGN_STRESS.search(word)
    if foreign and len(groups) > 2:
        at = next(start for start in (foreign.start(g) for g in range(1, foreign.re.groups + 1)) if start >= 0)
        for i, group in enumerate(groups):
            if group.start() <= at < group.end():
                return i
    return next((i for i, group in enumerate(groups) if group.start() >= stem), 0)


def _stem(word: str) -> int:
    """Where the stem begins: after an unstressed prefix, 0 without one."""
    found = _STEM_PREFIX.match(word)
    if not found or not re.search(f"[{_VOWEL}]", rest := word[found.end() :]):
        return 0
    if found[1] in ("be", "ge") and re.fullmatch(r"[^aeiouäöü]+e(?:n|r|l|s|m|rn|ln)?", rest):
        return 0  # "geben", "besten": the prefix is part of the stem
    return found.end()


def _is_long(word: str, group: re.Match[str]) -> bool:
    """Whether a single vowel letter is long, judged by the letters after it."""
    rest = word[group.end() :]
    following = re.match(f"[^{_VOWEL}]*", rest)
    assert following is not None
    consonants, ends = following.group(), len(following.group()) == len(rest)
    if not consonants:
        return True
    if consonants[0] in "hß":
        return True
    if ends and len(consonants) == 1:
        if _SHORT_WORDS.fullmatch(word):
            return False
        if len(_vowel_groups(word)) > 1 and _SHORT_ENDINGS.search(word):
            return False
        return consonants != "x"
    if consonants == "ch":
        return group.group() == "u" or word.startswith("hoch")
    if consonants in ("x", "ck", "ng", "tz", "sch", "j"):
        return False
    if (
        len(consonants) == 1
        or consonants in ("th", "ph", "br", "dr", "gr", "bl", "gl", "kl", "fr")
        or consonants == "qu"
    ):
        return True
    if re.fullmatch(r"[bdgv](?:t|st|te|ten|test|tet)", rest):
        return True
    return group.start() <= 2 and bool(_LONG_STEMS.match(word))


def _vowel(word: str, groups: list[re.Match[str]], i: int, stress: int, stem: int) -> tuple[list[str], int]:
    """The symbols of vowel group `i`, and the number of letters that they stand for."""
    group = groups[i]
    text, rest = group.group(), word[group.end() :]
    mark = "1" if i == stress else "0"
    if text in ("ei", "ai", "ey", "ay"):
        return ["ei" + mark], 2
    if text in ("eu", "äu"):
        return ["eu" + mark], 2
    if text == "au":
        return ["au" + mark], 2
    if text == "ie":
        if i > 0 and re.search(r"(?:[ln]ie|[lnrd]ien)$", word[: group.end()] + rest) and not rest.strip("n"):
            return ["i0", "@"], 2  # "Familie", "Spanien"
        return ["ih" + mark], 2
    if len(text) == 2:
        return [text[0] + "h" + mark], 2
    if text == "e" and i != stress:
        if group.end() < stem:
            return ["e0"], 1  # the prefixes "ver", "zer", "er", "ent", "emp"
        if group.end() <= stem and word[: group.end()].endswith(("be", "ge")):
            return ["@"], 1
        if re.match(r"r(?:n|s|t|st|nd)?$", rest) and i > 0:
            return ["@r"], 2
        if i > 0 and _SCHWA_ENDS.match(rest):
            return ["@"], 1
    name = "ü" if text == "y" else text
    if _is_long(word, group):
        return [name + "h" + mark], 1
    return [("e" if name == "ä" else name) + mark], 1


# (letters, pattern of what follows, phones); the first match is used.
_CONSONANTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tsch", "", ("t", "sch")), ("dsch", "", ("d", "zh")), ("sch", "", ("sch",)), ("chs", "(?!t)", ("k", "s")),
    ("tion", "", ("t", "s", "j")), ("tz", "", ("t", "s")), ("dt", "", ("t",)), ("ck", "", ("k",)), ("ph", "", ("f",)),
    ("th", "", ("t",)), ("pf", "", ("p", "f")), ("qu", "", ("k", "v")), ("rh", "", ("r",)), ("nk", "", ("ng", "k")),
    ("nx", "", ("ng", "k", "s")), ("ng", "(?![aeiouäöü]?[aouäöü])", ("ng",)), ("ss", "", ("s",)), ("ß", "", ("s",)),
    ("zz", "", ("t", "s")),
    ("z", "", ("t", "s")), ("x", "", ("k", "s")), ("w", "", ("v",)), ("j", "", ("j",)), ("y", "", ("j",)),
    ("q", "", ("k",)),
)  # fmt: skip
_DEVOICED = {"b": "p", "d": "t", "g": "k"}
_SYLLABLE_ENDS = re.compile(r".(?:$|[tskpßz]|f|(?:lich|keit|heit|bar|sam|nis|los|schaft))")
_FOREIGN_V = re.compile(r"v(?:[aeiou]?[lrs]?[aio]|e[nrl]t?[aio]|isi|ill|irt)")


def _consonant(word: str, at: int, out: list[str], starts: int) -> tuple[list[str], int]:
    """The symbols of the consonants at `at`, and the number of letters that they stand for.

    `out`: the symbols before; `starts`: where the stem begins.
    """
    rest, before = word[at:], word[at - 1] if at else ""
    onset = at == starts or at == 0
    for letters, follow, phones in _CONSONANTS:
        if rest.startswith(letters) and re.match(follow, rest[len(letters) :]):
            if letters == "tion":
                return (["t", "s", "j"] if before != "s" else ["t", "j"]), 2  # "on" is read afterwards
            return list(phones), len(letters)
    if rest.startswith("ch"):
        if at == 0:
            french, greek = re.match(r"ch[aeio]?[rmn]?[lcm]", rest), re.match(r"ch[ie]m|chin", rest)
            return (["ch"] if greek else ["sch"] if french else ["k"]), 2
        return (["x"] if before in "aou" else ["ch"]), 2
    letter, after = rest[0], rest[1:2]
    if letter == after and letter not in "s":
        return _consonant(word, at + 1, out, starts)[0], 2
    if letter == "c":
        return (["t", "s"] if after and after in "eiäöy" else ["k"]), 1
    if letter == "h":
        return (["h"] if onset or not before or before not in _VOWEL else []), 1
    if letter == "s":
        if onset and after and after in "pt":
            return ["sch"], 1
        voiced = after and after in _VOWEL and (onset or before in _VOWEL + "lmnr")
        return (["z"] if voiced else ["s"]), 1
    if letter == "v":
        native = onset and rest.startswith(("vie", "vol", "vor", "von", "vat", "vog"))
        foreign = _FOREIGN_V.match(rest) and not native
        return (["v"] if after and after in _VOWEL and (foreign or (at and before in "iao")) else ["f"]), 1
    if letter == "r":
        return (["r"] if after and after in _VOWEL and at + 1 != starts else ["rr"]), 1
    if letter == "g" and before == "i" and re.fullmatch(r"g(?:|s|st|t|keit.*|lich.*)", rest) and at > 1:
        return ["ch"], 1
    if letter in _DEVOICED and not onset and _SYLLABLE_ENDS.match(rest):
        return [_DEVOICED[letter]], 1
    return [letter], 1


@lru_cache(4096)
def word_phones(written: str) -> tuple[str, ...]:
    """The symbols of a word without PREFIX; a word without vowels is spelled."""
    word = loan_german.respell(_plain(written))
    groups = _vowel_groups(word)
    if not groups and word:
        return tuple(p for letter in word for p in word_phones(_LETTERS[letter]))
    stem = _stem(word)
    stress = _stressed(word, groups, stem)
    starts = {group.start(): i for i, group in enumerate(groups)}
    out: list[str] = []
    at = 0
    while at < len(word):
        if at in starts:
            if at == 0 or at == stem:
                out.append("q")  # a vowel at the beginning of a word or stem has a glottal stop
            symbols, taken = _vowel(word, groups, starts[at], stress, stem)
            if symbols == ["@r"] and word[at + 1 : at + 2] != "r":
                taken = 1
        else:
            symbols, taken = _consonant(word, at, out, stem)
        out += symbols
        at += taken
    return tuple(out)


def _spelled(word: str) -> str | None:
    """The names of the letters of a word of two or more capitals; None for other words."""
    if len(word) < 2 or not word.isupper():
        return None
    return " ".join(_LETTERS[letter] for letter in _plain(word))


def phones(text: str) -> list[tuple[str, int]]:
    """The symbols of a German text, each with the number of its word, -1 for pauses and closing marks.

    Numbers must be written in words. ValueError: nothing in the text can be read.
    """
    out: list[tuple[str, int]] = [(PREFIX + "pau", -1)]
    words = 0

    def mark(name: str) -> None:
        if words and out[-1][1] >= 0:
            out.append((PREFIX + name, -1))
        elif words and name != "pau" and out[-1][0] == PREFIX + "pau":
            out[-1] = (PREFIX + name, -1)

    for found in _WORD.finditer(unicodedata.normalize("NFC", text)):
        piece = found.group()
        if not re.match(r"[^\W\d_]", piece):
            closing = "?" if "?" in piece else "!" if "!" in piece else "." if piece[0] in ".…" else "pau"
            mark(closing)
            continue
        for part in (_spelled(piece) or piece).split():
            said = word_phones(part)
            if not said:
                continue
            if out[-1][0] in (PREFIX + ".", PREFIX + "?", PREFIX + "!"):
                out.append((PREFIX + "pau", -1))  # a new sentence begins with a pause
            out += [(PREFIX + name, words) for name in said]
            words += 1
    if not words:
        raise ValueError("the text has nothing that German can read")
    mark(".")
    return out
