"""Comparison of settings: paired differences to the baseline, verdicts, and the Pareto front.

A setting is accepted where the whole 95 % interval of its loss is within the limit of every judged measure, and
rejected where the whole interval of one measure is beyond its limit. Otherwise there is not enough data; the number of
further sentences is estimated from the width that the interval must have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ishowtts.extras import require
from ishowtts.quality import bootstrap
from ishowtts.quality.measure import MEASURES

from .settings import BASELINE, Setting


class Limit(NamedTuple):
    """The largest accepted loss: `value` in the measure's unit or, if `relative`, as a share of the baseline."""

    value: float
    relative: bool = False


LIMITS: dict[str, Limit] = {
    "mos": Limit(0.05, relative=True),
    "wer": Limit(0.03),
    "similarity": Limit(0.03),
    "faults": Limit(0.1),
}
LEAST = 10
"""Smallest number of sentences for a verdict; a bootstrap of fewer gives intervals that are too narrow."""
MEASURED = (*MEASURES, "rtf")
_PAIR = ["sentence", "seed"]


def _resampled(values: NDArray[np.float64], clusters: NDArray[np.intp]) -> NDArray[np.float64]:
    """Bootstrap means over sentences; all seeds of a sentence are drawn together, because they are not independent."""
    count = int(clusters.max()) + 1
    sums, sizes = np.bincount(clusters, values, count), np.bincount(clusters, minlength=count)
    picks = bootstrap.resamples(count)
    return np.asarray(sums[picks].sum(axis=1) / sizes[picks].sum(axis=1))


def compare(frame: Any, baseline: Setting = BASELINE) -> Any:
    """Paired differences to the baseline: a DataFrame with one row for each setting and measure.

    `frame`: of `sweep`. Columns: setting, measure, mean, baseline (its mean), difference, low, high (95 % interval),
    pairs, sentences. For "rtf" the difference is the ratio to the baseline minus 1.
    """
    pandas = require("pandas", "a comparison")
    base = frame[frame["setting"] == baseline.name].set_index(_PAIR)
    rows = []
    for name, own in frame.groupby("setting", sort=False):
        own = own.set_index(_PAIR)
        for what in (column for column in MEASURED if column in frame):
            pair = pandas.concat([own[what], base[what]], axis=1, keys=["own", "base"]).astype(float)
            pair = pair[np.isfinite(pair).all(axis=1)]
            if pair.empty:
                continue
            loss = (pair["own"] - pair["base"]).to_numpy()
            if what == "rtf":
                loss = (pair["own"] / pair["base"]).to_numpy() - 1
            _, clusters = np.unique(pair.index.get_level_values("sentence"), return_inverse=True)
            low, high = bootstrap.bounds(_resampled(loss, clusters))
            rows.append({
                "setting": name, "measure": what, "mean": pair["own"].mean(), "baseline": pair["base"].mean(),
                "difference": loss.mean(), "low": low, "high": high, "pairs": len(pair),
                "sentences": int(clusters.max()) + 1,
            })  # fmt: skip
    return pandas.DataFrame(rows)


def verdict(measure: str, row: Mapping[str, Any], limit: Limit) -> tuple[str, int]:
    """The verdict on one measure of a setting, and the number of further sentences that it needs.

    "accept", "reject" or "not enough data"; `row`: of `compare`.
    """
    most = limit.value * (abs(row["baseline"]) if limit.relative else 1)
    sign = -MEASURES[measure].better  # a loss is positive
    loss, low, high = (sign * row[name] for name in ("difference", "low", "high"))
    low, high = min(low, high), max(low, high)
    if row["sentences"] < LEAST:
        return "not enough data", LEAST - row["sentences"]
    if high <= most:
        return "accept", 0
    if low > most:
        return "reject", 0
    half, margin = (high - low) / 2, abs(most - loss)
    needed = row["sentences"] * (half / margin) ** 2 if margin > 0 else math.inf
    return "not enough data", int(min(max(math.ceil(needed) - row["sentences"], 1), 9999))


def verdicts(compared: Any, baseline: Setting = BASELINE, limits: Mapping[str, Limit] = LIMITS) -> Any:
    """A DataFrame with one row for each setting but the baseline; `compared`: of `compare`.

    Columns: setting, verdict, why (the measures that decided), more (further sentences that are needed).
    """
    pandas = require("pandas", "a comparison")
    rows = []
    for name, own in compared[compared["setting"] != baseline.name].groupby("setting", sort=False):
        judged = {
            row["measure"]: verdict(row["measure"], row, limits[row["measure"]])
            for row in own.to_dict("records")
            if row["measure"] in limits
        }
        for outcome in ("reject", "not enough data", "accept"):
            why = [measure for measure, (found, _) in judged.items() if found == outcome]
            if why:
                more = max(judged[measure][1] for measure in why)
                rows.append({"setting": name, "verdict": outcome, "why": ", ".join(why), "more": more})
                break
    return pandas.DataFrame(rows, columns=["setting", "verdict", "why", "more"])


def pareto(compared: Any, measure: str = "mos") -> list[str]:
    """Names of the settings on the Pareto front: no other one is better in `measure` or speed and worse in neither."""
    points = compared[compared["measure"].isin([measure, "rtf"])].pivot(
        index="setting", columns="measure", values="mean"
    )
    if measure not in points or "rtf" not in points:
        return []
    better = MEASURES[measure].better * points[measure].to_numpy()
    rtf = points["rtf"].to_numpy()
    return [
        name
        for i, name in enumerate(points.index)
        if not (((better >= better[i]) & (rtf <= rtf[i])) & ((better > better[i]) | (rtf < rtf[i]))).any()
    ]
