"""The commands `doorward-relay backup` and `restore`: their arguments and output."""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from relay.backup.online_backup import Surroundings, back_up
from relay.backup.restore import Around, Restored, Wanted, restore
from relay.base.clock import SystemClock
from relay.config import Config, load
from relay.config_values import (
    DATABASE_EXPECTED,
    ORIGIN_EXPECTED,
    parse_database_url,
    parse_origin,
)
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
  nats-server -c {folder}/nats.conf, and the object store
  doorward-relay check --config {folder}/relay.toml
  doorward-relay serve --config {folder}/relay.toml
Everybody signs in anew; open invitations and claims are void. Doorbells, accounts and players that
were shut out after the backup are in again: doorward-relay revoke (docs/guide/operate.md)."""


def add_backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to doorward-relay's."""
    text = "copy a whole relay, while it runs, into a new folder: it holds SECRET KEYS"
    taking = commands.add_parser("backup", help=text, description=text)
    taking.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    taking.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    taking.add_argument(
        "--exclude",
        choices=("packages",),
        action="append",
        default=[],
        help="packages: leave sealed evidence out, so that what is erased isn't kept elsewhere",
    )
    taking.set_defaults(run=_run_backup)
    text = "restore a relay from a backup; refused if that would publish a second history"
    going_back = commands.add_parser("restore", help=text, description=text)
    going_back.add_argument("--from", type=Path, required=True, metavar="DIR", dest="source")
    going_back.add_argument("--data", type=Path, required=True, metavar="DIR", help="a new folder")
    going_back.add_argument(
        "--database-url", metavar="URL", help="a PostgreSQL backup: an empty database for it"
    )
    going_back.add_argument(
        "--bucket-endpoint", metavar="URL", help="the object store's URL, if it has changed"
    )
    going_back.add_argument(
        "--without-witness",
        action="append",
        default=[],
        metavar="NAME",
        help="a witness that is gone for good, and can't be asked for its last checkpoint",
    )
    going_back.set_defaults(run=_run_restore)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run_backup(options: argparse.Namespace) -> int:
    config = load(options.config)
    around = Surroundings(
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


def _run_restore(options: argparse.Namespace) -> int:
    wanted = Wanted(
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
    _say(NEXT.format(folder=folder))
    return 0


async def _restore(source: Path, wanted: Wanted) -> Restored:
    opened: list[Witnesses] = []

    def around(config: Config) -> Around:
        if config.log is not None:
            opened.append(Witnesses(read_policy_file(config.log)))
        return Around(
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
        expected = DATABASE_EXPECTED if is_database else ORIGIN_EXPECTED
        raise ConfigError(option, "(hidden)" if is_database else value, expected) from error
