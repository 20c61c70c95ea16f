"""One table of fields: every interface has exactly its fields, and a new row appears in all of them."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ishowtts import _service, cli, config, fields
from ishowtts._engine import DEFAULTS
from ishowtts.api import schemas
from ishowtts.errors import ConfigError
from ishowtts.sweep.settings import NAMES, Setting, settings

ROOT = Path(__file__).resolve().parents[2]
REQUEST_NAMES = [field.name for field in fields.REQUEST]
AROUND = ["text", "voice_id", "engine"], ["format", "sample_rate"]
"""What a request over HTTP has before and after the fields of the table."""
DELIVERY = {"early", "priority", "deadline", "notify", "times", "noise", "trajectory"}


def speak_options() -> dict[str, argparse.Action]:
    commands = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return {action.dest: action for action in commands.choices["speak"]._actions}


def test_requests_over_http_and_their_description() -> None:
    named = [*AROUND[0], *REQUEST_NAMES, *AROUND[1]]
    for schema in (
        json.loads(_service.SPEECH_SCHEMA),
        schemas.REQUESTS["SpeechRequest"],
        json.loads((ROOT / "ishowtts/web/openapi.json").read_text())["components"]["schemas"]["SpeechRequest"],
    ):
        assert list(schema["properties"]) == named
        for field in fields.REQUEST:
            assert schema["properties"][field.name]["description"] == field.help
    answer = _service.read_speech(json.dumps({"text": "a", "x": 1}).encode())
    assert isinstance(answer, tuple) and f"fields are {', '.join(named)}." in answer[1]


def test_the_configuration() -> None:
    for section, table in ((config.SamplingConfig, fields.SAMPLING), (config.EngineConfig, fields.ENGINE)):
        assert list(section.model_fields) == [field.setting for field in table]
        made = section()
        properties = section.model_json_schema()["properties"]
        for field in table:
            node = properties[field.setting]
            assert getattr(made, field.setting or "") == field.default == DEFAULTS[field.setting]  # type: ignore[literal-required]
            assert node["description"] == field.help
            assert (node.get("minimum"), node.get("maximum")) == (field.least, field.most)
            assert tuple(node.get("enum", ())) == field.choices


def test_keyword_arguments_of_python() -> None:
    options = fields.SpeechOptions.__annotations__
    assert set(options) == set(fields.options(fields.REQUEST)) | DELIVERY
    assert set(fields.EngineOptions.__annotations__) == {field.option for field in fields.ENGINE}


def test_the_command_line() -> None:
    actions = speak_options()
    for option, parts in fields.options(fields.REQUEST).items():
        action = actions[option]
        switched_off = bool(parts[0].negation)  # its help says what no longer happens, without the gain
        said = [part.help.split(":")[0] if switched_off else part.help for part in parts]
        assert action.default is None and all(one in str(action.help) for one in said)
        assert action.option_strings == ["--" + (parts[0].negation or option).replace("_", "-")]


def test_the_axes_of_a_sweep() -> None:
    assert ("precision", "backend", "device", "threads", "voice", *fields.options(fields.SAMPLING)) == NAMES
    for option, parts in fields.options(fields.SAMPLING).items():
        default = Setting().engine[option]
        assert default == (tuple(part.default for part in parts) if len(parts) > 1 else parts[0].default)
        one = settings(**{option: str(getattr(Setting(), option))})
        assert one == [Setting()]


@pytest.mark.parametrize("section, table", [("sampling", fields.SAMPLING), ("engine", fields.ENGINE)])
def test_a_reload_replaces_what_may_change(section: str, table: tuple[fields.Field, ...]) -> None:
    before = config.load()
    for field in table:
        other = {
            "boolean": not field.default, "choice": field.choices[-1:], "whole": field.least, "number": field.least,
            "seed": 0
        }[field.kind]  # fmt: skip
        value = other[0] if isinstance(other, tuple) else other
        if value == field.default:
            value = field.most
        key = f"{section}.{field.setting}"
        text = json.dumps(int(value) if field.kind == "whole" else value).strip('"')
        after = config.load(None, [f"{key}={text}"])
        found = json.loads(_service.compare(before.to_json(), after.to_json(), True))
        where, other_where = ("restart_needed", "changed") if field.restart else ("changed", "restart_needed")
        assert found[where] == [key] and found[other_where] == []


def test_the_reference_of_requests() -> None:
    page = (ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8").split("## Speaking\n")[1].split("\n\n`")[0]
    found = re.findall(r"^- \*\*`(\w+)`\*\*(?: \(values (.*?), default (.*?)\))?", page, re.MULTILINE)
    rows = {name: (values, default) for name, values, default in found}
    assert list(rows) == [*AROUND[0], *REQUEST_NAMES, *AROUND[1]]
    for field in fields.REQUEST:
        values, default = rows[field.name]
        if field.kind in ("whole", "number"):
            assert values == f"{field.least:g} to {field.most:.10g}" and default == f"{field.default:g}"
        elif field.kind == "choice":
            assert values == ", ".join(f"`{word}`" for word in field.choices) and default == f"`{field.default}`"
        elif field.kind == "boolean":
            assert values == "boolean" and default == str(field.default).lower()


ADDED = """
import contextlib, io, json
from ishowtts import _engine
_engine.REQUEST_FIELDS += (
    dict(name="warm_strength", option="warm", setting="warm_strength", negation=None, kind="number", restart=False,
         least=0.0, most=2.0,
         default=0.5, choices=(), help="how warm it sounds"),
    dict(name="purr", option="purr", setting="purr", negation=None, kind="boolean", restart=False, least=None,
         most=None, default=False,
         choices=(), help="like a cat"),
)
from ishowtts import cli, config, fields
from ishowtts.api import speech
from ishowtts.errors import ConfigError
from ishowtts.sweep import command, settings
helps = {}
for name, parser in (("speak", cli.main), ("sweep", cli.main)):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        parser([name, "--help"])
    helps[name] = out.getvalue()
