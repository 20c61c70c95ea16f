"""The pictures of the pages in the documents, taken in Chromium from a server in use.

    python benchmarks/pictures.py       # writes docs/pages/*.png

It needs chromium and chromedriver, and a font with Chinese.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path

from chat import Running, ask

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "web"))
from browsing import Browser, chromium

OUT = Path(__file__).parent.parent / "docs" / "pages"
WIDTH = 1100
SUFFIX = {"en": "", "zh": "-zh"}
"""Of a file name, by the language of the page."""
PLATFORM = {"en": "twitch", "zh": "bilibili"}
PAUSE = {"en": "Pause", "zh": "暂停"}
CHAT = {
    "en": (
        ("Ann", "Good evening, everyone! Have I missed much?", "Normal", {}),
        ("Cem", "Greetings from Izmir, and thank you for the music.", "Paid", {"amount": 5, "currency": "EUR"}),
        ("Dee", "Please keep it friendly in here.", "Moderator", {}),
        ("Bo", "https://example.org", "Normal", {}),
        ("Lou", "😂😂😂", "Normal", {}),
    ),
    "zh": (
        ("小安", "大家晚上好，我来晚了吗？", "Normal", {}),
        ("路过的猫", "唱得真好听，再来一首！", "Paid", {"amount": 30, "currency": "CNY"}),
        ("阿木", "大家友好发言哦。", "Moderator", {}),
        ("小北", "https://example.org", "Normal", {}),
        ("柚子", "😂😂😂", "Normal", {}),
    ),
}
SCENE = "document.documentElement.style.background = 'linear-gradient(#17336e, #7d5a9e 62%, #e8946a 72%, #2a3b2a 73%)'"


def take(browser: Browser, name: str, height: int) -> None:
    """Write the upper part of the page."""
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
    picture = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    (OUT / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))
    print(f"{name}.png")


def visit(browser: Browser, url: str, language: str) -> None:
    """Open a page as a new visitor."""
    browser.open(f"{url}/web/icon.svg")
    browser.run(
        "localStorage.clear(); sessionStorage.clear(); localStorage.setItem('language', arguments[0])", language
    )


def speak(browser: Browser, url: str, language: str) -> None:
    """The speak page in the middle of a sentence."""
    visit(browser, url, language)
    browser.open(url)
    browser.wait(lambda: browser.find("voice").get_attribute("value") and browser.find("browse").is_enabled())
    time.sleep(1)
    browser.click("speak")
    browser.wait(lambda: browser.find("download").is_displayed())
    if browser.find("toggle").get_attribute("aria-label") != PAUSE[language]:  # it was heard before all was made
        browser.click("toggle")
    browser.wait(lambda: browser.run("return document.querySelectorAll('#spoken .heard').length > 5"))
    take(browser, f"speak{SUFFIX[language]}", 850)


def chat(browser: Browser, server: Running, url: str, language: str) -> None:
    """The chat page with a clip that plays and messages that wait."""
    with_server = server.client()
    visit(browser, url, language)
    browser.open(f"{url}/chat")
    browser.wait(lambda: browser.all("#link.good"))
    for number, (name, words, priority, more) in enumerate(CHAT[language]):
        message = {"id": f"{language}-{number}", "platform": PLATFORM[language], "channel": "12345", "username": name}
        message |= {"content": words, "priority": priority, "metadata": more}
        ask(with_server, "POST", "/api/danmaku/enqueue", message)
    browser.wait(lambda: browser.all("#now-words .word.now") and len(browser.all("#refused li")) > 1)
    time.sleep(1)
    take(browser, f"chat{SUFFIX[language]}", 900)
    for word in ("clear", "skip"):
        ask(with_server, "POST", f"/api/danmaku/{word}", {})


def main() -> None:
    """Take all of them."""
    server = Running("chat.gap_seconds=2")
    url = f"http://127.0.0.1:{server.port}"
    with tempfile.TemporaryDirectory() as folder:
        driver = chromium(Path(folder))
        try:
            browser = Browser(driver)
            metrics = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            for language in SUFFIX:
                speak(browser, url, language)
                chat(browser, server, url, language)
            metrics |= {"height": 400}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.open(f"{url}/overlay?preview=1&size=44&language=en")
            browser.run(SCENE)
            browser.wait(lambda: browser.run("return document.querySelectorAll('.word.heard').length === 4"))
            take(browser, "overlay", 400)
        finally:
            driver.quit()
            server.stop()


if __name__ == "__main__":
    main()
