"""Pages do not move while they load: what a script fills in has its place before."""

from __future__ import annotations

import time

import pytest
from browsing import Browser
from serving import Server

WATCH = """
window.moved = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    window.moved.push([entry.value, ...entry.sources.map((s) => s.node?.id || s.node?.nodeName)]);
}).observe({ type: "layout-shift", buffered: true });
"""
STILL = 0.01
"""The sum of layout shifts that nobody sees; a page that jumps has 0.1 and more."""


@pytest.mark.parametrize(("width", "mobile"), [(1440, False), (390, True)])
@pytest.mark.parametrize("path", ["/", "/chat", "/voices", "/dashboard", "/docs"])
def test_nothing_moves_while_a_page_loads(
    browser: Browser, c_server: Server, path: str, width: int, mobile: bool
) -> None:
    driver = browser.driver
    added = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(c_server.url + path)
        browser.wait(lambda: browser.run("return document.getElementById('server')?.dataset.state === 'ready'"))
        time.sleep(0.5)
        moved = browser.run("return window.moved")
        assert sum(entry[0] for entry in moved) < STILL, moved
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added["identifier"]})
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
