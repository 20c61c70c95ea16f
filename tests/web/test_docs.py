"""The page of the HTTP API: every operation of openapi.json, read and tried on a real server."""

import json

import httpx
from browsing import Browser
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select
from serving import Server

METHODS = {"get", "post", "put", "delete"}


def test_every_operation_is_shown_and_found(browser: Browser, server: Server) -> None:
    contract = httpx.get(server.url + "/openapi.json").json()
    wanted = sorted(
        f"{method.upper()} {path}"
        for path, methods in contract["paths"].items()
        for method in methods
        if method in METHODS
    )
    browser.open(server.url + "/docs")
    browser.wait(lambda: browser.all(".operation"))
    assert sorted(line.split("\n")[0] for line in browser.texts(".operation > summary")) == wanted
    browser.write("search", "danmaku/queue")
    browser.wait(lambda: len([o for o in browser.all(".operation") if o.is_displayed()]) == 1)
    browser.write("search", "/api/tts")
    speak = opened(browser, "POST /api/tts")
    assert "nfe_step" in speak.text and "0 to 64" in speak.text and "required" in speak.text
    assert "18446744073709551615" in speak.text  # as the file has it, not rounded to a double
    assert speak.find_elements("css selector", "form")
    browser.write("search", "ingest")
    for method, forms in (("GET", 0), ("POST", 1)):  # the GET is a WebSocket
        socket = opened(browser, f"{method} /api/danmaku/ingest/{{kind}}")
        assert len(socket.find_elements("css selector", "form")) == forms
    browser.write("search", "")
    assert "`" not in browser.text("operations") and speak.find_elements("css selector", "p code")
    browser.check_reading("docs")


def opened(browser: Browser, name: str) -> WebElement:
    found = next(
        o for o in browser.all(".operation") if o.find_element("css selector", "summary").text.split("\n")[0] == name
    )
    found.find_element("css selector", "summary").click()
    browser.wait(lambda: found.find_elements("css selector", "h3"))
    return found


def test_requests_can_be_tried(browser: Browser, server: Server) -> None:
    browser.open(server.url + "/docs")
    browser.wait(lambda: browser.all(".operation"))
    speak = opened(browser, "POST /api/tts")
    body = speak.find_element("css selector", "textarea")
    assert json.loads(body.get_attribute("value") or "") == {"text": "Good evening, and welcome."}
    body.clear()
    body.send_keys('{"text": "Yes.", "nfe_step": 3, "seed": 18446744073709551615}')
    send = speak.find_element("css selector", "form button")
    result = speak.find_element("css selector", ".result")
    send.click()
    browser.wait(lambda: result.find_elements("css selector", ".badge.good"))
    browser.wait(lambda: '"seed": 18446744073709551615' in result.text)
    assert "curl" in result.text
    Select(speak.find_element("css selector", "form select")).select_by_value("audio/wav")
    send.click()
    browser.wait(lambda: result.find_elements("css selector", "audio"))
    assert browser.run("return arguments[0].error", result.find_element("css selector", "audio")) is None
    body.clear()
    body.send_keys('{"text": ""}')
    send.click()
    browser.wait(lambda: '"field": "text"' in result.text and result.find_elements("css selector", ".badge.bad"))
    assert all("400" in told for told in browser.complaints())
    clip = opened(browser, "GET /api/voices/{voice_id}/reference")
    clip.find_element("css selector", "input").send_keys("hazel")
    clip.find_element("css selector", "form button").click()
    browser.wait(lambda: '"voice_id": "hazel"' in clip.text)
