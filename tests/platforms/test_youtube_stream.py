"""YouTube as a stream; channels, handles and addresses; the day's quota."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from listening import Certificate, Listener
from youtube_double import KEY, VIDEO, text
from youtube_stream_double import CHANNEL, HANDLE, YoutubeStreamDouble

from ishowtts._platforms import youtube_pace, youtube_reset_seconds


def follow(
    listener: Listener, double: YoutubeStreamDouble, certificate: Certificate, channel: str = VIDEO, **options: Any
) -> int:
    given = {"token": KEY, "endpoint": double.url, "ca_file": str(certificate.certificate), "poll_seconds_min": 0.0}
    return listener.open("youtube", channel, **(given | options))


def test_a_stream_costs_one_call(certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        double.history = [text(1, "long ago")]
        follow(listener, double, certificate)
        listener.live()
        assert "stream" in listener.loop.stats(0)["text"]
        listener.until(lambda: double.streams)
        double.say(text(2, 'one } ] \\ "x" {'), text(3, "two"))
        double.say(text(4, "drei \U0001f389"), size=7)
        listener.until(lambda: len(listener.texts) == 3)
        assert listener.texts == ['one } ] \\ "x" {', "two", "drei \U0001f389"]
        stats = listener.loop.stats(0)
        assert (stats["quota_used"], stats["malformed"]) == (1 + 5, 0)


def test_a_stream_that_ends_goes_on_where_it_was(certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        follow(listener, double, certificate)
        listener.live()
        listener.until(lambda: double.streams)
        double.say(text(1, "before"))
        listener.until(lambda: listener.texts)
        double.finish()
        listener.until(lambda: len(double.streams) == 2)
        assert double.tokens == [None, "page-2"]
        double.say(text(1, "before"), text(2, "after"))
        listener.until(lambda: len(listener.texts) == 2)
        assert listener.loop.stats(0)["losses"] == 0


def test_offline_is_looked_at_again(certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        follow(listener, double, certificate, backoff_seconds=0.1, backoff_max_seconds=60.0)
        listener.live()
        listener.until(lambda: double.streams)
        double.say(offlineAt="2026-01-02T05:00:00Z")
        listener.until(lambda: "offline" in listener.loop.stats(0)["text"])
        double.say(text(1, "we are back"))
        listener.until(lambda: listener.texts == ["we are back"])
        assert listener.loop.stats(0)["text"] == "Live again."


ADDRESSES = [
    VIDEO,
    f"https://www.youtube.com/watch?v={VIDEO}&t=5s",
    f"https://youtu.be/{VIDEO}?si=x",
    f"youtube.com/live/{VIDEO}?feature=share",
    f"https://m.youtube.com/watch?app=desktop&v={VIDEO}#x",
    f"https://www.youtube.com/live_chat?is_popout=1&v={VIDEO}",
]


@pytest.mark.parametrize("channel", ADDRESSES)
def test_addresses_of_a_video(channel: str, certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        follow(listener, double, certificate, channel)
        listener.live()
        assert listener.loop.stats(0)["channel"] == VIDEO
        assert double.paths[0] == "videos"


@pytest.mark.parametrize(
    ("channel", "name", "calls"),
    [
        (HANDLE, HANDLE, 3),
        (f"https://www.youtube.com/{HANDLE}/live", HANDLE, 3),
        (CHANNEL, CHANNEL, 2),
        (f"https://www.youtube.com/channel/{CHANNEL}/live", CHANNEL, 2),
    ],
)
def test_the_current_stream_of_a_channel(
    channel: str, name: str, calls: int, certificate: Certificate, listener: Listener
) -> None:
    with YoutubeStreamDouble(certificate) as double:
        follow(listener, double, certificate, channel)
        listener.live()
        stats = listener.loop.stats(0)
        assert (stats["channel"], stats["quota_used"]) == (name, calls + 5)


def test_a_channel_is_waited_for_and_its_next_stream_found(certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        live = double.details.pop(VIDEO)
        follow(listener, double, certificate, CHANNEL)
        assert "not live now" in listener.state("waiting")
        double.details[VIDEO] = live
        listener.live()
        listener.until(lambda: double.streams)
        double.say({"id": "x", "snippet": {"type": "chatEndedEvent"}})
        listener.until(lambda: any("next one" in event["text"] for event in listener.of("state")))
        listener.until(lambda: listener.loop.stats(0)["connects"] == 2)


def test_no_such_channel(certificate: Certificate, listener: Listener) -> None:
    with YoutubeStreamDouble(certificate) as double:
        follow(listener, double, certificate, "@nobody")
        assert "no channel @nobody" in listener.state("failed")


@pytest.mark.parametrize("day", [f"2026-{month:02d}-{day:02d}" for month in (1, 3, 7, 11) for day in range(1, 29, 3)])
def test_the_day_begins_at_midnight_in_california(day: str) -> None:
    for hour in range(24):
        now = int(datetime.fromisoformat(f"{day}T{hour:02d}:30:00").replace(tzinfo=UTC).timestamp())
        reset = datetime.fromtimestamp(now + youtube_reset_seconds(now), ZoneInfo("America/Los_Angeles"))
        assert (reset.hour, reset.minute) == (0, 0)
        assert 0 < youtube_reset_seconds(now) <= 25 * 3600


def test_the_quota_stretches() -> None:
    """Table of (requested, used, limit, cost, seconds to the reset)."""
    assert youtube_pace(5.0, 0, 10_000, 5, 80_000) == 5.0
    assert youtube_pace(5.0, 5_000, 10_000, 5, 80_000) == 5.0
    assert youtube_pace(5.0, 6_000, 10_000, 5, 20_000) == 25.0  # 800 calls for 20,000 s
    assert youtube_pace(5.0, 9_990, 10_000, 5, 80_000) == 60.0
    assert youtube_pace(5.0, 10_000, 10_000, 5, 80_000) == 60.0
    assert youtube_pace(5.0, 9_990, 0, 5, 80_000) == 5.0
    assert youtube_pace(90.0, 6_000, 10_000, 5, 20_000) == 90.0
