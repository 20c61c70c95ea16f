"""`ishowtts daily doctor`: checks of the machine and the installation, with advice for what is wrong."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ishowtts._engine import DEFAULTS
from ishowtts.errors import IshowError
from ishowtts.extras import has_torch, installs
from ishowtts.folders import cache_dir

if TYPE_CHECKING:
    from ishowtts.config import Config

Level = Literal["good", "note", "bad"]
MEMORY_MIN = 2 << 30
DISK_MIN = 2 << 30
EXTRAS = (
    ("torch", "torch", "eager, compiled and GPU backends, pickled checkpoints"),
    ("train", "pocketsphinx", "training"),
    ("quality", "pandas", "measures and sweeps"),
    ("api", "fastapi", "the FastAPI server"),
)
"""Extras of the package: name, a module that only it installs, what it is for."""


class Finding(NamedTuple):
    """The result of a check; `cure`: what to do about it, "" where nothing is wrong."""

    level: Level
    what: str
    cure: str = ""


def machine() -> Iterator[Finding]:
    """Number of cores, free memory, and space in the cache folder."""
    cores = len(os.sched_getaffinity(0))
    yield (
        Finding("good", f"{cores} cores") if cores > 1 else Finding("note", "1 core", "speech will be slow on one core")
    )
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    text = f"{free / (1 << 30):.1f} GiB of memory free"
    yield (
        Finding("good", text)
        if free >= MEMORY_MIN
        else Finding("note", text, "close other programs before a big model")
    )
    cache = cache_dir()
    place = next(path for path in (cache, *cache.parents) if path.exists())
    if not os.access(place, os.W_OK):
        yield Finding(
            "bad", f"{place} cannot be written", f"make {place} writable, or set ISHOWTTS_CACHE_DIR to another folder"
        )
    left = shutil.disk_usage(place).free
    text = f"{left / (1 << 30):.1f} GiB of disk free for compiled models"
    yield Finding("good", text) if left >= DISK_MIN else Finding("note", text, f"free some space under {place}")


def packages() -> Iterator[Finding]:
    """Python, the extras, the server and a C++ compiler."""
    yield Finding("good", f"Python {sys.version.split()[0]}")
    for extra, module, use in EXTRAS:
        if importlib.util.find_spec(module) is None:
            yield Finding("note", f"the extra {extra} is not installed ({use})", installs(extra))
        else:
            yield Finding("good", f"{module} {importlib.metadata.version(module)} ({use})")
    server = Path(__file__).parents[1] / "bin" / "ishowtts-server"
    if not server.is_file():
        yield Finding("bad", "the server was not built", "run scripts/setup, or install a wheel of this platform")
    from ishowtts.model.compile import check_compiler

    if has_torch() and (missing := check_compiler()):
        yield Finding(
            "note", f"models cannot be compiled: {missing}", "apt-get install g++; until then the other backends serve"
        )


def gpu() -> Iterator[Finding]:
    """Whether the machine has an NVIDIA GPU and torch can use it."""
    if not has_torch():
        if Path("/dev/nvidia0").exists():
            yield Finding("note", "there is a GPU, and no torch to use it: the processor speaks", installs("torch"))
        else:
            yield Finding("note", "no GPU: the processor speaks")
        return
    import torch

    if torch.cuda.is_available():
        yield Finding("good", f"GPU {torch.cuda.get_device_name(0)}")
    elif Path("/dev/nvidia0").exists():
        yield Finding(
            "bad", "there is a GPU that torch does not see", "install the CUDA build of torch and a matching driver"
        )
    else:
        yield Finding("note", "no GPU: the processor speaks")


def model(config: Config) -> Iterator[Finding]:
    """Whether the model of a configuration loads and speaks without faults in the audio."""
    from ishowtts.engine import open_speaker
    from ishowtts.quality import artifacts

    name = config.model.name
    try:
        with open_speaker(config) as engine:
            info = engine.info
            speech = engine.speak("This is a test.", seed=0)
    except IshowError as error:
        yield Finding("bad", f"model {name}: {error}", "check model.name and the files it names: ishowtts config check")
        return
    yield Finding("good", f"model {name} speaks: {info['backend']} {info['precision']}")
    wrong = artifacts.faults(artifacts.find(speech.samples, speech.sample_rate), speech.sample_rate)
    if wrong:
        cure = "try --precision fp32; then another model"
        yield Finding("bad", f"model {name} speaks with faults: {', '.join(wrong)}", cure)


def audio() -> Iterator[Finding]:
    """Whether audio can be played, tried with 0.1 s of silence."""
    import numpy as np

    from ishowtts import player

    found = player.players()
    if not found:
        yield Finding("note", "no program that plays audio", "apt-get install alsa-utils, or write to files with -o")
        return
    try:
        player.play([np.zeros(2400, np.float32)], 24000, [])
    except player.NoSound as error:
        cure = "connect a loudspeaker, join the group audio (usermod -aG audio NAME), or write to files with -o"
        yield Finding("note", f"no sound: {error}", cure)
    else:
        yield Finding("good", f"{found[0]} plays audio")


def ports(port: int = DEFAULTS["port"]) -> Iterator[Finding]:
    """Whether the server's port is free on this machine."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((DEFAULTS["host"], port))
        except OSError as error:
            cure = f"stop what listens there (ss -ltnp 'sport = :{port}'), or serve with --port 0"
            yield Finding("note", f"port {port} is taken: {error.strerror}", cure)
        else:
            yield Finding("good", f"port {port} is free")


def examine(config: Config, port: int = DEFAULTS["port"]) -> Iterator[Finding]:
    """All checks in order; an exception in a check becomes a finding."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        machine,
        packages,
        gpu,
        lambda: model(config),
        audio,
        lambda: ports(port),
    ]
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # a broken installation can raise anything
            what = f"a check failed: {type(error).__name__}: {error}"
            yield Finding("bad", what, "install ishowtts again in a new environment")
