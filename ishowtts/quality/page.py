"""Parts of HTML reports, which are single files with embedded audio, images and tables."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ishowtts import _audio
from ishowtts.extras import require

from .clips import Clip

STYLE = """
:root{color-scheme:light dark;--line:#8884;--good:#2a7d3f;--bad:#b3372f}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:middle}
td.n,th.n{text-align:right} .good{color:var(--good)} .bad{color:var(--bad)} .quiet{opacity:.7}
img{max-width:100%;height:auto;background:#fff;border-radius:4px} audio{width:16rem;height:2rem}
.wide{overflow-x:auto} figure{margin:1rem 0}
"""


def escape(value: object) -> str:
    """A value as text with HTML's special characters escaped."""
    return html.escape(str(value))


def number(value: Any, digits: int) -> str:
    """A number with `digits` decimals, "–" for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}f}"


def document(title: str, body: str, script: str = "") -> str:
    """A page from its body in HTML and a script in JavaScript."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,'
        f'initial-scale=1"><title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>'
        f"{body}{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """A table of cells in HTML; `numbers`: indices of columns that are aligned to the right."""
    right = set(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i in right else ''}>{cell}</{tag}>" for i, cell in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", columns)}</tr></thead><tbody>{body}</tbody></table></div>'


def player(clip: Clip, label: str) -> str:
    """An audio element with the clip inside, as FLAC in base64."""
    samples = np.ascontiguousarray(np.nan_to_num(clip.samples), np.float32)
    data = base64.b64encode(_audio.encode(samples, clip.rate, "flac")).decode()
    return f'<audio controls preload="none" aria-label="{escape(label)}" src="data:audio/flac;base64,{data}"></audio>'


def pyplot() -> Any:
    """Matplotlib's pyplot, drawing into memory. MissingPackage: there is no matplotlib."""
    matplotlib = require("matplotlib", "a report")
    matplotlib.use("Agg")
    return require("matplotlib.pyplot", "a report")


def picture(figure: Any, label: str, dpi: int = 90) -> str:
    """An image element with a matplotlib figure as PNG; the figure is closed."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    pyplot().close(figure)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{escape(label)}" src="data:image/png;base64,{encoded}">'


def spectrogram(clip: Clip) -> str:
    """An image element with the log-mel spectrogram of a clip, or a note where it is too short."""
    wave = np.ascontiguousarray(np.nan_to_num(clip.at(24000)), np.float32)
    if len(wave) < 1024:
        return '<span class="quiet">too short</span>'
    mel = np.asarray(_audio.mel(wave))
    figure, axes = pyplot().subplots(figsize=(5, 1.1), layout="constrained")
    axes.imshow(mel.T, origin="lower", aspect="auto", cmap="magma", extent=(0, clip.seconds, 0, mel.shape[1]))
    axes.set(yticks=[])
    axes.tick_params(labelsize=7)
    return picture(figure, f"spectrogram of {clip.name}", 70)


def strips(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """An image of one plot for each measure in `names`, with a dot for each clip in order."""
    plt = pyplot()
    width = 4
    height = math.ceil(len(names) / width)
    figure, grid = plt.subplots(height, width, figsize=(11, 1.9 * height), layout="constrained", squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        values = np.array([np.nan if row.get(name) is None else float(row[name]) for row in rows])
        axes.plot(np.where(np.isfinite(values), values, np.nan), "o", ms=4)
        if np.isfinite(values).any():
            axes.axhline(values[np.isfinite(values)].mean(), lw=1, color="0.5")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    return f"<figure>{picture(figure, 'measures of all clips')}</figure>"
