"""Invitations of officers by their agency's administrator: shown to the latter, and mailed.

Where the operator has a mail server. The link is shown in every case, since a letter may be lost.
It makes an account; what that may do, a certificate of the agency's own key says.
"""

import logging
from dataclasses import dataclass
from typing import Literal, Protocol

from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.mail import Email, Mailer, MailUnavailable
from relay.people.staff import Staff

PER_ADDRESS = Rate(at_once=3, each_s=8 * 3600)
PER_AGENCY = Rate(at_once=30, each_s=600)

Posted = Literal["no_mail", "mailed", "failed", "often"]
"""Whether a letter went out: there is no mail server, it took it, it didn't, or it wasn't asked."""

log = logging.getLogger(__name__)


class InvitationEmails(Protocol):
    """Texts of the mailed letters."""

    def invitation(self, to: str, agency: str, link: str) -> Email:
        """Return the letter with a colleague's link; `agency` is its full name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SentInvitation:
    """A colleague's link, and whether it was mailed."""

    link: str
    posted: Posted


class ColleagueInvitations:
    """Creates invitations; the caller has checked that the address is a colleague's."""

    def __init__(
        self,
        staff: Staff,
        clock: Clock,
        *,
        origin: str,
        letters: InvitationEmails,
        mailer: Mailer | None,
    ) -> None:
        """`mailer` None: the administrator sends the link on."""
        self._staff = staff
        self._origin = origin
        self._letters = letters
        self._mailer = mailer
        self._allowances = Allowances(clock)

    async def invite(self, agency: str, agency_name: str, email: str) -> SentInvitation:
        """Return a new invitation, valid whether or not it was mailed."""
        secret = await self._staff.invite(agency, email)
        link = f"{self._origin}/agency/join?invitation={secret}"
        letter = self._letters.invitation(email, agency_name, link)
        return SentInvitation(link=link, posted=await self._post(agency, letter))

    async def _post(self, agency: str, letter: Email) -> Posted:
        if self._mailer is None:
            return "no_mail"
        try:
            self._allowances.take(f"address:{letter.to.lower()}", PER_ADDRESS)
            self._allowances.take(f"agency:{agency}", PER_AGENCY)
            await self._mailer.send(letter)
        except RateExceeded:
            return "often"
        except MailUnavailable as error:
            log.warning("an invitation of %s wasn't mailed: %s", agency, error)
            return "failed"
        return "mailed"
