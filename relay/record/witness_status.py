"""Each witness's last signed tree and its time, from the logs' own witnessed checkpoints."""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Cosigned, open_checkpoint
from firmware.protocol.tlog.policy import Policy
from relay.custody.log_entries import LOGS, LogName
from relay.store import logs
from relay.store import record as stamps
from relay.store.database import Database

LOOK_BACK = 100
"""Checkpoints: a witness that signed none of the newest ones is shown as missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSigned:
    """The newest cosignature of one witness under one log."""

    log: LogName
    witness: str
    size: int | None
    time_ms: int | None


class WitnessStatus:
    """Collects cosignatures from new checkpoints, and verifies each once more."""

    def __init__(self, database: Database, policy: Policy, origins: dict[LogName, str]) -> None:
        self.policy = policy
        self.origins = origins
        self._database = database
        self._seen: dict[LogName, str] = {}
        self._last: dict[tuple[LogName, str], LastSigned] = {}

    async def state(self) -> list[LastSigned]:
        """Return each witness's last cosignature on each log."""
        for log in LOGS:
            await self._look(log)
        return [
            self._last.get(
                (log, witness.name),
                LastSigned(log=log, witness=witness.name, size=None, time_ms=None),
            )
            for log in LOGS
            for witness in self.policy.witnesses
        ]

    async def _look(self, log: LogName) -> None:
        async with self._database.read() as tx:
            newest = (await logs.get_head(tx, log)).published
            if newest is None or newest == self._seen.get(log):
                return
            is_first = log not in self._seen
            older = await stamps.newest_stamps(tx, log, limit=LOOK_BACK) if is_first else []
        self._seen[log] = newest
        for note in (newest.encode(), *older):
            self._take(log, note)
            if all((log, one.name) in self._last for one in self.policy.witnesses):
                break

    def _take(self, log: LogName, note: bytes) -> None:
        opened = self._opened(log, note)
        if opened is None:
            return
        for witness, time_ms in opened.times_ms.items():
            known = self._last.get((log, witness))
            if known is None or (known.time_ms or 0) < time_ms:
                self._last[log, witness] = LastSigned(
                    log=log, witness=witness, size=opened.checkpoint.size, time_ms=time_ms
                )

    def _opened(self, log: LogName, note: bytes) -> Cosigned | None:
        keys = [one.key for one in self.policy.logs if one.key.name == self.origins[log]]
        witnesses = {witness.name: witness.key for witness in self.policy.witnesses}
        try:
            return open_checkpoint(note, logs=keys, witnesses=witnesses)
        except WireError:
            return None  # signed under a policy that is no longer ours
