"""Compile a model into a package that the C core runs without Python.

    python -m ishowtts.model.compile demo [--out DIR] [--precision auto|fp32|bf16]

AOTInductor compiles each graph into a shared library for one row without padding and any number of frames. A package is
a folder with these libraries and manifest.json. It is machine code for one processor and one version of torch, which
the manifest names; the folder's default name is a hash of both, of the weights and of the code in this folder. torch is
imported only by the functions that need it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ishowtts._native import multiplies_bf16
from ishowtts.errors import IshowError, ModelError
from ishowtts.extras import require_torch
from ishowtts.folders import cache_dir

from .config import MAX_FRAMES, ModelConfig
from .source import ModelSource, resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .checkpoint import LoadedModel

FORMAT = 5
PRECISIONS = ("fp32", "bf16")
"""Precisions of packages."""
TORCH_PRECISIONS = (*PRECISIONS, "fp16")
"""Precisions of the backends that run PyTorch."""
DEFAULT_PRECISION = "auto"
MIN_FRAMES = MIN_TOKENS = MIN_TIMES = 2
"""Smallest sizes that a package takes; torch.export treats 0 and 1 as constants."""
MAX_TIMES = 65
"""Largest number of times in one call of `modulate`: 64 steps and the end."""
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1}
"""Largest error of a package against eager fp32, relative to the largest value of a result."""
ISA = re.compile(
    r"s?sse|avx|amx|fma|f16c|bmi|abm|v?aes|v?pclmul|gfni|sha_ni|popcnt|movbe|adx|rdrand|rdseed|fsgsbase|clwb|xsave"
)
FACTS = ("torch", "cpu_flags", "source_hash")


def info(config: ModelConfig, precision: str, content_hash: str) -> dict[str, Any]:
    """The fields of `ishow_model_info` (csrc/model/model.h) for a model in a precision."""
    n_fft, hop = config.vocos.frames(config.mel)
    return {
        "name": config.name,
        "precision": precision,
        "content_hash": content_hash,
        "sample_rate": config.mel.sample_rate,
        "n_fft": config.mel.n_fft,
        "hop": config.mel.hop,
        "spectrum_fft": n_fft,
        "spectrum_hop": hop,
        "n_mels": config.mel.n_mels,
        "mel_mean": float(config.mel.mean),
        "mel_std": float(config.mel.std),
        "dim": config.dit.dim,
        "mod_width": config.dit.modulation,
        "text_layout": config.dit.text_layout,
        "predicts_durations": config.duration is not None,
        "uses_prompt": config.prompt,
        "guidance_max": config.dit.guidance_max,
        "max_frames": MAX_FRAMES,
        "nfe": config.nfe,
        "chunk_frames": round(config.chunk_seconds * config.mel.sample_rate / config.mel.hop),
    }


def torch_folder() -> Path:
    """The folder where torch is installed; torch is not imported. MissingPackage: it is not installed."""
    require_torch("A compiled package")
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def torch_facts() -> tuple[str, str | None]:
    """The version of torch and the version of CUDA that it was built with, None for a build without CUDA.

    torch is not imported. MissingPackage: it is not installed; ModelError: its version cannot be read.
    """
    text = (torch_folder() / "version.py").read_text(encoding="utf-8")
    version, cuda = (
        re.search(rf"^{name}(?:: *[\w\[\]]+)? = '([^']+)'", text, re.MULTILINE) for name in ("__version__", "cuda")
    )
    if version is None:
        raise ModelError("The version of torch cannot be read.")
    return version[1], None if cuda is None else cuda[1]


def torch_version() -> str:
    """The version of torch; torch is not imported. Errors as `torch_facts`."""
    return torch_facts()[0]


def cpu_flags() -> list[str]:
    """The instruction set extensions of this machine that a compiler may use, sorted; [] where they are unknown."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    found = re.search(r"^(flags|Features)\s*:(.*)$", text, re.MULTILINE)
    if found is None:
        return []
    every = found[1] == "Features"
    return sorted(flag for flag in set(found[2].split()) if every or ISA.match(flag))


def settled(precision: str | None) -> str:
    """`precision`, or for "auto" and None bf16 where the processor multiplies it faster than fp32, else fp32."""
    if precision is not None and precision != DEFAULT_PRECISION:
        return precision
    return "bf16" if multiplies_bf16() else "fp32"


