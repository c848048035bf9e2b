"""Pairings by network of newcomers to a doorbell that has an owner: further owners, new browsers.

    commitment ─► answered ─reveal─► opened ─► an owner's statement names the commitment
        └──────────── 10 minutes, another reveal, or a stop ────────────┘ over

The relay carries the messages and may be anybody. Each newcomer's place is taken for ten minutes
whatever becomes of it, and there are eight: so whoever wants the words of keys of their own to be
somebody else's four words has that many tries of 2⁻³², and nothing counts without an owner's
signature and the doorbell's own confirmation. Pure but for its nonces and signatures, with the time
passed in; kept in memory only, so a restart ends them all.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from firmware.enrolment.pairing import FollowedRegister, PairingKeys, answer_to, sign_answer
from firmware.protocol.encoding import WireError
from firmware.protocol.pairing import (
    PairedKeys,
    PairingCode,
    Reveal,
    SignedPairingAnswer,
    pairing_words,
    parse_browser_reveal,
    parse_reveal,
)

MAX_OPEN = 8
LIFE_MS = 10 * 60 * 1000
MAX_STATEMENT_MS = 25 * 3600 * 1000
"""Longer than any owner's statement counts that could name a commitment."""


class NewcomerRefused(Exception):
    """A message of a newcomer's pairing isn't taken; the text says why."""


class TooManyNewcomers(NewcomerRefused):
    """All places are taken; each is free again ten minutes after it was taken."""


@dataclass(slots=True, kw_only=True)
class _Place:
    code: PairingCode
    signed: SignedPairingAnswer
    until_ms: int
    opened: "Opened | None" = None
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A pairing whose three messages are there."""

    reveal: Reveal
    words: tuple[str, ...]
    until_ms: int

    @property
    def keys(self) -> PairedKeys:
        """The newcomer's keys."""
        return self.reveal.keys


class Newcomers:
    """The newcomers to one doorbell."""

    def __init__(
        self,
        *,
        keys: PairingKeys,
        has_owner: Callable[[], bool],
        register: FollowedRegister | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._keys = keys
        self._has_owner = has_owner
        self._register = register or FollowedRegister()
        self._random_bytes = random_bytes
        self._places: dict[str, _Place] = {}
        """By the id of the pairing."""
        self._spent: dict[str, int] = {}
        """Commitments that were answered, and until when that is remembered."""

    def commit(self, code: PairingCode, now_ms: int) -> SignedPairingAnswer:
        """Freeze a commitment, and only then draw the nonce; return the answer.

        The same commitment again gets the same answer. Raises NewcomerRefused.
        """
        self._forget_old(now_ms)
        place = self._places.get(code.pairing_id)
        if place is not None and place.code == code and not place.is_over:
            return place.signed
        if not self._has_owner():
            raise NewcomerRefused("this doorbell has no owner yet: pair at its camera")
        if place is not None or code.commitment in self._spent:
            raise NewcomerRefused("this pairing was answered before; begin anew")
        if len(self._places) >= MAX_OPEN:
            raise TooManyNewcomers(
                f"{MAX_OPEN} newcomers are being paired already; try again in ten minutes"
            )
        self._spent[code.commitment] = now_ms + MAX_STATEMENT_MS
        place = _Place(
            code=code,
            signed=sign_answer(
                answer_to(code, self._keys, self._register, self._random_bytes, is_recovery=False),
                self._keys,
            ),
            until_ms=now_ms + LIFE_MS,
        )
        self._places[code.pairing_id] = place
        return place.signed

    def has(self, pairing_id: str, now_ms: int) -> bool:
        """Return whether a newcomer's pairing has this id."""
        self._forget_old(now_ms)
        return pairing_id in self._places

    def reveal(self, pairing_id: str, text: str, now_ms: int) -> None:
        """Take the third message, once; the same one again is no other. Raises NewcomerRefused.

        One that the commitment isn't of ends the pairing.
        """
        self._forget_old(now_ms)
        place = self._places.get(pairing_id)
        if place is None or place.is_over:
            raise NewcomerRefused("no newcomer of this id waits here")
        if place.opened is not None:
            if place.opened.reveal.encode() != text.encode():
                raise NewcomerRefused("the keys of this pairing are known already")
            return
        try:
            reveal = _parse(text)
            if reveal.code != place.code:
                raise WireError("the commitment isn't to this")
        except WireError as error:
            place.is_over = True
            raise NewcomerRefused(str(error)) from error
        place.opened = Opened(
            reveal=reveal, words=pairing_words(place.signed, reveal), until_ms=place.until_ms
        )

    def stop(self, pairing_id: str) -> bool:
        """End a pairing: a wrong word was tapped. Its place stays taken."""
        place = self._places.get(pairing_id)
        if place is None:
            return False
        place.is_over = True
        return True

    def opened(self, now_ms: int) -> Mapping[str, Opened]:
        """Return the pairings whose three messages are there, by their commitments."""
        self._forget_old(now_ms)
        return {
            place.code.commitment: place.opened
            for place in self._places.values()
            if place.opened is not None and not place.is_over
        }

    def _forget_old(self, now_ms: int) -> None:
        self._places = {i: one for i, one in self._places.items() if now_ms < one.until_ms}
        self._spent = {c: until_ms for c, until_ms in self._spent.items() if now_ms < until_ms}


def _parse(text: str) -> Reveal:
    """Parse a newcomer's keys of either kind: no text is of both."""
    try:
        return parse_browser_reveal(text)
    except WireError:
        return parse_reveal(text)
