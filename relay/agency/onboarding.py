"""Agency onboarding: asked → confirmed → enrolled → prepared → submitted, or refused.

    asked      a code went to the agency's official address (or waits to be handed over)
    confirmed  the code came back: somebody reads that mailbox
    enrolled   the signed agreement is here and would be taken by the register
    prepared   an administrator made the change of it; two sign it on their own machines (R17)
    submitted  it is in the register, where it counts once it is public for long enough (R20)

A new version of an agreement comes the same way. The id is the applicant's only key to their page,
so nobody who isn't an administrator gets it from us. Nothing here signs anything.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from firmware.protocol.encoding import (
    AgencyId,
    Line,
    WireError,
    decode,
    is_blank,
    new_id,
    sha256_hex,
)
from firmware.protocol.register.changes import agreement_of
from firmware.protocol.register.entries import Agreement
from relay.agency.addresses import check_official, domain_of, read_address
from relay.agency.agreement_versions import Difference, compare
from relay.agency.changes import ChangeRefused, ProposedChange, join_signatures, propose_agreement
from relay.agency.enrolments import MAX_ENROLMENT_BYTES, read_enrolment
from relay.agency.errors import OnboardingRefused
from relay.agency.keys import AgencyEnrolment
from relay.agency.merged_cells import MergeConflict, find_merge_conflicts
from relay.agency.onboarding_status import (
    OnboardingStatus,
    counts_from,
    digest_of,
    proposed_of,
    signers,
    why_void,
)
from relay.agency.register import RegisterRefused, RegisterView, RelayRegister
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.custody.text_reader import read_agreed_text
from relay.mail import Email, Mailer, MailUnavailable
from relay.store import agency_settings, onboardings, requests
from relay.store.agency_settings import AgencySettings
from relay.store.database import Database, Transaction
from relay.store.onboardings import OnboardingRow, State

HOUR_MS = 3600 * 1000
CODE_LIFE_MS = HOUR_MS
HANDED_OVER_LIFE_MS = 14 * 24 * HOUR_MS
"""A code on paper takes its time."""
MAX_TRIES = 5
FORGOTTEN_MS = 30 * 24 * HOUR_MS
"""An address that was never confirmed."""
LEFT_MS = 90 * 24 * HOUR_MS
"""What nobody went on with, and what was refused."""
NEEDED_SIGNATURES = 2
MAX_REASON_CHARS = 1000
PER_ADDRESS = Rate(at_once=3, each_s=8 * 3600)
PER_DOMAIN = Rate(at_once=10, each_s=3600)
WAITING: tuple[State, ...] = ("asked", "confirmed", "enrolled", "prepared")
DONE: tuple[State, ...] = ("submitted", "refused")

log = logging.getLogger(__name__)


class OnboardingEmails(Protocol):
    """Texts of the mailed letters."""

    def code(self, to: str, agency: str, code: str) -> Email:
        """Return the letter with the code that proves an agency's address, named by its id."""
        ...


