"""The checks of `doorward-relay check` on the machine itself: each returns one sentence.

A look that finds nothing to say returns nothing; whether that makes the whole check fail is in the
finding. Servers that the relay speaks to are check.py's.
"""

import asyncio
import shutil
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Agreement
from relay.agency.agencies import agreed_digests
from relay.agency.merged_cells import MOST_PAIRS, MergeConflict, list_merge_conflicts
from relay.agency.register import RegisterService
from relay.app.metrics_collector import log_figures
from relay.backup.owned_files import last_backup_ms
from relay.base.clock import Clock
from relay.base.networks import is_mixed
from relay.cli.check_result import CheckResult
from relay.cli.register import with_register
from relay.config.settings import Config
from relay.custody.errors import LogError, PolicyUnbound
from relay.custody.keys import read_policy_file
from relay.custody.log_entries import LOGS
from relay.custody.served_policy import check_served_policy
from relay.custody.text_reader import find_unfit_texts
from relay.errors import ConfigError, RelayError, StoreError, said
from relay.map.map_data import MapData
from relay.store import fleet, logs, onboardings
from relay.store.database import Database
from relay.store.database_copies import check_sqlite
from relay.store.metrics import ENDING_MS

DAY_MS = 24 * 3600 * 1000
LEAST_FREE_BYTES = 512 * 1024 * 1024
ENOUGH_FREE_BYTES = 4 * 1024 * 1024 * 1024
FRESH_S = 3600.0
"""So old may a checkpoint be; doorbells release nothing on an older one."""
CLOCK_S = 60.0
CERTIFICATE_DAYS = 30
BACKUP_DAYS = 7
TLS_TIMEOUT_S = 5.0
SHOWN_PAIRS = 5
SHOWN_CELLS = 4


def check_store_address(config: Config) -> CheckResult | None:
    """Check whether browsers may fetch from the object store, where that can be known."""
    endpoint = config.bucket.endpoint
    if not is_mixed(config.public_url, endpoint):
        return None
    detail = (
        f"no browser fetches from {endpoint} beside {config.public_url}: put the store behind TLS "
        "and set endpoint in [bucket] of relay.toml to its https address"
    )
    return CheckResult(what="bucket's address", is_ok=False, detail=detail)


def check_proxies(config: Config) -> CheckResult | None:
    """Check whether a proxy that must be there, since it has the TLS, is believed."""
    if not config.public_url.startswith("https://") or config.limits.trusted_proxies:
        return None
    detail = (
        f"{config.public_url} comes by a proxy, and none is named: everybody has its one address, "
        "and one allowance. Name its network: set trusted_proxies in [limits] of relay.toml"
    )
    return _warning("proxies", detail)


def check_disk_space(config: Config) -> CheckResult:
    """Check the free disk space of the relay's data."""
    free = shutil.disk_usage(config.data_dir).free
    detail = f"{free // (1024 * 1024)} MiB free in {config.data_dir}"
    return CheckResult(
        what="disk",
        is_ok=free >= LEAST_FREE_BYTES,
        is_warning=free < ENOUGH_FREE_BYTES,
        detail=detail if free >= ENOUGH_FREE_BYTES else f"{detail}: make room, before it is full",
    )


async def check_database_file(config: Config) -> CheckResult | None:
    """Check the SQLite file's integrity; PostgreSQL does that itself."""
    if config.database_url or not config.database_path.exists():
        return None
    try:
        await asyncio.to_thread(check_sqlite, config.database_path)
    except StoreError as error:
        return CheckResult(what="database, whole", is_ok=False, detail=str(error))
    return CheckResult(what="database, whole", is_ok=True, detail="quick_check finds nothing wrong")


async def check_witness_times(config: Config, clock: Clock) -> list[CheckResult]:
    """Check the age of each log's last cosignatures, and so this machine's clock."""
    if config.log is None:
        return []
    try:
        policy = read_policy_file(config.log)
        database = await Database.open(config.database)
    except (LogError, StoreError):
        return []  # said elsewhere
    try:
        async with database.read() as tx:
            heads = {name: await logs.get_head(tx, name) for name in LOGS}
    finally:
        await database.close()
    findings = []
    for name, head in heads.items():
        origin, now_ms = f"{config.log.name}/{name}", clock.wall_ms()
        seen = log_figures(head, policy, origin=origin, now_ms=now_ms)
        findings.append(_of_log(origin, head, seen.age_s))
        for witness in policy.witnesses if seen.age_s is not None else ():
            age_s = seen.witness_age_s.get(witness.name)
            if age_s is None:
                detail = f"{witness.name} hasn't signed the newest checkpoint of {origin}: ask why"
                findings.append(_warning("witness", detail))
            elif age_s < -CLOCK_S:
                detail = (
                    f"{witness.name} signed {origin} {-age_s:.0f} s from now: this machine's clock "
                    "is behind, or theirs is ahead; synchronise it (NTP)"
                )
                findings.append(CheckResult(what="clock", is_ok=False, detail=detail))
    return findings


