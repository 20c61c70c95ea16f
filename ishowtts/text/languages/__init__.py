"""The grammars by language; a new language needs a module here, a table, and an entry in `GRAMMARS`."""

from __future__ import annotations

from ..grammar import Grammar
from .english import English
from .german import German
from .mandarin import Mandarin

GRAMMARS: dict[str, Grammar] = {grammar.language: grammar for grammar in (English(), German(), Mandarin())}
PLAIN = Grammar()
"""The grammar of other languages: punctuation, links and emoticons, but no numbers."""