class Onboarding:
    """The onboarding service: one method for each step.

    Each step is one transaction that looks at the state.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        register: RelayRegister,
        *,
        letters: OnboardingEmails,
        mailer: Mailer | None = None,
        official_domains: tuple[str, ...] = (),
    ) -> None:
        """`mailer` None: an administrator hands the code over."""
        self._database = database
        self._clock = clock
        self._register = register
        self._letters = letters
        self._mailer = mailer
        self._official_domains = official_domains
        self._allowances = Allowances(clock)

    @property
    def has_mail(self) -> bool:
        """Return whether codes go by mail."""
        return self._mailer is not None

    # --- the agency ---

    async def ask(self, agency: str, name: str, email: str) -> str:
        """Start an onboarding and send the code; return the new id. Raises OnboardingRefused."""
        agency, name = _convert(agency, AgencyId, "agency_id"), _convert(name, Line, "name")
        address = read_address(email)
        check_official(address, self._official_domains)
        view = await self._register.view()
        if agency in view.register.admins:
            raise OnboardingRefused("id_taken", "an administrator has this id: choose another one")
        self._check_often(address)
        now_ms = self._clock.wall_ms()
        onboarding_id = new_id()
        async with self._database.begin() as tx:
            await _check_domain(tx, agency, address)
            await onboardings.forget(
                tx, asked_before_ms=now_ms - FORGOTTEN_MS, left_before_ms=now_ms - LEFT_MS
            )
            await onboardings.add(
                tx, onboarding_id, agency=agency, name=name, email=address, now_ms=now_ms
            )
        if self._mailer is not None:
            try:
                await self._mail_code(onboarding_id, self._mailer)
            except MailUnavailable as error:
                log.warning("a code wasn't mailed: %s", error)  # the page offers it again
        return onboarding_id

    async def send_code(self, onboarding_id: str) -> None:
        """Mail another code in place of the last. Raises OnboardingRefused, MailUnavailable."""
        row = await self._find(onboarding_id)
        if self._mailer is None:
            raise OnboardingRefused("no_mail", "this relay sends no mail: its operator calls you")
        self._check_often(row.email)
        await self._mail_code(onboarding_id, self._mailer)

    async def confirm(self, onboarding_id: str, code: str) -> None:
        """Check the code that the agency entered, or raise OnboardingRefused.

        A wrong one is counted.
        """
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), "asked", "confirmed")
            if row.state == "confirmed":
                return
            if row.code_hash is None or (row.code_expires_ms or 0) <= now_ms:
                raise OnboardingRefused("code_over", "there is no code that still counts: get one")
            if row.code_tries >= MAX_TRIES:
                raise OnboardingRefused("code_tries", "too many wrong codes: get another one")
            is_right = secrets.compare_digest(_code_hash(row.id, code), row.code_hash)
            changes = {"state": "confirmed", "confirmed_ms": now_ms, "code_hash": None}
            wrong = {"code_tries": row.code_tries + 1}
            await onboardings.change(tx, row.id, now_ms, **(changes if is_right else wrong))
        if not is_right:
            left = MAX_TRIES - row.code_tries - 1
            raise OnboardingRefused("code", f"that isn't the code; {left} tries left", left=left)

    async def take_enrolment(self, onboarding_id: str, data: bytes) -> None:
        """Store the signed agreement, or replace it by another; raises OnboardingRefused."""
        view = await self._register.view()
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), "confirmed", "enrolled")
            await _check_domain(tx, row.agency, row.email)
            enrolment, _ = read_enrolment(
                data, agency=row.agency, register=view.register, now_ms=now_ms
            )
            text = enrolment.encode().decode()
            await onboardings.change(tx, row.id, now_ms, state="enrolled", enrolment=text)

    # --- administrators ---

    async def make_code(self, onboarding_id: str) -> str:
        """Return a new code to hand over by letter or telephone; it is shown this once."""
        return await self._new_code(onboarding_id, life_ms=HANDED_OVER_LIFE_MS)

    async def refuse(self, onboarding_id: str, reason: str) -> None:
        """Refuse the onboarding, with a reason that the agency reads. Raises OnboardingRefused."""
        if is_blank(reason) or len(reason) > MAX_REASON_CHARS:
            raise OnboardingRefused(
                "reason", f"give the agency a reason of {MAX_REASON_CHARS} characters at most"
            )
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), *WAITING)
            await onboardings.change(
                tx, row.id, self._clock.wall_ms(), state="refused", reason=reason
            )

    async def prepare(self, onboarding_id: str, enrolment_sha256: str) -> None:
        """Make the change that two sign; done again, signatures so far are void.

        `enrolment_sha256` says which file was read: another one isn't prepared in its place.
        """
        view = await self._register.view()
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), "enrolled", "prepared")
            if digest_of(row) != enrolment_sha256:
                raise _went_on()
            register = await self._register.replayed(tx)
            enrolment, _ = read_enrolment(
                (row.enrolment or "").encode(),
                agency=row.agency,
                register=view.register,
                now_ms=now_ms,
            )
            proposed = propose_agreement(enrolment, follows=register.widenings)
            await onboardings.change(
                tx, row.id, now_ms, state="prepared", proposed=proposed.encode().decode()
            )

    async def prepared(self, onboarding_id: str) -> ProposedChange:
        """Return the change to be signed, with the signatures that it has."""
        row = await self._find(onboarding_id)
        if row.proposed is None:
            raise OnboardingRefused("state", "nothing is prepared here yet")
        return proposed_of(row.proposed)

    async def take_signed(self, onboarding_id: str, data: bytes) -> bool:
        """Store a signed change; True once it is in the register, which needs two signatures.

        Whoever comes second adds to the first's: both may sign the same download.
        """
        try:
            signed = decode(ProposedChange, data, max_bytes=MAX_ENROLMENT_BYTES)
        except WireError as error:
            raise OnboardingRefused("no_change", f"this is no signed change: {error}") from error
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), "prepared", "submitted")
            proposed = proposed_of(row.proposed or "")
            if row.state == "submitted" and signed.change == proposed.change:
                return True
            admins = (await self._register.replayed(tx)).admins
            try:
                joined = join_signatures(proposed, signed, admins)
            except (ChangeRefused, WireError) as error:
                raise OnboardingRefused("signature", str(error), why=str(error)) from error
            await onboardings.change(
                tx, row.id, self._clock.wall_ms(), proposed=joined.encode().decode()
            )
            is_enough = len(joined.signatures) >= NEEDED_SIGNATURES
            if is_enough:
                await self._submit(tx, row, joined)
        return is_enough

    async def _submit(self, tx: Transaction, row: OnboardingRow, joined: ProposedChange) -> None:
        now_ms = self._clock.wall_ms()
        settings = await _check_domain(tx, row.agency, row.email)
        try:
            await self._register.add(tx, joined.leaf(), key=f"change/{joined.parsed().nonce}")
        except RegisterRefused as error:
            raise OnboardingRefused("register", str(error), why=str(error)) from error
        await requests.put_agreement_text(tx, sha256_hex(joined.text.encode()), joined.text)
        settings = replace(settings, email_domain=domain_of(row.email))
        await agency_settings.put(tx, settings, now_ms)
        await onboardings.change(tx, row.id, now_ms, state="submitted")

    # --- looking ---

    async def find(self, onboarding_id: str) -> OnboardingStatus | None:
        """Return one onboarding with all that pages show."""
        row = await self.find_row(onboarding_id)
        return None if row is None else await self._case(row, await self._register.view())

    async def find_row(self, onboarding_id: str) -> OnboardingRow | None:
        """Return one onboarding's row, without parsing the handed-in file."""
        async with self._database.read() as tx:
            return await onboardings.find(tx, onboarding_id)

    async def find_merge_conflicts(self, case: OnboardingStatus) -> Sequence[MergeConflict]:
        """Return the agreements that group some of its cells differently: all are compared."""
        if case.agreement is None:
            return []
        view = await self._register.view()
        return await asyncio.to_thread(
            find_merge_conflicts, case.agreement, view.register, now_ms=view.now_ms
        )

    async def list(
        self, states: tuple[State, ...], *, offset: int = 0, limit: int = 50
    ) -> list[OnboardingRow]:
        """Return the onboardings in these states, last changed first."""
        async with self._database.read() as tx:
            return await onboardings.list_newest(tx, states, offset=offset, limit=limit)

    async def count(self, states: tuple[State, ...]) -> int:
        """Return the number of onboardings in these states."""
        async with self._database.read() as tx:
            return await onboardings.count(tx, states)

    async def _case(self, row: OnboardingRow, view: RegisterView) -> OnboardingStatus:
        if row.enrolment is None:
            return OnboardingStatus(row=row)
        enrolment = decode(AgencyEnrolment, row.enrolment.encode(), max_bytes=MAX_ENROLMENT_BYTES)
        agreement = agreement_of(enrolment.signed)
        proposed = None if row.proposed is None else proposed_of(row.proposed)
        known = view.facts.agreements.get(row.agency, ())
        is_in_register = any(fact.agreement == agreement for fact in known)
        return OnboardingStatus(
            row=row,
            agreement=agreement,
            text=enrolment.text,
            difference=await self._difference(agreement, enrolment.text, view),
            signed_by=() if proposed is None else signers(proposed, view),
            void="" if is_in_register or proposed is None else why_void(proposed, view),
            is_in_register=is_in_register,
            counts_from_ms=counts_from(view, agreement),
        )

    async def _difference(
        self, agreement: Agreement, text: str, view: RegisterView
    ) -> Difference | None:
        """Return the difference to the version before, if the register has one."""
        known = view.facts.agreements.get(agreement.agency, ())
        before = [one.agreement for one in known if one.agreement.version < agreement.version]
        if not before:
            return None
        async with self._database.read() as tx:
            old_text = await read_agreed_text(tx, before[-1].text_sha256)
        return await asyncio.to_thread(compare, before[-1], old_text, agreement, text)

    async def _find(self, onboarding_id: str) -> OnboardingRow:
        async with self._database.read() as tx:
            return _there(await onboardings.find(tx, onboarding_id))

    # --- codes ---

    async def _mail_code(self, onboarding_id: str, mailer: Mailer) -> None:
        code = await self._new_code(onboarding_id, life_ms=CODE_LIFE_MS)
        row = await self._find(onboarding_id)
        await mailer.send(self._letters.code(row.email, row.agency, code))

    async def _new_code(self, onboarding_id: str, *, life_ms: int) -> str:
        code = f"{secrets.randbelow(10**8):08d}"
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = _in_state(await onboardings.find(tx, onboarding_id), "asked")
            await onboardings.change(
                tx,
                row.id,
                now_ms,
                code_hash=_code_hash(row.id, code),
                code_expires_ms=now_ms + life_ms,
                code_tries=0,
            )
        return f"{code[:4]}-{code[4:]}"

    def _check_often(self, address: str) -> None:
        try:
            self._allowances.take(f"address:{address.lower()}", PER_ADDRESS)
            self._allowances.take(f"domain:{domain_of(address)}", PER_DOMAIN)
        except RateExceeded as error:
            hours = -(-error.retry_after_s // 3600)
            raise OnboardingRefused(
                "often", f"too many letters to this address; again in {hours} h", hours=hours
            ) from error


async def _check_domain(tx: Transaction, agency: str, address: str) -> AgencySettings:
    """Return an agency's settings, or raise OnboardingRefused: it stays at the domain it has."""
    settings = await agency_settings.find(tx, agency)
    if settings.email_domain not in (None, domain_of(address)):
        raise OnboardingRefused(
            "known_elsewhere", "this agency is known here by another e-mail domain"
        )
    return settings


def _code_hash(onboarding_id: str, code: str) -> str:
    digits = "".join(char for char in code if char.isascii() and char.isdigit())
    return sha256_hex(f"{onboarding_id}/{digits}".encode())


def _there(row: OnboardingRow | None) -> OnboardingRow:
    if row is None:
        raise OnboardingRefused("unknown", "there is no such page; begin anew")
    return row


def _in_state(row: OnboardingRow | None, *states: State) -> OnboardingRow:
    row = _there(row)
    if row.state not in states:
        raise _went_on()
    return row


def _went_on() -> OnboardingRefused:
    return OnboardingRefused("state", "somebody else went on here meanwhile: look at it again")


def _convert(text: str, kind: object, reason: str) -> str:
    try:
        return str(msgspec.convert(text.strip(), kind))
    except msgspec.ValidationError as error:
        raise OnboardingRefused(reason, f"{reason}: {error}") from error
