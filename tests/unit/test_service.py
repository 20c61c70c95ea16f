"""iShowTTS as a systemd service: units, watchdog, JSON log, locked GPU clocks and the daily regression."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from serving import Server

from ishowtts import cli
from ishowtts.daily import history

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "packaging" / "systemd"
EXPOSURE_MAX = 2.0
PROGRAMS = {"/usr/bin/ishowtts-server", "/usr/bin/ishowtts", "/usr/lib/ishowtts/gpu-lock", "/bin/kill"}
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The units, with an existing program in place of each of ours."""
    folder = tmp_path_factory.mktemp("units")
    for unit in sorted([*UNITS.glob("*.service"), *UNITS.glob("*.timer")]):
        text = unit.read_text(encoding="utf-8")
        found = set(re.findall(r"^Exec\w+=(\S+)", text, re.MULTILINE))
        assert found <= PROGRAMS
        (folder / unit.name).write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", text, flags=re.MULTILINE))
    return sorted(folder.iterdir())


@needs_systemd
def test_systemd_verifies_the_units(units: list[Path]) -> None:
    assert [unit.name for unit in units] == [
        "ishowtts-gpu-lock.service", "ishowtts-regression.service", "ishowtts-regression.timer", "ishowtts.service",
    ]  # fmt: skip
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if any(unit.name in line for unit in units)]
    assert done.returncode == 0 and not said


@needs_systemd
def test_services_are_hardened(units: list[Path]) -> None:
    for unit in units:
        if unit.suffix == ".service":
            command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = re.search(r"exposure level for \S+: ([\d.]+)", said)
            assert found is not None and float(found[1]) <= EXPOSURE_MAX, said


def test_the_service_waits_longer_than_the_server_drains() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "ishowtts.service")
    service = unit["Service"]
    from ishowtts._engine import DEFAULTS

    assert service["Type"] == "notify" and int(service["WatchdogSec"]) > 0
    assert int(service["TimeoutStopSec"]) > DEFAULTS["drain_seconds"]


def test_the_service_manager_is_notified(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with Server(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}) as server:
            heard: list[str] = []
            while heard.count("WATCHDOG=1") < 3 or not any(message.startswith("READY=1") for message in heard):
                heard.append(manager.recv(4096).decode())
            assert f"READY=1\nSTATUS=serving demo on {server.url}" in heard and heard[0].startswith("STATUS=loading")
            server.process.send_signal(signal.SIGTERM)
            while not heard[-1].startswith("STOPPING=1"):
                heard.append(manager.recv(4096).decode())
            assert server.process.wait(60) == 0
        assert heard.count("WATCHDOG=1") >= 3


def test_the_log_as_json_names_requests() -> None:
    with Server("--set", "server.log_format=json") as server:
        answer = server.client().post(
            "/api/tts", json={"text": "Hi.", "nfe_step": 1}, headers={"X-Request-Id": "abc-1"}
        )
        assert answer.status_code == 200
        assert server.client().get("/healthz", headers={"X-Request-Id": "abc-2"}).status_code == 200
    lines = [json.loads(line) for line in server.log]
    assert all({"time", "level", "module", "message"} <= set(line) and line["time"].endswith("Z") for line in lines)
    by_request = {line["request_id"]: line for line in lines if "request_id" in line}
    assert {"abc-1", "abc-2"} <= set(by_request) and re.match(r"\S+ 200 ", by_request["abc-1"]["message"])


# ---- the GPU's clocks ------------------------------------------------------------------------------------------------


