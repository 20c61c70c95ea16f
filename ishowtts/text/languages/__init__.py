"""The grammars by language; a new language is a module here, a table, and a line below."""

from __future__ import annotations

from ..grammar import Grammar
from .english import English
from .german import German
from .mandarin import Mandarin

GRAMMARS: dict[str, Grammar] = {grammar.language: grammar for grammar in (English(), German(), Mandarin())}
PLAIN = Grammar()
"""For languages that have none: marks, links and emoticons, no numbers."""
