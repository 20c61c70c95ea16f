"""The speak page in a real browser: it plays while speech is computed, keeps a history, and shows errors."""

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from browsing import Browser
from selenium.webdriver.common.keys import Keys
from serving import Server

LONG = " ".join(f"Sentence number {n} is here to make this text longer than one chunk can be." for n in range(1, 7))


@pytest.fixture
def page(browser: Browser, server: Server) -> Browser:
    browser.open(server.url + "/")
    browser.run("localStorage.clear(); sessionStorage.clear(); indexedDB.deleteDatabase('ishowtts')")
    browser.open(server.url + "/")
    begun(browser)
    browser.find("advanced").find_element("css selector", "summary").click()
    return browser


def begun(page: Browser) -> None:
    """The form has the server's voices and settings."""
    known = "return document.getElementById('steps-value').textContent"
    page.wait(lambda: "demo" in page.text("server") and page.find("voice").get_attribute("value") and page.run(known))


def finished(page: Browser) -> bool:
    return page.shown("download") and page.find("speak").is_enabled()


def say(page: Browser, words: str) -> None:
    page.write("text", words)
    page.click("speak")


def playing(page: Browser) -> bool:
    return page.find("toggle").get_attribute("aria-label") == "Pause"


def position(page: Browser) -> float:
    return float(page.find("wave").get_attribute("aria-valuenow") or 0)


def test_words_light_up_while_they_are_heard(page: Browser) -> None:
    text = "Good evening. The 23 viewers hear every word of this rather long sentence."
    say(page, text)
    lit = "(window.lit ??= []).push(document.querySelector('#spoken .now')?.textContent)"
    page.run(f"setInterval(() => {{ {lit} }}, 20)")
    page.wait(lambda: finished(page))
    page.wait(lambda: not playing(page))
    seen = page.run("return [...new Set(window.lit)].filter(Boolean)")
    assert seen == [word for word in re.findall(r"\w+", text) if word in seen]
    assert {"evening", "23", "viewers", "sentence"} <= set(seen)
    assert page.text("spoken") == text


def test_chinese_lights_up_by_its_characters(page: Browser) -> None:
    page.choose("voice", "lan")
    say(page, "大家好，欢迎 Ann。")
    page.wait(lambda: finished(page))
    assert page.texts("#spoken .word") == ["大", "家", "好", "欢", "迎", "Ann"]
    assert page.text("spoken") == "大家好，欢迎 Ann。"


def test_it_speaks_and_is_heard(page: Browser, tmp_path: Path) -> None:
    page.write("seed", "18446744073709551615")
    say(page, "Good evening. This sentence is spoken in a browser.")
    heard = page.listen()
    assert heard["rates"] == [24000]
    page.wait(lambda: finished(page))
    path, samples, rate = page.download(page.find("download"), tmp_path)
    assert path.name == "speech-18446744073709551615.wav" and rate == 24000
    assert 1.5 < len(samples) / rate < 8 and np.sqrt(np.mean(samples**2)) > 0.02
    page.wait(lambda: not playing(page))
    assert position(page) == pytest.approx(len(samples) / rate, abs=0.01)
    assert heard["time"] < page.heard()["time"] >= len(samples) / rate
    for name in ("t-first", "t-total", "t-length"):
        assert page.text(name).endswith("s")
    assert 0 < float(page.text("t-rtf")) < 100
    assert page.text("t-seed") == "18446744073709551615"
    assert page.painted("wave") > 0.2  # bars, not a flat line
    assert not page.shown("error") and not page.shown("blocked")
    page.check_reading("speak")


