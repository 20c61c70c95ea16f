"""Web and mail addresses in a line, found in linear time: a chain of labels is examined once."""

from __future__ import annotations

from .scan import Line
from .tables import load

_HOSTS = load("common").list("host")
_WORDS = load("common").list("host word")
_SENTENCE_WORDS = load("common").list("sentence word")
_SITES = load("common").list("site")
_FILES = load("common").list("file")
_STOPS = frozenset(" \n\0<>\"'，。！？、；：（）【】「」《》”“hkx|")
_INSIDE = frozenset("a0.-_+")
"""Classes of runs that continue a chain of labels."""
_CLOSING = frozenset(".,!?;:)]}*~_'")


def is_domain(name: str) -> bool:
    """Whether a name is that of a domain or of a kind of file and no word."""
    low = name.lower()
    return (low in _HOSTS and low not in _WORDS) or low in _FILES


def find(line: Line, i: int) -> tuple[int, str, str] | None:
    """(run after the address, the part to speak, "link" or "mail") of an address at run `i`; None: there is none."""
    shape = line.shape
    if i < line.scanned:
        return None
    if shape[i + 1] == ":" and not shape.startswith("//", i + 2):
        return None
    if shape.startswith("a://", i) and line.parts[i].lower() in ("http", "https", "ftp", "rtmp"):
        end = _tail(line, i + 4)
        host_end, host = _chain(line, i + 4)
        return (end, host.removeprefix("www."), "link") if host_end > i + 4 else None
    if shape[i + 1] == "@" and shape[i + 3] not in _INSIDE:
        return None  # the domain has one label
    end, host = _chain(line, i)
    line.scanned = max(line.scanned, end)
    if shape[end] == "@" and shape[end + 1] in "a0":
        tail, domain = _chain(line, end + 1)
        if "." in domain:
            if shape[tail] == "/" and shape[tail + 1] in "a0":
                tail, path = _path(line, tail)
                domain += path
            return tail, f"{host}@{domain}", "mail"
        return None
    if "." not in host:
        return None
    labels = host.lower().split(".")
    last = labels[-1]
    two_words = last in _SENTENCE_WORDS and len(labels) == 2 and len(labels[0]) > 1 and labels[0].isalpha()
    if two_words and shape[end] != "/" and labels[0] not in _SITES:
        return None  # "stop.it": a space is missing
    slash = shape[end] == "/" and shape[end + 1] in "a0"
    if labels[0] == "www" or (last in _HOSTS and _is_host(line, i, end, labels, slash)):
        return _tail(line, end), host.removeprefix("www.").removeprefix("WWW."), "link"
    if last in _FILES or (
        i == 0 and end == line.count and len(last) > 1 and host.islower() and last.isalpha() and len(labels[0]) > 1
    ):
        return end, host, "link"
    return None


def _is_host(line: Line, i: int, end: int, labels: list[str], slash: bool) -> bool:
    """Whether labels with a known top-level domain are an address, not two sentences without a space between."""
    last = labels[-1]
    if slash or (i == 0 and end == line.count):
        return True
    if last in _WORDS and (len(labels) == 2 and line.shape[end] == " "):
        return False
    written = line.parts[end - 1]
    return not (written[0].isupper() and not written.isupper())  # "over.No way"


def _chain(line: Line, i: int) -> tuple[int, str]:
    """(run after it, text) of a chain of letters and digits joined by single dots, dashes, underscores and pluses."""
    shape, j = line.shape, i
    while shape[j] in "a0":
        j += 1
        while shape[j] in "a0":
            j += 1
        if shape[j] in ".-_+" and shape[j + 1] in "a0":
            j += 1
        else:
            break
    return j, line.text[line.starts[i] : line.starts[j]]


def _path(line: Line, i: int) -> tuple[int, str]:
    shape, j = line.shape, i
    while shape[j] in "/-_." and shape[j + 1] in "a0":
        j += 2
        while shape[j] in "a0":
            j += 1
    return j, line.text[line.starts[i] : line.starts[j]]


def _tail(line: Line, i: int) -> int:
    """The run after the rest of an address: at white space or a character that no address has, before closing marks."""
    shape, j = line.shape, i
    while shape[j] not in _STOPS:
        j += 1
    while j > i and shape[j - 1] in _CLOSING:
        j -= 1
    return j
