"""The library as other projects use it: installed into a folder, found by pkg-config, linked, loaded by ctypes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from serving import Server

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **keywords: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, **keywords)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed tree, moved into place by DESTDIR as a packager does."""
    stage, prefix = tmp_path_factory.mktemp("stage"), tmp_path_factory.mktemp("tree") / "usr"
    done = run("make", "-s", "install", f"PYTHON={sys.executable}", f"DESTDIR={stage}", f"PREFIX={prefix}", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    shutil.move(stage / prefix.relative_to("/"), prefix)
    return prefix


def clean_environment(prefix: Path, **more: str) -> dict[str, str]:
    """An environment without paths of the checkout except the interpreter."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig"), "ISHOWTTS_PYTHON": sys.executable} | more


@pytest.fixture(scope="module")
def speak(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`examples/speak.c`, built with the flags of pkg-config and with warnings as errors."""
    folder = tmp_path_factory.mktemp("speak")
    environment = clean_environment(prefix)
    flags = run("pkg-config", "--cflags", "--libs", "ishow", env=environment).stdout.split()
    strict = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{prefix}/lib")
    shutil.copy(ROOT / "examples" / "speak.c", folder)
    built = run("cc", *strict, "speak.c", *flags, "-o", "speak", cwd=folder, env=environment)
    assert built.returncode == 0, built.stderr
    return folder / "speak"


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32767


def test_the_example_in_c_speaks(prefix: Path, speak: Path, tmp_path: Path) -> None:
    text = "The library speaks. It needs no checkout for that."
    done = run(speak, text, "a.wav", "seed=1", "nfe_step=5", cwd=tmp_path, env=clean_environment(prefix))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "the library prints nothing"
    samples = samples_of(tmp_path / "a.wav")
    assert 2 * 24000 < len(samples) < 6 * 24000
    assert np.sqrt(np.mean(samples**2)) > 0.02
    run(speak, text, "b.wav", "seed=1", "nfe_step=5", cwd=tmp_path, env=clean_environment(prefix))
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    run(speak, text, "b.wav", "seed=2", "nfe_step=5", cwd=tmp_path, env=clean_environment(prefix))
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nfe_step=65", "nfe_step must be between 0 and 64, not 65"),
        ("voice_id=nobody", "no voice 'nobody'"),
        ("speed=fast", "speed must be a number, not a string"),
        ("colour=red", "no field of this name"),
        ("format=mp3", "format is a field of HTTP"),
        ("seed", "A setting must be like name=value, not seed"),
    ],
)
def test_settings_are_checked(prefix: Path, speak: Path, tmp_path: Path, setting: str, message: str) -> None:
    done = run(speak, "Hello.", "a.wav", setting, cwd=tmp_path, env=clean_environment(prefix))
    assert done.returncode == 1 and message in done.stderr


def test_it_is_the_installed_tree_that_speaks(prefix: Path, speak: Path, tmp_path: Path) -> None:
    trace = clean_environment(prefix, LD_DEBUG="files", LD_DEBUG_OUTPUT=str(tmp_path / "trace"))
    assert run(speak, "Hello.", "a.wav", cwd=tmp_path, env=trace).returncode == 0
    loaded = set(re.findall(r"calling init: (\S+)", next(tmp_path.glob("trace.*")).read_text()))
    own = {name for name in loaded if "libishow" in name or "/ishowtts/" in name}
    assert len(own) > 1 and all(Path(name).is_relative_to(prefix) for name in own), own
    assert sum("libishow" in name for name in own) == 1, "extension modules take the library that is loaded"