def test_what_is_played_is_what_was_made(page: Browser) -> None:
    """The page plays all samples of a streamed request once and in order."""
    played, wanted = page.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        (async () => {
          const { Player } = await import("/web/player.js");
          const player = new Player();
          await player.open(24000);
          const sent = Float32Array.from({ length: 9000 }, (_, i) => Math.sin(i * i / 90000) * 0.5);
          const tape = [];
          await player.context.audioWorklet.addModule("/web/recorder-worklet.js");
          const recorder = new AudioWorkletNode(player.context, "recorder");
          recorder.port.onmessage = ({ data }) => tape.push(...data);
          player.gain.connect(recorder);
          const sizes = [1, 127, 128, 129, 1000, 3000, 4615];
          let at = 0;
          player.play();
          for (const size of sizes) player.push(sent.subarray(at, (at += size)));
          player.finish();
          player.addEventListener("ended", () => setTimeout(() => { player.close(); done([tape, [...sent]]); }, 300));
        })();
        """
    )
    played, wanted = np.array(played), np.array(wanted)
    start = int(np.argmax(np.abs(played) > 0)) - 1  # the first sample of a sine is 0
    found = played[start : start + len(wanted)]
    ramp = 200  # of the level, when playback begins
    assert np.max(np.abs(found[ramp:] - wanted[ramp:])) < 1e-6
    assert np.all(played[start + len(wanted) :] == 0)


def test_long_text_plays_before_it_is_finished(page: Browser) -> None:
    page.choose("steps", "5")
    say(page, LONG)
    page.listen()
    assert page.find("stop").is_enabled()
    early = page.run("return [document.getElementById('download').hidden, document.getElementById('result').ariaBusy]")
    page.wait(lambda: finished(page))
    assert early == [True, "true"]
    total = float(page.find("wave").get_attribute("aria-valuemax") or 0)
    assert 12 < total < 60
    page.find("wave").send_keys(Keys.END, Keys.ARROW_LEFT)  # the last second, by keyboard
    page.wait(lambda: not playing(page))
    assert position(page) == pytest.approx(total, abs=0.02)


def test_player_controls(page: Browser) -> None:
    say(page, "One two three four five six seven.")
    page.wait(lambda: finished(page))
    page.wait(lambda: not playing(page) and position(page) > 0)  # it has played, and reached the end
    wave = page.find("wave")
    wave.send_keys(Keys.HOME)
    page.wait(lambda: position(page) == 0)
    wave.send_keys(Keys.SPACE)
    page.wait(lambda: playing(page) and position(page) > 0.2)
    page.click("toggle")
    page.wait(lambda: not playing(page))
    held = position(page)
    page.choose("volume", "0.5")
    wave.click()  # the middle
    page.wait(lambda: position(page) == pytest.approx(float(wave.get_attribute("aria-valuemax") or 0) / 2, rel=0.1))
    assert position(page) != held and not playing(page)
    page.click("toggle")
    page.wait(lambda: playing(page))
    page.find("text").send_keys(Keys.ESCAPE)
    page.wait(lambda: not playing(page))
    assert "of" in page.text("time")


def test_keyboard_speaks_at_another_rate(page: Browser, tmp_path: Path) -> None:
    page.choose("rate", "16000")
    page.choose("speed", "1.5")
    assert page.text("speed-value") == "1.50"
    page.write("text", "Yes.")
    assert page.text("count") == "4 of 5000"
    page.find("text").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: finished(page))
    _, samples, rate = page.download(page.find("download"), tmp_path)
    assert rate == 16000 and 0.2 < len(samples) / rate < 3
    assert page.listen(0.01)["rates"] == [16000]


WATCHED = """
window.sent = []; const ask = window.fetch;
window.fetch = (url, what) => (what?.body && sent.push(JSON.parse(what.body)), ask(url, what));
"""
HINTS = """
return [...document.querySelectorAll("#advanced [aria-describedby]")].filter((e) => e.checkVisibility()).map((e) => {
  const hint = document.getElementById(e.getAttribute("aria-describedby").split(" ")[0]);
  return [e.labels?.[0]?.textContent.trim() ?? e.getAttribute("aria-labelledby"),
          hint.checkVisibility() && hint.textContent.length > 20];
});
"""


def test_solver_and_guidance_go_with_the_request(page: Browser, tmp_path: Path) -> None:
    """With the keyboard only, each with a visible hint; unchanged controls keep the server's settings."""
    page.run(WATCHED)

    def spoken(**fields: str) -> tuple[dict[str, Any], np.ndarray]:
        for name, value in fields.items():
            page.write(name, value)
        page.click("speak")
        page.wait(lambda: finished(page))
        own = tmp_path / str(len(list(tmp_path.iterdir())))
        own.mkdir()
        return page.run("return sent.pop()"), page.download(page.find("download"), own)[1]

    plain, first = spoken(text="Two ways to say it.", seed="7")
    assert plain == {"text": "Two ways to say it.", "voice_id": "hazel", "seed": "7"}
    page.find("steps").send_keys(Keys.TAB, "M")
    assert page.run("return document.activeElement.id") == "solver"
    page.find("solver").send_keys(Keys.TAB, "0", Keys.TAB, "0.1")
    assert page.run("return document.activeElement.id") == "guidance-to"
    told = page.run(HINTS)
    assert len(told) == 5 and all(seen for _, seen in told), told
    asked, other = spoken()
    assert asked == plain | {"solver": "midpoint", "guidance_from": 0, "guidance_to": 0.1}
    assert len(other) != len(first) or np.any(other != first)
    page.write("guidance-to", "2")
    page.click("speak")
    invalid = (
        "return [document.getElementById('guidance-to').matches(':invalid'), document.activeElement.id, sent.length]"
    )
    assert page.run(invalid) == [True, "guidance-to", 0]
    page.write("guidance-to", "")
    page.write("text", "")
    page.all("#history button[title='Use again']")[0].click()
    assert [page.find(name).get_attribute("value") for name in ("solver", "guidance-from", "guidance-to")] == [
        "midpoint",
        "0",
        "0.1",
    ]


