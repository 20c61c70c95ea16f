"""Makes csrc/chat/language_ngrams.h: how often three letters in a row stand in words of seven languages.

    python -m venv /tmp/words && /tmp/words/bin/pip install faker django sphinx
    /tmp/words/bin/python scripts/language_ngrams.py

The words are the lists of Faker (MIT), the translations of Django (BSD-3-Clause) and Sphinx (BSD-2-Clause), and
csrc/chat/language_words.h. Nothing of them but the counts is kept.
"""

from __future__ import annotations

import importlib.util
import math
import re
import unicodedata
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl")
FAKER = {
    "en": ["en_US"], "de": ["de_DE"], "fr": ["fr_FR"], "es": ["es_ES"], "it": ["it_IT"], "pt": [],
    "nl": ["nl_NL", "nl_BE"],
}  # fmt: skip
KEPT = 4000
"""Trigrams in the table: those that are frequent and tell most."""
STEP = 0.7
"""Of a penalty, in natural logarithms of a frequency."""
ROWS = "    "
WIDTH = 112
HEAD = """/* Trigrams of words by language, made by scripts/language_ngrams.py: each is followed by a digit for each of
 * `modelled`, how much rarer it is there than where it is most frequent. ^ and $ are the ends of a word. */
#ifndef CHAT_LANGUAGE_NGRAMS_H
#define CHAT_LANGUAGE_NGRAMS_H

static const char *const modelled[] = {%s};
enum { MODELLED = sizeof modelled / sizeof *modelled };

static const char *const trigrams[] = {
%s
};
enum { TRIGRAM_ROWS = sizeof trigrams / sizeof *trigrams };

#endif
"""


def words_of(text: str) -> list[str]:
    """Words of a text as the chat compares them."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", unicodedata.normalize("NFKC", text).casefold())


def folder(package: str) -> Path:
    """Where an installed package lies."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"install {package} first: see the head of this file")
    return Path(found.origin).parent


def translated(path: Path, field: str) -> str:
    """The texts of one field of a .po file, without what is no word."""
    content = path.read_text(encoding="utf-8")
    texts = []
    for found in re.finditer(rf'^{field}(?:\[\d\])?\s((?:"(?:[^"\\]|\\.)*"\s*)+)', content, re.MULTILINE):
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found[1]))
        signs = r"%\(\w+\)[sd]|%[sd]|\{[^}]*\}|<[^>]*>|\\n|&\w;|:\w+:`[^`]*`|\S*[/_.]\S*"
        texts.append(re.sub(signs, " ", text))
    return " ".join(texts)


def listed() -> dict[str, list[str]]:
    """The words of csrc/chat/language_words.h by language."""
    content = (ROOT / "csrc/chat/language_words.h").read_text(encoding="utf-8")
    table = content[content.index("common[] = {") : content.index("enum { COMMON")]
    rows = re.finditer(r'\{"(\w\w)",((?:\s*"[^"]*")+)\}', table)
    return {row[1]: "".join(re.findall(r'"([^"]*)"', row[2])).split() for row in rows}


def counted() -> dict[str, Counter[str]]:
    """How often each word is taken, by language."""
    counts: dict[str, Counter[str]] = {language: Counter() for language in LANGUAGES}
    for language in LANGUAGES:
        for name in FAKER[language]:
            file = folder("faker") / "providers/lorem" / name / "__init__.py"
            content = file.read_text(encoding="utf-8")
            for word in words_of(" ".join(re.findall(r'"([^"]+)"', content[content.index("word_list") :]))):
                counts[language][word] += 3
        for package in ("django", "sphinx"):
            for place in (language, f"{language}_BR"):
                for path in sorted(folder(package).glob(f"**/locale/{place}/LC_MESSAGES/*.po")):
                    counts[language].update(words_of(translated(path, "msgstr")))
                    if place == "de":
                        counts["en"].update(words_of(translated(path, "msgid")))
        for word in listed()[language]:
            counts[language][word] += 8
    return counts


def trigrams_of(word: str) -> list[str]:
    """Three letters in a row, the word's ends included."""
    framed = f"^{word}$"
    return [framed[at : at + 3] for at in range(len(framed) - 2)]


def table() -> dict[str, str]:
    """The digits of each trigram that is kept."""
    counts: dict[str, Counter[str]] = {language: Counter() for language in LANGUAGES}
    for language, words in counted().items():
        for word, times in words.items():
            for trigram in trigrams_of(word):
                counts[language][trigram] += 1 + math.log(times)  # type: ignore[assignment]
    totals = {language: sum(found.values()) for language, found in counts.items()}
    worth: dict[str, tuple[float, str]] = {}
    for trigram in sorted(set().union(*counts.values())):
        found = [counts[language][trigram] for language in LANGUAGES]
        if sum(found) < 4:
            continue
        logs = [math.log((n + 0.5) / (totals[language] + 4000)) for n, language in zip(found, LANGUAGES, strict=True)]
        best = max(logs)
        digits = "".join(str(min(9, round((best - one) / STEP))) for one in logs)
        worth[trigram] = sum(found) ** 0.7 * (0.2 + best - sorted(logs)[len(logs) // 2]), digits
    kept = sorted(worth, key=lambda trigram: (-worth[trigram][0], trigram))[:KEPT]
    return {trigram: worth[trigram][1] for trigram in sorted(kept)}


def main() -> None:
    """Write the header."""
    lines = [""]
    for trigram, digits in table().items():
        if len(lines[-1]) + len(trigram) + len(digits) > WIDTH:
            lines.append("")
        lines[-1] += trigram + digits
    rows = "\n".join(f'{ROWS}"{line}",' for line in lines)
    names = ", ".join(f'"{language}"' for language in LANGUAGES)
    (ROOT / "csrc/chat/language_ngrams.h").write_text(HEAD % (names, rows), encoding="utf-8")


if __name__ == "__main__":
    main()
