"""The seed of the fuzzer of configurations follows what a configuration holds; run this file to write it again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ishowtts import config

SEED = Path(__file__).parent / "corpus" / "settings" / "00"
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


def kinds(value: object) -> object:
    """The keys of a configuration, with the types of their values."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    return [kinds(one) for one in value] if isinstance(value, list) else type(value).__name__


def test_the_seed_is_a_whole_configuration() -> None:
    seed, now = json.loads(SEED.read_text(encoding="utf-8")), json.loads(configuration())
    assert kinds(seed) == kinds(now), f"{__file__} writes it again"
    assert [voice["audio"] for voice in seed["voices"]] == [voice["audio"] for voice in now["voices"]]


if __name__ == "__main__":
    SEED.write_text(configuration(), encoding="utf-8")