def _of_log(origin: str, head: logs.Head, age_s: float | None) -> CheckResult:
    if head.published is None:
        return _warning("log", f"{origin} has no checkpoint yet: does the relay run?")
    if age_s is None:
        detail = (
            f"{origin}'s newest checkpoint isn't one that policy.txt accepts: which was changed?"
        )
        return CheckResult(what="log", is_ok=False, detail=detail)
    detail = f"{origin}: {head.published_size} entries, a quorum signed {age_s:.0f} s ago"
    if age_s > FRESH_S:
        detail += ": too old, so no doorbell releases anything. Does the relay run, do witnesses?"
    return CheckResult(what="log", is_ok=age_s <= FRESH_S, detail=detail)


async def check_certificate_dates(config: Config, clock: Clock) -> list[CheckResult]:
    """Check when certificates expire: the fleet's CA, the broker's, and that of public_url."""
    now_ms = clock.wall_ms()
    findings = []
    for name in ("ca.pem", "broker.pem"):
        path = config.data_dir / name
        if path.exists():
            findings.append(_of_certificate(name, path, now_ms))
    if config.public_url.startswith("https://"):
        findings.append(await _of_public(config.public_url, now_ms))
    return findings


def _of_certificate(name: str, path: Path, now_ms: int) -> CheckResult:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return CheckResult(what="certificate", is_ok=False, detail=f"{name} can't be read: {error}")
    end_ms = int(certificate.not_valid_after_utc.timestamp() * 1000)
    return _until(name, end_ms, now_ms)


async def _of_public(url: str, now_ms: int) -> CheckResult:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        async with asyncio.timeout(TLS_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                host, port, ssl=ssl.create_default_context(), server_hostname=host
            )
            told = writer.get_extra_info("peercert")["notAfter"]
            writer.close()
    except (OSError, TimeoutError) as error:
        why = said(error)
        return _warning("certificate", f"{url} can't be reached with TLS from here: {why}")
    return _until(url, int(ssl.cert_time_to_seconds(told) * 1000), now_ms)


def _until(name: str, end_ms: int, now_ms: int) -> CheckResult:
    day = datetime.fromtimestamp(end_ms / 1000, UTC).date()
    is_soon = end_ms - now_ms < CERTIFICATE_DAYS * DAY_MS
    return CheckResult(
        what="certificate",
        is_ok=end_ms > now_ms,
        is_warning=is_soon,
        detail=f"{name} holds until {day}" + (": renew it" if is_soon else ""),
    )


async def check_fleet(config: Config, clock: Clock) -> list[CheckResult]:
    """Check doorbells' certificates that aren't renewed, cards in two devices, replayed claims."""
    now_ms = clock.wall_ms()
    try:
        database = await Database.open(config.database)
    except (RelayError, OSError):  # the check of the database says so
        return []
    try:
        async with database.read() as tx:
            ended = await fleet.count_ending(tx, from_ms=0, before_ms=now_ms)
            ending = await fleet.count_ending(tx, from_ms=now_ms, before_ms=now_ms + ENDING_MS)
            cloned = await fleet.cloned_devices(tx)
            replayed = sorted(await fleet.replayed_claims(tx, since_ms=0))
    finally:
        await database.close()
    findings = []
    if ended or ending:
        detail = (
            f"{ended} doorbells' certificates have ended, {ending} end within 14 days: they are "
            f"off, or can't reach {config.public_url}/renew. One that is back within 400 days of "
            "its end renews by itself; after that it needs a new invitation"
        )
        findings.append(_warning("doorbells' certificates", detail))
    if cloned:
        detail = (
            f"two devices use the card of {', '.join(cloned)}: nothing is released. The owner ends "
            "it in the app; without an owner, doorward-relay revoke"
        )
        findings.append(_warning("copied cards", detail))
    if replayed:
        detail = (
            f"another key used the claim of {', '.join(replayed)}: if that isn't the doorbell that "
            "you enrolled, revoke it, and invite again"
        )
        findings.append(_warning("replayed claims", detail))
    return findings


async def check_mail_server(config: Config) -> CheckResult:
    """Check whether mail to agencies can be sent."""
    if config.mail is None:
        return _warning("mail", "none is set ([mail]): codes are handed over, nobody is reminded")
    from relay.mail import MailUnavailable, SmtpMailer

    try:
        await SmtpMailer(config.mail).check()
    except (MailUnavailable, ConfigError) as error:
        return CheckResult(what="mail", is_ok=False, detail=str(error))
    return CheckResult(what="mail", is_ok=True, detail="the server takes letters")


async def check_reminder_addresses(config: Config, clock: Clock) -> list[CheckResult]:
    """Check which agencies have no address for reminders before their agreements end."""
    if config.log is None or config.mail is None:
        return []

    async def look(database: Database, register_service: RegisterService) -> list[CheckResult]:
        async with database.read() as tx:
            register = await register_service.replayed(tx)
            unreached = [
                known[-1].agreement
                for agency, known in sorted(register.agreements.items())
                if known[-1].agreement.ends_ms > clock.wall_ms()
                and await onboardings.find_address(tx, agency) is None
            ]
        warnings = [_warning("reminders", _unreached(one)) for one in unreached[:SHOWN_PAIRS]]
        if len(unreached) > SHOWN_PAIRS:
            warnings += [_warning("reminders", f"{len(unreached) - SHOWN_PAIRS} agencies more")]
        return warnings

    try:
        return await with_register(config, look)
    except (RelayError, WireError, OSError):
        return []  # said elsewhere


