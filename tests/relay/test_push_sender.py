"""One message to one push service: as the standards have it, to whom its name says, and once."""

import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from relay.config.settings import PushConfig
from relay.fleet.ca import key_pem
from relay.notify.push_endpoints import Endpoints
from relay.notify.push_key import PushKey
from relay.notify.push_sender import PushSender, push_http
from tests.fakes.clock import ManualClock
from tests.fakes.push_service import PushService, claims_of, run_push_service

LOOPBACK = PushConfig(is_loopback_allowed=True)


@pytest.fixture
def service() -> Iterator[PushService]:
    with run_push_service() as service:
        yield service


@contextlib.asynccontextmanager
async def a_sender(
    tls: ssl.SSLContext | bool = True, *, address: str = "127.0.0.1"
) -> AsyncIterator[PushSender]:
    async def here(_host: str, _port: int) -> list[str]:
        return [address]

    async with push_http(tls) as http:
        yield PushSender(
            http=http,
            endpoints=Endpoints(LOOPBACK, resolve=here),
            key=PushKey.create(),
            contact="mailto:me@relay.test",
            clock=ManualClock(),
        )


async def test_a_message_goes_as_the_standards_have_it(service: PushService) -> None:
    async with a_sender() as sender:
        outcome = await sender.send(service.endpoint(), b"sealed", ttl_s=60, topic="a" * 32)
    assert outcome.verdict == "sent"
    (sent,) = service.sent
    assert (sent.path, sent.body) == ("/push/abc", b"sealed")
    asked = {name: sent.headers[name] for name in ("ttl", "urgency", "topic", "content-encoding")}
    assert asked == {
        "ttl": "60",
        "urgency": "high",
        "topic": "a" * 32,
        "content-encoding": "aes128gcm",
    }
    assert sent.headers["host"] == f"localhost:{service.port}"
    header = sent.headers["authorization"]
    claims = claims_of(header, header.rpartition("k=")[2])
    assert claims["aud"] == f"http://localhost:{service.port}"
    assert claims["sub"] == "mailto:me@relay.test"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((200, "sent"), (202, "sent"), (404, "gone"), (410, "gone"), (429, "later")),
        *((500, "later"), (503, "later"), (400, "refused"), (403, "refused"), (413, "refused")),
    ],
)
async def test_each_answer_is_understood(service: PushService, status: int, verdict: str) -> None:
    service.say(status, Retry_After="7")
    async with a_sender() as sender:
        outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
    assert outcome.verdict == verdict
    assert outcome.retry_after_s == (7 if verdict == "later" else 0)
    assert "/push/abc" not in outcome.detail


@pytest.mark.parametrize("wait", ["-5", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400, "٣"])
async def test_a_strange_retry_after_counts_for_nothing(service: PushService, wait: str) -> None:
    service.say(503, Retry_After=wait.encode().decode("latin-1"))
    async with a_sender() as sender:
        outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
    assert (outcome.verdict, outcome.retry_after_s) == ("later", 0)


async def test_nobody_is_reached_where_nobody_listens(service: PushService) -> None:
    async with a_sender(address="127.0.0.2") as sender:
        outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
    assert outcome.verdict == "later"
    assert service.sent == []


def a_certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a service of that name has, and what a relay that trusts it has."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_text(key_pem(key) + certificate.public_bytes(Encoding.PEM).decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


async def test_the_service_must_be_who_its_name_says_at_the_address_that_was_checked(
    tmp_path: Path,
) -> None:
    server, trusting = a_certificate(tmp_path, "localhost")
    with run_push_service(address="127.0.0.2", tls=server) as service:
        async with a_sender(trusting, address="127.0.0.2") as sender:
            outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
            assert outcome.verdict == "sent", outcome
        async with a_sender(address="127.0.0.2") as sender:  # by nobody's word
            outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
            assert outcome.verdict == "later"
    assert len(service.sent) == 1


async def test_a_service_with_anothers_certificate_gets_nothing(tmp_path: Path) -> None:
    server, trusting = a_certificate(tmp_path, "push.test")
    with run_push_service(tls=server) as service:
        async with a_sender(trusting) as sender:
            outcome = await sender.send(service.endpoint(), b"x", ttl_s=60, topic="a")
    # Seen to fail with sni_hostname naming the certificate's own host.
    assert outcome.verdict == "later"
    assert service.sent == []
