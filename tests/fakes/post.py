"""A mail server that keeps every letter, and can be away."""

import re

from relay.mail import Email, MailUnavailable


class RememberingPost:
    """Implements `relay.mail.Mailer`."""

    def __init__(self) -> None:
        self.letters: list[Email] = []
        self.is_away = False

    async def send(self, letter: Email) -> None:
        """Keep a letter."""
        if self.is_away:
            raise MailUnavailable("mail.test:587: away")
        self.letters.append(letter)

    @property
    def code(self) -> str:
        """Return the code in the newest letter."""
        return re.findall(r"\d{4}-\d{4}", self.letters[-1].text)[0]
