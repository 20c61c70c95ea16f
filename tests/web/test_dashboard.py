"""The dashboard: the figures of a real server, and coming back after it was away."""

import httpx
from browsing import Browser
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
        browser.wait(lambda: counter(browser, "Speech finished") == "0")
        assert browser.painted("spark") < 0.05 and "nothing" in browser.text("spark-now")
        said = httpx.post(server.url + "/api/tts", json={"text": "One more line for the counters."}, timeout=60).json()
        assert httpx.post(server.url + "/api/tts", json={"text": ""}, timeout=60).status_code == 400
        browser.wait(lambda: counter(browser, "Speech finished") == "1" and counter(browser, "Requests refused or failed") != "0")
        assert float(browser.text("rtf").split("\n")[0]) > 0
        assert float(counter(browser, "Audio made").split()[0]) == round(said["duration"], 2)
        assert "s" in browser.text("first") and "95 %" in browser.text("first")
        browser.wait(lambda: browser.painted("spark") > 0.05)
        assert "latest" in browser.text("spark-now")
        links = {link.get_attribute("href").removeprefix(server.url) for link in browser.all(".links a")}
        assert links == {"/docs", "/openapi.json", "/metrics", "/overlay"}
        browser.check_reading("dashboard")
        browser.open("about:blank")


def test_comes_back_after_a_restart(browser: Browser) -> None:
    server = Server()
    port = server.port
    try:
        browser.open(server.url + "/dashboard")
        browser.wait(lambda: browser.text("status").startswith("Ready"))
        httpx.post(server.url + "/api/tts", json={"text": "Before."}, timeout=60)
        browser.wait(lambda: counter(browser, "Speech finished") == "1")
        browser.lose(server, lambda: browser.shown("lost") and "cannot be reached" in browser.text("lost"))
        server = Server("--port", str(port))
        browser.wait(lambda: not browser.shown("lost") and counter(browser, "Speech finished") == "0")
        browser.wait(lambda: "demo" in browser.text("server"))
        browser.was_away()
        browser.open("about:blank")
    finally:
        server.kill()
