"""Speak and score every setting, sentence and seed of a plan.

Speaking is timed, so one process speaks one utterance at a time; the settings take turns on each sentence, so that
other load on the machine affects all of them. Scoring runs on all cores afterwards. Each clip and each score is a file
whose name is the hash of what produced it, written whole or not at all: an interrupted sweep continues, and a larger
plan computes only what is new.
"""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import platform
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ishowtts import _audio, config
from ishowtts._engine import BUILD, VERSION
from ishowtts.errors import ConfigError
from ishowtts.extras import require
from ishowtts.quality import clips, sources
from ishowtts.quality.clips import Clip
from ishowtts.quality.listeners import identity
from ishowtts.quality.measure import Judges, Scorer
from ishowtts.voices import Voice

from .settings import AUTO, BASELINE, Setting

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.engine import Engine

FORMAT = 4
"""Version of the cached files, part of their hashes; increased when their meaning changes."""


@dataclass(frozen=True)
class Plan:
    """What a sweep speaks: every setting, sentence (by name) and seed from 0 to `seeds` - 1, and how it is scored.

    `config`: the model, and voice and threads where a setting does not name them; precision and sampling are those of
    each setting.
    `baseline`: is spoken too. `groups`, `judges`: as in `quality.measure.Scorer`. ConfigError: there is no setting, or
    `seeds` is not 1 to 1000.
    """

    settings: Sequence[Setting]
    texts: Mapping[str, str] = field(default_factory=sources.texts)
    seeds: int = 1
    config: Config = field(default_factory=config.load)
    baseline: Setting = BASELINE
    groups: Sequence[str] = ("intelligibility", "similarity", "mos", "artifacts")
    judges: Judges = field(default_factory=Judges)

    def __post_init__(self) -> None:
        if not self.settings:
            raise ConfigError("a sweep needs a setting: all were skipped", field="skip")
        if not 1 <= self.seeds <= 1000:
            raise ConfigError(f"seeds must be from 1 to 1000, not {self.seeds}", field="seeds")

    def voices(self) -> dict[str, Voice]:
        """The voice of each value of the axis. ConfigError: the model has no voices, or not one of these."""
        found = self.config.load_voices()
        if not found:
            raise ConfigError(
                f"model {self.config.model.name} has no voices; add [[voices]] to the configuration", field="voices"
            )
        known = {voice.id: voice for voice in found}
        chosen = {}
        for name in dict.fromkeys(one.voice for one in self.all_settings):
            own = (self.config.default_voice or found[0].id) if name == AUTO else name
            if own not in known:
                raise ConfigError(f"there is no voice {own!r}; there are {', '.join(known)}", field="voice")
            chosen[name] = known[own]
        return chosen

    @property
    def all_settings(self) -> list[Setting]:
        """The baseline, then the other settings without repetition."""
        return [self.baseline, *(one for one in dict.fromkeys(self.settings) if one != self.baseline)]


@dataclass(frozen=True)
class Item:
    """A clip of a plan; `key`: the hash of what produces it, `folder`: where its files are."""

    setting: Setting
    voice: Voice
    name: str
    text: str
    seed: int
    key: str
    folder: Path

    @property
    def audio(self) -> Path:
        """The file of the clip."""
        return self.folder / f"{self.key}.flac"

    @property
    def facts(self) -> Path:
        """The file of its timings, which is written after the clip, so its existence means that both are complete."""
        return self.folder / f"{self.key}.json"

    def score(self, judged: str) -> Path:
        """The file of its measures; `judged`: hash of measures and models."""
        return self.folder / f"{self.key}.{judged}.json"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def _identity(voice: Voice) -> list[str | None]:
    """The properties of a voice that change its sound."""
    audio = hashlib.sha256(voice.audio.read_bytes()).hexdigest() if voice.audio is not None else None
    return [voice.id, voice.language, voice.text, audio]


def _program() -> list[str]:
    """What of this program changes the sound: version, build of the C core, hash of the sources of text and model."""
    package = Path(__file__).resolve().parents[1]
    sources = hashlib.sha256()
    for path in sorted([*package.glob("text/**/*.py"), *package.glob("model/**/*.py")]):
        sources.update(path.read_bytes())
    return [VERSION, BUILD, sources.hexdigest()]


Kind = tuple[str, str, str, int | str]
"""What settings that share an engine have in common: precision, backend, device and threads."""


def _engine_of(one: Setting) -> Kind:
    return one.precision, one.backend, one.device, one.threads


def _place(backend: str, asked: str) -> dict[str, str]:
    """Where an engine with this active backend, asked for this device, computes: backend, GPU or "cpu", machine."""
    device = "cpu"
    if backend in ("cuda", "eager", "torch.compile") and asked != "cpu":
        import torch

        if torch.cuda.is_available():
            device = torch.cuda.get_device_name("cuda" if asked == AUTO else asked)
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return {"engine": backend, "device": device, "machine": f"{name} x{os.cpu_count()}"}


def _items(plan: Plan, voices: Mapping[str, Voice], folder: Path, made_by: Mapping[Kind, Any]) -> list[Item]:
    """The clips of a plan; the sections of the configuration that an engine reads are part of their keys."""
    common = [FORMAT, _program(), plan.config.model_dump(mode="json", include={"model", "sampling", "engine"})]
    spoken_by = {name: _identity(voice) for name, voice in voices.items()}

    def key(one: Setting, text: str, seed: int) -> str:
        return _hash([*common, spoken_by[one.voice], made_by[_engine_of(one)], asdict(one), text, seed])

    return [
        Item(one, voices[one.voice], name, text, seed, key(one, text, seed), folder)
        for name, text in plan.texts.items()
        for seed in range(plan.seeds)
        for one in plan.all_settings
    ]


