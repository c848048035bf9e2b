"""The command `doorward-relay check`: checks each of a relay's parts and prints the results.

A client that only some relays use (sign-in, STUN and TURN, mail) is imported where it is tried.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address

from msgspec.structs import replace

from firmware.protocol.commands import IceServer
from firmware.protocol.public_addresses import is_public
from relay.base.clock import SystemClock, clock_of
from relay.cli import preflight
from relay.cli.check_cluster import check_brokers, check_processes, check_standbys
from relay.cli.check_result import CheckResult
from relay.cli.check_shards import check_shard_directory
from relay.cli.store_keys import check_store_keys
from relay.config.settings import Config, LogConfig, OidcConfig
from relay.config.values import IceUrl
from relay.custody.keys import read_key_file, read_policy_file
from relay.errors import ConfigError, ObjectStoreError, RelayError
from relay.fleet.ca import Authority
from relay.live.ice import IceServers, Reach
from relay.notify.push_key import PushKey
from relay.store.database import Database, shown
from relay.store.objects import ObjectStore


async def check(config: Config) -> list[CheckResult]:
    """Check every part; the settings themselves were checked by reading them."""
    parts: list[tuple[str, Callable[[Config], Awaitable[str]]]] = [
        ("fleet CA", _check_ca),
        ("database", _check_database),
        ("bucket", _check_bucket),
    ]
    if config.log is not None:
        parts.append(("logs", partial(check_log, config.log)))
    parts += [(f"sign-in of {one.agency}", partial(_check_oidc, one)) for one in config.oidc]
    findings = [CheckResult(what="settings", is_ok=True, detail=f"read, for {config.public_url}")]
    for what, look in parts:
        try:
            findings.append(CheckResult(what=what, is_ok=True, detail=await look(config)))
        except (RelayError, OSError, ValueError) as error:
            findings.append(CheckResult(what=what, is_ok=False, detail=str(error)))
    findings += await check_brokers(config)
    findings += await check_processes(config)
    findings += await check_standbys(config)
    return [*findings, *await _look_around(config), check_push(config), *await check_live(config)]


async def _look_around(config: Config) -> list[CheckResult]:
    """Check the machine itself, and everything that expires."""
    clock = clock_of(config.example.clock_path, config.example_town)
    findings = [
        preflight.check_store_address(config),
        await check_store_keys(config.bucket),
        preflight.check_proxies(config),
        preflight.check_disk_space(config),
        await preflight.check_database_file(config),
        *await preflight.check_witness_times(config, clock),
        *await preflight.check_certificate_dates(config, SystemClock()),
        *await preflight.check_fleet(config, SystemClock()),
        *await preflight.check_agreement_texts(config),
        *await preflight.check_policy_charter(config),
        check_shard_directory(config, SystemClock()),
        *await preflight.check_merged_cells(config, clock),
        await preflight.check_mail_server(config),
        *await preflight.check_reminder_addresses(config, clock),
        preflight.check_map_files(config),
        preflight.check_backup_age(config, SystemClock()),
    ]
    return [finding for finding in findings if finding is not None]


async def _check_oidc(oidc: OidcConfig, config: Config) -> str:
    from relay.people.oidc_provider import Provider

    provider = Provider(
        oidc, SystemClock(), redirect_uri="", is_loopback_allowed=bool(config.example_town)
    )
    return await provider.check()


async def _check_ca(config: Config) -> str:
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    return f"SHA-256 {authority.sha256}"


async def _check_database(config: Config) -> str:
    if not config.database_url and not config.database_path.exists():
        raise FileNotFoundError(f"{config.database_path} is missing; doorward-relay init writes it")
    database = await Database.open(config.database)
    try:
        await database.check()
    finally:
        await database.close()
    return shown(config.database)


async def _check_bucket(config: Config) -> str:
    store = ObjectStore(config.bucket)
    try:
        await store.check()
    except ObjectStoreError as error:
        raise ObjectStoreError(
            f"{error}; does the object store run (with {config.data_dir / 's3.json'}), does "
            "endpoint in [bucket] of relay.toml lead to it, and did doorward-relay serve run once? "
            "It makes the bucket"
        ) from error
    await store.check_forgets()
    return f"{config.bucket.endpoint}/{config.bucket.name}"


async def check_log(log: LogConfig, config: Config) -> str:
    """Check the logs' keys, policy and bucket; return a sentence, or raise."""
    policy = read_policy_file(log)
    read_key_file(log.register_key_path, f"{log.name}/register", policy)
    read_key_file(log.custody_key_path, f"{log.name}/custody", policy)
    store = ObjectStore(replace(config.bucket, name=log.bucket))
    locks = "locks tiles" if await store.ensure_lockable() else "can't lock tiles"
    compares = "" if await store.check_conditions() else ", has no If-Match: run one relay only"
    return f"{log.name}, {len(policy.witnesses)} witnesses, the store {locks}{compares}"


