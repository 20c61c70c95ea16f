"""`ishowtts quantize`: choose formats of a model's products, and calibrate it for the precision int8-static.

`--recipe` writes a recipe (model/recipe.py) and measures it; `--layers` measures what each product and each block loses
in a format. `--calibrate` finds the fixed scales of activations of int8-static: PyTorch speaks sentences with the model
in fp32. For each input of a quantised product a histogram counts its values over all sentences, steps and both branches
of guidance. Scale and zero point are those whose range gives the least mean square error: a narrower range clips a few
values and rounds all others less. The last sentence is not counted; on it the velocity of the quantised model is
compared with that in fp32.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, ModelError
from .model import calibration, native, recipe
from .model.source import ModelSource, resolve
from .options import Parser, add_speaker, speaker
from .quality import sources

if TYPE_CHECKING:
    import torch

    from .config import Config
    from .engine import Engine

SENTENCES = Path(__file__).parent / "quality" / "calibration.txt"
RULE = "mse"
"""Name of the rule that chooses the clipping range, stored in the file: least mean square error."""
LEVELS = 127
GROUP = 64
_BINS, _CANDIDATES, _NARROWEST, _ROUNDS = 8192, 128, 1 / 64, 3
_INPUTS = (".to_q", ".ff.0.0", ".ff.2")
"""Calibrated linear layers of a block. Keys and values have the queries' input; that of `to_out` is always dynamic."""


