"""The text front end: properties that hold for every text, tables of chat lines, places of words, speed."""

from __future__ import annotations

import json
import random
import statistics
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import _runtime, cli
from ishowtts.errors import TextError
from ishowtts.text import Frontend, markup, tables
from ishowtts.text import reading as reading_module
from ishowtts.text.reading import Options, read

LANGUAGES = ("en", "de", "zh")
READINGS = Path(__file__).parent.parent / "text"
SIGNS = "0123456789.,:;-–—/%$€£¥#@+=*x°CkKMB<>()[]{}'\"!?~^²½&_|\\\n"
LATIN = "I pm z.B. Mio. Uhr März may 2nd th GPU lol gg km/h EUR hmmm :) <3 <b> www.x.tv ok is".split()  # noqa: SIM905
HAN = "我 有 个 年 月 日 万 点 一二 千克 % -5 ￥ ℃ ， 。 10:30 3/4 2024-03-05".split()  # noqa: SIM905


def pieces(words: list[str]) -> st.SearchStrategy[str]:
    """Words, signs and numbers, with and without spaces between."""
    spaced = [f" {word} " for word in words] if words is LATIN else words
    signs = "".join(char for char in SIGNS if words is LATIN or not char.isalpha())
    piece = st.one_of(
        st.sampled_from(spaced),
        st.text(st.sampled_from(signs), max_size=3),
        st.integers(0, 10**6).map(str),
        st.just(" "),
    )
    return st.lists(piece, max_size=10).map("".join)


