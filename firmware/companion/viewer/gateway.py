"""The gateway to one doorbell's live view: signs players' offers, verifies the answers.

An answer is handed on only if the doorbell's pinned key signed it for exactly this offer, with the
certificate that the player offered and the one that the answer names. So neither the relay nor
whoever sits at it can stand in the middle, and the viewer token alone opens nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.companion.viewer.clock import PlayerClock
from firmware.companion.viewer.errors import (
    AnswerRefused,
    FragmentRefused,
    NoSuchSession,
    OfferRefused,
    RelayError,
    RelayRefused,
)
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.relay_client import IceServer, Signalling
from firmware.companion.viewer.sdp_fragment import Fragment, ufrags_of
from firmware.protocol.encoding import WireError, new_id, unb64u
from firmware.protocol.live import (
    MAX_CANDIDATE_MESSAGES,
    MAX_CANDIDATES,
    LiveCandidates,
    LiveOffer,
    Purpose,
    SignedLive,
    check_answer,
)
from firmware.protocol.players import PlayerSetup
from firmware.protocol.sdp import check_offer

MAX_SESSIONS = 8
"""A further one ends the oldest: players that lost their line come again without saying goodbye."""
CLOSE_S = 5.0


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open session with the doorbell; `key` is its id for players on this machine."""

    key: str
    sdp: str
    ice_servers: Sequence[IceServer]


@dataclass(slots=True, kw_only=True)
class _Session:
    offer: LiveOffer
    ufrags: frozenset[str]
    ends_s: float
    messages: int = 0


class Gateway:
    """The sessions of all players on this machine."""

    def __init__(
        self,
        *,
        keys: PlayerKeys,
        setup: PlayerSetup,
        relay: Signalling,
        clock: PlayerClock,
        purpose: Purpose = "live",
    ) -> None:
        """With another `purpose` than "live" nobody is told of watching: no pictures are sent."""
        self._keys = keys
        self._setup = setup
        self._identity_spki = unb64u(setup.identity_key)
        self._relay = relay
        self._clock = clock
        self._purpose: Purpose = purpose
        self._sessions: dict[str, _Session] = {}
        self._opening = 0

    async def open(self, sdp: str) -> Opened:
        """Ask the doorbell for live view with a player's offer.

        Raises OfferRefused, AnswerRefused or RelayError.
        """
        try:
            check_offer(sdp)
        except WireError as error:
            raise OfferRefused(f"this offer can't be taken: {error}") from error
        self._forget_old()
        if self._opening >= MAX_SESSIONS:
            raise RelayRefused("too_often", "too many players begin at once")
        self._opening += 1
        try:
            await self._make_room()
            ice = await self._relay.ice()
            return await self._offered(sdp, ice.ice_servers)
        finally:
            self._opening -= 1

    async def trickle(self, key: str, fragment: Fragment) -> None:
        """Bring the doorbell what a player trickled, or raise a ViewerError."""
        session = self._session(key)
        if not fragment.ufrags <= session.ufrags:
            raise FragmentRefused(
                "an ICE restart isn't supported: end this session and offer again"
            )
        candidates = list(fragment.candidates)
        pieces = [
            candidates[i : i + MAX_CANDIDATES] for i in range(0, len(candidates), MAX_CANDIDATES)
        ] or [[]]
        if not candidates and not fragment.is_last:
            return
        for piece in pieces:
            session.messages += 1
            if session.messages > MAX_CANDIDATE_MESSAGES:
                raise FragmentRefused(f"at most {MAX_CANDIDATE_MESSAGES} fragments a session")
            is_last = fragment.is_last and piece is pieces[-1]
            signed = self._keys.sign(_more(session.offer, session.messages, piece, is_last))
            await self._relay.candidates(session.offer.session_id, signed)

    async def close(self, key: str) -> None:
        """End a session, or raise NoSuchSession."""
        session = self._session(key)
        del self._sessions[key]
        await self._relay.close(session.offer.session_id)

    async def end(self, key: str) -> None:
        """End a session if there is one, as far as the doorbell can be reached soon."""
        session = self._sessions.pop(key, None)
        if session is not None:
            await self._end_quietly(session.offer.session_id)

    async def ice_servers(self) -> Sequence[IceServer]:
        """Return STUN and TURN servers for one session, or raise RelayError."""
        return (await self._relay.ice()).ice_servers

    async def aclose(self) -> None:
        """End all sessions, as far as the relay can be reached soon."""
        ending = [self._end_quietly(one.offer.session_id) for one in self._sessions.values()]
        self._sessions.clear()
        await asyncio.gather(*ending)

    async def _offered(self, sdp: str, servers: Sequence[IceServer]) -> Opened:
        offer, signed = await self._asked(sdp)
        try:
            answer = check_answer(
                signed, self._identity_spki, offer=offer, now_ms=self._clock.wall_ms()
            )
        except WireError as error:
            logger.warning("an answer was refused: %s", error)
            await self._end_quietly(offer.session_id)
            raise AnswerRefused(
                f"what came back isn't this doorbell's answer to this offer: {error}. Either "
                "somebody is in between, or the clock of this machine or the doorbell is wrong"
            ) from error
        key = new_id()
        self._sessions[key] = _Session(
            offer=offer,
            ufrags=frozenset(ufrags_of(sdp.splitlines())),
            ends_s=self._clock.monotonic_s() + answer.lasts_s,
        )
        return Opened(key=key, sdp=answer.sdp, ice_servers=servers)

    async def _asked(self, sdp: str) -> tuple[LiveOffer, SignedLive]:
        """Sign and send the offer; again if the doorbell has forgotten its nonce (a restart)."""
        offer = await self._new_offer(sdp)
        try:
            return offer, await self._relay.offer(offer.session_id, self._keys.sign(offer))
        except RelayRefused as error:
            if error.code != "nonce":
                raise
        offer = await self._new_offer(sdp)
        return offer, await self._relay.offer(offer.session_id, self._keys.sign(offer))

    async def _new_offer(self, sdp: str) -> LiveOffer:
        return LiveOffer(
            device=self._setup.device,
            session_id=new_id(),
            nonce=await self._relay.nonce(),
            browser=self._keys.public.id,
            purpose=self._purpose,
            hears=self._purpose == "live" and "\nm=audio " in sdp,
            sdp=sdp,
        )

    async def _make_room(self) -> None:
        while len(self._sessions) + self._opening > MAX_SESSIONS and self._sessions:
            oldest = self._sessions.pop(next(iter(self._sessions)))
            await self._end_quietly(oldest.offer.session_id)

    async def _end_quietly(self, session_id: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._relay.close(session_id)
        except (RelayError, TimeoutError) as error:
            why = str(error) or "it took too long"
            logger.info("the end of a session couldn't be sent to the doorbell: %s", why)

    def _session(self, key: str) -> _Session:
        self._forget_old()
        session = self._sessions.get(key)
        if session is None:
            raise NoSuchSession
        return session

    def _forget_old(self) -> None:
        now_s = self._clock.monotonic_s()
        for key in [key for key, one in self._sessions.items() if one.ends_s <= now_s]:
            del self._sessions[key]


def _more(offer: LiveOffer, number: int, lines: list[str], is_last: bool) -> LiveCandidates:
    return LiveCandidates(
        device=offer.device,
        session_id=offer.session_id,
        nonce=offer.nonce,
        browser=offer.browser,
        number=number,
        candidates=lines,
        is_last=is_last,
    )
