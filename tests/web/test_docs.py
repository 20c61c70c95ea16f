"""The page that shows the HTTP contract: every operation of openapi.json, on a real server."""

import httpx
from browsing import Browser
from serving import Server

METHODS = {"get", "post", "put", "delete"}


def test_every_operation_is_shown_and_found(browser: Browser, server: Server) -> None:
    contract = httpx.get(server.url + "/openapi.json").json()
    wanted = sorted(f"{method.upper()} {path}" for path, methods in contract["paths"].items() for method in methods if method in METHODS)
    browser.open(server.url + "/docs")
    browser.wait(lambda: browser.all(".operation"))
    assert sorted(summary.text for summary in browser.all(".operation > summary")) == wanted
    browser.write("search", "danmaku/queue")
    browser.wait(lambda: len([o for o in browser.all(".operation") if o.is_displayed()]) == 1)
    browser.write("search", "/api/tts")
    speak = next(o for o in browser.all(".operation") if o.find_element("css selector", "summary").text == "POST /api/tts")
    speak.find_element("css selector", "summary").click()
    assert "nfe_step" in speak.text and "1…64" in speak.text and "needed" in speak.text
    browser.check_reading("docs")
