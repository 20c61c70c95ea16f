"""How Mandarin tones change beside each other: 不, 一, third tones, and the r of erhua. By rules on words."""

from __future__ import annotations

from itertools import pairwise

Word = tuple[str, list[str]]
"""A word in characters and its syllables with tone digits."""

_REAL_ER_TABLE = """
    女儿 男儿 婴儿 幼儿 孤儿 胎儿 健儿 少儿 宠儿 患儿 小儿 弃儿 育儿 孩儿 混血儿 新生儿 早产儿 畸形儿 低能儿 弄潮儿 幸运儿
    产儿 娇儿 妻儿 孙儿 侄儿 爱儿 生儿 乳儿
"""
_REAL_ER = frozenset(_REAL_ER_TABLE.split())
"""Words in which 儿 is a syllable of its own: a child."""
_DIGITS = frozenset("零〇一二三四五六七八九十百千万亿两几")
_ORDINAL = ("一月", "一号", "一等", "一级", "一班", "一年级", "一楼", "一战", "一中")


def _erhua(words: list[Word]) -> list[Word]:
    """Joins the r of 儿 to the syllable before it."""
    out: list[Word] = []
    for word, syllables in words:
        ends = word.endswith("儿") and len(syllables) == len(word) and word not in _REAL_ER
        if ends and len(word) > 1:
            out.append((word, [*syllables[:-2], _coloured(syllables[-2])]))
        elif ends and out and out[-1][1] and not out[-1][0].endswith("儿"):
            before, said = out[-1]
            out[-1] = (before + word, [*said[:-1], _coloured(said[-1])])
        else:
            out.append((word, syllables))
    return out


def _coloured(syllable: str) -> str:
    return syllable[:-1] + "r" + syllable[-1]


def _tone(syllable: str) -> str:
    return syllable[-1:]


def _bu_and_yi(chars: str, said: list[str], starts: set[int]) -> None:
    """Tones of 不 and 一 by what follows, in place; `starts`: where words begin."""
    for i, char in enumerate(chars):
        if char not in "不一" or said[i][:-1] not in ("bu", "yi"):
            continue
        before, after = chars[i - 1] if i else "", chars[i + 1] if i + 1 < len(chars) else ""
        if before and before == after and before not in _DIGITS:
            said[i] = said[i][:-1] + "5"  # 是不是, 看一看
        elif not after:
            pass
        elif char == "不":
            said[i] = "bu2" if _tone(said[i + 1]) == "4" else "bu4"
        elif not _counts(chars, i, starts):
            falls = _tone(said[i + 1]) == "4" or after in "个個"
            said[i] = "yi2" if falls else "yi4"


def _counts(chars: str, i: int, starts: set[int]) -> bool:
    """Whether the 一 at `i` keeps its own tone: a digit among others, an ordinal, the end of a word."""
    before, after = chars[i - 1] if i else "", chars[i + 1]
    if before == "第" or chars.startswith(_ORDINAL, i) or (i not in starts and i + 1 in starts):
        return True
    return (after in _DIGITS and after not in "百千万亿两几") or (before in _DIGITS and before not in "百千万亿两几")


def _third_tones(said: list[str], spans: list[tuple[int, int]]) -> None:
    """A third tone before another is a second one: inside words, then between neighbours of which one is a single syllable."""
    third = [_tone(s) == "3" for s in said]
    for start, end in spans:
        low = start
        if end - start == 3 and all(third[start:end]) and said[start][:-1] in ("xiao", "lao", "mei", "hao", "hen"):
            low = start + 1  # 小老虎: the pair behind belongs together
        for i in range(low, end - 1):
            if third[i] and third[i + 1]:
                said[i] = said[i][:-1] + "2"
    for (start, end), (then, until) in reversed(list(pairwise(spans))):
        short = end - start == 1 or until - then == 1
        if short and _tone(said[end - 1]) == "3" and _tone(said[then]) == "3":
            said[end - 1] = said[end - 1][:-1] + "2"


def apply(words: list[Word]) -> list[Word]:
    """`words`, neighbours without a pause between them, with the tones they are spoken in."""
    chars, starts = "", set()
    said: list[str] = []
    spans: list[tuple[int, int]] = []
    for word, syllables in words:
        if len(word) != len(syllables):
            return _erhua(words)  # a character without a reading: which tone is whose is not known
        starts.add(len(said))
        spans.append((len(said), len(said) + len(syllables)))
        chars += word
        said += syllables
    _bu_and_yi(chars, said, starts)
    _third_tones(said, spans)
    return _erhua([(word, said[start:end]) for (word, _), (start, end) in zip(words, spans, strict=True)])
