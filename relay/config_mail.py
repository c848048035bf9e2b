"""[mail] in relay.toml: through which server letters go, and whose addresses are official."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relay.config_table import Table
from relay.config_values import PORT_EXPECTED, parse_port, parse_text, parse_text_or_nothing
from relay.errors import ConfigError

Security = Literal["starttls", "tls", "none"]

SECURITY_EXPECTED = "starttls or tls; none to a server on this machine only"
SENDER_EXPECTED = "an address, such as doorward@relay.example"
DOMAINS_EXPECTED = 'a list of domains, such as [".gov", "police.uk"]; .gov stands for all below it'
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DOMAIN = re.compile(r"\.?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{2,63}")
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[a-z0-9.-]{1,253}")
_MAX_DOMAINS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MailConfig:
    """The mail server, and at which domains agencies are (none named: any but free mail's)."""

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    user: str = ""
    password_path: Path | None = None
    ca_path: Path | None = None
    official_domains: tuple[str, ...] = ()

    def password(self) -> str:
        """Read the password, or raise ConfigError."""
        if self.password_path is None:
            return ""
        try:
            return self.password_path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            expected = "a file with the mail server's password, and nothing else"
            raise ConfigError("mail.password_file", str(self.password_path), expected) from error


def parse_security(value: object) -> Security:
    """Take how the line to the mail server is kept from others."""
    match value:
        case "starttls" | "tls" | "none":
            return value
        case _:
            raise ValueError(value)


def parse_sender(value: object) -> str:
    """Take an address."""
    text = parse_text(value)
    if _ADDRESS.fullmatch(text) is None:
        raise ValueError(value)
    return text


def parse_domains(value: object) -> tuple[str, ...]:
    """Take domains in small letters."""
    if not isinstance(value, list) or len(value) > _MAX_DOMAINS:
        raise TypeError(value)
    if not all(isinstance(domain, str) and _DOMAIN.fullmatch(domain) for domain in value):
        raise ValueError(value)
    return tuple(value)


def mail_of(mail: Table, folder: Path) -> MailConfig:
    """Return what [mail] says; relative paths are relative to `folder`."""
    password_file = mail.take("password_file", parse_text_or_nothing, "a file", default="")
    ca_file = mail.take("ca_file", parse_text_or_nothing, "a file", default="")
    config = MailConfig(
        host=mail.take("host", parse_text, "the mail server's host name"),
        port=mail.take("port", parse_port, PORT_EXPECTED, default=587),
        sender=mail.take("sender", parse_sender, SENDER_EXPECTED),
        security=mail.take("security", parse_security, SECURITY_EXPECTED, default="starttls"),
        user=mail.take("user", parse_text_or_nothing, "a text", default=""),
        password_path=folder / password_file if password_file else None,
        ca_path=folder / ca_file if ca_file else None,
        official_domains=mail.take("official_domains", parse_domains, DOMAINS_EXPECTED, default=()),
    )
    if config.security == "none" and config.host not in LOOPBACK:
        raise ConfigError("mail.security", "none", SECURITY_EXPECTED)
    return config
