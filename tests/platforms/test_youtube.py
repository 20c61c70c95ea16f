"""YouTube: events of its items, and a chat that is polled within the quota."""

from __future__ import annotations

import json
from typing import Any

import pytest
from captures import kinds, seen
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Certificate, Listener
from youtube_double import CHAT, KEY, VIDEO, YoutubeDouble, discovery, item, text

from ishowtts._platforms import Decoder, Loop
from ishowtts.errors import IshowError

MONEY = {"amountMicros": "5000000", "currency": "EUR", "amountDisplayString": "€5.00", "tier": 2}


def decode(*items: Any, history: bool = False) -> list[dict[str, Any]]:
    return Decoder("youtube", VIDEO).feed(json.dumps({"items": items}).encode(), history)


@pytest.mark.parametrize("one", kinds("youtube"))
def test_every_kind_of_item(one: dict[str, Any]) -> None:
    reader = Decoder("youtube", VIDEO)
    got = reader.feed(json.dumps({"items": [one["given"]]}).encode(), False)
    assert seen(got, one["wanted"]) == one["wanted"]
    assert reader.stats()["malformed"] == 0


EVERY_TYPE: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "textMessageEvent": (
        text(1, "hello 🎉", roles=("moderator", "sponsor")),
        {
            "kind": "text",
            "text": "hello 🎉",
            "priority": "moderator",
            "roles": ["moderator", "member"],
            "id": "msg-1",
            "user_id": "UC-ann",
            "display_name": "Ann",
            "timestamp_ms": 1767323041500,
        },
    ),
    "superChatEvent": (
        item(2, "superChatEvent", superChatDetails=MONEY | {"userComment": "take it"}, displayMessage="€5.00 from Ann"),
        {
            "kind": "paid",
            "text": "take it",
            "amount_micros": 5_000_000,
            "currency": "EUR",
            "priority": "paid",
            "system_text": "€5.00 from Ann",
        },
    ),
    "superStickerEvent": (
        item(
            3,
            "superStickerEvent",
            superStickerDetails=MONEY
            | {"superStickerMetadata": {"stickerId": "x", "altText": "a dancing cat", "altTextLanguage": "en"}},
        ),
        {"kind": "gift", "gift_name": "a dancing cat", "amount_micros": 5_000_000, "count": 1, "priority": "gift"},
    ),
    "fanFundingEvent": (
        item(
            4, "fanFundingEvent", fanFundingEventDetails={"amountMicros": "1", "currency": "USD", "userComment": "old"}
        ),
        {"kind": "paid", "text": "old", "amount_micros": 1},
    ),
    "newSponsorEvent": (
        item(5, "newSponsorEvent", newSponsorDetails={"memberLevelName": "Gold", "isUpgrade": False}),
        {"kind": "subscription", "gift_name": "Gold", "text": "", "priority": "paid"},
    ),
    "memberMilestoneChatEvent": (
        item(
            6,
            "memberMilestoneChatEvent",
            memberMilestoneChatDetails={"memberMonth": 13, "memberLevelName": "Gold", "userComment": "a year!"},
        ),
        {"kind": "subscription", "months": 13, "text": "a year!"},
    ),
    "membershipGiftingEvent": (
        item(
            7,
            "membershipGiftingEvent",
            membershipGiftingDetails={"giftMembershipsCount": 20, "giftMembershipsLevelName": "Gold"},
        ),
        {"kind": "gift", "count": 20, "gift_name": "Gold"},
    ),
    "giftEvent": (
        item(8, "giftEvent", giftDetails={"giftName": "Rose", "comboCount": 3, "jewelsAmount": 10, "language": "en"}),
        {"kind": "gift", "gift_name": "Rose", "count": 3, "language": "en"},
    ),
    "giftMembershipReceivedEvent": (
        item(
            9,
            "giftMembershipReceivedEvent",
            giftMembershipReceivedDetails={"memberLevelName": "Gold", "gifterChannelId": "UC-bob"},
        ),
        None,
    ),
    "messageDeletedEvent": (
        item(10, "messageDeletedEvent", messageDeletedDetails={"deletedMessageId": "msg-1"}),
        {"type": "delete", "message_id": "msg-1"},
    ),
    "messageRetractedEvent": (
        item(11, "messageRetractedEvent", messageRetractedDetails={"retractedMessageId": "msg-2"}),
        {"type": "delete", "message_id": "msg-2"},
    ),
    "userBannedEvent": (
        item(
            12,
            "userBannedEvent",
            userBannedDetails={
                "banType": "temporary",
                "banDurationSeconds": "300",
                "bannedUserDetails": {"channelId": "UC-bad", "displayName": "Bad"},
            },
        ),
        {"type": "delete_user", "user_id": "UC-bad", "seconds": 300},
    ),
    "pollEvent": (item(13, "pollEvent", pollDetails={"status": "active"}), None),
    "sponsorOnlyModeStartedEvent": (item(14, "sponsorOnlyModeStartedEvent"), None),
    "sponsorOnlyModeEndedEvent": (item(15, "sponsorOnlyModeEndedEvent"), None),
    "tombstone": (item(16, "tombstone"), None),
    "chatEndedEvent": (item(17, "chatEndedEvent"), None),
    "invalidType": (item(18, "invalidType"), None),
}