def _unreached(agreement: Agreement) -> str:
    day = datetime.fromtimestamp(agreement.ends_ms / 1000, UTC).date()
    return (
        f"{agreement.agency} has no confirmed address, so nobody is written to before its "
        f"agreement ends on {day}: tell them yourself, or have them hand in their next version at "
        "/for-agencies"
    )


async def check_agreement_texts(config: Config) -> list[CheckResult]:
    """Check that each agreement's stored text is the one that the register names."""
    if config.log is None:
        return []

    async def look(database: Database, register_service: RegisterService) -> list[CheckResult]:
        async with database.read() as tx:
            digests = agreed_digests(await register_service.replayed(tx))
            unfit = await find_unfit_texts(tx, digests)
        if not unfit and digests:
            detail = f"{len(digests)}, each as the register names it"
            return [CheckResult(what="agreements' texts", is_ok=True, detail=detail)]
        return [
            CheckResult(what="agreements' texts", is_ok=False, detail=f"{error}{_MEND_TEXT}")
            for error in unfit
        ]

    try:
        return await with_register(config, look)
    except (RelayError, WireError, OSError):
        return []  # said elsewhere


async def check_policy_charter(config: Config) -> list[CheckResult]:
    """Check that the policy which people are served names the register's charter."""
    if config.log is None:
        return []
    try:
        text = config.log.policy_path.read_bytes()
        database = await Database.open(config.database)
    except (OSError, StoreError):
        return []  # said elsewhere
    try:
        async with database.read() as tx:
            await check_served_policy(tx, text, origin=f"{config.log.name}/register")
    except PolicyUnbound as error:
        detail = f"{error}. It isn't served: correct {config.log.policy_path}, and start again"
        return [CheckResult(what="policy", is_ok=False, detail=detail)]
    finally:
        await database.close()
    return []


_MEND_TEXT = (
    ". It isn't shown, and its agency can't ask: put the signed text back with doorward-relay "
    "admin restore-text FILE (the agency has it, and /log/texts/ a copy by that SHA-256), and find "
    "out who changed it"
)


async def check_merged_cells(config: Config, clock: Clock) -> list[CheckResult]:
    """Check which agreements group thin map cells in conflict with others."""
    if config.log is None:
        return []

    async def look(database: Database, register_service: RegisterService) -> list[CheckResult]:
        async with database.read() as tx:
            register = await register_service.replayed(tx)
        found = await asyncio.to_thread(list_merge_conflicts, register, now_ms=clock.wall_ms())
        warnings = [_warning("merged cells", _merging(*one)) for one in found[:SHOWN_PAIRS]]
        if len(found) > SHOWN_PAIRS:
            more = "or more " if len(found) == MOST_PAIRS else ""
            warnings += [_warning("merged cells", f"{len(found) - SHOWN_PAIRS} {more}pairs more")]
        return warnings

    try:
        return await with_register(config, look)
    except (RelayError, WireError, OSError):
        return []  # said elsewhere


def _merging(agreement: Agreement, differs: MergeConflict) -> str:
    other, cells = differs.other, differs.crossing or differs.cells
    named = ", ".join(cells[:SHOWN_CELLS]) + (", …" if len(cells) > SHOWN_CELLS else "")
    what = "across each other" if differs.crossing else "otherwise"
    return (
        f"{agreement.agency} (version {agreement.version}) and {other.agency} (version "
        f"{other.version}) merge {what}: {named}. Both together can tell who lives there: have "
        "them merge alike in their next versions"
    )


def check_map_files(config: Config) -> CheckResult | None:
    """Check that the map's files can be read, where some are named."""
    try:
        MapData.load(config.map)
    except (RelayError, WireError, OSError) as error:
        return CheckResult(what="map", is_ok=False, detail=str(error))
    named = (config.map.pmtiles_path, config.map.places_path, config.map.districts_path)
    files = [str(path) for path in named if path is not None]
    return CheckResult(what="map", is_ok=True, detail=", ".join(files)) if files else None


def check_backup_age(config: Config, clock: Clock) -> CheckResult:
    """Check the newest backup's age, by this relay's own note of it."""
    made_ms = last_backup_ms(config)
    if made_ms is None:
        return _warning("backup", "there is none: doorward-relay backup --help")
    days = (clock.wall_ms() - made_ms) / DAY_MS
    if days > BACKUP_DAYS:
        return _warning("backup", f"the newest is {days:.0f} days old: back up each day")
    return CheckResult(what="backup", is_ok=True, detail=f"the newest is {days:.1f} days old")


def _warning(what: str, detail: str) -> CheckResult:
    return CheckResult(what=what, is_ok=True, is_warning=True, detail=detail)
