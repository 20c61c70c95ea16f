"""The voices page: recording and uploading with a real browser and server, and errors of refused clips."""

from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from browsing import REFERENCE, Browser
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from serving import VOICES, Server

RATE = 24000
# The loudest level that an audio element plays, measured behind its decoder until it is loud enough or has ended.
LISTEN = """
const [audio, done] = arguments;
const context = new AudioContext();
const meter = context.createAnalyser();
context.createMediaStreamSource(audio.captureStream()).connect(meter);
const block = new Float32Array(meter.fftSize);
let loudest = 0;
const timer = setInterval(() => {
  meter.getFloatTimeDomainData(block);
  loudest = Math.max(loudest, Math.sqrt(block.reduce((sum, v) => sum + v * v, 0) / block.length));
  if (loudest > 0.02 || audio.ended) { clearInterval(timer); context.close(); done(loudest); }
}, 30);
"""


@pytest.fixture
def page(browser: Browser, cloning: Server) -> Browser:
    browser.open(cloning.url + "/voices")
    browser.wait(lambda: browser.all("[data-voice]"))
    return browser


def card(page: Browser, name: str) -> WebElement:
    return page.one(f'[data-voice="{name}"]')


def press(page: Browser, name: str, what: str) -> None:
    next(
        button for button in card(page, name).find_elements("css selector", "button") if button.text.strip() == what
    ).click()


def clip(folder: Path, name: str, samples: np.ndarray) -> str:
    path = folder / f"{name}.wav"
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return str(path)


def speech() -> np.ndarray:
    samples, rate = soundfile.read(REFERENCE)
    assert rate == RATE
    return np.asarray(samples)


def toast(page: Browser) -> str:
    return " ".join(page.texts("#toasts .toast"))


def refused(page: Browser, place: str) -> str:
    """Save, and check the server's error at the field. The browser logs the status on its console."""
    page.tell_nothing()
    page.click("save")
    page.wait(lambda: page.shown(place) and page.text(place))
    assert all("40" in told or "41" in told for told in page.complaints())
    return page.text(place)


def test_listens_to_a_reference(page: Browser) -> None:
    assert "tiny" in card(page, "anna").text and "English" in card(page, "anna").text
    press(page, "anna", "Reference clip")
    page.wait(lambda: page.all('[data-voice="anna"] audio'))
    audio = page.one('[data-voice="anna"] audio')
    page.run("arguments[0].play()", audio)
    assert page.driver.execute_async_script(LISTEN, audio) > 0.02
    page.wait(lambda: page.run("return arguments[0].currentTime > 0.1 && arguments[0].error === null", audio))
    page.check_reading("voices")