ANY = st.one_of(pieces(LATIN + HAN), st.text(st.one_of(st.characters(), st.sampled_from(SIGNS)), max_size=40))


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=400, deadline=None, database=None)
@given(text=ANY)
def test_any_text_is_read_into_words_without_digits(language: str, text: str) -> None:
    reading = read(text, language)
    said = reading.text
    assert said == said.strip() and "\n" not in said and "  " not in said
    if reading.language in LANGUAGES:
        assert not any(char in "0123456789" for char in said)
    for word in reading.words:
        assert 0 <= word.start < word.end <= len(text) and word.text and " " not in word.text
    assert [word.start for word in reading.words] == sorted(word.start for word in reading.words)
    joined = "".join(char for word in reading.words for char in word.text if char.isalnum())
    assert joined == "".join(char for char in said if char.isalnum())


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None)
@given(words=st.lists(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzäöüß0123456789"), min_size=1), min_size=1))
def test_words_and_numbers_are_never_read_as_nothing(language: str, words: list[str]) -> None:
    reading = read(" ".join(words), language)
    assert len(reading.words) + len(reading.dropped) >= 1
    assert reading.text or reading.dropped


LONG = """
{} {}% {}² x{} {}th ${} €1.{} {}/{} {}:{} -{} {}kg {}er {}.tag 第{} {}年 #{} v1.{} 1/{} {}x x^{} {}-{} s{}e1 {}s
{}/5/2024 5.{}.2024 {}.5. {}折 1.{}更新 {}万 {}k {}ti i7-{} {}'5 5'{} Q{} {}q22 {}p {}h{}m {}°C {}m² {}円 {}x05 {}★
+{} {}h {}:00 2.{}. 1,{} {}%ig x1.{} Nf{} 第{}/5轮 第3/{}轮 {}块5 2020/{} 5.5.{} {}_km 1_{}/{} {}_/_{} No._{}
May_{} {}_May room_{} call_{} {}_Uhr {}._Mai {}/{}_done 1_{}_2
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_of_any_length_are_read(language: str) -> None:
    """Python refuses to convert more than 4,300 digits to a number."""
    for digits in ("7" * 4400, "0" * 4400):
        for form in LONG.split():
            said = read(form.replace("{}", digits).replace("_", " "), language).text
            assert said and set("0123456789").isdisjoint(said), form


def test_two_marks_that_meet_are_read_as_they_are() -> None:
    for text in ("我?!我", "我!?我", "Really?!No", "我。。我"):
        said = read(text, "zh").text
        assert read(said, "zh").text == said, text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("34 may k²", "de"),
        ("½Mk www.x.tv", "en"),
        ("2024-03-05II", "zh"),
        ("5-5II (11}", "zh"),
        ("Kel IV1", "de"),
        ("Fantasy II4", "en"),
        ("Act I6", "en"),
        ("第V8", "zh"),
        ("Teil M7", "de"),
        ("ms pm", "en"),
        ("5xD R", "en"),
        ("t5-4tie", "en"),
        ("a ² b", "en"),
    ],
)
def test_letters_that_meet_numbers_are_read_as_they_are(text: str, language: str) -> None:
    said = read(text, language).text
    assert read(said, language).text == said


@pytest.mark.parametrize(("language", "words"), [("en", LATIN), ("de", LATIN), ("zh", HAN)])
@settings(max_examples=400, deadline=None, database=None)
@given(data=st.data())
def test_what_was_read_is_read_as_it_is(language: str, words: list[str], data: st.DataObject) -> None:
    text = data.draw(pieces(words))
    said = read(text, language).text
    assert read(said, language).text == said


HOSTILE = [
    *SIGNS,
    "a",
    "我",
    "é",
    "😀",
    "🇩🇪",
    "e\u0301",
    " ",
    "1a",
    "a.",
    "1.",
    "1,",
    "1/",
    "1-",
    "a@",
    "<b",
    "http://a",
    ":)",
    "z. B. ",
    "½",
    "℃",
    "我1",
    "1万",
    "1°C ",
    "a-",
    "[pause 1",
    "[x](/",
    "II ",
    "'90s ",
    "1..",
    "1=1 ",
    "㎯",
    "ﷺ",
    "⅒",
    "𝐁",
    "한б",
    "q\u0323\u0301\u0489\u0489",
    "👨‍👩‍👧‍👦",
    "((",
    "[[{<(",
    "<b><i>",
    "</",
    "&lt;",
    "http://a.b/c?d=%20&e#f ",
    "a.b@c.d,",
    "www.",
    "12/25/2024-",
    "1:1:1 ",
    "+1(2)3-",
    "5'11\"",
    "$1k-",
    "Dr.St.",
    "A.B.",
    "sooo",
    "IV",
    "2²^",
    "\u202e\u200b",
    "10月5日%",
    "·—…",
]


def steps(text: str, language: str) -> int:
    """Number of function calls to read a text, each of bounded work."""
    count = 0

    def step(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" or event == "c_call"

    sys.setprofile(step)
    try:
        read(text, language)
    finally:
        sys.setprofile(None)
    return count


def hostile() -> list[str]:
    """Lines of 1,000 characters: each unit repeated, several in turn, and several at random."""
    draw = random.Random(7)
    units = [*HOSTILE, *("".join(draw.choice(HOSTILE) for _ in range(6)) for _ in range(10))]
    lines = [(unit * (1000 // len(unit) + 1))[:1000] for unit in units]
    for size in (3, 10, len(HOSTILE)):
        alphabet = draw.sample(HOSTILE, size)
        lines += ["".join(draw.choice(alphabet) for _ in range(1000))[:1000] for _ in range(3)]
    return lines


@pytest.mark.parametrize("language", LANGUAGES)
def test_work_grows_with_the_length_whatever_the_text_holds(language: str) -> None:
    for line in hostile():
        read(line, language)  # fills tables of characters
        first, second = steps(line[:500], language), steps(line, language)
        assert second <= 3.2 * first + 400, f"{line[:20]!r} takes {first} steps, twice as much {second}"
        assert second <= 75 * len(line), f"{line[:20]!r} takes {second / len(line):.0f} steps a character"


@pytest.mark.parametrize("language", LANGUAGES)
def test_places_that_look_alike_are_read_alike(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(11)
    for _ in range(40):
        unit = "".join(draw.choice(HOSTILE) for _ in range(draw.choice((1, 2, 4, 9))))
        text = "".join(draw.choice((unit, unit, unit, draw.choice(HOSTILE))) for _ in range(400 // len(unit)))
        monkeypatch.setattr(reading_module, "_MANY", 10**9)
        plain = read(text, language)
        monkeypatch.setattr(reading_module, "_MANY", 10)
        assert read(text, language) == plain, text


@pytest.mark.parametrize(("language", "said"), [("en", "percent"), ("de", "Prozent"), ("zh", "百分之")])
def test_so_many_tokens_of_a_line_are_read_by_all_rules(language: str, said: str) -> None:
    reading = read("5% " * 1600, language)
    assert reading.text.count(said) == reading_module._MOST == 1500
    assert [(word.start, word.end) for word in reading.words[-2:]] == [(4794, 4795), (4797, 4798)]
    assert read("5% pls 我 " * 800, language).words


@pytest.mark.parametrize("language", LANGUAGES)
def test_chat_lines_are_read_as_the_table_says(language: str) -> None:
    rows = [
        line.split("\t")
        for line in (READINGS / f"readings.{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    assert len(rows) >= 300
    wrong = {written: said for _, written, spoken in rows if (said := read(written, language).text) != spoken}
    assert not wrong
    assert statistics.median(steps(written, language) for _, written, _ in rows) < 500, "about 0.1 ms"


def test_words_know_their_place() -> None:
    text = "½ x 😀 Ｐａｉｄ e\u0301t $5 <b>now</b>"
    placed = {word.text: text[word.start : word.end] for word in read(text, "en").words}
    assert placed == {
        "one": "½", "half": "½", "x": "x", "Paid": "Ｐａｉｄ", "ét": "e\u0301t", "five": "$5", "dollars": "$5",
        "now": "now",
    }  # fmt: skip


def test_what_is_left_out_is_said() -> None:
    reading = read("hi 你好 😀 <b>you</b> :)", "en", options=Options(scripts="a"))
    assert reading.text == "hi you"
    assert [(part.text, part.why) for part in reading.dropped] == [
        ("你好", "script"), ("😀", "emoji"), ("<b>", "markup"), ("</b>", "markup"), (":)", "emoticon"),
    ]  # fmt: skip
    assert [part.text for part in reading.unspoken] == ["你好"]


def test_faces_are_no_words() -> None:
    faces = "(╯°□°)╯ ʕ•ᴥ•ʔ ಠ_ಠ ༼ つ ◕_◕ ༽つ (๑•̀ㅂ•́)و✧ ヾ(≧▽≦*)o (=・ω・=) \\(ツ)/ (TдT) o(╥﹏╥)o (￣ー￣)"
    for language in LANGUAGES:
        reading = read(f"a {faces}. b", language, options=Options(scripts="ah"))
        assert reading.text.rstrip("。.") == "a. b", reading.text
        assert not reading.unspoken and {part.why for part in reading.dropped} == {"emoticon"}
    for text, said in (
        ("(да) (я: «Да»)", ["да", "я", "Да"]), ("(コーヒー)", ["コーヒー"]), ("(ツ)", ["ツ"]),
    ):  # fmt: skip
        assert [part.text for part in read(text, "en", options=Options(scripts="a")).unspoken] == said
    assert read("(25°C–30°C) (x≤2) (5€-6€)", "en").text == (
        "twenty-five degrees Celsius to thirty degrees Celsius, x is at most two, five euros to six euros"
    )


def test_japanese_is_not_said_in_mandarin() -> None:
    reading = read("今日は配信ありがとう", "zh", options=Options(scripts="ah"))
    assert not reading.text and [part.text for part in reading.unspoken] == ["今日", "は", "配信", "ありがとう"]
    assert read("我の世界", "zh", options=Options(scripts="ah")).text == "我的世界"


def test_chat_words_can_be_left_alone() -> None:
    assert read("pls wait 4 me <3", "en").text == "please wait four me heart"
    assert read("pls wait 4 me <3", "en", options=Options(chat=False)).text == "PLS wait four me"


def test_the_configuration_turns_chat_words_off() -> None:
    try:
        _runtime.config(None, ["text.chat_words=false"])
        assert _runtime.frontend("demo").normalize("pls wait") == "PLS wait"
    finally:
        _runtime.config(None, [])
    assert _runtime.frontend("demo").normalize("pls wait") == "please wait"


def test_orders_make_segments() -> None:
    text = "Hi [pause 500ms] there [voice:anna] you [speed 1.2] now [pause 2s][Pause: 1]"
    assert [(part.text.strip(), *part[2:]) for part in markup.cut(text)] == [
        ("Hi", 0.0, None, None),
        ("there", 0.5, None, None),
        ("you", 0.0, None, "anna"),
        ("now", 0.0, 1.2, "anna"),
        ("", 3.0, 1.2, "anna"),
    ]
    assert all(text[part.start :].startswith(part.text) for part in markup.cut(text))
    for text in ("[voice:a b] x", "[stop] x", "[pause x] x", "[pause 1", "[speed -1] x", "[pause] x", "x"):
        assert [part.text for part in markup.cut(text)] == [text], "it is text"
    for text in ("[pause 99s] x", "[speed 9] x", "[speed 0.1] x"):
        with pytest.raises(TextError, match="cannot be obeyed") as refused:
            markup.cut(text)
        assert refused.value.field == "markup"
    assert read("[pause 1s] x", "en").text == "pause one second x"
    assert markup.carried("[speed 2] a [voice:anna] b [speed 1.5] [pause 1s]") == "[speed 1.5][voice anna]"


def test_a_word_is_said_as_its_markup_says() -> None:
    frontend = Frontend("demo")
    text = "a [GIF](/dʒɪf/) and [x]({k s})"
    reading = frontend.read(text, "en", markup=True)
    assert [(word.start, word.end) for word in reading.words] == [(0, 1), (2, 15), (16, 19), (20, 30)]
    assert " ".join(frontend.symbols(reading.text, "en")[2:5]) == "jh ih1 f"
    assert "gif" in frontend.normalize(text, "en"), "only where it is asked for"
    with pytest.raises(TextError, match="'7' is no sound") as refused:
        frontend.speakable("a [GIF](/7/)", "en", True)
    assert refused.value.field == "markup"
    steps = frontend.steps("Hi [voice:x] du [pause 1s] da", "en", True, {"x": "de"})
    assert steps["symbols"][-3:] == ["de_d", "de_ah1", "de_."] and steps["tokens"][-1]["start"] == 27
    assert [segment["pause"] for segment in steps["segments"]] == [0.0, 0.0, 1.0]


def test_tables_say_what_is_wrong_in_them() -> None:
    assert tables.parse("# about\n[a]\nx\ty\nz\n") == {"a": {"x": ("y",), "z": ()}}
    for text, line in (("x\ty\n", 1), ("[a]\nx\ty\nx\tz\n", 3)):
        with pytest.raises(ValueError, match=f"line {line} of the table"):
            tables.parse(text)


def test_the_command_shows_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["text", "Paid $5 мир"]) == 0
    shown = capsys.readouterr().out
    for part in ("$5  →  five dollars", "Paid[0-4]", "script        мир", "f ay1 v"):
        assert part in shown
    assert cli.main(["text", "pls", "--no-chat-words", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (
        made["text"] == "PLS"
        and made["tokens"][0]["kind"] == "letters"
        and "eh1" in made["symbols"]
        and made["symbols_are"] == "phones"
    )


def test_a_fraction_of_an_hour_is_no_time_of_day() -> None:
    assert read(".5 Uhr", "de").text == "null Komma fünf Uhr"


def test_a_text_grows_by_a_bounded_part_of_its_length() -> None:
    reading = read("½" * 5000, "en")
    assert 100 < len(reading.words) < 1200
    assert reading.dropped[-1].end == 5000, "what is left out is said"
    assert read("½ cup, 5㎏, ⅒", "en").text == "one half cup, five kilograms, one tenth"