def test_sentences_of_the_platform_and_ours() -> None:
    gifting = {"giftMembershipsCount": 5, "giftMembershipsLevelName": "Silver"}
    (own,) = decode(item(1, "membershipGiftingEvent", name="Mem", membershipGiftingDetails=gifting))
    assert own["system_text"] == "Mem gifted 5 Silver memberships."
    (theirs,) = decode(
        item(1, "membershipGiftingEvent", membershipGiftingDetails=gifting, displayMessage="Mem sent 5 memberships!")
    )
    assert theirs["system_text"] == "Mem sent 5 memberships!"
    milestone = {"memberMonth": 6, "memberLevelName": "Gold", "userComment": "so happy"}
    for display, wanted in [
        ('Ann has been a member for 6 months! "so happy"', "Ann has been a member for 6 months!"),
        ("so happy", "Ann has been a member for 6 months."),
        ("", "Ann has been a member for 6 months."),
    ]:
        (event,) = decode(
            item(1, "memberMilestoneChatEvent", memberMilestoneChatDetails=milestone, displayMessage=display)
        )
        assert (event["system_text"], event["text"]) == (wanted, "so happy")


def test_every_type_of_the_discovery_document_is_known() -> None:
    assert set(EVERY_TYPE) == set(discovery()["schemas"]["LiveChatMessageSnippet"]["properties"]["type"]["enum"])


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_types(kind: str) -> None:
    given_item, wanted = EVERY_TYPE[kind]
    got = decode(given_item)
    assert len(got) == (wanted is not None)
    for event in got:
        assert event | (wanted or {}) == event


def test_roles() -> None:
    (owner,) = decode(text(1, "mine", roles=("owner", "verified"), name="@streamer"))
    assert (owner["roles"], owner["login"], owner["display_name"]) == (
        ["broadcaster", "staff"],
        "streamer",
        "@streamer",
    )


def test_history_is_not_read_but_its_deletions_count() -> None:
    decoder = Decoder("youtube", VIDEO)
    page = {"items": [entry for entry, _ in EVERY_TYPE.values()]}
    assert [event["type"] for event in decoder.feed(json.dumps(page).encode(), True)] == [
        "delete",
        "delete",
        "delete_user",
    ]
    assert decoder.stats()["messages"] == 0


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {},
        {"snippet": []},
        {"snippet": {"type": "textMessageEvent"}},
        {"snippet": {"type": "userBannedEvent"}},
        {
            "id": 5,
            "snippet": {"type": "superChatEvent", "superChatDetails": {"amountMicros": "99999999999999999999999"}},
        },
    ],
)
def test_odd_items_are_counted_and_skipped(odd: Any) -> None:
    decoder = Decoder("youtube", VIDEO)
    assert [event["text"] for event in decoder.feed(json.dumps({"items": [odd, text(1, "after")]}).encode())] == [
        "after"
    ]
    stats = decoder.stats()
    assert stats["malformed"] + stats["ignored"] == 1


