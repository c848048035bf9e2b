"""The processes of one relay as each of them knows the others: who is there, and in which roles.

    hello ─► whoever is there says so at once ─► SETTLE_S later the list is complete
    alive, each BEAT_S ─► unheard for GONE_S: gone        goodbye ─► gone at once

All of it is said over the broker and kept in memory only. It decides who begins a work, and never
who may write: two that don't see each other both think that they are to (store/partitions.py). So
whoever itself was away for GONE_S, suspended or without the broker, knows nothing and begins anew.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from firmware.protocol.encoding import Document, WireError, decode, new_id
from relay.bus import Bus
from relay.errors import BusUnavailable

log = logging.getLogger(__name__)

MEMBER_ID_CHARS = 10
BEAT_S = 1.0
GONE_S = 3.0
SETTLE_S = 0.25
HEAR_S = 2.5
"""Everybody who is there has said so twice by then."""
MAX_ALIVE_BYTES = 1024
MAX_UNHEARD = 64
"""Of so many that are gone it is known that they come back."""


class Alive(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What a process says of itself; a newer relay may say more."""

    id: str
    roles: frozenset[str]
    is_new: bool = False
    """It asks the others to say at once that they are there."""
    is_leaving: bool = False


@dataclass(slots=True, kw_only=True)
class _Heard:
    roles: frozenset[str]
    at_s: float


class Members:
    """The processes that are there, this one among them."""

    def __init__(self, bus: Bus, roles: Iterable[str]) -> None:
        self.id = new_id()[:MEMBER_ID_CHARS]
        self._bus = bus
        self._roles = frozenset(roles)
        self._others: dict[str, _Heard] = {}
        self._unheard: deque[str] = deque(maxlen=MAX_UNHEARD)
        self._handlers: list[Callable[[], None]] = []
        self._return_handlers: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._is_listening = False
        self._is_settled = False
        self._is_leaving = False

    @property
    def is_settled(self) -> bool:
        """Whether everybody who is there has had the time to say so."""
        return self._is_settled and not self._is_leaving

    def with_role(self, role: str) -> frozenset[str]:
        """Return the ids of those in a role; none as long as the list isn't complete."""
        if not self.is_settled:
            return frozenset()
        own = {self.id} if role in self._roles else set()
        return frozenset({one for one, it in self._others.items() if role in it.roles} | own)

    def knows(self, member: str) -> bool:
        """Return whether this is the id of another process that is there."""
        return member in self._others

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.is_settled and not self._others

    @property
    def has_successors(self) -> bool:
        """Whether each role of this process is another's as well."""
        return all(self.with_role(role) - {self.id} for role in self._roles)

    def leads(self, role: str) -> bool:
        """Return whether this process is the one that does what one in a role is to do."""
        return min(self.with_role(role), default=None) == self.id

    def on_change(self, handler: Callable[[], None]) -> None:
        """Call `handler` whenever somebody came or went, or this process lost its sight."""
        self._handlers.append(handler)

    def on_return(self, handler: Callable[[], None]) -> None:
        """Call `handler` when one is heard again that wasn't: what it said meanwhile is lost."""
        self._return_handlers.append(handler)

    async def run(self) -> None:
        """Hear the others and be heard, until cancelled or after `leave`."""
        if not self._is_listening:  # a supervisor may run this again
            self._bus.on_reconnected(self._reconnected)
            await self._bus.on_relays("alive", self._take)
            self._is_listening = True
        while not self._is_leaving:
            try:
                if await self._begin():
                    await self._beat()
            finally:
                self._is_settled = False
                self._tell()

    async def leave(self) -> None:
        """Say goodbye: what this process did is taken over at once. It isn't heard any more."""
        if self._is_leaving:
            return
        self._is_leaving = True
        self._wake.set()
        self._tell()
        with contextlib.suppress(BusUnavailable):  # then it is unheard soon
            await self._say(is_leaving=True)

    async def _begin(self) -> bool:
        """Say hello, and settle once the others could answer; False: the broker is away.

        Without the broker a process hears nobody: it would think that it is alone, and claim all.
        """
        self._wake.clear()
        self._unheard.extend(self._others)  # some may be parted now, and say what is lost
        self._others.clear()
        is_heard = self._bus.is_hearing
        try:
            async with asyncio.timeout(GONE_S):
                if is_heard:
                    await self._say(is_new=True)
                    await self._bus.flush()
                    await asyncio.sleep(SETTLE_S)
                    is_heard = self._bus.is_hearing
        except (BusUnavailable, TimeoutError):
            is_heard = False
        if not is_heard:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            return False
        self._is_settled = True
        self._tell()
        return True

    async def _beat(self) -> None:
        """Say each BEAT_S that this process is there; return once it was away or has to leave."""
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            now_s = loop.time()
            if self._wake.is_set() or now_s - last_s >= GONE_S:
                return
            if not self._bus.is_hearing:
                continue  # for GONE_S, as long as the others know it
            last_s = now_s
            await self._say()
            gone = [one for one, it in self._others.items() if now_s - it.at_s >= GONE_S]
            for one in gone:
                log.warning("relay process %s isn't heard any more", one)
                del self._others[one]
                self._unheard.append(one)
            if gone:
                self._tell()

    async def _reconnected(self) -> None:
        self._wake.set()  # what was said meanwhile is lost

    async def _take(self, _subject: str, data: bytes) -> None:
        try:
            alive = decode(Alive, data, max_bytes=MAX_ALIVE_BYTES)
        except WireError as error:
            log.warning("what a relay process says of itself can't be read: %s", error)
            return
        if alive.id == self.id:
            return
        known = self._others.get(alive.id)
        if alive.is_leaving:
            self._others.pop(alive.id, None)
        else:
            at_s = asyncio.get_running_loop().time()
            self._others[alive.id] = _Heard(roles=alive.roles, at_s=at_s)
            if alive.id in self._unheard:
                log.info("relay process %s is heard again", alive.id)
                self._unheard.remove(alive.id)
                for handler in self._return_handlers:
                    handler()
        if alive.is_new and not self._is_leaving:
            with contextlib.suppress(BusUnavailable):  # it is connected again later
                await self._say()
        if (known is None) != alive.is_leaving or (known and known.roles != alive.roles):
            self._tell()

    async def _say(self, *, is_new: bool = False, is_leaving: bool = False) -> None:
        alive = Alive(id=self.id, roles=self._roles, is_new=is_new, is_leaving=is_leaving)
        await self._bus.publish_to_relays("alive", msgspec.json.encode(alive))

    def _tell(self) -> None:
        for handler in self._handlers:
            handler()


async def list_members(bus: Bus) -> list[Alive]:
    """Return who is there, from a process that isn't one of them and says nothing of itself."""
    heard: dict[str, Alive] = {}

    async def take(_subject: str, data: bytes) -> None:
        with contextlib.suppress(WireError):
            alive = decode(Alive, data, max_bytes=MAX_ALIVE_BYTES)
            heard[alive.id] = alive

    await bus.on_relays("alive", take)
    await asyncio.sleep(HEAR_S)
    return [alive for alive in heard.values() if not alive.is_leaving]
