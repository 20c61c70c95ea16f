"""The Python interface of the engine, with a tiny random model that speaks noise (tests/tiny.py)."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TONE, make, open_engine

from ishowtts import ConfigError, Engine, IshowError, ModelError, Speech, TextError, VoiceError, _audio, _engine, fields

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
TEXT = "The quick brown fox jumps over the lazy dog."
LONG = " ".join([TEXT] * 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[Engine]:
    with open_engine(model) as engine:
        yield engine


def test_speaks(engine: Engine) -> None:
    speech = engine.speak(TEXT, seed=5)
    assert speech.samples.dtype == np.float32 and speech.samples.ndim == 1
    assert np.isfinite(speech.samples).all()
    assert 0.5 < speech.seconds < 60 and speech.sample_rate == 24000
    assert speech.seed == 5 and speech.timings["voice"] == "tone" and speech.timings["chunks"] == 1
    assert speech.seconds == pytest.approx(speech.timings["audio"])
    assert 0 < speech.timings["model"] <= speech.timings["total"]


def test_a_seed_makes_the_same_speech_again(engine: Engine) -> None:
    drawn, other = engine.speak(TEXT), engine.speak(TEXT)
    assert drawn.seed != other.seed and not np.array_equal(drawn.samples, other.samples)
    assert np.array_equal(drawn.samples, engine.speak(TEXT, seed=drawn.seed).samples)


def test_many_texts_are_spoken_in_their_order(engine: Engine) -> None:
    texts = [TEXT, "Hello there.", "How do you do?"]
    spoken = engine.speak_many(texts, waiting=2, seed=5, nfe=3)
    for text, speech in zip(texts, spoken, strict=True):
        assert np.array_equal(speech.samples, engine.speak(text, seed=5, nfe=3).samples)
    begun: list[str] = []
    many = engine.speak_many((begun.append(text) or text for text in [TEXT] * 9), waiting=3, nfe=3)
    next(many)
    assert len(begun) == 3, "a long list is not submitted at once"
    many.close()
    with pytest.raises(TextError):
        list(engine.speak_many([TEXT, ""], nfe=3))


def test_options_reach_the_model(engine: Engine) -> None:
    plain = engine.speak(TEXT, seed=5)
    for options in (
        {"nfe": 5},
        {"cfg": 0.0},
        {"sway": 0.0},
        {"grid": "uniform"},
        {"target_rms": 0.01},
        {"solver": "midpoint"},
        {"guidance_interval": (0.0, 0.5)},
    ):
        changed = engine.speak(TEXT, seed=5, **options)  # type: ignore[arg-type]
        assert len(changed.samples) == len(plain.samples), options
        assert not np.allclose(changed.samples, plain.samples, atol=1e-5), options
    assert engine.speak(TEXT, seed=5, speed=2.0).seconds < 0.7 * plain.seconds


def test_a_stream_brings_the_same_audio_in_pieces(model: Path) -> None:
    with open_engine(model, chunk_seconds=5.0) as engine:
        whole = engine.speak(LONG, seed=5, nfe=2)
        stream = engine.stream(LONG, seed=5, nfe=2)
        pieces = list(stream)
    assert len(pieces) > 3 and whole.timings["chunks"] > 3
    assert np.array_equal(np.concatenate(pieces), whole.samples)
    assert stream.progress == pytest.approx(1.0)
    assert 0 < stream.timings["first_audio"] < stream.timings["total"]


def test_threads_share_an_engine(engine: Engine) -> None:
    texts = [f"{TEXT} Number {i}." for i in range(4)]
    alone = [engine.speak(text, seed=i).samples for i, text in enumerate(texts)]
    together: dict[int, np.ndarray] = {}

    def speak(i: int) -> None:
        together[i] = engine.speak(texts[i], seed=i).samples

    threads = [threading.Thread(target=speak, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, samples in enumerate(alone):
        assert np.array_equal(samples, together[i]), i


def test_cancelling_ends_a_stream(engine: Engine) -> None:
    stream = engine.stream(LONG, nfe=64)
    stream.cancel()
    with pytest.raises(IshowError) as caught:
        for _ in stream:
            pass
    assert caught.value.status == "ECANCELLED"
    assert engine.speak(TEXT).seconds > 0


def test_a_dropped_stream_is_cancelled(engine: Engine) -> None:
    before = engine.stats["cancelled"]
    stream = engine.stream(LONG, nfe=64)
    del stream
    engine.speak(TEXT)
    assert engine.stats["cancelled"] == before + 1


def test_a_deadline_ends_an_utterance(engine: Engine) -> None:
    with pytest.raises(IshowError) as caught:
        engine.speak(LONG, nfe=64, deadline=0.01)
    assert caught.value.status == "ETIMEOUT" and caught.value.field == "deadline"


def test_polling_does_not_lose_the_utterance(engine: Engine) -> None:
    stream = engine.stream(LONG, nfe=32)
    with pytest.raises(IshowError) as caught:
        stream.poll(0)
    assert caught.value.status == "EAGAIN"
    assert stream.poll(100) is not None


def test_signals_are_seen_while_waiting(engine: Engine) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.speak(" ".join([TEXT] * 100), nfe=64)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@pytest.mark.parametrize(
    ("options", "kind", "status", "field"),
    [
        ({"text": ""}, TextError, "EINVAL", "text"),
        ({"text": "\N{GRINNING FACE} …"}, TextError, "EINVAL", "text"),
        ({"text": "a" * (_engine.DEFAULTS["max_text_chars"] + 1)}, TextError, "EINVAL", "text"),
        ({"text": TEXT, "voice": "nobody"}, VoiceError, "ENOTFOUND", "voice_id"),
        ({"text": TEXT, "nfe": -1}, IshowError, "EINVAL", "nfe_step"),
        ({"text": TEXT, "nfe": 65}, IshowError, "EINVAL", "nfe_step"),
        ({"text": TEXT, "cfg": float("nan")}, IshowError, "EINVAL", "cfg_strength"),
        ({"text": TEXT, "speed": 9.0}, IshowError, "EINVAL", "speed"),
        ({"text": TEXT, "solver": "heun"}, IshowError, "EINVAL", "solver"),
        ({"text": TEXT, "guidance_interval": (0.0, 1.5)}, IshowError, "EINVAL", "guidance_to"),
    ],
)
def test_wrong_requests_name_the_field(
    engine: Engine, options: dict[str, object], kind: type[IshowError], status: str, field: str
) -> None:
    with pytest.raises(IshowError) as caught:
        engine.speak(**options)  # type: ignore[arg-type]
    assert (type(caught.value), caught.value.status, caught.value.field) == (kind, status, field), caught.value
    assert engine.speak("Next.").seconds > 0


def test_every_option_is_taken_and_checked(engine: Engine) -> None:
    """`_engine` has the keywords of the table and no other."""
    for option, parts in fields.options(fields.REQUEST).items():
        good = {part.name: part.default for part in parts}
        if parts[0].kind == "seed":
            good[parts[0].name] = 5
        wrong = {"choice": "none of them", "seed": -1, "boolean": None}.get(
            parts[-1].kind, 1e9 if parts[-1].kind == "number" else 1 << 80
        )
        values = tuple(good.values())
        engine.stream(TEXT, **{option: values if len(parts) > 1 else values[0]}).cancel()
        if wrong is None:
            continue
        values = (*values[:-1], wrong)
        with pytest.raises(IshowError) as caught:
            engine.stream(TEXT, **{option: values if len(parts) > 1 else wrong})
        assert (caught.value.status, caught.value.field) == ("EINVAL", parts[-1].name)
        assert str(caught.value).startswith(f"{parts[-1].name} must be ")
    for unknown in ("cfg_strength", "warmth", "uniform_grid"):
        with pytest.raises(TypeError, match=unknown):
            engine.stream(TEXT, **{unknown: 1})
    with pytest.raises(TypeError, match="guidance_interval must be a tuple of 2"):
        engine.stream(TEXT, guidance_interval=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="retries is missing"):
        engine.configure(queue_capacity=1, cache_bytes=0, max_rows=1, chunk_seconds=22.0)
    with pytest.raises(IshowError, match="retries must be 0 to 10, got 11"):
        engine.configure(**{field.option: field.default for field in fields.ENGINE} | {"retries": 11})  # type: ignore[typeddict-item]


def test_wrong_types_are_python_errors(engine: Engine) -> None:
    for options in (
        {"text": 5},
        {"text": TEXT, "nfe": "7"},
        {"text": TEXT, "steps": 7},
        {"text": TEXT, "voice": b"tone"},
    ):
        with pytest.raises(TypeError):
            engine.speak(**options)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        engine._core.set_voice("x", "text", np.zeros(48000), 24000)  # float64


NUL, HALF = "a\0b", "a\ud800b"


@pytest.mark.parametrize(
    ("call", "kind", "field"),
    [
        (lambda e: e.speak(NUL), TextError, "text"),
        (lambda e: e.speak(HALF), TextError, "text"),
        (lambda e: e.stream(HALF), TextError, "text"),
        (lambda e: e.speak(TEXT, NUL), VoiceError, "voice_id"),
        (lambda e: e.speak(TEXT, HALF), VoiceError, "voice_id"),
        (lambda e: e.speak(TEXT, seed=-1), IshowError, "seed"),
        (lambda e: e.speak(TEXT, seed=1 << 64), IshowError, "seed"),
        (lambda e: e.speak(TEXT, solver=HALF), IshowError, "solver"),
        (lambda e: e.speak(TEXT, solver=NUL), IshowError, "solver"),
        (lambda e: e.speak(TEXT, priority=1 << 40), IshowError, ""),
        (lambda e: e.speak(TEXT, notify=999_999), IshowError, "notify"),
        (lambda e: e.speak(TEXT, deadline=float("nan")), IshowError, "deadline"),
        (lambda e: e.remove_voice(NUL), VoiceError, "voice_id"),
        (lambda e: e.add_voice(HALF, TONE, "Words.", sample_rate=24000), VoiceError, "voice_id"),
        (lambda e: e.add_voice("x", TONE, NUL, sample_rate=24000), TextError, "text"),
        (lambda e: e.add_voice("x", TONE, "Words.", HALF, sample_rate=24000), IshowError, "language"),
        (lambda e: e.add_voice("x", TONE, "Words.", sample_rate=1 << 40), IshowError, ""),
        (lambda e: e.add_voice("x", TONE.reshape(2, -1), "Words.", sample_rate=24000), VoiceError, "audio"),
        (lambda e: e.add_voice("x", ["a"], "Words.", sample_rate=24000), VoiceError, "audio"),
        (lambda e: e.add_voice("x", NUL, "Words."), VoiceError, "audio"),
        (lambda e: e.add_voice("x", Path(HALF), "Words."), VoiceError, "audio"),
        (lambda e: Engine.load(NUL), ModelError, "model"),
        (lambda e: Engine.load(HALF), ModelError, "model"),
        (lambda e: Engine.load("demo", precision=NUL), ModelError, "precision"),
        (lambda e: Engine.load("demo", threads=1 << 40), IshowError, ""),
        (lambda e: Engine.load("demo", max_rows=0), IshowError, "max_rows"),
        (lambda e: Engine.load("demo", queue_capacity=-1), IshowError, "queue_capacity"),
        (lambda e: Engine.load("demo", compile="maybe"), ConfigError, "compile"),
        (lambda e: Engine.load("demo", backend=HALF), ConfigError, "backend"),
    ],
)  # fmt: skip
def test_everything_raises_the_packages_errors(engine: Engine, call: Any, kind: type[IshowError], field: str) -> None:
    with pytest.raises(IshowError) as caught:
        call(engine)
    assert (type(caught.value), caught.value.field) == (kind, field), caught.value
    assert len(str(caught.value)) > 10


def test_the_examples_of_the_documentation_run() -> None:
    import doctest

    from ishowtts import engine, streams

    for module, least in ((engine, 10), (streams, 3)):
        failed, tried = doctest.testmod(module)
        assert failed == 0 and tried >= least


# ---- asyncio ---------------------------------------------------------------------------------------------------------


def test_tasks_share_an_engine_and_hear_what_threads_hear(engine: Engine) -> None:
    async def both() -> list[Speech]:
        return await asyncio.gather(*(engine.speak_async(TEXT, seed=seed) for seed in (1, 2)))

    for seed, speech in enumerate(asyncio.run(both()), 1):
        alone = engine.speak(TEXT, seed=seed)
        assert np.array_equal(speech.samples, alone.samples) and speech.seed == seed
        assert speech.timings["voice"] == "tone" and speech.timings["total"] > 0


def test_a_stream_for_asyncio_waits_without_a_thread_and_ends_when_it_is_left(model: Path) -> None:
    with open_engine(model, chunk_seconds=5.0) as engine:

        async def listen() -> tuple[np.ndarray, int]:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.001)
                    ticks += 1

            other = asyncio.create_task(tick())
            threads = set(threading.enumerate())
            pieces = [piece async for piece in engine.stream_async(LONG, seed=5, nfe=2)]
            assert threads.issuperset(threading.enumerate()) and len(pieces) > 3
            other.cancel()
            return np.concatenate(pieces), ticks

        samples, ticks = asyncio.run(listen())
        assert ticks > 5, "the loop went on"
        assert np.array_equal(samples, np.concatenate(list(engine.stream(LONG, seed=5, nfe=2))))

        async def leave() -> None:
            stream = engine.stream_async(LONG, nfe=64)
            async for _ in stream:
                break
            await stream.aclose()
            await stream.aclose()
            assert [piece async for piece in stream] == [] and stream.timings["first_audio"] > 0
            task = asyncio.create_task(engine.speak_async(LONG, nfe=64))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TextError):
                engine.stream_async("")
            with pytest.raises(IshowError) as caught:
                await engine.speak_async(LONG, nfe=64, deadline=0.01)
            assert caught.value.status in ("ETIMEOUT", "EBUSY")  # too late, or known to be too late
            dropped = engine.stream_async(LONG, nfe=64)
            del dropped

        gc.collect()  # handles that other tests left
        before, open_files = engine.stats["cancelled"], len(list(Path("/proc/self/fd").iterdir()))
        asyncio.run(leave())
        engine.speak(TEXT, nfe=2)
        assert engine.stats["cancelled"] - before == 3
        gc.collect()
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_voices(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(_audio.encode(TONE, 24000))
    engine.add_voice("file", path, "A tone from a file.", "en")
    assert [voice["id"] for voice in engine.voices] == ["tone", "file"]
    assert engine.voices[1]["text"] == "A tone from a file." and engine.voices[1]["language"] == "en"
    assert engine.speak(TEXT, "file").timings["voice"] == "file"
    engine.remove_voice("file")
    assert [voice["id"] for voice in engine.voices] == ["tone"]
    with pytest.raises(VoiceError) as caught:
        engine.remove_voice("file")
    assert caught.value.status == "ENOTFOUND"
    path.write_bytes(b"no audio at all")
    with pytest.raises(VoiceError) as caught:
        engine.add_voice("file", path, "Words.")
    assert caught.value.field == "audio"
    with pytest.raises(VoiceError) as caught:
        engine.add_voice("file", tmp_path / "nowhere.wav", "Words.")
    assert caught.value.status == "ENOTFOUND"


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    gc.collect()
    handles = _engine.live_handles()
    with pytest.raises(ModelError) as caught:
        Engine.load(tmp_path / "nowhere")
    assert caught.value.status == "ENOTFOUND" and "nowhere" in str(caught.value)
    with pytest.raises(ModelError) as caught:
        Engine.load(make(tmp_path / "corrupt", "corrupt"), backend="eager")
    assert caught.value.status == "EFORMAT" and "dit.safetensors" in str(caught.value)
    with pytest.raises(IshowError) as other:
        Engine.load(tmp_path / "corrupt", backend="eager", precision="fp1")
    assert other.value.field == "precision"
    assert _engine.live_handles() <= handles


def test_nan_from_a_model_is_reported(tmp_path: Path) -> None:
    with open_engine(make(tmp_path / "nan", "nan")) as engine, pytest.raises(ModelError) as caught:
        engine.speak(TEXT)
    assert caught.value.status == "EMODEL"


def test_a_closed_engine_says_so(model: Path) -> None:
    engine = open_engine(model)
    stream = engine.stream(LONG, nfe=64)
    engine.close()
    engine.close()
    with pytest.raises(IshowError) as caught:
        engine.speak(TEXT)
    assert caught.value.status == "ESTATE"
    with pytest.raises(IshowError) as caught:
        list(stream)
    assert caught.value.status == "ECANCELLED"


def test_steps_that_the_solvers_take(engine: Engine) -> None:
    def calls(**options: object) -> int:
        before = engine.stats["steps"]
        engine.speak("Short.", seed=1, **options)  # type: ignore[arg-type]
        return engine.stats["steps"] - before

    assert calls(nfe=5) == 5 and calls(nfe=5, solver="midpoint") == 10
    assert calls(nfe=_engine.DEFAULTS["nfe_max"], solver="midpoint") == 2 * _engine.DEFAULTS["nfe_max"]


def test_two_hundred_utterances_leak_nothing(model: Path) -> None:
    program = f"""
