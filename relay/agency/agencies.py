"""Agencies and officers by the register: their standing, and the certificates that they hand in.

A certificate and a revocation need no login: the agency's own signature is the authorisation.
What isn't witnessed for long enough doesn't count yet (R17, R20); `counts_from_ms` says when.
"""

from dataclasses import dataclass
from typing import Literal

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.register.changes import parse_change
from firmware.protocol.register.entries import (
    Agreement,
    ChangeLeaf,
    OfficerLeaf,
    OfficerRevoked,
)
from firmware.protocol.register.facts import agreement_in_force
from firmware.protocol.register.records import OfficerRecord
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import (
    ASKING_ROLES,
    OfficerCertificate,
    OfficerRole,
    SignedCertificate,
)
from relay.agency.keys import OfficerFile
from relay.agency.register import RegisterView, RelayRegister
from relay.base.clock import Clock
from relay.custody.errors import TextNotAgreed
from relay.custody.text_reader import find_unfit_texts, read_agreed_text
from relay.errors import RelayError
from relay.store import people
from relay.store.database import Database

AgencyState = Literal["in_force", "waiting", "suspended", "ended"]
OfficerState = Literal["none", "waiting", "valid", "ended", "revoked"]


class CertificateRefused(RelayError):
    """A certificate or a revocation is invalid; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """An agency's standing: `agreement` is the one in force, or else its newest."""

    id: str
    agreement: Agreement
    state: AgencyState
    counts_from_ms: int | None
    """waiting: when its first agreement begins to count; None if no witness has seen it yet."""

    @property
    def name(self) -> str:
        """Its full name."""
        return self.agreement.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An officer's standing; `counts_from_ms` as for agencies."""

    officer_id: str
    state: OfficerState
    name: str = ""
    role: OfficerRole = "officer"
    signed: SignedCertificate | None = None
    passkey: PasskeyKey | None = None
    counts_from_ms: int | None = None


class Agencies:
    """Looks up agencies and officers, and takes what agencies sign."""

    def __init__(self, register: RelayRegister, database: Database, clock: Clock) -> None:
        self._register = register
        self._database = database
        self._clock = clock

    async def view(self) -> RegisterView:
        """Return the register's state now."""
        return await self._register.view()

    async def find(self, agency_id: str) -> Agency | None:
        """Return one agency, if the register has an agreement with it."""
        return agency_of(await self._register.view(), agency_id)

    async def is_in_force(self, agency_id: str) -> bool:
        """Return whether an agency has an agreement that counts now."""
        agency = await self.find(agency_id)
        return agency is not None and agency.state == "in_force"

    async def all(self) -> dict[str, Agency]:
        """Return all agencies by id."""
        view = await self._register.view()
        found = {agency: agency_of(view, agency) for agency in sorted(view.register.agreements)}
        return {agency: one for agency, one in found.items() if one is not None}

    async def find_text(self, sha256: str) -> str | None:
        """Return an agreement's text; None if the register names no such. Raises TextNotAgreed."""
        view = await self._register.view()
        if sha256 not in agreed_digests(view.register):
            return None
        async with self._database.read() as tx:
            return await read_agreed_text(tx, sha256)

    async def has_fit_text(self, agency: Agency) -> bool:
        """Return whether the text of an agency's agreement is stored as it was signed."""
        async with self._database.read() as tx:
            return not await find_unfit_texts(tx, [agency.agreement.text_sha256])

    async def list_unfit_texts(self) -> list[TextNotAgreed]:
        """Return an error for each agreement in the register whose text is altered or missing."""
        async with self._database.read() as tx:
            digests = agreed_digests(await self._register.replayed(tx))
            return await find_unfit_texts(tx, digests)

    async def uncertified(self, agency_id: str) -> list[OfficerFile]:
        """Return the officers who wait for this agency's certificate, as `certify` takes them."""
        view = await self._register.view()
        async with self._database.read() as tx:
            officers = await people.list_officers(tx, agency_id)
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
            for account, passkey in officers
            if standing_of(view, agency_id, account.id).state == "none"
        ]

    async def take_certificate(self, officer_id: str, signed: SignedCertificate) -> None:
        """Put a certificate that the officer's own agency signed into the register, or raise."""
        try:
            told = decode_canonical(OfficerCertificate, signed.certificate.encode())
        except WireError as error:
            raise CertificateRefused(str(error)) from error
        await self._check_passkey(officer_id, told)
        if told.not_after_ms <= self._clock.wall_ms():
            raise CertificateRefused("the certificate has ended")
        view = await self._register.view()
        if view.register.officer_of(signed) is not None:
            return
        await self._register.submit(OfficerLeaf(signed=signed), key=f"officer/{signed.digest()}")

    async def take_revocation(self, officer_id: str, leaf: ChangeLeaf) -> None:
        """Put an agency's own revocation of an officer into the register, or raise."""
        try:
            change = parse_change(leaf)
        except WireError as error:
            raise CertificateRefused(str(error)) from error
        body = change.body
        if not isinstance(body, OfficerRevoked) or body.officer_id != officer_id:
            raise CertificateRefused("this revokes no certificate of this officer")
        if any(one.by != body.agency for one in leaf.signatures):
            raise CertificateRefused("only the agency's own signature is taken here")
        await self._register.submit(leaf, key=f"change/{change.nonce}")

    async def _check_passkey(self, officer_id: str, told: OfficerCertificate) -> None:
        async with self._database.read() as tx:
            officer = await people.find_account(tx, officer_id)
            known = await people.find_credential(tx, told.passkey.credential_id)
        if officer is None or officer.role != "officer" or officer.agency is None:
            raise CertificateRefused("no officer has this id here")
        if told.officer_id != officer_id or told.agency != officer.agency:
            raise CertificateRefused("the certificate names another officer or agency")
        if (
            known is None
            or known.account_id != officer_id
            or known.public_key != told.passkey.public_key
        ):
            raise CertificateRefused("the certificate's passkey isn't this officer's")


