"""Rules for words in Latin letters: abbreviations, chat words, acronyms, stretched words, letters with digits.

Results in two or more capitals are spelled letter by letter, all others are read as words.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import emoticons
from .drawn import THREE, shorten
from .grammar import Found, Grammar, new
from .numerals import from_roman
from .scan import Line, Setting
from .tables import Table, load

_VOWELS = frozenset("aeiouyäöüáàâéèêëíìîïóòôõúùûýæøåœ")
_ONSETS = load("common").list("onset")
_CODAS = load("common").list("coda")
_SIGNS = frozenset("+-*/=^×÷±<>≤≥≠≈")
_LETTER_WORDS = frozenset("aiurnkycbxw")
"""Letters that chat writes for words, so that a row of them is no word with spaces between its letters."""
_SPACED = 12
"""Largest number of runs of such a word that are looked at."""
_CONTRACTED = frozenset(("t", "m", "re", "ll", "ve", "d"))
_WORDS_KEPT, _LONGEST_KEPT = 8192, 24
"""Number of ordinary words that are kept with what they are said as, and letters of the longest one."""
_JOINS = frozenset(("and", "or", "und", "u", "oder"))
MERIDIEMS = {"am": "AM", "pm": "PM"}


class Words(Grammar):
    """Rules for words in Latin letters; languages define numbers and further rules."""

    def __init__(self) -> None:
        super().__init__()
        table = self.table
        self.say_ = table.words("say")
        self.chat = table.words("chat")
        self.abbreviations = table.words("abbreviation")
        self.dot = None if self.without_spaces else self.address.get(".")
        """The word before the end of an address, in languages where it is no other word."""
        self.dotted = frozenset(key.partition(".")[0] for key in self.abbreviations)
        self.rules["a"] = (self.ordinary, self.special, self.letters, self.word)
        self.ordinary_word = lru_cache(_WORDS_KEPT)(self.ordinary_word)  # type: ignore[method-assign]
        self.load_latin(table)

    def load_latin(self, table: Table) -> None:
        """Take from a language's table how words in Latin letters are said."""
        self.spelled = table.list("spelled")
        self.said = table.words("said")
        self.short = table.list("short")
        self.models = table.list("model")
        self.capitals = table.list("capitals")
        self.weekdays = table.words("weekday")
        self.before_time = table.list("before time")
        self.before_day, self.sure_days = table.list("before day"), table.list("sure weekday")
        self.doubled = table.list("double")
        self.sounds = table.words("sound")

    def shouted(self, line: Line) -> bool:
        """Whether a line of several words, not only acronyms, is all in capitals, which then do not mark acronyms."""
        words = []
        for part, shape in zip(line.parts, line.shape, strict=False):
            if shape == "a" and len(part) > 1:
                if not part.isupper():
                    return False
                words.append(part)
        return len(words) > 1 and any(self.is_word(word.lower(), False) for word in words)

    # ---- defined by the language -------------------------------------------------------------------------------------

    def cardinal(self, number: str) -> str:
        """A number ("1234" or "12.5") in words."""
        raise NotImplementedError

    def digits(self, number: str) -> str:
        """A number digit by digit."""
        raise NotImplementedError

    def model_number(self, digits: str) -> str:
        """The digits in the name of a product."""
        return self.cardinal(digits)

    def pairs(self, digits: str) -> str:
        """The four digits of a year or in the name of a product."""
        return self.cardinal(digits)

    def special(self, line: Line, i: int) -> Found | None:
        """A token of several words that begins with the word at run `i`, such as a date; None: there is none."""
        return None

    def opens(self, part: str, low: str) -> bool:
        """Whether a rule of the language may read a word by what is beside it; `low`: the word in lower case."""
        return False

    # ---- rules -------------------------------------------------------------------------------------------------------

    def ordinary(self, line: Line, i: int) -> Found | None:
        """A word that is read alike whatever is beside it, as most are."""
        part = line.parts[i]
        if len(part) > _LONGEST_KEPT or line.street:
            return None
        said = self.ordinary_word(part, line.setting)
        if not said or (line.shape[i + 1] == " " and line.shape[i + 2] in "-–"):
            return None
        if said[1] == "chat" and line.said == self.dot:
            return None  # the end of an address, "dot net"
        return new(Found, (i + 1, said[0], said[1], ""))

    def ordinary_word(self, part: str, setting: Setting) -> tuple[str, str] | None:
        """The result of `alone` for a word that is read alike whatever is beside it; None: it may not be."""
        low = part.lower()
        by_itself = len(part) > 1 or low not in self.chat
        if not by_itself or emoticons.begins(part) or (part.isupper() and 1 < len(part) < 4) or self.opens(part, low):
            return None
        return self.alone(part, setting)

    def letters(self, line: Line, i: int) -> Found | None:
        """A token that continues after a word: an address, an abbreviation, "w/", letters with digits."""
        after = line.shape[i + 1]
        if after == " " and line.shape[i + 2] in "-–" and line.shape.startswith(" a", i + 3):
            return self.weekdays_to(line, i, i + 4)
        if after == " ":
            return None
        if after in "-–" and line.shape[i + 2] == "a" and (found := self.weekdays_to(line, i, i + 2)):
            return found
        if i >= line.scanned and after in ".:@-_+0":
            found = self.link(line, i)
            if found:
                return found
        if after == ".":
            return self.abbreviation(line, i)
        if after == "0":
            if line.shape.startswith(".0", i + 2):  # "v1.2": the number is read on its own
                return None
            return self.serial(line, i)
        if after in "/;:" and line.setting.chat:
            for end in (i + 5, i + 3, i + 2):
                said = self.chat.get(line.text[line.starts[i] : line.starts[end]].lower())
                if said and line.shape[end] not in "a0":
                    return Found(end, said, "chat")
        if after == "/" and len(line.parts[i]) == 1 and line.shape[i + 2] == "a":
            return Found(i + 1, line.parts[i].upper(), "letters")  # "r/gaming"
        return None

    def weekdays_to(self, line: Line, i: int, j: int) -> Found | None:
        """Two days of the week in short, at the runs `i` and `j`, with a dash between: Mon-Fri."""
        first, last = (self.weekdays.get(line.parts[k].lower()) for k in (i, j))
        if not first or not last or line.parts[i][0].isupper() != line.parts[j][0].isupper():
            return None
        return Found(j + 1, f"{first} {self.say_['to']} {last}", "date")

    def weekdays_listed(self, line: Line, i: int) -> Found | None:
        """Days of the week in short from run `i` on, with strokes between: Sat/Sun, Mon/Wed/Fri."""
        shape, parts, said, end = line.shape, line.parts, list[str](), i - 1
        while len(said) < len(self.weekdays) and (day := self.weekdays.get(parts[end + 1].lower())):
            capital = parts[end + 1][0].isupper()
            if capital != parts[i][0].isupper() or (len(parts[end + 1]) < 3 and not capital):
                break
            said.append(day)
            end += 2
            if shape[end] != "/":
                break
        return Found(end, ", ".join(said), "date") if len(said) > 1 and shape[end] not in "/a0" else None

    def weekday(self, line: Line, i: int) -> Found | None:
        """A day of the week in short before a time or a date, with other days between: Sat 8pm, Sa/So ab 15 Uhr."""
        shape, parts, low = line.shape, line.parts, line.parts[i].lower()
        if low not in self.weekdays or parts[i].isupper():
            return None
        if shape[i + 1] == "/" and (found := self.weekdays_listed(line, i)):
            return found
        named = parts[i][0].isupper() or low in self.sure_days
        if named and line.word_before(i) in self.before_day and line.before(i) == " " and shape[i + 1] != ".":
            return Found(i + 1, self.weekdays[low], "date")  # "next Fri"
        j = i + 1
        for _ in range(2):
            if shape[j] in "+/&" and parts[j + 1].lower() in self.weekdays:
                j += 2
            elif shape.startswith(" a a", j) and parts[j + 1] in _JOINS and parts[j + 3].lower() in self.weekdays:
                j += 4
        if shape[j] in ".,":
            j += 1
        if shape[j] == " " and parts[j + 1].lower() in self.before_time and shape[j + 2] == " ":
            j += 2
        if shape[j] != " " or not self.begins_time(line, j + 1, parts[i]):
            return None
        return Found(i + 2 if shape[i + 1] == "." else i + 1, self.weekdays[low], "date")

    def begins_time(self, line: Line, i: int, day: str) -> bool:
        """Whether a time or a date begins at run `i`, behind the short form `day` of a weekday."""
        return False

    def is_letter(self, line: Line, i: int) -> bool:
        """Whether the single letter at run `i` is a variable, or one of a word with spaces between its letters."""
        shape, before = line.shape, line.before(i)
        if shape[i + 1] in _SIGNS and (shape[i + 1] == "^" or shape[i + 2] in "0(" or len(line.parts[i + 2]) == 1):
            return True
        if before in _SIGNS and i > 1 and (shape[i - 2] == "0" or len(line.parts[i - 2]) == 1):
            return True
        first = last = i
        while (
            first > 1
            and last - first < _SPACED
            and shape[first - 2 : first] == "a "
            and len(line.parts[first - 2]) == 1
        ):
            first -= 2
        while (
            last - first < _SPACED
            and shape.startswith(" a", last + 1)
            and len(line.parts[last + 2]) == 1
            and shape[last + 3] != "0"
        ):
            last += 2
        letters = {line.parts[k].lower() for k in range(first, last + 1, 2)}
        return last - first > 3 and not letters <= _LETTER_WORDS

    def word(self, line: Line, i: int) -> Found:
        """A word, or an emoticon of letters."""
        part = line.parts[i]
        if emoticons.begins(part):
            found = self.emoticon(line, i)
            if found:
                return found
        if part == "AM" and not line.setting.shouted and line.said != "I":
            return Found(i + 1, part, "letters")
        if i < line.street:
            return Found(i + 1, part, "word")
        if line.shape[i + 1] == "²" and len(part) == 1:  # a variable; as a capital it is no chat word
            return Found(i + 1, part.upper() if part in self.chat else part, "letters")
        if len(part) == 1 and part.lower() in self.chat and self.is_letter(line, i):
            return Found(i + 1, part.upper(), "letters")  # as a capital it is no chat word
        if "&" in (line.before(i), line.shape[i + 1]) and part.isupper() and 1 < len(part) < 4:
            return Found(i + 1, " ".join(part), "letters")
        setting = line.setting
        if line.said == self.dot:
            setting = setting._replace(chat=False)
        said, kind = self.alone(part, setting)
        return new(Found, (i + 1, said, kind, ""))

    def single(self, line: Line, i: int) -> Found:
        """A number or a word alone; a sign is not spoken."""
        part, shape = line.parts[i], line.shape[i]
        if shape == "0":
            return new(Found, (i + 1, self.cardinal(part), "number", ""))
        if shape == "a":
            said, kind = self.alone(part, line.setting)
            found = new(Found, (i + 1, said, kind, ""))
            return self.closed_up(found) if self.without_spaces and " " in said else found
        return new(Found, (i + 1, part, "word" if shape in "hkxp" else "mark", ""))

    def alone(self, part: str, setting: Setting) -> tuple[str, str]:
        """A word in its spoken form, without regard to its neighbours, and the kind of its token."""
        low = part.lower()
        if setting.chat and low in self.chat and self.chats(part, setting.shouted):
            return self.chat[low], "chat"
        return self.say(part, low, setting.shouted, chat=setting.chat)

    def chats(self, part: str, is_shouted: bool) -> bool:
        """Whether a word is the chat word of the table and not a grade, an initial or a unit."""
        if part.isupper() and not is_shouted and part.lower() in self.capitals:
            return False
        if len(part) > 2 or not part.isupper():
            return True
        return len(part) > 1 and (is_shouted or part not in self.table.section("unit"))

    def say(self, part: str, low: str, is_shouted: bool, *, chat: bool = False) -> tuple[str, str]:
        """A word in its spoken form, and the kind of its token; `low`: the word in lower case."""
        if len(part) == 1:
            return part, "word"
        if part.isupper():
            stem, mark, end = low.partition("'")
            if end in _CONTRACTED and stem not in self.spelled:
                return ("I" + low[1:] if stem == "i" else low), "word"
            if stem in self.said:
                return self.said[stem] + mark + end, "word"
            if len(part) < 3 or not THREE.search(low):
                return (low, "word") if self.is_word(stem, is_shouted) else (stem.upper() + mark + end, "letters")
        if len(part) > 2 and part[-1] == "s" and part[:-1].isupper() and not self.is_word(low[:-1], is_shouted):
            return part, "letters"  # "PCs"
        if len(part) == 2 and part[1] == "s" and part[0].isupper() and low not in self.short and low[0] not in _VOWELS:
            return f"{part[0]}'s", "letters"  # "Ws in chat"
        if low in self.spelled:
            return (part if part.isupper() else upper_letters(low)), "letters"
        if low in self.sounds:
            return self.sounds[low], "word"
        if _VOWELS.isdisjoint(low):
            return self.without_vowels(part, low)
        if THREE.search(low):
            short, drawn = shorten(low, self.doubled, self.chat, self.sounds)
            if chat and short in self.chat:
                return self.chat[short], "chat"
            said, kind = self.say(short, short, is_shouted)
            written = drawn.written() if said == drawn.base else said
            return (written.capitalize() if part[0].isupper() and not part.isupper() else written), kind
        if low in self.said:
            return self.said[low], "word"
        return part, "word"

    def is_word(self, low: str, is_shouted: bool) -> bool:
        """Whether a word in capitals is a shouted word and not an acronym."""
        if low in self.short:
            return is_shouted or low not in self.capitals
        if low in self.spelled or _VOWELS.isdisjoint(low):
            return False
        return is_shouted or (len(low) > 3 and pronounceable(low))

    def without_vowels(self, part: str, low: str) -> tuple[str, str]:
        """A word without vowels: a sound of the table ("hmmm"), or letters to spell; with the kind of its token."""
        if THREE.search(low):
            for keep in (2, 1):
                short = THREE.sub(lambda run, keep=keep: run[1] * keep, low)  # type: ignore[misc]
                if short in self.sounds:
                    return shorten(low, (), (), self.sounds)[1].written(), "word"
                if short in self.chat:
                    return self.chat[short], "chat"
            short = THREE.sub(lambda run: run[1], low)
            if short in self.spelled:
                return short.upper(), "letters"
            return THREE.sub(lambda run: run[1] * 3, low).upper(), "letters"
        if "'" in part or len(part) > 8:
            return part, "word"
        return upper_letters(part), "letters"

    def abbreviation(self, line: Line, i: int) -> Found | None:
        """An abbreviation of the table ("Dr.", "z. B."), or an acronym of letters with full stops ("C. S. Lewis")."""
        part, shape = line.parts[i], line.shape
        low = part.lower()
        if low == "min" and "min." in self.say_ and shape.startswith(" 0", i + 2):
            return Found(i + 2, self.say_["min."], "abbreviation")
        if low in self.dotted and (line.setting.shouted or len(part) == 1 or not part.isupper()):
            end, written, best = i, "", None
            for _ in range(4):
                if shape[end] != "a" or shape[end + 1] != ".":
                    break
                written += line.parts[end].lower() + "."
                end += 2
                if written in self.abbreviations:
                    best = (end, self.abbreviations[written])
                if shape[end] == " " and shape[end + 1] == "a" and shape[end + 2] == ".":
                    end += 1
            last = f"{written}{line.parts[end].lower()}."  # "z.B", without the last full stop
            if written and shape[end] == "a" and shape[end + 1] not in ".a0'@/" and last in self.abbreviations:
                return Found(end + 1, self.abbreviations[last], "abbreviation")
            if best and self.fits(line, i, best[0]):
                end, said = best
                return Found(end - 1 if self.closes(line, end) else end, said, "abbreviation")
        if len(part) == 1 and part.isalpha():
            return (self.emoticon(line, i) if part in "oO" else None) or self.initials(line, i)
        return None

    def fits(self, line: Line, i: int, end: int) -> bool:
        """Whether the neighbour that an abbreviation needs is there: a number after or before it, or a name after."""
        row = self.table.section("abbreviation")[line.text[line.starts[i] : line.starts[end]].lower().replace(" ", "")]
        if len(row) < 2:
            return True
        if row[1] == "number before":
            return i > 0 and "0" in (line.shape[i - 1], line.shape[i - 2 : i - 1])
        after = line.parts[end + 1] if line.shape[end] == " " else line.parts[end]
        return after[:1].isdigit() if row[1] == "number" else after[:1].isupper() and after != "I"

    def closes(self, line: Line, end: int) -> bool:
        """Whether the full stop of an abbreviation that ends before run `end` also ends a sentence."""
        return line.shape[end] in "\0\n" or (line.shape[end] == " " and line.shape[end + 1] == "\0")

    def initials(self, line: Line, i: int) -> Found | None:
        """An acronym of single letters with a full stop each."""
        shape, parts, end, said = line.shape, line.parts, i, ""
        while shape[end] == "a" and shape[end + 1] == "." and len(parts[end]) == 1 and len(said) < 8:
            said += parts[end].upper()
            end += 2
            if (
                shape[end] == " "
                and shape[end + 1] == "a"
                and shape[end + 2] == "."
                and len(parts[end + 1]) == 1
                and parts[end + 1].isupper()
                and (parts[end + 1] != "I" or said[-1] != "I")  # "So do I. I do."
            ):
                end += 1
        if (
            shape[end] == "a"
            and len(parts[end]) == 1
            and len(said) > 1 - (shape[end - 1] == ".")
            and shape[end + 1] not in "a0."
        ):
            said, end = said + parts[end].upper(), end + 1
            return Found(end, self.joined(said), "letters") if len(said) > 1 else None
        if len(said) > 1:
            return Found(end - 1 if self.closes(line, end) else end, self.joined(said), "letters")
        return None

    def joined(self, letters: str) -> str:
        """Letters of an acronym as one word, or separated where that word would be read as another."""
        low = letters.lower()
        another = low in self.chat or (low in self.short and low not in self.capitals)
        return " ".join(letters) if another else letters

    def serial(self, line: Line, i: int) -> Found:
        """Letters and digits without a space: "GPT4", "25d08A", "ab9453"."""
        shape, end = line.shape, i
        while shape[end] in "a0":
            end += 1
        written = line.text[line.starts[i] : line.starts[end]].lower()
        if line.setting.chat and written in self.chat:
            return Found(end, self.chat[written], "chat")
        if shape[end] == "." and shape[end - 1] == "a":
            short = self.abbreviation(line, end - 1)
            if short:
                return Found(
                    short.end, f"{self.say_serial(line.parts[i : end - 1], line.setting)} {short.spoken}", "serial"
                )
        said = self.say_serial(line.parts[i:end], line.setting)
        if shape[end] == "." and shape[end + 1] == "a":
            end += 1
        return Found(end, said, "serial")

    def say_serial(self, parts: list[str], setting: Setting) -> str:
        """Parts of letters and of digits in words, as in the name of a product."""
        said: list[str] = []
        for n, part in enumerate(parts):
            if not part[0].isdigit():
                word = part.upper() if len(part) == 1 else self.alone(part, setting)[0]
                said += [word] if word else []
            elif len(part) == 4 and n == 1 and part[:2] in ("19", "20"):
                said.append(self.pairs(part))
            elif part[0] != "0" and (
                (len(part) == 3 and n == 1 and len(parts[0]) == 1) or (len(part) == 4 and n and part.endswith("00"))
            ):
                said.append(self.model_number(part))
            elif n == 0 or (len(part) < 3 and part[0] != "0") or part.endswith("00"):
                said.append(self.cardinal(part) if part[0] != "0" and len(part) < 10 else self.digits(part))
            else:
                said.append(self.digits(part))
        return " ".join(said)

    def spell_address(self, written: str, setting: Setting) -> str:
        """An address in words, with names for its punctuation; chat words in it are no chat words."""
        setting = setting._replace(chat=False)
        out: list[str] = []
        dotted = False
        for piece in re.findall(r"[A-Za-z\u00aa-\u024f']+|\d+|.", written):
            if piece.isdigit():
                out.append(self.digits(piece) if len(piece) < 4 or piece[-3:] != "000" else self.cardinal(piece))
            elif piece.isalpha():
                low = piece.lower()
                if (dotted and len(low) == 2 and low not in ("me", "so", "to", "be")) or len(low) == 1:
                    out.append(" ".join(low.upper()) if low in self.short else low.upper())
                else:
                    out.append(self.alone(piece, setting)[0])
            elif piece in self.address:
                out.append(self.address[piece])
            dotted = piece == "."
        return " ".join(out)


def upper_letters(word: str) -> str:
    """A word in capitals, to be spelled; its letters are separated where they would be a Roman numeral."""
    upper = word.upper()
    return " ".join(upper) if from_roman(upper) else upper


def pronounceable(low: str) -> bool:
    """Whether a word has a vowel and begins and ends as syllables can."""
    vowels = [at for at, char in enumerate(low) if char in _VOWELS]
    if not vowels:
        return False
    first, last = low[: vowels[0]], low[vowels[-1] + 1 :]
    return (len(first) < 2 or first in _ONSETS) and (len(last) < 2 or last in _CODAS or last.isalpha() is False)