def test_records_a_new_voice_and_deletes_it(page: Browser, cloning: Server) -> None:
    page.click("create")
    page.wait(lambda: page.shown("editor"))
    page.click("suggest")
    assert len(page.find("words").get_attribute("value") or "") > 50
    page.write("id", "newcomer")
    page.click("record")
    page.wait(lambda: page.find("record").get_attribute("aria-pressed") == "true")
    page.wait(lambda: int(page.find("meter").get_attribute("aria-valuenow") or 0) > 10)
    page.wait(
        lambda: (
            " ms" not in (time := page.text("record-time").replace("\u00a0", " "))
            and time
            and float(time.split()[0]) > 4
        )
    )
    page.check_dialog("editor")
    page.click("record")
    page.wait(lambda: page.shown("preview") and page.text("hints"))
    assert "peak" in page.text("hints") and "dB" in page.text("hints")
    page.wait(lambda: (page.run("return document.getElementById('preview').duration") or 0) > 4)
    page.click("save")
    page.wait(lambda: page.all('[data-voice="newcomer"]') and not page.shown("editor"))
    assert "newcomer" in toast(page)
    made = {voice["id"]: voice for voice in httpx.get(cloning.url + "/api/voices").json()}["newcomer"]
    samples, rate = soundfile.read(BytesIO(httpx.get(cloning.url + made["sample_url"]).content))
    assert len(samples) / rate > 4 and rate >= 16000
    loud = np.abs(np.fft.rfft(samples))
    assert (
        np.sqrt(np.mean(samples**2)) > 0.01 and loud[: len(loud) // 4].sum() > loud[len(loud) // 4 :].sum()
    )  # speech, not a tone or noise
    card(page, "newcomer").find_element("css selector", "a").click()
    page.wait(lambda: page.all("#voice") and page.find("voice").get_attribute("value") == "newcomer")
    page.open(cloning.url + "/voices")
    page.wait(lambda: page.all('[data-voice="newcomer"]'))
    press(page, "newcomer", "Delete")
    page.wait(lambda: page.all("dialog.confirm[open]"))
    page.one("dialog.confirm .danger").click()
    page.wait(lambda: not page.all('[data-voice="newcomer"]'))
    assert [voice["id"] for voice in httpx.get(cloning.url + "/api/voices").json()] == ["anna"]


def test_what_is_wrong_with_a_clip_is_shown_at_its_field(page: Browser, tmp_path: Path) -> None:
    page.click("create")
    page.write("id", "poor")
    page.write("words", "Nothing of this is said.")
    assert "audio" in refused(page, "audio-error")
    wrong = {
        "short": speech()[: RATE // 3],
        "silent": np.zeros(3 * RATE),
        "quiet": speech() * 0.02,
        "clipped": np.clip(speech() * 60, -1, 1),
        "hum": 0.2 * np.sin(np.arange(3 * RATE) * 2 * np.pi * 50 / RATE),
    }
    said = set()
    for name, samples in wrong.items():
        page.find("audio").send_keys(clip(tmp_path, name, samples))
        page.wait(lambda: page.text("hints"))
        assert not page.shown("audio-error")
        said.add(refused(page, "audio-error"))
        assert page.find("audio").get_attribute("aria-invalid") == "true"
    assert len(said) == len(wrong)  # each has its own sentence
    text = tmp_path / "text.wav"
    text.write_text("this is no audio at all, whatever its name says")
    page.find("audio").send_keys(str(text))
    assert refused(page, "audio-error") not in said
    page.find("audio").send_keys(clip(tmp_path, "good", speech()))
    page.write("id", "no/slashes")
    assert "id" in refused(page, "id-error")
    page.write("id", "anna")
    assert "anna" in refused(page, "id-error")
    page.find("id").send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.shown("editor"))
    assert page.run("return document.activeElement.id") == "create"  # the focus returns to the button


def test_replaces_and_reverts(page: Browser, tmp_path: Path, cloning: Server) -> None:
    before = httpx.get(cloning.url + "/api/voices").json()[0]["reference_text"]
    press(page, "anna", "Replace")
    assert not page.shown("new-fields") and page.find("words").get_attribute("value") == before
    page.find("audio").send_keys(clip(tmp_path, "other", speech() * 0.7))
    page.write("words", "Another text is said here.")
    page.click("save")
    page.wait(lambda: not page.shown("editor") and "replaced" in card(page, "anna").text)
    assert "Another text is said here." in card(page, "anna").text
    assert httpx.get(cloning.url + "/api/voices/anna/reference").json()["override_audio_available"]
    press(page, "anna", "Revert")
    page.wait(lambda: page.all("dialog.confirm[open]"))
    page.one("dialog.confirm .row button").click()  # keep
    page.wait(lambda: not page.all("dialog.confirm"))
    assert "replaced" in card(page, "anna").text
    press(page, "anna", "Revert")
    page.one("dialog.confirm .danger").click()
    page.wait(lambda: "replaced" not in card(page, "anna").text)
    assert before in card(page, "anna").text


def test_a_clip_alone_makes_a_voice(browser: Browser, wordless: Server, tmp_path: Path) -> None:
    browser.open(wordless.url + "/voices")
    browser.wait(lambda: browser.shown("create"))
    browser.click("create")
    browser.wait(lambda: browser.shown("clip-alone"))
    assert not browser.shown("words") and not browser.shown("with-text")
    browser.check_dialog("editor")
    browser.write("id", "newcomer")
    browser.find("audio").send_keys(clip(tmp_path, "clip", speech()))
    browser.wait(lambda: browser.text("hints"))
    browser.click("save")
    browser.wait(lambda: browser.all('[data-voice="newcomer"]') and not browser.shown("editor"))
    (made,) = (one for one in httpx.get(wordless.url + "/api/voices").json() if one["id"] == "newcomer")
    assert "reference_text" not in made and not made["configured"]
    press(browser, "newcomer", "Replace")
    assert not browser.shown("words")
    browser.find("audio").send_keys(clip(tmp_path, "other", speech() * 0.7))
    browser.click("save")
    browser.wait(lambda: not browser.shown("editor") and "replaced" in card(browser, "newcomer").text)


def buttons(page: Browser, name: str) -> list[str]:
    return [button.text.strip() for button in card(page, name).find_elements("css selector", "button, a")]


def test_only_what_works_is_offered(browser: Browser, fixed: Server, cloning: Server) -> None:
    """Fixed voices are neither replaced nor deleted, and a model that cannot clone gets no new ones."""
    browser.open(fixed.url + "/voices")
    browser.wait(lambda: browser.all("[data-voice]") and browser.shown("fixed"))
    assert not browser.shown("create")
    assert buttons(browser, "anna") == ["Preview", "Reference clip", "Use"] and "built in" in card(browser, "anna").text
    browser.check_reading("voices-fixed")
    browser.open(cloning.url + "/voices")
    browser.wait(lambda: browser.all("[data-voice]") and browser.shown("create"))
    assert not browser.shown("fixed") and buttons(browser, "anna") == ["Preview", "Reference clip", "Use", "Replace"]


def test_a_preview_is_spoken(browser: Browser, server: Server) -> None:
    """The voice speaks a sentence in its language; it is not a clip of the server."""
    browser.open(server.url + "/voices")
    browser.wait(lambda: browser.all("[data-voice]"))
    browser.run(
        "window.asked = []; const ask = window.fetch;"
        "window.fetch = (url, what) => (what?.body && asked.push([url, JSON.parse(what.body)]), ask(url, what));"
        "window.played = []; const play = Audio.prototype.play;"
        "Audio.prototype.play = function () { played.push(this.src); return play.call(this); }"
    )
    press(browser, "kerstin", "Preview")
    preview = lambda: card(browser, "kerstin").find_element("css selector", ".preview")  # noqa: E731
    browser.wait(lambda: preview().get_attribute("data-state") == "playing")
    [(address, request)] = browser.run("return asked")
    assert address == "/api/tts" and request["voice_id"] == "kerstin" and "willkommen" in request["text"]
    assert browser.run("return played")[0].startswith("blob:")
    browser.wait(lambda: preview().get_attribute("data-state") == "idle")  # to its end


def test_voices_are_found(browser: Browser, server: Server) -> None:
    browser.open(server.url + "/voices")
    browser.wait(lambda: len(browser.all("[data-voice]")) == len(VOICES))
    shown = lambda: [one.get_attribute("data-voice") for one in browser.all("[data-voice]")]  # noqa: E731
    browser.write("search", "german")
    assert shown() == ["kerstin"]
    browser.write("search", "nobody")
    assert shown() == [] and browser.shown("none")
    browser.find("search").clear()
    browser.run("document.getElementById('search').dispatchEvent(new Event('input'))")
    browser.choose("only", "en")
    assert shown() == [name for name, language in VOICES.items() if language == "en"]
