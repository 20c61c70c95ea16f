"""axe-core on every page, in both colour schemes and both languages; and npm's OpenAI client in the browser."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from browsing import Browser
from serving import Server

PACKAGES = Path(__file__).parent / "node_modules"
pytestmark = pytest.mark.skipif(not (PACKAGES / "axe-core").is_dir(), reason="npm's packages: run scripts/setup test")
PAGES = ("/", "/chat", "/voices", "/dashboard", "/docs", "/overlay?preview=1")
RUN = """
const done = arguments[0];
const describe = (node) => node.target.join(" ") + ": " + node.failureSummary;
axe.run().then(({ violations }) => done(violations.map(({ id, nodes }) => [id, nodes.map(describe)])));
"""
SPEAK = """
const [url, done] = arguments;
import("/openai/index.mjs").then(async ({ default: OpenAI }) => {
  const client = new OpenAI({ baseURL: url + "/v1", apiKey: "none", dangerouslyAllowBrowser: true, maxRetries: 0 });
  const models = await client.models.list();
  const request = { model: "tts-1", voice: "nova", input: "Good evening.", response_format: "wav" };
  const speech = await client.audio.speech.create(request);
  const refused = await client.audio.speech.create({ ...request, voice: "nobody" }).catch((error) => error);
  const audio = await new AudioContext().decodeAudioData(await speech.arrayBuffer());
  done([models.data.map(({ id }) => id), audio.duration, refused.status, refused.message]);
}).catch((error) => done(String(error)));
"""


def findings(browser: Browser) -> Any:
    browser.run((PACKAGES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    return browser.driver.execute_async_script(RUN)


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(browser: Browser, server: Server, path: str) -> None:
    browser.open(server.url + path)
    overlay = path.startswith("/overlay")
    browser.wait(lambda: browser.shown("clip") if overlay else "demo" in browser.text("server"))
    found = {}
    for language in ("en", "zh-Hans"):
        for scheme in ("light", "dark"):
            with browser.device(prefers_color_scheme=scheme):
                if violations := findings(browser):
                    found[f"{language}, {scheme}"] = violations
        if not overlay:
            browser.click("language")
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


class Site(http.server.SimpleHTTPRequestHandler):
    """A server of another origin with npm's packages and an empty page."""

    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
    }

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><p>Another site.")
        return None

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    handler = functools.partial(Site, directory=str(PACKAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_openais_npm_client_speaks_in_a_page(chrome: Browser, site: str) -> None:
    with Server("--set", f'server.cors_origins=["{site}"]') as server:
        chrome.driver.get(site)
        told = chrome.driver.execute_async_script(SPEAK, server.url)
        assert isinstance(told, list), told
        models, seconds, status, message = told
        assert models == ["demo"] and 0.3 < seconds < 5
        assert status == 404 and "nobody" in message and "hazel" in message
    chrome.complaints()