def test_guidance_without_the_reference(browser: Browser, cloning: Server) -> None:
    """Shown when the model uses the reference; its third state is the server's setting."""
    browser.open(cloning.url + "/")
    browser.wait(lambda: browser.find("voice").get_attribute("value"))
    browser.find("advanced").find_element("css selector", "summary").click()
    browser.wait(lambda: browser.shown("short-guidance"))
    browser.run(WATCHED)
    touched = "const box = document.getElementById('short-guidance'); return [box.indeterminate, box.checked]"
    for state, wanted in (([True, False], None), ([False, True], True), ([False, False], False)):
        assert browser.run(touched) == state
        say(browser, "Yes.")
        browser.wait(lambda: finished(browser))
        assert browser.run("return sent.pop()").get("short_guidance") == wanted
        browser.click("short-guidance")
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_words_that_the_voice_cannot_read_are_named(page: Browser, form: str) -> None:
    page.choose("format", form)
    say(page, "Hello, привет, friends.")
    page.wait(lambda: finished(page) and page.shown("unspoken"))
    assert page.text("unspoken") == "hazel cannot read “привет”. Choose a voice that speaks this language."
    say(page, "Hello, friends.")
    page.wait(lambda: finished(page))
    assert not page.shown("unspoken")


def test_the_first_visit_in_chinese_has_a_chinese_voice_and_text(page: Browser) -> None:
    """Who has chosen nothing gets a voice and a text of the page's language, and the other ones after a switch."""
    chosen = lambda: [page.find(name).get_attribute("value") for name in ("voice", "text")]  # noqa: E731
    english = chosen()
    assert english[0] == "hazel" and english[1].startswith("Good evening")
    page.click("language")
    assert chosen()[0] == "mei" and chosen()[1].startswith("大家晚上好")
    page.driver.refresh()
    begun(page)
    assert chosen()[0] == "mei" and chosen()[1].startswith("大家晚上好")
    page.click("language")
    assert chosen() == english
    page.choose("voice", "owen")
    page.click("language")
    assert chosen() == ["owen", english[1]]
    page.click("language")


@pytest.mark.parametrize(("name", "field"), [("speed", "speed"), ("steps", "nfe_step")])
def test_sliders_have_the_range_of_the_server(page: Browser, server: Server, name: str, field: str) -> None:
    allowed = httpx.get(server.url + "/openapi.json").json()["components"]["schemas"]["SpeechRequest"]["properties"]
    slider = page.find(name)
    limits = {key: float(slider.get_attribute(key) or "nan") for key in ("min", "max")}
    known = [allowed[field], *allowed[field].get("anyOf", [])]
    for key, word in (("min", "minimum"), ("max", "maximum")):
        assert limits[key] == next(one[word] for one in known if word in one)


def test_not_offered_where_it_does_nothing(browser: Browser, fixed: Server) -> None:
    browser.open(fixed.url + "/")
    browser.wait(lambda: browser.find("voice").get_attribute("value"))
    browser.find("advanced").find_element("css selector", "summary").click()
    browser.wait(lambda: browser.shown("solver"))
    assert not browser.shown("short-guidance-field")
    browser.run("localStorage.clear()")


FORM = """
return ["text", "voice", "speed", "steps", "solver", "seed", "format", "rate"]
  .map((id) => document.getElementById(id).value);
"""


