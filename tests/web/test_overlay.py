"""The overlay with a real server: transparent, in time with the audio, configured by its address, equal for all."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browsing import QUICK, Browser, chromium
from serving import Server

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def chatting() -> Iterator[Server]:
    with Server(*QUICK) as running:
        yield running


@pytest.fixture
def idle(chatting: Server) -> Server:
    """The server with an empty queue."""
    for verb in ("resume", "clear", "skip"):
        httpx.post(f"{chatting.url}/api/danmaku/{verb}")
    return chatting


def message(words: str, **more: object) -> dict[str, object]:
    return {"id": f"m{next(NUMBERS)}", "platform": "test", "channel": "c", "username": "Ann", "content": words, **more}


def send(server: Server, words: str, *, key: str = "", **more: object) -> None:
    answer = httpx.post(
        server.url + "/api/danmaku/enqueue", json=message(words, **more), params={"key": key} if key else None
    )
    assert answer.status_code == 202, answer.text


def test_captions_in_time_with_the_audio(browser: Browser, idle: Server) -> None:
    browser.open(idle.url + "/overlay?hide=0&show=name,words,queue,state&size=40&lines=2")
    clear = browser.run(
        "return [document.documentElement, document.body].map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert clear == ["rgba(0, 0, 0, 0)"] * 2
    assert not browser.shown("clip") and not browser.shown("faults")
    browser.wait(lambda: not browser.shown("state"))  # connected
    send(
        idle,
        "Good evening to all of you, and thank you very much for the kind words.",
        priority="Paid",
        metadata={"amount": 5, "currency": "EUR"},
    )
    browser.wait(lambda: browser.all(".word.now"))
    assert browser.text("who").split() == ["Ann", "5", "euros"]
    assert browser.text("words").startswith("Good evening")  # the name is not shown twice
    browser.listen()
    browser.picture("overlay")
    progress = []
    look = (
        "return [document.getElementById('clip').hidden, document.querySelectorAll('.word.heard').length,"
        " document.getElementById('words').clientHeight]"
    )
    while not (seen := browser.run(look))[0]:
        progress.append(seen[1])
        assert seen[2] <= 2 * 1.3 * 40 + 1
    said = browser.heard()["blocks"]
    assert said > 10 and progress == sorted(progress) and len(set(progress)) > 4  # one after the other
    assert browser.run("return document.getElementById('words').textContent") == ""  # hidden, then removed


@pytest.mark.parametrize(
    ("fields", "who", "words"),
    [
        ({}, "Ann", "One message."),
        ({"priority": "Paid", "metadata": {"amount": 1, "currency": "USD"}}, "Ann 1 US dollar", "One message."),
        (
            {"priority": "Paid", "metadata": {"amount": 2.5, "currency": "XAF"}},
            "Ann 3 Central African CFA francs",
            "One message.",
        ),
        ({"priority": "Gift", "metadata": {"gift": "roses", "count": 3}}, "", "Ann sent 3 roses. One message."),
    ],
)
def test_the_name_is_shown_once(
    browser: Browser, idle: Server, fields: dict[str, object], who: str, words: str
) -> None:
    browser.open(idle.url + "/overlay?volume=0&hide=60&language=en")
    send(idle, "One message.", user_id=f"viewer{next(NUMBERS)}", **fields)
    browser.wait(lambda: browser.all(".word.now"))
    assert " ".join(browser.text("who").split()) == who
    assert browser.run("return document.getElementById('words').textContent") == words


def test_blocked_sound_is_said_outside_obs(idle: Server, tmp_path: Path) -> None:
    """A browser that needs a click before it plays audio; OBS does not, and its viewers see no such button."""
    driver = chromium(tmp_path / "profile", "--autoplay-policy=document-user-activation-required")
    try:
        browser = Browser(driver)
        browser.open(idle.url + "/overlay")
        browser.wait(lambda: browser.shown("blocked"))
        send(idle, "This is said while nobody hears it, and the rest of it is heard after a click.")
        browser.wait(lambda: browser.all(".word.heard"))
        browser.click("blocked")
        assert not browser.shown("blocked")
        browser.listen()
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": "window.obsstudio = {}"})
        browser.open(idle.url + "/overlay")
        browser.wait(lambda: browser.run("return document.readyState") == "complete")
        assert not browser.shown("blocked")
    finally:
        driver.quit()


def test_settings_come_from_the_address(browser: Browser, idle: Server) -> None:
    browser.open(
        idle.url
        + "/overlay?volume=0&font=serif&size=50&lines=1&position=top&align=left&color=%2300ff00&accent=%23ff0000"
        + "&back=1&show=words&language=zh&hide=60"
    )
    send(idle, "One line only, however much there is to say about it in the end.")
    browser.wait(lambda: browser.all(".word.now"))
    style = browser.run(
        "const [s, c] = ['stage', 'clip'].map((id) => getComputedStyle(document.getElementById(id)));"
        "return [s.fontSize, s.fontFamily.split(',')[0], s.justifyContent, s.textAlign, s.color, c.backgroundColor,"
        " document.documentElement.lang]"
    )
    assert style == ["50px", "serif", "flex-start", "left", "rgb(0, 255, 0)", "rgb(0, 0, 0)", "zh-Hans"]
    assert browser.run("return getComputedStyle(document.querySelector('.word.now')).color") == "rgb(255, 0, 0)"
    assert browser.find("words").size["height"] <= 1.3 * 50 + 1 and not browser.shown("who")
    first = browser.run("return document.querySelector('.roll').style.transform")
    browser.wait(
        lambda: browser.run("return document.querySelector('.roll').style.transform") not in ("", first)
    )  # it continues to roll
    browser.wait(lambda: not browser.all(".word.now"))
    assert browser.shown("clip")  # for a minute
    assert browser.run("return window.heard") == []  # volume 0: no sound at all


def test_wrong_settings_are_named(browser: Browser, idle: Server) -> None:
    browser.open(idle.url + "/overlay?size=5&position=left&color=red&show=words,nothing&fnot=x&volume=")
    told = browser.text("faults").split("\n")
    assert told == [
        "size must be between 10 and 200, not 5.",
        "volume must be between 0 and 1, not .",
        "position must be one of top, middle, bottom, not left.",
        "color must be a color such as #ffd54a, not red.",
        "show must be a list of name, words, queue, state, not words,nothing.",
        "Unknown setting: fnot.",
    ]


def test_skipped_is_silent_and_the_next_one_begins(browser: Browser, idle: Server) -> None:
    browser.open(idle.url + "/overlay?hide=0")
    send(
        idle,
        "This is a very long message that nobody wants to hear to its end, and so it is skipped before it is over.",
    )
    browser.wait(lambda: browser.all(".word.now"))
    browser.listen()
    send(idle, "Now another one.", username="Bob")
    httpx.post(idle.url + "/api/danmaku/skip")
    browser.wait(lambda: browser.text("who") == "Bob")
    assert "another" in browser.run("return document.getElementById('words').textContent")
    httpx.post(idle.url + "/api/danmaku/pause")
    browser.wait(lambda: quiet(browser))
    httpx.post(idle.url + "/api/danmaku/resume")
    browser.wait(lambda: not browser.shown("clip"))


def quiet(browser: Browser) -> bool:
    """Checks that there is no loud block for some time."""
    before = browser.heard()
    browser.wait(lambda: browser.heard()["time"] > before["time"] + 0.3)
    return bool(browser.heard()["blocks"] == before["blocks"])


def test_all_hear_the_same_and_a_late_one_joins(browser: Browser, idle: Server) -> None:
    """Two listeners of one page, the second from the middle of the clip: their samples are equal where both hear."""
    browser.open(idle.url + "/overlay?volume=0&show=words")
    at, shared, level, apart = browser.driver.execute_async_script(
        """
        const [message, done] = arguments;
        const body = JSON.stringify(message);
        (async () => {
          const { Feed, Speaker } = await import("/web/live.js");
          const tape = async (speaker, feed) => {
            const samples = [];
            const open = speaker.player.open.bind(speaker.player);
            speaker.player.open = async (rate) => {
              await open(rate);
              if (speaker.taped) return;
              speaker.taped = true;
              await speaker.player.context.audioWorklet.addModule("/web/recorder-worklet.js");
              const recorder = new AudioWorkletNode(speaker.player.context, "recorder");
              recorder.port.onmessage = ({ data }) => samples.push(...data);
              speaker.player.gain.connect(recorder);
            };
            const over = new Promise((resolve) => speaker.addEventListener("over", () => setTimeout(resolve, 300)));
            feed.open();
            return { samples, over };
          };
          const feeds = [new Feed(), new Feed()];
          const speakers = feeds.map((feed) => new Speaker(feed));
          const headers = { "Content-Type": "application/json" };
          const send = () => fetch("/api/danmaku/enqueue", { method: "POST", headers, body });
          feeds[0].on("connection", ({ state }) => state === "open" && send());
          const first = await tape(speakers[0], feeds[0]);
          while (speakers[0].position <= 1) await new Promise((resolve) => setTimeout(resolve, 20));
          let at = 0;
          feeds[1].on("start", (about) => (at ||= about.at));
          const second = await tape(speakers[1], feeds[1]);
          await Promise.all([first.over, second.over]);
          const ends = [first, second].map(({ samples }) => samples.findLastIndex((v) => Math.abs(v) > 1e-4));
          const shared = Math.min(24000, ...ends); // the last second, or what there is
          let power = 0;
          let apart = 0;
          for (let i = 0; i < shared; i++) {
            const [one, two] = [first.samples[ends[0] - i], second.samples[ends[1] - i]];
            power += one * one;
            apart = Math.max(apart, Math.abs(one - two));
          }
          done([at, shared, Math.sqrt(power / shared), apart]);
        })();
        """,
        message("This sentence is long enough for somebody to come in late and still hear how it ends."),
    )
    assert at > 0.3 and shared > 5000
    assert level > 0.01
    assert apart < 1e-6


def test_comes_back_by_itself_and_takes_a_key(browser: Browser) -> None:
    keyed = (*QUICK, "--set", "server.api_key=sesame")
    server = Server(*keyed)
    port = server.port
    try:
        browser.open(server.url + "/overlay?key=wrong")
        browser.wait(lambda: browser.shown("faults"))
        assert "key is wrong" in browser.text("faults")
        browser.complaints()
        address = server.url + "/overlay?key=sesame&show=words,state&hide=0"
        browser.open(address)
        browser.wait(lambda: not browser.shown("state"))
        assert browser.driver.current_url == address  # OBS keeps it
        browser.lose(server, lambda: browser.shown("state") and "Connecting" in browser.text("state"))
        server = Server(*keyed, "--port", str(port))
        browser.wait(lambda: not browser.shown("state"))
        send(server, "Here we are again after the restart.", key="sesame")
        browser.wait(lambda: browser.all(".word.now"))
        browser.listen()
        browser.was_away()
        browser.open("about:blank")
    finally:
        server.kill()