try:
    config.load(None, ["sampling.warm_strength=3"])
except ConfigError as error:
    refused = str(error)
class State:
    config = config.load(None, ["sampling.warm_strength=0.75"])
print(json.dumps({
    "help": helps, "refused": refused,
    "schema": config.schema()["$defs"]["SamplingConfig"]["properties"]["warm_strength"],
    "settings": [one.engine for one in settings(warm="0,1.5", purr="on")],
    "names": [one.name for one in settings(warm="0,1.5", purr="on")],
    "asked": speech._options(State, {"purr": True}),
}))
"""


def test_a_new_row_appears_in_every_interface() -> None:
    done = subprocess.run([sys.executable, "-c", ADDED], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert (
        "--warm WARM" in seen["help"]["speak"]
        and "--purr " in seen["help"]["speak"]
        and "like a cat" in seen["help"]["speak"]
    )
    assert "--warm WARM" in seen["help"]["sweep"] and "of off,on; like a cat (default: off)" in " ".join(
        seen["help"]["sweep"].split()
    )
    assert (
        seen["refused"] == "option sampling.warm_strength: sampling.warm_strength must be a number from 0 to 2, not 3"
    )
    assert seen["schema"] == {
        "title": "Warm Strength", "type": "number", "minimum": 0, "maximum": 2, "default": 0.5,
        "description": "how warm it sounds"
    }  # fmt: skip
    assert [(one["warm"], one["purr"]) for one in seen["settings"]] == [(0, True), (1.5, True)]
    assert seen["names"] == ["fp32, nfe auto, warm 0, purr", "fp32, nfe auto, warm 1.5, purr"]
    assert (seen["asked"]["warm"], seen["asked"]["purr"], seen["asked"]["nfe"]) == (0.75, True, 0)


def test_values_from_text() -> None:
    table = {field.option: field for field in fields.REQUEST}
    assert fields.read(table["seed"], str(fields.SEED_MAX)) == fields.SEED_MAX
    assert fields.read(table["fix_duration"], "4.5") == 4.5 and fields.read(table["remove_silence"], "on") is True
    for option, text in (("seed", "-1"), ("seed", str(1 << 64)), ("seed", "0x1"), ("nfe", "65"), ("nfe", "7.5"),
        ("cfg", "nan"),
                         ("fix_duration", "inf"), ("solver", "heun"), ("remove_silence", "yes")):  # fmt: skip
        with pytest.raises(ConfigError, match="must be"):
            fields.read(table[option], text)


def test_no_interface_names_a_field() -> None:
    """Interfaces read the table: a field is named where it is defined, typed, documented and used, in no other file."""
    names = {field.name for field in fields.REQUEST if "_" in field.name}
    at = re.compile(rf"\b(?:{'|'.join(sorted(names))})\b")
    folders = ("csrc/bridge", "csrc/cluster", "csrc/server", "csrc/service", "ishowtts/api", "ishowtts/config")
    files = [path for folder in folders for end in ("c", "h", "py") for path in (ROOT / folder).rglob(f"*.{end}")]
    files += [*(ROOT / "csrc/pyext").glob("[es]*.c"), *(ROOT / "ishowtts").glob("[ces]*.py")]
    assert len(files) > 100 and {ROOT / "ishowtts/cli.py", ROOT / "csrc/pyext/engine_fields.c"} <= set(files)
    found = {str(path.relative_to(ROOT)): at.findall(path.read_text(encoding="utf-8")) for path in files}
    assert not {path: words for path, words in found.items() if words}
    for path in ("csrc/engine/field.c", "docs/reference/http-api.md"):
        assert names <= set(at.findall((ROOT / path).read_text(encoding="utf-8"))), path
