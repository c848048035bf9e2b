"""The commands `doorward-relay log show` and `legal-process add`, which use the database."""

from collections.abc import Sequence

from firmware.protocol.tlog.policy import Policy
from relay.base.clock import clock_of
from relay.cli.register import notify_relays
from relay.config.settings import Config, LogConfig
from relay.custody.entries import CustodyEntries
from relay.custody.errors import LogError
from relay.custody.legal_process import FeedYield, LegalKind, LegalYield
from relay.custody.log_entries import LOGS, LogEntries
from relay.store import feed_legal
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


async def add_feed_legal_process(
    config: Config, kind: LegalKind, yielded: Sequence[FeedYield], posts: Sequence[str]
) -> int:
    """Add one served process about the feed; return how many authors of `posts` will be told.

    LogError, and nothing is added, if a post isn't there.
    """
    database = await Database.open(config.database)
    now_ms, what = _now_ms(config), sorted(set(yielded))
    try:
        async with database.begin() as tx:
            authors = await feed_legal.authors_of(tx, set(posts))
            if unknown := sorted(set(posts) - authors.keys()):
                raise LogError(f"no such post is there (any more): {', '.join(unknown)}")
            entries = CustodyEntries(LogEntries())
            await entries.feed_legal_process(tx, kind=kind, yielded=what, now_ms=now_ms)
            told = {author for author in authors.values() if author is not None}
            await feed_legal.add(tx, told, kind=kind, yielded=what, now_ms=now_ms)
        await notify_relays(config, database)
    finally:
        await database.close()
    return len(told)


def _now_ms(config: Config) -> int:
    return clock_of(config.example.clock_path, config.example_town).wall_ms()
