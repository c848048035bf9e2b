"""The commands `doorward-relay backup` and `restore`: their execution and output."""

import argparse
import asyncio
import sys
from pathlib import Path

from msgspec.structs import replace

from relay.backup.online_backup import BackupParts, back_up
from relay.backup.restore import RestoreOptions, RestoreParts, RestoreResult, restore
from relay.base.clock import SystemClock
from relay.config.loader import load
from relay.config.settings import Config
from relay.config.values import DATABASE_EXPECTED, ORIGIN_EXPECTED, parse_database_url, parse_origin
from relay.custody.keys import read_policy_file
from relay.custody.witnesses import Witnesses
from relay.errors import ConfigError
from relay.store.object_copies import ObjectCopies

WARNING = """\
This backup holds the relay's SECRET KEYS: of the logs, of the fleet's CA, of the broker. Whoever
has them can sign as this relay. Keep it on a machine of its own and encrypted, such as
  tar -C {parent} -c {name} | age -r RECIPIENT > {name}.tar.age      (or: gpg --encrypt)
and delete {out} then. Old backups hold packages that owners took back since: delete them, too."""

NEXT = """\
Nothing runs yet. Make sure that the old relay never starts again, then start, in this order:
  {brokers}, and the object store
  doorward-relay check --config {folder}/relay.toml
  doorward-relay serve --config {folder}/relay.toml
Everybody signs in anew; open invitations and claims are void. Doorbells, accounts and players that
were shut out after the backup are in again: doorward-relay revoke (docs/guide/operate.md)."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run_backup(options: argparse.Namespace) -> int:
    """Copy a whole relay into a new folder."""
    config = load(options.config)
    around = BackupParts(
        packages=ObjectCopies(config.bucket),
        log_shelf=None if config.log is None else _log_bucket(config),
        clock=SystemClock(),
    )
    manifest = asyncio.run(
        back_up(
            options.config,
            config,
            options.out,
            around,
            has_packages="packages" not in options.exclude,
            say=_say,
        )
    )
    size = sum(file.size_bytes for file in manifest.files)
    _say(f"{options.out}: {len(manifest.files)} files, {size} bytes")
    for log in manifest.logs:
        _say(f"  {log.origin}: {log.size} entries, root {log.root}")
    for key in manifest.missing:
        _say(f"  not in the bucket (erased meanwhile, or lost): {key}")
    out = options.out.resolve()
    _say(WARNING.format(parent=out.parent, name=out.name, out=out))
    return 0


def run_restore(options: argparse.Namespace) -> int:
    """Restore a relay from a backup."""
    wanted = RestoreOptions(
        data_dir=options.data,
        database_url=_checked("--database-url", options.database_url),
        bucket_endpoint=_checked("--bucket-endpoint", options.bucket_endpoint),
        without=options.without_witness,
    )
    restored = asyncio.run(_restore(options.source, wanted))
    folder = restored.config.data_dir
    for name, count in restored.put_back.items():
        if count:
            _say(f"{name}: {count} entries that were published after the backup are back")
    if restored.missing:
        _say(f"{len(restored.missing)} packages are nowhere: their doorbells can't send them again")
    _say(NEXT.format(folder=folder, brokers=_brokers(folder, restored.config)))
    return 0


def _brokers(folder: Path, config: Config) -> str:
    """Return how to start the brokers of a restored relay."""
    if len(config.broker.servers) == 1:
        return f"nats-server -c {folder}/nats.conf"
    if peers := sorted(folder.glob("broker-*/nats.conf")):
        names = ", ".join(path.parent.name for path in peers)
        return f"nats-server -c nats.conf in each of {names}, on its machine"
    return "the brokers, whose folders (broker-1 …) weren't beside relay.toml: have yours at hand"


async def _restore(source: Path, wanted: RestoreOptions) -> RestoreResult:
    opened: list[Witnesses] = []

    def around(config: Config) -> RestoreParts:
        if config.log is not None:
            opened.append(Witnesses(read_policy_file(config.log)))
        return RestoreParts(
            packages=ObjectCopies(config.bucket),
            log_bucket=None if config.log is None else _log_bucket(config),
            witnesses=opened[0] if opened else None,
            clock=SystemClock(),
        )

    try:
        return await restore(source, wanted, around, say=_say)
    finally:
        for witnesses in opened:
            await witnesses.aclose()


def _log_bucket(config: Config) -> ObjectCopies:
    name = config.bucket.name if config.log is None else config.log.bucket
    return ObjectCopies(replace(config.bucket, name=name))


def _checked(option: str, value: str | None) -> str | None:
    if value is None:
        return None
    is_database = option == "--database-url"
    try:
        return parse_database_url(value) if is_database else parse_origin(value)
    except (ValueError, TypeError) as error:
        expected = f"{DATABASE_EXPECTED} ({error})" if is_database else ORIGIN_EXPECTED
        raise ConfigError(option, "(hidden)" if is_database else value, expected) from error
