"""Letters before an agreement ends: 60, 30 and 7 days, each once.

An agreement that nobody renews suspends the agency's requests, not its evidence (R20). The
officers' dashboard says so as well, mail or not. Once the next version is in the register, no
reminder goes out.
"""

import asyncio
import logging
from typing import Protocol

from firmware.protocol.register.entries import Agreement
from relay.agency.agencies import Agencies
from relay.agency.register import RegisterView
from relay.clock import Clock
from relay.mail import Letter, Mailer, MailUnavailable
from relay.store import onboardings
from relay.store.database import Database

DAYS_BEFORE = (60, 30, 7)
DAY_MS = 24 * 3600 * 1000
EACH_S = 3600.0

log = logging.getLogger(__name__)


class Letters(Protocol):
    """Words for what is mailed."""

    def reminder(self, to: str, agreement: Agreement, days: int) -> Letter:
        """Return the letter that says how many days are left."""
        ...


class Reminders:
    """Looks every hour whose agreement ends soon, and writes to them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        agencies: Agencies,
        *,
        letters: Letters,
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
            days = days_left(view, agency)
            if days is not None:
                sent += await self._remind(view.facts.agreements[agency][-1].agreement, days)
        return sent

    async def _remind(self, agreement: Agreement, days: int) -> bool:
        agency, version = agreement.agency, agreement.version
        before = min(one for one in DAYS_BEFORE if days <= one)
        async with self._database.begin() as tx:
            address = await onboardings.find_address(tx, agency)
            if address is None:
                return False
            now_ms = self._clock.wall_ms()
            if not await onboardings.take_reminder(tx, agency, version, before, now_ms):
                return False
        try:
            await self._mailer.send(self._letters.reminder(address, agreement, days))
        except MailUnavailable as error:
            log.warning("a reminder to %s wasn't mailed: %s", agency, error)
            async with self._database.begin() as tx:
                await onboardings.give_reminder_back(tx, agency, version, before)
            return False
        return True


def days_left(view: RegisterView, agency: str) -> int | None:
    """Return in how many days an agency's newest agreement ends, if that is soon; else None."""
    known = view.facts.agreements.get(agency, ())
    if not known or known[-1].is_suspended:
        return None
    left_ms = known[-1].agreement.ends_ms - view.now_ms
    days = -(-left_ms // DAY_MS)
    return days if 0 < days <= DAYS_BEFORE[0] else None
