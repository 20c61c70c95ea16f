"""`ishowtts report`: goals, figures over the commits of a repository, and the daily history, in one HTML file."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest

from ishowtts import cli

GOALS = """
[[goal]]
phase = "Speed"
what = "work & audio"
file = "speech"
column = "rtf"
where = { text = "line", backend = "native" }
baseline = { text = "line", backend = "eager" }
target = 0.05
better = "less"

[[goal]]
phase = "Voices"
what = "naturalness"
file = "voice"
column = "mos"
where = {}
target = 4
better = "more"

[[history]]
what = "factor"
file = "speech"
column = "rtf"
where = { backend = "native" }
"""
HEAD = "text,backend,rtf,machine\n"
FIRST = HEAD + "line,native,0.2,old\nline,eager,0.4,old\n"
SECOND = (
    FIRST + "line,native,0.03,new\nline,native,0.05,new\nline,native,0.04,new\nword,native,9,new\nline,eager,0.1,new\n"
)
RUN = {
    "time": "2026-11-29T03:00:00+00:00", "host": "studio", "version": "0.1.0", "model": "demo", "status": "good",
    "figures": {"wer": 0.06, "rtf": 0.02}, "alarms": [],
}  # fmt: skip


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """A repository with two versions of a file of figures."""
    folder = tmp_path / "benchmarks"
    (folder / "results").mkdir(parents=True)
    (folder / "goals.toml").write_text(GOALS)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for text in (FIRST, SECOND):
        (folder / "results" / "speech.csv").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "figures"], check=True)
    return folder


def rows(page: str) -> list[list[str]]:
    """Cells of all rows of the page's tables."""
    found = re.findall(r"<tr>(.*?)</tr>", page)
    return [[unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in found]


def report(tmp_path: Path, *arguments: str) -> str:
    out = tmp_path / "out.html"
    assert cli.main(["report", "-o", str(out), *arguments]) == 0
    return out.read_text()


def test_goals_stand_beside_what_was_reached(benchmarks: Path, tmp_path: Path) -> None:
    page = report(tmp_path, "--benchmarks", str(benchmarks))
    assert [row for row in rows(page) if row] == [
        ["Speed", "work & audio", "old", "0.4", "≤ 0.05", "0.2", "no"],
        ["Speed", "work & audio", "new", "0.1", "≤ 0.05", "0.04", "yes"],
        ["Voices", "naturalness", "not measured", "–", "≥ 4", "–", "–"],
    ]
    assert page.count("<img") == 1 and 'alt="factor"' in page
    assert not re.search(r'(src|href)="(?!data:)', page), "one file, which needs no other"


def test_a_figure_has_a_point_for_each_version_that_changed_it(benchmarks: Path) -> None:
    from ishowtts.daily import report

    found = [
        report.medians(text, {"backend": "eager"}, "rtf")
        for _, text in report.versions(benchmarks / "results/speech.csv")
    ]
    assert found == [{"old": 0.4}, {"old": 0.4, "new": 0.1}]


def test_daily_runs_are_drawn_and_the_worse_ones_listed(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    worse = RUN | {"time": "2026-11-30T03:00:00+00:00", "alarms": ["speed: speech takes 30% longer"]}
    history.write_text(json.dumps(RUN) + "\n" + json.dumps(worse) + "\n")
    page = report(tmp_path, "--benchmarks", str(benchmarks_of_nothing(tmp_path)), "--history", str(history))
    assert page.count("<img") == 2 and "2 runs, 1 of them worse" in page
    assert ["2026-11-30T03:00:00+00:00", "demo", "0.1.0", "speed: speech takes 30% longer"] in rows(page)


def benchmarks_of_nothing(tmp_path: Path) -> Path:
    (tmp_path / "goals.toml").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "history: line 1 of .* is no run"),
        (None, "history: .* cannot be read"),
    ],
)
def test_a_history_that_is_none(
    content: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    if content is not None:
        path.write_text(content)
    out = str(tmp_path / "out.html")
    assert (
        cli.main(["report", "--benchmarks", str(benchmarks_of_nothing(tmp_path)), "--history", str(path), "-o", out])
        == 2
    )
    assert re.search(says, capsys.readouterr().err)


def test_goals_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "goals.toml").write_text('[[goal]]\nphase = "Speed"\n')
    assert cli.main(["report", "--benchmarks", str(tmp_path), "-o", str(tmp_path / "out.html")]) == 2
    assert "goals.toml" in capsys.readouterr().err


def test_every_goal_of_this_project_names_a_column_that_is_there() -> None:
    from ishowtts.daily import report

    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    import tomllib

    content = tomllib.loads((folder / "goals.toml").read_text(encoding="utf-8"))
    for entry in content["goal"] + content["history"]:
        path = folder / "results" / f"{entry['file']}.csv"
        if path.is_file():  # others are made by a benchmark that has not run on any machine yet
            assert report.medians(path.read_text(encoding="utf-8"), entry["where"], entry["column"]), entry["what"]
