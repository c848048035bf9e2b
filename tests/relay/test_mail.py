"""Letters through a real mail server, which speaks TLS or is refused."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import structs

from firmware.protocol.register.entries import Agreement
from relay.config.loader import parse
from relay.config.settings import MailConfig
from relay.errors import ConfigError
from relay.mail import Email, MailUnavailable, SmtpMailer
from relay.web.emails import TranslatedEmails
from tests.relay.test_relay_config import example

LETTER = Email(to="chief@lakeland.gov", subject="Er kod för Doorward", text="Åtta siffror.\n")


class Kept:
    """Keeps what came, with the session that it came by."""

    def __init__(self) -> None:
        self.came: list[tuple[Session, Envelope]] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.came.append((session, envelope))
        return "250 OK"


def certify(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for this machine, and what a server shows it with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "mail.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "mail.key"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return pem, context


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _kind: str, given: object
) -> AuthResult:
    is_right = isinstance(given, LoginPassword) and given.password == b"open sesame"
    return AuthResult(success=is_right, handled=False)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@asynccontextmanager
async def mail_server(kept: Kept, **settings: Any) -> AsyncIterator[int]:
    """Run a mail server; yields its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(kept, **settings), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def server(kept: Kept, tmp_path: Path) -> AsyncIterator[MailConfig]:
    """A mail server that takes nothing without TLS and the password."""
    pem, context = certify(tmp_path)
    password = tmp_path / "mail.password"
    password.write_text("open sesame\n")
    async with mail_server(
        kept,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    ) as port:
        yield MailConfig(
            host="127.0.0.1",
            port=port,
            sender="doorward@relay.example",
            user="doorward",
            password_path=password,
            ca_path=pem,
        )


async def test_a_letter_arrives_over_tls(kept: Kept, server: MailConfig) -> None:
    await SmtpMailer(server).check()
    await SmtpMailer(server).send(LETTER)
    ((session, envelope),) = kept.came
    assert session.ssl is not None
    assert session.authenticated
    assert envelope.rcpt_tos == ["chief@lakeland.gov"]
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content)
    assert str(make_header(decode_header(message["Subject"]))) == "Er kod för Doorward"
    assert message["From"] == "doorward@relay.example"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().strip() == "Åtta siffror."


async def test_nothing_goes_to_a_server_that_cannot_prove_who_it_is(
    kept: Kept, server: MailConfig
) -> None:
    with pytest.raises(MailUnavailable, match=r"127\.0\.0\.1"):
        await SmtpMailer(structs.replace(server, ca_path=None)).send(LETTER)
    assert kept.came == []


async def test_nothing_goes_in_the_clear_where_tls_is_asked_for(kept: Kept) -> None:
    async with mail_server(kept) as port:
        plain = MailConfig(host="127.0.0.1", port=port, sender="doorward@relay.example")
        with pytest.raises(MailUnavailable):
            await SmtpMailer(plain).send(LETTER)
        assert kept.came == []
        await SmtpMailer(structs.replace(plain, security="none")).send(LETTER)
        assert len(kept.came) == 1


async def test_a_wrong_password_and_a_server_that_is_away_are_told(
    kept: Kept, server: MailConfig, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    for config in (structs.replace(server, password_path=wrong), structs.replace(server, port=1)):
        with pytest.raises(MailUnavailable):
            await SmtpMailer(config).check()
        with pytest.raises(MailUnavailable):
            await SmtpMailer(config).send(LETTER)
    assert kept.came == []


async def test_a_line_break_in_a_header_sends_nothing(kept: Kept, server: MailConfig) -> None:
    letter = replace(LETTER, subject="Code\r\nBcc: everybody@example.org")
    with pytest.raises(MailUnavailable):
        await SmtpMailer(server).send(letter)
    assert kept.came == []


def test_letters_are_in_both_languages() -> None:
    letters = TranslatedEmails("https://relay.example")
    code = letters.code("chief@lakeland.gov", "Lakeland Police", "1234-5678")
    assert code.text.count("1234-5678") == 2
    assert "for-agencies" not in code.text  # the page isn't named to whoever reads the mailbox
    agreement = Agreement(
        origin="example.testtown/register",
        agency="lakeland",
        name="Lakeland Police",
        version=1,
        text_sha256="0" * 64,
        vote="none",
        gifts="none",
        promotion="none",
        begins_ms=0,
        ends_ms=1_790_000_000_000,
        signing_key="",
        sealing_keys=[""],
        cells=["8928308280fffff"],
    )
    reminder = letters.reminder("chief@lakeland.gov", agreement, 30)
    assert "in 30 days" in reminder.subject
    assert "om 30 dagar" in reminder.subject
    assert reminder.text.count("2026-09-21") == 2
    assert reminder.text.count("https://relay.example/for-agencies") == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", ""),
        ("port", 0),
        ("sender", "Doorward <doorward@relay.example>"),
        ("security", "ssl"),
        ("security", "none"),  # to a server elsewhere
        ("official_domains", ".gov"),
        ("official_domains", ["GOV"]),
        ("colour", "green"),
    ],
)
def test_mail_settings_are_read_strictly(key: str, value: object, tmp_path: Path) -> None:
    document = example()
    document["mail"][key] = value
    with pytest.raises(ConfigError, match=rf"mail\.{key}"):
        parse(document, folder=tmp_path)


def test_a_password_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    document = example()
    document["mail"] |= {"user": "doorward", "password_file": "mail.password"}
    config = parse(document, folder=tmp_path).mail
    assert config is not None
    with pytest.raises(ConfigError, match="password_file"):
        config.password()
