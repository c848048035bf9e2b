"""The certificate for content credentials is public and valid for 20 years: it opens no other door.

It lies in every package, beside the same key's certificate for the broker, which ends after a year
and is renewed only for a doorbell that wasn't revoked. Each test names what it was seen to succeed
without.
"""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.evidence.provenance import Claim, Provenance
from firmware.protocol.released_part import ReleasedPart
from relay.base.clock import SystemClock
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority, check_csr, pem_of
from relay.fleet.callout import Callout, ConnectionRefused, ConnectionRequest
from relay.store import fleet
from tests.fakes.credentials import Fleet, Identity
from tests.relay.doorbells import csr_of, enrol, id_of
from tests.relay.servers import Broker, new_relay, run_relay

CLAIM = Claim(
    part=ReleasedPart(
        clip_id="c" * 26,
        first_gop=0,
        gop_count=1,
        first_span=0,
        span_count=0,
        provenance="none: -",
    ),
    manifest_digest="ab" * 32,
    grant_digest="cd" * 32,
    is_trimmed=False,
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(new_relay(tmp_path / "relay"))
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.services
async def test_it_does_not_get_through_the_brokers_handshake(
    broker: Broker, tmp_path: Path
) -> None:
    """Seen to get in while one certificate had both uses."""
    async with run_relay(broker.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        certificate = x509.load_pem_x509_certificate(doorbell.cert_file.read_bytes())
        async with relay.database.read() as tx:
            row = await fleet.get(tx, doorbell.device)
        assert row is not None
        evidence = x509.load_pem_x509_certificate(row.evidence_certificate_pem.encode())
        assert evidence.public_key() == certificate.public_key()
        (await asyncio.to_thread(doorbell.open)).close()
        doorbell.cert_file.write_text(row.evidence_certificate_pem)
        with pytest.raises((ssl.SSLError, ConnectionError, PermissionError)):
            await asyncio.to_thread(doorbell.open)


def test_the_relay_lets_it_in_no_more_than_the_broker() -> None:
    """Seen to be let in without the look at its use in `Callout.judge`."""
    now_ms = SystemClock().wall_ms()
    authority = Authority.create(now_ms)
    key = ec.generate_private_key(ec.SECP256R1())
    csr = check_csr(csr_of(key, id_of(key)))
    callout = Callout(
        authority=authority,
        issuer_seed=BrokerKeys.create().issuer_seed,
        clock=SystemClock(),
        is_revoked=lambda _: False,
    )

    def asking(certificate: x509.Certificate) -> ConnectionRequest:
        return ConnectionRequest(
            user_nkey="U" * 56,
            server_id="N" * 56,
            client_type="mqtt",
            mqtt_client_id=csr.device,
            certificate_pem=pem_of(certificate),
        )

    assert callout.judge(asking(authority.sign_doorbell(csr, now_ms)))[0] == csr.device
    with pytest.raises(ConnectionRefused, match="isn't for the broker"):
        callout.judge(asking(authority.sign_evidence(csr, now_ms)))


def test_the_brokers_certificate_signs_no_credentials() -> None:
    """Seen to sign them, for a year, with any certificate of the doorbell's key."""
    town, identity = Fleet(), Identity()
    provenance = Provenance(signer=identity, certificate_pem=town.certify_for_the_broker(identity))
    credited = provenance.credit(b"an MP4", CLAIM)
    assert (credited.mp4, credited.provenance[:5]) == (b"an MP4", "none:")
    assert identity.signed == []
