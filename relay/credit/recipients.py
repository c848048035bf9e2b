"""Lists of recipients by numbers, and the draw of lots among them. Pure.

A list holds numbers, no names: who has which number only the partner knows. Its file's digest goes
into the public log before the draw. The draw's seed is the digest and the root of the first
witnessed checkpoint of a larger log, so whoever made the list couldn't know it.
"""

import hashlib
from typing import Annotated, Final, Literal

import msgspec

from firmware.protocol.custody import CreditsName
from firmware.protocol.encoding import Document, WireError, decode_canonical
from relay.credit.errors import CreditRefused

LOT_TAG: Final = b"doorward/credit-lot/v1\x00"
MAX_RECIPIENTS: Final = 10_000
MAX_LIST_BYTES: Final = 512 * 1024
MAX_CRITERION_CHARS: Final = 2000

RecipientNumber = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
Criterion = Annotated[str, msgspec.Meta(max_length=MAX_CRITERION_CHARS)]


class Recipient(Document, frozen=True, kw_only=True):
    """One number on a list; `points` by the published need, 0 where lots are drawn among all."""

    number: RecipientNumber
    points: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class RecipientList(Document, frozen=True, kw_only=True):
    """A published list; `doorbells` are given, by most points first, and by lot among equals."""

    v: Literal[1] = 1
    domain: Literal["doorward/credits-recipients/v1"] = "doorward/credits-recipients/v1"
    name: CreditsName
    partner: str
    by: Literal["need", "lot"]
    doorbells: Annotated[int, msgspec.Meta(ge=1, le=MAX_RECIPIENTS)]
    need_en: Criterion = ""
    need_sv: Criterion = ""
    recipients: Annotated[list[Recipient], msgspec.Meta(min_length=1, max_length=MAX_RECIPIENTS)]


def parse_list(text: bytes) -> RecipientList:
    """Parse the file of a list, or raise WireError."""
    return decode_canonical(RecipientList, text, max_bytes=MAX_LIST_BYTES)


def recipients_in(text: str, *, by: Literal["need", "lot"]) -> list[Recipient]:
    """Return the recipients of a text: a line each, `NUMBER`, or by need `NUMBER POINTS`."""
    found: dict[int, Recipient] = {}
    for at, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        is_right = len(words) == (2 if by == "need" else 1)
        if not (
            is_right and all(one.isascii() and one.isdecimal() and len(one) < 10 for one in words)
        ):
            wanted = "NUMBER POINTS" if by == "need" else "NUMBER"
            raise CreditRefused("list", f"line {at}: expected {wanted}, not {line[:40]!r}")
        one = Recipient(number=int(words[0]), points=int(words[1]) if by == "need" else 0)
        if one.number in found:
            raise CreditRefused("list", f"line {at}: {one.number} is on the list already")
        found[one.number] = one
    return sorted(found.values(), key=lambda one: one.number)


def checked(listed: RecipientList) -> RecipientList:
    """Return the list if it is in bounds and says by which need, or raise CreditRefused."""
    if listed.by == "need" and not (listed.need_en.strip() and listed.need_sv.strip()):
        raise CreditRefused("list", "by need: say in both languages what gives points")
    try:
        return parse_list(listed.encode())
    except WireError as error:
        raise CreditRefused("list", str(error)) from error


def draw(listed: RecipientList, checkpoint_root: bytes) -> list[int]:
    """Return all numbers of a list in the order in which they get a doorbell."""
    seed = hashlib.sha256(LOT_TAG + bytes.fromhex(listed.digest()) + checkpoint_root).digest()

    def place(one: Recipient) -> tuple[int, bytes]:
        return -one.points, hashlib.sha256(seed + one.number.to_bytes(8, "big")).digest()

    return [one.number for one in sorted(listed.recipients, key=place)]
