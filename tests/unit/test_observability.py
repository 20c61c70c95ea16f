"""Metrics, alert rules and the dashboard, checked with their own tools and for consistency."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from serving import Server

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
RULES = PACKAGING / "prometheus" / "alerts.yml"
DASHBOARD = PACKAGING / "grafana" / "dashboard.json"
promtool_only = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt: prometheus)"
)


def promtool(*arguments: str, text: str | None = None) -> None:
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stdout, done.stdout + done.stderr
    assert not re.search(r"^\w+ .*(should|must|use )", done.stderr, re.MULTILINE), done.stderr


def metrics(server: Server) -> str:
    client = server.client()
    assert client.post("/api/tts", json={"text": "Hi.", "nfe_step": 1}).status_code == 200
    return client.get("/metrics").text


def names(text: str) -> set[str]:
    return set(re.findall(r"\b(ishowtts_\w+)", text))


@promtool_only
@pytest.mark.parametrize("kind", ["c_server", "harness"])
def test_promtool_finds_no_fault_in_the_metrics(kind: str, request: pytest.FixtureRequest) -> None:
    text = metrics(request.getfixturevalue(kind))
    promtool("check", "metrics", text=text)
    assert 'ishowtts_build_info{version="' in text


@promtool_only
def test_the_alert_rules_fire_when_they_should() -> None:
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(RULES.with_name("alerts_test.yml")))
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert len(alerts) >= 9 and alerts == set(
        re.findall(r"alertname: (\w+)", RULES.with_name("alerts_test.yml").read_text())
    )


def expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Fields of a document that its schema does not have."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for i, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{place}[{i}]")
    elif given != kept:
        yield f"{place}: {given!r} became {kept!r}"


def test_grafanas_schema_knows_all_of_the_dashboard() -> None:
    given = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(given)))
    assert list(lost(given, kept)) == []
    places = [panel["gridPos"] for panel in given["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    covered = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(covered) == len(set(covered)), "panels lie upon one another"


@promtool_only
def test_every_panel_has_a_valid_query(tmp_path: Path) -> None:
    found = list(expressions(json.loads(DASHBOARD.read_text(encoding="utf-8"))))
    assert len(found) > 20
    rules = [{"record": f"panel:{i}", "expr": text.replace("$__rate_interval", "5m")} for i, text in enumerate(found)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(path))


def test_rules_and_dashboard_name_existing_metrics(c_server: Server) -> None:
    there = names(metrics(c_server))
    for path in (RULES, DASHBOARD):
        asked = names(path.read_text(encoding="utf-8"))
        assert len(asked) > 10 and asked <= there, asked - there
