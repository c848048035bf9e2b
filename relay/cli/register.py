"""The register and clock for commands: opened before a command, closed after it."""

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.agency.register import RegisterService
from relay.base.clock import Clock, clock_of
from relay.config.settings import Config
from relay.custody.log_entries import LogEntries
from relay.errors import ConfigError, RelayError
from relay.store.cache_file import CacheFile
from relay.store.database import Database

T = TypeVar("T")


async def with_register(
    config: Config, use: Callable[[Database, RegisterService], Awaitable[T]]
) -> T:
    """Use the relay's database and register, or raise ConfigError where it has no log."""
    if config.log is None:
        raise ConfigError("[log]", None, "a log (doorward-relay log init makes one)")
    database = await Database.open(config.database)
    try:
        register = RegisterService(
            LogEntries(),
            database,
            origin=f"{config.log.name}/register",
            saved=CacheFile(config.saved_register_path),
        )
        used = await use(database, register)
        await notify_relays(config, database)
        return used
    finally:
        await database.close()


async def notify_relays(config: Config, database: Database) -> None:
    """Tell the relays that run what this command has committed for them to do."""
    topics = database.signals.take_unpublished()
    if not topics:
        return
    from relay.fleet.broker import bus_of

    try:
        await bus_of(config).publish_signals(topics)
    except RelayError as error:
        print(f"{error}. A relay that runs sees it within a minute.", file=sys.stderr)


def clock_in(config: Config) -> Clock:
    """Return the relay's clock."""
    return clock_of(config.example.clock_path, config.example_town)
