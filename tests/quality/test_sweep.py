"""Sweeps: their settings, their statistics, and resuming after a kill."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ishowtts import ConfigError, IshowError, cli, config
from ishowtts.model.native import PRECISIONS
from ishowtts.sweep import Plan, Setting, compare, pareto, run, settings, verdicts
from ishowtts.sweep.command import parser, plan_of
from ishowtts.sweep.settings import setting

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "ishowtts" / "voices" / "demo"


# ---- settings --------------------------------------------------------------------------------------------------------


def test_lists_and_combinations() -> None:
    made = settings(nfe="4:6,16", grid="epss,uniform")
    assert [(one.nfe, one.grid) for one in made] == [(n, g) for n in (4, 5, 6, 16) for g in ("epss", "uniform")]
    assert [one.nfe for one in settings(nfe="4:32:14")] == [4, 18, 32]
    assert settings(precision=",".join(PRECISIONS))[-1].precision == PRECISIONS[-1]
    left = settings(nfe="6,7", grid="epss,uniform", skip=["nfe=6,grid=uniform"])
    assert [one.name for one in left] == ["fp32, nfe 6", "fp32, nfe 7", "fp32, nfe 7, uniform"]
    assert len({one.name for one in settings(nfe="4:8", sway="-1,0,0.5", cfg="1,2,3")}) == 45
    assert setting("nfe=16, cfg=1.5") == Setting(nfe=16, cfg=1.5)
    assert Setting(nfe=5, sway=0.0, cfg=1.0, grid="uniform", solver="midpoint", guidance_interval="0:0.6").engine == {
        "nfe": 5, "solver": "midpoint", "sway": 0.0, "cfg": 1.0, "grid": "uniform", "guidance_interval": (0.0, 0.6),
        "short_guidance": False, "prompt_cache": False, "embedded_guidance": True, "speed": 1.0, "target_rms": 0.1,
        "cross_fade": 0.15,
    }  # fmt: skip
    names = [one.name for one in settings(solver="euler,midpoint", guidance_interval="0:1,0:0.60")]
    assert names == [
        "fp32, nfe auto",
        "fp32, nfe auto, guidance 0:0.6",
        "fp32, nfe auto, midpoint",
        "fp32, nfe auto, midpoint, guidance 0:0.6",
    ]
    short = settings(short_guidance="off,on")
    assert [(one.name, one.engine["short_guidance"]) for one in short] == [
        ("fp32, nfe auto", False),
        ("fp32, nfe auto, short guidance", True),
    ]
    assert [one.name for one in settings(prompt_cache="off,on")] == ["fp32, nfe auto", "fp32, nfe auto, prompt cache"]
    assert [one.name for one in settings(backend="auto,native", nfe="7")] == ["fp32, nfe 7", "fp32, nfe 7, native"]
    with pytest.raises(ConfigError, match="backend must be among auto, cuda, native"):
        settings(backend="abacus")
    assert [one.name for one in settings(device="auto,cpu,cuda:1", nfe="7")] == [
        "fp32, nfe 7",
        "fp32, nfe 7, cpu",
        "fp32, nfe 7, cuda:1",
    ]
    assert [one.name for one in settings(threads="auto,1:2", nfe="7")] == [
        "fp32, nfe 7", "fp32, nfe 7, 1 threads", "fp32, nfe 7, 2 threads",
    ]  # fmt: skip
    assert [one.name for one in settings(voice="auto,lan", speed="1,1.5")] == [
        "fp32, nfe auto",
        "fp32, nfe auto, speed 1.5",
        "fp32, nfe auto, voice lan",
        "fp32, nfe auto, voice lan, speed 1.5",
    ]
    both = settings(embedded_guidance="on,off")
    assert {one.name: one.engine["embedded_guidance"] for one in both} == {
        "fp32, nfe auto": True,
        "fp32, nfe auto, both branches": False,
    }
    left = settings(nfe="4,8", solver="euler,midpoint", skip=["nfe=8,solver=midpoint"])
    assert [one.name for one in left] == ["fp32, nfe 4", "fp32, nfe 4, midpoint", "fp32, nfe 8"]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"nfe": "65"}, "nfe must be from 0 to 64, not 65"),
        ({"nfe": "9:4"}, "from 0 to 64, not 9:4"),
        ({"nfe": "many"}, "first:last"),
        ({"nfe": ""}, "must have a value"),
        ({"grid": "cosine"}, "grid must be among epss, uniform, not 'cosine'"),
        ({"sway": "-2"}, "sway must be a number from -1 to 0.57"),
        ({"cfg": "strong"}, "cfg must be a number from 0 to 10"),
        ({"solver": "heun"}, "solver must be among euler, midpoint, not 'heun'"),
        (
            {"guidance_interval": "0:1,0.6:0.2"},
            "guidance_interval must not end before it begins: FROM is later than TO in '0.6:0.2'",
        ),
        ({"guidance_interval": "0.6"}, "guidance_interval must be FROM:TO, times from 0 to 1"),
        ({"precision": "int2"}, "precision must be among fp32, bf16"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda or cuda:N, not 'gpu'"),
        ({"threads": "2000"}, "threads must be from 0 to 1024"),
        ({"voice": "a b"}, "voice must be the id of a voice"),
        ({"steps": "4"}, "not 'steps'"),
    ],
)
def test_wrong_values_are_named(lists: dict[str, str], words: str) -> None:
    with pytest.raises(IshowError, match=words):
        settings(**lists)


# ---- figures ---------------------------------------------------------------------------------------------------------


def made_up(losses: dict[str, float], noise: float, sentences: int, seeds: int = 2) -> pd.DataFrame:
    """A sweep in which each setting's mos is the baseline's less a loss, with noise."""
    rng = np.random.default_rng(0)
    rows = []
    for sentence in range(sentences):
        for seed in range(seeds):
            base = 4 + 0.5 * rng.standard_normal()
            for name, loss in {"fp32, nfe 32": 0.0, **losses}.items():
                mos = base - loss + (noise * rng.standard_normal() if loss else 0)
                rtf = 0.7 if name.endswith("32") else 0.1 + 0.02 * int(name.rpartition(" ")[2])
                rows.append({"setting": name, "sentence": f"{sentence:03d}", "seed": seed, "mos": mos, "rtf": rtf})
    return pd.DataFrame(rows)


def test_differences_are_paired_and_intervals_hold_the_truth() -> None:
    frame = made_up({"fp32, nfe 7": 0.1}, 0.05, 40)
    row = compare(frame).set_index(["setting", "measure"]).loc[("fp32, nfe 7", "mos")]
    assert row["low"] < -0.1 < row["high"] and row["high"] - row["low"] < 0.05, "the spread between sentences cancels"
    own, base = (frame[frame["setting"] == name]["mos"].to_numpy() for name in ("fp32, nfe 7", "fp32, nfe 32"))
    assert row["difference"] == pytest.approx((own - base).mean()) and row["pairs"] == 80 and row["sentences"] == 40
    rtf = compare(frame).set_index(["setting", "measure"]).loc[("fp32, nfe 7", "rtf")]
    assert rtf["difference"] == pytest.approx(0.24 / 0.7 - 1)


def test_seeds_are_no_new_sentences() -> None:
    """A loss that differs between sentences stays uncertain, however many seeds speak each sentence."""
    rng = np.random.default_rng(1)
    rows = []
    for sentence in range(12):
        loss = 0.3 * rng.standard_normal()
        for seed in range(20):
            rows += [
                {"setting": "fp32, nfe 32", "sentence": str(sentence), "seed": seed, "mos": 4.0},
                {"setting": "fp32, nfe 7", "sentence": str(sentence), "seed": seed, "mos": 4.0 - loss},
            ]
    row = compare(pd.DataFrame(rows)).iloc[-1]
    assert row["high"] - row["low"] > 0.15


def test_verdicts_follow_the_rule() -> None:
    frame = made_up({"fp32, nfe 7": 0.02, "fp32, nfe 5": 0.5, "fp32, nfe 6": 0.19}, 0.3, 30)
    judged = verdicts(compare(frame)).set_index("setting")
    assert list(judged["verdict"]) == ["accept", "reject", "not enough data"]
    assert judged.loc["fp32, nfe 6", "more"] > 0 and (judged.drop("fp32, nfe 6")["more"] == 0).all()
    few = verdicts(compare(made_up({"fp32, nfe 7": 0.02}, 0.01, 4))).set_index("setting")
    assert few.loc["fp32, nfe 7", "verdict"] == "not enough data" and few.loc["fp32, nfe 7", "more"] == 6


def test_the_number_of_sentences_that_was_asked_for_is_about_enough() -> None:
    frame = made_up({"fp32, nfe 6": 0.12}, 0.5, 20, seeds=1)
    first = verdicts(compare(frame)).set_index("setting").loc["fp32, nfe 6"]
    assert first["verdict"] == "not enough data"
    longer = made_up({"fp32, nfe 6": 0.12}, 0.5, 20 + 2 * int(first["more"]), seeds=1)
    assert verdicts(compare(longer)).set_index("setting").loc["fp32, nfe 6", "verdict"] == "accept"


def test_the_pareto_front() -> None:
    frame = made_up({"fp32, nfe 7": 0.05, "fp32, nfe 16": 0.2, "fp32, nfe 5": 0.4}, 0.01, 20)
    assert set(pareto(compare(frame))) == {"fp32, nfe 32", "fp32, nfe 7", "fp32, nfe 5"}, (
        "16 is slower and worse than 7"
    )


def keys(plan: Plan, made_by: list[str] | None = None) -> list[str]:
    made = {run._engine_of(one): made_by or ["weights", "native"] for one in plan.all_settings}
    return [item.key for item in run._items(plan, plan.voices(), Path(), made)]


def test_a_clip_is_kept_under_everything_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(*options: str) -> Plan:
        return Plan([Setting(nfe=7)], {"one": "Yes."}, config=config.load(overrides=options))

    before = keys(plan())
    assert len(set(before)) == 2 and keys(plan()) == before
    assert keys(plan("server.port=1234", "chat.queue_max=7")) == before, "what no engine reads does not count"
    for option in (
        "model.threads=3",
        "engine.chunk_seconds=9",
        "engine.retries=1",
        "engine.cache_bytes=1000000",
        "sampling.speed=1.5",
        "default_voice=kerstin",
    ):
        assert not set(keys(plan(option))) & set(before), option
    assert not set(keys(plan(), ["other weights", "native"])) & set(before)
    assert not set(keys(plan(), ["weights", "eager"])) & set(before)
    assert not set(keys(replace(plan(), texts={"one": "No."}))) & set(before)
    for name in ("BUILD", "VERSION"):
        with monkeypatch.context() as other:
            other.setattr(run, name, "another")
            assert not set(keys(plan())) & set(before), name


# ---- sweeps with the embedded voice ----------------------------------------------------------------------------------

TIMES = ["model_seconds", "total_seconds", "first_audio", "rtf"]


def arguments(out: Path, texts: Path, *more: str) -> list[str]:
    return [
        "sweep",
        "--nfe",
        "2,3",
        "--baseline",
        "nfe=4",
        "--texts",
        str(texts),
        "--seeds",
        "2",
        "--measure",
        "artifacts",
        "--threads",
        "1",
        "--jobs",
        "1",
        "-o",
        str(out),
        *more,
    ]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("Welcome back.\nThank you.\n")
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, texts: Path) -> Path:
    out = tmp_path_factory.mktemp("sweep")
    assert cli.main(arguments(out, texts)) == 0
    return out


def test_the_settings_of_a_report() -> None:
    def asked(*options: str) -> set[tuple[str, int, str]]:
        plan = plan_of(parser("sweep").parse_args(["--report", "--model", "demo", *options]))
        return {(one.precision, one.nfe, one.prompt_cache) for one in plan.settings}

    precisions = ("fp32", "bf16", "int8-dynamic")
    assert asked() == {(p, n, kept) for p in precisions for n in (5, 6, 7) for kept in ("off", "on")}
    assert asked("--nfe", "4", "--precision", "bf16") == {("bf16", 4, "off"), ("bf16", 4, "on")}


def test_one_voice_holds_for_the_baseline_and_several_are_an_axis() -> None:
    def plan(*options: str) -> Plan:
        return plan_of(parser("sweep").parse_args([*options]))

    one, several = plan("--voice", "lan", "--threads", "1"), plan("--voice", "lan,owen", "--threads", "1,2")
    assert {one.voices()[setting.voice].id for setting in one.all_settings} == {"lan"}
    assert one.config.model.threads == 1 and {setting.threads for setting in one.settings} == {"auto"}
    assert several.voices()["owen"].id == "owen" and several.voices()[several.baseline.voice].id == "hazel"
    assert {(setting.voice, setting.threads) for setting in several.settings} == {
        (voice, threads) for voice in ("lan", "owen") for threads in (1, 2)
    }
    with pytest.raises(ConfigError, match="there is no voice 'nobody'; there are hazel"):
        plan("--voice", "lan,nobody").voices()


def test_voices_and_threads_are_columns(texts: Path, tmp_path: Path) -> None:
    few = ["sweep", "--nfe", "2", "--baseline", "nfe=2", "--texts", str(texts), "--sentences", "1", "--jobs", "1"]
    more = ["--measure", "artifacts", "--voice", "owen,lan", "--threads", "1,2", "--device", "cpu"]
    assert cli.main([*few, *more, "-o", str(tmp_path)]) == 0
    frame = pd.read_csv(tmp_path / "sweep.csv")
    assert set(frame["device"]) == {"cpu"} and frame["setting"].str.contains(", cpu,").any()
    assert {(row.voice, row.threads) for row in frame.itertuples()} >= {
        (voice, threads) for voice in ("owen", "lan") for threads in (1, 2)
    }
    clips = {row.voice: (tmp_path / row.file).read_bytes() for row in frame.itertuples() if row.threads == 1}
    assert clips["owen"] != clips["lan"]


def test_the_device_of_a_row_is_that_of_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"GPU of {device}")
    asked = [("eager", "auto"), ("eager", "cuda:1"), ("eager", "cpu"), ("native", "auto")]
    assert [run._place(*one)["device"] for one in asked] == ["GPU of cuda", "GPU of cuda:1", "cpu", "cpu"]


def test_files_of_a_sweep(finished: Path) -> None:
    frame = pd.read_csv(finished / "sweep.csv", dtype={"sentence": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(
        frame[["setting", "nfe", "sentence", "seed", "seconds"]],
        pd.read_parquet(finished / "sweep.parquet")[["setting", "nfe", "sentence", "seed", "seconds"]],
        check_dtype=False,
    )
    assert len(frame) == 3 * 2 * 2 and list(frame["setting"].unique()) == ["fp32, nfe 4", "fp32, nfe 2", "fp32, nfe 3"]
    assert set(frame["engine"]) == {"native"} and set(frame["device"]) == {"cpu"} and set(frame["threads"]) == {1}
    assert frame["machine"].str.contains(r" x\d+$").all()
    assert all((finished / file).is_file() for file in frame["file"]) and (frame["rtf"] > 0).all()
    page = (finished / "report.html").read_text()
    assert page.count("<audio") == 6 and not re.search(r"(?:src|href)=\"(?!data:)", page)
    judged = pd.read_csv(finished / "verdicts.csv")
    assert set(judged["verdict"]) == {"not enough data"}, "two sentences decide nothing"


def test_a_second_run_does_nothing_again(finished: Path, texts: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "clips").iterdir()}
    table = (finished / "sweep.csv").read_bytes()
    assert cli.main(arguments(finished, texts)) == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / "clips").iterdir()} == before
    assert (finished / "sweep.csv").read_bytes() == table


def test_killed_and_started_again_gives_the_same_table(finished: Path, texts: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ishowtts", *arguments(tmp_path, texts)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wanted = int(np.random.default_rng().integers(1, 12))
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("clips/*.json"))) < wanted and process.poll() is None:
        assert time.monotonic() < end, "nothing was spoken"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.read_bytes() for path in tmp_path.glob("clips/*.json")}
    assert cli.main(arguments(tmp_path, texts)) == 0
    assert kept and all(path.read_bytes() == data for path, data in kept.items()), "what was done is not done again"
    one, other = (pd.read_csv(out / "sweep.csv").drop(columns=TIMES) for out in (finished, tmp_path))
    pd.testing.assert_frame_equal(one, other)


def test_the_bar_advances(texts: Path, tmp_path: Path) -> None:
    """On a terminal the progress bars of speaking and of scoring count to the number of clips."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-m", "ishowtts", *arguments(tmp_path, texts)], stdout=subprocess.DEVNULL, stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_MININTERVAL": "0"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the other side has closed
        pass
    os.close(ours)
    assert process.wait() == 0, shown
    for bar in ("speaking", "scoring"):
        counts = [(int(done), int(total)) for done, total in re.findall(rf"{bar}: .*?(\d+)/(\d+)".encode(), shown)]
        assert {total for _, total in counts} == {12}, bar
        done = [done for done, _ in counts]
        assert done[0] == 0 and done == sorted(done) and len(set(done)) > 4, (bar, done)


