"""A Twitch connection over TLS: log-in, heartbeat, loss and reconnection, and what is kept secret."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from irc_double import IrcDouble
from listening import Certificate, Listener

from ishowtts._platforms import Loop
from ishowtts.errors import IshowError


def line(number: int, text: str = "hello", tags: str = "") -> str:
    return f"@id=m-{number};user-id=7;tmi-sent-ts=1{tags} :ann!ann@ann.tmi.twitch.tv PRIVMSG #chan :{text}"


def test_anonymous_reading(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "#Chan", endpoint=server.url, ca_file=str(certificate.certificate))
        listener.live()
        assert server.lines[0] == "CAP REQ :twitch.tv/tags twitch.tv/commands"
        assert str(server.heard("NICK")).startswith("NICK justinfan")
        assert server.heard("JOIN") == "JOIN #chan"
        server.say(line(1, "one"), line(2, ":) two"), "PING :tmi.twitch.tv")
        listener.until(lambda: len(listener.texts) == 2 and server.heard("PONG"))
        assert server.heard("PONG") == "PONG :tmi.twitch.tv"
        assert listener.texts == ["one", ":) two"]
        stats = listener.loop.stats(0)
        assert (stats["messages"], stats["connects"], stats["losses"], stats["malformed"]) == (2, 1, 0, 0)
        assert stats["bytes"] > 100 and stats["silent_seconds"] >= 0
        states = [(event["state"], event["text"]) for event in listener.of("state")]
        assert [state for state, _ in states][:1] == ["connecting"] and states[-1][0] == "live"
        assert "anonymously" in states[-1][1]


def test_a_line_may_come_in_pieces(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate))
        listener.live()
        whole = (line(1, "schön " * 60) + "\r\n" + line(2) + "\r\n").encode()
        for at in range(0, len(whole), 37):
            server.send(whole[at : at + 37])
            listener.events += listener.loop.wait(0.0)
        listener.until(lambda: len(listener.texts) == 2)
        assert listener.texts == [("schön " * 60), "hello"]


def test_a_line_without_end_is_dropped_and_the_next_one_read(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate), frame_bytes_max=2000)
        listener.live()
        server.say(line(1, "x" * 50000), line(2, "short"))
        listener.until(lambda: listener.texts)
        assert listener.texts == ["short"]
        assert listener.loop.stats(0)["malformed"] == 1


def test_a_token_logs_in_and_is_never_shown(
    certificate: Certificate, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cr3tt0ken"
    with IrcDouble(certificate) as server:
        listener.open(
            "twitch", "chan", token=secret, login="me", endpoint=server.url, ca_file=str(certificate.certificate)
        )
        listener.live()
        assert server.heard("PASS") == f"PASS oauth:{secret}"
        assert server.heard("NICK") == "NICK me"
        server.say(f"ERROR :closing link of {secret}")  # even when the server repeats it
        listener.until(lambda: listener.loop.stats(0)["losses"] == 1)
    shown = repr(listener.events) + repr(listener.loop.stats(0)) + "".join(capfd.readouterr())
    assert "closing link of" in shown
    assert secret not in shown


@pytest.mark.parametrize("refusal", ["Login authentication failed", "Improperly formatted auth"])
def test_a_refused_login_is_final(refusal: str, certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate, greets=False) as server:
        listener.open(
            "twitch", "chan", token="wrong", login="me", endpoint=server.url, ca_file=str(certificate.certificate)
        )
        listener.until(lambda: server.clients)
        server.say(f":tmi.twitch.tv NOTICE * :{refusal}")
        assert refusal in listener.state("failed")
        for _ in range(10):
            listener.events += listener.loop.wait(0.05)
        assert (server.arrived, listener.loop.stats(0)["attempts"]) == (1, 1)


def test_a_suspended_channel_is_final(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate))
        listener.live()
        server.say(
            "@msg-id=msg_channel_suspended :tmi.twitch.tv NOTICE #chan "
            ":This channel does not exist or has been suspended."
        )
        assert "suspended" in listener.state("failed")


@pytest.mark.parametrize("farewell", [":tmi.twitch.tv RECONNECT", None])
def test_reconnects(farewell: str | None, certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate))
        for turn in range(1, 4):
            listener.until(lambda turn=turn: listener.loop.stats(0)["connects"] == turn)
            server.say(line(turn, f"turn {turn}"))
            listener.until(lambda turn=turn: len(listener.texts) == turn)
            server.say(farewell) if farewell else server.hang_up()
            listener.until(lambda turn=turn: listener.loop.stats(0)["losses"] == turn)
        assert listener.texts == ["turn 1", "turn 2", "turn 3"]
        assert any("Next try in" in event["text"] for event in listener.of("state") if event["state"] == "waiting")


def test_a_dead_connection_is_found_by_the_heartbeat(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open(
            "twitch",
            "chan",
            endpoint=server.url,
            ca_file=str(certificate.certificate),
            heartbeat_seconds=0.1,
            reply_seconds=0.3,
        )
        listener.live()
        listener.until(lambda: listener.loop.stats(0)["heartbeats"] >= 3)  # answered, so the connection stays
        assert listener.loop.stats(0)["losses"] == 0
        server.greets = False  # the server is connected, but sends nothing more
        listener.until(lambda: listener.loop.stats(0)["losses"] == 1)
        assert any("no data for" in event["text"] for event in listener.of("state"))


def test_a_join_that_nobody_answers_is_tried_again(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate, greets=False) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate), connect_seconds=0.2)
        listener.until(lambda: listener.loop.stats(0)["attempts"] >= 3)
        assert server.arrived >= 2
        assert any("no answer within 0.2 s" in event["text"] for event in listener.of("state"))


def test_an_unknown_certificate_is_refused(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as server:
        listener.open("twitch", "chan", token="secret", login="me", endpoint=server.url)
        assert "certificate" in listener.state("waiting").lower()
        assert server.lines == []  # nothing was sent to a server with a wrong certificate, in particular no token


def test_a_closed_port_backs_off_longer_and_longer(listener: Listener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    listener.open(
        "twitch", "chan", endpoint=f"ircs://127.0.0.1:{port}", backoff_seconds=0.01, backoff_max_seconds=3600.0
    )
    pauses: list[float] = []

    def waited() -> bool:
        stats = listener.loop.stats(0)
        if stats["state"] == "waiting" and stats["attempts"] > len(pauses):
            pauses.append(stats["retry_seconds"] + stats["state_seconds"])
        return len(pauses) == 6

    listener.until(waited)
    for number, pause in enumerate(pauses):  # doubles each time; the pause is random between half and all of it
        assert 0.5 * 0.01 * 2**number - 1e-3 <= pause <= 0.01 * 2**number + 1e-3
    assert len({round(pause / 2**number, 6) for number, pause in enumerate(pauses)}) > 1


def test_shared_chat_is_heard_once(certificate: Certificate, listener: Listener) -> None:
    with IrcDouble(certificate) as one, IrcDouble(certificate) as two:
        for server, channel in ((one, "one"), (two, "two")):
            listener.open("twitch", channel, endpoint=server.url, ca_file=str(certificate.certificate))
        listener.live(0)
        listener.live(1)
        shared = "@id={};source-id=s-1;room-id={};source-room-id=10;user-id=7 :ann!a@b PRIVMSG #{} :both"
        one.say(shared.format("s-1", 10, "one"))
        listener.until(lambda: listener.texts)
        two.say(shared.format("m-2", 20, "two"), "@id=m-3 :ann!a@b PRIVMSG #two :alone")
        listener.until(lambda: "alone" in listener.texts)
        assert listener.texts == ["both", "alone"]
        assert listener.loop.stats(1)["duplicates"] == 1


def test_logins_are_limited(certificate: Certificate) -> None:
    with IrcDouble(certificate) as server:
        listener = Listener(Loop(2, 3600.0))
        for number in range(3):
            listener.open("twitch", f"chan{number}", endpoint=server.url, ca_file=str(certificate.certificate))
        for number in range(2):
            listener.live(number)
        assert (server.arrived, listener.loop.stats(2)["attempts"], listener.loop.stats(2)["state"]) == (
            2,
            0,
            "connecting",
        )
        assert "turn" in listener.loop.stats(2)["text"]
        soon = Listener(Loop(2, 0.05))
        for number in range(5):
            soon.open("twitch", f"chan{number}", endpoint=server.url, ca_file=str(certificate.certificate))
        for number in range(5):
            soon.live(number)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_plain_text_is_for_this_machine(host: str) -> None:
    Loop().open("twitch", "chan", endpoint=f"irc://{host}:6667")


@pytest.mark.parametrize("length", [63, 64, 130])
def test_a_name_that_the_server_gives_is_cut_and_not_wrapped(
    certificate: Certificate, listener: Listener, length: int
) -> None:
    with IrcDouble(certificate, greets=False) as server:
        listener.open("twitch", "chan", endpoint=server.url, ca_file=str(certificate.certificate))
        listener.until(lambda: server.heard("USER"))
        server.say(f":tmi.twitch.tv 001 {'n' * length} :Welcome", "@room-id=1 :tmi.twitch.tv ROOMSTATE #chan")
        assert listener.state("live").endswith(f" as {'n' * 63}.")


@pytest.mark.parametrize(
    ("field", "channel", "options"),
    [
        ("channel", "two words", {}),
        ("channel", "", {}),
        ("channel", "#", {}),
        ("channel", "a,b", {}),
        ("channel", "a\r\nQUIT", {}),
        ("login", "chan", {"token": "x"}),
        ("token", "chan", {"token": "x\r\nQUIT", "login": "me"}),
        ("token", "chan", {"token": "", "login": "me"}),
        ("token", "chan", {"endpoint": "https://example.org"}),
        ("endpoint", "chan", {"endpoint": "irc://irc.example.org:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://127.0.0.1.nip.io:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://127.evil.example:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://localhost.evil.example:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://128.0.0.1:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://[::2]:6667"}),
        ("endpoint", "chan", {"endpoint": "irc://127.0.0.1:6667", "token": "x", "login": "me"}),
        ("endpoint", "chan", {"endpoint": "ircs://user:pw@example.org"}),
        ("connect_seconds", "chan", {"connect_seconds": 0.0}),
        ("heartbeat_seconds", "chan", {"heartbeat_seconds": float("nan")}),
        ("reply_seconds", "chan", {"reply_seconds": -1.0}),
        ("backoff_max_seconds", "chan", {"backoff_seconds": 2.0, "backoff_max_seconds": 1.0}),
        ("frame_bytes_max", "chan", {"frame_bytes_max": 10}),
    ],
)
def test_options_are_checked(field: str, channel: str, options: dict[str, Any]) -> None:
    with pytest.raises(IshowError) as caught:
        Loop().open("twitch", channel, **options)
    assert caught.value.field == field
    assert field in str(caught.value) or field == "endpoint"
    if secret := options.get("token"):
        assert secret not in str(caught.value) or len(secret) < 2


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("tokens", "x", TypeError),
        ("token", 3, TypeError),
        ("token", "a\0b", ValueError),
        ("backoff_seconds", "soon", TypeError),
        ("frame_bytes_max", -1, OverflowError),
        ("quota_units", 2**64, OverflowError),
    ],
)
def test_options_of_another_name_or_type_are_refused(option: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        Loop().open("twitch", "chan", **{option: value})  # type: ignore[arg-type]
