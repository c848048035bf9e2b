"""Renewal of the doorbell's certificate: when it asks, and which answers it keeps."""

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.renewal import FIRST_WAIT_S, LONGEST_WAIT_S, CertificateRenewal
from firmware.errors import ClaimRefused, EnrolmentError, RelayUnreachable, ShardRefused
from firmware.health.trouble_texts import trouble_began_text
from firmware.protocol.encoding import decode, decode_canonical, unb64u
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.renewals import Renewal, RenewalRequest, renewal_message
from firmware.protocol.shards import Elsewhere
from tests.fakes.clock import ManualClock
from tests.fakes.fleet_ca import FleetCa
from tests.vectors.make_renewals import PATH, renewal_vectors

DAY_S = 24 * 3600.0
LIFE = dt.timedelta(days=90)


class Link:
    is_online = True


class Bench:
    """One doorbell with a certificate for 90 days, and a relay that answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = FleetCa()
        self.keys = load_or_make_keys(folder)
        self.link = Link()
        self.starts = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self.clock = ManualClock(wall_ms=int(self.starts.timestamp() * 1000))
        self.requests: list[RenewalRequest] = []
        self.arrivals = 0
        self.refusal: EnrolmentError | None = None
        self.answer: Callable[[], httpx2.Response] = self.renewed
        (folder / "ca.pem").write_text(self.ca.pem)
        (folder / "certificate.pem").write_text(self.certificate(self.starts))
        self.renewal = self.start()

    def start(self) -> CertificateRenewal:
        return CertificateRenewal(
            data_dir=self.folder,
            relay_url="http://localhost:8400",
            keys=self.keys,
            http=httpx2.AsyncClient(transport=httpx2.MockTransport(self._take)),
            link=self.link,
            clock=self.clock,
            source=random.Random(1),
            moves=self,
        )

    async def take(self, _elsewhere: Elsewhere) -> None:
        """Follow the relay to another shard, as `ShardMove` does."""
        self.arrivals += 1
        if self.refusal is not None:
            raise self.refusal

    def certificate(self, starts: dt.datetime, ca: FleetCa | None = None) -> str:
        csr = self.keys.signer.certificate_request(self.keys.device)
        return (ca or self.ca).sign_client(csr, starts, starts + LIFE)

    def renewed(self) -> httpx2.Response:
        starts = dt.datetime.fromtimestamp(self.clock.wall_ms() / 1000, dt.UTC)
        return self.sent(self.certificate(starts))

    def sent(self, certificate_pem: str) -> httpx2.Response:
        return httpx2.Response(200, content=Renewal(certificate_pem=certificate_pem).encode())

    def led(self) -> httpx2.Response:
        return httpx2.Response(421, content=Elsewhere(shard="b", directory="-").encode())

    def refused(self, code: str) -> httpx2.Response:
        status = 409 if code == "not_due" else 403
        return httpx2.Response(status, json={"error": {"code": code, "message": "no"}})

    def _take(self, request: httpx2.Request) -> httpx2.Response:
        assert str(request.url) == "http://localhost:8400/renew"
        self.requests.append(decode(RenewalRequest, request.content))
        return self.answer()

    @property
    def stored(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / "certificate.pem").read_bytes())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_certificate_is_renewed_once_two_thirds_of_its_life_are_over(bench: Bench) -> None:
    for _ in range(59):
        bench.clock.advance(DAY_S)
        await bench.renewal.look()
    assert not bench.requests
    for _ in range(8):
        bench.clock.advance(DAY_S)
        await bench.renewal.look()
    assert len(bench.requests) == 1
    left = bench.stored.not_valid_after_utc.timestamp() - bench.clock.wall_ms() / 1000
    assert left > 82 * DAY_S


def test_the_golden_renewal_has_its_canonical_form_and_the_signature_of_the_certificates_key():
    vector = json.loads(PATH.read_text("utf-8"))
    assert vector == renewal_vectors()
    request = decode_canonical(RenewalRequest, vector["request"].encode())
    certificate = x509.load_pem_x509_certificate(request.certificate_pem.encode())
    message = bytes.fromhex(vector["message_hex"])
    assert renewal_message(certificate) == message
    spki, signature = unb64u(vector["identity_key"]), unb64u(request.signature)
    assert verify_p256(spki, signature, message)
    assert not verify_p256(spki, signature, message[:-1] + bytes([message[-1] ^ 1]))
    renewal = decode_canonical(Renewal, vector["renewal"].encode())
    renewed = x509.load_pem_x509_certificate(renewal.certificate_pem.encode())
    assert renewed.public_key() == certificate.public_key()
    assert renewed.not_valid_after_utc > certificate.not_valid_after_utc


async def test_the_request_is_signed_by_the_doorbells_key(bench: Bench) -> None:
    before = bench.stored
    bench.clock.advance(80 * DAY_S)
    await bench.renewal.look()
    (request,) = bench.requests
    assert x509.load_pem_x509_certificate(request.certificate_pem.encode()) == before
    signature = unb64u(request.signature)
    assert verify_p256(bench.keys.signer.spki, signature, renewal_message(before))


async def test_a_doorbell_without_time_renews_when_the_broker_keeps_it_out(bench: Bench) -> None:
    bench.clock.set_wall_ms(0)
    bench.clock.trusted = False
    bench.link.is_online = False
    bench.answer = lambda: bench.sent(bench.certificate(bench.starts + dt.timedelta(days=300)))
    await bench.renewal.look()
    assert not bench.requests  # it may have started just now
    bench.clock.advance(20 * 60)
    await bench.renewal.look()
    assert bench.stored.not_valid_before_utc > bench.starts + dt.timedelta(days=299)


async def test_a_relay_that_is_away_is_asked_again_and_less_and_less_often(bench: Bench) -> None:
    def away() -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    bench.answer = away
    before = bench.stored
    bench.clock.advance(80 * DAY_S)
    waits_s = [await bench.renewal.look() for _ in range(12)]
    assert bench.stored == before
    assert waits_s[-1] > LONGEST_WAIT_S / 2 > waits_s[0]
    assert not bench.renewal.present_troubles
    bench.answer = bench.renewed
    await bench.renewal.look()
    assert bench.stored != before


@pytest.mark.parametrize("code", ["revoked", "too_late", "unknown"])
async def test_a_final_refusal_is_a_trouble_until_the_relay_renews_again(
    bench: Bench, code: str
) -> None:
    bench.clock.advance(80 * DAY_S)
    bench.answer = lambda: bench.refused(code)
    assert await bench.renewal.look() > 0
    assert bench.renewal.present_troubles == ["certificate"]
    bench.answer = bench.renewed
    await bench.renewal.look()
    assert not bench.renewal.present_troubles


async def test_what_is_not_due_is_no_trouble(bench: Bench) -> None:
    bench.clock.advance(80 * DAY_S)  # by a clock that is wrong
    bench.answer = lambda: bench.refused("not_due")
    await bench.renewal.look()
    assert not bench.renewal.present_troubles


@pytest.mark.parametrize(
    "what", ["another CA", "the same again", "an evidence certificate", "rubbish", "too much"]
)
async def test_an_answer_that_is_no_newer_certificate_of_ours_is_not_kept(
    bench: Bench, what: str
) -> None:
    before = bench.stored
    csr = bench.keys.signer.certificate_request(bench.keys.device)
    later = bench.starts + dt.timedelta(days=80)
    bench.answer = {
        "another CA": lambda: bench.sent(bench.certificate(later, FleetCa())),
        "the same again": lambda: bench.sent(bench.certificate(bench.starts)),
        "an evidence certificate": lambda: bench.sent(bench.ca.sign_evidence(csr)),
        "rubbish": lambda: httpx2.Response(200, content=b"{}"),
        "too much": lambda: httpx2.Response(200, content=bytes(2 * 1024 * 1024)),
    }[what]
    bench.clock.advance(80 * DAY_S)
    await bench.renewal.look()
    assert len(bench.requests) == 1
    assert bench.stored == before


async def looked(bench: Bench, hours: float) -> list[float]:
    """Look as often as it wants to, for so long; return the waits."""
    waits_s, end_ns = [], bench.clock.monotonic_ns() + int(hours * 3600 * 1e9)
    while bench.clock.monotonic_ns() < end_ns:
        waits_s.append(await bench.renewal.look())
        bench.clock.advance(waits_s[-1])
    return waits_s


@pytest.mark.parametrize(
    "refusal", [ClaimRefused("claim", "no such claim"), RelayUnreachable("https://b.test", "no")]
)
async def test_another_shard_that_has_not_taken_it_yet_is_asked_each_minute_for_an_hour(
    bench: Bench, refusal: EnrolmentError
) -> None:
    """Seen to fail: after the first refusal it waited for 20 minutes, and then for hours."""
    bench.link.is_online = False
    bench.answer = bench.led
    bench.refusal = refusal
    bench.renewal.on_refused()
    waits_s = await looked(bench, hours=1)
    assert 45 <= min(waits_s[:-1]) <= max(waits_s[:-1]) <= 75
    assert bench.arrivals == len(waits_s) > 40
    assert not bench.renewal.present_troubles
    assert min(await looked(bench, hours=24)) >= 10 * 60
    bench.refusal = None
    await bench.renewal.look()
    bench.link.is_online = True
    arrivals = bench.arrivals
    await looked(bench, hours=3)
    assert bench.arrivals == arrivals


@pytest.mark.parametrize("way_back", ["let in", "online", "not due"])
async def test_each_move_has_an_hour_of_its_own(bench: Bench, way_back: str) -> None:
    """Seen to fail: after one that was taken back, the next shard was asked each few hours."""
    bench.link.is_online = False
    bench.answer = bench.led
    bench.refusal = ClaimRefused("claim", "no such claim")
    bench.renewal.on_refused()
    await looked(bench, hours=30)
    if way_back == "let in":
        bench.renewal.on_let_in()
    elif way_back == "online":
        bench.link.is_online = True
        await bench.renewal.look()
        bench.link.is_online = False
    else:
        bench.answer = lambda: bench.refused("not_due")
        await bench.renewal.look()
        bench.renewal.on_let_in()
        bench.answer = bench.led
    bench.renewal.on_refused()
    waits_s = await looked(bench, hours=1)
    assert 45 <= min(waits_s[:-1]) <= max(waits_s[:-1]) <= 75
    assert await bench.renewal.look() <= 1.5 * FIRST_WAIT_S


async def test_a_directory_that_does_not_count_is_not_asked_about_each_minute(bench: Bench) -> None:
    bench.link.is_online = False
    bench.answer = bench.led
    bench.refusal = ShardRefused("expired", "it has ended")
    bench.renewal.on_refused()
    assert min(await looked(bench, hours=1)) >= 10 * 60


@pytest.mark.parametrize(
    "refusal",
    [
        ShardRefused("expired", "it has ended"),
        ShardRefused("register", "it isn't read whole yet"),
        ClaimRefused("revoked", "this doorbell was revoked"),
        ClaimRefused("sealing_key", "it has another"),
        ClaimRefused("expired", "too old"),
    ],
)
async def test_a_move_that_fails_is_a_trouble_of_its_own_and_no_reason_for_a_reset(
    bench: Bench, refusal: EnrolmentError
) -> None:
    """Seen to fail: the owner was told to reset the doorbell, or that nothing was wrong."""
    bench.link.is_online = False
    bench.answer = bench.led
    bench.refusal = refusal
    bench.renewal.on_refused()
    await bench.renewal.look()
    assert bench.renewal.present_troubles == ["shard"]
    assert "reset" not in trouble_began_text("shard", "working").lower()


@pytest.mark.parametrize("way_back", ["let in", "online", "not due"])
async def test_a_doorbell_that_is_back_at_its_shard_has_that_trouble_no_more(
    bench: Bench, way_back: str
) -> None:
    """Seen to fail: it stood until the certificate was renewed, two months later."""
    bench.link.is_online = False
    bench.answer = bench.led
    bench.refusal = ShardRefused("register", "it isn't read whole yet")
    bench.renewal.on_refused()
    await bench.renewal.look()
    if way_back == "let in":
        bench.renewal.on_let_in()
    elif way_back == "online":
        bench.link.is_online = True
        await bench.renewal.look()
    else:
        bench.answer = lambda: bench.refused("not_due")
        bench.renewal.on_refused()
        bench.clock.advance(3600)
        await bench.renewal.look()
    assert not bench.renewal.present_troubles


@pytest.mark.parametrize("is_online", [True, False])
async def test_a_refused_renewal_is_over_once_none_is_due(bench: Bench, *, is_online: bool) -> None:
    """By a clock that was wrong. Seen to fail: the trouble stood until the next renewal."""
    before_ms = bench.clock.wall_ms()
    bench.clock.advance(80 * DAY_S)
    bench.answer = lambda: bench.refused("unknown")
    await bench.renewal.look()
    assert bench.renewal.present_troubles == ["certificate"]
    if is_online:
        bench.clock.set_wall_ms(before_ms)
    bench.answer = lambda: bench.refused("not_due")
    await bench.renewal.look()
    assert not bench.renewal.present_troubles


async def test_a_relay_of_another_name_leads_nowhere_and_refuses_nothing(bench: Bench) -> None:
    """Seen to fail: its answer was taken for another shard's ("field error isn't known")."""
    bench.link.is_online = False
    error = {"error": {"code": "host", "message": "this relay is https://r.test"}}
    bench.answer = lambda: httpx2.Response(421, json=error)
    bench.renewal.on_refused()
    await bench.renewal.look()
    assert len(bench.requests) == 1
    assert not bench.arrivals
    assert not bench.renewal.present_troubles