def agreed_digests(register: Register) -> frozenset[str]:
    """Return the SHA-256 of every agreement's text in the register."""
    return frozenset(
        record.agreement.text_sha256
        for of_agency in register.agreements.values()
        for record in of_agency
    )


def agency_of(view: RegisterView, agency_id: str) -> Agency | None:
    """Return one agency's standing in a view of the register."""
    facts = view.facts.agreements.get(agency_id, ())
    if not facts:
        return None
    in_force = agreement_in_force(view.facts, agency_id, view.now_ms)
    newest = facts[-1]
    state: AgencyState = "in_force"
    counts_from_ms = None
    if in_force is None:
        state = "waiting"
        if newest.is_suspended:
            state = "suspended"
        elif view.now_ms >= newest.agreement.ends_ms:
            state = "ended"
        elif newest.seen_ms is not None and facts[0].seen_ms is not None:
            delays = view.facts.delays
            counts_from_ms = max(
                facts[0].seen_ms + delays.agreement_age_ms,
                newest.seen_ms + delays.key_age_ms,
                newest.agreement.begins_ms,
            )
    return Agency(
        id=agency_id,
        agreement=in_force or newest.agreement,
        state=state,
        counts_from_ms=counts_from_ms,
    )


def public_agency(agency: Agency) -> dict[str, object]:
    """Return an agency's public facts for pages and apps, as JSON."""
    agreement = agency.agreement
    return {
        "id": agency.id,
        "name": agency.name,
        "signing_key": agreement.signing_key,
        "sealing_keys": agreement.sealing_keys,
        "agreement_until_ms": agreement.ends_ms,
        "cells": agreement.cells,
    }


def standing_of(view: RegisterView, agency_id: str, officer_id: str) -> Standing:
    """Return one officer's standing: by the newest certificate that counts, or else the newest."""
    known = view.register.officers.get((agency_id, officer_id), [])
    standings = [_standing(view, record) for record in known]
    if not standings:
        return Standing(officer_id=officer_id, state="none")
    valid = [one for one in standings if one.state == "valid"]
    return (valid or standings)[-1]


def certified_until_ms(view: RegisterView, agency_id: str, officer_id: str) -> int | None:
    """Return when an officer's last certificate ends; None if none counts now or will."""
    known = view.register.officers.get((agency_id, officer_id), [])
    ends = [
        record.certificate.not_after_ms
        for record in known
        if _standing(view, record).state in ("valid", "waiting")
    ]
    return max(ends, default=None)


def officers_of(view: RegisterView, agency_id: str) -> list[Standing]:
    """Return an agency's officers who may sign requests now, by name."""
    ids = [officer_id for agency, officer_id in view.register.officers if agency == agency_id]
    standings = [standing_of(view, agency_id, officer_id) for officer_id in ids]
    asking = [one for one in standings if one.state == "valid" and one.role in ASKING_ROLES]
    return sorted(asking, key=lambda one: one.name)


def _standing(view: RegisterView, record: OfficerRecord) -> Standing:
    certificate = record.certificate
    seen_ms = view.stamps.seen_ms(record.index)
    counts_from_ms = None if seen_ms is None else seen_ms + view.register.delays.key_age_ms
    agency = agency_of(view, certificate.agency)
    state: OfficerState = "valid"
    if record.is_revoked or agency is None or agency.agreement.signing_key != record.signing_key:
        state = "revoked"  # by name, or because the agency has another key now
    elif view.now_ms >= certificate.not_after_ms:
        state = "ended"
    elif counts_from_ms is None or view.now_ms < counts_from_ms:
        state = "waiting"
    return Standing(
        officer_id=certificate.officer_id,
        state=state,
        name=certificate.name,
        role=certificate.role,
        signed=record.signed,
        passkey=certificate.passkey,
        counts_from_ms=counts_from_ms if state == "waiting" else None,
    )
