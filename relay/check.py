"""`doorward-relay check`: says in words which of a relay's parts are well."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay.bus import Bus
from relay.config import Config
from relay.errors import RelayError
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.store.database import Database
from relay.store.objects import ObjectStore

BROKER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part, whether it is well, and what was seen or what to do."""

    what: str
    is_ok: bool
    detail: str


async def check(config: Config) -> list[Finding]:
    """Look at every part; the settings themselves were checked by reading them."""
    parts: list[tuple[str, Callable[[Config], Awaitable[str]]]] = [
        ("fleet CA", _check_ca),
        ("database", _check_database),
        ("broker", _check_broker),
        ("bucket", _check_bucket),
    ]
    findings = [Finding(what="settings", is_ok=True, detail=f"read, for {config.public_url}")]
    for what, look in parts:
        try:
            findings.append(Finding(what=what, is_ok=True, detail=await look(config)))
        except (RelayError, OSError, ValueError) as error:
            findings.append(Finding(what=what, is_ok=False, detail=str(error)))
    return findings


async def _check_ca(config: Config) -> str:
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    return f"SHA-256 {authority.sha256}"


async def _check_database(config: Config) -> str:
    if not config.database_path.exists():
        raise FileNotFoundError(f"{config.database_path} is missing; doorward-relay init writes it")
    database = await Database.open(config.database_path)
    try:
        await database.check()
    finally:
        await database.close()
    return str(config.database_path)


async def _check_broker(config: Config) -> str:
    keys = BrokerKeys.load(config.broker_keys_path)
    bus = Bus(config.broker.url, relay_seed=keys.relay_seed, system_seed=keys.system_seed)
    try:
        async with asyncio.timeout(BROKER_TIMEOUT_S):
            await bus.connect()
    except TimeoutError as error:
        start = f"start it: nats-server -c {config.data_dir / 'nats.conf'}"
        raise TimeoutError(f"{config.broker.url} doesn't let the relay in; {start}") from error
    finally:
        await bus.close()
    return config.broker.url


async def _check_bucket(config: Config) -> str:
    await ObjectStore(config.bucket).check()
    return f"{config.bucket.endpoint}/{config.bucket.name}"
