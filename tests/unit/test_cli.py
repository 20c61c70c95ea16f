"""The command line: output, errors of one sentence, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts import __version__, cli, speaking

ROOT = Path(__file__).resolve().parents[2]


def run(
    *arguments: str, text: str = "", folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ishowtts", *arguments]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, input=text, capture_output=True, text=True, env=surroundings, cwd=folder)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["--version"])
    assert raised.value.code == 0 and capsys.readouterr().out == f"ishowtts {__version__}\n"


def test_speaks_into_a_file_and_says_what_it_did(tmp_path: Path) -> None:
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    done = run("speak", "Hello there.", "-o", str(first), "--seed", "5", "--nfe", "3", "--threads", "1")
    assert done.returncode == 0, done.stderr
    for part in ("s of audio", "real-time factor", "first audio", "seed 5", "voice ", "backend "):
        assert part in done.stderr
    with wave.open(str(first)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        assert 0.3 < file.getnframes() / file.getframerate() < 5
        assert any(file.readframes(file.getnframes()))
    again = run("speak", "-", "-o", str(second), "--seed", "5", "--nfe", "3", "--threads", "1", text="Hello there.\n")
    assert again.returncode == 0, again.stderr
    assert first.read_bytes() == second.read_bytes(), "the same seed gives the same speech"


def test_the_help_tells_ranges_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["speak", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "as many as the model states, else 7 (0 to 64; default 0)" in said
    assert "(euler, midpoint; default euler)" in said and "(0.25 to 4; default 1)" in said
    assert "do not let a guidance-conditioned network predict the guided velocity itself --sway" in said


def test_ways_of_sampling(tmp_path: Path) -> None:
    def said(*options: str) -> bytes:
        out = tmp_path / "x.wav"
        assert cli.main(["speak", "Hi.", "-o", str(out), "--seed", "5", "--nfe", "2", "--threads", "1", *options]) == 0
        return out.read_bytes()

    plain = said()
    assert said("--solver", "euler", "--guidance-interval", "0:1") == plain != said("--solver", "midpoint")
    assert said("--short-guidance") == plain, "the embedded voice has no reference in its rows"
    assert (
        len({said("--both-branches"), said("--both-branches", "--set", "sampling.embedded_guidance=true"), plain}) == 2
    )
    assert said("--guidance-interval", "0:0") == said("--cfg", "0") != plain


def test_the_name_of_the_file_or_an_option_choose_the_format(tmp_path: Path) -> None:
    named, asked = tmp_path / "a.ogg", tmp_path / "b.bin"
    for arguments in (["-o", str(named)], ["-o", str(asked), "--format", "mp3"]):
        done = run("speak", "Hello there.", "--seed", "5", "--nfe", "3", "--threads", "1", *arguments)
        assert done.returncode == 0, done.stderr
    for path, form in ((named, "OGG"), (asked, "MP3")):
        assert soundfile.info(path).format == form
        samples, rate = soundfile.read(path)
        assert rate == 24000 and 0.3 < len(samples) / rate < 5 and abs(samples).max() > 0.05


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


QUICK = ("--nfe", "2", "--threads", "1", "--seed", "5")


def test_plays_while_it_is_spoken_when_no_file_is_named(tmp_path: Path) -> None:
    program(tmp_path, "aplay", f'echo "$@" > {tmp_path}/arguments; /bin/cat > {tmp_path}/heard.raw')
    done = run("speak", "Hi.", *QUICK, PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arguments").read_text() == "-q -t raw -f S16_LE -c 1 -r 24000\n"
    heard = np.fromfile(tmp_path / "heard.raw", "<i2") / 32768
    assert len(heard) > 2400 and 0.05 < abs(heard).max() < 1
    whole = tmp_path / "whole.wav"
    assert cli.main(["speak", "Hi.", *QUICK, "-o", str(whole)]) == 0
    assert np.abs(soundfile.read(whole)[0] - heard).max() < 1e-4


def test_the_first_chunk_is_heard_before_the_last_is_made(tmp_path: Path) -> None:
    fifo = tmp_path / "sound"
    os.mkfifo(fifo)
    program(tmp_path, "aplay", f"/bin/cat > {fifo}")
    text = "This is a sentence that takes its time. " * 100
    command = [sys.executable, "-m", "ishowtts", "speak", text, "--threads", "1", "--nfe", "32"]
    process = subprocess.Popen(command, env=os.environ | {"PATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True)
    with fifo.open("rb") as sound:
        assert len(sound.read(4800)) == 4800
        assert process.poll() is None, "it is still speaking"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_without_a_sound_card_the_speech_is_written_to_a_file(tmp_path: Path) -> None:
    program(tmp_path, "paplay", "/bin/cat > /dev/null; echo Connection refused >&2; exit 1")
    program(
        tmp_path,
        "aplay",
        "echo ALSA lib pcm.c: Unknown PCM >&2; echo audio open error: No such file or directory >&2; exit 1",
    )
    for number, name in enumerate(("speech.wav", "speech2.wav")):
        done = run("speak", "Hi. " * 20, *QUICK, folder=tmp_path, PATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        first = done.stderr.splitlines()[0]
        assert first == (
            "nothing can be played here "
            "(paplay: Connection refused; aplay: audio open error: No such file or directory): "
            f"the speech is in {name}"
        )
        assert soundfile.info(tmp_path / name).duration > 2 and len(list(tmp_path.glob("*.wav"))) == number + 1
    program(tmp_path, "ffplay", f"/bin/cat > {tmp_path}/heard.raw")  # the next player works, and gets everything
    done = run("speak", "Hi. " * 20, *QUICK, folder=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 0 and "nothing can be played" not in done.stderr
    played, written = (
        np.fromfile(tmp_path / "heard.raw", "<i2"),
        soundfile.read(tmp_path / "speech.wav", dtype="int16")[0],
    )
    assert len(played) == len(written) and np.abs(played.astype(int) - written).max() <= 1


def test_no_program_that_plays(tmp_path: Path) -> None:
    done = run("speak", "hi", *QUICK, folder=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 0 and "none of paplay, aplay, ffplay, pw-play, afplay is installed" in done.stderr
    assert soundfile.info(tmp_path / "speech.wav").duration > 0.2


def test_a_text_of_any_length_is_cut(tmp_path: Path) -> None:
    text = ("A short one. " * 60 + "\n\n") * 8
    assert len(text) > 6000
    fast = ("--nfe", "1", "--speed", "2", "--threads", "1")
    done = run("speak", "-", "-o", str(tmp_path / "x.wav"), *fast, text=text)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "x.wav").duration > 200


def test_where_a_text_is_cut() -> None:
    paragraphs = "\n\n".join(f"Paragraph {n} has a sentence. It has another, too." for n in range(40))
    parts = speaking.cut(paragraphs, 500)
    assert "".join(parts) == paragraphs and all(len(part) <= 500 for part in parts)
    assert all(part.endswith("too.\n\n") for part in parts[:-1])
    sentences = "This is a sentence. " * 40
    assert all(part.endswith("sentence. ") for part in speaking.cut(sentences, 130))
    assert all(part.endswith("。") for part in speaking.cut("今天天气很好。" * 30, 50))
    assert all(part.endswith(" ") for part in speaking.cut("word " * 50, 33)[:-1])
    assert speaking.cut("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert speaking.cut("short", 10) == ["short"] and speaking.cut("a" * 10 + " \n " * 9, 10) == ["a" * 10]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"a\0b", "text holds a NUL character"),
        (b"a\xed\xa0\x80b", "The text is not UTF-8."),
        (b"caf\xe9", "The text is not UTF-8."),
    ],
    ids=["NUL", "surrogate", "Latin-1"],
)
def test_what_is_no_text_is_refused_without_a_traceback(text: bytes, wrong: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ishowtts", "speak", "-o", str(tmp_path / "x.wav"), *QUICK]
    if b"\0" in text:
        done = subprocess.run([*command, "-"], input=text, capture_output=True)
    else:
        done = subprocess.run([*command, text], capture_output=True)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr, done.stderr
    assert done.stderr.decode() == f"ishowtts speak: {wrong}\n"
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["speak", "hi", "--nfe", "99", "-o", "x.wav"], "from 0 to 64, not 99"),
        (["speak", "hi", "--solver", "heun", "-o", "x.wav"], "one of euler, midpoint, not"),
        (["speak", "hi", "--guidance-interval", "0.5", "-o", "x.wav"], "must be FROM:TO"),
        (
            ["speak", "hi", "--guidance-interval", "0:2", "-o", "x.wav"],
            "--guidance-interval must be FROM:TO, times from 0 to 1",
        ),
        (["speak", "hi", "--guidance-interval", "0.6:0.2", "-o", "x.wav"], "FROM is later than TO in '0.6:0.2'"),
        (
            [
                "speak",
                "hi",
                "--precision",
                "int8-static",
                "--model",
                "F5TTS_v1_Small=/no/such.safetensors",
                "-o",
                "x.wav",
            ],
            "/no/such.safetensors",
        ),
        (["speak", "hi", "--seed", "-1", "-o", "x.wav"], "--seed"),
        (["speak", "hi", "--voice", "nobody", "-o", "x.wav"], "nobody"),
        (["speak", "hi", "--model", "/no/such/model", "-o", "x.wav"], "/no/such/model"),
        (["speak", "hi", "-o", "/no/such/folder/x.wav"], "/no/such/folder"),
        (
            ["speak", "hi", "-o", "x.m4a"],
            "x.m4a must end in .wav, .pcm, .flac, .opus, .mp3, .ogg, or name its --format",
        ),
        (["man", "sing"], "there is no command sing; there are speak, serve,"),
        (["speak", "  ", "-o", "x.wav"], "no text"),
        (["speak", "-o", "x.wav"], "text"),
        (["speak", "hi", "--config", "/no/such.toml", "-o", "x.wav"], "/no/such.toml"),
        (["sing"], "sing"),
        ([], "COMMAND"),
        (["config", "check", "/no/such.toml"], "/no/such.toml"),
        (["voices", "--set", "nonsense"], "section.key=value"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    said = capsys.readouterr()
    assert status == 2 and said.out == ""
    assert words in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_text_without_sound(tmp_path: Path) -> None:
    done = run("speak", "😀", "-o", str(tmp_path / "x.wav"), "--threads", "1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "spoken" in done.stderr


def test_words_that_the_voice_cannot_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.wav")
    for text, words in (("Hello привет", "привет"), ("Hello привет мир", "2 words, such as привет"), ("Hello.", "")):
        assert cli.main(["speak", text, "-o", out, "--nfe", "2", "--threads", "1", "--voice", "hazel"]) == 0
        said = capsys.readouterr().err.splitlines()
        note = f"the voice hazel cannot read {words}; `ishowtts voices` lists others"
        assert said[:-1] == ([note] if words else [])


def test_interrupt_while_loading_and_while_speaking_is_130(tmp_path: Path) -> None:
    text = "This is a long sentence about nothing at all. " * 40
    for moment in ("loading", "speaking"):
        code = f"""
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell is started with it ignored
from ishowtts import cli, engine
def later():
    os.kill(os.getpid(), signal.SIGINT)
