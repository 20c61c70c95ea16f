"""The dashboard: the numbers of a real server, and reconnecting."""

import signal
import time

import httpx
from browsing import Browser
from nats import Nats
from serving import Server


def counter(page: Browser, name: str) -> str:
    return next(row.removeprefix(name).strip() for row in page.texts("tbody tr") if row.startswith(name))


def test_figures_of_a_real_server(browser: Browser) -> None:
    with Server() as server:
        browser.open(server.url + "/dashboard")
        browser.wait(lambda: browser.text("status").startswith("Ready"))
        health = httpx.get(server.url + "/api/health").json()
        assert browser.text("backend").startswith(health["backend"]) and browser.text("model").startswith("demo")
        assert browser.text("compile") == "Off" and health["version"] in browser.text("status")
        assert browser.text("rtf") == "–" and browser.text("first") == "–"
        browser.wait(lambda: counter(browser, "Speech requests completed") == "0")
        assert browser.painted("plot-first") < 0.05 and browser.text("plot-first-now") == "Nothing spoken yet"
        assert browser.shown("failures-none")
        said = httpx.post(server.url + "/api/tts", json={"text": "One more line for the counters."}, timeout=60).json()
        assert httpx.post(server.url + "/api/tts", json={"text": ""}, timeout=60).status_code == 400
        browser.wait(lambda: counter(browser, "Speech requests completed") == "1" and browser.all("#failures tr"))
        assert "Invalid request (400) 1" in browser.texts("#failures tr")[0].replace("\t", " ")
        assert float(browser.text("rtf").split("\n")[0]) > 0
        assert float(counter(browser, "Audio produced").split()[0]) == round(said["duration"], 2)
        assert "s" in browser.text("first") and "95 %" in browser.text("first")
        browser.wait(
            lambda: all("latest" in browser.text(f"plot-{id}-now") for id in ("rtf", "first", "queue", "memory"))
        )
        browser.open(server.url + "/dashboard")  # the server keeps an hour of data
        browser.wait(lambda: "latest" in browser.text("plot-first-now"))
        links = {link.get_attribute("href").removeprefix(server.url) for link in browser.all(".links a")}
        assert links == {"/docs", "/openapi.json", "/metrics", "/overlay"}
        browser.check_reading("dashboard")
        browser.open("about:blank")


def test_the_workers_of_a_gateway(browser: Browser) -> None:
    with Nats() as nats:

        def part(role: str, name: str) -> Server:
            given = {"role": role, "url": nats.url, "name": name}
            return Server(*(word for key, value in given.items() for word in ("--set", f"cluster.{key}={value}")))

        with part("worker", "studio-1") as worker, part("gateway", "front") as gateway:
            browser.open(gateway.url + "/dashboard")
            browser.wait(lambda: browser.shown("cluster") and "studio-1" in browser.text("workers"))
            assert "Ready" in browser.text("workers")
            assert browser.texts("#gateways th") == ["front"] and "Gateway, reads 0 chats" in browser.text("gateways")
            assert httpx.post(gateway.url + "/api/tts", json={"text": "One line."}, timeout=60).status_code == 200
            browser.wait(lambda: browser.texts("#workers td.number")[-1] == "1")
            worker.end()
            browser.wait(lambda: browser.shown("cluster-none"))
        browser.was_away()
        browser.open("about:blank")


def test_a_dead_server_is_seen_within_five_seconds(browser: Browser) -> None:
    """A server that accepts connections and does not answer, on the dashboard and on another page."""
    server = Server()
    try:
        for path, shown in (("/dashboard", "lost"), ("/voices", "server")):
            browser.open(server.url + path)
            browser.wait(lambda: "demo" in browser.text("server"))
            server.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            browser.wait(lambda shown=shown: "does not respond" in browser.text(shown), 10)
            assert time.monotonic() - began < 5
            server.process.send_signal(signal.SIGCONT)
            browser.wait(lambda: "demo" in browser.text("server"))
        browser.was_away()
        browser.open("about:blank")
    finally:
        server.kill()


def test_comes_back_after_a_restart(browser: Browser) -> None:
    server = Server()
    port = server.port
    try:
        browser.open(server.url + "/dashboard")
        browser.wait(lambda: browser.text("status").startswith("Ready"))
        httpx.post(server.url + "/api/tts", json={"text": "Before."}, timeout=60)
        browser.wait(lambda: counter(browser, "Speech requests completed") == "1")
        browser.lose(server, lambda: browser.shown("lost") and "Cannot reach" in browser.text("lost"))
        server = Server("--port", str(port))
        browser.wait(lambda: not browser.shown("lost") and counter(browser, "Speech requests completed") == "0")
        browser.wait(lambda: "demo" in browser.text("server"))
        browser.was_away()
        browser.open("about:blank")
    finally:
        server.kill()
