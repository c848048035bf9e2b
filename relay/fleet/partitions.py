"""Partitions of the fleet: each doorbell is in one, and each has one process that works on it.

The owner is the same in everybody's eyes who sees the same processes (rendezvous hashing over those
in the role `ingest`), so nobody has to be asked, and one that comes or goes moves its own share
alone. An owner claims its partition in the database before it begins, and holds it in each
transaction: the earlier owner, if it isn't gone after all, can't commit any more.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from firmware.protocol.encoding import new_id
from relay.bus import PARTITIONS, partition_of
from relay.errors import StoreError
from relay.fleet.members import BEAT_S, MEMBER_ID_CHARS, Members
from relay.store import partitions
from relay.store.database import Database

log = logging.getLogger(__name__)

INGEST = "ingest"

Handler = Callable[[frozenset[int]], None]


def owner_of(partition: int, members: Iterable[str]) -> str | None:
    """Return which of these processes works on a partition; None without any."""
    return max(members, key=lambda one: _weight(partition, one), default=None)


def _weight(partition: int, member: str) -> bytes:
    return hashlib.sha256(f"{partition} {member}".encode()).digest()


class Ownership(Protocol):
    """What a part that works by partitions needs to know of them."""

    @property
    def member(self) -> str:
        """The id of this process."""
        ...

    @property
    def owned(self) -> frozenset[int]:
        """The partitions of this process."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        ...

    def owns(self, device: str) -> bool:
        """Return whether a doorbell is in a partition of this process."""
        ...

    def is_member(self, member: str) -> bool:
        """Return whether this is the id of another process that is there."""
        ...

    def on_change(self, handler: Handler) -> None:
        """Call `handler(owned)` whenever partitions were taken over or handed over."""
        ...


class WholeFleet:
    """All partitions, of a process that is alone by its nature."""

    def __init__(self) -> None:
        self.member = new_id()[:MEMBER_ID_CHARS]
        self.owned = frozenset(range(PARTITIONS))
        self.is_alone = True

    def owns(self, device: str) -> bool:  # noqa: ARG002 (an Ownership)
        """Return whether a doorbell is in a partition of this process: each is."""
        return True

    def is_member(self, member: str) -> bool:  # noqa: ARG002
        """Return whether this is the id of another process: there is none."""
        return False

    def on_change(self, handler: Handler) -> None:
        """Nothing ever changes."""


class Partitions:
    """The partitions that this process works on."""

    def __init__(self, members: Members, database: Database) -> None:
        self.member = members.id
        self.owned: frozenset[int] = frozenset()
        self._members = members
        self._database = database
        self._handlers: list[Handler] = []
        self._wake = asyncio.Event()
        self._retry_at = 0.0
        members.on_change(self._wake.set)

    def owns(self, device: str) -> bool:
        """Return whether a doorbell is in a partition of this process."""
        return partition_of(device) in self.owned

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self._members.is_alone

    def is_member(self, member: str) -> bool:
        """Return whether this is the id of another process that is there."""
        return self._members.knows(member)

    def on_change(self, handler: Handler) -> None:
        """Call `handler(owned)` whenever partitions were taken over or handed over."""
        self._handlers.append(handler)

    def lost(self, partition: int) -> None:
        """Take note that another process has claimed a partition (PartitionLost).

        If it is this one's nevertheless, it is claimed again after a beat: then each has heard the
        other.
        """
        self._retry_at = asyncio.get_running_loop().time() + BEAT_S
        self._set(self.owned - {partition})
        self._wake.set()

    async def run(self) -> None:
        """Take over and hand over partitions until cancelled, then own none."""
        try:
            while True:
                self._wake.clear()
                delay_s = await self._settle()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._wake.wait()
        finally:
            self._set(frozenset())

    async def _settle(self) -> float | None:
        """Own what is this process's; return the time until it is to be tried again."""
        target = self._target()
        self._set(self.owned & target)
        missing = target - self.owned
        if not missing:
            return None
        wait_s = self._retry_at - asyncio.get_running_loop().time()
        if wait_s > 0:
            return wait_s
        try:
            await partitions.claim_all(self._database, missing, self.member)
        except StoreError as error:
            log.warning("partitions can't be taken over yet: %s", error)
            return BEAT_S
        self._set(self.owned | (missing & self._target()))
        log.info("this process works on partitions %s", sorted(self.owned))
        return None

    def _target(self) -> frozenset[int]:
        members = self._members.with_role(INGEST)
        return frozenset(
            partition
            for partition in range(PARTITIONS)
            if owner_of(partition, members) == self.member
        )

    def _set(self, owned: frozenset[int]) -> None:
        if owned == self.owned:
            return
        self.owned = owned
        for handler in self._handlers:
            handler(owned)
