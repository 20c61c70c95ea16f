"""Both servers against openapi.json by schemathesis: examples, boundaries, random data and sequences of calls.

Left out: checks of stored resources for speech, which is not stored; the WebSocket and the chat's stream, which do not
end; joining and leaving channels, which would call a platform; uploads, which need a real clip (test_cloning.py); the
`Allow` field of /api/tts/ws and /api/tts/stream, which names DELETE because DELETE takes both words as request ids.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from serving import ROOT, Server

SECONDS = int(os.environ.get("ISHOWTTS_SCHEMATHESIS_SECONDS", "20"))
EXAMPLES = max(10, SECONDS // 4)
# Endpoints that a schema cannot describe: streams, platforms, recordings, other programs' messages (test_ingest.py).
APART = ("tts_ws", "danmaku_stream", "danmaku_start", "danmaku_stop", "danmaku_ingest", "danmaku_ingest_ws")
APART += ("voice_create", "override")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
CHECKS += "response_schema_conformance,"
CHECKS += "negative_data_rejection,positive_data_acceptance,use_after_free,missing_required_header,unsupported_method"


@pytest.fixture(scope="module")
def cloning(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a tiny model that supports every endpoint, uploads included."""
    model = tiny.make(tmp_path_factory.mktemp("models") / "tiny")
    with Server("--set", f"model.name={model}", "--set", "sampling.nfe=1", kind=kind) as server:
        yield server


@pytest.mark.timeout(300 + 2 * SECONDS)
def test_schemathesis_reports_nothing(cloning: Server, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        str(ROOT / "ishowtts/web/openapi.json"),
        "--url",
        cloning.url,
    ]
    command += ["--seed", "1", "--generation-deterministic", "--generation-allow-x00", "false"]
    command += [
        "--max-time",
        str(SECONDS),
        "--max-examples",
        str(EXAMPLES),
        "--mode",
        "all",
        "--no-color",
        "--warnings",
        "off",
    ]
    command += ["--checks", CHECKS]
    for name in APART:
        command += ["--exclude-operation-id", name]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "schema_hooks", "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240 + 2 * SECONDS
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases and int(cases[1]) > 100, done.stdout
