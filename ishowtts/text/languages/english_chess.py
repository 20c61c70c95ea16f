"""English: moves of chess as players write them, and what else is written with letters, signs and small numbers."""

from __future__ import annotations

from ..grammar import Found
from ..scan import Line
from .english_names import Names

_PIECES = {"K": "king", "Q": "queen", "R": "rook", "B": "bishop", "N": "knight"}
_FILES = frozenset("abcdefgh")
_RANKS = frozenset("12345678")
_ENDS = {"+": "check", "#": "mate"}
_OTHERS = frozenset(("bf", "re", "kh", "ne", "be"))
"""Letters that before a digit are as well a game or a chat word: Bf4, Re4, Kh2, Be4."""
_NEAR = 16
"""Runs to both sides in which another move or a word of chess is looked for."""
_ASPECTS = frozenset(("16:9", "16:10", "21:9", "32:9"))
_SCREENS = frozenset(("aspect", "monitor", "display", "ratio", "screen", "resolution", "format", "ultrawide", "video"))


class Chess(Names):
    """Rules for moves of chess and for the shapes of screens."""

    def __init__(self) -> None:
        super().__init__()
        self.of_chess = self.table.list("chess")
        self.castling = self.table.words("castling")
        self.next |= {"castles": "-", "ticker": "a"}
        self.rules["$"] = (self.ticker, *self.rules["$"])
        ordinary, *others = self.rules["a"]
        self.rules["a"] = (ordinary, self.castles, *others)

    def ticker(self, line: Line, i: int) -> Found | None:
        """The "$" before the name of a share, which is not spoken: $TSLA."""
        named = line.parts[i + 1].isupper() and len(line.parts[i + 1]) < 6 and line.shape[i + 2] not in "0$"
        return Found(i + 1, "", "mark") if named and line.before(i) in " \0(" else None

    def minus(self, line: Line, i: int) -> Found | None:
        """Also behind the name of a time zone: UTC-5."""
        found = super().minus(line, i)
        zone = not found and line.before(i) == "a" and line.parts[i - 1] in ("UTC", "GMT") and line.shape[i + 1] == "0"
        return Found(i + 1, self.say_["minus"], "symbol") if zone else found

    def castles(self, line: Line, i: int) -> Found | None:
        """O-O-O, and O-O beside other moves."""
        if line.parts[i] != "O" or line.before(i) in "a0-":
            return None
        end = i + 5 if line.shape.startswith("a-a-a", i) else i + 3
        said = self.castling.get(line.text[line.starts[i] : line.starts[end]])
        if not said or line.shape[end] in "a0-" or not (end > i + 3 or self.beside_chess(line, i, end)):
            return None
        return Found(end, said, "chess")

    def serial(self, line: Line, i: int) -> Found:
        """Letters and digits that are a move: Nf3, Qxf7#, exd5, e8=Q."""
        return (line.setting.chat and self.move(line, i)) or super().serial(line, i)

    def move(self, line: Line, i: int) -> Found | None:
        """The move of chess at run `i`, where it is plainly one."""
        letters, rank, end = line.parts[i], line.parts[i + 1], i + 2
        if rank not in _RANKS or len(letters) > 4 or letters[-1] not in _FILES or line.before(i) in "-.:/_@#$":
            return None
        after = line.shape[end]
        queens = after == "=" and line.parts[end + 1] in _PIECES and line.shape[end + 2] not in "a0"
        if after in "a0-_@/:" or (after == "=" and not queens):
            return None
        piece = _PIECES.get(letters[0], "")
        takes = letters[-2:-1] == "x"
        begin = letters[len(piece and letters[0]) : -2 if takes else -1]
        if len(begin) > 1 or (begin and begin not in _FILES) or not (piece or (takes and begin) or queens):
            return None
        plainly = takes or queens or (piece and begin and after in " \0+#.,!?")
        low = letters.lower()
        alone = i == 0 and low not in _OTHERS and low not in self.chat and line.ends(end)
        if not plainly and not alone and not self.beside_chess(line, i, end):
            return None
        said = [piece, begin.upper(), "takes" if takes else "", letters[-1].upper(), self.cardinal(rank)]
        if queens:
            said.append(_PIECES[line.parts[end + 1]])
            end += 2
        if line.shape[end] in _ENDS and line.shape[end + 1] not in "a0":
            said.append(_ENDS[line.shape[end]])
            end += 1
        return Found(end, " ".join(filter(None, said)), "chess")

    def beside_chess(self, line: Line, i: int, end: int) -> bool:
        """Whether another move or a word of chess is near the runs from `i` to `end`."""
        shape, parts = line.shape, line.parts
        for k in (*range(max(i - _NEAR, 0), i), *range(end, min(end + _NEAR, line.count))):
            if shape[k] != "a":
                continue
            part = parts[k]
            if part.lower() in self.of_chess or (part == "O" and line.text.startswith("-O", line.starts[k + 1])):
                return True
            square = part[-1] in _FILES and parts[k + 1] in _RANKS and shape[k + 2] not in "a0"
            if square and (len(part) == 1 or (len(part) < 5 and part[0] in _PIECES and part[1:-1] in ("", "x"))):
                return shape[k - 1] not in "a0" or k == 0
        return False

    def ratio(self, line: Line, i: int) -> Found | None:
        """As everywhere; the sides of a screen are so many by so many."""
        found = super().ratio(line, i)
        if found and f"{line.parts[i]}:{line.parts[i + 2]}" in _ASPECTS:
            screen = line.word_after(i + 3).lower() in _SCREENS
            if screen or not self.is_score(line, i):
                return found._replace(spoken=f"{self.cardinal(line.parts[i])} {self.say_['by']}")
        return found
