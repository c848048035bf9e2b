"""E-mail through the operator's own mail server (SMTP). aiosmtplib is used here only.

Nothing secret goes by mail but a code that proves an address, and invitations, which work once: a
colleague's account may do nothing yet, and an administrator's of the relay may at once. Delivery
is the server's matter: what is told here is only whether it took the letter.
"""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

import aiosmtplib

from relay.config.settings import MailConfig
from relay.errors import RelayError

TIMEOUT_S = 15.0


class MailUnavailable(RelayError):
    """The mail server didn't take a letter; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """One letter to one address; plain text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Email) -> None:
        """Hand a letter to the mail server, or raise MailUnavailable."""
        ...


class SmtpMailer:
    """Sends through the server that `[mail]` names; each letter on a connection of its own."""

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    async def send(self, letter: Email) -> None:
        """Hand a letter over. Where TLS is asked for, nothing goes without it."""
        try:
            async with self._client() as client:
                await client.send_message(_message(self._config.sender, letter))
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._unavailable(error) from error

    async def check(self) -> None:
        """Sign in at the server and send nothing, or raise MailUnavailable."""
        try:
            async with self._client() as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._unavailable(error) from error

    def _client(self) -> aiosmtplib.SMTP:
        config = self._config
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            username=config.user or None,
            password=config.password() if config.user else None,
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            tls_context=self._tls(),
            timeout=TIMEOUT_S,
        )

    def _unavailable(self, error: Exception) -> MailUnavailable:
        return MailUnavailable(f"{self._config.host}:{self._config.port}: {error}")

    def _tls(self) -> ssl.SSLContext | None:
        if self._config.security == "none":
            return None
        path = self._config.ca_path
        return ssl.create_default_context(cafile=None if path is None else str(path))


def _message(sender: str, letter: Email) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message
