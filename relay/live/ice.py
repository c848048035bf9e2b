"""STUN and TURN servers for one live session, with short-lived credentials.

coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the user name is the second at which
it ends and a word, the password its HMAC under a secret that coturn shares. coturn counts what is
open by the word, so one account has the same one for a day: new ones would open ways without end.
The word is made by a key that is forgotten each day, so a TURN server, which has the secret, can't
tell whose it is. Only minting belongs here; relay/live/probe.py tries the servers.
"""

import base64
import hashlib
import hmac
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from firmware.protocol.commands import IceServer
from relay.base.clock import Clock
from relay.config.settings import LiveConfig
from relay.errors import ConfigError

MIN_SECRET_CHARS = 32
MAX_SECRET_BYTES = 1024
WORD_CHARS = 26
DAY_S = 24 * 60 * 60
SECRET_KEY = "live.turn_secret_file"  # noqa: S105 (the setting's name)

Reach = Literal["anywhere", "stun_only", "home_only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ice:
    """One side's servers for one session; their credentials open nothing new after `expires_ms`."""

    servers: list[IceServer] = field(repr=False)
    expires_ms: int
    reach: Reach


class IceServers:
    """Issues TURN credentials to each account, and to doorbells in its sessions."""

    def __init__(
        self,
        config: LiveConfig,
        clock: Clock,
        *,
        secret: bytes = b"",
        new_key: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._config = config
        self._clock = clock
        self._secret = secret
        self._new_key = new_key
        self._key, self._day = b"", -1

    @classmethod
    def load(cls, config: LiveConfig, clock: Clock) -> "IceServers":
        """Read the secret if there is one, or raise ConfigError."""
        path = config.turn_secret_path
        return cls(config, clock, secret=b"" if path is None else read_secret(path))

    @property
    def reach(self) -> Reach:
        """The networks from which live view works."""
        if self._config.turn_urls:
            return "anywhere"
        return "stun_only" if self._config.stun_urls else "home_only"

    def fresh(self, whose: str) -> Ice:
        """Return the servers with new credentials, which a TURN server counts as `whose` today."""
        config = self._config
        now_s = self._clock.wall_ms() // 1000
        expires_s = now_s + config.turn_lifetime_s
        servers = []
        if config.stun_urls:
            servers.append(IceServer(urls=[url.text for url in config.stun_urls]))
        if config.turn_urls:
            username = f"{expires_s}:{self._word(whose, now_s // DAY_S)}"
            servers.append(
                IceServer(
                    urls=[url.text for url in config.turn_urls],
                    username=username,
                    credential=turn_password(self._secret, username),
                )
            )
        return Ice(servers=servers, expires_ms=expires_s * 1000, reach=self.reach)

    def _word(self, whose: str, day: int) -> str:
        if day != self._day:
            self._key, self._day = self._new_key(32), day
        digest = hmac.digest(self._key, whose.encode(), "sha256")
        return base64.b32encode(digest).decode().lower()[:WORD_CHARS]


def turn_password(secret: bytes, username: str) -> str:
    """Return the password of a user name `expiry:word`; SHA-1 is what coturn's form of it has."""
    digest = hmac.new(secret, username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def read_secret(path: Path) -> bytes:
    """Read coturn's secret, or raise ConfigError; the secret itself is never in its text."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        expected = f"a readable file with coturn's static-auth-secret ({error.strerror})"
        raise ConfigError(SECRET_KEY, str(path), expected) from error
    if mode & (stat.S_IRWXO):
        expected = f"a file that others can't read: chmod o= {path}"
        raise ConfigError(SECRET_KEY, str(path), expected)
    secret = data.strip()
    is_word = all(0x21 <= byte <= 0x7E for byte in secret)
    if not MIN_SECRET_CHARS <= len(secret) <= MAX_SECRET_BYTES or not is_word:
        expected = (
            f"a file with one word of {MIN_SECRET_CHARS} or more ASCII characters and nothing else "
            "(openssl rand -hex 32 makes one)"
        )
        raise ConfigError(SECRET_KEY, str(path), expected)
    return secret
