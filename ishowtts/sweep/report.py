"""The reports of a sweep: CSV, Parquet, an HTML page, and a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ishowtts.extras import require
from ishowtts.quality import clips, page
from ishowtts.quality.measure import MEASURES

from .compare import LIMITS, MEASURED, compare, pareto, verdicts

if TYPE_CHECKING:
    from .run import Plan

LISTENED = 3
"""Number of sentences whose clips are on the page."""


def _digits(measure: str) -> int:
    return MEASURES[measure].digits if measure in MEASURES else 3


def text(compared: Any, judged: Any) -> str:
    """A table for the terminal, one line for each setting: means, differences to the baseline, the verdict.

    `compared`, `judged`: of `compare` and `verdicts`.
    """
    front = pareto(compared)
    names = [name for name in ("mos", "wer", "similarity", "faults", "rtf") if name in set(compared["measure"])]
    wide = max(compared["setting"].str.len())
    lines = [f"  {'setting':{wide}} " + " ".join(f"{name:>26}" for name in names) + "  verdict"]
    decided = judged.set_index("setting")
    for setting, own in compared.groupby("setting", sort=False):
        rows = own.set_index("measure")
        cells = []
        for name in names:
            if name not in rows.index:
                cells.append(f"{'–':>26}")
                continue
            row, d = rows.loc[name], _digits(name)
            span = f"({row['low']:+.{d}f} to {row['high']:+.{d}f})"
            cells.append(f"{row['mean']:.{d}f} {span}".rjust(26))
        what = ""
        if setting in decided.index:
            found = decided.loc[setting]
            what = f"{found['verdict']}: {found['why']}" + (
                f", {found['more']} more sentences" if found["more"] else ""
            )
        lines.append(f"{'*' if setting in front else ' '} {setting:{wide}} {' '.join(cells)}  {what}")
    lines.append(
        "* on the Pareto front of mos and rtf; in brackets the 95 % interval of the difference to the baseline "
        "(rtf: relative)"
    )
    return "\n".join(lines)


def front(compared: Any, measure: str = "mos") -> str:
    """A figure of `measure` against the real-time factor, with the Pareto front; "" where one was not measured."""
    points = compared[compared["measure"].isin([measure, "rtf"])].pivot(
        index="setting", columns="measure", values="mean"
    )
    if measure not in points or "rtf" not in points:
        return ""
    require("matplotlib", "a report").use("Agg")
    plt = require("matplotlib.pyplot", "a report")
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    best = points.loc[pareto(compared, measure)].sort_values("rtf")
    axes.plot(best["rtf"], best[measure], "-", color="tab:green", lw=1, label="Pareto front")
    axes.plot(points["rtf"], points[measure], "o", color="0.5", ms=5)
    axes.plot(best["rtf"], best[measure], "o", color="tab:green", ms=7)
    for name, point in points.iterrows():
        axes.annotate(name, (point["rtf"], point[measure]), fontsize=7, xytext=(4, 3), textcoords="offset points")
    axes.set(xscale="log", xlabel="real-time factor (seconds of work for a second of audio)", ylabel=measure)
    axes.legend(fontsize=8)
    return f"<figure>{page.picture(figure, f'{measure} against real-time factor')}</figure>"


def _differences(compared: Any) -> str:
    rows = []
    for row in compared.to_dict("records"):
        name, d = row["measure"], _digits(row["measure"])
        limit = LIMITS.get(name)
        allowed = (
            "" if limit is None else f"{limit.value:.0%} of the baseline" if limit.relative else f"{limit.value:g}"
        )
        rows.append([page.escape(row["setting"]), page.escape(name), *(f"{row[k]:.{d}f}" for k in ("mean", "baseline")),
                     *(f"{row[k]:+.{d}f}" for k in ("difference", "low", "high")), allowed,
                     f"{row['pairs']} of {row['sentences']}"])  # fmt: skip
    columns = ["setting", "measure", "mean", "baseline", "difference", "low", "high", "limit", "pairs of sentences"]
    return page.table(columns, rows, range(2, 7))


def _samples(frame: Any, out: Path) -> str:
    sentences = list(dict.fromkeys(frame["sentence"]))[:LISTENED]
    first = frame[(frame["seed"] == 0) & frame["sentence"].isin(sentences)]
    rows = []
    for name, own in first.groupby("setting", sort=False):
        cells = [page.escape(name)]
        for row in own.sort_values("sentence").to_dict("records"):
            clip = clips.read(out / row["file"], row["text"])
            cells.append(f"{page.player(clip, f'{name}: {clip.text}')}<br>{page.spectrogram(clip)}")
        rows.append(cells)
    heads = [page.escape(first[first["sentence"] == name]["text"].iloc[0]) for name in sorted(sentences)]
    return page.table(["setting", *heads], rows)


def html(frame: Any, compared: Any, judged: Any, plan: Plan, out: Path) -> str:
    """The HTML page of a sweep: verdicts, Pareto front, differences, samples from the folder `out`."""
    best = pareto(compared)
    colours = {"accept": "good", "reject": "bad"}
    lines = []
    for row in judged.to_dict("records"):
        more = f", about {row['more']} more sentences" if row["more"] else ""
        mark = '<b class="good">Pareto front</b>' if row["setting"] in best else ""
        outcome = f'<b class="{colours.get(row["verdict"], "")}">{page.escape(row["verdict"])}</b>'
        lines.append([page.escape(row["setting"]), outcome, page.escape(row["why"] + more), mark])
    body = [
        f"<p>Model {page.escape(plan.config.model.name)}, {len(plan.texts)} sentences, {plan.seeds} seeds; compared "
        f"with {page.escape(plan.baseline.name)} on the same sentences and noise. A setting is accepted where the 95 % "
        "interval of its loss is within the limits, and rejected where it is beyond one of them.</p>",
        page.table(["setting", "verdict", "decided by", ""], lines),
        front(compared),
        "<h2>Differences to the baseline</h2>", _differences(compared),
        "<h2>Samples</h2><p>The first sentences, seed 0. "
        "Compare them blind with <code>ishowtts sweep listen</code>.</p>",
        _samples(frame, out),
    ]  # fmt: skip
    return page.document("Sweep", "".join(body))


def save(frame: Any, plan: Plan, out: Path) -> str:
    """Write sweep.csv, sweep.parquet, differences.csv, verdicts.csv and report.html into `out`; the table of `text`.

    MissingPackage: pyarrow or pandas is not installed.
    """
    require("pyarrow", "Parquet")
    compared = compare(frame, plan.baseline)
    judged = verdicts(compared, plan.baseline)
    frame.to_csv(out / "sweep.csv", index=False)
    frame.to_parquet(out / "sweep.parquet", index=False)
    compared.to_csv(out / "differences.csv", index=False)
    judged.to_csv(out / "verdicts.csv", index=False)
    (out / "report.html").write_text(html(frame, compared, judged, plan, out), encoding="utf-8")
    assert set(compared["measure"]) <= set(MEASURED)
    return text(compared, judged)
