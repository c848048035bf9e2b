"""Migration of a database that may be in use, as a relay opens it.

1. One relay at a time migrates (PostgreSQL's advisory lock, relay/store/postgresql.py).
2. Steps that older relays can't run beside: in one transaction, refused as long as one is
   connected (SchemaInUse).
3. Steps that they can: part by part, with a count of what is done in the same transaction, so that
   a relay that is killed at any part leaves what the next one goes on from. A part that waits for a
   table's lock gives up soon, and tries again: whoever wants the table waits behind it.

SQLite's file has one relay, and all steps run in one transaction.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, insert, inspect

from relay.errors import SchemaInUse, SchemaTooNew, SchemaTooOld, StoreError
from relay.store import event_months
from relay.store.history import History, Index, SchemaState, Step
from relay.store.migrations import migrate, read_state
from relay.store.postgresql import TableLocked, check_suitable, list_older_relays
from relay.store.schema import schema_version

AGAIN_S = (0.5, 1.5)
TRIES = 200
"""With half a second's wait for the lock each: for some five minutes."""

log = logging.getLogger(__name__)


class MigrationSession(Protocol):
    """A connection to PostgreSQL that alone may change the schema."""

    async def state(self) -> SchemaState:
        """Return what the database says of its schema."""
        ...

    async def raise_floor(self, state: SchemaState, compatible_from: int) -> list[str]:
        """Refuse older relays from now on, or return those that are connected."""
        ...

    async def run_statement(self, statement: str, state: SchemaState) -> None:
        """Run a statement and count it in one transaction; TableLocked."""
        ...

    async def make_index(self, index: Index, state: SchemaState) -> None:
        """Build an index while relays write, anew if it was left half-built, and count it.

        TableLocked.
        """
        ...

    async def finish(self, state: SchemaState, compatible_from: int) -> None:
        """Say that the next version is complete."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What opening a database would change."""

    found: int
    wanted: int
    offline: tuple[int, ...]
    """Versions whose steps need all older relays stopped."""
    online: tuple[int, ...]
    """Versions whose steps run beside them."""
    older_relays: tuple[str, ...]
    """Connections that would have to end first."""


def prepare(connection: Connection, history: History, *, is_migrating: bool) -> None:
    """Make the tables in an empty database, or run what can't run online; StoreError.

    A newer database is used as it is if that one says so, and refused (SchemaTooNew) otherwise; an
    older one is refused (SchemaTooOld) unless `is_migrating`.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    if is_postgresql:
        check_suitable(connection)
    if not inspect(connection).has_table(schema_version.name):
        history.metadata.create_all(connection)
        event_months.partition(connection)
        for index in history.metadata.tables["events"].indexes:
            index.create(connection, checkfirst=True)  # those of later versions are missing
        values = {"version": history.version, "compatible_from": history.compatible_from}
        connection.execute(insert(schema_version).values(values))
        return
    state = read_state(connection)
    if state.version >= history.version:
        _check_beside(state, history)
        return
    offline = history.offline_until(state.version)
    if not is_migrating:
        is_stop_needed = offline > state.version
        raise SchemaTooOld(state.version, history.version, is_stop_needed=is_stop_needed)
    target = offline if is_postgresql else history.version
    if target > state.version:
        floor = history.steps[target].compatible_from
        users = list_older_relays(connection, floor) if is_postgresql else []
        if users:
            raise SchemaInUse(state.version, target, users)
        migrate(connection, history, state, target)
        log.warning("database migrated from version %d to %d", state.version, target)


def is_behind(connection: Connection, history: History) -> bool:
    """Return whether there is something to migrate, or no table at all; StoreError.

    Who has nothing to migrate doesn't wait for who does: an older relay starts beside it.
    """
    if not inspect(connection).has_table(schema_version.name):
        return True
    return read_state(connection).version < history.version


def plan(connection: Connection, history: History) -> Plan:
    """Return what a migration would do; StoreError for a database that can't be migrated."""
    state = read_state(connection)
    _check_beside(state, history)
    offline = history.offline_until(state.version)
    users: list[str] = []
    if connection.dialect.name == "postgresql" and offline > state.version:
        users = list_older_relays(connection, history.steps[offline].compatible_from)
    return Plan(
        found=state.version,
        wanted=history.version,
        offline=tuple(range(state.version + 1, offline + 1)),
        online=tuple(range(offline + 1, history.version + 1)),
        older_relays=tuple(users),
    )


async def migrate_online(session: MigrationSession, history: History) -> None:
    """Run the steps that older relays may run beside; StoreError, and the rest stays to be done."""
    while (state := await session.state()).version < history.version:
        version = state.version + 1
        await _run_step(session, state, history.steps[version])
        log.warning("database migrated to version %d, beside older relays", version)


async def _run_step(session: MigrationSession, state: SchemaState, step: Step) -> None:
    if step.compatible_from > state.compatible_from:
        users = await session.raise_floor(state, step.compatible_from)
        if users:
            raise SchemaInUse(state.version, state.version + 1, users)
    for part in step.parts[state.parts_done :]:
        await _run_patiently(session, part, await session.state())
    await session.finish(await session.state(), step.compatible_from)


async def _run_patiently(session: MigrationSession, part: str | Index, state: SchemaState) -> None:
    for tries in range(TRIES):
        try:
            if isinstance(part, Index):
                await session.make_index(part, state)
            else:
                await session.run_statement(part, state)
        except TableLocked:
            if tries == 0:
                log.warning("the migration waits for a table that is in use")
            await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 (jitter)
        else:
            return
    raise StoreError(
        f"the migration to schema version {state.version + 1} isn't complete: a table was in use "
        "for minutes (by a backup, or a query?). Older relays may go on; start this one again later"
    )


def _check_beside(state: SchemaState, history: History) -> None:
    if history.version < state.compatible_from:  # also while a raising step is under way
        raise SchemaTooNew(max(state.version, state.compatible_from), history.version)
    if state.version <= history.version:
        return
    log.warning(
        "the database has schema version %d, of a newer Doorward; this one (%d) may run beside it",
        state.version,
        history.version,
    )
