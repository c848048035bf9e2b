"""The register of agencies and officers' certificates.

A certificate needs no login: the agency's own signature is the authorisation.
"""

from firmware.protocol.claims import Agency
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.passkeys import PasskeyKey, load_p256
from firmware.protocol.requests import SignedCertificate, check_certificate
from relay.agency.keys import OfficerFile
from relay.clock import Clock
from relay.errors import RelayError
from relay.store import people, requests
from relay.store.database import Database, Transaction

SEALING_KEY_BYTES = 32


class CertificateRefused(RelayError):
    """A certificate doesn't hold; the text says why."""


class AgencyRefused(RelayError):
    """An agency's document doesn't hold; the text says why."""


class Register:
    """Looks up agencies, takes and gives certificates."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find_agency(self, agency_id: str) -> Agency | None:
        """Return one agency."""
        async with self._database.read() as tx:
            return await requests.find_agency(tx, agency_id)

    async def agencies(self) -> dict[str, Agency]:
        """Return all agencies by id."""
        async with self._database.read() as tx:
            return {agency.id: agency for agency in await requests.list_agencies(tx)}

    async def find_certificate(self, officer_id: str) -> SignedCertificate | None:
        """Return an officer's certificate."""
        async with self._database.read() as tx:
            return await requests.find_certificate(tx, officer_id)

    async def uncertified(self, agency_id: str) -> list[OfficerFile]:
        """Return the officers who wait for this agency's certificate, as `certify` takes them."""
        async with self._database.read() as tx:
            waiting = await people.list_uncertified(tx, agency_id)
        return [
            OfficerFile(
                officer_id=account.id,
                name=account.name,
                passkey=PasskeyKey(
                    credential_id=passkey.credential_id,
                    public_key=passkey.public_key,
                    rp_id=passkey.rp_id,
                    origin=passkey.origin,
                ),
            )
            for account, passkey in waiting
        ]

    async def take_certificate(self, officer_id: str, signed: SignedCertificate) -> None:
        """Store a certificate that the officer's own agency signed, or raise."""
        async with self._database.begin() as tx:
            officer = await people.find_account(tx, officer_id)
            if officer is None or officer.role != "officer" or officer.agency is None:
                raise CertificateRefused("no officer has this id here")
            agency = await requests.find_agency(tx, officer.agency)
            if agency is None:
                raise CertificateRefused("the officer's agency isn't known here")
            try:
                certificate = check_certificate(signed, unb64u(agency.signing_key))
            except WireError as error:
                raise CertificateRefused(str(error)) from error
            if certificate.officer_id != officer_id or certificate.agency != agency.id:
                raise CertificateRefused("the certificate names another officer or agency")
            if certificate.not_after_ms <= self._clock.wall_ms():
                raise CertificateRefused("the certificate has ended")
            known = await people.find_credential(tx, certificate.passkey.credential_id)
            if (
                known is None
                or known.account_id != officer_id
                or known.public_key != certificate.passkey.public_key
            ):
                raise CertificateRefused("the certificate's passkey isn't this officer's")
            await requests.put_certificate(tx, officer_id, agency.id, signed)


async def add_agency(tx: Transaction, agency: Agency) -> None:
    """Add an agency to the register, or put a new document in its place."""
    try:
        load_p256(unb64u(agency.signing_key))
        sizes = {len(unb64u(key)) for key in agency.sealing_keys}
    except WireError as error:
        raise AgencyRefused(f"{agency.id}: {error}") from error
    if sizes != {SEALING_KEY_BYTES}:
        raise AgencyRefused(f"{agency.id}: a sealing key is {SEALING_KEY_BYTES} bytes (X25519)")
    await requests.put_agency(tx, agency)