def test_everything_skipped_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", "--nfe", "7", "--skip", "nfe=7", "-o", str(tmp_path)]) == 2
    assert "all were skipped" in capsys.readouterr().err


def test_a_model_without_voices_speaks_in_those_of_a_configuration(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, clip, out = tmp_path / "model", tmp_path / "me.flac", tmp_path / "out"
    model.mkdir()
    for path in DEMO.iterdir():
        if path.name not in ("voice.toml", "reference.flac", "reference.txt"):
            (model / path.name).symlink_to(path)
    few = [
        "sweep",
        "--nfe",
        "2",
        "--baseline",
        "nfe=2",
        "--texts",
        str(texts),
        "--sentences",
        "1",
        "--measure",
        "artifacts",
        "--jobs",
        "1",
        "-o",
        str(out),
    ]
    assert cli.main([*few, "--model", str(model)]) == 2
    assert "has no voices" in capsys.readouterr().err
    clip.write_bytes((DEMO / "reference.flac").read_bytes())
    file = tmp_path / "own.toml"
    file.write_text(
        f'[model]\nname = "{model}"\n[[voices]]\nid = "me"\nlanguage = "en"\naudio = "{clip}"\ntext = "What I say."\n'
    )
    assert cli.main([*few, "--config", str(file)]) == 0
    assert len(list(out.glob("clips/*.flac"))) == 1
    clip.write_bytes((DEMO / "kerstin.flac").read_bytes())
    assert cli.main([*few, "--config", str(file)]) == 0
    assert len(list(out.glob("clips/*.flac"))) == 2, "another clip of the voice is another voice"
    assert cli.main([*few, "--config", str(file), "--voice", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err
