"""Settings: order of precedence, places named in errors, and the form that C reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts._engine import DEFAULTS
from ishowtts.config.reading import line_numbers
from ishowtts.errors import ConfigError, VoiceError
from ishowtts.fields import ENGINE, SAMPLING

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(config.ENVIRONMENT):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str) -> Path:
        path = tmp_path / "ishowtts.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_defaults_are_those_of_the_core() -> None:
    data = json.loads(config.load().to_json())
    assert data["server"]["port"] == DEFAULTS["port"]
    assert data["sampling"] == {field.setting: field.default for field in SAMPLING} and data["sampling"]["nfe"] == 0
    assert data["engine"] == {field.setting: field.default for field in ENGINE} and data["engine"]["retries"] == 2
    assert data["voices"] and data["default_voice"] == data["voices"][0]["id"], "the model's own voices"


def test_options_win_over_the_environment_and_that_over_the_file(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[server]\nport = 1001\nhost = 'localhost'\ndrain_seconds = 5\n")
    monkeypatch.setenv("ISHOWTTS__SERVER__PORT", "1002")
    monkeypatch.setenv("ISHOWTTS__SERVER__DRAIN_SECONDS", "6")
    monkeypatch.setenv("ISHOWTTS__SERVER__API_KEY", "12345")
    server = config.load(
        path, ["server.port=1003", 'server.allowed_hosts=["tts.example"]', "server.insecure=true"]
    ).server
    assert (server.port, server.drain_seconds, server.host, server.api_key) == (1003, 6, "localhost", "12345")
    assert server.allowed_hosts == ["tts.example"] and server.insecure is True


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("\n[server]\nport = 70000\n", "server.port",
            "{file}:3: server.port must be a whole number from 0 to 65535, not 70000"),
        ("[sampling]\nspeed = 9\n", "sampling.speed",
            "{file}:2: sampling.speed must be a number from 0.25 to 4, not 9"),
        ("sampling.speed = nan\n", "sampling.speed",
            "{file}:1: sampling.speed must be a number from 0.25 to 4, not NaN"),
        ("[sampling]\nnfe = true\n", "sampling.nfe",
            "{file}:2: sampling.nfe must be a whole number from 0 to 64, not true"),
        ("[sampling]\nnfe = '7'\n", "sampling.nfe",
         '{file}:2: sampling.nfe must be a whole number from 0 to 64, not "7"'),
        ("[model]\nprecision = 'fp8'\n", "model.precision",
            "{file}:2: model.precision must be one of auto, fp32, bf16, fp16, int8-dynamic, int8-static, recipe:FILE, "
            'not "fp8"'),
        ("[server]\nprot = 1\n", "server.prot", "{file}:2: server.prot is unknown; did you mean port?"),
        ("x = 1\n", "x", "{file}:1: x is unknown; known here: server, model, sampling, engine, openai, chat, text, "
         "cluster, default_voice, voices, pronounce"),
        ("model = 'demo'\n", "model", '{file}:1: model must be a table, not "demo"'),
        ("[[voices]]\nid = 'a'\ntext = 'x'\n[[voices]]\ntext = 'b'\n", "voices[1].id",
            "{file}:4: voices[1].id is missing"),
        ("[[voices]]\nid = 'a b'\n", "voices[0].id",
         "{file}:2: voices[0].id must be made of letters, digits, '.', '_' and '-', at most 64, not \"a b\""),
        ("[[voices]]\nid = 'a'\n[[voices]]\nid = 'a'\n", "voices", "{file}:1: voices: the id a is used twice"),
        ("default_voice = 'b'\n[[voices]]\nid = 'a'\n", "default_voice",
            "{file}:1: default_voice must be one of a, not b"),
        ("[server]\nport = 1\nhost = '0.0.0.0'\n", "server.host",
         "{file}:3: host 0.0.0.0 serves other machines, which needs server.api_key, or server.insecure = true"),
        ('[server]\ncors_origins = ["https://a.example/"]\n', "server.cors_origins",
         '{file}:2: cors_origins has "https://a.example/", which no browser sends: leave out the slash at its end'),
        ('[server]\ncors_origins = ["https://*.a.example"]\n', "server.cors_origins",
         '{file}:2: cors_origins has "https://*.a.example", which no browser sends: '
         'list each origin, or "*" for all of them'),
        ('[server]\ncors_origins = ["a.example"]\n', "server.cors_origins",
         '{file}:2: cors_origins has "a.example", which no browser sends: it begins with https:// or http://'),
        ('[server]\ncors_origins = ["https://a.example:443"]\n', "server.cors_origins",
         '{file}:2: cors_origins has "https://a.example:443", which no browser sends: '
         'leave out :443, which is the default of https'),
        ('[server]\ncors_origins = ["https://a.example/page"]\n', "server.cors_origins",
         '{file}:2: cors_origins has "https://a.example/page", which no browser sends: '
         "it is a scheme, a host and perhaps a port, such as https://example.org:8443"),
        ('[server]\nhost = "0.0.0.0"\ninsecure = true\ncors_origins = ["*"]\n', "server.cors_origins",
         '{file}:4: cors_origins "*" lets every page call, which needs server.api_key, or a host that is loopback'),
        ("[server]\nport = \n", "", "{file}:2: invalid value"),
        ("[server]\nport = 1\nport = 2\n", "", "{file}:3: cannot overwrite a value"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line_field_and_range(write, text: str, field: str, message: str) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as raised:
        config.load(path)
    assert str(raised.value) == message.format(file=path)
    assert (raised.value.field, raised.value.status) == (field, "EINVAL")


def test_a_fault_in_the_environment_or_an_option_is_named_there(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[sampling]\nnfe = 7\n")
    with pytest.raises(ConfigError, match=r"^option sampling\.nfe: .* from 0 to 64, not \"many\"$"):
        config.load(path, ["sampling.nfe=many"])
    monkeypatch.setenv("ISHOWTTS__SAMPLING__NFE", "99")
    with pytest.raises(ConfigError, match=r"^environment variable ISHOWTTS__SAMPLING__NFE: .* not 99$"):
        config.load(path)
    with pytest.raises(ConfigError, match=r"must read section\.key=value"):
        config.load(None, ["nfe"])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as raised:
        config.load(tmp_path / "none.toml")
    assert raised.value.status == "ENOTFOUND"
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml:2: this is not UTF-8"):
        config.load(tmp_path / "latin.toml")


def test_paths_are_relative_to_the_file(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "me.wav").touch()
    path = write("[model]\nname = 'F5TTS_Base=./models/x.pt'\n[[voices]]\nid = 'me'\naudio = 'me.wav'\ntext = 'a  b'\n")
    monkeypatch.chdir("/")
    data = config.load(path).to_dict()
    voice = {"id": "me", "audio": str(tmp_path / "me.wav"), "text": "a b", "language": None, "speaker": False}
    assert data["voices"] == [voice]
    assert data["default_voice"] == "me"
    assert data["model"]["name"] == f"F5TTS_Base={tmp_path}/models/x.pt"
    assert config.load(write("[model]\nname = 'F5TTS_v1_Base'\n")).model.name == "F5TTS_v1_Base"


def test_secrets_reach_the_server_but_are_not_shown() -> None:
    made = config.load(None, ["server.api_key=hunter2"])
    assert json.loads(made.to_json())["server"]["api_key"] == "hunter2"
    assert "hunter2" not in json.dumps(made.masked())


def test_the_key_may_be_kept_in_a_file_of_its_own(write, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    path = write("[server]\nhost = '0.0.0.0'\napi_key_file = 'key'\n")
    with pytest.raises(ConfigError, match="its owner alone"):
        config.load(path).to_json()
    (tmp_path / "key").chmod(0o600)
    made = config.load(path)
    assert json.loads(made.to_json())["server"]["api_key"] == "hunter2"
    assert "hunter2" not in json.dumps(made.masked()) and "hunter2" not in json.dumps(
        json.loads(made.to_json())["shown"]
    )
    (tmp_path / "key").write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        config.load(path).to_json()
    with pytest.raises(ConfigError, match="cannot both"):
        config.load(write("[server]\napi_key = 'a'\napi_key_file = 'key'\n"))


def test_every_setting_knows_where_it_was_set(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("# first\n[sampling]\nnfe = 9\n[[voices]]\nid = 'a'\ntext = 'One.'\n[engine]\nretries = 1\n")
    monkeypatch.setenv("ISHOWTTS__ENGINE__RETRIES", "2")
    made = config.load(path, ["server.port=1"])
    wanted = {
        "sampling.nfe": f"{path}:3", "voices[0].id": f"{path}:5", "voices[0].text": f"{path}:6",
        "engine.retries": "environment variable ISHOWTTS__ENGINE__RETRIES", "server.port": "option server.port",
    }  # fmt: skip
    assert {name: place for name, place in made.sources.items() if "STATE_DIR" not in place} == wanted
    assert json.loads(made.to_json())["sources"] == made.sources


def test_a_secret_of_the_wrong_type_is_not_repeated(write) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(write("[server]\napi_key = 424242\n"))
    assert "424242" not in str(raised.value) and "server.api_key" in str(raised.value)


def test_an_unknown_default_voice_of_the_model_is_refused() -> None:
    with pytest.raises(VoiceError, match=r"no voice 'nobody' \(default_voice\); there are hazel, nora, owen"):
        config.load(None, ["default_voice=nobody"]).to_json()


def _fields(node: dict, whole: dict, prefix: str = "") -> list[str]:
    names = []
    for name, field in node.get("properties", {}).items():
        reference = field.get("$ref") or field.get("items", {}).get("$ref")
        if reference:
            names += _fields(whole["$defs"][reference.rpartition("/")[2]], whole, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def test_the_shipped_example_is_good_and_repeats_no_default() -> None:
    example = ROOT / "configs" / "ishowtts.toml"
    assert config.load(example).to_dict() == config.load().to_dict(), "active lines would hide a changed default"
    # Every line must be accepted without its comment sign, too.
    text = "\n".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in example.read_text(encoding="utf-8").splitlines()
    )
    shown = line_numbers(text)
    schema = config.schema()
    known = {tuple(name.split(".")) for name in _fields(schema, schema)}
    known -= {("sampling", field.setting) for field in SAMPLING}  # documented with the fields of a request
    written = {tuple(part for part in keys if not part.isdecimal()) for keys in shown}
    assert known <= written, f"not in the example: {known - written}"
    assert {keys for keys in written if len(keys) == 2} <= known | {("chat", "sources"), ("sampling", "nfe")}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("chat.links=maybe", 'chat.links must be one of strip, read, refuse, not "maybe"'),
        ("chat.words_max=0", "chat.words_max must be a whole number from 1 to 1000, not 0"),
        (
            'chat.roles=["king"]',
            "chat.roles[0] must be one of broadcaster, moderator, vip, subscriber, member, guard, staff",
        ),
        (
            'chat.role_voices={king = "hazel"}',
            "role_voices knows broadcaster, moderator, vip, subscriber, member, guard, staff, paid, not king",
        ),
        ('chat.voices=["nobody"]', "chat speaks in the voice nobody, but the voices are hazel"),
        ('chat.sources=[{platform = "youtube", channel = "x"}]', "YouTube answers nobody without an API key"),
        ('chat.sources=[{platform = "myspace"}]', "chat.sources[0].platform must be one of twitch, bilibili, youtube"),
    ],
)
def test_what_chat_may_not_be(option: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(None, [option]).to_dict()
    assert message in str(raised.value)


def test_tokens_come_from_file_or_environment_and_are_never_shown(write, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write("").with_name("token")
    secret.write_text("from-file\n")
    secret.chmod(0o600)
    monkeypatch.setenv("CHAT_TOKEN", "from-environment")
    sources = "\n".join(
        f"[[chat.sources]]\nplatform = 'twitch'\nchannel = 'c{n}'\n{line}\n"
        for n, line in enumerate(
            ("token = 'here'", "token_file = 'token'", "token_env = 'CHAT_TOKEN'", "token_env = 'NO_SUCH'")
        )
    )
    loaded = config.load(write(sources))
    assert [source["token"] for source in loaded.to_dict()["chat"]["sources"]] == [
        "here",
        "from-file",
        "from-environment",
        None,
    ]
    shown = json.dumps(loaded.masked())
    assert not any(token in shown for token in ('"here"', "from-file", "from-environment"))
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        loaded.to_dict()


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    schema = config.schema()
    for name in _fields(schema, schema):
        section, _, key = name.rpartition(".")
        assert section == "sampling" or f"`{key}`" in text, name  # tests/unit/test_fields.py tests that section


def test_origins_that_browsers_send_are_taken() -> None:
    origins = [
        "https://a.example",
        "http://localhost:8080",
        "http://[::1]:3000",
        "chrome-extension://abcdefgh",
        "https://A.example:8443",
    ]
    assert config.load(None, [f"server.cors_origins={json.dumps(origins)}"]).server.cors_origins == origins
    for more in ([], ["server.host=0.0.0.0", "server.api_key=secret"]):
        assert config.load(None, ['server.cors_origins=["*"]', *more]).server.cors_origins == ["*"]


def test_names_of_openai_lead_to_voices() -> None:
    made = config.load(None, ['openai.voices={ alloy = "me", \'my own\' = "hazel" }'])
    assert made.openai.voices == {"alloy": "me", "my own": "hazel"}
    with pytest.raises(ConfigError, match=r"openai\.voices\.alloy must be made of letters"):
        config.load(None, ['openai.voices={ alloy = "not an id" }'])
