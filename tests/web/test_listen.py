"""The blind comparison in a real browser: both sides play, nothing identifies them, votes are stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browsing import Browser

from ishowtts import _audio, cli
from ishowtts.sweep import listen

pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")
ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ("first", "second")
VALUES = {"fp32, nfe 32": 0.1, "fp32, nfe 7": 0.2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a sweep: two settings, two sentences; tones stand for speech and identify the settings."""
    (tmp_path / "clips").mkdir()
    rows = []
    for i, sentence in enumerate(SENTENCES):
        for setting, level in VALUES.items():
            file = f"clips/{sentence}-{len(rows)}.flac"
            tone = (level * np.sin(0.1 * (i + 1) * np.arange(12000))).astype(np.float32)
            (tmp_path / file).write_bytes(_audio.encode(tone, 24000, "flac"))
            rows.append(
                {"setting": setting, "sentence": sentence, "text": f"The {sentence} one.", "seed": 0, "file": file}
            )
    pd.DataFrame(rows).to_csv(tmp_path / "sweep.csv", index=False)
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ishowtts", "sweep", "listen", str(folder)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    yield process.stdout.readline().split()[1]
    process.kill()
    process.wait()


def votes(folder: Path) -> list[dict[str, object]]:
    path = folder / "votes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def test_votes_are_kept(folder: Path, address: str, browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    driver = browser.open(address).driver
    expected = []
    for given, choice in enumerate(("a", "b", "same", "a", "a", "a")):
        browser.wait(lambda given=given: f"{given} votes" in browser.text("count"))
        text = browser.text("text")
        assert text in ("The first one.", "The second one.")
        page = driver.page_source
        assert "nfe" not in page, "nothing on the page says what made a clip"
        lengths = driver.execute_async_script(
            "const done = arguments[0];"
            "const duration = (id) => new Promise((take) => { const e = document.getElementById(id);"
            " const tell = () => take(e.duration);"
            " e.readyState ? tell() : e.addEventListener('loadedmetadata', tell); e.load(); });"
            "Promise.all(['a', 'b'].map(duration)).then(done)"
        )
        assert lengths == [pytest.approx(0.5, abs=0.02)] * 2, "both sides can be played"
        token = driver.execute_script("return document.body.dataset.token")
        levels = {}
        for side in ("a", "b"):
            samples, _ = _audio.decode(httpx.get(f"{address}audio/{token}/{side}").content, min_seconds=0)
            peak = float(np.abs(np.asarray(samples)).max())
            levels[side] = min(VALUES, key=lambda name, peak=peak: abs(VALUES[name] - peak))
        assert set(levels.values()) == set(VALUES)
        browser.click(f"vote-{choice}")
        expected.append((levels["a"], levels["b"], "same" if choice == "same" else levels[choice], text))
    browser.wait(lambda: "6 votes" in browser.text("count"))
    kept = [(v["a"], v["b"], v["chosen"], f"The {v['sentence']} one.") for v in votes(folder)]
    assert kept == expected
    assert browser.complaints() == []
    assert cli.main(["sweep", "listen", str(folder), "--results"]) == 0
    counts = [int(part) for part in capsys.readouterr().out.splitlines()[1].split()[-4:-1]]
    chosen = [row[2] for row in expected]
    assert counts == [chosen.count("fp32, nfe 7"), chosen.count("fp32, nfe 32"), chosen.count("same")]


def test_what_is_no_vote_is_refused(folder: Path, address: str) -> None:
    token = httpx.get(f"{address}pair").json()["token"]
    for body, status in (
        ({"token": token, "choice": "both"}, 400), ({"token": "guess", "choice": "a"}, 400),
        ({"token": 5, "choice": "a"}, 400), ([], 400),
    ):  # fmt: skip
        answer = httpx.post(f"{address}vote", json=body)
        assert answer.status_code == status and answer.json()["error"]["message"]
    assert httpx.post(f"{address}vote", content=b"no json").status_code == 400
    assert httpx.post(f"{address}vote", content=b"x" * 5000).status_code == 413
    assert httpx.get(f"{address}audio/{token}/c").status_code == 404
    assert httpx.get(f"{address}../sweep.csv").status_code == 404
    assert httpx.get(f"{address}pair", headers={"Host": "evil.example:80"}).status_code == 403
    assert httpx.post(f"{address}vote", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert votes(folder) == []
    assert httpx.post(f"{address}vote", json={"token": token, "choice": "b"}).status_code == 200
    assert httpx.post(f"{address}vote", json={"token": token, "choice": "b"}).status_code == 400, "one vote a pair"
    assert len(votes(folder)) == 1


def test_a_folder_without_a_sweep_is_named(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", "listen", "/nowhere"]) == 2 and "no sweep in /nowhere" in capsys.readouterr().err
    assert cli.main(["sweep", "listen", str(folder), "--baseline", "nfe=64"]) == 2
    assert "nothing to compare with fp32, nfe 64" in capsys.readouterr().err


def test_sign_test() -> None:
    from scipy.stats import binomtest

    for better, worse in ((0, 0), (1, 0), (9, 1), (5, 5), (30, 12)):
        expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
        assert listen.sign_test({"better": better, "worse": worse, "same": 3}) == pytest.approx(expected)
