"""Mandarin."""

from __future__ import annotations

from ..grammar import Grammar


class Mandarin(Grammar):
    """See the module."""

    language = "zh"
