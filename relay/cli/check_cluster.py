"""The checks of `doorward-relay check` on brokers, relay processes and a database's standbys."""

import asyncio

from msgspec.structs import replace

from relay.bus import Bus, StreamState
from relay.cli.check_result import CheckResult
from relay.config.postgresql_url import parse_postgresql_url
from relay.config.settings import Config
from relay.config.values import ROLES
from relay.errors import RelayError
from relay.fleet.broker import bus_of
from relay.fleet.members import list_members
from relay.store.database import Database
from relay.store.postgresql import Standby, list_standbys

BROKER_TIMEOUT_S = 5.0
MUCH_LAG_BYTES = 64 * 1024 * 1024
PROCESSES = "relay processes"
WITHOUT = {
    "web": "there are no pages",
    "ingest": "events wait at the broker, and no doorbell connects",
    "log": "nothing is released",
    "notify": "pushes wait, and run out",
}
"""What a relay lacks without any process in a role."""


async def check_brokers(config: Config) -> list[CheckResult]:
    """Check that each broker lets the relay in, and of a cluster versions, streams and leaders."""
    servers = config.broker.servers
    findings = [await _check_reached(config, url) for url in servers]
    if not any(one.is_ok for one in findings):
        return findings
    bus = bus_of(config)
    try:
        async with asyncio.timeout(2 * BROKER_TIMEOUT_S):
            await bus.connect()
            if len(servers) > 1:
                return [*findings, *await _check_cluster(config, bus)]
            return [*findings, *[_of_one(one) for one in await bus.list_streams()]]
    except (RelayError, TimeoutError) as error:
        said = str(error) or "JetStream has no leader: are more than half of the brokers there?"
        return [*findings, CheckResult(what="streams", is_ok=False, detail=said)]
    finally:
        await bus.close()


async def _check_reached(config: Config, url: str) -> CheckResult:
    bus = bus_of(replace(config, broker=replace(config.broker, url=None, urls=(url,))))
    try:
        async with asyncio.timeout(BROKER_TIMEOUT_S):
            await bus.reach()
    except TimeoutError:
        is_cluster = len(config.broker.servers) > 1
        conf = "nats.conf, in its own folder" if is_cluster else config.data_dir / "nats.conf"
        detail = f"{url} doesn't let the relay in; start it: nats-server -c {conf}"
        return CheckResult(what="broker", is_ok=False, detail=detail)
    except (RelayError, OSError, ValueError) as error:
        return CheckResult(what="broker", is_ok=False, detail=str(error))
    finally:
        await bus.close()
    return CheckResult(what="broker", is_ok=True, detail=url)


async def _check_cluster(config: Config, bus: Bus) -> list[CheckResult]:
    brokers = await bus.list_brokers()
    versions = sorted({broker.version for broker in brokers})
    named = ", ".join(broker.name for broker in brokers)
    findings = [
        CheckResult(
            what="brokers",
            is_ok=True,
            is_warning=len(versions) > 1,
            detail=f"{named} are one cluster, of version {' and '.join(versions)}"
            + ("" if len(versions) == 1 else ": update them one after the other"),
        )
    ]
    if len(brokers) < len(config.broker.servers):
        detail = f"of {len(config.broker.servers)} brokers {len(brokers)} answer as one cluster"
        findings = [CheckResult(what="brokers", is_ok=False, detail=f"{detail}: {named}")]
    wanted = config.broker.replicas or 1
    return [*findings, *[_of_stream(one, wanted) for one in await bus.list_streams()]]


def _of_one(stream: StreamState) -> CheckResult:
    detail = f"{stream.waiting} waiting"
    return CheckResult(what=f"stream {stream.name}", is_ok=True, detail=detail)


