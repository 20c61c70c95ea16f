"""This build beside an older one: tests/reliability/versions.py COMMIT [--folder DIR].

Builds the commit in a worktree, runs a cluster of it with a shared chat, and restarts its parts one after another
into this build while clients ask for speech and write to the chat. No request may fail, what is spoken must be what
the older build alone speaks, and every message must be read once.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from long_run import command_line, settings
from nats import Nats
from serving import ROOT, Server, until
from shared_chats import SHARED, Chats

SPEECH = {"text": "Hello there. How are you?", "nfe_step": 4}


def build(commit: str, folder: Path) -> Path:
    """A source tree of the commit with its build."""
    if not (folder / "Makefile").exists():
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", folder, commit], check=True)
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, check=True)
    return folder


def part(tree: Path, role: str, name: str, nats: Nats, more: Sequence[str] = ()) -> Server:
    """A worker or a gateway of this build or the older one."""
    place = settings(f"cluster.role={role}", f"cluster.url={nats.url}", f"cluster.name={name}")
    return Server(*place, *more, tree=tree)


def spoken(gateway: Server, seed: int) -> bytes:
    """16-bit PCM."""
    with gateway.client() as client:
        answer = client.post("/api/tts/stream", json=SPEECH | {"seed": seed}, headers={"Accept": "audio/pcm"})
    if answer.status_code == 503 and answer.json()["error"]["code"] == "draining":
        raise httpx.ConnectError("it closes down")
    assert answer.status_code == 200, answer.text
    return answer.content


class Clients:
    """Ask the gateways of `parts` without pause; one that has closed its port is left to the next one."""

    def __init__(self, gateways: list[Server], expected: dict[int, bytes]) -> None:
        self.gateways, self.expected, self.chats = gateways, expected, Chats(["main"])
        for gateway in gateways:
            self.chats.listen(gateway)
        self.done, self.failed = 0, list[str]()
        self.over = threading.Event()
        writes = threading.Thread(target=self.chats.write, args=(lambda: list(gateways), self.over))
        self.threads = [threading.Thread(target=self._speak), writes]
        for thread in self.threads:
            thread.start()

    def _speak(self) -> None:
        for turn in itertools.count():
            if self.over.is_set():
                return
            seed = turn % len(self.expected)
            for gateway in list(self.gateways):
                try:
                    assert spoken(gateway, seed) == self.expected[seed], "other audio"
                    self.done += 1
                    break
                except httpx.ConnectError:
                    continue
                except (httpx.HTTPError, AssertionError) as failure:
                    self.failed.append(repr(failure))
                    break
            time.sleep(0.2)

    def wait(self, more: int = 3) -> None:
        """Until so many more requests of each kind are answered."""
        done, said = self.done + more, len(self.chats.accepted) + more
        until(lambda: self.failed or (self.done >= done and len(self.chats.accepted) >= said), 120)


def shown(gateway: Server) -> set[str]:
    """The workers that a gateway knows."""
    return {one["name"] for one in httpx.get(f"{gateway.url}/api/cluster").json()["workers"]}


def upgrade(old: Path, new: Path) -> dict[str, int]:
    """Restart every part of a cluster of `old` into `new`; what was done, or AssertionError."""
    with ExitStack() as stack, Nats() as nats:

        def start(tree: Path, role: str, name: str) -> Server:
            server = part(tree, role, name, nats, SHARED if role == "gateway" else ())
            stack.callback(server.kill)
            return server

        workers = [start(old, "worker", f"w{i}-old") for i in range(2)]
        gateways = [start(old, "gateway", f"g{i}-old") for i in range(2)]
        for gateway in gateways:
            until(lambda gateway=gateway: shown(gateway) == {"w0-old", "w1-old"})
            until(lambda gateway=gateway: httpx.get(f"{gateway.url}/api/danmaku/status").status_code == 200)
        expected = {seed: spoken(gateways[0], seed) for seed in range(3)}
        clients = Clients(gateways, expected)
        clients.wait()
        for i, worker in enumerate(workers):
            start(new, "worker", f"w{i}-new")
            until(lambda i=i: all(f"w{i}-new" in shown(gateway) for gateway in gateways))
            worker.end()
            clients.wait()
        for i in range(2):
            successor = start(new, "gateway", f"g{i}-new")
            until(lambda one=successor: shown(one) == {"w0-new", "w1-new"})
            clients.chats.listen(successor)
            gateways.append(successor)
            clients.wait()
            gateways[0].end()
            del gateways[0]
            clients.wait()
        clients.over.set()
        for thread in clients.threads:
            thread.join()
        assert not clients.failed, clients.failed
        outcome = clients.chats.outcome()
        assert outcome == {"messages": outcome["messages"], "cut_off": 0, "begun_twice": 0, "lost": 0}, outcome
        return {"spoken": clients.done, "said": len(clients.chats.accepted)}


def main() -> None:
    """Build and run."""
    parser = command_line(__doc__)
    parser.add_argument("commit")
    parser.add_argument("--folder", type=Path, help="of the older build, which is kept; left out: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ishowtts-before-") as temporary:
        folder = (args.folder or Path(temporary) / "tree").absolute()
        try:
            done = upgrade(build(args.commit, folder), ROOT)
        finally:
            if not args.folder:
                subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=False)
    print(f"{done['spoken']} requests for speech and {done['said']} messages, none failed")


if __name__ == "__main__":
    main()
