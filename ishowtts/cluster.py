"""`ishowtts cluster`: asks a gateway what workers and gateways do, and takes one out."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._engine import DEFAULTS as D
from .errors import IshowError
from .options import Parser

_COLUMNS = ("NAME", "STATE", "MODEL", "PRECISION", "BACKEND", "NOW", "WAIT s", "SPOKEN", "ID")


def parser(prog: str) -> Parser:
    """The command line."""
    p = Parser(prog=prog, description="Show workers and gateways, or take one out without cutting a request.")
    p.add_argument("action", choices=("status", "top", "drain"), help="top: status again and again; drain: see NAME")
    p.add_argument("worker", nargs="?", metavar="NAME", help="drain: name or id of the worker or gateway to leave")
    p.add_argument(
        "--gateway", metavar="URL", default=f"http://{D['host']}:{D['port']}", help="its address (default: %(default)s)"
    )
    p.add_argument("--key-file", metavar="FILE", help="file with its API key")
    p.add_argument("--json", action="store_true", help="status: as JSON")
    p.add_argument("--seconds", metavar="N", type=float, default=1.0, help="top: between two looks (default: 1)")
    return p


def _ask(gateway: str, key: str | None, method: str, path: str) -> Any:
    request = urllib.request.Request(gateway.rstrip("/") + path, method=method)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
    except urllib.error.HTTPError as refused:
        try:
            message = json.load(refused)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"it answered {refused.code}"
        raise IshowError(f"{gateway}: {message}", status="ENOTFOUND" if refused.code == 404 else "EIO") from None
    except (OSError, ValueError) as error:
        raise IshowError(f"{gateway} cannot be asked: {getattr(error, 'reason', error)}", status="EIO") from None
    return json.loads(body) if body else None


def table(state: dict[str, Any]) -> str:
    """The state of a cluster as lines for people."""
    rows = [_COLUMNS]
    for one in state["workers"]:
        rows.append(
            (
                one["name"], one["state"], one["model"], one["precision"], one["backend"], str(one["utterances"]),
                f"{one['waiting_seconds']:.1f}", str(one["spoken"]), one["id"],
            )
        )  # fmt: skip
    for one in state["gateways"]:
        rows.append((one["name"], one["state"], "(gateway)", "", "", str(one["utterances"]), "", "", one["id"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reached = "" if state["connected"] else ", NATS is not reached"
    head = f"gateway {state['name']}: {len(state['workers'])} worker(s), {state['utterances']} utterance(s){reached}"
    led = [
        f"{name} leads {', '.join(chat['name'] for chat in state['chats'] if chat['leader'] == name)}"
        for name in sorted({chat["leader"] for chat in state["chats"] if chat["leader"]})
    ]
    return "\n".join([head, *lines, *led])


def main(arguments: Sequence[str], prog: str = "ishowtts cluster") -> int:
    """Run one command line."""
    command = parser(prog)
    options = command.parse_args(arguments)
    if (options.action == "drain") != (options.worker is not None):
        command.error("drain needs a NAME" if options.action == "drain" else f"{options.action} takes no NAME")
    key = Path(options.key_file).read_text(encoding="utf-8").strip() if options.key_file else None
    if options.action == "drain":
        _ask(options.gateway, key, "DELETE", f"/api/cluster/workers/{urllib.parse.quote(options.worker, safe='')}")
        print(f"{options.worker} finishes what it has begun and leaves")
        return 0
    while True:
        state = _ask(options.gateway, key, "GET", "/api/cluster")
        if options.action == "status":
            print(json.dumps(state, ensure_ascii=False, indent=2) if options.json else table(state))
            return 0
        sys.stdout.write("\x1b[H\x1b[J" + table(state) + "\n")  # from the corner of an empty screen
        sys.stdout.flush()
        time.sleep(options.seconds)
