"""The commands `doorward-relay log show` and `legal-process add`, which use the database."""

from collections.abc import Sequence

from firmware.protocol.tlog.policy import Policy
from relay.base.clock import clock_of
from relay.cli.register import notify_relays
from relay.config.settings import Config, LogConfig
from relay.custody.entries import CustodyEntries
from relay.custody.legal_process import LegalKind, LegalYield
from relay.custody.log_entries import LOGS, LogEntries
from relay.store import logs as rows
from relay.store.database import Database


async def show_sizes(config: Config, log: LogConfig, policy: Policy) -> None:
    """Print each log's size, and when a quorum of witnesses last signed it."""
    database = await Database.open(config.database)
    try:
        async with database.read() as tx:
            for name in LOGS:
                head = await rows.get_head(tx, name)
                waiting = len(await rows.waiting(tx, name, now_ms=2**62, limit=1_000_000))
                print(f"{name}: {head.published_size} entries published", end="")
                print(f", {head.size - head.published_size + waiting} on their way", end="")
                if head.published is None:
                    print(", no checkpoint yet")
                    continue
                witnessed = policy.check(head.published.encode(), origin=f"{log.name}/{name}")
                age_s = (_now_ms(config) - witnessed.fresh_ms) // 1000
                print(f", a quorum has signed {age_s} s ago")
    finally:
        await database.close()


async def add_legal_process(config: Config, kind: LegalKind, yielded: Sequence[LegalYield]) -> None:
    """Add one served process to the custody log."""
    database = await Database.open(config.database)
    try:
        async with database.begin() as tx:
            await CustodyEntries(LogEntries()).legal_process(
                tx,
                kind=kind,
                yielded=sorted(set(yielded)),
                now_ms=_now_ms(config),
            )
        await notify_relays(config, database)
    finally:
        await database.close()


def _now_ms(config: Config) -> int:
    return clock_of(config.example.clock_path, config.example_town).wall_ms()
