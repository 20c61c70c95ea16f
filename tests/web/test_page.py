"""The page in a real browser: it speaks, it shows what went wrong, and the console stays quiet."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from serving import Server

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required --window-size=1100,900"
)
# Loudest level that the audio element really plays, measured behind its decoder until it is loud enough or has ended.
LISTEN = """
const done = arguments[arguments.length - 1];
const audio = document.getElementById("audio");
const context = new AudioContext();
const meter = context.createAnalyser();
context.createMediaStreamSource(audio.captureStream()).connect(meter);
const block = new Float32Array(meter.fftSize);
let loudest = 0;
const timer = setInterval(() => {
  meter.getFloatTimeDomainData(block);
  loudest = Math.max(loudest, Math.sqrt(block.reduce((sum, v) => sum + v * v, 0) / block.length));
  if (loudest > 0.03 || audio.ended) { clearInterval(timer); context.close(); done(loudest); }
}, 30);
"""


def chromium(folder: Path, *flags: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    )


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


def wait(driver: webdriver.Chrome, condition: Any, seconds: float = 90) -> Any:
    return WebDriverWait(driver, seconds, 0.1).until(condition)


def text(driver: webdriver.Chrome, name: str) -> str:
    return driver.find_element(By.ID, name).text


def complaints(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    return [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def page(chrome: webdriver.Chrome, server: Server) -> webdriver.Chrome:
    chrome.get(server.url + "/")
    wait(chrome, lambda d: "demo" in text(d, "server"))
    return chrome


def write(driver: webdriver.Chrome, name: str, value: str) -> None:
    field = driver.find_element(By.ID, name)
    field.clear()
    field.send_keys(value)


def finished(driver: webdriver.Chrome) -> bool:
    return driver.find_element(By.ID, "download").is_displayed() and driver.find_element(By.ID, "speak").is_enabled()


def download(driver: webdriver.Chrome, folder: Path) -> tuple[np.ndarray, int]:
    """Click the link; samples in [-1, 1] and rate of the file that the browser wrote."""
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    driver.find_element(By.ID, "download").click()
    wait(driver, lambda d: list(folder.glob("*.wav")))
    samples, rate = soundfile.read(next(folder.glob("*.wav")))
    return samples, rate


def test_it_speaks(page: webdriver.Chrome, tmp_path: Path) -> None:
    write(page, "text", "Good evening. This sentence is spoken in a browser.")
    write(page, "seed", "18446744073709551615")
    page.find_element(By.ID, "speak").click()
    wait(page, lambda d: d.execute_script("return document.getElementById('audio').currentTime > 0"))
    assert page.execute_async_script(LISTEN) > 0.03
    wait(page, finished)
    samples, rate = download(page, tmp_path)
    assert 1.5 < len(samples) / rate < 8 and np.sqrt(np.mean(samples**2)) > 0.02
    wait(
        page,
        lambda d: d.execute_script(
            "const a = document.getElementById('audio'); return a.currentTime > 0.3 && a.error === null && a.readyState >= 2"
        ),
    )
    assert page.execute_script("return document.getElementById('audio').duration") == pytest.approx(len(samples) / rate, abs=0.05)
    first = page.execute_script("return document.getElementById('audio').currentTime")
    wait(
        page,
        lambda d: d.execute_script(
            "const a = document.getElementById('audio'); return a.ended || a.currentTime > arguments[0]", first
        ),
    )
    for name in ("t-first", "t-total", "t-length"):
        assert text(page, name).endswith("s")
    assert 0 < float(text(page, "t-rtf")) < 100
    assert text(page, "t-seed") == "18446744073709551615"
    painted = page.execute_script(
        "const c = document.getElementById('wave'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const rows = new Set(); for (let i = 3; i < d.length; i += 4) if (d[i]) rows.add(Math.floor(i / 4 / c.width)); return rows.size / c.height"
    )
    assert painted > 0.2  # bars, not a flat line
    assert page.find_element(By.ID, "download").get_attribute("href").startswith("blob:")
    assert page.find_element(By.ID, "error").is_displayed() is False
    if folder := os.environ.get("ISHOWTTS_SCREENSHOTS"):
        page.save_screenshot(f"{folder}/page.png")
    assert complaints(page) == []


def test_keys_voice_and_rate(page: webdriver.Chrome, tmp_path: Path) -> None:
    options = page.execute_script("return [...document.getElementById('voice').options].map((o) => o.value)")
    assert options and "" not in options
    page.execute_script("document.getElementById('format').value = '16000'")
    write(page, "text", "Yes.")
    page.find_element(By.ID, "text").send_keys(Keys.CONTROL, Keys.ENTER)
    wait(page, finished)
    samples, rate = download(page, tmp_path)
    assert rate == 16000 and 0.2 < len(samples) / rate < 3
    assert complaints(page) == []


def test_long_text_plays_before_it_is_finished_and_to_its_end(page: webdriver.Chrome, tmp_path: Path) -> None:
    page.execute_script("document.getElementById('steps').value = 5; document.getElementById('audio').playbackRate = 4")
    words = " ".join(f"Sentence number {n} is here to make this text longer than one chunk can be." for n in range(1, 7))
    page.execute_script("document.getElementById('text').value = arguments[0]", words)
    page.find_element(By.ID, "speak").click()
    wait(page, lambda d: d.execute_script("return document.getElementById('audio').currentTime > 0"))
    page.execute_script(
        "document.getElementById('audio').defaultPlaybackRate = document.getElementById('audio').playbackRate = 4"
    )
    wait(page, finished)
    wait(page, lambda d: d.execute_script("return document.getElementById('audio').ended"))
    samples, rate = download(page, tmp_path)
    assert 12 < len(samples) / rate < 60
    assert page.execute_script("return document.getElementById('audio').currentTime") == pytest.approx(
        len(samples) / rate, abs=0.1
    )
    page.execute_script("document.getElementById('audio').defaultPlaybackRate = 1")
    assert complaints(page) == []


def test_stop(page: webdriver.Chrome) -> None:
    page.execute_script("document.getElementById('text').value = 'This will not be said. '.repeat(150)")
    page.find_element(By.ID, "speak").click()
    wait(page, lambda d: d.find_element(By.ID, "stop").is_enabled())
    time.sleep(0.3)
    page.find_element(By.ID, "stop").click()
    wait(page, lambda d: d.find_element(By.ID, "speak").is_enabled(), 10)
    assert not page.find_element(By.ID, "error").is_displayed()
    assert page.execute_script("return document.getElementById('audio').paused")
    assert complaints(page) == []


def test_an_error_is_a_sentence(page: webdriver.Chrome) -> None:
    page.execute_script("document.getElementById('voice').add(new Option('gone', 'gone', true, true))")
    page.find_element(By.ID, "speak").click()
    wait(page, lambda d: d.find_element(By.ID, "error").is_displayed())
    assert "gone" in text(page, "error")
    told = complaints(page)  # the browser itself notes a status of 404, nothing else is said
    assert all("404" in entry["message"] for entry in told)
    page.execute_script("document.getElementById('voice').selectedIndex = 0")
    write(page, "text", "Yes.")
    page.find_element(By.ID, "speak").click()
    wait(page, finished)
    assert not page.find_element(By.ID, "error").is_displayed()


def test_every_control_has_a_name(page: webdriver.Chrome) -> None:
    nameless = page.execute_script(
        "return [...document.querySelectorAll('input, select, textarea, button, audio, canvas')].filter((e) => !e.hidden"
        " && !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.id)"
    )
    assert nameless == []
    assert page.execute_script("return document.documentElement.lang") == "en"


def test_phone_and_dark(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    try:
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        colours = page.execute_script("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
        ink, back = (sum(int(part) for part in colour[4:-1].split(",")) for colour in colours)
        assert ink > 600 and back < 100
        if folder := os.environ.get("ISHOWTTS_SCREENSHOTS"):
            page.save_screenshot(f"{folder}/phone.png")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_key_is_asked_for(chrome: webdriver.Chrome) -> None:
    server = Server("--set", "server.api_key=sesame")
    try:
        chrome.get(server.url + "/")
        wait(chrome, lambda d: d.find_element(By.ID, "key").is_displayed())
        write(chrome, "key", "sesame")
        chrome.find_element(By.ID, "text").click()
        write(chrome, "text", "Yes.")
        chrome.find_element(By.ID, "speak").click()
        wait(chrome, finished)
        chrome.get(server.url + "/?key=sesame")
        wait(chrome, lambda d: "demo" in text(d, "server"))
        assert not chrome.find_element(By.ID, "key").is_displayed()
        chrome.get("about:blank")
        assert server.stop() == 0
    finally:
        server.kill()
        chrome.get_log("browser")
