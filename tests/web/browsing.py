"""What tests of the pages do with a browser: wait, read, listen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from serving import Server

from ishowtts import _audio

QUICK = ("--set", "chat.gap_seconds=0", "--set", "sampling.nfe=3")
"""A server's arguments: chat without pauses."""
REFERENCE = Path(__file__).resolve().parents[2] / "ishowtts" / "voices" / "demo" / "reference.flac"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required --use-fake-device-for-media-stream "
    "--use-fake-ui-for-media-stream --window-size=1100,1000 --lang=en --accept-lang=en"
)
# Runs before the scripts of a page and measures what they connect to an audio destination. `heard` has, for each
# AudioContext, the context, the root mean square of its loudest block, and the number of blocks above silence.
EAR = """
window.heard = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode && !(this.context instanceof OfflineAudioContext)) {
    const meter = new AnalyserNode(this.context, { fftSize: 1024 });
    const block = new Float32Array(meter.fftSize);
    const record = { context: this.context, loudest: 0, blocks: 0 };
    connect.call(this, meter);
    window.heard.push(record);
    setInterval(() => {
      meter.getFloatTimeDomainData(block);
      const level = Math.sqrt(block.reduce((sum, v) => sum + v * v, 0) / block.length);
      record.loudest = Math.max(record.loudest, level);
      if (level > 0.01) record.blocks++;
    }, 20);
  }
  return connect.call(this, target, ...rest);
};
"""
HEARD = """
const live = window.heard.filter((h) => h.context.state === "running");
return { time: Math.max(0, ...live.map((h) => h.context.currentTime)),
         loudest: Math.max(0, ...live.map((h) => h.loudest)),
         blocks: Math.max(0, ...live.map((h) => h.blocks)), rates: live.map((h) => h.context.sampleRate) };
"""
# Visible texts whose contrast to their background is below 4.5 (WCAG 2, 1.4.3).
FAINT = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => [r, g, b].reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
const back = (e) => {
  for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor);
    if ((c[3] ?? 1) > 0.9) return c;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
};
const texts = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && e.getClientRects().length
  && !e.closest(":disabled, svg, option, script, noscript")
  && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
