"""The register and clock for commands: opened before a command, closed after it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.agency.register import RegisterService
from relay.base.clock import Clock, clock_of
from relay.config.settings import Config
from relay.custody.log_entries import LogEntries
from relay.errors import ConfigError
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
        return await use(database, register)
    finally:
        await database.close()


def clock_in(config: Config) -> Clock:
    """Return the relay's clock."""
    return clock_of(config.example.clock_path, config.example_town)