import gc
from pathlib import Path
from tiny import TONE, open_engine
from ishowtts import _engine
from ishowtts.text import mandarin

mandarin.warm()  # what an engine loads in the background

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

with open_engine({str(model)!r}) as engine:  # modules keep handles of their own from the first use on
    engine.speak("Short one.", seed=1, nfe=2)
del engine
gc.collect()
kept = _engine.live_handles()
engine = open_engine({str(model)!r})
for i in range(200):
    if i == 40:
        before = resident()
    engine.speak("Short one." if i % 3 else "A sentence that is longer than the other one.", seed=i, nfe=2)
    engine.add_voice("other", TONE, "A steady tone.", "en", sample_rate=24000)
    stream = engine.stream("Dropped."); del stream
grown = resident() - before
engine.close()
del engine
gc.collect()
print(grown, _engine.live_handles() - kept)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=ENVIRONMENT)
    grown, handles = map(int, done.stdout.split())
    assert handles == 0
    assert grown < 4096, f"RSS grew by {grown} KiB"


def test_leaving_without_close_ends_the_process(model: Path) -> None:
    program = f"""
from tiny import open_engine
engine = open_engine({str(model)!r})
stream = engine.stream({LONG!r}, nfe=64)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


def test_defaults_are_those_of_the_header() -> None:
    header = (ROOT / "csrc" / "base" / "defaults.h").read_text(encoding="utf-8")
    names = re.findall(r"^#define ISHOW_(\w+) +(\S.*?)(?: +/\*.*)?$", header, re.MULTILINE)
    names = [(name.lower(), value) for name, value in names if name != "BASE_DEFAULTS_H"]
    settings = {row["setting"] for row in (*_engine.REQUEST_FIELDS, *_engine.ENGINE_FIELDS) if row["setting"]}
    assert {name for name, _ in names} | settings == set(_engine.DEFAULTS)
    for name, value in names:
        wanted = eval(re.sub(r"(?<=\d)u\b", "", value))  # the formula in the header file
        assert _engine.DEFAULTS[name] == wanted, name  # type: ignore[literal-required]
