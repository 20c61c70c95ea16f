"""`openapi.json` is current and complete, and its examples fit their schemas."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ishowtts.api import app

FILE = Path(app.__file__).parent.parent / "web" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
OPERATIONS = [
    (path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


def names(value: tuple[str, str, Any]) -> str:
    return f"{value[1]} {value[0]}"


def test_the_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == app.openapi(), "run: ishowtts api --openapi ishowtts/web/openapi.json"


@pytest.mark.parametrize("operation", OPERATIONS, ids=names)
def test_every_answer_has_an_example_that_fits(operation: tuple[str, str, dict[str, Any]]) -> None:
    path, method, described = operation
    assert described["description"]
    for status, answer in described["responses"].items():
        assert status != "422" and answer["description"] and "X-Request-Id" in answer["headers"]
        for kind, content in answer.get("content", {}).items():
            if kind == "application/json":
                check(content["schema"], content["example"])
            elif kind.startswith("text/"):
                assert content["example"]
        assert status in ("101", "204", "304") or answer["content"], (path, method, status)
    if method == "post" and "requestBody" in described:
        for content in described["requestBody"]["content"].values():
            model = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            examples = [content["example"]] if "example" in content else model["examples"]
            for example in examples:
                check(content["schema"], example)


def check(schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)
