"""How soon each page is ready in Chromium, and whether anything moves while it loads.

Ready: from navigation to the end of its scripts and the browser's first idle frame after it, with an empty cache.
`load`: processes that wanted the processor meanwhile, ours among them. Computing: the processor time of the page's
main thread from navigation to three seconds after that, which other programs do not lengthen. Layout shift: the sum of
Chromium's `layout-shift` entries within three seconds (0: nothing moved).

    python benchmarks/pages.py [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from chat import Running
from common import write_csv
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "web"))
from browsing import Browser, chromium

PAGES = ("/", "/chat", "/voices", "/dashboard", "/docs", "/overlay?preview=1")
MARK = """
window.shift = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
const ready = () => (window.readyAt = performance.now());
addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(ready)));
"""


def computed(driver: webdriver.Chrome) -> float:
    """Seconds of processor time that the main thread has taken for the page that is shown."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def main() -> None:
    """Measure and write benchmarks/results/pages.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    server = Running()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        driver = chromium(Path(folder))
        try:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MARK})
            driver.execute_cdp_cmd("Network.enable", {})
            driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
            driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            browser = Browser(driver)
            for path in PAGES:
                ready, computing, shifts = [], [], []
                for _ in range(args.runs):
                    browser.open(f"http://127.0.0.1:{server.port}{path}")
                    browser.wait(lambda: browser.run("return window.readyAt"))
                    time.sleep(3)
                    ready.append(browser.run("return window.readyAt"))
                    computing.append(computed(driver))
                    shifts.append(browser.run("return window.shift"))
                rows.append(
                    {
                        "page": path.partition("?")[0],
                        "ready_ms_median": round(statistics.median(ready)),
                        "ready_ms_max": round(max(ready)),
                        "computing_ms_median": round(1e3 * statistics.median(computing)),
                        "layout_shift_max": round(max(shifts), 4),
                        "load": round(os.getloadavg()[0], 1),
                    }
                )
                print(rows[-1])
        finally:
            driver.quit()
            server.stop()
    print(write_csv("pages", rows))


if __name__ == "__main__":
    main()
