"""Completions in real shells, and manual pages with groff: both are generated from the parsers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ishowtts import cli, completion

WHOLE = cli.command_tree()
LINES = {  # command line: expected completions
    "ishowtts sp": {"speak"},
    "ishowtts speak --nf": {"--nfe"},
    "ishowtts speak --format ": {"wav", "pcm", "flac", "opus", "mp3"},
    "ishowtts daily do": {"doctor"},
    "ishowtts daily doctor --po": {"--port"},
    "ishowtts config sc": {"schema"},
    "ishowtts sweep --guidance-": {"--guidance-interval"},
    "ishowtts completion f": {"fish"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell, name in (("bash", "ishowtts.bash"), ("zsh", "_ishowtts"), ("fish", "ishowtts.fish")):
        (folder / name).write_text(completion.script(shell, WHOLE))
    return folder


def shell(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("typed", LINES)
def test_bash(scripts: Path, typed: str) -> None:
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    code = f"source {scripts}/ishowtts.bash; COMP_WORDS=({words}); COMP_CWORD={typed.count(' ')}; _ishowtts; "
    code += "printf '%s\\n' \"${COMPREPLY[@]}\""
    assert set(shell("bash", "-c", code).split()) == LINES[typed]


@pytest.mark.parametrize("typed", LINES)
def test_fish(scripts: Path, typed: str) -> None:
    told = shell("fish", "--no-config", "-c", f"source {scripts}/ishowtts.fish; complete -C '{typed}'")
    assert {line.split("\t")[0] for line in told.splitlines()} == LINES[typed]


# Runs zsh in a pseudo-terminal, and writes the completed line into a file.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'fpath=(FOLDER $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w z 'try() { zle complete-word; print -r -- "$BUFFER" > FOLDER/made; }'
zpty -w z 'zle -N try; bindkey "^I" try; print > FOLDER/ready'
until [ -e FOLDER/ready ]; do sleep 0.05; done
zpty -w -n z "$1"$'\t'
until [ -s FOLDER/made ]; do sleep 0.05; done
zpty -d z
"""


@pytest.mark.parametrize("typed", [line for line, found in LINES.items() if len(found) == 1])
def test_zsh(scripts: Path, typed: str) -> None:
    for name in ("ready", "made"):
        (scripts / name).unlink(missing_ok=True)
    shell("zsh", "-f", "-c", ZSH.replace("FOLDER", str(scripts)), "zsh", typed)
    assert (scripts / "made").read_text() == f"{typed.rpartition(' ')[0]} {next(iter(LINES[typed]))} \n"


def test_zsh_reads_it(scripts: Path) -> None:
    shell("zsh", "-n", str(scripts / "_ishowtts"))


@pytest.mark.parametrize("page", [None, *(command.name for command in WHOLE.commands)])
def test_manual_pages(page: str | None) -> None:
    source = completion.manual(WHOLE, page)
    done = subprocess.run(
        ["groff", "-k", "-man", "-Tutf8", "-ww", "-P-c"], input=source, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = " ".join(re.sub(".\b", "", done.stdout).replace("\N{HYPHEN}", "-").split())
    for section in ("NAME", "SYNOPSIS", "EXIT STATUS"):
        assert section in shown
    if page == "speak":
        assert "--nfe NFE steps of the solver" in shown and "one of wav, pcm, flac, opus, mp3" in shown


def test_every_option_is_there() -> None:
    """All commands, including those with a module of their own."""
    named = {command.name: command for command in WHOLE.commands}
    assert set(named) == {"speak", "serve", "api", "voices", "config", "completion", "man", *cli.MODULES}
    assert {"--nfe", "--both-branches", "--seed"} <= {
        flag for option in named["speak"].options for flag in option.flags
    }
    for name, flag in (
        ("sweep", "--grid"),
        ("quality", "--baseline"),
        ("quantize", "--calibrate"),
        ("train", "--finetune"),
    ):
        assert flag in {one for option in named[name].options for one in option.flags}, name
    assert {one.name for one in named["daily"].commands} >= {"quick", "doctor"}


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == completion.script("bash", WHOLE)
    assert cli.main(["man", "daily"]) == 0
    assert capsys.readouterr().out == completion.manual(WHOLE, "daily")