def _speak(engine: Engine, item: Item, plan: Plan) -> None:
    speech = engine.speak(item.text, item.voice.id, seed=item.seed, **item.setting.engine)
    _write(item.audio, _audio.encode(speech.samples, speech.sample_rate, "flac"))
    took = {name: speech.timings[name] for name in ("total", "model", "first_audio", "chunks", "retries")}  # type: ignore[literal-required]
    device = plan.config.model.device if item.setting.device == AUTO else item.setting.device
    place = _place(engine.info["backend"], device)
    _write(item.facts, json.dumps({**took, "audio": speech.seconds, **place}).encode())


_judges = Judges()
_scorers: dict[tuple[tuple[str, ...], str | None], Scorer] = {}


def _groups(groups: Sequence[str], voice: Voice) -> tuple[str, ...]:
    """The groups of measures for a voice: one without a clip has no similarity."""
    return tuple(group for group in groups if group != "similarity" or voice.audio is not None)


def _start_scoring(judges: Judges) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the process that waits ends this one
    global _judges
    import torch

    torch.set_num_threads(1)
    _judges = judges


def _score(item: Item, groups: tuple[str, ...], judged: str) -> None:
    own = groups, item.voice.language
    if own not in _scorers:
        _scorers[own] = Scorer(groups, _judges, item.voice.language)
    row = _scorers[own](clips.read(item.audio, item.text), voice=_reference(item.voice))
    row["clip"] = item.name
    _write(item.score(judged), json.dumps(row, ensure_ascii=False).encode())


@functools.cache
def _reference(voice: Voice) -> Clip | None:
    return None if voice.audio is None else clips.read(voice.audio, voice.text)


def _progress(things: Iterable[Any], total: int, what: str) -> Iterator[Any]:
    from tqdm import tqdm

    yield from tqdm(things, total=total, desc=what, unit="clip", disable=not sys.stderr.isatty(), leave=False)


def sweep(plan: Plan, out: str | Path, *, jobs: int | None = None) -> Any:
    """Speak and score what is missing of a plan in the folder `out`; a DataFrame with one row for each clip.

    Columns: setting (its name) and its fields, sentence, text, seed, the measures of `quality`, model_seconds,
    total_seconds, first_audio, rtf (total seconds for a second of audio), engine (the backend that ran), device,
    machine, file; threads (0: all cores) and voice are those that were used. `jobs`: number of processes that measure
    the clips, None: one for each core. IshowError: the model, the voice or a measure cannot be used.
    """
    pandas = require("pandas", "a sweep")
    folder = Path(out) / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    from ishowtts.engine import open_engine

    voices = plan.voices()
    with ExitStack() as stack:
        engines = {}
        for kind in dict.fromkeys(map(_engine_of, plan.all_settings)):
            precision, backend, device, threads = kind
            own: dict[str, Any] = {"precision": precision}
            own |= {} if backend == AUTO else {"backend": backend}
            own |= {} if device == AUTO else {"device": device}
            own |= {} if threads == AUTO else {"threads": threads}
            engines[kind] = stack.enter_context(open_engine(plan.config, "off", **own))
        made_by = {name: [engine.info["content_hash"], engine.info["backend"]] for name, engine in engines.items()}
        items = _items(plan, voices, folder, made_by)
        todo = [item for item in items if not item.facts.is_file()]
        for kind in {_engine_of(item.setting) for item in todo}:  # the first utterance of a process is slower
            engines[kind].speak(next(iter(plan.texts.values())), next(iter(voices.values())).id, seed=0)
        for item in _progress(todo, len(todo), "speaking"):
            _speak(engines[_engine_of(item.setting)], item, plan)
    judges = {**asdict(plan.judges), "listener": identity(plan.judges.listener)}
    measured = {voice.id: _groups(plan.groups, voice) for voice in voices.values()}
    judged = {id: _hash([groups, judges, _program()]) for id, groups in measured.items()}
    todo = [item for item in items if not item.score(judged[item.voice.id]).is_file()]
    if todo:
        for voice in {item.voice for item in todo}:
            Scorer(measured[voice.id], plan.judges, voice.language)  # reports a missing package before the processes
        workers = min(jobs or os.cpu_count() or 1, len(todo))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _start_scoring, (plan.judges,)) as pool:
            try:
                waiting = [pool.submit(_score, item, measured[item.voice.id], judged[item.voice.id]) for item in todo]
                for done in _progress(waiting, len(todo), "scoring"):
                    done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)  # those that have not begun
                raise
    return pandas.DataFrame([_row(item, judged[item.voice.id], plan, Path(out)) for item in items])


def _row(item: Item, judged: str, plan: Plan, out: Path) -> dict[str, Any]:
    facts, scores = json.loads(item.facts.read_bytes()), json.loads(item.score(judged).read_bytes())
    row = {
        "setting": item.setting.name,
        **asdict(item.setting),
        "threads": plan.config.model.threads if item.setting.threads == AUTO else item.setting.threads,
        "voice": item.voice.id,
        "sentence": item.name,
        "text": item.text,
        "seed": item.seed,
    }
    row |= {name: value for name, value in scores.items() if name not in ("clip", "text")}
    row |= {"model_seconds": facts["model"], "total_seconds": facts["total"], "first_audio": facts["first_audio"]}
    row["rtf"] = facts["total"] / facts["audio"] if facts["audio"] else np.nan
    row |= {name: facts[name] for name in ("engine", "device", "machine")}
    return {**row, "file": str(item.audio.relative_to(out))}