def test_what_was_typed_survives(page: Browser, server: Server) -> None:
    page.write("text", "Not said yet.")
    page.choose("voice", "kerstin")
    page.choose("steps", "11")
    page.choose("format", "flac")
    page.write("seed", "18446744073709551615")
    typed = page.run(FORM)
    page.open(server.url + "/voices")
    page.open(server.url + "/")
    begun(page)
    assert page.run(FORM) == typed and page.find("advanced").get_attribute("open")
    assert page.text("count") == "13 of 5000"


def test_presets_and_a_link(page: Browser, server: Server) -> None:
    """A preset stores the settings under a name, without the text; a link has both in its fragment."""
    page.choose("voice", "kerstin")
    page.choose("speed", "1.5")
    page.choose("solver", "midpoint")
    page.click("preset-save")
    page.write("answer", "Fast German")
    page.find("answer").send_keys(Keys.ENTER)
    page.wait(lambda: page.find("preset").get_attribute("value") == "Fast German")
    page.choose("voice", "hazel")
    page.choose("speed", "1")
    page.choose("solver", "")
    page.write("text", "Guten Abend.")
    page.driver.refresh()
    begun(page)
    page.choose("preset", "Fast German")
    assert page.run(FORM)[:5] == ["Guten Abend.", "kerstin", "1.5", "0", "midpoint"]
    page.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.click("link")
    page.wait(lambda: page.run("return window.copied"))
    link = page.run("return copied")
    assert link.startswith(server.url + "/#") and "Fast" not in link
    page.click("preset-delete")
    assert [option.text for option in page.all("#preset option")] == ["No presets yet"]
    page.run("localStorage.clear()")
    page.open("about:blank")
    page.open(link)
    begun(page)
    assert page.run(FORM)[:5] == ["Guten Abend.", "kerstin", "1.5", "0", "midpoint"]
    assert page.driver.current_url == server.url + "/"


def test_a_voice_is_picked(page: Browser) -> None:
    """Voices are found by language, and can be played before one is chosen."""
    page.click("browse")
    page.wait(lambda: page.all("#picker[open]"))
    page.write("picker-search", "german")
    assert [row.get_attribute("data-voice") for row in page.all("#picker-list li")] == ["kerstin"]
    preview = page.one("#picker .preview")
    preview.click()
    page.wait(lambda: preview.get_attribute("data-state") == "playing")
    page.check_dialog("picker")
    page.one("#picker .choose").click()
    page.wait(lambda: not page.all("#picker"))
    assert page.find("voice").get_attribute("value") == "kerstin"


@pytest.mark.parametrize(("name", "container"), [("flac", "FLAC"), ("opus", "OGG"), ("mp3", "MP3")])
def test_other_formats_are_heard_while_they_come(page: Browser, tmp_path: Path, name: str, container: str) -> None:
    """Playback and picture are decoded from the file as it grows, and the same file is downloaded."""
    assert [option.get_attribute("value") for option in page.all("#format option")] == ["wav", "flac", "opus", "mp3"]
    page.choose("format", name)
    page.choose("steps", "4")
    say(page, LONG if name == "mp3" else "This sentence is said in another format.")
    early = page.listen(0.02) and page.run("return document.getElementById('download').hidden")
    page.wait(lambda: finished(page))
    path, samples, rate = page.download(page.find("download"), tmp_path)
    assert path.suffix == f".{name}" and soundfile.info(path).format == container
    assert page.heard()["rates"] == [24000] and (early or name != "mp3")
    drawn = float(page.find("wave").get_attribute("aria-valuemax") or 0)
    assert drawn == pytest.approx(len(samples) / rate, abs=0.1) and drawn > 1


def test_history_plays_downloads_reuses_and_deletes(page: Browser, tmp_path: Path) -> None:
    assert not page.shown("past")
    page.choose("speed", "1.2")
    for words in ("First line.", "Second line."):
        say(page, words)
        page.wait(
            lambda words=words: finished(page) and page.all("#history li") and words in page.all("#history li")[0].text
        )
    page.driver.refresh()  # it is kept
    page.wait(lambda: len(page.all("#history li")) == 2)
    first = page.all("#history li")[1]
    assert "First line." in first.text
    buttons = {button.get_attribute("title"): button for button in first.find_elements("css selector", "button")}
    assert set(buttons) == {"Play", "Use again", "Download", "Delete"}
    buttons["Play"].click()
    page.listen()
    _, samples, rate = page.download(buttons["Download"], tmp_path)
    assert rate == 24000 and len(samples) / rate > 0.3
    page.write("text", "")
    buttons["Use again"].click()
    assert page.find("text").get_attribute("value") == "First line." and page.text("speed-value") == "1.20"
    assert page.find("seed").get_attribute("value").isdigit()
    buttons["Delete"].click()
    page.wait(lambda: len(page.all("#history li")) == 1)
    page.click("forget-all")
    page.wait(lambda: page.all("dialog[open]"))
    page.one("dialog .danger").click()
    page.wait(lambda: not page.shown("past"))