return texts.map((e) => {
  const [a, b] = [light(numbers(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
  const what = `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}`;
  return { what, ratio: (a + 0.05) / (b + 0.05) };
}).filter((r) => r.ratio < 4.5);
"""
NAMELESS = """
const named = (e) => e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
  || e.textContent.trim() || ["status", "log", "alert"].includes(e.role);
return [...document.querySelectorAll("input, select, textarea, button, a, audio, canvas, dialog, [role]")]
  .filter((e) => e.checkVisibility() && !named(e)).map((e) => e.outerHTML.slice(0, 120));
"""


def chromium(folder: Path, *flags: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    )
    driver.set_script_timeout(60)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": EAR})
    return driver


class Browser:
    """A Chromium and the page that it shows."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> Browser:
        self.driver.get(url)
        return self

    def find(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The visible text of each element, read in one call, since the page may replace elements meanwhile."""
        shown: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )
        return shown

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, name: str) -> str:
        return self.find(name).text

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        try:
            waiting = WebDriverWait(self.driver, seconds, 0.05, [StaleElementReferenceException])
            return waiting.until(lambda _: condition())
        except TimeoutException:
            shown = self.driver.find_element(By.TAG_NAME, "body").text
            raise AssertionError(
                f"it did not come; the page shows:\n{shown}\nand its console: {self.complaints()}"
            ) from None

    def click(self, name: str) -> None:
        self.find(name).click()

    def press(self, selector: str, number: int = 0) -> None:
        """Clicks one of the elements of a list, again when the page replaces it before the click."""
        self.wait(lambda: self.all(selector)[number].click() is None)

    def write(self, name: str, value: str) -> None:
        field = self.find(name)
        field.clear()
        field.send_keys(value)

    def choose(self, name: str, value: str) -> None:
        """Sets a slider or a select, with the events that a user's input has."""
        self.run(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "for (const n of ['input', 'change']) e.dispatchEvent(new Event(n, { bubbles: true }))",
            name,
            value,
        )

    def shown(self, name: str) -> bool:
        return self.find(name).is_displayed()

    def heard(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run(HEARD)
        return found

    def listen(self, loudness: float = 0.03) -> dict[str, Any]:
        """Wait until speech has really been played; the audio clock has advanced meanwhile."""
        self.wait(lambda: self.heard()["loudest"] > loudness)
        found = self.heard()
        self.wait(lambda: self.heard()["time"] > found["time"])
        return self.heard()

    def complaints(self) -> list[str]:
        """Warnings and errors on the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def download(self, link: WebElement, folder: Path) -> tuple[Path, np.ndarray, int]:
        """Clicks a link; returns the file that the browser wrote, its samples in [-1, 1] and their rate."""
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        link.click()

        def whole() -> list[Path]:
            return [path for path in folder.iterdir() if path.suffix != ".crdownload" and not path.name.startswith(".")]

        path = self.wait(whole)[0]
        samples, rate = _audio.decode(path.read_bytes(), min_seconds=0)
        return path, np.asarray(samples), rate

    @contextmanager
    def device(self, *, width: int = 0, **media: str) -> Iterator[None]:
        """Emulates another device: a phone's width, a colour scheme, reduced motion."""
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        if width:
            metrics: Mapping[str, Any] = {"width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(metrics))
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def picture(self, name: str) -> None:
        if folder := os.environ.get("ISHOWTTS_SCREENSHOTS"):
            self.driver.save_screenshot(f"{folder}/{name}.png")

    def painted(self, name: str) -> float:
        """The share of a canvas's rows that are not empty."""
        return float(
            self.run(
                "const c = document.getElementById(arguments[0]);"
                "const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });"
                "copy.drawImage(c, 0, 0);"
                "const d = copy.getImageData(0, 0, c.width, c.height).data; const rows = new Set();"
                "for (let i = 3; i < d.length; i += 4) if (d[i]) rows.add(Math.floor(i / 4 / c.width));"
                "return rows.size / c.height",
                name,
            )
        )

    def lose(self, server: Server, offline: Callable[[], bool]) -> None:
        """Kill the server, and check that the page shows that only then."""
        assert not offline()
        server.kill()
        self.wait(offline)

    def was_away(self) -> None:
        """Check that the console has no message except the browser's own about failed requests."""
        told = self.complaints()
        assert all("ERR_" in line or "503" in line for line in told), told

    def tell_nothing(self) -> None:
        """Check that the console is empty."""
        assert self.complaints() == []

    def check_dialog(self, name: str) -> None:
        """Check that a dialog is accessible: named controls, contrast, fits a phone, the focus stays inside."""
        assert self.run(NAMELESS) == []
        assert self.run(
            "const dialog = document.getElementById(arguments[0]);"
            "return dialog.matches(':modal') && dialog.contains(document.activeElement)",
            name,
        )
        for scheme in ("light", "dark"):
            with self.device(prefers_color_scheme=scheme):
                assert self.run(FAINT) == []
                self.picture(f"{name}-{scheme}")
        with self.device(width=360):
            assert (
                self.run("const e = document.getElementById(arguments[0]); return e.scrollWidth - e.clientWidth", name)
                == 0
            )
            self.picture(f"{name}-phone")

    def check_reading(self, name: str) -> None:
        """Check that a page has named controls and two languages, contrast in both colour schemes, and fits a phone."""
        assert self.run(NAMELESS) == []
        for scheme in ("light", "dark"):
            with self.device(prefers_color_scheme=scheme):
                assert self.run(FAINT) == []
                self.picture(f"{name}-{scheme}")
        with self.device(width=360):
            assert self.run("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
            self.picture(f"{name}-phone")
        self.click("language")
        assert self.run("return document.documentElement.lang") == "zh-Hans"
        # Elements with data-t are texts of the page: all of them are translated.
        words = self.run(
            "return [...document.querySelectorAll('[data-t]')].map((e) => e.textContent.trim())"
            ".filter((w) => w && !/[\\u4e00-\\u9fff]/.test(w))"
        )
        assert set(words) <= {"WAV", "RTF"}
        with self.device(width=360):
            assert self.run("return document.documentElement.scrollWidth") == 360
        self.click("language")
        assert self.run("return document.documentElement.lang") == "en"
