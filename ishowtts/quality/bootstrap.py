"""The bootstrap: 95 % intervals of a statistic from samples that are drawn with replacement (Efron 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of samples of an interval."""


def resamples(count: int, seed: int = 0) -> NDArray[np.intp]:
    """Indices [RESAMPLES, count] of samples of `count` items; equal arguments give equal ones, which keeps pairs."""
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))


def bounds(statistics: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a statistic, from its values [RESAMPLES] of all samples."""
    low, high = np.percentile(statistics, [2.5, 97.5])
    return float(low), float(high)
