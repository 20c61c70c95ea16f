"""Bilibili's current commands, for tests: protocol buffers, clicks of a combo, guards, the open platform."""

from __future__ import annotations

import base64
import struct
from typing import Any

from bilibili_double import ROOM, gift


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(fields: list[tuple[int, int | str | bytes]]) -> bytes:
    """A protocol buffer of fields (number, value)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def in_base64(cmd: str, body: bytes) -> dict[str, Any]:
    return {"cmd": cmd, "data": {"dmscore": 12, "pb": base64.b64encode(body).decode()}}


def gift_v2(*names: str, uid: int = 3, user: str = "土豪", number: int = 1, coin: str = "gold") -> dict[str, Any]:
    items = [
        (
            10,
            message(
                [
                    (1, 31036),
                    (2, name),
                    (3, 2),
                    (4, 0),
                    (5, 1000),
                    (6, 1000),
                    (7, 2000),
                    (8, coin),
                    (9, f"tid-{number + i}"),
                    (10, 1700000200),
                    (12, str(number + i)),
                    (18, "投喂"),
                    (35, message([(1, "https://example.org/a.png")])),
                ]
            ),
        )
        for i, name in enumerate(names)
    ]
    medal = message([(1, 433351), (4, ROOM), (5, 7), (6, "牌子")])
    return in_base64("SEND_GIFT_V2", message([(1, uid), (2, user), (3, "face"), (5, 3), (8, medal), *items, (11, 1)]))


def interaction_v2(kind: int, uid: int = 4_294_967_301, user: str = "路人") -> dict[str, Any]:
    unknown = varint(90 << 3 | 1) + struct.pack("<d", 1.5) + varint(91 << 3 | 5) + struct.pack("<f", 1.5)
    fields: list[tuple[int, int | str | bytes]] = [
        (1, uid),
        (2, user),
        (5, kind),
        (6, ROOM),
        (7, 1700000400),
        (22, message([(1, uid), (2, message([(1, user), (2, "face")]))])),
    ]
    return in_base64("INTERACT_WORD_V2", message(fields) + unknown)


def interaction(kind: int, uid: int = 5, user: str = "路人") -> dict[str, Any]:
    return {
        "cmd": "INTERACT_WORD",
        "data": {
            "msg_type": kind,
            "uid": uid,
            "uname": user,
            "timestamp": 1700000400,
            "roomid": ROOM,
            "identities": [1],
            "fans_medal": {"medal_level": 0},
        },
    }


def click(name: str, number: int, combo: str = "batch:gift:combo_id:3:433351:31036:1", **more: Any) -> dict[str, Any]:
    one = gift(name, number=number, total=100, **more)
    one["data"] |= {
        "batch_combo_id": combo,
        "combo_stay_time": 5,
        "combo_total_coin": 100 * number,
        "super_batch_gift_num": number,
    }
    return one


def combo(
    name: str, total: int, combo_id: str = "batch:gift:combo_id:3:433351:31036:1", uid: int = 3, user: str = "土豪"
) -> dict[str, Any]:
    return {
        "cmd": "COMBO_SEND",
        "data": {
            "action": "投喂",
            "batch_combo_id": combo_id,
            "batch_combo_num": total,
            "combo_id": "gift:" + combo_id,
            "combo_num": total,
            "combo_total_coin": 100 * total,
            "gift_id": 31036,
            "gift_name": name,
            "gift_num": 0,
            "is_show": 1,
            "total_num": total,
            "uid": uid,
            "uname": user,
        },
    }


def toast(
    level: int = 3, uid: int = 4, name: str = "舰长君", *, source: int = 0, at: int = 1700000300
) -> dict[str, Any]:
    return {
        "cmd": "USER_TOAST_MSG",
        "data": {
            "anchor_show": True,
            "color": "#00D1F1",
            "end_time": at,
            "gift_id": 10003,
            "guard_level": level,
            "is_show": 0,
            "num": 1,
            "op_type": 1,
            "payflow_id": "2504012327241862175246702",
            "price": 138000,
            "role_name": "舰长",
            "source": source,
            "start_time": at,
            "target_guard_count": 168,
            "toast_msg": f"<%{name}%> 在主播某某的直播间开通了舰长，今天是TA陪伴主播的第1天",
            "uid": uid,
            "unit": "月",
            "user_show": True,
            "username": name,
        },
    }


def toast_v2(
    level: int = 3, uid: int = 4, name: str = "舰长君", *, source: int = 0, at: int = 1700000300
) -> dict[str, Any]:
    return {
        "cmd": "USER_TOAST_MSG_V2",
        "data": {
            "effect_info": {"effect_id": 397},
            "gift_info": {"gift_id": 10003},
            "group_guard_info": None,
            "guard_info": {
                "end_time": at,
                "guard_level": level,
                "op_type": 2,
                "role_name": "舰长",
                "room_guard_count": 14031,
                "start_time": at,
            },
            "option": {"anchor_show": True, "source": source, "user_show": True},
            "pay_info": {"num": 1, "payflow_id": "2603142242132392111600018", "price": 168000, "unit": "月"},
            "receiver_uinfo": {"base": {"name": "主播"}, "uid": 114514},
            "sender_uinfo": {"base": {"face": "", "name": name}, "uid": uid},
            "toast_msg": f"<%{name}%> 在主播某某的直播间开通了舰长，今天是TA陪伴主播的第91天",
        },
    }


OPEN_USER = {"uname": "全名", "open_id": "39b8fedb-60a5-4e29", "union_id": "", "uface": "face"}
OPEN_MEDAL = {"fans_medal_wearing_status": True, "fans_medal_name": "牌子", "fans_medal_level": 7}


def opened(what: str, **data: Any) -> dict[str, Any]:
    return {
        "cmd": f"LIVE_OPEN_PLATFORM_{what}",
        "data": {"room_id": ROOM, "timestamp": 1700000500, "msg_id": f"open-{what}"} | data,
    }
