"""What is mailed to agencies, in words: in both languages, since nobody knows which they read."""

from collections.abc import Callable
from datetime import UTC, datetime

from firmware.protocol.register.entries import Agreement
from relay.mail import Letter
from relay.web.i18n import Texts, load_texts


class PageLetters:
    """Implements the letters of relay.agency.onboarding and relay.agency.reminders."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url
        self._texts = load_texts()

    def code(self, to: str, agency: str, code: str) -> Letter:
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

    def reminder(self, to: str, agreement: Agreement, days: int) -> Letter:
        """Return the letter that says how many days are left."""
        ends = datetime.fromtimestamp(agreement.ends_ms / 1000, UTC).strftime("%Y-%m-%d")
        return self._letter(
            to,
            subject=lambda t: t("onboarding.mail.reminder.subject", days=days),
            text=lambda t: t(
                "onboarding.mail.reminder.text",
                name=agreement.name,
                ends=ends,
                days=days,
                version=agreement.version + 1,
                page=f"{self._public_url}/for-agencies",
            ),
        )

    def _letter(
        self, to: str, *, subject: Callable[[Texts], str], text: Callable[[Texts], str]
    ) -> Letter:
        languages = list(self._texts.values())
        return Letter(
            to=to,
            subject=" / ".join(map(subject, languages)),
            text="\n\n----\n\n".join(map(text, languages)) + "\n",
        )
