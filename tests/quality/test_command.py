"""The command `ishowtts quality`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import Server

from ishowtts import cli
from ishowtts.quality.clips import Clip
from ishowtts.quality.measure import Scorer, summary, table


@pytest.fixture(scope="module")
def folder(spoken: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound clips, one cut off; their texts beside two of them."""
    out = tmp_path_factory.mktemp("clips")
    for clip in spoken[:3]:
        samples = clip.samples[: len(clip.samples) // 2] if clip is spoken[2] else clip.samples
        soundfile.write(out / f"{clip.name}.wav", samples, clip.rate)
    (out / "s0.txt").write_text(spoken[0].text or "")
    return out


def run(*arguments: str) -> int:
    return cli.main(["quality", *arguments])


def test_a_folder_as_table_json_csv_and_page(
    folder: Path, spoken: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(f"s1|{spoken[1].text}\n")
    names = [tmp_path / name for name in ("a.json", "a.csv", "a.html")]
    options = [
        "--measure",
        "artifacts,loudness,intelligibility,timbre,aligned",
        "--reference",
        str(folder),
        "--texts",
        str(texts),
    ]
    status = run(str(folder), *options, "--json", str(names[0]), "--csv", str(names[1]), "--html", str(names[2]))
    shown = capsys.readouterr().out
    assert status == 0 and [line.split()[0] for line in shown.splitlines()] == [
        "clip",
        "s0",
        "s1",
        "s2",
        "mean",
        "low",
        "high",
    ]
    assert shown.splitlines()[3].endswith("early end") and "early end" not in shown.splitlines()[1]

    data = json.loads(names[0].read_text())
    rows = {row["clip"]: row for row in data["clips"]}
    assert rows["s0"]["text"] == spoken[0].text and rows["s1"]["text"] == spoken[1].text
    assert "wer" in rows["s0"] and "wer" not in rows["s2"], "its transcript was not given"
    assert rows["s0"]["pesq"] > 4.5 and rows["s0"]["mcd"] == 0, "each clip was its own recording"
    assert rows["s2"]["early_end"] is True and data["summary"]["faults"]["n"] == 3
    assert data["summary"]["seconds"]["low"] <= data["summary"]["seconds"]["mean"] <= data["summary"]["seconds"]["high"]
    assert names[1].read_text().count("\n") == 4

    page = names[2].read_text()
    assert page.count("<audio") == 6 and page.count("data:audio/flac;base64,") == 6
    assert page.count('alt="spectrogram of') == 3 and "early end" in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page), "the page needs nothing else"


def test_json_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder / "s0.wav"), "--measure", "artifacts", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["clips"][0]["clip"] == "s0"


def test_a_server_is_measured(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("greeting|Welcome back.\nThank you.\n")
    assert run(server.url, "--texts", str(texts), "--measure", "artifacts,loudness", "--json", "-") == 0
    rows = json.loads(capsys.readouterr().out)["clips"]
    assert [(row["clip"], row["text"], row["wrong"]) for row in rows] == [
        ("greeting", "Welcome back.", ""),
        ("002", "Thank you.", ""),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere.wav"], "no file or folder /nowhere.wav"),
        (["{tmp}"], "no audio"),
        (["{tmp}/text.wav"], "text"),
        (["{ok}", "--measure", "beauty"], "measure must be among .* not 'beauty'"),
        (["{ok}", "--mos", "best"], "mos must be distillmos, dnsmos or utmos=FILE, not 'best'"),
        (["{ok}", "--similarity", "x"], "similarity must be resemblyzer or wavlm=FOLDER"),
        (["{ok}", "--html", "/nowhere/a.html"], "no folder /nowhere"),
        (["{ok}", "--texts", "/nowhere.txt"], "/nowhere.txt cannot be read"),
        (["{ok}", "--reference", "/nowhere"], "no file or folder /nowhere"),
        (["http://127.0.0.1:9/", "--measure", "artifacts"], "cannot be reached"),
        (["--beauty"], "unrecognized arguments: --beauty"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "text.txt").write_text("no audio")
    filled = [a.format(tmp=empty, ok=folder / "s0.wav") for a in arguments]
    if "text.wav" in filled[0]:
        (empty / "text.wav").write_text("no audio")
    try:
        status = run(*filled)
    except SystemExit as error:
        status = int(str(error.code))
    complaint = capsys.readouterr().err
    assert status in (1, 2) and complaint.count("\n") == 1, complaint
    assert complaint.startswith("ishowtts quality: ") and re.search(words, complaint)


def test_a_missing_package_is_named_and_the_rest_is_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ishowtts.quality import mos, similarity

    for module in ("resemblyzer", "distillmos", "pesq"):
        monkeypatch.setitem(sys.modules, module, None)
    mos._distillmos.cache_clear()
    similarity._resemblyzer.cache_clear()
    assert run(str(folder / "s0.wav"), "--reference", str(folder / "s0.wav")) == 0
    shown = capsys.readouterr().out
    assert shown.count("not measured: ") == 3 and "needs the package resemblyzer" in shown and "lufs" in shown
    assert run(str(folder / "s0.wav"), "--measure", "mos") == 2, "asked for by name"
    assert "needs the package distillmos: pip install" in capsys.readouterr().err
    mos._distillmos.cache_clear()
    similarity._resemblyzer.cache_clear()


def test_tables_and_intervals(spoken: list[Clip]) -> None:
    scorer = Scorer(["artifacts", "loudness"])
    rows = [scorer(clip) for clip in spoken[:4]] + [{"clip": "broken", "seconds": np.nan, "lufs": -np.inf}]
    means = summary(rows)
    assert means["seconds"].n == means["lufs"].n == 4
    assert means["lufs"].low <= np.mean([row["lufs"] for row in rows[:4]]) <= means["lufs"].high
    frame = table(rows)
    assert list(frame.columns[:2]) == ["clip", "text"] and frame["seconds"].iloc[0] == pytest.approx(spoken[0].seconds)
