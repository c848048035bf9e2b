"""Enrolment: a doorbell hands in its claim and its own key, and gets its certificates.

A claim that replaces a doorbell needs that doorbell's old key as well, and revokes it: neither a
copy of its card nor a stolen session of its owner is enough.

A claim that was moved to another shard is led there (HeldElsewhere); so is a doorbell. A claim that
a shard took with a doorbell is bound to it: its secret is known to all, the key that signs the
request to nobody else. So that another key tries it gives no alarm.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.protocol.claims import Enrolment, EnrolmentRequest, replacement_message
from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.sealing import check_x25519
from firmware.protocol.shards import arrival_secret
from relay.base.clock import Clock
from relay.config.settings import Config
from relay.errors import BusUnavailable, ClaimReplayed, EnrolmentRefused, HeldElsewhere
from relay.fleet.ca import Authority, CertificateRequest, check_csr, ends_ms_of, pem_of
from relay.fleet.claims import hash_of
from relay.store import fleet
from relay.store.database import Database, Transaction
from relay.store.fleet import DoorbellRow

log = logging.getLogger(__name__)


class EnrolmentService:
    """Turns claims into doorbells of the fleet."""

    def __init__(
        self,
        *,
        database: Database,
        authority: Authority,
        config: Config,
        clock: Clock,
        announce_revocation: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._authority = authority
        self._config = config
        self._clock = clock
        self._announce_revocation = announce_revocation

    async def enrol(self, request: EnrolmentRequest) -> Enrolment:
        """Spend the claim and certify the doorbell, all or nothing; or raise EnrolmentRefused.

        The same doorbell with the same claim gets the same answer again: the first may have
        been lost on its way.
        """
        csr = check_csr(request.csr_pem)
        _check_sealing_key(request.sealing_key)
        try:
            async with self._database.begin() as tx:
                issued = await self._spend(tx, request, csr)
        except ClaimReplayed as error:
            await self._alarm(request, error)
            raise
        if issued.replaced is not None:
            await self._disconnect(issued.replaced)
        return Enrolment(
            device=csr.device,
            certificate_pem=issued.certificate_pem,
            evidence_certificate_pem=issued.evidence_certificate_pem,
            ca_pem=self._authority.pem,
            broker_host=self._config.broker.mqtt_host,
            broker_port=self._config.broker.mqtt_port,
            bucket_origin=self._config.bucket.endpoint,
            relay_url=self._config.public_url,
            log_url=self._config.log_url,
        )

    async def _alarm(self, request: EnrolmentRequest, error: ClaimReplayed) -> None:
        """Note that a claim is used again: its operator and the doorbell's owners are told."""
        log.error("the claim of doorbell %s was used again, by another key", error.device)
        async with self._database.begin() as tx:
            await fleet.note_replay(tx, hash_of(request.secret), now_ms=self._clock.wall_ms())

    async def _disconnect(self, device: str) -> None:
        """Have every relay throw off a doorbell that was replaced."""
        try:
            await self._announce_revocation(device)
        except BusUnavailable as error:  # each relay reads the set anew when it has its broker back
            log.warning("doorbell %s is replaced, and may still be connected: %s", device, error)

    async def _spend(
        self, tx: Transaction, request: EnrolmentRequest, csr: CertificateRequest
    ) -> "_Issued":
        now_ms = self._clock.wall_ms()
        secret_hash = hash_of(request.secret)
        claim = await fleet.get_claim(tx, secret_hash)
        if claim is None:
            raise EnrolmentRefused("claim", "this relay never gave out such a claim")
        if claim.shard is not None:
            raise HeldElsewhere(claim.shard)
        doorbell = await fleet.get(tx, csr.device)
        if doorbell is not None and doorbell.shard is not None:
            raise HeldElsewhere(doorbell.shard)
        if doorbell is not None and doorbell.revoked_ms is not None:
            raise EnrolmentRefused("revoked", "this doorbell was revoked; reset it first")
        if claim.used_ms is not None:
            if doorbell is None or claim.device != csr.device:
                if secret_hash == hash_of(arrival_secret(claim.device or "")):
                    raise EnrolmentRefused("claim", "this claim is another doorbell's")
                raise ClaimReplayed(claim.device or "")
            if doorbell.sealing_key != request.sealing_key:
                raise EnrolmentRefused("used", "the claim was used with another sealing key")
            return _Issued(
                doorbell.certificate_pem, doorbell.evidence_certificate_pem, claim.replaces
            )
        if now_ms >= claim.expires_ms:
            raise EnrolmentRefused("expired", "the claim is too old; get a new one")
        if claim.device is not None:
            _check_arrival(claim.device, csr, request, doorbell)
        if claim.replaces is not None:
            await self._replace(tx, claim.replaces, request, csr)
        await fleet.use_claim(tx, secret_hash, device=csr.device, used_ms=now_ms)
        certificate = self._authority.sign_doorbell(csr, now_ms)
        ends_ms = ends_ms_of(certificate)
        issued = _Issued(
            pem_of(certificate),
            pem_of(self._authority.sign_evidence(csr, now_ms)),
            claim.replaces,
        )
        if doorbell is not None:
            await fleet.enrol_again(
                tx,
                csr.device,
                certificate_pem=issued.certificate_pem,
                certificate_ends_ms=ends_ms,
                evidence_certificate_pem=issued.evidence_certificate_pem,
                sealing_key=request.sealing_key,
            )
            return issued
        await fleet.add(
            tx,
            DoorbellRow(
                device=csr.device,
                identity_key=b64u(csr.identity_key),
                sealing_key=request.sealing_key,
                certificate_pem=issued.certificate_pem,
                evidence_certificate_pem=issued.evidence_certificate_pem,
                certificate_ends_ms=ends_ms,
                enrolled_ms=now_ms,
                revoked_ms=None,
                state="offline",
                state_since_ms=now_ms,
            ),
        )
        return issued

    async def _replace(
        self, tx: Transaction, device: str, request: EnrolmentRequest, csr: CertificateRequest
    ) -> None:
        """Revoke the doorbell whose place the new one takes, if its key agrees."""
        old = await fleet.get(tx, device)
        if old is not None and old.shard is not None:
            raise HeldElsewhere(old.shard)  # its owner asks for a replacement there
        signature = unb64u(request.replaced_signature or "")
        message = replacement_message(csr.identity_key)
        if old is None or not verify_p256(unb64u(old.identity_key), signature, message):
            raise EnrolmentRefused(
                "replaced", f"the key of doorbell {device}, which this one replaces, didn't sign it"
            )
        if csr.device == device:
            raise EnrolmentRefused("replaced", "a doorbell can't replace itself: make a new key")
        await fleet.revoke(tx, device, revoked_ms=self._clock.wall_ms())


@dataclass(frozen=True, slots=True)
class _Issued:
    """The certificates of one doorbell, in PEM, and whom it replaces."""

    certificate_pem: str
    evidence_certificate_pem: str
    replaced: str | None


def _check_arrival(
    device: str, csr: CertificateRequest, request: EnrolmentRequest, doorbell: DoorbellRow | None
) -> None:
    """Refuse a claim that is bound to a doorbell of another shard to any other, and other keys."""
    if csr.device != device:
        raise EnrolmentRefused("claim", "this claim is another doorbell's")
    if doorbell is None or doorbell.sealing_key != request.sealing_key:
        raise EnrolmentRefused(
            "sealing_key", "the doorbell has another sealing key than the other shard knew"
        )


def _check_sealing_key(text: str) -> None:
    try:
        check_x25519(unb64u(text))
    except WireError as error:
        raise EnrolmentRefused("sealing_key", str(error)) from error
