"""Sweeps: many settings speak the same sentences with the same noise and are compared, with intervals.

    from ishowtts.sweep import Plan, settings, sweep, compare

    frame = sweep(Plan(settings(nfe="4:8,16,32", precision="fp32,bf16")), "sweep-out")  # one row for each clip
    compare(frame)                                                         # one row for each setting and measure

An interrupted sweep continues where it was: clips and scores are stored under hashes of what produced them.
"""

from __future__ import annotations

from .compare import compare, pareto, verdicts
from .run import Plan, sweep
from .settings import Setting, settings

__all__ = ["Plan", "Setting", "compare", "pareto", "settings", "sweep", "verdicts"]