@settings(deadline=None, database=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(max_size=5)
        | st.sampled_from(["textMessageEvent", "superChatEvent", "messageDeletedEvent"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "items",
                        "id",
                        "snippet",
                        "type",
                        "authorDetails",
                        "displayName",
                        "superChatDetails",
                        "textMessageDetails",
                        "messageText",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_random_json_does_not_crash(page: Any) -> None:
    try:
        Decoder("youtube", VIDEO).feed(json.dumps(page).encode())
    except ValueError:
        assert not isinstance(page, dict)


# ---- polling ----


def follow(listener: Listener, double: YoutubeDouble, certificate: Certificate, **options: Any) -> int:
    return listener.open(
        "youtube",
        VIDEO,
        token=KEY,
        endpoint=double.url,
        ca_file=str(certificate.certificate),
        **({"poll_seconds_min": 0.0} | options),
    )


def test_a_chat_from_history_to_its_end(
    certificate: Certificate, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    with YoutubeDouble(certificate) as double:
        double.pages = [[text(1, "long ago")], [text(2, "one"), text(3, "two")], [], [text(4, "three")]]
        follow(listener, double, certificate)
        listener.until(lambda: len(listener.texts) == 3)
        assert listener.texts == ["one", "two", "three"]
        double.offline = True
        assert "over" in listener.state("ended")
        stats = listener.loop.stats(0)
        assert stats["quota_used"] == 1 + 1 + 5 * double.turn  # this double has no stream
        assert (stats["duplicates"], stats["malformed"]) == (1, 0)
        assert double.keys == [KEY] * len(double.paths)
        assert not any(KEY in path for path in double.paths)
        assert {"part": ["id", "snippet", "authorDetails"]}.items() <= double.asked[0].items()
        for _ in range(5):
            listener.events += listener.loop.wait(0.02)
        assert double.turn == (stats["quota_used"] - 2) // 5  # there are no requests after the end
    assert KEY not in repr(listener.events) + "".join(capfd.readouterr())


def test_the_platform_sets_the_pace(certificate: Certificate, listener: Listener) -> None:
    with YoutubeDouble(certificate) as double:
        double.interval = 3_600_000
        double.pages = [[], [text(1, "never asked for")]]
        follow(listener, double, certificate)
        listener.live()
        for _ in range(10):
            listener.events += listener.loop.wait(0.02)
        assert (double.turn, listener.texts) == (1, [])
        double.interval = 0
        other = follow(listener, double, certificate, poll_seconds_min=3600.0)
        double.turn = 0
        listener.live(other)
        assert double.turn == 1


def test_a_failure_costs_no_message(certificate: Certificate, listener: Listener) -> None:
    with YoutubeDouble(certificate) as double:
        double.pages = [[text(1, "long ago")], [text(2, "before")]]
        follow(listener, double, certificate)
        listener.until(lambda: listener.texts == ["before"])
        double.refusal = (503, "backendError")
        assert "503" in listener.state("waiting")
        double.pages = [[text(2, "before"), text(3, "meanwhile")]]
        double.refusal = None
        listener.until(lambda: len(listener.texts) == 2)  # the double checks that the page token is sent again
        assert listener.texts == ["before", "meanwhile"]


@pytest.mark.parametrize(
    ("status", "reason", "state", "words"),
    [
        (403, "quotaExceeded", "waiting", "midnight"),
        (403, "liveChatEnded", "ended", "over"),
        (403, "liveChatDisabled", "failed", "liveChatDisabled"),
        (404, "liveChatNotFound", "failed", "404"),
        (400, "badRequest", "failed", "told: badRequest"),
        (403, "rateLimitExceeded", "waiting", "rateLimitExceeded"),
        (429, "", "waiting", "429"),
        (400, "pageTokenInvalid", "waiting", "page token"),
    ],
)
def test_refusals(
    status: int, reason: str, state: str, words: str, certificate: Certificate, listener: Listener
) -> None:
    with YoutubeDouble(certificate) as double:
        double.refusal = (status, reason)
        follow(listener, double, certificate, backoff_seconds=30.0, backoff_max_seconds=30.0)
        assert words in listener.state(state)
        assert KEY not in repr(listener.events)


def test_the_limit_of_the_quota_is_kept_and_reported(certificate: Certificate, listener: Listener) -> None:
    with YoutubeDouble(certificate) as double:
        follow(listener, double, certificate, quota_units=6)
        state = listener.state("waiting")
        assert "2 of 6 units" in state and "midnight" in state
        stats = listener.loop.stats(0)
        assert (double.turn, stats["quota_used"]) == (0, 2)
        assert 0 < stats["retry_seconds"] <= 25 * 3600
        other = follow(listener, double, certificate, quota_units=7)
        listener.live(other)
        listener.until(lambda: listener.of("notice"))
        (notice,) = listener.of("notice")
        assert "7 of 7" in notice["text"]


@pytest.mark.parametrize(
    ("details", "state", "words"),
    [
        (None, "failed", "not a live broadcast"),
        ({"actualEndTime": "2026-01-02T05:00:00Z"}, "ended", "over"),
        ({"scheduledStartTime": "2026-01-02T05:00:00Z"}, "waiting", "no live chat now"),
    ],
)
def test_a_video_without_a_chat(
    details: dict[str, Any] | None, state: str, words: str, certificate: Certificate, listener: Listener
) -> None:
    with YoutubeDouble(certificate) as double:
        double.details = details
        follow(listener, double, certificate)
        assert words in listener.state(state)
        if state == "waiting":  # the broadcast begins later
            double.details = {"activeLiveChatId": CHAT}
            listener.live()


def test_no_such_video(certificate: Certificate, listener: Listener) -> None:
    with YoutubeDouble(certificate) as double:
        listener.open("youtube", "nothing", token=KEY, endpoint=double.url, ca_file=str(certificate.certificate))
        assert "no video nothing" in listener.state("failed")


@pytest.mark.parametrize(
    ("field", "channel", "options"),
    [
        ("token", VIDEO, {}),
        ("channel", "a b", {"token": KEY}),
        ("channel", "https://example.org/watch?v=abc", {"token": KEY}),
        ("channel", "https://www.youtube.com/playlist?list=x", {"token": KEY}),
        ("channel", "", {"token": KEY}),
        ("endpoint", VIDEO, {"token": KEY, "endpoint": "http://example.org"}),
        ("poll_seconds_min", VIDEO, {"token": KEY, "poll_seconds_min": -1.0}),
    ],
)
def test_options_are_checked(field: str, channel: str, options: dict[str, Any]) -> None:
    with pytest.raises(IshowError) as caught:
        Loop().open("youtube", channel, **options)
    assert caught.value.field == field
    assert KEY not in str(caught.value)
