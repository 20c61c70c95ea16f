"""Seeds of fuzzers follow what the program writes, configurations and descriptions; run this file to write them."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny

from ishowtts import config
from ishowtts.model.config import Backbone
from ishowtts.model.native import native_json
from ishowtts.model.source import resolve

CORPUS = Path(__file__).parent / "corpus"
SEED = CORPUS / "settings" / "00"
MODELS: dict[Backbone, Path] = {"dit": CORPUS / "manifest" / "00", "unett": CORPUS / "manifest" / "08"}
WRITTEN = """
[server]
state_dir = "/state"
api_key = "a key of the server"
allowed_hosts = ["tts.example"]
[chat]
banned_words = ["bad"]
bots = ["nightbot"]
[chat.role_voices]
moderator = "owen"
[[chat.sources]]
platform = "twitch"
channel = "somebody"
[[chat.sources]]
platform = "bilibili"
channel = "6"
[[chat.sources]]
platform = "youtube"
channel = "@somebody"
token = "a key of YouTube"
[[pronounce]]
word = "GIF"
said = "/dʒɪf/"
language = "en"
"""


def configuration() -> str:
    """A configuration with something in every list, as the C code reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ishowtts.toml"
        path.write_text(WRITTEN, encoding="utf-8")
        made = config.load(path).to_dict()
    for voice in made["voices"]:
        voice["audio"] = f"/voices/{Path(voice['audio']).name}"  # wherever the package lies
    return json.dumps(made, ensure_ascii=False)


def description(backbone: Backbone) -> str:
    """A model as the native backend reads it."""
    with tempfile.TemporaryDirectory() as folder:
        made = json.loads(native_json(resolve(tiny.make(Path(folder), backbone=backbone)), "fp32"))
    made |= {"dit_file": "a", "vocos_file": "b", "calibration": {"file": "d", "model": "e"}}
    made["duration"]["file"] = "c"
    return json.dumps(made)


def kinds(value: object) -> object:
    """The keys of a configuration, with the types of their values."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    return [kinds(one) for one in value] if isinstance(value, list) else type(value).__name__


def test_the_seed_is_a_whole_configuration() -> None:
    seed, now = json.loads(SEED.read_text(encoding="utf-8")), json.loads(configuration())
    assert kinds(seed) == kinds(now), f"{__file__} writes it again"
    assert [voice["audio"] for voice in seed["voices"]] == [voice["audio"] for voice in now["voices"]]


@pytest.mark.parametrize("backbone", MODELS)
def test_the_seeds_of_models_are_whole_descriptions(backbone: Backbone) -> None:
    seed, now = json.loads(MODELS[backbone].read_text(encoding="utf-8")), json.loads(description(backbone))
    assert kinds(seed) == kinds(now), f"{__file__} writes it again"
    assert (seed["dit"], seed["vocos"]) == (now["dit"], now["vocos"])


if __name__ == "__main__":
    SEED.write_text(configuration(), encoding="utf-8")
    for backbone, path in MODELS.items():
        path.write_text(description(backbone), encoding="utf-8")
