"""A worker reaches a NATS server that asks for credentials, an nkey or a certificate, and says what is wrong."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from nats import Accounts, Key, Nats, certificates
from serving import Server, run, until


def settings(url: str, **given: object) -> list[str]:
    named = {"role": "worker", "url": url, **given}
    return [part for name, value in named.items() for part in ("--set", f"cluster.{name}={value}")]


def connects(url: str, **given: object) -> bool:
    """Whether a worker with these settings gets through."""
    with Server(*settings(url, **given)) as worker:
        until(lambda: "ishowtts_cluster_connected 1" in httpx.get(f"{worker.url}/metrics").text)
    return True


def refusal(url: str, **given: object) -> str:
    """What a worker that is not let in says before it ends."""
    ended = run(["--port", "0", *settings(url, **given)])
    assert ended.returncode == 1, ended.stderr
    return str(ended.stderr)


def test_credentials(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    good, stranger = accounts.credentials("good"), accounts.credentials("bad", by=Key(tmp_path, "account"))
    with Nats(accounts.config, jetstream=False) as nats:
        assert connects(nats.url, credentials=good)
        assert "cluster.credentials: NATS at" in refusal(nats.url, credentials=stranger)
        assert "cluster.url: NATS at" in refusal(nats.url)


def test_a_file_that_holds_no_credentials_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text("nothing of use\n")
    file.chmod(0o600)
    with Nats() as nats:
        assert "cluster.credentials" in refusal(nats.url, credentials=file)


def test_nkey(tmp_path: Path) -> None:
    known, other = Key(tmp_path, "user"), Key(tmp_path, "user")
    files = [tmp_path / "known.seed", tmp_path / "other.seed"]
    for key, file in zip((known, other), files, strict=True):
        file.write_text(key.seed)
        file.chmod(0o600)
    with Nats(f"authorization {{users: [{{nkey: {known.public}}}]}}") as nats:
        assert connects(nats.url, nkey=known.public, nkey_seed=files[0])
        assert "cluster.nkey: NATS at" in refusal(nats.url, nkey=other.public, nkey_seed=files[1])


def test_certificates(tmp_path: Path) -> None:
    server, key = certificates(tmp_path, "server")
    own, own_key = certificates(tmp_path, "own")
    tls = f'tls {{cert_file: "{server}", key_file: "{key}", ca_file: "{own}", verify: true}}'
    with Nats(tls) as nats:
        url = nats.url.replace("nats:", "tls:")
        assert connects(url, tls_ca=server, tls_cert=own, tls_key=own_key)
        assert "cluster.tls_ca" in refusal(url, tls_ca=own, tls_cert=own, tls_key=own_key)
        assert "NATS refuses this machine" in refusal(url, tls_ca=server)


@pytest.fixture(autouse=True)
def _private(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
