"""Made-up next versions of the relay's schema, and a relay that is written for the first of them.

As a program it is `doorward-relay serve` of that relay: python -m tests.relay.next_version serve …
"""

import argparse
import asyncio
import sys
from pathlib import Path

import sqlalchemy
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from relay.app.relay import serve
from relay.base.log_lines import configure_logging
from relay.config.loader import for_process, load
from relay.config.values import parse_address
from relay.store.history import History, Index, Step
from relay.store.migrations import HISTORY
from relay.store.schema import SCHEMA_VERSION

ADDED = SCHEMA_VERSION + 1
DROPPED = ADDED + 1


def _tables(*, has_visits: bool) -> MetaData:
    tables = MetaData()
    for table in HISTORY.metadata.sorted_tables:
        table.to_metadata(tables)
    events = tables.tables["events"]
    events.append_column(Column("heard", BigInteger, nullable=False, server_default="0"))
    sqlalchemy.Index("events_by_heard", events.c.device, events.c.heard)
    event_ids = tables.tables["event_ids"]
    sqlalchemy.Index("event_ids_by_device", event_ids.c.device)
    tables.tables["doorbells"].append_column(Column("paint", Text))
    if has_visits:
        Table("visits", tables, Column("device", Text, primary_key=True))
    return tables


_ADDING = Step(
    statements=(
        "ALTER TABLE events ADD COLUMN heard BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE doorbells ADD COLUMN paint TEXT",
        "CREATE TABLE visits (device TEXT NOT NULL PRIMARY KEY)",
    ),
    indexes=(
        Index(name="events_by_heard", table="events", columns="device, heard"),
        Index(name="event_ids_by_device", table="event_ids", columns="device"),
    ),
    compatible_from=SCHEMA_VERSION,
)
NEXT = History(steps={**HISTORY.steps, ADDED: _ADDING}, metadata=_tables(has_visits=True))
"""Today's relays run beside it."""

AFTER_NEXT = History(
    steps={**NEXT.steps, DROPPED: Step(statements=("DROP TABLE visits",), compatible_from=ADDED)},
    metadata=_tables(has_visits=False),
)
"""Relays of the next version run beside it, and today's don't."""


def main(arguments: list[str]) -> None:
    """Serve with the next version's schema."""
    parser = argparse.ArgumentParser()
    parser.add_argument("serve")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--role")
    parser.add_argument("--listen", type=parse_address)
    parser.add_argument("--metrics-listen", type=parse_address)
    options = parser.parse_args(arguments)
    configure_logging("text")
    config = for_process(
        load(options.config),
        roles=options.role,
        listen=options.listen,
        metrics_listen=options.metrics_listen,
    )
    asyncio.run(serve(config, NEXT))


if __name__ == "__main__":
    main(sys.argv[1:])