def gpu_lock(tmp_path: Path, action: str, programs: dict[str, str]) -> tuple[str, list[str]]:
    """The script's output, and its calls of the vendor's programs, for which shell scripts stand in."""
    bin_ = tmp_path / "bin"
    bin_.mkdir(exist_ok=True)
    calls = tmp_path / "calls"
    calls.write_text("")
    for name, body in programs.items():
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{calls}"\n{body}\n')
        (bin_ / name).chmod(0o755)
    env = {"PATH": f"{bin_}:/usr/bin:/bin", "RUNTIME_DIRECTORY": str(tmp_path / "kept")}
    done = subprocess.run([str(UNITS / "gpu-lock"), action], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout, calls.read_text().splitlines()


NVIDIA = r"""
case "$*" in
-L) echo "GPU 0: NVIDIA" ;;
--query-gpu=*) printf '0, Disabled, 2100, 9501\n1, Enabled, 1980, 8001\n' ;;
*-lmc*) exit 1 ;;
esac"""


def test_clocks_of_a_desktop_are_locked_and_put_back(tmp_path: Path) -> None:
    said, calls = gpu_lock(tmp_path, "lock", {"nvidia-smi": NVIDIA})
    assert "GPU 0: graphics clock locked at 2100 MHz" in said and "memory clock" not in said
    assert {"nvidia-smi -i 0 -pm 1", "nvidia-smi -i 0 -lgc 2100,2100", "nvidia-smi -i 1 -lgc 1980,1980"} <= set(calls)
    said, calls = gpu_lock(tmp_path, "lock", {"nvidia-smi": NVIDIA})
    assert "locked already" in said and not [call for call in calls if "-lgc" in call], "what was found first is kept"
    _, calls = gpu_lock(tmp_path, "restore", {"nvidia-smi": NVIDIA})
    assert {"nvidia-smi -i 0 -rgc", "nvidia-smi -i 1 -rgc", "nvidia-smi -i 0 -pm 0"} <= set(calls)
    assert "nvidia-smi -i 1 -pm 0" not in calls, "persistence mode was on before"
    assert gpu_lock(tmp_path, "restore", {"nvidia-smi": NVIDIA}) == ("", [])


def test_clocks_of_a_jetson_are_locked_and_put_back(tmp_path: Path) -> None:
    programs = {"jetson_clocks": "", "nvpmodel": 'case "$*" in -q) printf "NV Power Mode: 15W\\n2\\n" ;; esac'}
    programs["jetson_clocks"] = 'case "$1" in --store) touch "$2" ;; esac'
    kept = tmp_path / "kept" / "jetson_clocks"
    _, calls = gpu_lock(tmp_path, "lock", programs)
    assert calls == ["nvpmodel -q", "nvpmodel -m 0", f"jetson_clocks --store {kept}", "jetson_clocks "]
    _, calls = gpu_lock(tmp_path, "restore", programs)
    assert calls == [f"jetson_clocks --restore {kept}", "nvpmodel -m 2"]


def test_without_a_gpu_nothing_is_done(tmp_path: Path) -> None:
    said, calls = gpu_lock(tmp_path, "lock", {"nvidia-smi": "exit 9"})
    assert "there is no NVIDIA GPU: nothing is done" in said and calls == ["nvidia-smi -L"]
    assert gpu_lock(tmp_path, "restore", {}) == ("", [])


# ---- the daily regression --------------------------------------------------------------------------------------------


def test_a_regression_is_recorded_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ishowtts.quality import sources

    told: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "sendmail").write_text(f'#!/bin/sh\ncat >"{tmp_path}/mail"\n')
    (tmp_path / "sendmail").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "texts", lambda path=None: {"one": "Welcome back."})
    past = tmp_path / "state" / "history.jsonl"
    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        command = ["daily", "regression", "--history", str(past), "--mail", "ops@example.org"]
        command += ["--webhook", f"http://127.0.0.1:{hook.server_port}/"]
        assert cli.main(command) == 0
        (stored,) = (tmp_path / "cache" / "baselines").iterdir()
        data = json.loads(stored.read_text())
        data["clips"]["one"]["seconds"] *= 2
        stored.write_text(json.dumps(data))
        assert not told and not (tmp_path / "mail").exists(), "nothing was worse"
        assert cli.main(command) == 1
        hook.shutdown()
    good, worse = (json.loads(line) for line in past.read_text().splitlines())
    assert (good["status"], worse["status"]) == ("good", "worse") and good["figures"]["seconds"] > 0
    assert any("length: one has another length" in alarm for alarm in worse["alarms"])
    (message,) = told
    assert message["alarms"] == worse["alarms"] and "speaks worse than before" in message["text"]
    mail = (tmp_path / "mail").read_text()
    assert "To: ops@example.org" in mail and "length: one has another length" in mail


def test_a_failed_report_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = history.record("demo", {}, ["mos: less"])
    with pytest.raises(Exception, match=r"^webhook: http://127\.0\.0\.1:1/ could not be called: "):
        history.post("http://127.0.0.1:1/", run)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Exception, match=r"^mail: there is no sendmail on this machine$"):
        history.mail("ops@example.org", run)
    with pytest.raises(Exception, match=r"^history: .* cannot be written: "):
        history.append(Path("/proc/none/history.jsonl"), run)
