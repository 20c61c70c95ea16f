"""What a sweep shows: differences to the baseline on the same sentences and seeds, a verdict by rule, the Pareto front.

A setting is accepted when the whole 95 % interval of its loss stays within the limit of every judged measure, rejected
when the whole interval of one lies beyond it; otherwise there is not enough data, and the number of further sentences
is estimated from the width that the interval must lose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ishowtts.extras import require
from ishowtts.quality.measure import BOOTSTRAP, MEASURES

from .settings import BASELINE, Setting


class Limit(NamedTuple):
    """The largest loss that is accepted: `value` of the measure's unit, or that part of the baseline's mean."""

    value: float
    relative: bool = False


LIMITS: dict[str, Limit] = {
    "mos": Limit(0.05, relative=True),
    "wer": Limit(0.03),
    "similarity": Limit(0.03),
    "faults": Limit(0.1),
}
LEAST = 10
"""Sentences without which nothing is decided: a bootstrap of fewer is too sure of itself."""
MEASURED = (*MEASURES, "rtf")
_PAIR = ["sentence", "seed"]


def _resampled(values: NDArray[np.float64], clusters: NDArray[np.intp]) -> NDArray[np.float64]:
    """Bootstrap means: sentences are drawn, each with all of its seeds, since seeds of one sentence are no new sentences."""
    count = int(clusters.max()) + 1
    sums, sizes = np.bincount(clusters, values, count), np.bincount(clusters, minlength=count)
    picks = np.random.default_rng(0).integers(count, size=(BOOTSTRAP, count))
    return np.asarray(sums[picks].sum(axis=1) / sizes[picks].sum(axis=1))


def compare(frame: Any, baseline: Setting = BASELINE) -> Any:
    """Paired differences to the baseline: a DataFrame with one row a setting and measure.

    Columns: setting, measure, mean, baseline (its mean), difference, low, high (95 %), pairs, sentences. For rtf
    `difference` is the ratio to the baseline less one.
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
            low, high = np.percentile(_resampled(loss, clusters), [2.5, 97.5])
            rows.append({
                "setting": name, "measure": what, "mean": pair["own"].mean(), "baseline": pair["base"].mean(),
                "difference": loss.mean(), "low": low, "high": high, "pairs": len(pair), "sentences": int(clusters.max()) + 1,
            })  # fmt: skip
    return pandas.DataFrame(rows)


def verdict(measure: str, row: Mapping[str, Any], limit: Limit) -> tuple[str, int]:
    """("accept" | "reject" | "not enough data", further sentences needed) for one measure of one setting."""
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
    half, room = (high - low) / 2, abs(most - loss)
    needed = row["sentences"] * (half / room) ** 2 if room > 0 else math.inf
    return "not enough data", int(min(max(math.ceil(needed) - row["sentences"], 1), 9999))


def verdicts(compared: Any, baseline: Setting = BASELINE, limits: Mapping[str, Limit] = LIMITS) -> Any:
    """One row a setting but the baseline: verdict, why (the measures that decided), more (sentences needed; 0 when decided)."""
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
    """Names of the settings that no other one beats in both `measure` and speed."""
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
