"""Reading a TOML file with the line of each key, and putting values that were given as text into its data."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .cluster import FILES

Keys = tuple[str, ...]
"""The way to a setting: ("server", "port"), ("voices", "0", "id")."""


def read_file(file: Path) -> tuple[dict[str, Any], dict[Keys, str]]:
    """The data of a TOML file, relative paths made absolute, and "file:line" of each key and table.

    ConfigError: the file cannot be read (status ENOTFOUND or EIO), is not UTF-8 or is not TOML (EINVAL, with the line).
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: this is not UTF-8 text") from None
    except OSError as error:
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EIO"
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", status=status) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        what = str(error)[: found.start()] if found else str(error)
        raise ConfigError(f"{file}:{line}: {what[:1].lower()}{what[1:]}") from None
    _anchor(data, file.parent.absolute())
    return data, {keys: f"{file}:{line}" for keys, line in line_numbers(text).items()}


def _anchor(data: dict[str, Any], folder: Path) -> None:
    """Make the relative paths of a file absolute."""
    voices = data.get("voices")
    for voice in voices if isinstance(voices, list) else []:
        if isinstance(voice, dict) and isinstance(audio := voice.get("audio"), str) and audio:
            voice["audio"] = str(folder / Path(audio).expanduser())
    server = data.get("server")
    for key in ("state_dir", "api_key_file"):
        if isinstance(server, dict) and isinstance(place := server.get(key), str) and place:
            server[key] = str(folder / Path(place).expanduser())
    cluster = data.get("cluster")
    for key in FILES:
        if isinstance(cluster, dict) and isinstance(place := cluster.get(key), str) and place:
            cluster[key] = str(folder / Path(place).expanduser())
    chat = data.get("chat")
    sources = chat.get("sources") if isinstance(chat, dict) else None
    for source in sources if isinstance(sources, list) else []:
        for key in ("token_file", "code_file", "ca_file"):
            if isinstance(source, dict) and isinstance(place := source.get(key), str) and place:
                source[key] = str(folder / Path(place).expanduser())
    model = data.get("model")
    if isinstance(model, dict) and isinstance(name := model.get("name"), str):
        preset, separator, place = name.rpartition("=")
        if "/" in place and "://" not in place:
            model["name"] = f"{preset}{separator}{folder / Path(place).expanduser()}"


def line_numbers(text: str) -> dict[Keys, int]:
    """The line, from 1, on which each key and table of a TOML text begins.

    tomllib reports no positions, so this looks for `key =` and `[table]` at the beginning of lines. A key inside an
    inline table is not found.
    """
    places: dict[Keys, int] = {}
    table: Keys = ()
    count: dict[Keys, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = _keys(found[2])
            if found[1] == "[[":
                count[table] = count.get(table, -1) + 1
                places.setdefault(table, number)
                table += (str(count[table]),)
            places.setdefault(table, number)
        elif found := re.match(
            r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=", line
        ):
            places.setdefault(table + _keys(found[1]), number)
    return places


def _keys(dotted: str) -> Keys:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def put(
    data: dict[str, Any],
    keys: Keys,
    value: str,
    place: str,
    places: dict[Keys, str],
    node: Mapping[str, Any] | None,
) -> None:
    """Set the value at `keys` of `data` from text, and record in `places` that it comes from `place`.

    `node`: the JSON schema of the value, which tells its type; None where the schema has no such key. ConfigError: a
    key on the way is already a value and not a table.
    """
    target: Any = data
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{place}: {'.'.join(keys)} cannot be set from here", field=".".join(keys))
    for known in [known for known in places if known[: len(keys)] == keys]:
        del places[known]
    places[keys] = place
    target[keys[-1]] = _typed(value, node)


def _typed(value: str, node: Mapping[str, Any] | None) -> Any:
    """Text as the type that the schema wants; where it does not fit, the text itself, which validation refuses."""
    if node is None or node.get("type") == "string" or "enum" in node:
        return value
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return parsed["value"] if len(parsed) == 1 else value


def shown(keys: Iterable[str]) -> str:
    """The keys as people write them: "voices[0].id"."""
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(keys))
