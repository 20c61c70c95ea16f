"""German."""

from __future__ import annotations

from ..grammar import Grammar


class German(Grammar):
    """See the module."""

    language = "de"
