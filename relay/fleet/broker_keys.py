"""The relay's keys at the broker (nkeys, Ed25519): the adapter of the nkeys library.

`relay` is the relay's own user, `system` its user in the broker's system account (for throwing
a connection off), `issuer` signs what the auth callout answers.
"""

import secrets
from pathlib import Path
from typing import Literal

import nkeys

from firmware.protocol.encoding import Document, WireError, decode
from relay.errors import ConfigError


class BrokerKeys(Document, frozen=True, kw_only=True):
    """The file `broker-keys.json` (0600): nkey seeds."""

    v: Literal[1] = 1
    issuer_seed: str
    relay_seed: str
    system_seed: str

    @classmethod
    def create(cls) -> "BrokerKeys":
        """Make fresh keys."""
        return cls(
            issuer_seed=_new_seed(nkeys.PREFIX_BYTE_ACCOUNT),
            relay_seed=_new_seed(nkeys.PREFIX_BYTE_USER),
            system_seed=_new_seed(nkeys.PREFIX_BYTE_USER),
        )

    @classmethod
    def load(cls, path: Path) -> "BrokerKeys":
        """Read the file, or raise ConfigError."""
        try:
            return decode(cls, path.read_bytes())
        except (OSError, WireError) as error:
            expected = f"the file that `doorward-relay init` wrote ({error})"
            raise ConfigError("data_dir", str(path), expected) from error


def public_key(seed: str) -> str:
    """Return the public nkey of a seed."""
    public: bytes = nkeys.from_seed(seed.encode()).public_key
    return public.decode()


def sign(seed: str, data: bytes) -> bytes:
    """Sign with Ed25519."""
    signature: bytes = nkeys.from_seed(seed.encode()).sign(data)
    return signature


def _new_seed(prefix: int) -> str:
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
    return seed.decode()