def test_stop_frees_the_server(page: Browser, server: Server) -> None:
    page.run("document.getElementById('text').value = 'This will not be said. '.repeat(150)")
    page.click("speak")
    page.wait(lambda: page.find("stop").is_enabled() and "busy" not in page.text("server"))
    page.wait(lambda: float(metric(page, "queue_in_flight")) > 0)
    page.click("stop")
    page.wait(lambda: page.find("speak").is_enabled(), 10)
    page.wait(lambda: float(metric(page, "queue_in_flight")) == 0)
    page.wait(lambda: not playing(page))
    assert not page.shown("error")


def metric(page: Browser, name: str) -> str:
    lines = page.driver.execute_async_script("fetch('/metrics').then((r) => r.text()).then(arguments[0])").splitlines()
    return str(next(line.split()[1] for line in lines if line.startswith(f"ishowtts_{name} ")))


def test_an_error_is_shown_at_its_field(page: Browser) -> None:
    page.run("document.getElementById('voice').add(new Option('gone', 'gone', true, true))")
    page.click("speak")
    page.wait(lambda: page.shown("voice-error"))
    assert "gone" in page.text("voice-error")
    assert page.find("voice").get_attribute("aria-invalid") == "true"
    assert all("404" in told for told in page.complaints())  # only the browser logs the status
    page.run("document.getElementById('voice').selectedIndex = 0")
    page.run("document.getElementById('text').value = 'a'.repeat(5001)")
    page.find("text").send_keys("b")
    assert "over" in page.find("count").get_attribute("class")
    page.click("speak")
    page.wait(lambda: page.shown("text-error"))
    assert "5000" in page.text("text-error") and not page.shown("voice-error")
    assert all("400" in told for told in page.complaints())
    say(page, "Yes.")
    page.wait(lambda: finished(page))
    assert not page.shown("text-error") and not page.shown("error")


def test_without_an_audio_worklet(page: Browser, server: Server) -> None:
    """Pages from another machine without TLS have no AudioWorklet: pieces are scheduled instead."""
    identifier = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {"source": "Object.defineProperty(BaseAudioContext.prototype, 'audioWorklet', { value: undefined })"},
    )["identifier"]
    try:
        page.open(server.url + "/")
        page.wait(lambda: page.find("voice").get_attribute("value"))
        say(page, "This is played by the clock. Then comes one more sentence.")
        page.listen()
        page.wait(lambda: finished(page))
        page.wait(lambda: not playing(page))
        total = float(page.find("wave").get_attribute("aria-valuemax") or 0)
        assert position(page) == pytest.approx(total, abs=0.01)
        page.find("wave").send_keys(Keys.HOME)
        page.click("toggle")
        page.wait(lambda: position(page) > 0.3)
        page.click("toggle")
        held = position(page)
        page.wait(lambda: not playing(page))
        assert position(page) == pytest.approx(held, abs=0.1) and held < total
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": identifier})


def test_a_key_is_asked_for(browser: Browser) -> None:
    with Server("--set", "server.api_key=sesame") as server:
        browser.open(server.url + "/")
        browser.wait(lambda: browser.shown("key-form"))
        browser.write("key", "sesame")
        browser.find("key").send_keys(Keys.ENTER)
        browser.wait(lambda: browser.find("voice").get_attribute("value"))
        browser.run("sessionStorage.clear()")
        browser.complaints()
        browser.open(server.url + "/?key=sesame&voice=hazel")
        browser.wait(lambda: browser.find("voice").get_attribute("value"))
        assert "sesame" not in browser.driver.current_url and "voice=hazel" in browser.driver.current_url
        say(browser, "Yes.")
        browser.wait(lambda: finished(browser))
        assert not browser.shown("key-form")
        browser.open(server.url + "/")  # known within this tab
        browser.wait(lambda: browser.find("voice").get_attribute("value"))
        browser.open("about:blank")