def test_the_example_in_python_speaks(prefix: Path, tmp_path: Path) -> None:
    library = prefix / "lib" / "libishow.so.0"
    environment = clean_environment(prefix, ISHOW_LIBRARY=str(library), PYTHONPATH=str(prefix / "lib" / "ishow"))
    example = shutil.copy(ROOT / "examples" / "speak.py", tmp_path)
    done = run(sys.executable, example, "Hello there.", "a.wav", "seed=1", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(samples_of(tmp_path / "a.wav")) > 12000
    done = run(sys.executable, example, "Hello there.", "a.wav", "cfg_strength=11", cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "cfg_strength must be between 0 and 10" in done.stderr


def test_an_installed_server_speaks_to_the_example_of_openai(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = prefix / "bin" / "ishowtts-server"
    version = run("pkg-config", "--modversion", "ishow", env=clean_environment(prefix)).stdout.strip()
    assert run(server, "--version", env=clean_environment(prefix)).stdout == f"ishowtts-server {version}\n"
    monkeypatch.setenv("ISHOWTTS_SERVER", str(server))
    example = shutil.copy(ROOT / "examples" / "openai_client.py", tmp_path)
    with Server(env={"ISHOWTTS_PATH": "", "PYTHONPATH": "", "ISHOWTTS_PYTHON": sys.executable}) as running:
        maps = Path(f"/proc/{running.process.pid}/maps").read_text()
        assert str(prefix / "lib") in maps and str(ROOT / "build") not in maps
        done = run(sys.executable, example, running.url, "Good evening.", "a.wav", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert len(samples_of(tmp_path / "a.wav")) > 12000


def test_only_names_of_the_library_are_exported(prefix: Path) -> None:
    exported = run("nm", "-D", "--defined-only", prefix / "lib" / "libishow.so.0").stdout
    names = {line.split()[2] for line in exported.splitlines()}
    assert {"ishow_tts_open", "ishow_utterance_next", "ishow_version"} <= names
    assert not {name for name in names if not name.startswith("ishow_")}


def test_examples_are_short() -> None:
    assert len((ROOT / "examples" / "speak.c").read_text(encoding="utf-8").splitlines()) <= 50


ONE_CORE = """
from ishowtts import _audio, _cache, _chat, _engine, _flow, _native, _phones, _platforms, _service
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "libishow" in line}
assert len(libraries) == 1, libraries
before = _engine.live_handles()
kept = [_cache.Cache(1000), _platforms.Loop()]
print(_engine.live_handles() - before)
"""


def test_a_process_has_one_core(prefix: Path) -> None:
    for path in (prefix / "lib" / "ishow", ROOT):
        done = run(sys.executable, "-c", ONE_CORE, cwd="/", env=clean_environment(prefix, PYTHONPATH=str(path)))
        assert (done.stdout, done.stderr) == ("2\n", "")


SEVERAL = """
import ctypes, sys, threading
library = ctypes.CDLL(sys.argv[1])
class Error(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int), ("field", ctypes.c_char * 32), ("message", ctypes.c_char * 480),
        ("retry_after", ctypes.c_double),
    )
lines = []
SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_char_p] * 3)
sink = SINK(lambda self, level, module, request, text: lines.append((level, module, text)))
library.ishow_log_set_sink(sink, None, 0)
library.ishow_utterance_next.argtypes = [ctypes.c_void_p, ctypes.c_double, *[ctypes.c_void_p] * 3]
library.ishow_live_handles.restype = ctypes.c_long
error = Error()
AGAIN, CANCELLED = 8, 9

def opened(model, *settings):
    words = (ctypes.c_char_p * (len(settings) + 1))(*settings, None)
    tts = ctypes.c_void_p()
    return library.ishow_tts_open(ctypes.byref(tts), model, words, ctypes.byref(error)), tts

status, tts = opened(b"demo", b"sampling.nfe=4")
speech, piece, n = ctypes.c_void_p(), ctypes.POINTER(ctypes.c_float)(), ctypes.c_size_t()
library.ishow_tts_speak(tts, b"Hello.", None, ctypes.byref(speech), None)
while library.ishow_utterance_next(speech, -1, ctypes.byref(piece), ctypes.byref(n), None) == 0 and n.value: pass
library.ishow_utterance_free(speech)
library.ishow_tts_free(tts)
kept = library.ishow_live_handles()
assert kept <= 1

status, tts = opened(b"demo", b"sampling.nfe=4")
assert status == 0, error.message
assert opened(b"/nowhere")[0] and b"nowhere" in error.message
assert opened(b"demo", b"engine.retries=-1")[0] and b"retries" in error.message
voice = ctypes.create_string_buffer(65)
assert library.ishow_tts_voice_id(tts, 10, voice, None) == 0 and voice.value == b"kerstin"
assert library.ishow_tts_voice_id(tts, 11, voice, None) != 0
text = b"A long story, told slowly. " * 60
assert library.ishow_tts_speak(tts, text, None, ctypes.byref(speech), None) == 0
assert library.ishow_utterance_next(speech, 0, ctypes.byref(piece), ctypes.byref(n), None) == AGAIN
assert library.ishow_utterance_next(speech, -1, ctypes.byref(piece), ctypes.byref(n), None) == 0 and n.value
library.ishow_utterance_cancel(speech)
assert library.ishow_utterance_next(speech, -1, ctypes.byref(piece), ctypes.byref(n), None) == CANCELLED
library.ishow_utterance_free(speech)
assert library.ishow_tts_remove_voice(tts, b"kerstin", None) == 0
options = (ctypes.c_char_p * 2)(b"voice_id=kerstin", None)
assert library.ishow_tts_speak(tts, text, options, ctypes.byref(speech), ctypes.byref(error)) != 0
library.ishow_tts_free(tts)
assert library.ishow_live_handles() == kept
print(sum(level >= 2 for level, _, _ in lines), "warnings")
"""


def test_voices_waiting_cancelling_and_freeing(prefix: Path) -> None:
    environment = clean_environment(prefix, PYTHONPATH=str(prefix / "lib" / "ishow"))
    done = run(sys.executable, "-c", SEVERAL, prefix / "lib" / "libishow.so.0", cwd="/", env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 warnings\n", ""), done.stderr
