"""The collector of a relay's metrics, run when the operator's Prometheus scrapes."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from firmware.protocol.encoding import WireError
from firmware.protocol.shards import read_unverified
from firmware.protocol.tlog.checkpoint import open_checkpoint
from firmware.protocol.tlog.policy import Policy
from relay.agency.agencies import Agencies
from relay.backup.owned_files import last_backup_ms
from relay.base.clock import Clock, SystemClock
from relay.base.metrics import Figures, LogFigures, RowFigures, StreamFigures
from relay.bus import Bus
from relay.config.settings import Config
from relay.custody.log_entries import LOGS
from relay.errors import BusUnavailable
from relay.notify.hub import Hub
from relay.store import logs
from relay.store import metrics as rows
from relay.store.database import AWAY, Database, reason_of

if TYPE_CHECKING:  # `doorward-relay check` uses log_figures, and needs no pages
    from relay.app.probes import Health

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
ROWS_S = 5.0
"""Prometheus waits for ten seconds, and takes a process that doesn't answer for dead."""


class MetricsCollector:
    """Collects metrics from the relay's own parts only."""

    def __init__(
        self,
        *,
        config: Config,
        database: Database,
        clock: Clock,
        agencies: Agencies,
        policy: Policy | None,
        check_health: "Callable[[], Awaitable[Health]]",
        bus: Bus | None = None,
        hub: Hub | None = None,
    ) -> None:
        self._config = config
        self._database = database
        self._clock = clock
        self._agencies = agencies
        self._policy = policy
        self._check_health = check_health
        self._bus = bus
        self._hub = hub

    async def gather(self) -> Figures:
        """Return all metrics as of now."""
        now_ms = self._clock.wall_ms()
        health = await self._check_health()
        found = await self._read_rows(now_ms) if health.is_database_up else None
        made_ms = await asyncio.to_thread(last_backup_ms, self._config)
        return Figures(
            parts_up={
                "broker": health.is_broker_up,
                "bucket": health.is_bucket_up,
                "database": found is not None,
            },
            shard_directory_days_left=await asyncio.to_thread(self._directory_days_left, now_ms),
            backup_age_s=None if made_ms is None else (now_ms - made_ms) / 1000,
            disk_free_bytes=shutil.disk_usage(self._config.data_dir).free,
            oldest_write_s=self._database.oldest_write_s(),
            open_streams=0 if self._hub is None else self._hub.listeners,
            streams=await self._stream_figures(),
            rows=found,
        )

    async def _read_rows(self, now_ms: int) -> RowFigures | None:
        """Return what the database says, or None: a scrape doesn't wait for a failover."""
        try:
            async with asyncio.timeout(ROWS_S):
                return await self._row_figures(now_ms)
        except AWAY as error:  # a time-out, too
            log.warning("metrics: the database doesn't answer: %s", reason_of(error))
            return None

    async def _row_figures(self, now_ms: int) -> RowFigures:
        async with self._database.read() as tx:
            counts = await rows.count_all(tx, now_ms)
            database_bytes = await rows.database_bytes(tx)
            heads: dict[str, logs.Head] = {name: await logs.get_head(tx, name) for name in LOGS}
        since_ms = counts.moderation_since_ms
        return RowFigures(
            commands_waiting=counts.commands_waiting,
            pushes_waiting=counts.pushes_waiting,
            doorbells=counts.doorbells,
            doorbells_online=counts.doorbells_online,
            doorbells_cloned=counts.doorbells_cloned,
            doorbell_certificates_ending=counts.certificates_ending,
            doorbell_claims_replayed=counts.claims_replayed,
            moderation_waiting=counts.moderation_waiting,
            moderation_oldest_s=0.0 if since_ms is None else (now_ms - since_ms) / 1000,
            agreement_days_left=await self._days_left(now_ms),
            agreement_texts_unfit=len(await self._agencies.list_unfit_texts()),
            database_bytes=database_bytes,
            logs={} if self._policy is None else self._log_figures(heads, self._policy, now_ms),
        )

    async def _stream_figures(self) -> dict[str, StreamFigures]:
        if self._bus is None or not self._bus.is_connected:
            return {}
        try:
            streams = await self._bus.list_streams()
        except BusUnavailable as error:
            log.warning("metrics: %s", error)
            return {}
        now_ms = SystemClock().wall_ms()  # the broker stamps by the machines' own time
        return {
            one.name: StreamFigures(
                waiting=one.waiting,
                redelivered=one.redelivered,
                oldest_s=0.0 if one.first_ms is None else max(0.0, (now_ms - one.first_ms) / 1000),
                has_leader=bool(one.leader),
            )
            for one in streams
        }

    async def _days_left(self, now_ms: int) -> float | None:
        """Return the days until the first of all agencies' newest agreements ends."""
        view = await self._agencies.view()
        ends = [
            max(one.agreement.ends_ms for one in agreements)
            for agreements in view.facts.agreements.values()
            if agreements
        ]
        return min(((end_ms - now_ms) / DAY_MS for end_ms in ends), default=None)

    def _directory_days_left(self, now_ms: int) -> float | None:
        """Return the days until the directory of shards ends; 0 of one that can't be read."""
        if self._config.shards is None:
            return None
        try:
            directory = read_unverified(self._config.shards.directory_path.read_bytes())
        except (OSError, WireError) as error:
            log.warning("metrics: the directory of shards: %s", error)
            return 0.0
        return (directory.expires_ms - now_ms) / DAY_MS

    def _log_figures(
        self, heads: dict[str, logs.Head], policy: Policy, now_ms: int
    ) -> dict[str, LogFigures]:
        name = "" if self._config.log is None else self._config.log.name
        return {
            log: log_figures(head, policy, origin=f"{name}/{log}", now_ms=now_ms)
            for log, head in heads.items()
        }


def log_figures(head: logs.Head, policy: Policy, *, origin: str, now_ms: int) -> LogFigures:
    """Return a log's metrics by its newest checkpoint: ages are by the witnesses' own clocks."""
    age_s: float | None = None
    witness_age_s: dict[str, float | None] = {one.name: None for one in policy.witnesses}
    if head.published is not None:
        note = head.published.encode()
        try:
            age_s = (now_ms - policy.check(note, origin=origin).fresh_ms) / 1000
            opened = open_checkpoint(
                note,
                logs=[log.key for log in policy.logs if log.key.name == origin],
                witnesses={witness.name: witness.key for witness in policy.witnesses},
            )
            witness_age_s |= {
                witness: (now_ms - time_ms) / 1000 for witness, time_ms in opened.times_ms.items()
            }
        except WireError:
            pass  # of another policy: no age is better than a wrong one
    return LogFigures(
        size=head.size,
        published_size=head.published_size,
        age_s=age_s,
        witness_age_s=witness_age_s,
    )
