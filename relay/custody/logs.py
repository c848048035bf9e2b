"""The interface to both logs: add an entry in a transaction, wait for it, then act.

async with database.begin() as tx:
    pending = await logs.add(tx, "custody", entry, key="download:" + download_id)
logged = await logs.logged(pending)      # LogUnavailable: try again later, it stays on its way
...                                      # only now act
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

from firmware.protocol.register.entries import Delays
from firmware.protocol.register.facts import Stamps
from firmware.protocol.tlog.policy import Policy
from relay.custody.cosigned_times import CosignedTimes
from relay.custody.errors import LogUnavailable
from relay.custody.log_entries import LogEntries, LogName, Pending, charter_delays
from relay.custody.sequencer import Published, Sequencer
from relay.store import logs
from relay.store.cache_file import CacheFile
from relay.store.database import Database, Transaction
from relay.store.logs import Head

LOGGED_WITHIN_S = 10.0
REFRESH_MS = 15 * 60 * 1000
"""An unchanged tree is cosigned again so often, so that everybody sees that nothing is withheld."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEntry:
    """An entry in a witnessed checkpoint of `size` entries; `proof` is a tlog-proof."""

    index: int
    size: int
    proof: bytes


class Logs(LogEntries):
    """The register and the custody log of one relay."""

    def __init__(
        self,
        *,
        database: Database,
        writers: dict[LogName, Sequencer],
        policy: Policy,
        saved_stamps: CacheFile | None = None,
    ) -> None:
        """`saved_stamps` is the cache of the register's stamps, for a short start."""
        self._database = database
        self._writers = writers
        self._policy = policy
        self._stamping = {
            name: CosignedTimes(
                origin=writer.origin,
                policy=policy,
                saved=saved_stamps if name == "register" else None,
            )
            for name, writer in writers.items()
        }
        self._one_at_a_time = asyncio.Lock()

    @property
    def policy(self) -> Policy:
        """The policy: the logs' keys, witnesses and quorum."""
        return self._policy

    def origin(self, log: LogName) -> str:
        """Return a log's name in its checkpoints."""
        return self._writers[log].origin

    async def compare(self) -> None:
        """Raise LogContradicts if a log's published tree isn't in the database."""
        for writer in self._writers.values():
            await writer.compare()

    async def run(self) -> None:
        """Sequence both logs until cancelled; raises LogContradicts."""
        async with asyncio.TaskGroup() as group:
            for name, writer in self._writers.items():
                group.create_task(writer.run(), name=f"log {name}")

    async def follow(self) -> None:
        """Hear of what another process publishes in both logs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, writer in self._writers.items():
                group.create_task(writer.follow(), name=f"following log {name}")

    def on_published(self, log: LogName, listener: Published) -> None:
        """Call `listener(size)` after a larger tree was published; it may be called for many."""
        self._writers[log].on_published(listener)

    async def logged(self, pending: Pending, *, timeout_s: float = LOGGED_WITHIN_S) -> LoggedEntry:
        """Wait until an entry is witnessed and published; LogUnavailable if that takes longer."""
        writer = self._writers[pending.log]
        self._database.signals.hear(pending.log)  # so much hangs on it that it is looked for again
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            seen_size = writer.published_size
            found = await self.find(pending)
            if found is not None:
                return found
            left_s = end - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise self._not_yet(pending.log)
            await writer.grown(seen_size, left_s)

    async def never_logged(self, log: LogName) -> NoReturn:
        """Raise as `logged` does for an unwitnessed entry: after as long, with the same text."""
        await asyncio.sleep(LOGGED_WITHIN_S)
        raise self._not_yet(log)

    async def find(self, pending: Pending) -> LoggedEntry | None:
        """Return an entry's place and proof if it is published."""
        async with self._database.read() as tx:
            entry = await logs.find_by_number(tx, pending.log, pending.number)
        if entry is None:
            raise LookupError(f"the log has no entry {pending}")
        if entry.leaf_index is None:
            return None
        proved = await self._writers[pending.log].proof(entry.leaf_index)
        if proved is None:
            return None
        head, proof = proved
        return LoggedEntry(index=entry.leaf_index, size=head.published_size, proof=proof)

    async def proof(self, log: LogName, index: int) -> bytes | None:
        """Return the tlog-proof of a published entry with the newest checkpoint, or None."""
        proved = await self._writers[log].proof(index)
        return None if proved is None else proved[1]

    def _not_yet(self, log: LogName) -> LogUnavailable:
        return LogUnavailable(
            f"this isn't in a witnessed checkpoint of {self.origin(log)} yet; it is tried on, "
            "so ask again in a minute"
        )

    async def head(self, tx: Transaction, log: LogName) -> Head:
        """Return a log's head: `size` entries are sequenced, `published_size` are published."""
        return await logs.get_head(tx, log)

    async def stamps(self, tx: Transaction, log: LogName) -> Stamps:
        """Return the cosigned times: when a quorum of witnesses had seen a tree of each size.

        It grows with the log: what was read before isn't checked again. Don't change it.
        """
        stamping = self._stamping[log]
        async with self._one_at_a_time:
            count = await logs.count_stamps(tx, log)
            await stamping.take(await logs.stamps(tx, log, stamping.count, count))
            return stamping.stamps


def refresh_ms_of(delays: Delays) -> int:
    """Return the interval for cosigning an unchanged tree: well within the freshness limit."""
    return min(REFRESH_MS, max(200, delays.freshness_ms // 4))


def refreshing(database: Database) -> Callable[[], Awaitable[int]]:
    """Return a function for a sequencer's refresh interval, by the charter once there is one."""

    async def refresh_ms() -> int:
        async with database.read() as tx:
            return refresh_ms_of(await charter_delays(tx) or Delays())

    return refresh_ms
