"""What a cluster adds and what it loses: a real nats-server, real gateways, and workers whose model takes a fixed time.

The model of the workers sleeps for each step, so that several of them do not share a processor; they are
`build/release/tests/test_cluster worker`, which `make tests` builds. `throughput`: utterances a second of 1 to 8
workers. `latency`: milliseconds to the first audio that a gateway adds to an engine in the same process, and that the
same engine adds the next time, which is the machine's own noise; in turn, `latency` scheduled like any program and
`latency-realtime` before all others (`chrt --rr`), which shows what the cluster takes where other programs do not take
the processor from it. `kill-…`: while clients ask for speech and write to a shared chat without pause, a worker, the
gateway that reads the chat, or the broker is killed with SIGKILL and started again, `--times` times; every answer is
compared with an undisturbed one, and a client whose gateway was killed asks another one. Of the messages that were
accepted those are counted that were cut off, that were begun twice, and that never ended.

`failover`: of two gateways that share a chat the one that reads is killed; seconds until the other one begins the next
message. `failover-chats`: the same with forty chats, of which the killed one reads half.

    python benchmarks/cluster.py [throughput | latency | latency-realtime | kill-worker | kill-gateway | kill-broker |
                                  failover | failover-chats]
                                 [--times 50]
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from common import write_csv

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from long_run import settings
from nats import Nats
from serving import Server
from shared_chats import SHARED, Chats

Row = dict[str, object]
WORKER = Path(__file__).parent.parent / "build" / "release" / "tests" / "test_cluster"
STEP_US = 20_000
HEADERS = {"Content-Type": "application/json", "Accept": "audio/pcm, application/json"}
TEXT = "The first sentence is a long one, so that it fills a part. The second sentence is as long as the first one."
SECONDS = 8.0  # of load for a throughput
CLIENTS = 6
CHATS = [f"chat-{i}" for i in range(40)]


class Cluster:
    """NATS, workers with a model of fixed time, and gateways."""

    def __init__(self, workers: int, gateways: int, step_us: int = STEP_US, more: Sequence[str] = ()) -> None:
        """more: arguments of the gateways."""
        self.stack = ExitStack()
        self.nats = self.stack.enter_context(Nats())
        self.step_us, self.made, self.more = step_us, 0, more
        self.names: dict[Server, str] = {}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.gateways: list[Server] = []
        for _ in range(workers):
            self.add_worker()
        for _ in range(gateways):
            self.add_gateway()
        self.wait()

    def add_worker(self) -> None:
        """One more."""
        self.made += 1
        command = [str(WORKER), "worker", self.nats.url, f"worker-{self.made}", str(self.step_us)]
        self.workers.append(subprocess.Popen(command))

    def add_gateway(self) -> None:
        """One more."""
        self.made += 1
        name = f"gateway-{self.made}"
        place = settings("cluster.role=gateway", f"cluster.url={self.nats.url}", f"cluster.name={name}")
        gateway = Server(*place, *self.more)
        self.names[gateway] = name
        self.gateways.append(gateway)

    def wait(self) -> None:
        """Until every gateway knows every worker."""
        for gateway in self.gateways:
            while len(ask(gateway.port, "GET", "/api/cluster")[1]["workers"]) != len(self.workers):
                time.sleep(0.05)

    def leaders(self, names: Sequence[str]) -> dict[str, Server]:
        """The gateways that lead these chats, once they lead as many each."""
        while True:
            time.sleep(0.1)
            state = ask(self.gateways[0].port, "GET", "/api/cluster")[1]
            known = {self.names[gateway]: gateway for gateway in self.gateways}
            leaders = {one["name"]: known.get(one["leader"]) for one in state["chats"]}  # type: ignore[index]
            counts = [list(leaders.values()).count(gateway) for gateway in self.gateways]
            if None not in leaders.values() and max(counts) - min(counts) <= 1:
                return {name: leaders[name] for name in names}  # type: ignore[misc]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for gateway in self.gateways:
            gateway.kill()
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.stack.close()


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, dict[str, object] | bytes]:
    """Status and content of one request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        client.request(method, path, json.dumps(body) if body else None, HEADERS)
        answer = client.getresponse()
        content = answer.read()
        kind = answer.headers.get_content_type()
        return answer.status, json.loads(content) if kind == "application/json" else content
    finally:
        client.close()


