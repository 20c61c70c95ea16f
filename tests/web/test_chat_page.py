"""The chat page with a real server: messages by hand, the queue, controls, listening, reconnecting after a restart."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browsing import QUICK, Browser
from serving import Server


@pytest.fixture(scope="module")
def chatting() -> Iterator[Server]:
    """A server for each test, so that its queue is empty."""
    with Server(*QUICK) as running:
        yield running


@pytest.fixture
def page(browser: Browser, chatting: Server) -> Browser:
    httpx.post(chatting.url + "/api/danmaku/resume")
    httpx.post(chatting.url + "/api/danmaku/clear")
    httpx.post(chatting.url + "/api/danmaku/skip")
    open_chat(browser, chatting)
    browser.wait(lambda: browser.text("now-words") == "Nothing is playing.")
    return browser


def open_chat(browser: Browser, server: Server) -> None:
    browser.open(server.url + "/chat")
    browser.wait(lambda: browser.text("link") == "Connected" and browser.text("counts"))


def send(page: Browser, words: str, name: str = "Ann", priority: str = "Normal") -> None:
    page.write("say-name", name)
    page.choose("say-priority", priority)
    page.write("say-text", words)
    page.run("document.getElementById('said').textContent = ''")
    page.find("say").find_element("css selector", "button").click()
    page.wait(lambda: page.text("said") or page.shown("say-fault"))


def count(page: Browser, name: str) -> int:
    return int(next(row.split()[-1] for row in page.texts("#counts div") if row.startswith(name)))


def queued(page: Browser) -> list[str]:
    return page.texts("#queue li .who")


def test_a_message_is_read_and_heard(page: Browser) -> None:
    before = count(page, "Read")
    page.click("listen")
    send(page, "Good evening to all of you who are watching tonight.")
    assert "Sent" in page.text("said") and page.find("say-text").get_attribute("value") == ""
    page.wait(lambda: page.all("#now-words .word.now"))
    assert "evening" in page.text("now-words") and page.text("now-who").startswith("Ann")
    assert page.all("#log li.now")[0].text.endswith("Good evening to all of you who are watching tonight.")
    heard = page.listen()
    assert heard["rates"] == [24000]
    early = len(page.all("#now-words .word.heard"))
    page.wait(lambda: len(page.all("#now-words .word.heard")) > early)  # the language follows the voice
    page.wait(lambda: page.text("now-words") == "Nothing is playing.")
    page.wait(lambda: count(page, "Read") == before + 1)
    page.click("replay")
    page.wait(lambda: page.all("#now-words .word"))
    page.click("skip")
    page.wait(lambda: page.text("now-words") == "Nothing is playing.")


def test_the_queue_and_its_controls(page: Browser) -> None:
    page.click("pause")
    page.wait(lambda: page.text("pause") == "Resume")
    skipped, dropped = count(page, "Skipped"), count(page, "Not read")
    for name, priority in (("Ann", "Normal"), ("Bob", "Normal"), ("Cem", "Paid"), ("Dee", "Moderator")):
        send(page, f"This is what {name} says.", name, priority)
    page.wait(lambda: queued(page) == ["Cem", "Dee", "Ann", "Bob"])
    assert page.text("waiting") == "Waiting: 4" and page.texts("#queue .badge") == ["Paid", "Moderator"]
    page.press("#queue li button:last-of-type", 2)
    page.wait(lambda: queued(page) == ["Cem", "Dee", "Bob"])
    page.wait(lambda: count(page, "Skipped") == skipped + 1)
    gone = page.all("#log li.gone")
    assert len(gone) == 1 and "Ann" in gone[0].text
    page.check_reading("chat")
    page.click("clear")
    page.wait(lambda: page.all("dialog[open]"))
    page.one("dialog .danger").click()
    page.wait(lambda: not queued(page) and page.shown("queue-empty"))
    page.wait(lambda: count(page, "Not read") == dropped + 3)
    page.click("pause")
    page.wait(lambda: page.text("pause") == "Pause")
    assert not httpx.get(page.run("return location.origin") + "/api/danmaku/status").json()["paused"]


def test_a_refusal_says_why(page: Browser) -> None:
    send(page, "https://example.org/only-a-link")
    assert page.text("said") == "Not read: only a link."
    assert page.find("say-text").get_attribute("value")  # it can be changed and sent again
    page.run("document.getElementById('say-text').value = 'a'.repeat(100000)")
    page.find("say").find_element("css selector", "button").click()
    page.wait(lambda: page.shown("say-fault"))
    assert "65536" in page.text("say-fault")
    assert all("413" in told for told in page.complaints())


def test_what_was_not_read_is_kept_over_a_reload(page: Browser, chatting: Server) -> None:
    send(page, "Somebody says this, and it is read.", "Eve")
    send(page, "!play a song", "Mallory")
    page.wait(lambda: page.texts("#refused .who")[:1] == ["Mallory"])
    assert page.texts("#refused .badge")[0] == "command" and "!play a song" in page.texts("#refused li")[0]
    before = page.texts("#log li .words")
    assert any("Somebody says this" in line for line in before)
    page.driver.refresh()
    page.wait(lambda: page.texts("#refused .who")[:1] == ["Mallory"])
    assert page.texts("#log li .words") == before
    page.click("language")
    assert page.texts("#refused .badge")[0] == "指令"
    page.click("language")


def test_on_a_phone_the_reason_is_below_the_message(page: Browser) -> None:
    send(page, "!play a song that has a long name and is sung by somebody with a long name", "Mallory" * 5)
    page.wait(lambda: page.texts("#refused .who")[:1] == ["Mallory" * 5])
    bottom = "return document.querySelector('#refused li > .grow').getBoundingClientRect().bottom"
    top = "return document.querySelector('#refused .badge').getBoundingClientRect().top"
    assert page.run(top) < page.run(bottom)
    with page.device(width=390):
        page.wait(lambda: page.run(top) >= page.run(bottom))
        assert "!play a song" in page.texts("#refused li")[0]


def test_a_viewer_is_muted_and_unmuted(page: Browser) -> None:
    """Muting from the list of refused messages: later messages are refused, whatever the case of the name."""
    send(page, "!play another", "Eve")
    page.wait(lambda: page.texts("#refused .who")[:1] == ["Eve"])
    page.press("#refused li button")
    page.wait(lambda: page.texts("#muted .who") == ["eve"])
    send(page, "Can you hear me?", "EVE")
    assert page.text("said") == "Not read: muted viewer."
    page.driver.refresh()
    page.wait(lambda: page.texts("#muted .who") == ["eve"])
    page.press("#muted li button")
    page.wait(lambda: page.shown("muted-empty"))
    send(page, "And now?", "Eve")
    assert "Sent" in page.text("said")


def test_messages_are_approved_and_rejected(browser: Browser) -> None:
    with Server(*QUICK, "--set", "chat.approval=true") as server:
        open_chat(browser, server)
        assert not browser.shown("held-card")
        for name in ("Ann", "Bob", "Carl"):
            send(browser, f"Hello from {name} to everybody.", name)
            assert browser.text("said") == "Sent. It waits for approval."
        browser.wait(lambda: browser.texts("#held .who") == ["Ann", "Bob", "Carl"])
        browser.press("#held li button")  # approve
        browser.wait(lambda: any("Hello from Ann" in line for line in browser.texts("#log li .words")))
        browser.wait(lambda: browser.texts("#held .who") == ["Bob", "Carl"])
        browser.press("#held li:first-child button", 1)  # reject
        browser.wait(lambda: browser.texts("#refused .who")[:1] == ["Bob"])
        assert browser.texts("#refused .badge")[0] == "not approved"
        browser.click("approve-all")
        browser.wait(lambda: not browser.shown("held-card"))
        browser.wait(lambda: any("Hello from Carl" in line for line in browser.texts("#log li .words")))
        browser.open("about:blank")  # before its server ends


def test_a_test_message(page: Browser) -> None:
    page.wait(lambda: page.run("return document.getElementById('test') !== null"))
    for _ in range(2):  # the second message is not a repetition
        page.run("document.getElementById('said').textContent = ''")
        page.click("test")
        page.wait(lambda: page.text("said"))
        assert page.text("said").startswith("Sent")
    page.wait(lambda: "welcome to the stream" in page.text("now-words"))


def test_fields_for_signing_in(page: Browser) -> None:
    """Each platform has its own labels; what is typed is sent with the request and removed from the form."""
    look = "return ['channel-label', 'token-label'].map((id) => document.getElementById(id).textContent)"
    labels = lambda: page.run(look)  # noqa: E731
    assert labels() == ["Channel name", "OAuth token"] and not page.shown("token")
    page.choose("platform", "youtube")
    assert (
        labels() == ["Video, address or @handle", "API key"] and page.shown("token") and not page.shown("login-field")
    )
    assert not page.shown("account-kept"), "this key is kept"
    page.choose("platform", "bilibili")
    assert labels() == ["Room number", "SESSDATA cookie"] and page.shown("login-field") and page.shown("account-kept")
    page.run(
        "window.sent = []; const ask = window.fetch; window.fetch = (url, what) => url.endsWith('/start')"
        " ? (sent.push(JSON.parse(what.body)), Promise.resolve(new Response('{}', { status: 202 }))) : ask(url, what)"
    )
    for name, value in (("channel", "123"), ("token", "secret"), ("login", "7")):
        page.write(name, value)
    assert page.find("token").get_attribute("type") == "password"
    page.find("connect").find_element("css selector", "button").click()
    page.wait(lambda: page.run("return sent.length"))
    assert page.run("return sent") == [{"platform": "bilibili", "channel": "123", "token": "secret", "login": "7"}]
    page.wait(lambda: page.find("token").get_attribute("value") == "")


def test_connections(browser: Browser, tmp_path: Path) -> None:
    """A platform that cannot be reached: the connection shows that it waits, until it is stopped."""
    settings = tmp_path / "ishowtts.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    settings.write_text(f'[[chat.sources]]\nplatform = "twitch"\nendpoint = "irc://127.0.0.1:{nobody}"\n')
    with Server("--config", str(settings)) as server:
        open_chat(browser, server)
        assert browser.shown("sources-empty")
        browser.write("channel", "not a channel!")
        browser.find("connect").find_element("css selector", "button").click()
        browser.wait(lambda: browser.one('[data-error="channel"]').text)
        assert browser.find("channel").get_attribute("aria-invalid") == "true"
        assert all("400" in told for told in browser.complaints())
        browser.write("channel", "somebody")
        browser.find("connect").find_element("css selector", "button").click()
        browser.wait(
            lambda: "Twitch · somebody" in browser.text("sources") and "reconnecting" in browser.text("sources")
        )
        assert browser.find("channel").get_attribute("value") == "" and not browser.shown("sources-empty")
        browser.open(server.url + "/dashboard")
        browser.wait(lambda: browser.texts("#sources .badge") == ["reconnecting"])
        browser.open(server.url + "/chat")
        browser.wait(lambda: browser.all("#sources button"))
        browser.press("#sources button")
        browser.wait(lambda: browser.shown("sources-empty"))
        browser.open("about:blank")


def test_comes_back_after_a_restart(browser: Browser) -> None:
    server = Server(*QUICK)
    port = server.port
    try:
        open_chat(browser, server)
        httpx.post(server.url + "/api/danmaku/pause")
        browser.wait(lambda: browser.text("pause") == "Resume")
        browser.lose(server, lambda: browser.text("link") == "Reconnecting…")
        server = Server(*QUICK, "--port", str(port))
        browser.wait(lambda: browser.text("link") == "Connected" and browser.text("pause") == "Pause")
        send(browser, "After the restart.")
        browser.wait(lambda: browser.all("#now-words .word"))
        browser.was_away()
        browser.open("about:blank")
    finally:
        server.kill()


def test_an_event_source_of_the_browser_works_too(page: Browser) -> None:
    kinds = page.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        const source = new EventSource("/api/danmaku/stream");
        const seen = [];
        const take = (event) => {
          const data = JSON.parse(event.data);
          seen.push([event.type, event.lastEventId !== ""]);
          if (event.type === "state" && seen.length === 1) {
            const message = { platform: "test", channel: "c", username: "Eve", content: "Read by an event source." };
            const headers = { "Content-Type": "application/json" };
            const body = JSON.stringify({ id: "es-" + Math.random(), ...message });
            fetch("/api/danmaku/enqueue", { method: "POST", headers, body });
          }
          if (event.type === "audio") { source.close(); done(seen); }
        };
        for (const name of ["state", "message", "start", "audio"]) source.addEventListener(name, take);
        """
    )
    names = [name for name, _ in kinds]
    assert names[0] == "state" and names.index("message") < names.index("start") < names.index("audio")
    assert all(numbered for name, numbered in kinds if name in ("message", "start", "audio"))


