"""Valid and invalid sections [cluster]."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from nats import PROGRAM
from serving import ROOT

from ishowtts import config
from ishowtts.errors import ConfigError

WORKER = ["cluster.role=worker", "cluster.url=nats://10.0.0.1:4222"]
GATEWAY = ["cluster.role=gateway", "cluster.url=nats://10.0.0.1:4222"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["cluster.role=boss"], 'cluster.role must be one of all, gateway, worker, not "boss"'),
        (["cluster.role=gateway"], "url is missing: a gateway needs the address of NATS"),
        (["cluster.role=worker", "cluster.url=10.0.0.1"], 'url has "10.0.0.1", which is not nats://HOST:PORT'),
        ([*WORKER, "cluster.nkey=UA"], "nkey needs nkey_seed"),
        ([*WORKER, "cluster.tls_key=a.pem"], "tls_key needs tls_cert"),
        (
            [*WORKER, "cluster.credentials=a", "cluster.nkey=UA", "cluster.nkey_seed=b"],
            "credentials and nkey cannot both",
        ),
        ([*WORKER, "cluster.tls_ca=/nowhere.pem"], "there is no file /nowhere.pem"),
        ([*WORKER, "cluster.credentials=/nowhere"], "/nowhere cannot be read"),
        ([*GATEWAY, 'cluster.chats=["a", "b"]'], 'several chats need role = "gateway" and chat = "shared"'),
        ([*GATEWAY, "cluster.chat=shared", 'cluster.chats=["a", "a"]'], "chats has a twice"),
        ([*GATEWAY, "cluster.chat=shared", 'cluster.chats=["a.b"]'], "cluster.chats[0]"),
        (['chat.sources=[{platform = "twitch", chat = "anna"}]'], "names the chat anna; cluster.chats has main"),
        ([*WORKER, "cluster.name=a b"], "cluster.name must be made of letters"),
    ],
)
def test_a_fault_is_named(options: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(None, options).to_dict()
    assert message in str(raised.value)


def test_files_are_found_beside_the_configuration_and_secrets_are_private(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("SUAM")
    seed.chmod(0o600)
    file = tmp_path / "ishowtts.toml"
    file.write_text(
        '[cluster]\nrole = "worker"\nurl = "nats://a:4222, tls://b:4222"\nnkey = "UA"\nnkey_seed = "seed"\n'
        'labels = {site = "studio"}\n'
    )
    data = config.load(file).to_dict()["cluster"]
    assert data["nkey_seed"] == str(seed) and data["labels"] == {"site": "studio"}
    seed.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.load(file).to_dict()


def test_a_gateway_needs_no_voices_of_its_own() -> None:
    data = config.load(None, ["cluster.role=gateway", "cluster.url=nats://a:4222", 'chat.voices=["far"]']).to_dict()
    assert data["voices"] == [] and data["default_voice"] is None
    assert data["chat"]["voices"] == [{"id": "far", "language": None}]


def test_the_example_of_five_machines_is_good(tmp_path: Path) -> None:
    seed = tmp_path / "nats.seed"
    seed.write_text("SUAM")
    seed.chmod(0o600)
    for file in sorted((ROOT / "configs" / "cluster").glob("*.toml")):
        here = tmp_path / file.name
        text = file.read_text(encoding="utf-8").replace("/etc/ishowtts/nats.seed", str(seed))
        here.write_text(text.replace('api_key_file = "/etc/ishowtts/api-key"', "insecure = true"), encoding="utf-8")
        assert config.load(here).to_dict()["cluster"]["role"] == file.stem
    checked = subprocess.run([PROGRAM, "-t", "-c", ROOT / "configs" / "cluster" / "nats.conf"], capture_output=True)
    assert checked.returncode == 0, checked.stderr
