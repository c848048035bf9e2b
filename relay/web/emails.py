"""Texts of mail to agencies: in both languages, since the reader's isn't known."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from firmware.protocol.plain_text import plain
from firmware.protocol.register.entries import Agreement
from relay.agency.reminders import EndingCertificate
from relay.mail import Email
from relay.web.i18n import Texts, load_texts

MAX_NAMED = 50


class TranslatedEmails:
    """Implements the letters of relay.agency.onboarding, .reminders and
    relay.people.colleague_invitations."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url
        self._texts = load_texts()

    def code(self, to: str, agency: str, code: str) -> Email:
        """Return the letter with the code that proves an agency's address.

        The page isn't named in it: who asked has it open, and nobody else is to go on there. Nor is
        anything in it that whoever asked wrote freely: it goes to an address of their choice.
        """
        return self._letter(
            to,
            subject=lambda t: t("onboarding.mail.code.subject"),
            text=lambda t: t(
                "onboarding.mail.code.text", agency=agency, code=code, relay=self._public_url
            ),
        )

    def reminder(self, to: str, agreement: Agreement, days: int) -> Email:
        """Return the letter that says how many days are left."""
        return self._letter(
            to,
            subject=lambda t: t("onboarding.mail.reminder.subject", days=days),
            text=lambda t: t(
                "onboarding.mail.reminder.text",
                name=agreement.name,
                ends=day_of(agreement.ends_ms),
                days=days,
                version=agreement.version + 1,
                page=f"{self._public_url}/for-agencies",
            ),
        )

    def certificates_end(
        self, to: str, agreement: Agreement, ending: Sequence[EndingCertificate]
    ) -> Email:
        """Return the letter that lists ending certificates, the first to end first."""
        named = [f"{day_of(one.ends_ms)}  {plain(one.name)}" for one in ending[:MAX_NAMED]]
        if len(ending) > MAX_NAMED:
            named.append(f"+ {len(ending) - MAX_NAMED}")
        return self._letter(
            to,
            subject=lambda t: t("reminder.certificates.subject"),
            text=lambda t: t(
                "reminder.certificates.text", name=agreement.name, officers="\n".join(named)
            ),
        )

    def invitation(self, to: str, agency: str, link: str) -> Email:
        """Return the letter with a colleague's one-time link."""
        return self._letter(
            to,
            subject=lambda t: t("staff.mail.subject"),
            text=lambda t: t("staff.mail.text", agency=agency, link=link),
        )

    def admin_invitation(self, to: str, link: str) -> Email:
        """Return the letter with the one-time link of an administrator of this relay."""
        return self._letter(
            to,
            subject=lambda t: t("staff.mail.subject"),
            text=lambda t: t("staff.mail.admin.text", relay=self._public_url, link=link),
        )

    def _letter(
        self, to: str, *, subject: Callable[[Texts], str], text: Callable[[Texts], str]
    ) -> Email:
        languages = list(self._texts.values())
        return Email(
            to=to,
            subject=" / ".join(map(subject, languages)),
            text="\n\n----\n\n".join(map(text, languages)) + "\n",
        )


def day_of(time_ms: int) -> str:
    """Return a day as text for letters."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