real = engine.Engine.stream
def stream(self, *arguments, **options):
    made = real(self, *arguments, **options)
    threading.Timer(0.5, later).start()
    return made
engine.Engine.stream = stream
if {moment!r} == "loading":
    from ishowtts import _runtime
    backend = _runtime.backend
    def slow(*arguments):
        later()
        return backend(*arguments)
    _runtime.backend = slow
sys.exit(cli.main(["speak", {text!r}, "-o", "x.wav", "--threads", "1", "--backend", "eager"]))
"""
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (130, ""), moment
        assert not (tmp_path / "x.wav").exists()


def test_voices_are_listed_and_the_default_marked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("default_voice = 'b'\n[[voices]]\nid = 'a'\ntext = 'One.'\n[[voices]]\nid = 'b'\ntext = 'Two.'\n")
    assert cli.main(["voices", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in lines] == ["  a", "* b"]
    assert cli.main(["voices", "--config", str(file), "--json"]) == 0
    assert [voice["default"] for voice in json.loads(capsys.readouterr().out)] == [False, True]


def test_config_is_checked_and_shown_without_secrets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[server]\napi_key = 'hunter2'\n")
    assert cli.main(["config", "check", str(file)]) == 0
    assert "good" in capsys.readouterr().out
    assert cli.main(["config", "show", str(file), "--set", "sampling.nfe=5"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["sampling"]["nfe"] == 5 and "hunter2" not in shown
    assert cli.main(["config", "schema"]) == 0
    assert "sampling" in json.loads(capsys.readouterr().out)["properties"]


def test_serve_hands_over_to_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[object] = []
    monkeypatch.setattr(cli.os, "execve", lambda *arguments: seen.extend(arguments))
    monkeypatch.setattr(cli, "SERVER", tmp_path / "ishowtts-server")
    assert cli.main(["serve"]) == 2, "not built"
    cli.SERVER.touch()
    cli.main(["serve", "--host", "::1", "--port", "0", "--set", "model.threads=1", "--config", "c.toml"])
    program, command, environment = seen
    assert program == cli.SERVER
    assert command[1:] == ["--host", "::1", "--port", "0", "--config", "c.toml", "--set", "model.threads=1"]
    assert environment["ISHOWTTS_PYTHON"] == sys.executable


def test_training_has_its_own_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["train", "--help"])
    assert raised.value.code == 0 and "usage: ishowtts train" in capsys.readouterr().out
