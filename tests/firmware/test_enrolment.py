"""firmware.enrolment: the doorbell's keys, and how a claim becomes a certificate."""

import json
import random
import stat
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from firmware.enrolment.client import Enroller, load_enrolment
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.errors import (
    AnswerRefused,
    ClaimRefused,
    RelayUnreachable,
    StoreError,
)
from firmware.protocol.claims import Claim, Enrolment, EnrolmentRequest
from firmware.protocol.encoding import decode, device_id_of
from firmware.protocol.passkeys import verify_p256
from tests.fakes.fleet_ca import FleetCa

Answer = Callable[[httpx2.Request], httpx2.Response]


# Keys


def test_keys_are_made_once_and_only_the_doorbell_may_read_them(tmp_path: Path) -> None:
    first, second = load_or_make_keys(tmp_path), load_or_make_keys(tmp_path)
    assert first.device == second.device == device_id_of(first.signer.spki)
    assert first.sealing_private_key == second.sealing_private_key
    for name in ("identity.key", "sealing.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_signer_signs_as_the_protocol_verifies(tmp_path: Path) -> None:
    signer = load_or_make_keys(tmp_path).signer
    assert verify_p256(signer.spki, signer.sign(b"text"), b"text")
    assert not verify_p256(signer.spki, signer.sign(b"text"), b"other text")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_make_keys(tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        load_or_make_keys(tmp_path)


def test_an_enrolled_doorbell_never_makes_a_new_identity(tmp_path: Path) -> None:
    (tmp_path / "enrolment.json").write_text("{}")
    with pytest.raises(StoreError, match="missing"):
        load_or_make_keys(tmp_path)
    assert not (tmp_path / "identity.key").exists()


# Enrolment


class Relay:
    """Answers POST /enrol as a relay does, with a real CA."""

    def __init__(self) -> None:
        self.ca = FleetCa()
        self.requests: list[EnrolmentRequest] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.method == "POST"
        assert request.url == "http://localhost:8400/enrol"
        asked = decode(EnrolmentRequest, request.content)
        self.requests.append(asked)
        return httpx2.Response(200, content=self.enrolment(asked).encode())

    def enrolment(self, asked: EnrolmentRequest, name: str | None = None) -> Enrolment:
        return Enrolment(
            device=self.device,
            certificate_pem=self.ca.sign_request(asked.csr_pem, name=name),
            evidence_certificate_pem=self.ca.sign_evidence(asked.csr_pem, name=name),
            ca_pem=self.ca.pem,
            broker_host="localhost",
            broker_port=8403,
            bucket_origin="http://localhost:8405",
            relay_url="http://localhost:8400",
            log_url="http://localhost:8400/log",
        )

    device = ""


class Bench:
    """One doorbell's folder with a claim for one relay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.relay = Relay()
        self.keys: DeviceKeys = load_or_make_keys(folder)
        self.relay.device = self.keys.device
        self.slept_s: list[float] = []
        self.write_claim()

    def write_claim(self, relay_url: str = "http://localhost:8400", ca_sha256: str = "") -> None:
        claim = Claim(
            relay_url=relay_url,
            secret="c2VjcmV0",
            ca_sha256=ca_sha256 or self.relay.ca.sha256,
            expires_ms=2_000_000_000_000,
        )
        (self.folder / "claim.json").write_bytes(claim.encode())

    def enroller(self, answer: Answer | None = None) -> Enroller:
        async def sleep(seconds: float) -> None:
            self.slept_s.append(seconds)

        return Enroller(
            data_dir=self.folder,
            claim_file=self.folder / "claim.json",
            keys=self.keys,
            http=httpx2.AsyncClient(transport=httpx2.MockTransport(answer or self.relay)),
            source=random.Random(1),
            sleep=sleep,
        )

    def is_enrolled(self) -> bool:
        return load_enrolment(self.folder, self.keys.device) is not None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_claim_becomes_a_certificate(bench: Bench) -> None:
    enrolment = await bench.enroller().enrol()
    assert load_enrolment(bench.folder, bench.keys.device) == enrolment
    assert (bench.folder / "certificate.pem").read_text() == enrolment.certificate_pem
    assert (bench.folder / "ca.pem").read_text() == bench.relay.ca.pem
    assert bench.relay.requests[0].sealing_key == bench.keys.sealing_key


async def test_an_enrolled_doorbell_asks_nobody(bench: Bench) -> None:
    first = await bench.enroller().enrol()
    (bench.folder / "claim.json").unlink()
    assert await bench.enroller().enrol() == first
    assert len(bench.relay.requests) == 1


async def test_waits_longer_and_longer_for_a_relay_that_is_away(bench: Bench) -> None:
    calls: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(1)
        if len(calls) < 3:
            raise httpx2.ConnectError("refused")
        if len(calls) < 5:
            return httpx2.Response(503)
        return bench.relay(request)

    await bench.enroller(answer).enrol_patiently()
    assert len(bench.slept_s) == 4
    assert bench.slept_s == sorted(bench.slept_s)


async def test_a_relay_that_nobody_listens_for_is_unreachable(bench: Bench) -> None:
    bench.write_claim(relay_url="http://127.0.0.1:1")
    async with httpx2.AsyncClient() as http:
        enroller = Enroller(
            data_dir=bench.folder,
            claim_file=bench.folder / "claim.json",
            keys=bench.keys,
            http=http,
            source=random.Random(1),
        )
        with pytest.raises(RelayUnreachable, match=r"127\.0\.0\.1:1"):
            await enroller.enrol()


async def test_a_used_claim_is_final_and_says_what_to_do(bench: Bench) -> None:
    body = json.dumps({"error": {"code": "claim_used", "message": "used before\x1b[2J."}})
    with pytest.raises(ClaimRefused) as caught:
        await bench.enroller(lambda _: httpx2.Response(409, text=body)).enrol_patiently()
    assert caught.value.code == "claim_used"
    assert "Ask the relay's operator" in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": 3}', b"[" * 100_000])
async def test_a_refusal_without_words_is_still_a_refusal(bench: Bench, body: bytes) -> None:
    with pytest.raises(ClaimRefused, match="HTTP status 404"):
        await bench.enroller(lambda _: httpx2.Response(404, content=body)).enrol()


async def test_another_ca_than_the_claims_is_refused(bench: Bench) -> None:
    bench.relay.ca = FleetCa()
    with pytest.raises(AnswerRefused, match="another CA"):
        await bench.enroller().enrol()
    assert not bench.is_enrolled()


async def test_a_certificate_by_another_ca_than_sent_along_is_refused(bench: Bench) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = decode(EnrolmentRequest, request.content)
        honest = bench.relay.enrolment(asked)
        forged = json.loads(honest.encode())
        forged["certificate_pem"] = FleetCa().sign_request(asked.csr_pem)
        return httpx2.Response(200, text=json.dumps(forged))

    with pytest.raises(AnswerRefused, match="isn't signed by"):
        await bench.enroller(answer).enrol()
    assert not bench.is_enrolled()


@pytest.mark.parametrize("name", ["certificate_pem", "evidence_certificate_pem"])
async def test_a_certificate_with_the_others_use_is_refused(bench: Bench, name: str) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = decode(EnrolmentRequest, request.content)
        told = json.loads(bench.relay.enrolment(asked).encode())
        others = {"certificate_pem", "evidence_certificate_pem"} - {name}
        told[name] = told[others.pop()]
        return httpx2.Response(200, text=json.dumps(told))

    with pytest.raises(AnswerRefused, match="another use"):
        await bench.enroller(answer).enrol()
    assert not bench.is_enrolled()


async def test_an_evidence_certificate_by_another_ca_is_refused(bench: Bench) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = decode(EnrolmentRequest, request.content)
        told = json.loads(bench.relay.enrolment(asked).encode())
        told["evidence_certificate_pem"] = FleetCa().sign_evidence(asked.csr_pem)
        return httpx2.Response(200, text=json.dumps(told))

    with pytest.raises(AnswerRefused, match="isn't signed by"):
        await bench.enroller(answer).enrol()
    assert not bench.is_enrolled()


async def test_a_certificate_for_another_key_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = load_or_make_keys(tmp_path / "other")
    csr_pem = other.signer.certificate_request(bench.keys.device)
    asked = EnrolmentRequest(secret="x", csr_pem=csr_pem, sealing_key="x")
    content = bench.relay.enrolment(asked).encode()
    with pytest.raises(AnswerRefused, match="another key"):
        await bench.enroller(lambda _: httpx2.Response(200, content=content)).enrol()


async def test_a_certificate_for_another_name_is_refused(bench: Bench) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = decode(EnrolmentRequest, request.content)
        return httpx2.Response(200, content=bench.relay.enrolment(asked, "b" * 20).encode())

    with pytest.raises(AnswerRefused, match="another doorbell's name"):
        await bench.enroller(answer).enrol()


@pytest.mark.parametrize("status", [204, 301, 302])
async def test_redirects_and_odd_answers_are_not_followed(bench: Bench, status: int) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"Location": "http://elsewhere/enrol"})

    with pytest.raises(AnswerRefused, match=f"status {status}"):
        await bench.enroller(answer).enrol()


async def test_an_endless_answer_is_cut_off(bench: Bench) -> None:
    with pytest.raises(AnswerRefused, match="over"):
        await bench.enroller(lambda _: httpx2.Response(200, content=bytes(2**21))).enrol()


@pytest.mark.parametrize(
    "url", ["http://relay.example", "ftp://localhost", "localhost:8400", "http://", "http://[::"]
)
async def test_a_claims_secret_never_goes_in_the_clear(bench: Bench, url: str) -> None:
    bench.write_claim(relay_url=url)
    with pytest.raises(ClaimRefused, match="relay_url"):
        await bench.enroller().enrol()
    assert bench.relay.requests == []


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"v":2}'])
async def test_a_missing_or_odd_claim_is_named(bench: Bench, content: bytes | None) -> None:
    path = bench.folder / "claim.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClaimRefused, match=r"claim\.json"):
        await bench.enroller().enrol()


async def test_a_damaged_enrolment_is_an_error_and_not_a_new_start(bench: Bench) -> None:
    await bench.enroller().enrol()
    (bench.folder / "enrolment.json").write_bytes(b"{")
    with pytest.raises(StoreError):
        await bench.enroller().enrol()
