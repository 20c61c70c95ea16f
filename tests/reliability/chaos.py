"""A server that is killed, stopped, starved and cut off: scripts/chaos [--rounds 200] [--only FAULT...].

`kill`: SIGKILL at a random moment while messages come in; after the restart every message that was answered with 202 is
in the queue, or is reported when it was being read, and speech is made. `disk`: writes fail, then work again. `memory`:
no more memory than there is, then as much as before. `pause`: SIGSTOP and SIGCONT, which to the server is a machine
that was asleep. `clients`: many connections that are cut off in the middle of everything. The other faults are
described in faults.py. Rows of runs with another --seed are kept, so that many rounds may be run in pieces.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from faults import ALONE, OPTIONS, Absent, speaks, waiting
from long_run import command_line, message, record, settings
from serving import Server, until


def kill(rounds: int, seed: int = 1) -> int:
    """Rounds that lost nothing."""
    chance, promised, sound = random.Random(seed), set[str](), 0
    with tempfile.TemporaryDirectory() as state:
        arguments = (*OPTIONS, *settings(f"server.state_dir={state}"))
        for number in range(rounds):
            server = Server(*arguments)
            try:
                with server.client(30) as api:
                    api.post("/api/danmaku/pause").raise_for_status()
                    there = set(waiting(api))
                    promised -= interrupted(server)
                    lost = promised - there
                    assert not lost, f"round {number} lost {sorted(lost)[:5]}"
                    sound += 1
                    if len(there) > 100:  # the list shows 200
                        api.post("/api/danmaku/clear").raise_for_status()
                        promised.clear()
                thread = threading.Thread(target=_send, args=(server, f"r{number}", promised))
                thread.start()
                time.sleep(chance.uniform(0.05, 0.6))
                server.kill()
                thread.join(60)
            finally:
                server.kill()
        with Server(*arguments) as server:
            speaks(server)
    return sound


def interrupted(server: Server) -> set[str]:
    """The messages of which a server said at its start that they were being read when the one before was killed."""
    return set(re.findall(r": (\S+) was being read when the program ended", "".join(server.log)))


def _send(server: Server, name: str, promised: set[str]) -> None:
    """Enqueue until the server is gone; `promised`: ids that were answered with 202."""
    with server.client(10) as api, contextlib.suppress(httpx.HTTPError):
        for number in range(80):
            body = message(f"{name}-{number}")
            if api.post("/api/danmaku/enqueue", json=body).status_code == 202:
                promised.add(body["id"])


def disk(server: Server) -> None:
    """What must be written is refused with 503, speech goes on; with space again, all is served."""
    pid = server.process.pid
    full, space = message(f"full-{time.monotonic_ns()}"), message(f"space-{time.monotonic_ns()}")
    with server.client(30) as api:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert api.post("/api/danmaku/enqueue", json=full).status_code == 503
        assert api.post("/api/tts", json={"text": "Speech goes on."}).status_code == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: api.post("/api/danmaku/enqueue", json=space).status_code == 202, 20)
    speaks(server)


def memory(server: Server) -> None:
    """Whatever is answered while allocations fail, the server lives, and serves when they do not."""
    pid = server.process.pid
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (size + (1 << 20), resource.RLIM_INFINITY))
    with server.client(30) as api, contextlib.suppress(httpx.HTTPError):
        for _ in range(3):
            answer = api.post("/api/tts", json={"text": "A longer text needs more memory. " * 6, "nfe_step": 1})
            assert answer.status_code in (200, 429, 500, 502, 503, 504), answer.text
    assert server.process.poll() is None, "".join(server.log[-20:])
    resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    speaks(server)


def pause(server: Server) -> None:
    """Requests before and after are answered."""
    answers: list[int] = []

    def ask() -> None:
        with server.client(60) as api:
            answers.append(api.post("/api/tts", json={"text": "Before the pause."}).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.05)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    server.process.send_signal(signal.SIGCONT)
    thread.join(60)
    assert answers == [200]
    speaks(server)


def clients(server: Server) -> None:
    """Connections that end in a head, in a body, in an answer."""
    body = json.dumps({"text": "Nobody hears this to its end. " * 20}).encode()
    head = b"POST /api/tts/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for number in range(60):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(whole[: len(whole) * (number % 6) // 5])
            if number % 6 == 5:
                connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with server.client(60) as api:
        until(lambda: _idle(api), 60)
    speaks(server)


def _idle(api: httpx.Client) -> bool:
    text = api.get("/metrics").text
    return all(
        float(line.split()[-1]) == 0
        for line in text.splitlines()
        if line.startswith(("ishowtts_queue_waiting", "ishowtts_queue_in_flight"))
    )


ONE: tuple[Callable[[Server], None], ...] = (disk, memory, pause, clients)
"""Faults of a server that goes on."""


def rounds(fault: Callable[..., None], count: int) -> Iterator[None]:
    """Once after each round of a fault; of those in ONE all with the same server."""
    if fault in ALONE:
        for _ in range(count):
            yield fault()
        return
    with Server(*OPTIONS) as server:
        for _ in range(count):
            yield fault(server)


def main() -> None:
    """The long form: run, print, write the table."""
    names = ["kill", *(fault.__name__ for fault in (*ONE, *ALONE))]
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="of SIGKILL (default %(default)s)")
    parser.add_argument("--others", type=int, default=5, help="of everything else (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=1, help="of the moments of SIGKILL (default %(default)s)")
    given = parser.parse_args()
    for name in given.only:
        begin = time.monotonic()
        if name == "kill":
            count, survived = given.rounds, kill(given.rounds, given.seed)
        else:
            fault = next(one for one in (*ONE, *ALONE) if one.__name__ == name)
            try:
                count, survived = given.others, sum(1 for _ in rounds(fault, given.others))
            except Absent as absent:
                print(f"{name}: SKIPPED, there is no {absent}")
                continue
        row = {
            "piece": f"{name} {given.seed}",
            "fault": name,
            "rounds": count,
            "survived": survived,
            "seconds": round(time.monotonic() - begin, 1),
        }
        record("chaos", [row], "piece")


if __name__ == "__main__":
    main()