class Histogram:
    """A histogram of values, whose range doubles when a value exceeds it, and the peaks of `width` channels."""

    def __init__(self, width: int) -> None:
        self.peaks: NDArray[np.float32] = np.zeros(width, np.float32)
        self._counts: NDArray[np.float64] = np.zeros(_BINS)
        self._range = 1e-6
        self._ends = (float("inf"), float("-inf"))

    def add(self, values: torch.Tensor) -> None:
        """Count the values of a tensor [..., width]."""
        import torch

        rows = values.detach().float().reshape(-1, len(self.peaks))
        np.maximum(self.peaks, rows.abs().amax(dim=0).cpu().numpy(), out=self.peaks)
        self._ends = (min(self._ends[0], float(rows.min())), max(self._ends[1], float(rows.max())))
        while self.peaks.max() > self._range:
            self._counts = np.pad(self._counts.reshape(-1, 2).sum(axis=1), _BINS // 4)
            self._range *= 2
        self._counts += torch.histc(rows, _BINS, -self._range, self._range).cpu().numpy()

    @property
    def quantiser(self) -> tuple[float, float]:
        """Scale and shift of least mean square error: the integer q in [-127, 127] means scale * q + shift.

        ModelError: all values are equal, or one is not finite.
        """
        low, high = self._ends
        if not 0 < high - low < float("inf"):
            raise ModelError("The model's activations are zeros or not finite: it cannot be calibrated.")
        middles = (np.linspace(0.5, _BINS - 0.5, _BINS) * 2 / _BINS - 1) * self._range
        mean = float((self._counts * middles).sum() / self._counts.sum())
        parts = np.geomspace(_NARROWEST, 1, _CANDIDATES)
        lows, highs = mean + (low - mean) * parts, mean + (high - mean) * parts
        for _ in range(_ROUNDS):  # one end after the other: they hardly depend on each other
            low = float(min(lows, key=lambda end: self._error(middles, end, high)))
            high = float(min(highs, key=lambda end: self._error(middles, low, end)))
        return (high - low) / (2 * LEVELS), (high + low) / 2

    def _error(self, middles: NDArray[np.float64], low: float, high: float) -> float:
        scale, shift = (high - low) / (2 * LEVELS), (high + low) / 2
        stored = scale * np.clip(np.round((middles - shift) / scale), -LEVELS, LEVELS) + shift
        return float((self._counts * (middles - stored) ** 2).sum())


class Observed:
    """What was recorded of a model: histograms of the inputs of linear layers by name, or, while `kept`, its steps.

    A step is the arguments of `graphs.Step` and its result.
    """

    def __init__(self) -> None:
        self.histograms: dict[str, Histogram] = {}
        self.steps: list[tuple[list[torch.Tensor], torch.Tensor]] = []
        self.kept = False
        self._names: dict[int, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record every linear layer and step that PyTorch runs inside this context, on any thread."""
        from torch.nn.modules import module

        hooks = (
            module.register_module_forward_pre_hook(self._before),
            module.register_module_forward_hook(self._after),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _before(self, seen: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        from .model.graphs import Step

        if isinstance(seen, Step) and not self._names:
            self._names = {id(part): name for name, part in seen.dit.named_modules() if name.endswith(_INPUTS)}
        if (name := self._names.get(id(seen))) is not None and not self.kept:
            self.histograms.setdefault(name, Histogram(inputs[0].shape[-1])).add(inputs[0])

    def _after(self, seen: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        from .model.graphs import Step

        if self.kept and isinstance(seen, Step):
            self.steps.append(([value.clone().cpu() for value in inputs if value is not None], output.clone().cpu()))


def observe(engine: Engine, texts: Sequence[str], voices: Sequence[str | None]) -> Observed:
    """Speak texts with an engine whose backend is eager and record its layers; of the last text, its steps instead.

    `voices` take turns; None: the default one. A guidance-conditioned network speaks every other text with both
    branches, so that these are counted too.
    """
    from tqdm import tqdm

    observed = Observed()
    with observed.watching():
        for seed, text in enumerate(tqdm(texts, unit="sentence", disable=not sys.stderr.isatty(), leave=False)):
            observed.kept = seed == len(texts) - 1
            voice = voices[0] if observed.kept else voices[seed % len(voices)]
            engine.speak(text, voice, seed=seed, embedded_guidance=observed.kept or seed % 2 == 0)
    return observed


def velocity_error(source: ModelSource, precision: str, observed: Observed, threads: int = 0) -> float:
    """Relative error of the native backend's velocity over the recorded steps: ‖native − recorded‖ / ‖recorded‖.

    `precision`: as `native.is_known`; `threads`: 0 for all cores.
    """
    from ._native import Native

    backend = Native(native.native_json(source, precision), threads=threads)
    away = whole = 0.0
    for (x, h, mod, dt, cfg), after in observed.steps:
        moved = x[0].clone()
        other = h[1].numpy() if len(h) > 1 else None
        backend.step([(moved.numpy(), h[0].numpy(), other, mod[0].numpy(), float(dt), float(cfg), x.shape[1])])
        away += float((moved - after[0]).square().sum() / dt**2)
        whole += float((after[0] - x[0]).square().sum() / dt**2)
    return float((away / whole) ** 0.5)


def save(path: Path, source: ModelSource, observed: Observed, sentences: int) -> None:
    """Write a calibration file, a safetensors file that is replaced whole; ConfigError: it cannot be written.

    Each input has `NAME.input_scale` [1], `NAME.input_shift` [1] and `NAME.input_peaks` [channels], fp32.
    """
    from safetensors.numpy import save as written

    tensors = {}
    for name, histogram in sorted(observed.histograms.items()):
        for what, value in zip(("scale", "shift"), histogram.quantiser, strict=True):
            tensors[f"{name}.input_{what}"] = np.array([value], np.float32)
        tensors[f"{name}.input_peaks"] = histogram.peaks
    about = {"model": source.content_hash(), "name": source.config.name, "rule": RULE, "sentences": str(sentences)}
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(written(tensors, about))
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", status="EIO", field="out") from None


def calibrate(
    settings: Config, texts: Mapping[str, str] | None = None, out: Path | None = None
) -> tuple[Path, dict[str, float]]:
    """Calibrate the model of a configuration; the path of the file, and `velocity_error` by precision.

    The default voice of the configuration speaks; where it names none, all voices take turns. `texts`: sentences by
    name, at least two; None: those of the package. `out`: the file to write, None: in the user's cache folder.
    ModelError: the native backend cannot run the model; ConfigError: there are fewer than two sentences, or the file
    cannot be written.
    """
    from .engine import open_engine

    source, threads = resolve(settings.model.name), settings.model.threads
    if (reason := native.why_not(source)) is not None:
        raise ModelError(f"{reason} int8-static is not for this model.", status="EINVAL", field="model")
    sentences = list((texts if texts is not None else sources.texts(SENTENCES)).values())
    if len(sentences) < 2:
        raise ConfigError(
            "a calibration needs two sentences at least: the last one is for the comparison", field="texts"
        )
    with open_engine(settings, "off", precision="fp32", backend="eager") as engine:
        every: list[str | None] = [voice["id"] for voice in engine.voices]
        observed = observe(engine, sentences, [settings.default_voice] if settings.default_voice else every or [None])
    path = out or calibration.cached(source)
    save(path, source, observed, len(sentences) - 1)
    return path, {name: velocity_error(source, name, observed, threads) for name in ("int8-dynamic", native.CALIBRATED)}


def recorded(settings: Config) -> Observed:
    """The steps of one sentence that a model speaks in fp32, for `velocity_error`. Errors as `calibrate`."""
    from .engine import open_engine

    text = list(sources.texts(SENTENCES).values())[-1]
    with open_engine(settings, "off", precision="fp32", backend="eager") as engine:
        return observe(engine, [text], [settings.default_voice])


def error_of(source: ModelSource, chosen: Mapping[str, str], observed: Observed, threads: int = 0) -> float:
    """`velocity_error` of a recipe."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "recipe.json")
        path.write_text(json.dumps(chosen), encoding="utf-8")
        return velocity_error(source, recipe.PREFIX + str(path), observed, threads)


def layer_errors(source: ModelSource, wanted: str, observed: Observed, threads: int = 0) -> Iterator[tuple[str, float]]:
    """What a format costs in no product, in one of each block, in all of one block, by pattern; others are fp32."""
    names = ["", *(f"*.{name}" for name in recipe.PRODUCTS), *(f"{i}.*" for i in range(source.config.dit.depth))]
    for name in names:
        yield name, error_of(source, {"*": "fp32", **({name: wanted} if name else {})}, observed, threads)


def _compare(settings: Config, source: ModelSource, options: argparse.Namespace) -> int:
    """Write a recipe and print the errors that were asked for."""
    wanted = "int8" if options.weights is None else f"int{options.weights}/{options.group}"
    chosen = {"*": wanted, **dict.fromkeys(options.skip, "bf16")}
    recipe.formats(chosen, source.config.dit.depth)
    if options.recipe:
        options.recipe.write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
        print(f"{options.recipe}: {chosen}; use it as precision {recipe.PREFIX}{options.recipe}")
    print("relative error of the velocity on one sentence, against fp32")
    observed, threads = recorded(settings), settings.model.threads
    for name in ("bf16", "int8-dynamic"):
        print(f"  {name:16} {velocity_error(source, name, observed, threads):.2%}")
    print(f"  {'recipe':16} {error_of(source, chosen, observed, threads):.2%}")
    for name, error in layer_errors(source, wanted, observed, threads) if options.layers else ():
        print(f"  {wanted + ' in ' + (name or 'none'):16} {error:.2%}", flush=True)
    return 0


def _show(source: ModelSource) -> None:
    from safetensors import safe_open

    path = calibration.needed(source)
    with safe_open(path, "numpy") as file:
        about = file.metadata()
        print(f"{path}: {about['name']}, {about['sentences']} sentences, clips by {about['rule']}")
        for name in sorted(key.removesuffix(".input_scale") for key in file.keys() if key.endswith(".input_scale")):  # noqa: SIM118
            scale, shift, peaks = (file.get_tensor(f"{name}.input_{what}") for what in ("scale", "shift", "peaks"))
            low, high = (float(shift[0]) + end * LEVELS * float(scale[0]) for end in (-1, 1))
            print(f"  {name:44} {low:9.3f} to {high:9.3f}, largest magnitude {float(peaks.max()):9.3f}")


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(
        prog=prog,
        description="Choose formats of a model's products (--recipe, --layers), or prepare it for the precision "
        "int8-static (--calibrate); without these: show its calibration.",
    )
    p.add_argument(
        "--recipe", metavar="FILE", type=Path, help="write a recipe: int8, or --weights, but bf16 where --skip says so"
    )
    p.add_argument("--layers", action="store_true", help="also measure each product and each block by itself")
    p.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="PATTERN",
        help="products that stay bf16, such as '*.ff2' (qkv, out, ff1, ff2) or '0.*' (a block); may be repeated",
    )
    p.add_argument(
        "--weights", type=int, choices=range(2, 9), metavar="BITS",
        help="2 to 8: weights alone in so many bits, rounded when the model is loaded and multiplied in bf16",
    )  # fmt: skip
    p.add_argument(
        "--group",
        type=int,
        default=GROUP,
        metavar="N",
        help="weights that share a scale and a zero point (default: %(default)s)",
    )
    p.add_argument("--calibrate", action="store_true", help="speak sentences and find the scales")
    add_speaker(p)
    p.add_argument("--device", help="where the model speaks, in fp32: auto, cpu, cuda or cuda:N")
    p.add_argument(
        "--texts", metavar="FILE", type=Path, default=SENTENCES, help="sentences, one a line (default: the package's)"
    )
    p.add_argument("--sentences", type=int, metavar="N", help="only the first N of them")
    p.add_argument(
        "--beside", action="store_true", help="write beside the model's weights, not into the user's cache folder"
    )
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts quantize") -> int:
    """Run the command with its arguments; the exit status. Errors as `calibrate`."""
    options = parser(prog).parse_args(arguments)
    settings = speaker(options)
    if options.device:
        settings = settings.model_copy(update={"model": settings.model.model_copy(update={"device": options.device})})
    source = resolve(settings.model.name)
    if options.recipe or options.layers:
        return _compare(settings, source, options)
    if not options.calibrate:
        _show(source)
        return 0
    texts = dict(list(sources.texts(options.texts).items())[: options.sentences])
    out = calibration.beside(source) if options.beside else None
    path, errors = calibrate(settings, texts, out)
    print(f"{path}: {len(texts) - 1} sentences")
    figures = ", ".join(f"{name} {error:.2%}" for name, error in errors.items())
    print(f"relative error of the velocity on one more sentence: {figures}")
    return 0