def _of_stream(stream: StreamState, wanted: int) -> CheckResult:
    what = f"stream {stream.name}"
    if not stream.leader:
        return CheckResult(what=what, is_ok=False, detail="has no leader; nothing goes in or out")
    detail = f"{stream.replicas} replicas, led by {stream.leader}, {stream.waiting} waiting"
    if stream.behind:
        detail += f"; without its last messages, or away: {', '.join(stream.behind)}"
    elif stream.replicas < 3:
        detail += "; it is lost with its broker: set replicas = 3 in [broker] of relay.toml"
    is_warning = bool(stream.behind) or stream.replicas < max(3, wanted)
    return CheckResult(what=what, is_ok=True, is_warning=is_warning, detail=detail)


async def check_processes(config: Config) -> list[CheckResult]:
    """Check that a relay of several processes has some in each role; hearing them takes 2.5 s."""
    is_cluster = len(config.broker.servers) > 1
    if not is_cluster and config.roles == frozenset(ROLES):
        return []
    bus = bus_of(config)
    try:
        async with asyncio.timeout(2 * BROKER_TIMEOUT_S):
            await bus.reach()
            members = await list_members(bus)
    except (RelayError, OSError, TimeoutError) as error:
        detail = f"they couldn't be heard: {str(error) or 'no broker answers'}"
        return [CheckResult(what=PROCESSES, is_ok=True, is_warning=True, detail=detail)]
    finally:
        await bus.close()
    counts = {role: sum(role in one.roles for one in members) for role in ROLES}
    return _of_roles(counts, processes=len(members), is_cluster=is_cluster)


def _of_roles(counts: dict[str, int], *, processes: int, is_cluster: bool) -> list[CheckResult]:
    if not processes:
        detail = "none runs; start them: doorward-relay serve, each with its --role"
        return [CheckResult(what=PROCESSES, is_ok=True, is_warning=True, detail=detail)]
    told = ", ".join(f"{count} {role}" for role, count in counts.items())
    findings = [CheckResult(what=PROCESSES, is_ok=True, detail=f"{processes} heard: {told}")]
    for role, count in counts.items():
        if count == 0:
            detail = f"no process has it, so {WITHOUT[role]}: start one with --role {role}"
            findings.append(CheckResult(what=f"role {role}", is_ok=False, detail=detail))
        elif count == 1 and is_cluster:
            detail = "one process has it, and nobody takes its place when it dies"
            one = CheckResult(what=f"role {role}", is_ok=True, is_warning=True, detail=detail)
            findings.append(one)
    return findings


async def check_standbys(config: Config) -> list[CheckResult]:
    """Check a PostgreSQL primary's standbys: how far behind they are, and whether it waits."""
    if not config.database_url:
        return []
    what = "database's standby"
    try:
        database = await Database.open(config.database)
    except RelayError:
        return []  # the check of the database itself says why
    try:
        async with database.read() as tx:
            standbys = await list_standbys(tx)
    finally:
        await database.close()
    if not standbys and len(parse_postgresql_url(config.database_url).hosts) > 1:
        detail = "none follows the primary: what is committed is in one place"
        return [CheckResult(what=what, is_ok=False, detail=detail)]
    if any(standby.is_synchronous is None for standby in standbys):
        detail = (
            "the relay's user may not see how far behind it is: "
            "as postgres, GRANT pg_read_all_stats TO that user"
        )
        return [CheckResult(what=what, is_ok=True, is_warning=True, detail=detail)]
    is_safe = any(standby.is_synchronous for standby in standbys)
    return [_of_standby(what, standby, is_safe=is_safe) for standby in standbys]


def _of_standby(what: str, standby: Standby, *, is_safe: bool) -> CheckResult:
    lag = "an unknown amount" if standby.lag_bytes is None else f"{standby.lag_bytes // 1024} KiB"
    detail = f"{standby.name} is {lag} behind"
    if not is_safe:
        detail += (
            "; a failover loses what it hasn't got, receipted or not: set "
            "synchronous_standby_names on the server"
        )
    is_far = (standby.lag_bytes or 0) > MUCH_LAG_BYTES
    return CheckResult(what=what, is_ok=True, is_warning=is_far or not is_safe, detail=detail)
