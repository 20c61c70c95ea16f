"""Normalisation, language guess, phones and the front end's contract with the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import make

from ishowtts.errors import ModelError, TextError
from ishowtts.model.config import PRESETS
from ishowtts.text import Frontend, detect
from ishowtts.text.reading import read
from ishowtts.text.tokens import Vocabulary, close_reference

VOCABULARY = " \n,\n.\n!\na\nb\nh\ni\nni3\nhao3\n"


@pytest.fixture(scope="module")
def pinyin_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    PRESETS["F5TTS_v1_Small"].save(folder / "model.json")
    (folder / "vocab.txt").write_text(VOCABULARY, encoding="utf-8")
    for name in ("dit", "vocos"):  # the front end does not open these files
        (folder / f"{name}.safetensors").touch()
    return folder


ENGLISH = {
    "I have 3 apples": "I have three apples",
    "1,234,567.89": "one million two hundred thirty-four thousand five hundred sixty-seven point eight nine",
    "-5 or .5": "minus five or zero point five",
    "room 007": "room zero zero seven",
    "$12.50, €1, £0.99": "twelve dollars and fifty cents, one euro, ninety-nine pence",
    "$1.2M": "one point two million dollars",
    "50% off, 99.9 %": "fifty percent off, ninety-nine point nine percent",
    "at 9:05 pm, 12:30 and 9:00": "at nine oh five PM, twelve thirty and nine o'clock",
    "5 km at 100km/h, 1 kg": "five kilometers at one hundred kilometers per hour, one kilogram",
    "-5°C": "minus five degrees Celsius",
    "in 2024, since 1905; 2048 viewers": "in twenty twenty-four, since nineteen oh five; "
    "two thousand forty-eight viewers",
    "2024-03-05": "March fifth, twenty twenty-four",
    "the 1990s and the 80s": "the nineteen nineties and the eighties",
    "1st 22nd 12th": "first twenty-second twelfth",
    "5-10 and 3:2": "five to ten and three to two",
    "1/2 or 3/4, 24/7": "one half or three quarters, twenty-four seven",
    "1+1=2": "one plus one equals two",
    "10k viewers in 4K": "ten thousand viewers in four K",
    "GPT4 and mp3": "GPT four and MP three",
    "v1.2.3": "v one point two point three",
    "call 555-1234": "call five five five, one two three four",
    "#1 @user_name R&B": "number one user name R and B",
    "１２３ ½": "one hundred twenty-three and a half",
}
CHINESE = {
    "我有3个苹果": "我有三个苹果",
    "2个人，第2名，12345": "两个人，第二名，一万二千三百四十五",
    "2024年3月5日": "二零二四年三月五日",
    "2024-03-05出发": "二零二四年三月五日出发",
    "12:30开始，9:05结束，8:00起床": "十二点三十分开始，九点零五分结束，八点起床",
    "涨了50%": "涨了百分之五十",
    "¥12.50，$3万": "十二点五元，三万美元",
    "现在是-5℃": "现在是零下五摄氏度",
    "比分3:2，1/3": "比分三比二，三分之一",
    "5-10公里": "五到十公里",
    "3kg重": "三千克重",
    "666，2333": "六六六，二三三三",
    "1005，20000，100000000": "一千零五，两万，一亿",
}
MIXED = {
    "我买了3个 and paid $5 for 2 of them": "我买了三个 and paid five dollars for two of them",
    "iPhone 15很贵": "iPhone 十五很贵",
}


@pytest.mark.parametrize(("text", "spoken"), [*ENGLISH.items(), *CHINESE.items(), *MIXED.items()])
def test_numbers_and_symbols_become_words(text: str, spoken: str) -> None:
    assert read(text).text == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    {
        "hi 😀👍🏽👨‍👩‍👧 there!!!!!": "hi there!",
        "see https://www.example.com/a?b=1, ok": "see example dot com, okay",
        "mail me@foo.org now": "mail me at foo dot org now",
        "soooooooo good :) <3": "sooooo good heart",
        "one\ntwo.\n\n三\r\n四": "one. two. 三。四",
        "x\x00l\u200bo\td": "x lo d",
        "what?!?!?! ......": "what?!",
        "**bold** `code` [x]": "bold code x",
        "... hello": "hello",
    }.items(),
)
def test_what_has_no_sound_is_dropped(text: str, spoken: str) -> None:
    assert read(text).text == spoken


@pytest.mark.parametrize("text", ["", "   ", "😀😀", "...!?", "\x00\u200b", "(:", "\ud800"])
def test_nothing_speakable_is_an_error_of_the_text(text: str, pinyin_model: Path) -> None:
    for model in ("demo", str(pinyin_model)):
        with pytest.raises(TextError) as raised:
            Frontend(model).normalize(text)
        assert (raised.value.field, raised.value.status) == ("text", "EINVAL")


def test_language_decides_where_no_word_does() -> None:
    assert read("42", "zh-CN").text == "四十二"
    assert read("42").text == "forty-two"
    assert read("3 chats", "fr").text == "3 chats", "French digits are left to the model"
    assert read("3 cats", "zh").text == "three cats", "the voice's tag does not override the words"


@pytest.mark.parametrize(
    ("text", "language"),
    [("Hello", "en"), ("你好 ok", "zh"), ("こんにちは世界", "ja"), ("안녕", "ko"), ("Привет", "ru"), ("123 :)", "en"),
     ("Please say 你好 to all of them", "en")],
)  # fmt: skip
def test_language_is_guessed_by_script(text: str, language: str) -> None:
    assert detect.guess(text) == language


def test_reference_is_closed_as_f5_closes_it() -> None:
    assert close_reference("Hello there") == "Hello there.  "
    assert close_reference(" Hello there. ") == "Hello there.  "
    assert close_reference("你好。") == "你好。"
    assert close_reference("") == ""


def test_unknown_symbols_are_zero() -> None:
    assert Vocabulary([" ", "a", "b"]).ids(["b", "?", " ", "a"]) == [2, 0, 0, 1]


def test_pinyin_tokens_and_the_share_of_the_reference(pinyin_model: Path) -> None:
    frontend = Frontend(str(pinyin_model))
    ids, n_ref, _, _ = frontend.tokenize("hi", "你好", None)
    # h i . space space | space ni3 space hao3 (the reference's closing and the space before each syllable)
    assert ids == [6, 7, 2, 0, 0, 0, 0, 0, 9], "你好 is ni2 hao3 by tone sandhi, and ni2 is unknown here"
    assert n_ref == 5
    assert frontend.tokenize(None, "hi", None) == ([6, 7], 0, [], [])
    assert frontend.tokenize(None, "hiii", None) == ([6, 7], 0, [], []), "letters have no length of their own"
    assert frontend.normalize("2 apples") == "two apples"


def test_a_vocabulary_that_does_not_begin_with_the_space_is_refused(pinyin_model: Path, tmp_path: Path) -> None:
    for path in pinyin_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "vocab.txt").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(ModelError, match="space"):
        Frontend(str(tmp_path))


def test_phones_of_the_embedded_voice() -> None:
    frontend = Frontend("demo")
    assert frontend.normalize("23 viewers 😀!") == "twenty-three viewers!", "flite's own numbers are never asked"
    text, none, words, lengths = frontend.tokenize(None, "23 viewers!")
    assert len(set(text)) > 5 and none == 0 and len(words) == len(text) and len(lengths) in (0, len(text))
    # A clip has the one token of a speaker without a name, whatever its words and the voice's id.
    for words_of_clip in ("", "At the best."):
        assert frontend.tokenize(words_of_clip, "23 viewers!", "en", "hazel") == (text, 1, words[1:], lengths[1:])
    assert frontend.tokenize(None, "23 viewers!", "en", "hazel")[0][1:] == text[1:]


def test_a_voice_named_like_a_speaker_of_the_model_begins_with_that_speaker(tmp_path: Path) -> None:
    make(tmp_path / "tiny", speakers=("", "anna", "bernd"))
    frontend = Frontend(str(tmp_path / "tiny"))
    vocabulary = (tmp_path / "tiny" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    anyone, anna = (vocabulary.index(symbol) for symbol in ("@", "@anna"))
    text, none, _, _ = frontend.tokenize(None, "Hi there.", "en", "anna")
    assert text[0] == anna and anna not in text[1:] and none == 0
    assert frontend.tokenize(None, "Hi there.", "en", "someone else")[0] == [anyone, *text[1:]]
    cloned, n_ref, _, _ = frontend.tokenize("", "Hi there.", "en", "anna")
    assert cloned == [anyone, *text[1:]] and n_ref == 1, "a clip is nobody whom the model knows"


def test_a_model_that_takes_clips_has_a_symbol_for_their_speaker(tmp_path: Path) -> None:
    make(tmp_path / "tiny", speakers=())
    with pytest.raises(ModelError, match="'@'"):
        Frontend(str(tmp_path / "tiny"))
    Frontend(str(make(tmp_path / "own", speakers=(), prompt=False)))


def test_the_embedded_voice_skips_other_scripts_and_refuses_text_without_its_own() -> None:
    frontend = Frontend("demo")
    assert frontend.normalize("Привет. Hello мир! 你好。") == "Hello! 你好。"
    for text in ("Привет", "😀", "Привет สวัสดี"):
        with pytest.raises(TextError) as raised:
            frontend.normalize(text)
        assert raised.value.field == "text"


def test_the_front_end_never_loads_torch(pinyin_model: Path) -> None:
    code = f"""
import sys
from ishowtts._runtime import frontend
from ishowtts.text import frontend as module
module._FIRST_SENTENCE = 3600.0  # Mandarin, which is loaded later, has numpy
for model in ("demo", {str(pinyin_model)!r}):
    made = frontend(model)
    made.tokenize("hi.", made.normalize("hi 3 of you"), "en")
heavy = {{"torch", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
