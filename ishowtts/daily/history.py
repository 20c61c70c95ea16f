"""Records of unattended regression runs: a history file, a webhook, a mail."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ishowtts._engine import VERSION
from ishowtts.errors import ConfigError, IshowError

WEBHOOK_SECONDS = 20.0


def record(model: str, figures: Mapping[str, float], alarms: Sequence[str]) -> dict[str, Any]:
    """A run as data for JSON: time, host, version, model, status, the mean of each measure, and the alarms."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "version": VERSION,
        "model": model,
        "status": "worse" if alarms else "good",
        "figures": dict(figures),
        "alarms": list(alarms),
    }


def append(path: Path, run: Mapping[str, Any]) -> None:
    """Append a run to a file as a line of JSON. ConfigError: the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(
            f"history: {path} cannot be written: {error.strerror}", status="EIO", field="history"
        ) from None


def post(url: str, run: Mapping[str, Any]) -> None:
    """Post a run as JSON to a webhook, with a sentence in `text` for chat programs. IshowError: it was not accepted."""
    body = json.dumps({"text": summary(run), **run}, ensure_ascii=False).encode()
    try:
        request = urllib.request.Request(
            url, body, {"Content-Type": "application/json", "User-Agent": f"ishowtts/{VERSION}"}
        )
        with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):
            pass
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise IshowError(f"webhook: {url} could not be called: {error}", status="EIO", field="webhook") from None


def mail(address: str, run: Mapping[str, Any]) -> None:
    """Mail a run by sendmail. ConfigError: there is no sendmail; IshowError: it failed."""
    message = EmailMessage()
    message["To"], message["Subject"] = address, f"iShowTTS on {run['host']}: {run['status']}"
    message.set_content("\n".join([summary(run), "", *(f"- {alarm}" for alarm in run["alarms"])]) + "\n")
    program = shutil.which("sendmail") or shutil.which("sendmail", path="/usr/sbin:/usr/lib")
    if program is None:
        raise ConfigError("mail: there is no sendmail on this machine", status="ENOTFOUND", field="mail")
    done = subprocess.run([program, "-t", "-i"], input=message.as_bytes(), capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        raise IshowError(f"mail: sendmail failed: {why}", status="EIO", field="mail")


def summary(run: Mapping[str, Any]) -> str:
    """A run in one sentence."""
    worse = (
        f"worse than before, in {len(run['alarms'])} ways, first {run['alarms'][0]}" if run["alarms"] else "as before"
    )
    return f"iShowTTS {run['version']}, model {run['model']}, on {run['host']} speaks {worse}"
