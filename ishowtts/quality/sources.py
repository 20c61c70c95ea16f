"""Sources of clips and sentences: files, folders, URLs, a running server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from ishowtts.errors import ConfigError, IshowError

from . import clips
from .clips import Clip

SENTENCES = Path(__file__).parent / "sentences.txt"
URL_SECONDS = 300.0


def texts(path: Path = SENTENCES) -> dict[str, str]:
    """The sentences of a file by name, one on each line, "name|sentence" or "sentence", whose name is its number.

    ConfigError: the file cannot be read, has no sentence, or uses a name twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise ConfigError(f"texts: {path} cannot be read: {why}", status="ENOTFOUND", field="texts") from None
    found: dict[str, str] = {}
    for line in lines:
        name, bar, text = line.rpartition("|")
        name = name.partition("|")[0].strip() if bar else f"{len(found) + 1:03d}"
        if text.strip():
            if name in found:
                raise ConfigError(f"texts: {path} uses the name {name!r} twice", field="texts")
            found[name] = text.strip()
    if not found:
        raise ConfigError(f"texts: there is no sentence in {path}", field="texts")
    return found


def is_url(source: str) -> bool:
    """Whether a source is an HTTP URL."""
    return source.startswith(("http://", "https://"))


def files(source: str) -> list[Path]:
    """A file, or all audio files in a folder and its subfolders, sorted. ConfigError: there are none."""
    path = Path(source)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in clips.SUFFIXES and file.is_file())
        if not found:
            kinds = ", ".join(clips.SUFFIXES)
            raise ConfigError(f"there is no audio ({kinds}) in the folder {path}", status="ENOTFOUND", field="source")
        return found
    if not path.exists():
        raise ConfigError(f"there is no file or folder {path}", status="ENOTFOUND", field="source")
    return [path]


def _fetch(request: urllib.request.Request) -> tuple[bytes, str]:
    try:
        with urllib.request.urlopen(request, timeout=URL_SECONDS) as answer:
            return answer.read(), answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        body = error.read()
        try:
            why = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            why = f"status {error.code}"
        raise IshowError(f"{request.full_url}: {why}", status="EIO", field="source") from None
    except OSError as error:
        why = str(getattr(error, "reason", error))
        raise IshowError(f"{request.full_url} cannot be reached: {why}", status="EIO", field="source") from None


def from_url(url: str, sentences: dict[str, str], key: str | None = None) -> Iterator[Clip]:
    """The audio file at a URL, or for the address of an iShowTTS server all sentences, which it speaks.

    The server uses its own settings and seeds from 0 on; `key`: its API key. IshowError: the URL cannot be fetched or
    is no audio.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.path.strip("/"):
        data, _ = _fetch(urllib.request.Request(url))
        yield clips.decode(data, Path(parts.path).stem)
        return
    headers = {"Content-Type": "application/json", "Accept": "audio/wav"} | (
        {"Authorization": f"Bearer {key}"} if key else {}
    )
    for seed, (name, text) in enumerate(sentences.items()):
        body = json.dumps({"text": text, "seed": seed}).encode()
        data, kind = _fetch(urllib.request.Request(url.rstrip("/") + "/api/tts", body, headers))
        if not kind.startswith("audio/"):
            raise IshowError(
                f"{url} answers {kind}, not audio: is this an iShowTTS server?", status="EFORMAT", field="source"
            )
        yield clips.decode(data, name, text)


def recordings(source: str | None) -> tuple[Clip | None, dict[str, Path]]:
    """What `--reference` names: a file is a clip of the voice, a folder has recordings by the names of the clips.

    VoiceError, ConfigError: it cannot be read.
    """
    if source is None:
        return None, {}
    if Path(source).is_dir():
        return None, {path.stem: path for path in files(source)}
    return clips.read(files(source)[0]), {}


def gather(sources: Sequence[str]) -> list[Path | str]:
    """All files of the sources, and their URLs. ConfigError: a file or folder does not exist."""
    found: list[Path | str] = []
    for source in sources:
        found += [source] if is_url(source) else files(source)
    return found
