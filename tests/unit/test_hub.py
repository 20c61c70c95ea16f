"""A model of the hub: of a fixed commit and content, when its name gives them."""

import hashlib
import logging
from pathlib import Path

import pytest

from ishowtts.errors import ModelError
from ishowtts.model.source import resolve


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str, str | None]]:
    """A double of the hub with one checkpoint and the published vocoder; gives the list of downloads."""
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub.errors import LocalEntryNotFoundError

    fetched: list[tuple[str, str, str | None]] = []

    def download(repository: str, path: str, *, revision: str | None, local_files_only: bool = False) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        fetched.append((repository, path, revision))
        commit = revision or "c0ffee"
        file = tmp_path / f"models--{repository.replace('/', '--')}" / "snapshots" / commit / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = "dim: 32\nintermediate_dim: 64\nnum_layers: 2\n" if path == "config.yaml" else "a\nb\n"
        file.write_text(text)
        return str(file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    return fetched


DIGEST = hashlib.sha256(b"a\nb\n").hexdigest()


def test_a_revision_and_a_hash_are_kept_to(asked: list[tuple[str, str, str | None]]) -> None:
    source = resolve(f"hf://who/ever@abc123/F5TTS_v1_Base/model.safetensors#sha256={DIGEST.upper()}")
    assert source.vocab == ("a", "b")
    assert ("who/ever", "F5TTS_v1_Base/model.safetensors", "abc123") in asked
    assert ("who/ever", "F5TTS_v1_Base/vocab.txt", "abc123") in asked  # of the same commit


def test_another_content_is_refused(asked: list[tuple[str, str, str | None]]) -> None:
    with pytest.raises(ModelError, match=f"not the file that was asked for: its SHA-256 is {DIGEST}"):
        resolve(f"hf://who/ever@abc123/F5TTS_v1_Base/model.safetensors#sha256={'0' * 64}")
    with pytest.raises(ModelError, match="must read hf://owner/repository"):
        resolve("hf://who/ever/F5TTS_v1_Base/model.safetensors#sha256=00")


def test_a_download_says_how_it_is_pinned(
    asked: list[tuple[str, str, str | None]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ishowtts")
    resolve("hf://who/ever/F5TTS_v1_Base/model.safetensors")
    assert f"hf://who/ever@c0ffee/F5TTS_v1_Base/model.safetensors#sha256={DIGEST}" in caplog.text
