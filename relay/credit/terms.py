"""The terms of every issued doorbell, in both languages: there are no others (R25).

They are part of the program, so that no operator or partner can add a clause. Their digest is on
each receipt. A changed text is a new version.
"""

from typing import Final, Literal

from firmware.protocol.encoding import Document

ENGLISH: Final = (
    "The doorbell is yours. It is a gift, and you owe nothing for it: not to the partner who paid, "
    "not to the operator of the relay, and not to any agency. You need not put it up, pair it, "
    "keep it, or share a recording with anybody, now or later. Nobody may ask you to return it, "
    "and nobody is told whether you use it. Nothing but this text counts."
)
SWEDISH: Final = (
    "Dörrklockan är din. Den är en gåva, och du är inte skyldig någon något för den: inte partnern "
    "som betalade, inte den som driver reläet och ingen myndighet. Du behöver inte sätta upp den, "
    "para den, behålla den eller dela en inspelning med någon, varken nu eller senare. Ingen får "
    "begära den tillbaka, och ingen får veta om du använder den. Inget annat än det här gäller."
)


class Terms(Document, frozen=True, kw_only=True):
    """The published terms in both languages."""

    v: Literal[1] = 1
    domain: Literal["doorward/credits-terms/v1"] = "doorward/credits-terms/v1"
    en: str = ENGLISH
    sv: str = SWEDISH


TERMS: Final = Terms()
