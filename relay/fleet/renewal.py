"""Renewal: a doorbell hands in its certificate, signed by its key, and gets the next one.

No claim is needed, only the key: within 400 days after the certificate's end, so that a doorbell
which was off for a winter comes back by itself. An older certificate than the newest is answered
with the newest, which is also what an answer that was lost is. So nothing that is handed in again,
by whomever, brings about a second certificate, and what comes out is of use to the key's holder
alone. Each renewal reads and writes its own doorbell's row, and nothing else.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware.protocol.certified_key import certified_spki
from firmware.protocol.encoding import device_id_of, unb64u
from firmware.protocol.passkeys import load_p256, verify_p256
from firmware.protocol.renewals import Renewal, RenewalRequest, renewal_message
from relay.base.clock import Clock
from relay.errors import HeldElsewhere, RenewalRefused
from relay.fleet.ca import (
    Authority,
    CertificateRequest,
    common_name,
    ends_ms_of,
    is_for,
    pem_of,
)
from relay.store import fleet
from relay.store.database import Database

GRACE_MS = 400 * 24 * 3600 * 1000
"""So long after its end a certificate is renewed: a year away from home, and a month."""
EARLIEST = 0.5
"""Of a certificate's life must have passed; a doorbell asks at two thirds."""
NEW_CLAIM = "ask the relay's operator for a new invitation, and enrol it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The certificate that a doorbell has, proven to be its own."""

    device: str
    request: CertificateRequest
    starts_ms: int
    ends_ms: int

    @property
    def renewable_ms(self) -> int:
        """From when on it is renewed."""
        return self.starts_ms + int((self.ends_ms - self.starts_ms) * EARLIEST)


class RenewalService:
    """Renews doorbells' certificates for the broker; evidence certificates stay as they are."""

    def __init__(self, *, database: Database, authority: Authority, clock: Clock) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def renew(self, request: RenewalRequest) -> Renewal:
        """Return the doorbell's newest certificate, which may be a new one.

        Raises RenewalRefused, or HeldElsewhere for one that was moved to another shard.
        """
        presented = check_renewal(request, self._authority)
        doorbell = await self._doorbell(presented.device)
        if presented.ends_ms < doorbell.certificate_ends_ms:
            return Renewal(certificate_pem=doorbell.certificate_pem)
        now_ms = self._clock.wall_ms()
        if now_ms >= presented.ends_ms + GRACE_MS:
            raise RenewalRefused(
                "too_late",
                f"this doorbell's certificate ended more than 400 days ago: {NEW_CLAIM}",
            )
        if now_ms < presented.renewable_ms:
            raise RenewalRefused("not_due", "this doorbell's certificate needs no renewal yet")
        certificate = self._authority.sign_doorbell(presented.request, now_ms)
        pem = pem_of(certificate)
        async with self._database.begin() as tx:
            is_first = await fleet.renew(
                tx,
                presented.device,
                certificate_pem=pem,
                ends_ms=ends_ms_of(certificate),
                before_ends_ms=doorbell.certificate_ends_ms,
            )
        if not is_first:  # it asked twice at once, or was revoked in between
            pem = (await self._doorbell(presented.device)).certificate_pem
        return Renewal(certificate_pem=pem)

    async def _doorbell(self, device: str) -> fleet.DoorbellRow:
        async with self._database.read() as tx:
            doorbell = await fleet.get(tx, device)
        if doorbell is None:
            raise RenewalRefused("unknown", f"this relay doesn't know the doorbell: {NEW_CLAIM}")
        if doorbell.shard is not None:
            raise HeldElsewhere(doorbell.shard)
        if doorbell.revoked_ms is not None:
            raise RenewalRefused("revoked", "this doorbell was revoked; reset it first")
        return doorbell


def check_renewal(request: RenewalRequest, authority: Authority) -> Presented:
    """Check that a certificate of ours, for the broker, is handed in by its key's holder.

    Raises RenewalRefused; whether the doorbell is known, and still one, isn't looked at.
    """
    try:
        certificate = x509.load_pem_x509_certificate(request.certificate_pem.encode())
        if not authority.has_signed(certificate):
            raise RenewalRefused("certificate", "the certificate is of another relay")
        spki = certified_spki(certificate)
        is_signed = verify_p256(spki, unb64u(request.signature), renewal_message(certificate))
    except (ValueError, x509.InvalidVersion) as error:  # WireError is a ValueError
        raise RenewalRefused("certificate", f"not a doorbell's certificate: {error}") from error
    device = device_id_of(spki)
    if not is_for(certificate, ExtendedKeyUsageOID.CLIENT_AUTH):
        raise RenewalRefused("certificate", "the certificate isn't for the broker")
    if common_name(certificate.subject) != device:
        raise RenewalRefused("certificate", "the certificate's name isn't its key's id")
    if not is_signed:
        raise RenewalRefused("signature", "the request isn't signed by the certificate's key")
    return Presented(
        device=device,
        request=CertificateRequest(device=device, public_key=load_p256(spki)),
        starts_ms=int(certificate.not_valid_before_utc.timestamp()) * 1000,
        ends_ms=ends_ms_of(certificate),
    )
