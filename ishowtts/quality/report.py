"""Reports of measured clips: a table for the terminal, JSON, and an HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from . import page
from .clips import Clip
from .measure import MEASURES, Interval, Row, summary


def _columns(rows: Sequence[Row]) -> list[str]:
    return [name for name in MEASURES if any(row.get(name) is not None for row in rows)]


def text(rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    """A table for a terminal, one line for each clip and then the means; `missing`: reasons by group of measures."""
    names = _columns(rows)
    width = max([len(row["clip"]) for row in rows] + [4])
    lines = [f"{'clip':{width}} " + " ".join(f"{name:>10}" for name in names) + "  wrong"]
    for row in rows:
        cells = " ".join(f"{page.number(row.get(name), MEASURES[name].digits):>10}" for name in names)
        lines.append(f"{row['clip']:{width}} {cells}  {row.get('wrong', '')}".rstrip())
    if len(rows) > 1:
        means = summary(rows)
        for label, pick in (("mean", 0), ("low", 1), ("high", 2)):
            cells = " ".join(f"{page.number(means[name][pick], MEASURES[name].digits):>10}" for name in names)
            lines.append(f"{label:{width}} {cells}")
    return "\n".join([*lines, *(f"not measured: {why}" for why in missing.values())])


def plain(value: Any) -> Any:
    """A copy that JSON can represent: numbers that are not finite become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Interval):
        return plain(value._asdict())
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def as_json(rows: Sequence[Row], missing: Mapping[str, str]) -> str:
    """JSON: `{"clips": [...], "summary": {measure: {mean, low, high, n}}, "missing": {group: why}}`."""
    whole = {"clips": list(rows), "summary": summary(rows), "missing": dict(missing)}
    return json.dumps(plain(whole), ensure_ascii=False, indent=1)


def as_html(
    rows: Sequence[Row], clips: Sequence[Clip], missing: Mapping[str, str], references: Mapping[str, Clip]
) -> str:
    """An HTML page with players, spectrograms and plots; `references`: recordings by name of clip."""
    names = _columns(rows)
    means = summary(rows)
    lines = [
        [page.escape(name), page.escape(MEASURES[name].what),
         *(page.number(v, MEASURES[name].digits) for v in means[name][:3]),
         page.escape(MEASURES[name].unit), {1: "more is better", -1: "less is better", 0: ""}[MEASURES[name].better]]
        for name in names
    ]  # fmt: skip
    body = [
        f"<p>{len(rows)} clips, {sum(clip.seconds for clip in clips):.1f} s. 95 % intervals by bootstrap.</p>",
        page.table(["measure", "what it is", "mean", "low", "high", "unit", ""], lines, (2, 3, 4)),
        "".join(f'<p class="quiet">Not measured: {page.escape(why)}</p>' for why in missing.values()),
        page.strips(rows, names),
        "<h2>Clips</h2>",
    ]
    cells = []
    for row, clip in zip(rows, clips, strict=True):
        sound = page.player(clip, clip.name)
        if clip.name in references:
            sound += '<br><span class="quiet">recording</span><br>'
            sound += page.player(references[clip.name], f"recording of {clip.name}")
        said = page.escape(clip.text or "")
        if "heard" in row:
            said += f'<br><span class="quiet">heard: {page.escape(row["heard"])}</span>'
        wrong = f'<span class="bad">{page.escape(row["wrong"])}</span>' if row.get("wrong") else ""
        cells.append(
            [f"{page.escape(clip.name)}<br>{wrong}", said, sound, page.spectrogram(clip),
             *(page.number(row.get(name), MEASURES[name].digits) for name in names)]
        )  # fmt: skip
    body.append(page.table(["clip", "text", "sound", "spectrogram", *names], cells, range(4, 4 + len(names))))
    return page.document("Quality of speech", "".join(body))
