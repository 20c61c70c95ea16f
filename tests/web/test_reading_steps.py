"""The reading steps and the pronunciations of the speak page in a real browser."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Browser
from selenium.webdriver.remote.webelement import WebElement
from serving import Server


def entries(server: Server) -> list[dict[str, Any]]:
    with urllib.request.urlopen(server.url + "/api/lexicon", timeout=10) as answer:
        made: list[dict[str, Any]] = json.load(answer)
    return made


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Browser]:
    browser.open(server.url + "/")
    browser.run("localStorage.clear(); sessionStorage.clear()")
    browser.open(server.url + "/")
    browser.wait(lambda: "demo" in browser.text("server") and browser.find("voice").get_attribute("value"))
    yield browser
    for entry in entries(server):
        request = urllib.request.Request(f"{server.url}/api/lexicon/{entry['id']}", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()


def unfold(page: Browser, section: str) -> None:
    page.find(section).find_element("css selector", "summary").click()


def steps(page: Browser) -> dict[str, str]:
    """What the section shows: the name of each step and its text."""
    names, texts = page.texts("#steps-shown dt"), page.texts("#steps-shown dd")
    return dict(zip(names, texts, strict=False))


def item(page: Browser) -> WebElement:
    return page.wait(lambda: page.all("#entries li") or None)[0]


def test_each_step_of_a_reading_is_shown_and_follows_the_text(page: Browser) -> None:
    page.write("text", "Paid $5 мир :) ☃")
    assert not page.all("#steps-shown dt"), "nothing is asked for while the section is closed"
    unfold(page, "reading")
    page.wait(lambda: "Left out" in steps(page))
    shown = steps(page)
    assert shown["Language"] == "English" and shown["Words"] == "Paid five dollars"
    assert "f ay1 v" in shown["Sounds"]
    assert page.texts("#steps-shown ruby rt")[0] == "five dollars"
    assert [line.split(" – ") for line in page.texts("#steps-shown li")] == [
        ["мир", "a script that the voice does not read"], [":)", "no sound"], ["☃", "no sound"],
    ]  # fmt: skip
    page.write("text", "sooooo good")
    page.wait(lambda: steps(page).get("Words") == "sooooo good")
    assert "Left out" not in steps(page)


def test_a_pronunciation_is_heard_kept_used_and_deleted(page: Browser, server: Server) -> None:
    page.write("text", "A gif of you")
    unfold(page, "reading")
    page.wait(lambda: "jh iy1 ay1 eh1 f" in steps(page).get("Sounds", ""))
    unfold(page, "lexicon")
    page.write("entry-word", "gif")
    page.write("entry-said", "/dʒɪf/")
    page.one("#entry-actions .preview").click()
    page.wait(lambda: page.one("#entry-actions .preview").get_attribute("data-state") == "playing")
    page.one("#entry button[type=submit]").click()
    assert "gif → /dʒɪf/" in item(page).text
    assert [(entry["word"], entry["said"]) for entry in entries(server)] == [("gif", "/dʒɪf/")]
    page.wait(lambda: "jh ih1 f" in steps(page)["Sounds"])
    page.open(server.url + "/")
    unfold(page, "lexicon")
    assert "gif → /dʒɪf/" in item(page).text, "it is kept"
    page.one("#entries li button.quiet:last-child").click()
    page.wait(lambda: not page.all("#entries li"))
    assert entries(server) == []


def test_a_pronunciation_that_cannot_be_read_says_why(page: Browser, server: Server) -> None:
    unfold(page, "lexicon")
    page.write("entry-word", "gif")
    page.write("entry-said", "/7/")
    page.one("#entry button[type=submit]").click()
    page.wait(lambda: page.shown("said-error"))
    assert "no sound of the International Phonetic Alphabet" in page.text("said-error")
    assert entries(server) == [] and page.find("entry-said").get_attribute("value") == "/7/"
    assert all("400" in line for line in page.complaints()), "nothing but the refused request"
