"""Finding the files of a model by name, folder or checkpoint; torch is not imported.

A reference to a model is one of
    demo                           the voices in this package
    /path/to/folder                a folder with model.json, as training writes it, or of a published checkpoint
    /path/to/model.safetensors     a published checkpoint, with vocab.txt beside it
    F5TTS_v1_Base                  a published checkpoint by name, from the hub's cache or the network
    hf://owner/repository/path     another checkpoint on the hub; hf://owner/repository@REVISION/path#sha256=HEX is
                                   that of one commit, and of no other content
A published checkpoint does not contain the name of its architecture: it is searched in the path, or written before it,
"F5TTS_Base=/path/to/model.pt". Its vocoder is in the folder `vocos` beside it, else the published one is used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import ModelError
from ishowtts.extras import installs
from ishowtts.folders import cache_dir

from .config import PRESETS, ModelConfig, VocosConfig

CALIBRATION_SUFFIX = ".int8.safetensors"
"""The suffix of calibration files beside the weights (calibration.py)."""
VOCODER_REPOSITORY = "charactr/vocos-mel-24khz"
VOCODER_FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pt", "pytorch_model.pth")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
CHECKPOINTS = {
    "F5TTS_v1_Base": ("SWivid/F5-TTS", "F5TTS_v1_Base/model_1250000.safetensors"),
    "F5TTS_Base": ("SWivid/F5-TTS", "F5TTS_Base/model_1200000.safetensors"),
    "E2TTS_Base": ("SWivid/E2-TTS", "E2TTS_Base/model_1200000.safetensors"),
}
"""Repository and path of published checkpoints; those of the Small architectures were not published."""

HUB_PLACE = re.compile(r"([^/@#]+/[^/@#]+)(?:@([^/@#]+))?/([^#]+)(?:#sha256=([0-9A-Fa-f]{64}))?")

logger = logging.getLogger("ishowtts")


@dataclass(frozen=True)
class ModelSource:
    """The files of a model: weights of transformer, vocoder and duration predictor, and the vocabulary."""

    config: ModelConfig
    dit: Path
    vocos: Path
    vocab_path: Path
    duration: Path | None
    vocab: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All weight files."""
        return tuple(path for path in (self.dit, self.vocos, self.duration) if path is not None)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The symbols that name speakers, at the end of the vocabulary."""
        return self.vocab[len(self.vocab) - self.config.dit.speakers :]

    def content_hash(self) -> str:
        """SHA-256 of configuration, vocabulary and weights as 64 hex digits. ModelError: a file cannot be read."""
        whole = hashlib.sha256(self.config.to_json().encode())
        whole.update("\n".join(self.vocab).encode())
        for path in self.files:
            whole.update(file_hash(path))
        return whole.hexdigest()


def resolve(reference: str | Path, vocoder: str | Path | None = None) -> ModelSource:
    """Find the files of a model; `vocoder`: a Vocos folder to use instead of the model's own.

    Files on the hub are downloaded unless they are in its cache. ModelError: there is no such model, or a file of it is
    missing or wrong.
    """
    text = str(reference)
    name, separator, place = text.partition("=")
    if separator and name in PRESETS:
        preset: str | None = name
    else:
        preset, place = None, text
    if place == "demo":
        folder = Path(__file__).resolve().parent.parent / "voices" / "demo"
    elif place in PRESETS and not Path(place).exists():
        if place not in CHECKPOINTS:
            raise ModelError(
                f"No weights were published for {place}; give the path of a checkpoint instead.",
                status="ENOTFOUND",
                field="model",
            )
        return _published(_hub(*CHECKPOINTS[place]), place, vocoder)
    elif place.startswith("hf://"):
        parsed = HUB_PLACE.fullmatch(place[5:])
        if not parsed:
            raise ModelError(
                f"{place} must read hf://owner/repository[@revision]/path[#sha256=64 hex digits].",
                status="EINVAL",
                field="model",
            )
        repository, revision, path, wanted = parsed.groups()
        file = _hub(repository, path, revision)
        if wanted and file_hash(file).hex() != wanted.lower():
            raise ModelError(
                f"{path} of {repository} is not the file that was asked for: its SHA-256 is {file_hash(file).hex()}.",
                status="EFORMAT",
                field="model",
            )
        return _published(file, preset, vocoder)
    else:
        folder = Path(place).expanduser()
    if folder.is_file():
        return _published(folder, preset, vocoder)
    if not folder.is_dir():
        names = ", ".join(("demo", *CHECKPOINTS))
        raise ModelError(
            f"There is no model {text}: give a folder, a checkpoint file, or one of {names}.",
            status="ENOTFOUND",
            field="model",
        )
    if (folder / "model.json").is_file():
        return _native(folder, vocoder)
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in CHECKPOINT_SUFFIXES and not path.name.endswith(CALIBRATION_SUFFIX)
    )
    if len(found) != 1:
        raise ModelError(
            f"{folder} holds neither model.json nor exactly one checkpoint ({', '.join(CHECKPOINT_SUFFIXES)}).",
            status="ENOTFOUND",
            field="model",
        )
    return _published(found[0], preset, vocoder)


def _native(folder: Path, vocoder: str | Path | None) -> ModelSource:
    config = ModelConfig.load(folder / "model.json")
    vocab_path = folder / "vocab.txt"
    vocab = read_vocab(vocab_path)
    if len(vocab) > config.dit.text_num_embeds:
        raise ModelError(f"{vocab_path} has {len(vocab)} symbols; the model takes {config.dit.text_num_embeds}.")
    vocos = folder / "vocos.safetensors"
    if vocoder is not None:
        vocos, vocos_config = vocos_folder(Path(vocoder), config)
        config = dataclasses.replace(config, vocos=vocos_config)
    duration = folder / "duration.safetensors" if config.duration is not None else None
    source = ModelSource(config, folder / "dit.safetensors", vocos, vocab_path, duration, vocab)
    for path in source.files:
        if not path.is_file():
            raise ModelError(f"{path} is missing.", status="ENOTFOUND", field="model")
    return source


def _published(checkpoint: Path, preset: str | None, vocoder: str | Path | None) -> ModelSource:
    if preset is None:
        preset = next((part for part in reversed(checkpoint.parts) if part in PRESETS), None)
    if preset is None:
        raise ModelError(
            f"{checkpoint} does not say its architecture: write for example F5TTS_v1_Base={checkpoint}.",
            status="EINVAL",
            field="model",
        )
    config = PRESETS[preset]
    vocab_path = checkpoint.parent / "vocab.txt"
    if not vocab_path.is_file() and "snapshots" in checkpoint.parts:  # the hub's cache: files are fetched one by one
        at = checkpoint.parts.index("snapshots")
        repository = checkpoint.parts[at - 1].removeprefix("models--").replace("--", "/")
        revision, inside = checkpoint.parts[at + 1], Path(*checkpoint.parts[at + 2 :])
        vocab_path = _hub(repository, str(inside.parent / "vocab.txt"), revision)
    vocab = read_vocab(vocab_path)
    if vocoder is not None:
        place = Path(vocoder)
    elif (checkpoint.parent / "vocos").is_dir():
        place = checkpoint.parent / "vocos"
    else:
        place = _hub(VOCODER_REPOSITORY, "config.yaml").parent
        _hub(VOCODER_REPOSITORY, "pytorch_model.bin")
    vocos, vocos_config = vocos_folder(place, config)
    dit = dataclasses.replace(config.dit, text_num_embeds=len(vocab))
    config = dataclasses.replace(config, dit=dit, vocos=vocos_config)
    return ModelSource(config, checkpoint, vocos, vocab_path, None, vocab)


def vocos_folder(folder: Path, config: ModelConfig) -> tuple[Path, VocosConfig]:
    """The weight file and the sizes of a published Vocos folder, which has config.yaml and one of VOCODER_FILES.

    Without config.yaml the sizes are those of VOCODER_REPOSITORY. ModelError: a file is missing or malformed, or the
    features are not those of `config.mel`.
    """
    path = folder / "config.yaml"
    weights = next((folder / name for name in VOCODER_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder} holds none of {', '.join(VOCODER_FILES)}.", status="ENOTFOUND", field="model")
    if not path.exists():
        logger.warning("%s has no config.yaml: its size is taken to be that of %s.", folder, VOCODER_REPOSITORY)
        return weights, VocosConfig()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}.", status="ENOTFOUND", field="model") from error
    fields: dict[str, set[str]] = {}
    for key, value in re.findall(r"^\s*(\w+):\s*([\w.+-]+)\s*(?:#.*)?$", text, re.MULTILINE):
        fields.setdefault(key, set()).add(value)
    mel = config.mel
    expected = {
        "sample_rate": mel.sample_rate,
        "n_fft": mel.n_fft,
        "hop_length": mel.hop,
        "n_mels": mel.n_mels,
        "input_channels": mel.n_mels,
        "padding": "center",
    }
    for key, wanted in expected.items():
        if fields.get(key, {str(wanted)}) != {str(wanted)}:
            raise ModelError(f"{path}: {key} is {'/'.join(sorted(fields[key]))}; the model needs {wanted}.")
    sizes = {}
    for key in ("dim", "intermediate_dim", "num_layers"):
        values = fields.get(key, set())
        if len(values) != 1 or not (value := next(iter(values))).isdecimal():
            raise ModelError(f"{path}: {key} is missing or not one number.")
        sizes[key] = int(value)
    return weights, VocosConfig(sizes["dim"], sizes["intermediate_dim"], sizes["num_layers"])


def read_vocab(path: Path) -> tuple[str, ...]:
    """The symbols of a vocab.txt, one on each line, by id. ModelError: the file cannot be read or is empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"The vocabulary {path} cannot be read: {error}.", status="ENOTFOUND") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise ModelError(f"The vocabulary {path} is empty.")
    return tuple(lines)


