"""Whoever has a doorbell's certificate, but not its key, gets nothing by renewing it.

The certificate is no secret: the broker and everybody on the way of a TLS 1.2 handshake see it.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.encoding import b64u
from firmware.protocol.renewals import RenewalRequest
from relay.fleet.ca import Authority, check_csr, pem_of
from relay.store import fleet
from tests.relay.http_world import open_world
from tests.relay.renewing import Renewing


@pytest.fixture
async def doorbell(tmp_path: Path) -> AsyncIterator[Renewing]:
    async with open_world(tmp_path) as world:
        doorbell = await Renewing.enrolled(world, tmp_path / "card")
        doorbell.days_pass(60)
        yield doorbell


async def test_another_key_renews_nothing(doorbell: Renewing, tmp_path: Path) -> None:
    other = load_or_make_keys(tmp_path / "other")
    assert await doorbell.refusal(doorbell.request(signer=other)) == (403, "signature")


async def test_a_certificate_of_ones_own_making_is_not_renewed(doorbell: Renewing) -> None:
    request = check_csr(doorbell.keys.signer.certificate_request(doorbell.keys.device))
    stranger = Authority.create(doorbell.world.clock.wall_ms())
    doorbell.certificate_pem = pem_of(
        stranger.sign_doorbell(request, doorbell.world.clock.wall_ms())
    )
    assert await doorbell.refusal() == (403, "certificate")


async def test_an_evidence_certificate_opens_no_way_to_the_broker(doorbell: Renewing) -> None:
    world = doorbell.world
    request = check_csr(doorbell.keys.signer.certificate_request(doorbell.keys.device))
    doorbell.certificate_pem = pem_of(world.authority.sign_evidence(request, world.clock.wall_ms()))
    assert await doorbell.refusal() == (403, "certificate")


async def test_a_revoked_doorbell_is_not_renewed(doorbell: Renewing) -> None:
    world = doorbell.world
    async with world.database.begin() as tx:
        await fleet.revoke(tx, doorbell.keys.device, revoked_ms=world.clock.wall_ms())
    assert await doorbell.refusal() == (403, "revoked")


async def test_after_401_days_a_new_claim_is_needed(doorbell: Renewing) -> None:
    doorbell.days_pass(30 + 401)
    response = await doorbell.send()
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "too_late"
    assert "new invitation" in response.json()["error"]["message"]


async def test_a_request_sent_again_brings_about_nothing_new(doorbell: Renewing) -> None:
    seen = doorbell.request()
    first = await doorbell.renew()
    for _ in range(8):  # else whoever saw one would keep a lost doorbell in the fleet for ever
        doorbell.days_pass(60)
        response = await doorbell.send(seen)
        assert response.json()["certificate_pem"] == first


async def test_a_signature_for_something_else_renews_nothing(doorbell: Renewing) -> None:
    certificate = x509.load_pem_x509_certificate(doorbell.certificate_pem.encode())
    untagged = certificate.public_bytes(Encoding.DER)
    request = RenewalRequest(
        certificate_pem=doorbell.certificate_pem, signature=b64u(doorbell.keys.sign(untagged))
    )
    assert await doorbell.refusal(request) == (403, "signature")
