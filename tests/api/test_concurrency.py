"""Many requests at once, on both servers: their order, a full queue, and requests after it."""

import queue
import threading

import httpx
import pytest
from serving import Server, until

LONG = (
    "This is one of several long texts, whose reading takes a while, and it goes on and on without an end in sight. "
    * 2
)
SHORT = "A short word."


def test_a_short_text_does_not_wait_for_ten_long_ones(server: Server) -> None:
    finished: queue.Queue[str] = queue.Queue()

    def say(name: str, text: str) -> None:
        answer = httpx.post(
            server.url + "/api/tts", json={"text": text, "nfe_step": 5, "seed": 1, "format": "pcm"}, timeout=300
        )
        finished.put(name if answer.status_code == 200 else answer.text)

    threads = [threading.Thread(target=say, args=(f"long {i}", LONG)) for i in range(10)]
    for thread in threads:
        thread.start()
    until(lambda: _inside(server) >= 10)
    before = finished.qsize()
    say("short", SHORT)
    for thread in threads:
        thread.join()
    order = [finished.get_nowait() for _ in range(finished.qsize())]
    assert sorted(order) == sorted(["short", *(f"long {i}" for i in range(10))])
    assert order.index("short") - before <= 2, order  # one may have been about to end, and one more


@pytest.mark.parametrize("kind", ["c", "harness"])
def test_a_full_queue_says_when_to_come_back(kind: str) -> None:
    server = Server("--set", "engine.queue_capacity=2", kind=kind)
    try:
        long = {"json": {"text": LONG}, "timeout": 120}
        running = [threading.Thread(target=httpx.post, args=(server.url + "/api/tts",), kwargs=long) for _ in range(2)]
        for thread in running:
            thread.start()
        until(lambda: _inside(server) >= 2)
        refused = httpx.post(server.url + "/api/tts", json={"text": SHORT}, timeout=60)
        assert refused.status_code == 429 and refused.json()["error"]["code"] == "busy"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        for thread in running:
            thread.join()
        assert httpx.post(server.url + "/api/tts", json={"text": SHORT}, timeout=60).status_code == 200
    finally:
        server.kill()


def _inside(server: Server) -> float:
    """Number of utterances that wait or are spoken."""
    values = dict(
        line.split()
        for line in httpx.get(server.url + "/metrics").text.splitlines()
        if line.startswith("ishowtts_queue_")
    )
    return sum(float(values[name]) for name in ("ishowtts_queue_waiting", "ishowtts_queue_in_flight"))