def test_a_preview_of_the_overlay(page: Browser, tmp_path: Path) -> None:
    """A sample message over a background, without sound and without a connection."""

    def inside(script: str) -> object:
        page.driver.switch_to.frame(page.find("sample"))
        try:
            return page.run(script)
        finally:
            page.driver.switch_to.default_content()

    page.wait(lambda: inside("return document.querySelector('.word.now') !== null"))
    assert inside("return document.getElementById('who').innerText.split(/\\s+/).join(' ')") == "Ann 5 euros"
    assert inside("return getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert inside("return (window.heard ?? []).length") == 0
    page.choose("o-size", "80")
    page.wait(lambda: inside("return getComputedStyle(document.getElementById('stage')).fontSize") == "80px")
    page.choose("backdrop", "light")
    assert page.run("return getComputedStyle(document.getElementById('stage')).backgroundColor") == "rgb(244, 244, 248)"
    page.choose("backdrop", "file")
    page.find("picture").send_keys(str(picture(tmp_path)))
    page.wait(lambda: "data:image/png" in page.run("return document.getElementById('stage').style.backgroundImage"))


def picture(folder: Path) -> Path:
    path = folder / "scene.png"
    path.write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478"
            "9c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
        )
    )
    return path


def test_the_overlays_address(page: Browser, chatting: Server) -> None:
    assert page.find("address").get_attribute("value") == chatting.url + "/overlay"
    page.choose("o-size", "60")
    page.choose("o-position", "top")
    page.write("o-font", "Comic Neue")
    page.all('#obs input[name="show"]')[2].click()
    assert (
        page.find("address").get_attribute("value")
        == chatting.url + "/overlay?font=Comic+Neue&size=60&position=top&show=name%2Cwords%2Cqueue"
    )
    assert page.find("preview").get_attribute("href") == page.find("address").get_attribute("value")
    page.choose("o-size", "5")
    assert "size must be between 10 and 200, not 5" in page.text("obs-fault")
    page.choose("o-size", "36")
    assert not page.shown("obs-fault")
    page.click("copy")
    page.wait(lambda: page.all("#toasts .toast"))
    assert page.run(
        "const a = document.getElementById('address'); return a.selectionEnd - a.selectionStart === a.value.length"
    )
