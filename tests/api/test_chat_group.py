"""Gateways that share one chat: one reads, all are heard and may be told something, and another one takes over."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
from nats import Nats
from serving import Server, until
from test_danmaku import NO_LIMITS, Listener, counts, say
from test_gateway import cluster

LEADS = "this gateway leads the chat"


def gateway(nats: Nats, name: str) -> Server:
    return cluster(
        "gateway", name, nats.url, more=(*NO_LIMITS, "--set", "cluster.chat=shared", "--set", 'chat.template="{text}"')
    )


def leads(server: Server) -> bool:
    return any(LEADS in line for line in server.log)


def led(*servers: Server) -> tuple[Server, Server]:
    """The one that leads, and the other one, which knows it."""
    until(lambda: any(map(leads, servers)))
    first = next(filter(leads, servers))
    other = next(server for server in servers if server is not first)
    until(lambda: httpx.get(f"{other.url}/api/danmaku/status").status_code == 200)
    return first, other


def heard(*listeners: Listener) -> list[str]:
    return [data["id"] for listener in listeners for data in listener.of("start")]


def test_the_one_that_leads_is_killed() -> None:
    """Listeners of both hear the same; what waits is read by the other one, and nothing twice."""
    with ExitStack() as stack, Nats() as nats, cluster("worker", "one", nats.url):
        a, b = gateway(nats, "a"), gateway(nats, "b")
        stack.callback(a.kill)
        stack.callback(b.kill)
        first, other = led(a, b)
        with other.client() as api:
            here, there = Listener(first), Listener(other)
            assert api.get("/api/cluster").json()["chat_leader"] == ("a" if first is a else "b")
            assert "ishowtts_cluster_chat_leads 0" in api.get("/metrics").text
            known = say(api, "Heard everywhere.")
            for listener in (here, there):
                listener.wait("end", known)
            assert len(here.samples(known)) > 10_000
            assert (here.samples(known) == there.samples(known)).all()
            assert api.delete("/api/danmaku/messages/nothing").status_code == 404
            assert api.post("/api/danmaku/mute", json={"platform": "test", "user": "troll"}).status_code == 200
            sent = [say(api, f"Waiting {n}.") for n in range(3)]
            there.wait("start", sent[0])
            late = Listener(other)
            assert late.wait("start")["id"] == sent[0], "one that joins later hears what plays"
            first.kill()
            until(lambda: leads(other))
            until(lambda: counts(api)["waiting"] == 0)
            assert heard(there) == [known, *sent]
            ends = {data["id"]: data["reason"] for data in there.of("end")}
            assert set(ends) == {known, *sent} and [ends[id] for id in sent[1:]] == [ends[known]] * 2
            assert counts(api)["dropped"]["interruption"] == 1
            assert "troll" in str(api.get("/api/danmaku/queue").json()["muted"])
            there.wait("end", say(api, "It goes on."))
        with gateway(nats, "c") as third, third.client() as api:
            until(lambda: httpx.get(f"{third.url}/api/danmaku/status").status_code == 200)
            other.end()
            until(lambda: leads(third))
            last = Listener(third)
            last.wait("end", say(api, "At once."))


def test_nats_is_killed_while_it_reads() -> None:
    with Nats() as nats, cluster("worker", "one", nats.url), gateway(nats, "a") as a:
        until(lambda: leads(a))
        with a.client() as api:
            listener = Listener(a)
            sent = [say(api, f"Number {n}.") for n in range(3)]
            listener.wait("start", sent[0])
            nats.kill()
            nats.start()
            until(lambda: counts(api)["waiting"] == 0)
            assert heard(listener) == sent
            assert not counts(api)["dropped"].get("interruption")


def test_without_jetstream_nobody_leads() -> None:
    with Nats(jetstream=False) as nats, cluster("worker", "one", nats.url), gateway(nats, "a") as alone:
        answer = httpx.get(f"{alone.url}/api/danmaku/status")
        assert answer.status_code == 503 and "No gateway leads the chat yet" in answer.json()["error"]["message"]
