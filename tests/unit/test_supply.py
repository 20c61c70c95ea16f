"""Dependencies: pinned with hashes, listed, and checked for known vulnerabilities."""

import http.server
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from light import ROOT, distributions

PINS = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements/constraints.txt").read_text(), re.M))
RUN = (ROOT / "requirements" / "run.txt").read_text()


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_serving_needs_has_versions_and_hashes() -> None:
    entries = re.findall(r"^([\w.-]+)==([^\s;\\]+)([^\\\n]*(?:\\\n[^\\\n]*)*)", RUN, re.M)
    names = {plain(name): version for name, version, _ in entries}
    pins = {plain(name): version for name, version in PINS.items()}
    assert {plain(name) for name in distributions()} | {"setuptools", "wheel"} <= names.keys()
    for name, version, rest in entries:
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", rest)) >= 1, name
        if plain(name) in pins:
            assert version == pins[plain(name)], f"run scripts/lock: {name} is {version} in requirements/run.txt"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_setup_takes_no_other_content() -> None:
    setup = (ROOT / "scripts" / "setup").read_text()
    assert re.search(r"--no-deps --require-hashes \\\n\s+--requirement requirements/run.txt", setup)


def test_another_content_is_not_installed(tmp_path: Path) -> None:
    """Installs with pip from a folder: the wheel has the right name and version."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what was published")
    wanted = tmp_path / "run.txt"
    wanted.write_text(f"thing==1.0 --hash=sha256:{'0' * 64}\n")
    line = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(tmp_path), "--no-deps"]
    line += ["--require-hashes", "--requirement", str(wanted), "--target", str(tmp_path / "to")]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode and "HASH" in done.stderr.upper()


def test_the_bill_of_materials_names_packages_and_libraries() -> None:
    line = [sys.executable, str(ROOT / "scripts" / "sbom")]
    made = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    assert made["bomFormat"] == "CycloneDX" and made["metadata"]["component"]["name"] == "ishowtts"
    by_name = {component["name"]: component for component in made["components"]}
    assert by_name["numpy"]["purl"] == f"pkg:pypi/numpy@{PINS['numpy']}"
    assert by_name["numpy"]["externalReferences"][0]["hashes"][0]["content"] in RUN
    assert "torch" not in by_name
    everything = json.loads(subprocess.run([*line, "--all"], check=True, capture_output=True, text=True).stdout)
    assert "torch" in {component["name"] for component in everything["components"]}
    if Path("/var/lib/dpkg/status").exists():
        assert any(name.startswith("libmicrohttpd") for name in by_name)


@pytest.fixture
def database() -> Iterator[str]:
    """A double of OSV that reports a vulnerability of numpy."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            assert self.path == "/v1/querybatch" and all(one["package"]["ecosystem"] == "PyPI" for one in asked)
            known = [{"vulns": [{"id": "PYSEC-1"}]} if one["package"]["name"] == "numpy" else {} for one in asked]
            body = json.dumps({"results": known}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_known_faults_are_told(database: str, tmp_path: Path) -> None:
    def audit(*pins: str, url: str = database) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pins.txt").write_text("".join(f"{pin}\n" for pin in pins))
        line = [sys.executable, str(ROOT / "scripts" / "audit"), str(tmp_path / "pins.txt")]
        return subprocess.run(line, capture_output=True, text=True, env={"ISHOWTTS_OSV_URL": url})

    faulty = audit("numpy==1.0", "tqdm==4.0")
    assert faulty.returncode == 1 and "numpy 1.0: PYSEC-1" in faulty.stdout
    assert audit("tqdm==4.0").returncode == 0
    assert audit("tqdm==4.0", url="http://127.0.0.1:1").returncode == 2
