"""Sweeps: many settings speak the same sentences with the same noise, and every difference comes with an interval.

    from ishowtts.sweep import Plan, settings, sweep, compare

    frame = sweep(Plan(settings(nfe="4:8,16,32", precision="fp32,bf16")), "sweep-out")     # tidy: one row a clip
    compare(frame)                                                                    # one row a setting and measure

Runs may be killed and started again: what was spoken and scored is found by its content.
"""

from __future__ import annotations

from .compare import compare, pareto, verdicts
from .run import Plan, sweep
from .settings import Setting, settings

__all__ = ["Plan", "Setting", "compare", "pareto", "settings", "sweep", "verdicts"]