def source_hash() -> str:
    """SHA-256, in hex, of the code in this folder, which decides what a package computes."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def package_dir(model: str | Path | ModelSource, precision: str = DEFAULT_PRECISION) -> Path:
    """The folder of a model's package in this machine's cache folder; it may not exist. ModelError as `resolve`."""
    source = model if isinstance(model, ModelSource) else resolve(model)
    precision = settled(precision)
    facts = [source.content_hash(), precision, torch_version(), source_hash(), *cpu_flags()]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    return cache_dir() / "packages" / f"{source.config.name}-{precision}-{key}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(package: Path) -> dict[str, str]:
    """Flush all files of a package to the disk; their SHA-256 in hex by relative path."""
    files = sorted(path for path in package.rglob("*") if path.is_file())
    for path in files:
        _sync(path)
    return {str(path.relative_to(package)): _digest(path) for path in files}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_current(path: str | Path) -> bool:
    """Whether a folder is a complete package for this machine, this torch and this code.

    The digest of every file is compared, because loading a truncated library would kill the process.
    """
    folder = Path(path)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        here = {"torch": torch_version(), "cpu_flags": cpu_flags(), "source_hash": source_hash()}
        if manifest["format"] != FORMAT or any(manifest[fact] != here[fact] for fact in FACTS):
            return False
        files: dict[str, str] = manifest["files"]
        if not all(graph["library"] in files for graph in manifest["graphs"].values()):
            return False
        return all(_digest(folder / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def check_compiler() -> str | None:
    """Why no C++ compiler (CXX or g++) works here, as a sentence; None where one works."""
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        return f"There is no C++ compiler ({compiler}): install g++ (Debian: apt install g++), or set CXX."
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, "-x", "c++", "-", "-shared", "-fPIC", "-o", str(Path(folder) / "a.so")]
        program = "#include <vector>\nint f() { return std::vector<int>(1).size(); }\n"
        try:
            done = subprocess.run(command, input=program, text=True, capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"The C++ compiler {compiler} cannot be run: {error}."
    if done.returncode != 0:
        return f"The C++ compiler {compiler} fails: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    return None


def examples(config: ModelConfig, frames: int, tokens: int) -> dict[str, tuple[torch.Tensor, ...]]:
    """Random inputs of every graph for one row, the same for the same sizes; sizes are those of `graphs`.

    Layouts other than "aligned" have as many tokens as frames.
    """
    import torch

    make = torch.Generator().manual_seed(frames * 1000 + tokens)
    dit, mel = config.dit, config.mel
    if dit.text_layout != "aligned":
        tokens = frames

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=make)

    ids = torch.randint(1, dit.text_num_embeds + 1, (1, tokens), generator=make)
    place: list[torch.Tensor] = []
    if dit.text_layout != "padded":
        place.append((torch.arange(frames) * tokens // frames)[None])
    if dit.text_layout == "aligned":
        place.append(torch.rand(1, frames, generator=make))
    reference = torch.tensor([frames // 3])
    times = torch.rand(max(MIN_TIMES, frames % MAX_TIMES), generator=make)
    return {
        "encode": (ids, normal(1, frames, mel.n_mels) * mel.std + mel.mean, *place, reference),
        "modulate": (times, dit.guidance_max * torch.rand(len(times), generator=make))[: 2 if dit.guidance_max else 1],
        "step": (
            normal(1, frames, mel.n_mels),
            normal(2, frames, dit.dim),
            normal(1, dit.modulation) * 0.3,
            torch.tensor([0.1]),
            torch.tensor([2.0]),
        ),
        "vocode": (normal(1, frames, mel.n_mels),),
        "durations": (ids[:, : max(MIN_TOKENS, tokens)],),
    }


def _shapes(config: ModelConfig) -> dict[str, dict[str, Any]]:
    from torch.export import Dim

    frames = Dim("frames", min=MIN_FRAMES, max=MAX_FRAMES)
    phones = Dim("phones", min=MIN_TOKENS, max=MAX_FRAMES)
    times = Dim("times", min=MIN_TIMES, max=MAX_TIMES)
    aligned = config.dit.text_layout == "aligned"
    places = {"padded": 0, "average": 1, "aligned": 2}[config.dit.text_layout]
    return {
        "encode": {
            "tokens": {1: phones if aligned else frames},
            "cond": {1: frames},
            "rest": (*([{1: frames}] * places), {}),
        },
        "modulate": {"t": {0: times}, "guidance": {0: times} if config.dit.guidance_max else None},
        "step": {"x": {1: frames}, "h": {1: frames}, "mod": {}, "dt": {}, "cfg": {}, "frames": None},
        "vocode": {"mel": {1: frames}},
        "durations": {"tokens": {1: phones}},
    }


def compile_graph(name: str, graph: nn.Module, config: ModelConfig, out: Path) -> Path:
    """Export and compile one graph into the archive `out` (.pt2), whose path is returned. Needs a C++ compiler."""
    import torch

    inputs = examples(config, 64, 17)[name]
    shapes = {key: value for key, value in _shapes(config)[name].items() if value is not None}
    with torch.no_grad():
        program = torch.export.export(graph, inputs, dynamic_shapes=shapes)
        path = torch._inductor.aoti_compile_and_package(
            program, package_path=str(out), inductor_configs={"freezing": True, "cpp.dynamic_threads": True}
        )
    return Path(path)


def unpack(archive: Path, folder: Path) -> Path:
    """Extract the library of a .pt2 archive, and the files that it loads, into a new folder; the library's path.

    ModelError: the archive has not exactly one library.
    """
    folder.mkdir(parents=True)
    with zipfile.ZipFile(archive) as file:
        for item in file.infolist():
            name = Path(item.filename)
            if "aotinductor" in name.parts and name.suffix not in (".cpp", ".h", ".o", ".txt"):
                with file.open(item) as source, (folder / name.name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    libraries = list(folder.glob("*.so"))
    if len(libraries) != 1:
        raise ModelError(f"torch's package {archive.name} holds {len(libraries)} libraries; one was expected.")
    return libraries[0]


def verify(
    model: LoadedModel, precision: str, loaded: Mapping[str, Callable[..., Any]], sizes: tuple[int, ...]
) -> float:
    """Largest error of compiled graphs against eager fp32 over `sizes` in frames, relative to the largest value.

    `loaded`: the compiled graphs by name. ModelError: an error exceeds TOLERANCE.
    """
    import torch

    from .graphs import build

    worst = 0.0
    eager = build(model, "fp32")
    for frames in sizes:
        inputs = examples(model.config, frames, max(MIN_TOKENS, frames // 4))
        for name, run in loaded.items():
            with torch.no_grad():
                expected, got = eager[name](*inputs[name]), run(*inputs[name])
            error = float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-3))
            if not error <= TOLERANCE[precision]:
                raise ModelError(f"The compiled graph {name} differs from the model by {error:.2g} at {frames} frames.")
            worst = max(worst, error)
    return worst


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "files"}


def compile_model(
    model: str | Path,
    out: str | Path | None = None,
    precision: str = DEFAULT_PRECISION,
    report: Callable[[str], None] = print,
) -> Path:
    """Compile a model's package and move it to its folder in one step; the folder.

    `out`: the folder, None: `package_dir`. `report`: called with a line for each stage. It takes minutes. ModelError:
    the precision or the model cannot be compiled, there is no C++ compiler, or the result is wrong.
    """
    precision = settled(precision)
    if precision not in PRECISIONS:
        raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}.", status="EINVAL", field="precision")
    source = resolve(model)
    place = Path(out) if out is not None else package_dir(source, precision)
    fault = check_compiler()
    if fault is not None:
        raise ModelError(fault, status="ENOTFOUND")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as folder:
        work = Path(folder)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(work / "inductor")
        made = _compile_into(source, precision, work, report)
        if is_current(place) and _facts(json.loads((place / "manifest.json").read_text())) == _facts(made[1]):
            return place  # another process compiled the same package first
        if place.exists():
            place.rename(work / "old")
        made[0].rename(place)
        _sync(place.parent)
    return place


def _compile_into(
    source: ModelSource, precision: str, work: Path, report: Callable[[str], None]
) -> tuple[Path, dict[str, Any]]:
    import torch

    from .checkpoint import load_model
    from .graphs import build

    model = load_model(source)
    package = work / "package"
    graphs, loaded = {}, {}
    for name, graph in build(model, "bf16" if precision == "bf16" else "fp32").items():
        report(f"compiling {name}")
        archive = compile_graph(name, graph, model.config, work / f"{name}.pt2")
        library = unpack(archive, package / name)
        loaded[name] = torch._inductor.aoti_load_package(str(archive))
        graphs[name] = {"library": str(library.relative_to(package)), "weights": name}
    report(f"largest relative difference to eager: {verify(model, precision, loaded, (MIN_FRAMES, 3, 150)):.1e}")
    manifest = {
        "format": FORMAT,
        "torch": torch_version(),
        "cpu_flags": cpu_flags(),
        "source_hash": source_hash(),
        **info(model.config, precision, model.content_hash),
        "min_frames": MIN_FRAMES,
        "min_tokens": MIN_TOKENS,
        "min_times": MIN_TIMES,
        "n_tokens": model.config.dit.text_num_embeds + 1,
        "graphs": graphs,
        "files": _seal(package),
    }
    (package / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in (package / "manifest.json", *(path for path in package.rglob("*") if path.is_dir()), package):
        _sync(path)
    return package, manifest


def main() -> int:
    """Run the command line; the exit status: 0, or 1 with a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ishowtts.model.compile", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="demo, a folder, a checkpoint, or a published name")
    parser.add_argument("--out", type=Path, help="folder of the package (default: the cache folder of this machine)")
    parser.add_argument("--precision", choices=(DEFAULT_PRECISION, *PRECISIONS), default=DEFAULT_PRECISION)
    parser.add_argument("--threads", type=int, default=2, help="threads to compile with (default 2, at most 2)")
    arguments = parser.parse_args()
    os.nice(max(0, 10 - os.nice(0)))
    threads = max(1, min(2, arguments.threads or 2))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))
    try:
        require_torch("Compiling a model")
        import torch

        torch.set_num_threads(threads)
        print(
            compile_model(
                arguments.model, arguments.out, arguments.precision, lambda line: print(line, file=sys.stderr)
            )
        )
    except IshowError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
