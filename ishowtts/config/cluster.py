"""The section [cluster] of the configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ..errors import ConfigError
from ..voices import VOICE_ID
from .sections import ChatName, Section, Text, read_secret

CHATS_MAX = 1000
FILES = ("credentials", "nkey_seed", "tls_ca", "tls_cert", "tls_key")
"""Settings that name a file; a relative path is one beside the configuration file."""


class ClusterConfig(Section):
    """Several machines as one server, on NATS."""

    role: Literal["all", "gateway", "worker"] = Field(
        "all", description="all: a server on its own; gateway: HTTP without a model; worker: a model for gateways"
    )
    url: Text | None = Field(
        None, description="NATS servers, such as nats://10.0.0.1:4222; several with a comma between them"
    )
    name: Annotated[str, StringConstraints(pattern=VOICE_ID)] | None = Field(
        None, description="name of this machine; left out: its host name"
    )
    credentials: Text | None = Field(None, description="file with a JWT and its seed, readable only by its owner")
    nkey: Text | None = Field(None, description="public nkey, begins with U")
    nkey_seed: Text | None = Field(None, description="file of its seed, readable by its owner alone")
    tls_ca: Text | None = Field(
        None, description="PEM file of the authority that signed the certificate of NATS; turns TLS on"
    )
    tls_cert: Text | None = Field(None, description="PEM file of this machine's certificate; turns TLS on")
    tls_key: Text | None = Field(None, description="PEM file of its key")
    chat: Literal["own", "shared"] = Field(
        "own",
        description="own: a gateway reads its own channels; shared: one of the gateways that say so reads for all",
    )
    chats: list[ChatName] = Field(
        ["main"],
        min_length=1,
        max_length=CHATS_MAX,
        description="names of the chats that gateways share, each with a queue of its own; requests mean the first",
    )
    labels: dict[str, Text] = Field(
        {}, description="a worker carries them; a gateway asks workers that carry all of its own"
    )

    @model_validator(mode="after")
    def _complete(self) -> ClusterConfig:
        twice = next((name for name in self.chats if self.chats.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"chats has {twice} twice")
        if len(self.chats) > 1 and (self.role != "gateway" or self.chat != "shared"):
            raise ValueError('several chats need role = "gateway" and chat = "shared"')
        if self.role == "all":
            return self
        if self.url is None:
            raise ValueError(f"url is missing: a {self.role} needs the address of NATS, such as nats://10.0.0.1:4222")
        for url in self.url.split(","):
            if not re.fullmatch(r"(nats|tls)://[^\s/]+", url.strip()):
                raise ValueError(f'url has "{url.strip()}", which is not nats://HOST:PORT or tls://HOST:PORT')
        if self.credentials and self.nkey:
            raise ValueError("credentials and nkey cannot both be given")
        for one, other in (
            ("nkey", "nkey_seed"),
            ("nkey_seed", "nkey"),
            ("tls_cert", "tls_key"),
            ("tls_key", "tls_cert"),
        ):
            if getattr(self, one) is not None and getattr(self, other) is None:
                raise ValueError(f"{one} needs {other}")
        return self

    def files(self) -> dict[str, str | None]:
        """The settings that are files, as absolute paths.

        ConfigError: one of them is not there, or others may read a secret; only where the role needs them.
        """
        found: dict[str, str | None] = {}
        for field in FILES:
            given = getattr(self, field)
            found[field] = given if given is None else str(Path(given).expanduser().absolute())
            if given is None or self.role == "all":
                continue
            if field in ("credentials", "nkey_seed", "tls_key"):
                read_secret(given, f"cluster.{field}")
            elif not Path(given).expanduser().is_file():
                raise ConfigError(f"there is no file {given}", field=f"cluster.{field}")
        return found