def speak(port: int, seed: int) -> bytes:
    """16-bit PCM of the text."""
    status, content = ask(port, "POST", "/api/tts/stream", {"text": TEXT, "seed": seed})
    if status != 200 or not isinstance(content, bytes):
        raise SystemExit(f"an answer is {status}: {content!r}")
    return content


class Load:
    """Clients that ask without pause. `done`: answers; `again`: requests that were asked again."""

    def __init__(self, ports: Callable[[], list[int]], clients: int, expected: dict[int, bytes] | None = None) -> None:
        self.ports, self.expected = ports, expected
        self.done, self.again, self.wrong = 0, 0, 0
        self.slowest = 0.0
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._work, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def _work(self, client: int) -> None:
        turn = client
        while not self.over.is_set():
            turn += 1
            seed, start = turn % 4, time.perf_counter()
            while True:
                ports = self.ports()
                try:
                    content = speak(ports[turn % len(ports)], seed)
                    break
                except (OSError, http.client.HTTPException):
                    turn += 4
                    with self.lock:
                        self.again += 1
                    time.sleep(0.05)
            with self.lock:
                self.done += 1
                self.slowest = max(self.slowest, time.perf_counter() - start)
                self.wrong += self.expected is not None and content != self.expected[seed]

    def end(self) -> None:
        """Finish what is under way."""
        self.over.set()
        for thread in self.threads:
            thread.join()


def throughput() -> list[Row]:
    """Utterances a second of 1 to 8 workers, and how much more than one worker that is."""
    rows: list[Row] = []
    for n in (1, 2, 4, 8):
        with Cluster(n, 1) as cluster:
            load = Load(lambda cluster=cluster: [cluster.gateways[0].port], 3 * n)  # type: ignore[misc]
            time.sleep(2)
            before, start = load.done, time.perf_counter()
            time.sleep(SECONDS)
            rate = (load.done - before) / (time.perf_counter() - start)
            load.end()
        one = float(rows[0]["per_s"]) if rows else rate  # type: ignore[arg-type]
        rows.append({"what": "throughput", "workers": n, "per_s": round(rate, 3), "of_n": round(rate / one / n, 3)})
        print(rows[-1], flush=True)
    return rows