def check_push(config: Config) -> CheckResult:
    """Check the VAPID key and contact; the push services themselves are not contacted."""
    what = "Web Push"
    if not config.push_key_path.exists():
        detail = f"{config.push_key_path} isn't there yet; doorward-relay serve makes it"
        return CheckResult(what=what, is_ok=True, is_warning=True, detail=detail)
    try:
        key = PushKey.load(config.push_key_path)
    except ConfigError as error:
        return CheckResult(what=what, is_ok=False, detail=str(error))
    if config.push_contact is None:
        detail = (
            "no contact is named, so some push services (Apple's) refuse: give contact in [push] "
            "of relay.toml"
        )
        return CheckResult(what=what, is_ok=True, is_warning=True, detail=detail)
    detail = f"key {key.public_key[:12]}…, contact {config.push_contact}"
    return CheckResult(what=what, is_ok=True, detail=detail)


async def check_live(config: Config) -> list[CheckResult]:
    """Try each STUN and TURN server; return from where live view works."""
    live = config.live
    try:
        servers = IceServers.load(live, SystemClock())
    except ConfigError as error:
        return [CheckResult(what="live view", is_ok=False, detail=str(error))]
    findings = [
        *[await _try_stun(url) for url in live.stun_urls],
        *[await _try_turn(url, servers.fresh("check").servers[-1]) for url in live.turn_urls],
    ]
    warning = _REACH_WARNINGS.get(servers.reach)
    if warning is not None:
        findings.append(CheckResult(what="live view", is_ok=True, is_warning=True, detail=warning))
    return findings


_REACH_WARNINGS: dict[Reach, str] = {
    "home_only": (
        "works at home only, since no STUN or TURN server is set: run coturn where the internet "
        "reaches it, and name it in [live] of relay.toml (docs/guide/operate.md, Live view)"
    ),
    "stun_only": (
        "fails wherever networks let no direct connection through, as many mobile ones do, since "
        "no TURN server is set: give turn_urls in [live] (docs/guide/operate.md, Live view)"
    ),
}


async def _try_stun(url: IceUrl) -> CheckResult:
    from relay.live.probe import IceServerUnusable, try_stun

    try:
        seen = await try_stun(url)
    except IceServerUnusable as error:
        return CheckResult(what="live view, STUN", is_ok=False, detail=str(error))
    return CheckResult(
        what="live view, STUN", is_ok=True, detail=f"{url.text} sees the relay as {seen}"
    )


async def _try_turn(url: IceUrl, credentials: IceServer) -> CheckResult:
    from relay.live.probe import IceServerUnusable, try_turn

    what = "live view, TURN"
    try:
        address = await try_turn(url, credentials)
    except IceServerUnusable as error:
        return CheckResult(what=what, is_ok=False, detail=str(error))
    detail = f"{url.text} takes the relay's credentials and forwards from {address}"
    if is_public(ip_address(address)):
        return CheckResult(what=what, is_ok=True, detail=detail)
    hint = "no public address, so not away from home: set external-ip in turnserver.conf"
    return CheckResult(what=what, is_ok=True, is_warning=True, detail=f"{detail}, {hint}")
