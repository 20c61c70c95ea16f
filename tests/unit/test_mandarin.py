"""Mandarin characters to syllables and symbols, tone sandhi, and English words among them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import mandarin
from ishowtts.text.mandarin import SYMBOLS, phones, pinyin, syllable
from ishowtts.text.phones import spoken
from ishowtts.train.vocabulary import VOCABULARY


@pytest.mark.parametrize(
    ("written", "symbols"),
    [
        ("zhuang4", "zh uang4"), ("er2", "er2"), ("huar1", "h ua1 r5"), ("r5", "r5"), ("lv3", "l v3"),
        ("lu:e4", "l ve4"),
        ("xue2", "x ve2"), ("juan1", "j van1"), ("yuan2", "van2"), ("yun4", "vn4"), ("zhi1", "zh iii1"),
        ("zi5", "z ii5"),
        ("ri4", "r iii4"), ("ji1", "j i1"), ("yi1", "i1"), ("you3", "iu3"), ("liu2", "l iu2"), ("wei4", "ui4"),
        ("dui4", "d ui4"),
        ("wen2", "un2"), ("weng1", "ueng1"), ("yong4", "iong4"), ("xiong2", "x iong2"), ("wo3", "uo3"), ("bo1", "b o1"),
        ("de", "d e5"), ("yo1", "io1"), ("ng4", "en4"), ("hng1", "h eng1"), ("ê2", "ei2"), ("nü3", "n v3"),
    ],
)  # fmt: skip
def test_a_syllable_is_an_initial_and_a_final_with_its_tone(written: str, symbols: str) -> None:
    assert syllable(written) == [mandarin.PREFIX + name for name in symbols.split()]


@pytest.mark.parametrize("written", ["", "4", "boss", "zh4", "ber3x", "你"])
def test_what_is_no_syllable_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError, match="not a pinyin syllable"):
        syllable(written)


def test_every_syllable_of_the_dictionary_has_symbols() -> None:
    from pypinyin.constants import PINYIN_DICT
    from pypinyin.contrib.tone_convert import to_tone3

    written = {to_tone3(one) for several in PINYIN_DICT.values() for one in several.split(",")}
    used = {name for one in written for name in syllable(one)}
    assert used <= set(SYMBOLS) <= set(VOCABULARY)
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 217


@pytest.mark.parametrize(
    ("written", "said"),
    {
        "不是": "bu2 shi4",
        "不好": "bu4 hao3",
        "是不是": "shi4 bu5 shi4",
        "看一看": "kan4 yi5 kan4",
        "一个": "yi2 ge4",
        "一样": "yi2 yang4",
        "一天": "yi4 tian1",
        "第一": "di4 yi1",
        "第一天": "di4 yi1 tian1",
        "十一月": "shi2 yi1 yue4",
        "二零一九年": "er4 ling2 yi1 jiu3 nian2",
        "一百": "yi4 bai3",
        "统一了": "tong3 yi1 le5",
        "你好": "ni2 hao3",
        "我很好": "wo3 hen2 hao3",
        "我也想买": "wo2 ye3 xiang2 mai3",
        "小老虎": "xiao3 lao2 hu3",
        "展览馆": "zhan2 lan2 guan3",
        "哪儿": "nar3",
        "一会儿": "yi2 huir4",
        "玩儿": "wanr2",
        "女儿": "nv3 er2",
        "儿子": "er2 zi5",
        "想想": "xiang2 xiang5",
        "姐姐": "jie3 jie5",
        "椅子": "yi3 zi5",
        "分子": "fen1 zi3",
        "朋友": "peng2 you5",
        "同学们": "tong2 xue2 men5",
    }.items(),
)
def test_tone_sandhi(written: str, said: str) -> None:
    assert " ".join(one for _, word in pinyin(written)[0] for one in word) == said


@pytest.mark.parametrize(
    ("line", "character", "said"),
    [
        ("为什么你长得这么好看", "长", "zhang3"), ("我要睡觉了", "觉", "jiao4"), ("这个头发好长", "长", "chang2"),
        ("放假了吗", "假", "jia4"), ("太可恶了", "恶", "wu4"), ("银行排队", "行", "hang2"),
        ("你行不行啊", "行", "xing2"), ("音乐好听", "乐", "yue4"), ("快乐就好", "乐", "le4"),
        ("重新开一局", "重", "chong2"), ("好重啊", "重", "zhong4"), ("弹幕好多", "弹", "dan4"),
        ("中奖了", "中", "zhong4"), ("还没吃饭", "还", "hai2"), ("快还钱", "还", "huan2"), ("好吧", "吧", "ba5"),
        ("去网吧", "吧", "ba1"), ("受不了了", "了", "liao3"), ("走了", "了", "le5"), ("睡着了", "着", "zhao2"),
        ("看着我", "着", "zhe5"), ("得了冠军", "冠", "guan4"), ("主播唱得真好", "得", "de5"),
        ("我得去了", "得", "dei3"), ("都来成都", "都", "dou1"), ("一只猫", "只", "zhi1"), ("只有我", "只", "zhi2"),
        ("朝阳区", "朝", "chao2"), ("似的", "似", "shi4"), ("类似的", "似", "si4"), ("血量不够", "量", "liang4"),
        ("没收了", "没", "mo4"), ("没有", "没", "mei2"), ("照片呢", "片", "pian4"), ("便宜点", "便", "pian2"),
        ("方便吗", "便", "bian4"),
    ],
)  # fmt: skip
def test_characters_with_several_readings(line: str, character: str, said: str) -> None:
    syllables = [one for run in pinyin(line) for _, word in run for one in word]
    assert syllables[line.index(character)] == said


def test_long_lines_take_time_in_proportion() -> None:
    """The network reads windows: a distant character does not change a reading, and all of a long line is read."""
    line = "我要睡觉了，" * 40
    syllables = [one for run in pinyin(line) for _, word in run for one in word]
    assert syllables == ["wo3", "yao4", "shui4", "jiao4", "le5"] * 40


def test_chinese_and_english_in_one_line() -> None:
    assert phones("今天的 boss 太难了 gg") == [
        ("pau", -1), ("zh_j", 0), ("zh_in1", 0), ("zh_t", 0), ("zh_ian1", 0), ("zh_d", 1), ("zh_e5", 1), ("b", 2),
        ("aa1", 2), ("s", 2),
        ("zh_t", 3), ("zh_ai4", 3), ("zh_n", 3), ("zh_an2", 3), ("zh_l", 4), ("zh_e5", 4), ("jh", 5), ("iy1", 5),
        ("jh", 6), ("iy1", 6),
        (".", -1),
    ]  # fmt: skip


def test_single_letters_and_acronyms_are_spelled() -> None:
    assert [name for name, _ in phones("A股")] == ["pau", "ey1", "zh_g", "zh_u3", "."]
    assert [name for name, _ in phones("VIP啊")] == ["pau", "v", "iy1", "ay1", "p", "iy1", "zh_a5", "."]
    assert [name for name, _ in phones("up主")] == ["pau", "ah1", "p", "zh_zh", "zh_u3", "."]


def test_pauses_and_marks() -> None:
    def outline(text: str) -> str:
        return re.sub(
            "x+", "x", "".join("x" if word >= 0 else "," if name == "pau" else name for name, word in phones(text))
        )

    assert outline("好，真的吗？太好了！") == ",x,x?,x!"
    assert outline("累 想睡……") == ",x,x."
    assert outline("好的~ok") == ",x."
    assert outline("。。。好") == ",x."


def test_a_line_without_chinese_is_read_as_english() -> None:
    assert spoken("How are you? Fine.", "zh") == spoken("How are you? Fine.", "en")


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("不一儿好你想个是 a123A，。！？…~〇"))))
def test_any_text_becomes_symbols_of_the_vocabulary(text: str) -> None:
    try:
        said = phones(text)
    except ValueError:
        return
    assert {name for name, _ in said} <= set(VOCABULARY)
    words = [word for _, word in said if word >= 0]
    assert words == sorted(words) and sorted(set(words)) == list(range(max(words) + 1))
    assert said[0] == ("pau", -1) and said[-1][0] in {".", "?", "!"}
    assert all(said[i] != said[i + 1] for i in range(len(said) - 1) if said[i][1] < 0)
