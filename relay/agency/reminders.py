"""Reminder mails: 60, 30 and 7 days before an agreement ends, 30 days before certificates end.

An agreement that nobody renews suspends the agency's requests, not its evidence (R20). The
officers' dashboard says so as well, mail or not, and of their own certificate. Once the next
version or certificate is in the register, no reminder goes out. Certificates that end about the
same time are named in one letter.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.register.entries import Agreement
from relay.agency.agencies import Agencies, certified_until_ms, standing_of
from relay.agency.register import RegisterView
from relay.base.clock import Clock
from relay.mail import Email, Mailer, MailUnavailable
from relay.store import onboardings
from relay.store.database import Database

DAYS_BEFORE = (60, 30, 7)
CERTIFICATE_DAYS = 30
DAY_MS = 24 * 3600 * 1000
EACH_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingCertificate:
    """An officer's last certificate, which ends soon."""

    officer_id: str
    name: str
    ends_ms: int


class ReminderEmails(Protocol):
    """Texts of the mailed letters."""

    def reminder(self, to: str, agreement: Agreement, days: int) -> Email:
        """Return the letter that says how many days are left."""
        ...

    def certificates_end(
        self, to: str, agreement: Agreement, ending: Sequence[EndingCertificate]
    ) -> Email:
        """Return the letter that lists ending certificates, the first to end first."""
        ...


class Reminders:
    """The hourly task that mails agencies whose agreement or certificates end soon."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        agencies: Agencies,
        *,
        letters: ReminderEmails,
        mailer: Mailer,
    ) -> None:
        self._database = database
        self._clock = clock
        self._agencies = agencies
        self._letters = letters
        self._mailer = mailer

    async def run(self) -> None:
        """Remind until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(EACH_S)

    async def step(self) -> int:
        """Send what is due; return how many letters went out."""
        view = await self._agencies.view()
        sent = 0
        for agency in sorted(view.facts.agreements):
            known = view.facts.agreements[agency][-1]
            days = days_left(view, agency)
            if days is not None:
                sent += await self._remind(known.agreement, days)
            ending = ending_in(view, agency)
            if ending and not known.is_suspended and known.agreement.ends_ms > view.now_ms:
                sent += await self._remind_of(known.agreement, ending)
        return sent

    async def _remind(self, agreement: Agreement, days: int) -> bool:
        before = min(one for one in DAYS_BEFORE if days <= one)
        subject = f"agreement/{agreement.version}"
        address, taken = await self._take(agreement.agency, [subject], before)
        if address is None or not taken:
            return False
        letter = self._letters.reminder(address, agreement, days)
        return await self._send(letter, agreement.agency, taken, before)

    async def _remind_of(self, agreement: Agreement, ending: Sequence[EndingCertificate]) -> bool:
        by_subject = {f"certificate/{one.officer_id}/{one.ends_ms}": one for one in ending}
        address, taken = await self._take(agreement.agency, list(by_subject), CERTIFICATE_DAYS)
        if address is None or not taken:
            return False
        told = [by_subject[subject] for subject in taken]
        letter = self._letters.certificates_end(address, agreement, told)
        return await self._send(letter, agreement.agency, taken, CERTIFICATE_DAYS)

    async def _take(
        self, agency: str, subjects: Sequence[str], before: int
    ) -> tuple[str | None, list[str]]:
        """Return an agency's address and the new reminders, and store them as sent."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            address = await onboardings.find_address(tx, agency)
            if address is None:
                return None, []
            return address, [
                subject
                for subject in subjects
                if await onboardings.take_reminder(tx, agency, subject, before, now_ms)
            ]

    async def _send(self, letter: Email, agency: str, subjects: Sequence[str], before: int) -> bool:
        try:
            await self._mailer.send(letter)
        except MailUnavailable as error:
            log.warning("a reminder to %s wasn't mailed: %s", agency, error)
            async with self._database.begin() as tx:
                for subject in subjects:
                    await onboardings.give_reminder_back(tx, agency, subject, before)
            return False
        return True


def days_left(view: RegisterView, agency: str) -> int | None:
    """Return the days until an agency's newest agreement ends, if that is soon; else None."""
    known = view.facts.agreements.get(agency, ())
    if not known or known[-1].is_suspended:
        return None
    left_ms = known[-1].agreement.ends_ms - view.now_ms
    days = -(-left_ms // DAY_MS)
    return days if 0 < days <= DAYS_BEFORE[0] else None


def ending_in(view: RegisterView, agency: str) -> list[EndingCertificate]:
    """Return the last certificates that end within CERTIFICATE_DAYS, the first to end first."""
    found = []
    for known, officer_id in view.register.officers:
        ends_ms = certified_until_ms(view, agency, officer_id) if known == agency else None
        if ends_ms is not None and ends_ms - view.now_ms <= CERTIFICATE_DAYS * DAY_MS:
            name = standing_of(view, agency, officer_id).name
            found.append(EndingCertificate(officer_id=officer_id, name=name, ends_ms=ends_ms))
    return sorted(found, key=lambda one: (one.ends_ms, one.name))
