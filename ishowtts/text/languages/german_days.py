"""German: the days of the week in short, with a full stop or before a time."""

from __future__ import annotations

from ..grammar import Found
from ..numbers import Numbers
from ..scan import Line

_BESIDE_DAYS = frozenset(("bis", "und", "u", "am", "ab", "jeden", "von", "oder"))
_JOINING = frozenset(("und", "u", "oder", "von", "bis"))
_BEFORE_DAYS = _BESIDE_DAYS | {"letzten", "nächsten", "kommenden", "diesen", "vorigen", "woche", "seit", "vom", "zum"}


class Days(Numbers):
    """Rules for days of the week."""

    def weekday_short(self, line: Line, i: int) -> Found | None:
        """A day of two letters with a full stop, or two of them with a dash between: Mo., Mo.-Fr."""
        part, shape = line.parts[i], line.shape
        day = self.weekdays.get(part.lower()) if part[0].isupper() and len(part) == 2 else None
        if not day:
            return None
        k = i + 5 if shape[i + 2 : i + 5] in (" - ", " – ") else i + 3
        if shape[k - 1] in "-– " and shape[i + 2] in "-– " and (last := self.weekdays.get(line.parts[k].lower())):
            end = k + 2 if shape[k + 1] == "." and not self.closes(line, k + 2) else k + 1
            return Found(end, f"{day} {self.say_['to']} {last}", "date")
        return Found(i + 1 if self.closes(line, i + 2) else i + 2, day, "date") if self.is_weekday(line, i) else None

    def is_weekday(self, line: Line, i: int) -> bool:
        """Whether the two letters at run `i`, before a full stop, are a day of the week by the words beside them."""
        before = line.word_before(i)
        if before in _BEFORE_DAYS and line.before(i) == " ":  # "und Fr. Meier" is a lady
            named = line.parts[i] == "Fr" and before in _JOINING and line.word_after(i + 2)[:1].isupper()
            return not named
        if line.shape[max(i - 2, 0) : i] in ("+ ", "& ", "/ ") and line.last == "symbol":
            return True
        if line.shape[i + 2] == " " and line.parts[i] not in ("So", "Fr") and line.word_after(i + 2).islower():
            return True  # no sentence begins there
        k = i + 3 if line.shape[i + 2] == " " else i + 2
        return line.shape[k] in "0-–/+&" or (line.shape[k] == "a" and line.parts[k] in _BESIDE_DAYS)

    def begins_time(self, line: Line, i: int, day: str) -> bool:
        """As in 20 Uhr, 19:30, 5. Mai, 3.5.; so is a word where it is no noun."""
        shape, parts = line.shape, line.parts
        if shape[i] != "0" or len(parts[i]) > 2 or (day == "so"):
            return False
        if shape[i + 1] == ":" and shape[i + 2] == "0":
            return True
        if line.word_after(i + 1).lower() == "uhr" or parts[i + 1] == "h" or shape.startswith("-0 a", i + 1):
            return True
        month = line.word_after(i + 2).lower() in self.months
        return day[0].isupper() and shape[i + 1] == "." and (month or shape.startswith("0.", i + 2))
