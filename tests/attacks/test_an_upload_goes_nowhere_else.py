"""A relay, a name server or a bucket that lies can't have a sealed part sent to another place.

"Elsewhere" is played by servers that mustn't hear a byte of the package.
"""

import contextlib
import datetime as dt
import random
import ssl
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firmware.errors import TicketRefused, UploadError, UploadFailed, WrongBucket
from firmware.outbox import bucket as bucket_module
from firmware.outbox.bucket import Bucket, Place, may_be_at
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.uploader import Uploader
from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.encoding import new_id
from tests.fakes.buckets import PartBucket, run_part_bucket
from tests.fakes.releases import opening_of

SEALED = b"sealed footage" * 1000


class Sender:
    """A doorbell with one package of one part, enrolled at `origin`."""

    def __init__(self, folder: Path, origin: str, *found: str, tls: ssl.SSLContext | None = None):
        self.outgoing = Outgoing(folder / "outgoing")
        self.ready = self.outgoing.put(
            package_id=new_id(),
            request_id=new_id(),
            agency="lakeland",
            opening=opening_of(),
            sealed=SEALED,
        )
        self.origin = origin
        self.asked: list[str] = []
        self._found: Sequence[str] = found
        resolve = self._resolve if found else bucket_module.resolve
        self.bucket = Bucket(origin, parts_at_once=1, resolve=resolve, tls=tls, stall_timeout_s=2)

    async def send(self, url: str | None = None) -> None:
        """Follow a ticket with one URL, by default one to the bucket."""
        uploader = Uploader(
            outgoing=self.outgoing, bucket=self.bucket, source=random.Random(1), sleep=_no_time
        )
        part = PartTicket(
            number=1,
            sha256=self.ready.part_sha256[0],
            url=url or f"{self.origin}/evidence/p?partNumber=1&uploadId=u",
        )
        await uploader.upload(UploadTicket(package_id=self.ready.package_id, parts=[part]))

    async def _resolve(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._found


async def _no_time(_seconds: float) -> None:
    pass


@pytest.fixture
def bucket() -> Iterator[PartBucket]:
    with run_part_bucket() as bucket:
        yield bucket


@pytest.fixture
def elsewhere() -> Iterator[PartBucket]:
    with run_part_bucket() as elsewhere:
        yield elsewhere


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:{elsewhere}",
        "http://localhost:{bucket}",
        "https://127.0.0.1:{bucket}",
        "HTTP://127.0.0.1:{bucket}",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:{bucket}@evil.example",
        "http://someone@127.0.0.1:{bucket}",
        "http://someone:secret@127.0.0.1:{bucket}",
        "http://@127.0.0.1:{bucket}",
        "http://127.0.0.1:{bucket}.evil.example",
        "http://127.0.0.1:{bucket}\\@evil.example",
        "http://127.0.0.1:{bucket}#@evil.example",
        "http://evil.example\\@127.0.0.1:{bucket}",
        "http://127.0.0.1%2eevil.example:{bucket}",
        "http://127.1:{bucket}",
        "http://2130706433:{bucket}",
        "http://0x7f000001:{bucket}",
        "http://0177.0.0.1:{bucket}",
        "http://127.0.0.2:{bucket}",
        "http://127.0.0.1.:{bucket}",
        "http://[::1]:{bucket}",
        "http://[::ffff:127.0.0.1]:{bucket}",
        "http://[::ffff:7f00:1]:{bucket}",
        "http://[64:ff9b::7f00:1]:{bucket}",
        "http://[::ffff:127.0.0.1%25lo]:{bucket}",
        "http://127.0.0.1:0{bucket}",
        "http://127.0.0.1:{bucket}0",
        "http:/127.0.0.1:{bucket}",
        "http:127.0.0.1:{bucket}",
        "//127.0.0.1:{bucket}",
        " http://127.0.0.1:{bucket}",
        "file://127.0.0.1:{bucket}",
        "ftp://127.0.0.1:{bucket}",
        "http://[::",
        "http://１２７.0.0.1:{bucket}",
    ],
)
async def test_a_ticket_to_another_place_is_refused(
    tmp_path: Path, bucket: PartBucket, elsewhere: PartBucket, origin: str
) -> None:
    sender = Sender(tmp_path, bucket.origin)
    place = origin.format(bucket=bucket.server_port, elsewhere=elsewhere.server_port)
    # Seen to fail (the part is sent) with `place != self._place` taken out of Bucket.target_of.
    with pytest.raises(TicketRefused, match="can't be used"):
        await sender.send(f"{place}/evidence/p?partNumber=1&uploadId=u")
    assert bucket.puts + elsewhere.puts == []


@pytest.mark.parametrize(
    "tail",
    ["", "?uploadId=u", "#x", "/a b", "/a\r\nHost: evil.example", "/a\tb", "/é", "/a\x00", "/\\x"],
)
async def test_a_url_that_two_readers_may_read_in_two_ways_is_refused(
    tmp_path: Path, bucket: PartBucket, tail: str
) -> None:
    with pytest.raises(TicketRefused, match="can't be used"):
        await Sender(tmp_path, bucket.origin).send(bucket.origin + tail)
    assert bucket.puts == []


async def test_the_bucket_itself_gets_the_part(tmp_path: Path, bucket: PartBucket) -> None:
    await Sender(tmp_path, bucket.origin).send()
    assert list(bucket.parts.values()) == [SEALED]


