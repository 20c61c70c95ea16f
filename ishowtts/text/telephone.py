"""Rules for groups of digits that are no amounts: phone numbers, IP addresses, versions."""

from __future__ import annotations

from .grammar import Found
from .scan import PAD, Line
from .words import Words

_LINKS = frozenset("-.,) ")
_SERVICE = frozenset(("800", "833", "844", "855", "866", "877", "888", "900"))


class Telephones(Words):
    """Rules for groups of digits, on top of those for words."""

    def address_numbers(self, line: Line, i: int) -> Found | None:
        """An IP address, version or phone number: three or more numbers with the same character between."""
        shape, parts = line.shape, line.parts
        if shape[i - 1] in "0-./:":
            return None
        if shape.startswith("0 0 0", i) and [len(parts[k]) for k in (i, i + 2, i + 4)] == [3, 3, 4]:
            return Found(i + 5, self.grouped([parts[k] for k in (i, i + 2, i + 4)]), "phone")
        if shape.startswith("0-0-0", i) and shape[i + 5] not in "a0-/" and not line.computes(i):
            groups = [parts[k] for k in (i, i + 2, i + 4)]
            if max(map(len, groups)) < 3:  # kills, deaths and assists
                return Found(i + 5, f"{self.say_.get('three', '')} ".join(map(self.cardinal, groups)), "number")
        if shape.startswith("0.0.0", i) and not self.grouped_by_points(line, i):
            j, groups = i + 1, [parts[i]]
            while shape[j] == "." and shape[j + 1] == "0" and len(groups) < 12:
                groups.append(parts[j + 1])
                j += 2
            if [len(group) for group in groups] == [3, 3, 4]:
                return Found(j, self.grouped(groups), "phone")
            if len(groups) == 4 and all(len(group) < 4 for group in groups):
                return Found(j, f" {self.address['.']} ".join(map(self.digits, groups)), "address")
            if len(groups) == 3 and len(groups[0]) < 4 and [len(group) for group in groups[1:]] == [3, 3]:
                return Found(j, self.cardinal("".join(groups)), "number")
            return Found(j, f" {self.say_['point']} ".join(self.number_or_digits(group) for group in groups), "version")
        return self.telephone(line, i)

    def grouped_by_points(self, line: Line, i: int) -> bool:
        """Whether full stops separate thousands in the number at run `i`."""
        return False

    def number_or_digits(self, group: str) -> str:
        """A group of digits in a version: digit by digit if it begins with zero or is long, else as a cardinal."""
        return self.digits(group) if (group[0] == "0" and len(group) > 1) or len(group) > 6 else self.cardinal(group)

    def telephone(self, line: Line, i: int) -> Found | None:
        """A phone number: groups of digits with dashes, parentheses or a leading plus sign."""
        shape, parts = line.shape, line.parts
        if shape[i] == "0" and (shape[i + 1] != "-" or shape[i + 2] not in "0-.,) "):
            return None
        if shape[i - 1] in "a0" or (line.computes(i) and shape[i] != "+"):
            return None
        j, dashes = i, 0
        groups: list[str] = []
        opened = shape[i] == "("
        if shape[i] == "+":
            j += 1
        start = j
        while len(groups) < 8:
            if shape[j] == "(":
                j += 1
            if shape[j] != "0" or len(parts[j]) > 8:
                break
            groups.append(parts[j])
            j += 1
            at = j
            while j - at < 2 and shape[j] in _LINKS:
                j += 1
            if shape[j] == "(" and shape[i] == "+":
                continue
            if j == at or shape[j] != "0" or shape[at:j] == ", " or (shape[at] in " ." and shape[i] not in "+("):
                j = at
                break
            dashes += "-" in shape[at:j]
        sizes = [len(group) for group in groups]
        digits = sum(sizes)
        if shape[j - 1] in " -.,":
            return None
        if shape[i] == "+":
            if not (len(groups) > 1 and 7 <= digits <= 15 and sizes[0] < 4 and shape[start] == "0"):
                return None
            return Found(j, self.international(groups), "phone")
        if opened:
            if not (len(groups) > 1 and 6 <= digits <= 15 and shape[i + 2] == ")" and sizes[0] > 1):
                return None
            return Found(j, self.grouped(groups), "phone")
        if dashes != len(groups) - 1 or shape[j] == "/":
            return None
        if sizes[:2] == [1, 3] and groups[1] in _SERVICE and len(groups) == 2 and shape[j] == "-":
            return self.vanity(line, j, groups)
        known = (
            sizes in ([3, 4], [3, 2, 4], [3, 8], [4, 7], [4, 8], [3, 7])
            or sizes[:3] == [3, 3, 4]
            or sizes[:4] == [1, 3, 3, 4]
        )
        if len(groups) == 2 and sizes != [3, 4] and groups[0][0] != "0":
            known = False
        if known and shape[j] not in "a-":
            return Found(j, self.grouped(groups), "phone")
        return None

    def local_phone(self, line: Line, i: int) -> Found | None:
        """A phone number whose groups begin with a zero: 0171 1234567, 030/123456, 0800 123 456."""
        shape, parts = line.shape, line.parts
        if not (parts[i][0] == "0" and 2 < len(parts[i]) < 7 and shape[i + 1] in " /-" and shape[i + 2] == "0"):
            return None
        end, groups = i + 3, [parts[i], parts[i + 2]]
        while shape[end] in " -" and shape[end + 1] == "0" and end - i < PAD // 2:
            groups.append(parts[end + 1])
            end += 2
        if not 6 < sum(map(len, groups)) < 15 or shape[end] in "a:.":
            return None
        return Found(end, self.grouped(groups), "phone")

    def vanity(self, line: Line, j: int, groups: list[str]) -> Found | None:
        """A phone number with words: 1-800-GO-2-HAUL."""
        said, end = [self.grouped(groups)], j
        while line.shape[end] == "-" and line.shape[end + 1] in "a0" and len(said) < 8:
            part = line.parts[end + 1]
            said.append(self.digits(part) if part.isdigit() else part.lower())
            end += 2
        return Found(end, " ".join(said), "phone")

    def grouped(self, groups: list[str]) -> str:
        """The groups of a phone number, digit by digit with pauses between the groups."""
        said = []
        for n, group in enumerate(groups):
            whole = self.language == "en" and n < 2 and group in _SERVICE and group.endswith("00")
            said.append(self.cardinal(group) if whole else self.digits(group))
        return ", ".join(said)

    def international(self, groups: list[str]) -> str:
        """The groups of a phone number after a plus sign."""
        return f"{self.symbols['+']} {self.grouped(groups)}"