def latency(what: str, times: int) -> list[Row]:
    """First audio of an engine in the same process, of the same again, and of a gateway with one worker, in turn."""
    with Nats() as nats:
        if what == "latency-realtime":  # the measuring program and its worker inherit it
            subprocess.run(["chrt", "--all-tasks", "--rr", "--pid", "10", str(nats.process.pid)], check=True)
        before = ["chrt", "--rr", "10"] if what == "latency-realtime" else []
        command = [*before, str(WORKER), "latency", nats.url, str(times * 8), str(STEP_US // 10)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    here, again, there = np.array([line.split() for line in printed.splitlines()], float).T
    row: Row = {"what": what, "pairs": len(here), "alone_ms": round(float(np.median(here)), 3)}
    for p in (50, 90, 99):
        row[f"added_p{p}_ms"] = round(float(np.percentile(there - here, p)), 3)
        row[f"again_p{p}_ms"] = round(float(np.percentile(again - here, p)), 3)
    print(row, flush=True)
    return [row]


def kills(which: str, times: int) -> list[Row]:
    """Kill one of a kind again and again under load."""
    with Cluster(3, 2, STEP_US // 4, SHARED) as cluster:
        expected = {seed: speak(cluster.gateways[0].port, seed) for seed in range(4)}
        chats = Chats(["main"])
        cluster.leaders(chats.names)
        for gateway in cluster.gateways:
            chats.listen(gateway)
        load = Load(lambda: [gateway.port for gateway in cluster.gateways], CLIENTS, expected)
        writer = threading.Thread(target=chats.write, args=(lambda: list(cluster.gateways), load.over))
        writer.start()
        start = time.perf_counter()
        for _ in range(times):
            before, ended = load.done, len(chats.ended())
            while load.done < before + CLIENTS or len(chats.ended()) == ended:
                time.sleep(0.02)
            if which == "worker":
                worker = cluster.workers.pop(0)
                worker.kill()
                worker.wait()
                cluster.add_worker()
            elif which == "gateway":
                reading = cluster.leaders(chats.names)["main"]
                reading.kill()
                cluster.gateways.remove(reading)
                cluster.add_gateway()
                chats.listen(cluster.gateways[-1])
            else:
                cluster.nats.kill()
                time.sleep(0.3)
                cluster.nats.start()
        seconds = time.perf_counter() - start
        load.end()
        writer.join()
        row: Row = {
            "what": f"kill-{which}", "times": times, "seconds": round(seconds, 1), "answers": load.done,
            "wrong": load.wrong, "asked_again": load.again, "slowest_s": round(load.slowest, 2), **chats.outcome(),
        }  # fmt: skip
    print(row, flush=True)
    return [row]


def failover(what: str, names: Sequence[str], times: int) -> list[Row]:
    """Kill the gateway that reads the first of these chats, and wait until the other one reads on."""
    took: list[float] = []
    chats = Chats(names)
    with Cluster(2, 2, STEP_US // 10, [*SHARED, *settings(f"cluster.chats={json.dumps(names)}")]) as cluster:
        for gateway in cluster.gateways:
            chats.listen(gateway)
        for _ in range(times):
            leaders = cluster.leaders(names)
            first = leaders[names[0]]
            other = next(gateway for gateway in cluster.gateways if gateway is not first)
            led = [name for name in names if leaders[name] is first]
            sent: dict[str, list[str]] = {name: [] for name in led}
            for name in led * 4:
                while (said := chats.say(other, name)) is None:
                    time.sleep(0.05)
                sent[name].append(said[0])
            heard = {name: chats.listeners[other, name].started for name in led}
            while any(sent[name][1] not in dict(heard[name]) for name in led):
                time.sleep(0.01)
            killed = time.perf_counter()
            first.kill()
            while any(sent[name][-1] not in dict(heard[name]) for name in led):
                time.sleep(0.01)
            took += [next(at for _, at in heard[name] if at > killed) - killed for name in led]
            while set(chats.accepted) - chats.ended():
                time.sleep(0.05)
            cluster.gateways = [other]
            cluster.add_gateway()
            chats.listen(cluster.gateways[-1])
    row: Row = {
        "what": what, "times": times, "chats": len(took) / times, **chats.outcome(),
        "p50_s": round(float(np.median(took)), 3), "slowest_s": round(max(took), 3),
    }  # fmt: skip
    print(row, flush=True)
    return [row]


def main() -> None:
    """Measure, print, write benchmarks/results/cluster.csv."""
    runs: dict[str, Callable[[int], list[Row]]] = {"throughput": lambda _: throughput()}
    for which in ("latency", "latency-realtime"):
        runs[which] = lambda times, which=which: latency(which, times)  # type: ignore[misc]
    for what, names in (("failover", ["main"]), ("failover-chats", CHATS)):
        runs[what] = lambda times, what=what, names=names: failover(what, names, times)  # type: ignore[misc]
    for which in ("worker", "gateway", "broker"):
        runs[f"kill-{which}"] = lambda times, which=which: kills(which, times)  # type: ignore[misc]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*runs, []], help="default: all")
    parser.add_argument("--times", type=int, default=50)
    args = parser.parse_args()
    for what in args.what or runs:
        write_csv("cluster", runs[what](args.times), by="what")


if __name__ == "__main__":
    main()