async def test_one_foreign_part_stops_all_parts(tmp_path: Path, bucket: PartBucket) -> None:
    sender = Sender(tmp_path, bucket.origin)
    large = sender.outgoing.put(
        package_id=new_id(),
        request_id=new_id(),
        agency="lakeland",
        opening=opening_of(),
        sealed=[SEALED[:1000] * 9000, b"the second part"],
    )
    parts = [
        PartTicket(number=n, sha256=digest, url=f"{origin}/evidence/p?partNumber={n}&uploadId=u")
        for (n, digest), origin in zip(
            enumerate(large.part_sha256, start=1),
            (bucket.origin, "http://evil.example"),
            strict=True,
        )
    ]
    uploader = Uploader(
        outgoing=sender.outgoing, bucket=sender.bucket, source=random.Random(1), sleep=_no_time
    )
    with pytest.raises(TicketRefused):
        await uploader.upload(UploadTicket(package_id=large.package_id, parts=parts))
    assert bucket.puts == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    tmp_path: Path, bucket: PartBucket, elsewhere: PartBucket, status: int
) -> None:
    bucket.statuses = [status]
    bucket.location = f"{elsewhere.origin}/evidence/p"
    with pytest.raises(TicketRefused, match=str(status)):
        await Sender(tmp_path, bucket.origin).send()
    assert len(bucket.puts) == 1
    assert elsewhere.puts == []


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["::ffff:7f00:1"],
        ["8.8.8.8", "127.0.0.1"],
    ],
)
async def test_a_bucket_whose_name_moves_inside_gets_nothing(
    tmp_path: Path, elsewhere: PartBucket, found: list[str]
) -> None:
    sender = Sender(tmp_path, f"http://bucket.test:{elsewhere.server_port}", *found)
    # Seen to fail (elsewhere gets it) with may_be_at taken out of Bucket._addresses.
    with pytest.raises(UploadFailed):
        await sender.send()
    assert set(sender.asked) == {"bucket.test"}
    assert elsewhere.puts == []


HOME = ["10.0.0.7", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00:ec2::254"]
NEVER = [
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "fe80::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    "64:ff9b:1::a00:7",  # NAT64 of a network's own (RFC 8215)
    "::ffff:0:10.0.0.7",  # RFC 7915
    "fec0::1",
    "3fff::1",
    "192.0.0.8",
    "192.88.99.1",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", [*HOME, *NEVER, "::ffff:10.0.0.7", "64:ff9b::a00:7"])
def test_a_name_leads_home_only_where_a_certificate_proves_that_it_is_the_bucket(
    scheme: str, address: str
) -> None:
    place = Place(scheme=scheme, host="bucket.test", port=443)
    is_home = address not in NEVER
    assert may_be_at(place, ip_address(address)) == (is_home and scheme == "https")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_a_name_leads_to_the_public_internet(address: str) -> None:
    for scheme in ("http", "https"):
        place = Place(scheme=scheme, host="bucket.test", port=443)
        assert may_be_at(place, ip_address(address))


def test_localhost_is_this_machine_only() -> None:
    place = Place(scheme="http", host="localhost", port=80)
    assert may_be_at(place, IPv4Address("127.0.0.1"))
    assert not may_be_at(place, IPv4Address("192.168.1.1"))
    assert not may_be_at(place, IPv4Address("8.8.8.8"))


async def test_a_bucket_enrolled_by_its_address_in_the_house_is_just_that_address(
    tmp_path: Path, bucket: PartBucket
) -> None:
    """And no name server is asked."""
    sender = Sender(tmp_path, bucket.origin, "8.8.8.8")
    await sender.send()
    assert sender.asked == []
    assert len(bucket.parts) == 1


@pytest.mark.parametrize("name", ["localhost", "elsewhere.test"])
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_whoever_answers_for_the_bucket_must_have_its_certificate(
    tmp_path: Path, name: str, is_trusted: bool
) -> None:
    server_tls, client_tls = a_certificate(tmp_path, name)
    with run_part_bucket(server_tls) as impostor:
        origin = f"https://localhost:{impostor.server_port}"
        tls = client_tls if is_trusted else None
        sender = Sender(tmp_path, origin, tls=tls)
        # Seen to fail (the impostor gets it) with check_hostname and verify_mode off.
        with contextlib.nullcontext() if is_right(name, is_trusted) else pytest.raises(UploadError):
            await sender.send()
        assert impostor.received_bytes == (len(SEALED) if is_right(name, is_trusted) else 0)


def is_right(name: str, is_trusted: bool) -> bool:
    return name == "localhost" and is_trusted


@pytest.mark.parametrize("origin", ["", "nonsense", "http://bucket.test/path", "ftp://bucket.test"])
async def test_an_enrolment_that_names_no_bucket_sends_nothing(
    tmp_path: Path, elsewhere: PartBucket, origin: str
) -> None:
    sender = Sender(tmp_path, origin)
    with pytest.raises(WrongBucket, match="enrol this doorbell again"):
        sender.bucket.target_of(f"{elsewhere.origin}/p")
    with pytest.raises(TicketRefused):
        await sender.send(f"{elsewhere.origin}/p?uploadId=u")
    assert elsewhere.puts == []


async def test_no_proxy_from_the_environment_is_asked(
    tmp_path: Path, bucket: PartBucket, elsewhere: PartBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.origin)
    await Sender(tmp_path, bucket.origin).send()
    assert elsewhere.puts == []
    assert len(bucket.puts) == 1


def a_certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's settings with a certificate of `name`, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / "server.pem"
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())