def _hub(repository: str, path: str, revision: str | None = None) -> Path:
    """The path of a file of a hub repository, which is downloaded unless it is in the hub's cache.

    A download is logged with its commit and hash.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(
            f"{repository} is on the hub, which needs the package huggingface_hub: {installs('hub')}, "
            "or give the path of a checkpoint.",
            status="ENOTFOUND",
            field="model",
        ) from error
    try:
        try:
            return Path(hf_hub_download(repository, path, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            file = Path(hf_hub_download(repository, path, revision=revision))
    except Exception as error:  # huggingface_hub raises its own, httpx's and the system's errors
        raise ModelError(
            f"{path} of {repository} could not be downloaded ({type(error).__name__}): check the network, "
            "or download it elsewhere and give its path.",
            status="ENOTFOUND",
            field="model",
        ) from error
    commit = file.parts[file.parts.index("snapshots") + 1] if "snapshots" in file.parts else "main"
    logger.info("downloaded hf://%s@%s/%s#sha256=%s", repository, commit, path, file_hash(file).hex())
    return file


HASHES_KEPT = 64
"""Number of files whose hashes are remembered."""
BIG = 1 << 24
"""Size of a file, in bytes, from which its hash is remembered."""


def file_hash(path: Path) -> bytes:
    """SHA-256 of a file; that of a big file is remembered in the cache folder by path, size and modification time.

    ModelError: the file cannot be read.
    """
    try:
        stat = path.stat()
        key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        memo = cache_dir() / "hashes.json" if stat.st_size > BIG else None
        known = _known_hashes(memo) if memo is not None else {}
        if key in known:
            return bytes.fromhex(known[key])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}.", status="ENOTFOUND", field="model") from error
    if memo is not None:
        kept = dict([*known.items(), (key, digest.hex())][-HASHES_KEPT:])
        with contextlib.suppress(OSError):  # without a writable cache folder the file is hashed again next time
            memo.parent.mkdir(parents=True, exist_ok=True)
            partial = memo.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(kept), encoding="utf-8")
            partial.replace(memo)
    return digest


def _known_hashes(memo: Path) -> dict[str, str]:
    """Hashes in hex by key from the file `memo`, {} where it is missing or damaged."""
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
        return {key: value for key, value in known.items() if len(bytes.fromhex(value)) == 32}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
